"""Runs side by side, in Python."""

import pandas as pd
import pytest
from matplotlib.figure import Figure

import ssna
from ssna.core.errors import ArtifactError, SettingsError
from ssna.runs import train


@pytest.fixture(scope="module")
def kept(random_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    data = random_data(seed=5, users=60, items=40)
    return [train(data, method=name, out=folder / name, quiet=True) for name in ("item-knn", "popularity")], folder


def test_tables_are_frames_with_full_figures(kept):
    runs, _ = kept
    frame = ssna.compare(runs).table().to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert set(frame["method"]) == {"item-knn", "popularity"}
    by_name = frame.drop_duplicates("method").set_index("method")
    for run in runs:
        found = by_name.loc[run.record.method, "seen excluded N@10"]
        assert found == run.record.test["exclude_seen"]["N@10"]


def test_folders_and_what_holds_them_give_the_same_as_the_runs(kept):
    runs, folder = kept
    of_runs = ssna.compare(runs).table().to_arrow()
    assert ssna.compare([folder / "item-knn", str(folder / "popularity")]).table().to_arrow() == of_runs
    assert ssna.compare(folder).table().to_arrow() == of_runs
    assert ssna.compare([ssna.load_run(folder / "item-knn"), runs[1]]).table().to_arrow() == of_runs


def test_every_other_table_is_there_and_plots_are_figures(kept):
    found = ssna.compare(kept[0])
    assert len(found.table("improvement", of="item-knn").to_pandas()) > 0
    assert isinstance(found.plot("history"), Figure)
    assert isinstance(found.plot(), Figure)


def test_a_comparison_shows_the_accuracy_and_no_more_than_a_screen(kept):
    found = ssna.compare(kept[0])
    assert "item-knn" in repr(found)
    assert repr(found).count("\n") < 24
    assert found._repr_html_() == found.table()._repr_html_()
    assert "<table" in found._repr_html_()
    assert str(found) == str(found.table())


def test_what_cannot_be_compared_is_an_error_in_words(kept, random_data, tmp_path):
    runs, _ = kept
    unkept = train(random_data(seed=5, users=60, items=40), method="item-knn", quiet=True)
    with pytest.raises(SettingsError, match="was not kept, and a comparison reads folders; train it with out="):
        ssna.compare([unkept])
    for wrong in ([], 3, [3], None, {"a": runs[0]}):
        with pytest.raises(SettingsError, match="compare takes a list of runs, or of their folders"):
            ssna.compare(wrong)
    with pytest.raises(ArtifactError, match="holds no run"):
        ssna.compare(tmp_path)
    with pytest.raises(SettingsError, match=r"no table 'acuracy'; there are accuracy, .* did you mean accuracy"):
        ssna.compare(runs).table("acuracy")
    with pytest.raises(SettingsError, match="there is no plot 'memory'"):
        ssna.compare(runs).plot("memory")
