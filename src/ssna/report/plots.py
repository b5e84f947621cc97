"""Plots over run folders, through matplotlib's objects alone: no global state, and the same bytes every time."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from ssna.core.errors import ArtifactError, SettingsError
from ssna.core.files import write_file
from ssna.evaluation.ranking import Policy
from ssna.report.ablation import adapted_layers
from ssna.report.bins import GAINS, HISTORY, MIN_USERS, POPULARITY, Bins, by_entry
from ssna.report.cells import POLICY_LABELS, group_name, labels
from ssna.report.groups import Entry, ResultGroup
from ssna.report.new_items import METRIC, points

if TYPE_CHECKING:  # loading it takes half a second, which only a plot is worth
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
USERS = f"n: users in a bin; open markers: fewer than {MIN_USERS}, too few to tell methods apart."
MIN_SECONDS = 1e-3
"""Seconds: less is drawn as this, since the axis is logarithmic."""

LineStyles = dict[str, dict[str, Any]]
Draw = Callable[[Sequence["Axes"], ResultGroup, Policy, LineStyles], None]


@dataclass(frozen=True)
class Plot:
    """A few panels for every group, with one legend.

    Attributes:
        draw: fills the panels of one group.
        caption: what the panels show, and over what.
        panels: how many a group has.
        has_data: whether a group has anything to draw.
        in_legend: whether an entry has a line or a point, and so a name in the legend.
        legend_suffix: what the legend adds to an entry's name.
    """

    draw: Draw
    caption: str
    panels: int
    has_data: Callable[[ResultGroup], bool]
    in_legend: Callable[[Entry], bool] = lambda entry: True
    legend_suffix: Callable[[Entry], str] = lambda entry: ""

    def __call__(self, groups: Sequence[ResultGroup], policy: Policy = "exclude_seen", columns: int = 2) -> "Figure":
        """All groups that have data, ``columns`` panels a row.

        Raises:
            ArtifactError: no group has data, or a run is damaged.
        """
        from matplotlib import rc_context
        from matplotlib.figure import Figure
        from matplotlib.lines import Line2D

        groups = [group for group in groups if self.has_data(group)]
        if not groups:
            raise ArtifactError(f"these runs hold nothing to plot: {self.caption}")
        count = self.panels * len(groups)
        columns = min(columns, count)
        entries = [entry for group in groups for entry in group.entries]
        styles = _line_styles(entries)
        suffixes = {entry.name: self.legend_suffix(entry) for entry in entries}
        keys = {name: _plain(key) + suffixes[name] for name, key in labels(filter(self.in_legend, entries)).items()}
        legend_columns = max(1, int(WIDTH * columns / (0.6 + 0.085 * max(map(len, keys.values()), default=0))))
        height = HEIGHT * -(-count // columns) + 0.2 * -(-len(keys) // legend_columns)
        with rc_context(STYLE):
            figure = Figure(figsize=(WIDTH * columns, height), layout="constrained")
            axes = [figure.add_subplot(-(-count // columns), columns, number + 1) for number in range(count)]
            for group, start in zip(groups, range(0, count, self.panels), strict=True):
                panels = axes[start : start + self.panels]
                panels[0].set_title(_plain(group_name(group)), loc="left")
                self.draw(panels, group, policy, styles)
            if keys:
                handles = [Line2D([], [], **styles[name]) for name in keys]
                figure.legend(handles, list(keys.values()), loc="outside lower center", ncols=legend_columns)
        return figure


def write(figure: "Figure", path: Path) -> None:
    """As SVG, PNG or PDF, by the suffix of ``path``, atomically; its folder is made where it is missing.

    Raises:
        SettingsError: another suffix.
    """
    form = path.suffix.removeprefix(".").lower()
    if form not in WITHOUT_DATE:
        raise SettingsError(f"{path.name} ends in none of .{', .'.join(WITHOUT_DATE)}; name a plot with one of these")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, render(figure, form))


def render(figure: "Figure", form: str) -> bytes:
    """``svg``, ``png`` or ``pdf`` on a transparent ground, without a date."""
    from matplotlib import rc_context

    content = io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(content, format=form, transparent=True, dpi=150, metadata=WITHOUT_DATE[form])
    return content.getvalue()


def _layers(axes: Sequence["Axes"], group: ResultGroup, policy: Policy, styles: LineStyles) -> None:
    """Figure 3."""
    figures = {a: entry.figures(policy, "R@10") for a, entry in sorted(adapted_layers(group).items())}
    means = [seeds.mean() for seeds in figures.values()]
    deviations = [seeds.std(ddof=1) if len(seeds) > 1 else 0 for seeds in figures.values()]
    axes[0].errorbar(list(figures), means, deviations, color=PALETTE[0], marker=MARKERS[0], capsize=2)
    axes[0].set_xticks(list(figures))
    axes[0].set(xlabel="a, top layers adapted", ylabel=f"test R@10, {POLICY_LABELS[policy]}")


def _curves(axes: Sequence["Axes"], group: ResultGroup, policy: Policy, styles: LineStyles) -> None:
    """Validation R@10 (seen excluded, as selection has it) and loss by epoch, of the first seed."""
    from matplotlib.ticker import MaxNLocator

    for entry in filter(_trained, group.entries):
        epochs, best = _with_gaps(entry.record.epochs), entry.record.best_epoch
        numbers = [epoch["number"] for epoch in epochs]
        kept = [index for index, number in enumerate(numbers) if number == best]  # with a gap before it, both
        style = {**styles[entry.name], "markevery": kept[-1:]}
        axes[0].plot(numbers, [epoch["valid"]["R@10"] for epoch in epochs], **style)
        axes[1].plot(numbers, [epoch["loss"] for epoch in epochs], **style)
    axes[0].set_ylabel(f"validation R@10, {POLICY_LABELS['exclude_seen']}")
    axes[1].set_ylabel("training loss")
    for panel in axes:
        panel.set_xlabel("epoch")
        panel.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))


def _with_gaps(epochs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """With a gap, where a line breaks, before the epoch with which training restarted."""
    gap = {"loss": np.nan, "seconds": 0.0, "valid": {"R@10": np.nan}}
    found: list[Mapping[str, Any]] = []
    for epoch in epochs:
        if epoch["restarted"]:
            found.append({**gap, "number": epoch["number"]})
        found.append(epoch)
    return found


def _against_seconds(axes: Sequence["Axes"], group: ResultGroup, policy: Policy, styles: LineStyles) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    for entry in group.entries:
        seconds = max(fmean(run.record.seconds for run in entry.runs), MIN_SECONDS)
        axes[0].plot([seconds], [entry.figures(policy, "R@10").mean()], **styles[entry.name])
        if _trained(entry):
            epochs = _with_gaps(entry.record.epochs)
            spent = np.cumsum([epoch["seconds"] for epoch in epochs])
            style = {**styles[entry.name], "markevery": [len(spent) - 1]}
            axes[1].plot(np.maximum(spent, MIN_SECONDS), [epoch["valid"]["R@10"] for epoch in epochs], **style)
    axes[0].set(xlabel="seconds of a whole run", ylabel=f"test R@10, {POLICY_LABELS[policy]}")
    suffix = "\nbefore the ensemble" if any(map(_before_ensemble, group.entries)) else ""
    axes[1].set(xlabel="seconds of epochs so far", ylabel=f"validation R@10, {POLICY_LABELS['exclude_seen']}{suffix}")
    if not any(map(_trained, group.entries)):
        axes[1].set_axis_off()
        axes[1].text(0.5, 0.5, "no epochs: none of these methods trains", ha="center", transform=axes[1].transAxes)
    for panel in axes:
        panel.set_xscale("log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        panel.xaxis.set_major_formatter("{x:,g}")
        panel.xaxis.set_minor_formatter(NullFormatter())


def _by_bins(axes: Sequence["Axes"], group: ResultGroup, policy: Policy, styles: LineStyles, *, bins: Bins) -> None:
    users, found = by_entry(group, policy, bins)
    positions, few = np.arange(len(users)), users < MIN_USERS
    for name, seeds in found.items():
        hollow = {**styles[name], "linestyle": "none", "markerfacecolor": "none"}
        for panel, values in zip(axes, seeds.values(), strict=True):
            means = values.mean(axis=0)
            panel.plot(positions, means, **styles[name], markevery=positions[~few].tolist())
            panel.plot(positions[few], means[few], **hollow)
    ticks = [f"{label}\nn = {n:,}" for label, n in zip(bins.lower_bounds, users, strict=True)]
    for panel, metric in zip(axes, GAINS, strict=True):
        panel.set_xticks(positions, ticks, fontsize=7)
        panel.set(xlabel=bins.title, ylabel=f"test {metric}, {POLICY_LABELS[policy]}", ylim=(0, None))


def _new_items(axes: Sequence["Axes"], group: ResultGroup, policy: Policy, styles: LineStyles) -> None:
    """Seen items are always excluded."""
    for entry in group.entries:
        if found := points(entry):
            old, new = [point.old.mean() for point in found], [point.new[METRIC].mean() for point in found]
            axes[0].plot(old, new, **styles[entry.name])
    axes[0].set(xlabel=f"test {METRIC} of old items", ylabel=f"{METRIC} of new items among all")


def _line_styles(entries: Sequence[Entry]) -> LineStyles:
    """Entry name -> colour, marker and dashes, the same in all panels."""
    names = dict.fromkeys(entry.name for entry in entries)
    return {
        name: {"color": color, "marker": marker, "linestyle": DASHES[number // len(PALETTE) % len(DASHES)]}
        for number, (name, color, marker) in enumerate(zip(names, cycle(PALETTE), cycle(MARKERS), strict=False))
    }


def _plain(text: str) -> str:
    """A name as plain text: no mathematics, no control characters, no leading underscore, which older legends hide."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    text = text if len(text) <= 60 else f"{text[:59]}…"
    return (" " if text.startswith("_") else "") + text.replace("$", r"\$")


