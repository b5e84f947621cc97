"""Plots: the right figures at the right place, nothing hidden, and the same bytes every time."""

from dataclasses import replace
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from some_runs import SSNA, make_run

from ssna.core.errors import ArtifactError, SettingsError
from ssna.report import result_groups
from ssna.report.bins import FEW, HISTORY, POPULARITY, Bins, binned
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

EVENTS = [0, 1, 5, 6, 10, 11, 20, 21, 50, 51]
RANKS = [1, 1, 11, 2, 51, 1, 1, 11, 11, 3]  # of 50 items: 51 is a miss


def words(figure) -> list[str]:
    """All text of a plot as SVG."""
    return [
        "".join(node.itertext()) for node in ElementTree.fromstring(render(figure, "svg")).iter() if "text" in node.tag
    ]


@pytest.fixture
def bench(tmp_path):
    """One trained and one training-free entry."""
    known = {"events": EVENTS, "history": [2] * 10, "ranks": RANKS}
    trained = make_run(tmp_path / "trained", level=0.12, epochs=4, seconds=30.0, **known)
    free = make_run(tmp_path / "free", method="blend", level=0.13, epochs=0, seconds=0.0, **known)
    return result_groups([trained, free])[0]


@pytest.mark.parametrize("form", ["svg", "png", "pdf"])
def test_a_plot_made_again_has_the_same_bytes_and_no_date(bench, tmp_path, form, monkeypatch) -> None:
    for name, epoch in (("first", "0"), ("second", "1700000000")):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
        write(by_popularity([bench]), tmp_path / f"{name}.{form}")
    assert (tmp_path / f"first.{form}").read_bytes() == (tmp_path / f"second.{form}").read_bytes()


def test_another_suffix_is_refused_with_those_that_there_are(bench, tmp_path) -> None:
    with pytest.raises(SettingsError, match=r"plot\.gif ends in none of \.svg, \.png, \.pdf"):
        write(curves([bench]), tmp_path / "plot.gif")


def test_drawing_leaves_the_settings_of_matplotlib_alone(bench) -> None:
    before = dict(matplotlib.rcParams)
    render(accuracy_against_seconds([bench]), "svg")
    assert dict(matplotlib.rcParams) == before


def test_a_target_falls_into_the_bin_of_its_training_events(bench) -> None:
    users, means = binned(bench.entries[0], "exclude_seen", POPULARITY)
    assert users.tolist() == [1, 2, 2, 2, 2, 1]
    assert means["R@10"][0].tolist() == [1, 0.5, 0.5, 1, 0, 1]
    assert means["N@10"][0] == pytest.approx([1, 0.5, 0.5 / np.log2(3), 1, 0, 0.5])


def test_bins_have_means_of_every_seed(tmp_path) -> None:
    one = {"events": [3], "history": [2], "experiment": {"data": "d", "entry": "e", "point": {}}}
    runs = [make_run(tmp_path / str(seed), seed=seed, ranks=[rank], **one) for seed, rank in enumerate((1, 11))]
    _, means = binned(result_groups(runs)[0].entries[0], "exclude_seen", POPULARITY)
    assert means["R@10"][:, 1].tolist() == [1, 0]
    assert np.isnan(means["R@10"][:, 0]).all()  # nobody there: not a score of 0


def test_every_bin_says_how_many_users_it_has_small_ones_too(bench) -> None:
    text = words(by_popularity([bench]))
    assert text.count("(cold)") == 2
    assert text.count("n = 1") == 4
    assert text.count("n = 2") == 8
    text = words(by_history([bench]))
    assert text.count("n = 10") == 2
    assert text.count("n = 0") == 8


def test_one_n_stands_for_all_entries_so_their_users_must_be_the_same(tmp_path) -> None:
    runs = [make_run(tmp_path / str(n), events=[n], history=[2], ranks=[1]) for n in (0, 1)]
    with pytest.raises(ArtifactError, match="1 ranks other users than 0"):
        by_popularity(result_groups(runs))


def test_ranks_without_what_a_plot_needs_are_refused(bench) -> None:
    with pytest.raises(ArtifactError, match="says no colour of its ranks; train again"):
        binned(bench.entries[0], "exclude_seen", Bins("colour", "colours", {"all": 0}))


