"""Plots: the right figures, nothing hidden, and the same bytes every time."""

from dataclasses import replace
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from some_runs import make_run

from ssna.core.errors import ArtifactError, SettingsError
from ssna.report import result_groups
from ssna.report.bins import HISTORY, MIN_USERS, POPULARITY, Bins, means_by_bin
from ssna.report.plots import (
    PLOTS,
    accuracy_against_seconds,
    by_history,
    by_popularity,
    curves,
    layers,
    render,
    write,
)

pytestmark = pytest.mark.slow

EVENTS = [0, 1, 5, 6, 10, 11, 20, 21, 50, 51]
RANKS = [1, 1, 11, 2, 51, 1, 1, 11, 11, 3]  # of 50 items: 51 is a miss


def words(figure) -> list[str]:
    """All text of a plot as SVG."""
    return [
        "".join(node.itertext()) for node in ElementTree.fromstring(render(figure, "svg")).iter() if "text" in node.tag
    ]


@pytest.fixture
def group(tmp_path):
    """One trained and one training-free entry."""
    known = {"events": EVENTS, "history": [2] * 10, "ranks": RANKS}
    trained = make_run(tmp_path / "trained", level=0.12, epochs=4, seconds=30.0, **known)
    free = make_run(tmp_path / "free", method="blend", level=0.13, epochs=0, seconds=0.0, **known)
    return result_groups([trained, free])[0]


@pytest.mark.parametrize("form", ["svg", "png", "pdf"])
def test_a_plot_drawn_twice_has_the_same_bytes_and_no_date(group, tmp_path, form, monkeypatch) -> None:
    for name, epoch in (("first", "0"), ("second", "1700000000")):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
        write(by_popularity([group]), tmp_path / f"{name}.{form}")
    assert (tmp_path / f"first.{form}").read_bytes() == (tmp_path / f"second.{form}").read_bytes()


def test_another_suffix_is_refused_with_those_that_there_are(group, tmp_path) -> None:
    with pytest.raises(SettingsError, match=r"plot\.gif ends in none of \.svg, \.png, \.pdf"):
        write(curves([group]), tmp_path / "plot.gif")


def test_drawing_leaves_the_settings_of_matplotlib_alone(group) -> None:
    before = dict(matplotlib.rcParams)
    render(accuracy_against_seconds([group]), "svg")
    assert dict(matplotlib.rcParams) == before


def test_a_target_falls_into_the_bin_of_its_training_events(group) -> None:
    users, means = means_by_bin(group.entries[0], "exclude_seen", POPULARITY)
    assert users.tolist() == [1, 2, 2, 2, 2, 1]
    assert means["R@10"][0].tolist() == [1, 0.5, 0.5, 1, 0, 1]
    assert means["N@10"][0] == pytest.approx([1, 0.5, 0.5 / np.log2(3), 1, 0, 0.5])


def test_bins_have_means_of_every_seed(tmp_path) -> None:
    one = {"events": [3], "history": [2], "grid": {"data": "d", "entry": "e", "configuration": {}}}
    runs = [make_run(tmp_path / str(seed), seed=seed, ranks=[rank], **one) for seed, rank in enumerate((1, 11))]
    _, means = means_by_bin(result_groups(runs)[0].entries[0], "exclude_seen", POPULARITY)
    assert means["R@10"][:, 1].tolist() == [1, 0]
    assert np.isnan(means["R@10"][:, 0]).all()  # nobody there: not a score of 0


def test_every_bin_says_how_many_users_it_has_small_ones_too(group) -> None:
    text = words(by_popularity([group]))
    assert text.count("(cold)") == 2
    assert text.count("n = 1") == 4
    assert text.count("n = 2") == 8
    text = words(by_history([group]))
    assert text.count("n = 10") == 2
    assert text.count("n = 0") == 8


def test_the_number_of_users_holds_for_all_entries_so_their_users_must_be_the_same(tmp_path) -> None:
    runs = [make_run(tmp_path / str(n), events=[n], history=[2], ranks=[1]) for n in (0, 1)]
    with pytest.raises(ArtifactError, match="1 ranks other users than 0"):
        by_popularity(result_groups(runs))


