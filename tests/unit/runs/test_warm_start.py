"""Training that starts from an earlier run's weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ssna.core.errors import ArtifactError, SettingsError
from ssna.data import Histories, IdMap
from ssna.runs import Run, train
from ssna.training.trainer import Trainer

pytestmark = pytest.mark.slow

SMALL = (
    *("dim=16", "sequence.ffn_dim=16", "sequence.num_layers=1", "training.batch_size=64", "training.precision=fp32"),
    *("training.learning_rate=1e-2", "loss.name=sampled", "sequence.dropout=0.1", "training.epochs=3"),
)
OLD, NEW = 20, 25  # items


@pytest.fixture(scope="module")
def data(make_data):
    """Item ``i + 1`` follows item ``i``: something to learn."""
    rng = np.random.default_rng(0)
    rows = [[int(start + step) % OLD + 1 for step in range(rng.integers(5, 9))] for start in rng.integers(OLD, size=80)]
    return make_data(rows, OLD)


@pytest.fixture(scope="module")
def later(data):
    """The same events with the items numbered backwards, and some of new items."""
    turned = OLD + 1 - data.histories.items
    new = np.arange(OLD + 1, NEW + 1).repeat(2)
    offsets = np.concatenate([data.histories.offsets, [len(turned) + len(new)]])
    fresh = tuple(f"i{row}" for row in range(OLD + 1, NEW + 1))
    return replace(
        data,
        users=IdMap((*data.users.external, "late")),
        items=IdMap((*data.items.external[::-1], *fresh)),
        texts=("", *data.texts[:0:-1], *(f"text of {item}" for item in fresh)),
        histories=Histories(np.concatenate([turned, new]).astype(np.int32), None, offsets),
    )


@pytest.fixture(scope="module")
def earlier(data, tmp_path_factory):
    """A run of plain SASRec on ``data``."""
    folder = tmp_path_factory.mktemp("runs") / "yesterday"
    train(data, method="ids", settings=SMALL, out=folder, quiet=True)
    return folder


@pytest.fixture
def before_the_first_step(monkeypatch):
    """What the model knew then."""
    seen = {}
    steps = Trainer.steps

    def watch(trainer, *arguments):
        seen.update({} if seen else trainer.model.trainable_state_dict())
        return steps(trainer, *arguments)

    monkeypatch.setattr(Trainer, "steps", watch)
    return seen


def weights_of(folder):
    return load_file(folder / "weights.safetensors")


def test_a_run_keeps_the_weights_of_its_best_epoch(data, earlier):
    kept, scorer = weights_of(earlier), Run.load(earlier).recommender.scorer
    assert torch.equal(kept["encoder.vectors.weight"][1:], scorer.vectors[1:])
    for name, weight in scorer.sequence.state_dict().items():
        assert torch.equal(kept[f"sequence.{name}"], weight)


def test_before_the_first_step_all_weights_are_those_of_the_earlier_run(data, earlier, before_the_first_step):
    train(data, method="ids", settings=SMALL, seed=5, init_from=earlier, quiet=True)
    kept = weights_of(earlier)
    assert before_the_first_step.keys() == kept.keys()
    assert all(torch.equal(before_the_first_step[name], weight) for name, weight in kept.items())


def test_weights_of_items_are_matched_by_id_and_new_items_are_initialised_as_in_any_run(
    data, later, earlier, before_the_first_step
):
    run = train(later, method="ids", settings=SMALL, init_from=earlier, quiet=True)
    warm = dict(before_the_first_step)
    before_the_first_step.clear()
    train(later, method="ids", settings=SMALL, quiet=True)
    kept, rows = weights_of(earlier), "encoder.vectors.weight"
    for item in data.items.external:
        there, here = data.items.rows([item])[0], later.items.rows([item])[0]
        assert torch.equal(warm[rows][here], kept[rows][there])
    assert torch.equal(warm[rows][OLD + 1 :], before_the_first_step[rows][OLD + 1 :])
    assert all(torch.equal(warm[name], kept[name]) for name in kept if name != rows)
    assert run.record.init_from == {
        "run": "yesterday",
        "fingerprint": data.fingerprint,
        "weights": run.record.init_from["weights"],
        "items_known": OLD,
        "items_new": NEW - OLD,
    }


def test_a_warm_start_has_a_lower_first_loss_than_random_weights(later, earlier):
    random, warm = (train(later, method="ids", settings=SMALL, init_from=run, quiet=True) for run in (None, earlier))
    assert warm.record.epochs[0]["loss"] < 0.8 * random.record.epochs[0]["loss"]
    assert random.record.init_from is None


def test_a_method_that_reads_texts_warm_starts_on_data_without_a_known_item(data, make_data, make_cache, tmp_path):
    settings = (*SMALL, "method.layers=2", "method.num_experts=2", "text.pooling=mean")
    rng = np.random.default_rng(1)
    states = rng.normal(size=(3, OLD, 8)).astype(np.float32)
    cache = make_cache(data, states)
    train(data, cache, method="ssna", settings=settings, out=tmp_path / "run", quiet=True)
    strangers = replace(data, items=IdMap(tuple(f"other {item}" for item in data.items.external)))
    random, warm = (
        train(strangers, cache, method="ssna", settings=settings, init_from=run, quiet=True)
        for run in (None, tmp_path / "run")
    )
    assert warm.record.epochs[0]["loss"] < random.record.epochs[0]["loss"]
    assert (warm.record.init_from["items_known"], warm.record.init_from["items_new"]) == (0, OLD)


def test_with_no_epochs_the_earlier_run_is_evaluated_as_it_is(data, earlier, tmp_path):
    still = train(data, method="ids", settings=[*SMALL, "training.epochs=0"], init_from=earlier, out=tmp_path / "run")
    assert (still.record.epochs, still.record.best_epoch) == ([], None)
    assert still.record.test == Run.load(earlier).record.test
    assert all(torch.equal(weight, weights_of(earlier)[name]) for name, weight in weights_of(tmp_path / "run").items())


@pytest.mark.parametrize("schedule", [(), ("training.lr_schedule=cosine", "training.warmup_ratio=0.1")])
def test_with_no_epochs_and_no_earlier_run_the_initial_weights_are_evaluated(data, schedule):
    run = train(data, method="ids", settings=[*SMALL, "training.epochs=0", *schedule])
    assert run.record.test["include_seen"]["R@10"] >= 0


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("ids", ["dim=32"], r"dim is 32, but .*yesterday .* 16: take settings = 'dim=16', or leave init_from out"),
        (
            "ids",
            ["sequence.num_heads=4"],
            r"sequence.num_heads is 4, .* with 2: take settings = 'sequence.num_heads=2'",
        ),
        ("tmlp", [], r"method.name is tmlp, but .* with ids: take method = 'ids'"),
        ("popularity", [], r"popularity is fitted at once and starts from nothing; leave init_from out"),
    ],
)
def test_a_run_of_another_model_is_refused_by_the_name_of_the_setting(
    data, earlier, make_cache, method, settings, message
):
    cache = make_cache(data, np.ones((3, OLD, 8), np.float32))
    training = () if method == "popularity" else SMALL
    with pytest.raises(SettingsError, match=message) as caught:
        train(data, cache, method=method, settings=[*training, *settings], init_from=earlier, quiet=True)
    assert caught.value.for_command_line.endswith("leave --init-from out")


def test_settings_that_weights_do_not_depend_on_may_differ(data, earlier):
    changed = [*SMALL, "sequence.dropout=0.4", "training.learning_rate=1e-3", "loss.temperature=0.1"]
    assert train(data, method="ids", settings=changed, init_from=earlier, quiet=True).record.init_from is not None


def test_histories_of_another_length_are_refused(data, earlier):
    longer = replace(data, max_history=9)
    with pytest.raises(SettingsError, match=r"max_history is 9, but .* trained with 50: take data of max_history = 50"):
        train(longer, method="ids", settings=SMALL, init_from=earlier, quiet=True)


def test_states_of_another_kind_are_refused(data, make_cache, tmp_path):
    states = np.random.default_rng(1).normal(size=(3, OLD, 8)).astype(np.float32)
    settings = (*SMALL, "method.layers=1")
    train(data, make_cache(data, states), method="ssna", settings=settings, out=tmp_path / "run", quiet=True)
    other = make_cache(data, states, pooling="cls")
    with pytest.raises(SettingsError, match=r"the cache's pooling is cls, but .*run was trained with mean"):
        train(data, other, method="ssna", settings=settings, init_from=tmp_path / "run", quiet=True)


def test_a_run_without_weights_says_so(data, earlier, tmp_path):
    train(data, method="popularity", out=tmp_path / "popular", quiet=True)
    train(data, method="ids", settings=SMALL, out=tmp_path / "older", quiet=True)
    (tmp_path / "older/weights.safetensors").unlink()
    for name, message in (
        ("popular", r"popular is a run of popularity, which learns no weights"),
        ("older", r"older keeps no weights to start from .*; train it again"),
        ("nowhere", r"nowhere does not exist"),
    ):
        with pytest.raises(ArtifactError, match=message):
            train(data, method="ids", settings=SMALL, init_from=tmp_path / name, quiet=True)
    (tmp_path / "older/weights.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ArtifactError, match="older is damaged"):
        train(data, method="ids", settings=SMALL, init_from=tmp_path / "older", quiet=True)