def _trained(entry: Entry) -> bool:
    return bool(entry.record.epochs)


def _before_ensemble(entry: Entry) -> str:
    """Epochs are those of the model alone, where the run makes it a member of an ensemble in the end."""
    return ", before the ensemble" if entry.record.ensemble else ""


layers = Plot(
    _layers,
    "Test R@10 against the number of adapted top layers (the paper's Figure 3), all else equal; "
    "bars: deviation over seeds.",
    panels=1,
    has_data=lambda group: len(adapted_layers(group)) > 1,
    in_legend=lambda entry: False,
)
curves = Plot(
    _curves,
    "Validation R@10 and training loss by epoch, first seed; the mark is the epoch whose weights were kept. "
    "Of an ensemble, this is the trained member alone.",
    panels=2,
    has_data=lambda group: any(map(_trained, group.entries)),
    in_legend=_trained,
    legend_suffix=_before_ensemble,
)
accuracy_against_seconds = Plot(
    _against_seconds,
    "Test R@10 against the seconds of a whole run (training, validation, fitting; mean over seeds), and validation "
    "R@10 against the seconds of the epochs so far, first seed, of an ensemble its trained member alone. The search "
    "for settings is not counted.",
    panels=2,
    has_data=lambda group: True,
)
by_popularity = Plot(
    partial(_by_bins, bins=POPULARITY),
    f"Test N@10 and R@10 by the popularity of the target; cold targets never occur in training. {USERS}",
    panels=2,
    has_data=lambda group: True,
)
by_history = Plot(
    partial(_by_bins, bins=HISTORY),
    f"Test N@10 and R@10 by the length of the history that is ranked from. {USERS}",
    panels=2,
    has_data=lambda group: True,
)

new_items = Plot(
    _new_items,
    f"{METRIC} of held-out items against that of old ones, both among all items, seen excluded. A line: new items "
    "raised further, from right to left.",
    panels=1,
    has_data=lambda group: any(map(points, group.entries)),
    in_legend=lambda entry: bool(points(entry)),
)

PLOTS: dict[str, Plot] = {
    "accuracy": accuracy_against_seconds,
    "runtime": curves,
    "layers": layers,
    "cold": by_popularity,
    "new-items": new_items,
    "history": by_history,
}
"""Name of a table -> what `ssna compare --table NAME --plot FILE` draws."""
