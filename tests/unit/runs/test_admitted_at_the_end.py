"""What a data set keeps for its text alone can be recommended by the model that was trained on it."""

from dataclasses import replace

import pytest

from ssna.runs import Run, encode, train
from ssna.runs.refit import on_all_events
from ssna.scoring import Ensemble

SMALL = (
    *("dim=8", "sequence.ffn_dim=8", "method.num_experts=2", "training.batch_size=16", "training.epochs=2"),
    *('ensemble.members=["cease"]', "ensemble.repeat_consumption=true", "ensemble.new_items=true"),
)
NEW = ("new-1", "new-2")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(random_data, distinct_texts):
    texts = distinct_texts(22)
    known = random_data(seed=5, users=50, items=20, texts=texts[:20])
    return replace(known, new_items=dict(zip(NEW, texts[20:], strict=True)))


@pytest.fixture(scope="module")
def cache(data, language_model, tmp_path_factory):
    return encode(data, language_model, tmp_path_factory.mktemp("cache") / "c", dtype="fp32", device="cpu", quiet=True)


def test_new_items_are_recommended_and_change_no_figure(data, cache, tmp_path, capsys):
    run = train(data, cache, method="ssna", settings=SMALL, out=tmp_path / "run")
    assert "2 new items can be recommended, by their texts" in capsys.readouterr().err
    plain = train(replace(data, new_items={}), cache, method="ssna", settings=SMALL, quiet=True)
    assert run.record.test == plain.record.test
    again = Run.load(tmp_path / "run").recommender
    assert again.items.external[-2:] == NEW
    found = again.recommend([[data.items.external[0], "new-1"]], k=30, exclude_seen=False)[0]
    assert set(NEW) <= {each.item for each in found.items}


def test_a_run_with_new_items_can_be_refitted_and_chosen_by(data, cache, tmp_path):
    train(data, cache, method="ssna", settings=SMALL, out=tmp_path / "run", quiet=True)
    again = train(on_all_events(data), cache, config=tmp_path / "run" / "settings.toml", quiet=True)
    whole = train(data, cache, method="ssna", settings=SMALL, refit=True, quiet=True)
    for run in (again, whole):
        assert run.recommender.items.external[-2:] == NEW
        assert isinstance(run.recommender.scorer, Ensemble)
    histories = data.histories.ragged
    assert (again.recommender.scorer.score(histories) == whole.recommender.scorer.score(histories)).all()


def test_a_method_that_reads_no_text_says_that_it_cannot(data, capsys):
    run = train(data, method="item-knn")
    assert "the 2 new items of the data cannot be recommended: this model" in capsys.readouterr().err
    assert len(run.recommender.items) == len(data.items)