def test_curves_break_where_training_began_again_and_mark_the_epoch_that_is_kept(tmp_path) -> None:
    run = make_run(tmp_path / "taught", epochs=4, best_epoch=3)
    epochs = [one | {"again": one["number"] == 3} for one in run.record.epochs]
    bench = result_groups([replace(run, record=replace(run.record, epochs=epochs))])[0]
    (line, *_), _ = (panel.lines for panel in curves([bench]).axes)
    assert line.get_xdata().tolist() == [1, 2, 3, 3, 4]
    assert np.isnan(line.get_ydata()).tolist() == [False, False, True, False, False]
    assert line.get_markevery() == [3]
    spent = accuracy_against_seconds([bench]).axes[1].lines[0]
    assert spent.get_xdata().tolist() == [2, 4, 4, 6, 8]
    assert np.isnan(spent.get_ydata()).tolist() == [False, False, True, False, False]


def test_layers_draw_test_recall_of_each_a_and_leave_other_settings_out(tmp_path) -> None:
    def run(name: str, level: float, **method):
        return make_run(tmp_path / name, level=level, settings={"method": {"name": "ssna"} | SSNA | method})

    runs = [run("a1", 0.10, layers=1), run("a3", 0.12, layers=3), run("a2", 0.11, layers=2), run("b", 0.5, ids=True)]
    panel = layers(result_groups(runs)).axes[0]
    assert panel.lines[0].get_xydata().tolist() == [[1, 0.10], [2, 0.11], [3, 0.12]]
    assert panel.get_ylabel() == "test R@10, seen excluded"


def test_every_data_set_has_a_panel_of_layers(tmp_path) -> None:
    runs = [
        make_run(
            tmp_path / f"{data}{a}", fingerprint=data, data={"name": data}, settings={"method": SSNA | {"layers": a}}
        )
        for data in ("f00d", "beef", "cafe")
        for a in (1, 2)
    ]
    assert [panel.get_title(loc="left").split(",")[0] for panel in layers(result_groups(runs)).axes] == [
        "f00d",
        "beef",
        "cafe",
    ]


def test_curves_draw_validation_and_loss_and_mark_the_epoch_that_was_kept(bench) -> None:
    recall, loss = curves([bench]).axes
    assert recall.lines[0].get_ydata() == pytest.approx([0.04, 0.08, 0.12, 0.12])
    assert loss.lines[0].get_ydata() == pytest.approx([5, 2.5, 5 / 3, 1.25])
    assert recall.lines[0].get_markevery() == [2]
    assert len(recall.lines) == 1  # no epochs, no curve
    assert [text.get_text() for text in curves([bench]).legends[0].texts] == ["trained"]


def test_a_curve_of_a_joined_model_is_said_to_be_the_one_before_joining(tmp_path) -> None:
    runs = [make_run(tmp_path / "best", join={"ssna": 0.7, "item-knn": 0.3}), make_run(tmp_path / "ssna")]
    found = result_groups(runs)
    assert [text.get_text() for text in curves(found).legends[0].texts] == ["best, before joining", "ssna"]
    test, validation = accuracy_against_seconds(found).axes
    assert "before joining" in validation.get_ylabel()
    assert "before joining" not in test.get_ylabel()


def test_epochs_are_whole_numbers(tmp_path) -> None:
    for epochs in (1, 2, 3, 30):
        panels = curves(result_groups([make_run(tmp_path / str(epochs), epochs=epochs)])).axes
        assert all(float(tick).is_integer() for panel in panels for tick in panel.get_xticks())


def test_where_nothing_trains_a_note_stands_in_the_place_of_the_epochs(bench) -> None:
    free = replace(bench, entries=bench.entries[1:])
    assert [panel.axison for panel in accuracy_against_seconds([free]).axes] == [True, False]
    assert "no epochs: none of these methods trains" in words(accuracy_against_seconds([free]))
    assert [panel.axison for panel in accuracy_against_seconds([bench]).axes] == [True, True]


