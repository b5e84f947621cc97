"""Plots over run folders, through matplotlib's objects alone: no global state, and the same bytes every time."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from ssna.core.errors import ArtifactError, SettingsError
from ssna.core.files import write_file
from ssna.evaluation.ranking import Policy
from ssna.report.ablation import depths
from ssna.report.bins import FEW, GAINS, HISTORY, POPULARITY, Bins, by_entry
from ssna.report.cells import SEEN, labels, where
from ssna.report.groups import ResultGroup, Entry

NEUTRAL = "#767676"
"""Text and axes: readable on white and on black."""
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe & Ito (2008): told apart by colour-blind readers; markers and dashes tell apart the rest."""
WIDTH, HEIGHT = 4.6, 3.0
"""Inches of a panel."""
MARKERS, DASHES = "osD^vPX", ("-", "--", ":", "-.")
STYLE: Any = {
    "axes.edgecolor": NEUTRAL,
    "axes.grid": True,
    "axes.labelcolor": NEUTRAL,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "grid.alpha": 0.18,
    "grid.color": NEUTRAL,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
    "svg.fonttype": "none",
    "svg.hashsalt": "ssna",
    "text.color": NEUTRAL,
    "xtick.color": NEUTRAL,
    "ytick.color": NEUTRAL,
}
WITHOUT_DATE: dict[str, dict[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
USERS = f"n: users in a bin; open markers: fewer than {FEW}, too few to tell methods apart."
SHORTEST = 1e-3
"""Seconds: less is drawn as this, since the axis is logarithmic."""

Looks = dict[str, dict[str, Any]]
Draw = Callable[[Sequence[Axes], ResultGroup, Policy, Looks], None]


@dataclass(frozen=True)
class Plot:
    """A few panels for every bench, under one legend.

    Attributes:
        draw: fills the panels of one bench.
        caption: what the panels show, and over what.
        panels: how many a bench has.
        suits: whether a bench has anything to draw.
        shows: whether an entry has a line or a point, and so stands in the legend.
        aside: what the legend says behind an entry's name.
    """

    draw: Draw
    caption: str
    panels: int
    suits: Callable[[ResultGroup], bool]
    shows: Callable[[Entry], bool] = lambda entry: True
    aside: Callable[[Entry], str] = lambda entry: ""

    def __call__(self, benches: Sequence[ResultGroup], policy: Policy = "exclude_seen", columns: int = 2) -> Figure:
        """All benches that suit, ``columns`` panels a row.

        Raises:
            ArtifactError: no bench suits, or a run is damaged.
        """
        benches = [bench for bench in benches if self.suits(bench)]
        if not benches:
            raise ArtifactError(f"these runs hold nothing to plot: {self.caption}")
        count = self.panels * len(benches)
        columns = min(columns, count)
        entries = [entry for bench in benches for entry in bench.entries]
        looks = _looks(entries)
        asides = {entry.name: self.aside(entry) for entry in entries}
        keys = {name: _plain(key) + asides[name] for name, key in labels(filter(self.shows, entries)).items()}
        abreast = max(1, int(WIDTH * columns / (0.6 + 0.085 * max(map(len, keys.values()), default=0))))
        height = HEIGHT * -(-count // columns) + 0.2 * -(-len(keys) // abreast)
        with rc_context(STYLE):
            figure = Figure(figsize=(WIDTH * columns, height), layout="constrained")
            axes = [figure.add_subplot(-(-count // columns), columns, place + 1) for place in range(count)]
            for bench, start in zip(benches, range(0, count, self.panels), strict=True):
                own = axes[start : start + self.panels]
                own[0].set_title(_plain(where(bench)), loc="left")
                self.draw(own, bench, policy, looks)
            if keys:
                handles = [Line2D([], [], **looks[name]) for name in keys]
                figure.legend(handles, list(keys.values()), loc="outside lower center", ncols=abreast)
        return figure


def write(figure: Figure, path: Path) -> None:
    """As SVG, PNG or PDF, by the suffix of ``path``, atomically; its folder is made where it is missing.

    Raises:
        SettingsError: another suffix.
    """
    form = path.suffix.removeprefix(".").lower()
    if form not in WITHOUT_DATE:
        raise SettingsError(f"{path.name} ends in none of .{', .'.join(WITHOUT_DATE)}; name a plot with one of these")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, render(figure, form))


def render(figure: Figure, form: str) -> bytes:
    """``svg``, ``png`` or ``pdf`` on a transparent ground, without a date."""
    content = io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(content, format=form, transparent=True, dpi=150, metadata=WITHOUT_DATE[form])
    return content.getvalue()


def _layers(axes: Sequence[Axes], bench: ResultGroup, policy: Policy, looks: Looks) -> None:
    """Figure 3."""
    figures = {a: entry.figures(policy, "R@10") for a, entry in sorted(depths(bench).items())}
    means = [seeds.mean() for seeds in figures.values()]
    deviations = [seeds.std(ddof=1) if len(seeds) > 1 else 0 for seeds in figures.values()]
    axes[0].errorbar(list(figures), means, deviations, color=PALETTE[0], marker=MARKERS[0], capsize=2)
    axes[0].set_xticks(list(figures))
    axes[0].set(xlabel="a, top layers adapted", ylabel=f"test R@10, {SEEN[policy]}")


def _curves(axes: Sequence[Axes], bench: ResultGroup, policy: Policy, looks: Looks) -> None:
    """Validation R@10 (seen excluded, as selection has it) and loss by epoch, of the first seed."""
    for entry in filter(_trained, bench.entries):
        epochs, best = _apart(entry.record.epochs), entry.record.best_epoch
        numbers = [epoch["number"] for epoch in epochs]
        kept = [place for place, number in enumerate(numbers) if number == best]  # with a gap before it, both
        look = {**looks[entry.name], "markevery": kept[-1:]}
        axes[0].plot(numbers, [epoch["valid"]["R@10"] for epoch in epochs], **look)
        axes[1].plot(numbers, [epoch["loss"] for epoch in epochs], **look)
    axes[0].set_ylabel(f"validation R@10, {SEEN['exclude_seen']}")
    axes[1].set_ylabel("training loss")
    for panel in axes:
        panel.set_xlabel("epoch")
        panel.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))


def _apart(epochs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """With a gap, where a line breaks, before the epoch with which training began again."""
    gap = {"loss": np.nan, "seconds": 0.0, "valid": {"R@10": np.nan}}
    found: list[Mapping[str, Any]] = []
    for epoch in epochs:
        if epoch.get("again"):
            found.append({**gap, "number": epoch["number"]})
        found.append(epoch)
    return found


def _against_seconds(axes: Sequence[Axes], bench: ResultGroup, policy: Policy, looks: Looks) -> None:
    for entry in bench.entries:
        seconds = max(fmean(run.record.seconds for run in entry.runs), SHORTEST)
        axes[0].plot([seconds], [entry.figures(policy, "R@10").mean()], **looks[entry.name])
        if _trained(entry):
            epochs = _apart(entry.record.epochs)
            spent = np.cumsum([epoch["seconds"] for epoch in epochs])
            look = {**looks[entry.name], "markevery": [len(spent) - 1]}
            axes[1].plot(np.maximum(spent, SHORTEST), [epoch["valid"]["R@10"] for epoch in epochs], **look)
    axes[0].set(xlabel="seconds of a whole run", ylabel=f"test R@10, {SEEN[policy]}")
    aside = "\nbefore joining" if any(map(_before_joining, bench.entries)) else ""
    axes[1].set(xlabel="seconds of epochs so far", ylabel=f"validation R@10, {SEEN['exclude_seen']}{aside}")
    if not any(map(_trained, bench.entries)):
        axes[1].set_axis_off()
        axes[1].text(0.5, 0.5, "no epochs: none of these methods trains", ha="center", transform=axes[1].transAxes)
    for panel in axes:
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        panel.xaxis.set_major_formatter("{x:,g}")
        panel.xaxis.set_minor_formatter(NullFormatter())


def _by_bins(axes: Sequence[Axes], bench: ResultGroup, policy: Policy, looks: Looks, *, bins: Bins) -> None:
    users, found = by_entry(bench, policy, bins)
    places, few = np.arange(len(users)), users < FEW
    for name, seeds in found.items():
        hollow = {**looks[name], "linestyle": "none", "markerfacecolor": "none"}
        for panel, values in zip(axes, seeds.values(), strict=True):
            means = values.mean(axis=0)
            panel.plot(places, means, **looks[name], markevery=places[~few].tolist())
            panel.plot(places[few], means[few], **hollow)
    ticks = [f"{label}\nn = {n:,}" for label, n in zip(bins.starts, users, strict=True)]
    for panel, metric in zip(axes, GAINS, strict=True):
        panel.set_xticks(places, ticks, fontsize=7)
        panel.set(xlabel=bins.what, ylabel=f"test {metric}, {SEEN[policy]}", ylim=(0, None))


def _looks(entries: Sequence[Entry]) -> Looks:
    """Entry name -> colour, marker and dashes, the same in all panels."""
    names = dict.fromkeys(entry.name for entry in entries)
    return {
        name: {"color": color, "marker": marker, "linestyle": DASHES[number // len(PALETTE) % len(DASHES)]}
        for number, (name, color, marker) in enumerate(zip(names, cycle(PALETTE), cycle(MARKERS), strict=False))
    }


def _plain(text: str) -> str:
    """Names are text: no mathematics, no control characters, no start that older legends hide."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    text = text if len(text) <= 60 else f"{text[:59]}…"
    return (" " if text.startswith("_") else "") + text.replace("$", r"\$")


def _trained(entry: Entry) -> bool:
    return bool(entry.record.epochs)


def _before_joining(entry: Entry) -> str:
    """Epochs are those of the model alone, where the run joins it with other scorers in the end."""
    return ", before joining" if entry.record.ensemble else ""


layers = Plot(
    _layers,
    "Test R@10 against the number of adapted top layers (the paper's Figure 3), all else equal; "
    "bars: deviation over seeds.",
    panels=1,
    suits=lambda bench: len(depths(bench)) > 1,
    shows=lambda entry: False,
)
curves = Plot(
    _curves,
    "Validation R@10 and training loss by epoch, first seed; a mark stands at the epoch whose weights were kept. "
    "Where a model is joined with other scorers, this is the model before joining.",
    panels=2,
    suits=lambda bench: any(map(_trained, bench.entries)),
    shows=_trained,
    aside=_before_joining,
)
accuracy_against_seconds = Plot(
    _against_seconds,
    "Test R@10 against the seconds of a whole run (training, validation, fitting; mean over seeds), and validation "
    "R@10 against the seconds of the epochs so far, first seed, before joining with other scorers. The search for "
    "settings is not counted.",
    panels=2,
    suits=lambda bench: True,
)
by_popularity = Plot(
    partial(_by_bins, bins=POPULARITY),
    f"Test N@10 and R@10 by the popularity of the target; cold targets never occur in training. {USERS}",
    panels=2,
    suits=lambda bench: True,
)
by_history = Plot(
    partial(_by_bins, bins=HISTORY),
    f"Test N@10 and R@10 by the length of the history that is ranked from. {USERS}",
    panels=2,
    suits=lambda bench: True,
)

PLOTS: dict[str, Plot] = {
    "accuracy": accuracy_against_seconds,
    "runtime": curves,
    "layers": layers,
    "cold": by_popularity,
    "history": by_history,
}
"""What `ssna compare --table NAME --plot FILE` draws."""