def test_ranks_without_what_a_plot_needs_are_refused(group) -> None:
    with pytest.raises(ArtifactError, match="has no column colour in its ranks; train again"):
        means_by_bin(group.entries[0], "exclude_seen", Bins("colour", "colours", {"all": 0}))


def test_curves_break_where_training_restarted_and_mark_the_epoch_that_is_kept(tmp_path) -> None:
    run = make_run(tmp_path / "distilled", epochs=4, best_epoch=3)
    epochs = [one | {"restarted": one["number"] == 3} for one in run.record.epochs]
    group = result_groups([replace(run, record=replace(run.record, epochs=epochs))])[0]
    (line, *_), _ = (panel.lines for panel in curves([group]).axes)
    assert line.get_xdata().tolist() == [1, 2, 3, 3, 4]
    assert np.isnan(line.get_ydata()).tolist() == [False, False, True, False, False]
    assert line.get_markevery() == [3]
    spent = accuracy_against_seconds([group]).axes[1].lines[0]
    assert spent.get_xdata().tolist() == [2, 4, 4, 6, 8]
    assert np.isnan(spent.get_ydata()).tolist() == [False, False, True, False, False]


def test_layers_draw_test_recall_of_each_a_and_leave_other_settings_out(tmp_path) -> None:
    def run(name: str, level: float, **method):
        return make_run(tmp_path / name, level=level, settings={"method": method})

    runs = [run(f"a{a}", level, layers=a) for a, level in ((1, 0.10), (3, 0.12), (2, 0.11))]
    runs.append(run("b", 0.5, id_embeddings=True))
    panel = layers(result_groups(runs)).axes[0]
    assert panel.lines[0].get_xydata().tolist() == [[1, 0.10], [2, 0.11], [3, 0.12]]
    assert panel.get_ylabel() == "test R@10, seen excluded"


def test_every_data_set_has_a_panel_of_layers(tmp_path) -> None:
    runs = [
        make_run(tmp_path / f"{data}{a}", fingerprint=data, data={"name": data}, settings={"method": {"layers": a}})
        for data in ("f00d", "beef", "cafe")
        for a in (1, 2)
    ]
    assert [panel.get_title(loc="left").split(",")[0] for panel in layers(result_groups(runs)).axes] == [
        "f00d",
        "beef",
        "cafe",
    ]


def test_curves_draw_validation_and_loss_and_mark_the_epoch_that_was_kept(group) -> None:
    recall, loss = curves([group]).axes
    assert recall.lines[0].get_ydata() == pytest.approx([0.04, 0.08, 0.12, 0.12])
    assert loss.lines[0].get_ydata() == pytest.approx([5, 2.5, 5 / 3, 1.25])
    assert recall.lines[0].get_markevery() == [2]
    assert len(recall.lines) == 1  # no epochs, no curve
    assert [text.get_text() for text in curves([group]).legends[0].texts] == ["trained"]


def test_a_curve_of_an_ensemble_is_said_to_be_the_one_before_the_ensemble(tmp_path) -> None:
    runs = [make_run(tmp_path / "best", ensemble={"ssna": 0.7, "item-knn": 0.3}), make_run(tmp_path / "ssna")]
    found = result_groups(runs)
    assert [text.get_text() for text in curves(found).legends[0].texts] == ["best, before the ensemble", "ssna"]
    test, validation = accuracy_against_seconds(found).axes
    assert "before the ensemble" in validation.get_ylabel()
    assert "before the ensemble" not in test.get_ylabel()


def test_epochs_are_whole_numbers(tmp_path) -> None:
    for epochs in (1, 2, 3, 30):
        panels = curves(result_groups([make_run(tmp_path / str(epochs), epochs=epochs)])).axes
        assert all(float(tick).is_integer() for panel in panels for tick in panel.get_xticks())


def test_where_nothing_trains_a_note_takes_the_place_of_the_epochs(group) -> None:
    free = replace(group, entries=group.entries[1:])
    assert [panel.axison for panel in accuracy_against_seconds([free]).axes] == [True, False]
    assert "no epochs: none of these methods trains" in words(accuracy_against_seconds([free]))
    assert [panel.axison for panel in accuracy_against_seconds([group]).axes] == [True, True]