@pytest.mark.parametrize("plot", [by_popularity, by_history])
def test_bins_with_few_users_have_open_markers_and_the_caption_says_so(tmp_path, plot) -> None:
    many, few = [7] * FEW, [30] * (FEW - 1)
    run = make_run(tmp_path / "run", events=many + few, history=many + few, ranks=[1] * (2 * FEW - 1))
    line, hollow = plot(result_groups([run])).axes[0].lines
    starts = [*(POPULARITY if plot is by_popularity else HISTORY).starts.values()]
    places = [np.searchsorted(starts, number, side="right") - 1 for number in (7, 30)]
    assert line.get_markevery() == [places[0]]
    assert hollow.get_markerfacecolor() == "none"
    assert places[1] in hollow.get_xdata()
    assert places[0] not in hollow.get_xdata()
    assert f"open markers: fewer than {FEW}" in plot.caption


def test_nothing_to_draw_is_an_error_that_says_what_was_asked(bench) -> None:
    free = replace(bench, entries=bench.entries[1:])
    for plot in (curves, layers):
        with pytest.raises(ArtifactError, match=r"nothing to plot: .*R@10"):
            plot([free])


def test_accuracy_stands_over_the_seconds_of_a_run_and_of_its_epochs(bench) -> None:
    test, validation = accuracy_against_seconds([bench]).axes
    assert test.get_xscale() == validation.get_xscale() == "log"
    assert test.lines[0].get_xydata().tolist() == [[30.0, 0.12]]
    assert test.lines[1].get_xydata().tolist() == [[0.001, 0.13]]  # no time at all is drawn as a millisecond
    assert validation.lines[0].get_xdata().tolist() == [2.0, 4.0, 6.0, 8.0]


def test_the_policy_decides_the_figures_and_stands_at_the_axis(tmp_path) -> None:
    run = make_run(tmp_path / "run", test={"exclude_seen": {"R@10": 0.1}, "include_seen": {"R@10": 0.2}})
    panel = accuracy_against_seconds(result_groups([run]), "include_seen").axes[0]
    assert panel.lines[0].get_ydata() == [0.2]
    assert panel.get_ylabel() == "test R@10, seen included"


def test_an_entry_looks_the_same_on_every_data_set(tmp_path) -> None:
    def run(data: str, name: str):
        return make_run(tmp_path / data / name, fingerprint=data, experiment={"data": data, "entry": name, "point": {}})

    runs = [run("f00d", "one"), run("f00d", "two"), run("beef", "two"), run("beef", "three")]
    first, second = accuracy_against_seconds(result_groups(runs)).axes[::2]
    one, two = first.lines
    again, three = second.lines if second.lines[0].get_color() == two.get_color() else second.lines[::-1]
    assert (again.get_color(), again.get_marker()) == (two.get_color(), two.get_marker())
    assert len({line.get_color() for line in (one, two, three)}) == 3


def test_many_entries_never_look_alike(tmp_path) -> None:
    runs = [make_run(tmp_path / f"run{n}", epochs=1, users=1) for n in range(30)]
    lines = accuracy_against_seconds(result_groups(runs)).axes[0].lines
    assert len({(line.get_color(), line.get_marker(), line.get_linestyle()) for line in lines}) == 30


@pytest.mark.parametrize(
    "name", [r"$\frac{1$", "_hidden", "<script>alert(1)</script>", "a\nb\x07", "\udcff", "x" * 500]
)
def test_a_name_is_drawn_as_text_whatever_it_holds(bench, name) -> None:
    entry = replace(bench.entries[0], name=name)
    figure = curves([replace(bench, entries=(entry,))])
    drawn = words(figure)
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)[:50]
    assert any(shown in text for text in drawn)
    assert not figure.legends[0].texts[0].get_text().startswith("_")  # which older matplotlib leaves out


def test_a_rehearsal_is_marked_in_the_legend(tmp_path) -> None:
    run = make_run(tmp_path / "short", settings={"rehearsal": True})
    assert curves(result_groups([run])).legends[0].texts[0].get_text() == "short ‡"


def test_every_plot_says_what_it_shows(bench) -> None:
    assert all("R@10" in plot.caption for plot in PLOTS.values())
