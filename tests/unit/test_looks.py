"""What a person sees of a value in a shell and in a notebook."""

import numpy as np
import pytest
from data_files import square, write_csv

from ssna.core.ragged import Ragged
from ssna.data import IdMap, append, load, prepare
from ssna.data.dataset import HeldOut
from ssna.recommender import Recommendation, Recommendations, ScoredItem
from ssna.runs import train

SCREEN = 120 * 24


def is_on_a_screen(value):
    return len(repr(value)) < SCREEN and repr(value).count("\n") < 24 and "object at 0x" not in repr(value)


@pytest.fixture(scope="module")
def run(random_data):
    return train(random_data(seed=3, users=30, items=20), method="item-knn", quiet=True)


def test_no_value_is_longer_than_a_screen(run, random_data, make_cache, random_states):
    text = "a long title " * 40
    item = ScoredItem("an-id-of-some-length" * 9, 0.123456789, text)
    found = Recommendation((item,) * 1000, ("x" * 100,) * 1000, None)
    data = random_data(seed=3, users=300, items=200, texts=[f"{k} {text}" for k in range(200)])
    rows = Ragged(np.arange(10**6), np.array([0, 10**6]))
    held = HeldOut({"i": text}, (("a",) * 5000,), ("i",))
    cache = make_cache(data, random_states(layers=3, items=len(data.items)))
    parts = [data.users, data.items, data.histories, data.test, data.histories.ragged]
    values = [IdMap(tuple(map(str, range(10**5)))), *parts, data, rows, held, found, Recommendations([found] * 1000)]
    for value in [*values, run, run.record, run.recommender, cache, data.summary()]:
        assert is_on_a_screen(value), f"{type(value).__name__}: {len(repr(value))} characters"


def test_a_notebook_shows_tables_of_data_runs_caches_and_recommendations(run, random_data, make_cache, random_states):
    data = random_data(seed=3, users=30, items=20, texts=[f"<b>{k}</b>" for k in range(20)])
    cache = make_cache(data, random_states(layers=2, items=len(data.items)))
    found = run.recommender.recommend([["i1", "i2"]], k=3)
    shown = {
        name: value._repr_html_() for name, value in (("data", data), ("run", run), ("cache", cache), ("found", found))
    }
    assert all(html.startswith("<table>") and "<b>" not in html for html in shown.values())
    assert f'<td style="text-align: left">{len(data.users)}</td>' in shown["data"]
    assert f"{run.record.test['exclude_seen']['N@10']:.4f}" in shown["run"]
    assert found[0].items[0].item in shown["found"]


def test_recommendations_say_how_many_there_are_where_not_all_are_shown():
    found = Recommendation(tuple(ScoredItem(f"i{k}", 1.0, "") for k in range(30)), (), None)
    assert "30 rows; to_pandas() has them all" in repr(Recommendations([found], ["u1"]))
    assert repr(Recommendations([found], ["u1"])).splitlines()[1].split() == ["user", "rank", "item", "score", "text"]


@pytest.mark.slow
def test_prepare_says_in_python_what_it_found_unless_quiet(tmp_path, capsys):
    rows = [*square(), *[(f"u{k}", "NULL", 5, "Nothing") for k in range(6)], ("u1", "i1", "yesterday", "T")]
    log = write_csv(tmp_path / "log.csv", rows)
    data = prepare(log, out=tmp_path / "data")
    said = capsys.readouterr().err
    assert said == f"{data.summary()}\n"
    for part in ("read      43 events", "no_time 1", "warning   items called NULL are items", data.fingerprint):
        assert part in said
    assert any(warning.startswith("items called NULL") for warning in data.warnings)
    assert load(tmp_path / "data").summary() == data.summary()
    append(
        tmp_path / "data",
        write_csv(
            tmp_path / "more.csv",
            square(),
        ),
        out=tmp_path / "more",
    )
    assert "appended  36 of these events, from more.csv" in capsys.readouterr().err
    prepare(log, quiet=True)
    append(tmp_path / "data", log, quiet=True)
    assert capsys.readouterr().err == ""


def test_a_data_set_that_prepare_did_not_make_has_a_summary_too(make_data):
    data = make_data([[1, 2, 1], [3, 1, 2]])
    lines = ["users     2", "items     3", "events    6", "split     leave-one-out", f"data      {data.fingerprint}"]
    assert data.summary().splitlines() == lines
    assert data.warnings == ()