@pytest.mark.parametrize("plot", [by_popularity, by_history])
def test_bins_with_few_users_have_open_markers_and_the_caption_says_so(tmp_path, plot) -> None:
    many, few = [7] * MIN_USERS, [30] * (MIN_USERS - 1)
    run = make_run(tmp_path / "run", events=many + few, history=many + few, ranks=[1] * (2 * MIN_USERS - 1))
    line, hollow = plot(result_groups([run])).axes[0].lines
    starts = [*(POPULARITY if plot is by_popularity else HISTORY).lower_bounds.values()]
    bins = [np.searchsorted(starts, number, side="right") - 1 for number in (7, 30)]
    assert line.get_markevery() == [bins[0]]
    assert hollow.get_markerfacecolor() == "none"
    assert bins[1] in hollow.get_xdata()
    assert bins[0] not in hollow.get_xdata()
    assert f"open markers: fewer than {MIN_USERS}" in plot.caption


def test_nothing_to_draw_is_an_error_that_says_what_the_plot_shows(group) -> None:
    free = replace(group, entries=group.entries[1:])
    for plot in (curves, layers):
        with pytest.raises(ArtifactError, match=r"nothing to plot: .*R@10"):
            plot([free])


def test_accuracy_is_drawn_against_the_seconds_of_a_run_and_of_its_epochs(group) -> None:
    test, validation = accuracy_against_seconds([group]).axes
    assert test.get_xscale() == validation.get_xscale() == "log"
    assert test.lines[0].get_xydata().tolist() == [[30.0, 0.12]]
    assert test.lines[1].get_xydata().tolist() == [[0.001, 0.13]]  # no time at all is drawn as a millisecond
    assert validation.lines[0].get_xdata().tolist() == [2.0, 4.0, 6.0, 8.0]


def test_the_policy_decides_the_figures_and_is_named_at_the_axis(tmp_path) -> None:
    run = make_run(tmp_path / "run", test={"exclude_seen": {"R@10": 0.1}, "include_seen": {"R@10": 0.2}})
    panel = accuracy_against_seconds(result_groups([run]), "include_seen").axes[0]
    assert panel.lines[0].get_ydata() == [0.2]
    assert panel.get_ylabel() == "test R@10, seen included"


def test_an_entry_looks_the_same_on_every_data_set(tmp_path) -> None:
    def run(data: str, name: str):
        grid = {"data": data, "entry": name, "configuration": {}}
        return make_run(tmp_path / data / name, fingerprint=data, grid=grid)

    runs = [run("f00d", "one"), run("f00d", "two"), run("beef", "two"), run("beef", "three")]
    first, second = accuracy_against_seconds(result_groups(runs)).axes[::2]
    one, two = first.lines
    same, three = second.lines if second.lines[0].get_color() == two.get_color() else second.lines[::-1]
    assert (same.get_color(), same.get_marker()) == (two.get_color(), two.get_marker())
    assert len({line.get_color() for line in (one, two, three)}) == 3


def test_many_entries_never_look_alike(tmp_path) -> None:
    runs = [make_run(tmp_path / f"run{n}", epochs=1, users=1) for n in range(30)]
    lines = accuracy_against_seconds(result_groups(runs)).axes[0].lines
    assert len({(line.get_color(), line.get_marker(), line.get_linestyle()) for line in lines}) == 30


@pytest.mark.parametrize(
    "name", [r"$\frac{1$", "_hidden", "<script>alert(1)</script>", "a\nb\x07", "\udcff", "x" * 500]
)
def test_a_name_is_drawn_as_text_whatever_it_holds(group, name) -> None:
    entry = replace(group.entries[0], name=name)
    figure = curves([replace(group, entries=(entry,))])
    drawn = words(figure)
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)[:50]
    assert any(shown in text for text in drawn)
    assert not figure.legends[0].texts[0].get_text().startswith("_")  # which older matplotlib leaves out


def test_a_dry_run_is_marked_in_the_legend(tmp_path) -> None:
    run = make_run(tmp_path / "short", settings={"dry_run": True})
    assert curves(result_groups([run])).legends[0].texts[0].get_text() == "short ‡"


def test_every_plot_says_what_it_shows(group) -> None:
    assert all("R@10" in plot.caption or "N@10" in plot.caption for plot in PLOTS.values())
