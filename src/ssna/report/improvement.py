"""What a method gains over the others, and whether that is chance (Table 5, and the stronger test over users)."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ssna.core.errors import ArtifactError
from ssna.evaluation.metrics import per_user
from ssna.evaluation.ranking import POLICIES
from ssna.evaluation.significance import bootstrap, holm, paired_t
from ssna.report.cells import MEASURES, SEEN, label, labels, where
from ssna.report.groups import ResultGroup, Entry, RunFolder
from ssna.report.notes import POLICIES_NOTE, dry_runs, under
from ssna.report.table import SIGNIFICANT, Cell, Figure, Table
from ssna.runs.record import read_ranks

DATA_LEVEL, USER_LEVEL = 0.15, 0.05
KNOWN = ["history", "events"]  # of each user and target: equal, row by row, where two runs rank the same users
Side = tuple[ResultGroup, Entry]
"""A bench, and its entry that the others are held against."""


def improvement(benches: Sequence[ResultGroup], of: str | None = None) -> list[Table]:
    """Of one entry over each other: on average over data sets, then over the users of each.

    Args:
        of: the entry's name; by default ``ssna``, or else the first one whose method is ssna.

    Raises:
        ArtifactError: no bench has such an entry, or its runs rank different users.
    """
    sides = [(bench, entry) for bench in benches if (entry := reference(bench, of)) is not None]
    if not sides:
        names = dict.fromkeys(entry.name for bench in benches for entry in bench.entries)
        missing = f"no entry is named {of}" if of else "no run is of the method ssna"
        raise ArtifactError(f"{missing}; say --of NAME, one of {', '.join(names)}")
    left = [where(bench) for bench in benches if reference(bench, of) is None]
    without = [f"Left out, without {of or 'a run of ssna'}: {'; '.join(left)}."] if left else []
    sides = [(bench, entry) for bench, entry in sides if len(bench.entries) > 1]
    return [*_over_data(sides, without), *(_over_users(bench, entry) for bench, entry in sides)]


def reference(bench: ResultGroup, of: str | None) -> Entry | None:
    """The entry that others are held against: the one named ``of``, or see :func:`improvement`."""
    named = [entry for entry in bench.entries if entry.name == (of or "ssna")]
    method = [entry for entry in bench.entries if of is None and entry.record.method == "ssna"]
    return next(iter(named + method), None)


def _rivals(bench: ResultGroup, reference: Entry) -> list[Entry]:
    return [entry for entry in bench.entries if entry is not reference]


def _over_data(sides: Sequence[Side], without: Sequence[str]) -> list[Table]:
    """Table 5: rows are metrics of a language model and split, columns the other methods."""
    if not sides:
        return []
    groups: dict[tuple[str, str], list[Side]] = {}
    for bench, reference in sides:
        groups.setdefault((bench.model or "no text", bench.split), []).append((bench, reference))
    rivals = [entry for bench, reference in sides for entry in _rivals(bench, reference)]
    columns = labels(rivals)
    rows: list[tuple[Cell, ...]] = []
    about: list[dict[str, str]] = []
    for (model, split), group in groups.items():
        name = model if len({split for _, split in groups}) == 1 else f"{model}, {split}"
        about += [_about(group)] * len(MEASURES)
        for measure, (policy, metric) in enumerate(MEASURES):
            rows.append((name, SEEN[policy], metric, *(_gain(group, name, measure) for name in columns)))
    names = " or ".join(dict.fromkeys(label(reference) for _, reference in sides))
    return [
        Table(
            title=f"Improvement of {names}, {'mean over data sets' if _several(groups) else 'one data set'}",
            head=("model", "seen", "metric", *columns.values()),
            rows=tuple(rows),
            notes=(
                *_tested(groups),
                *without,
                POLICIES_NOTE,
                *(f"{bench.note}, {bench.model or 'no text'}." for bench, _ in sides),
                *dry_runs([*rivals, *(reference for _, reference in sides)]),
            ),
            labels=3,
            about=tuple(about),
        )
    ]


def _gain(group: Sequence[Side], name: str, measure: int) -> Figure | None:
    """Mean of ``(reference - rival) / rival`` over the data sets that have the rival; None if a rival scored 0."""
    pairs = [
        (reference.figures(*MEASURES[measure]).mean(), rival.figures(*MEASURES[measure]).mean())
        for bench, reference in group
        for rival in _rivals(bench, reference)
        if rival.name == name
    ]
    if not pairs or any(rival == 0 for _, rival in pairs):
        return None
    own, others = np.array(pairs).T
    significant = paired_t(own - others) < DATA_LEVEL
    return Figure(float(((own - others) / others).mean()), "signed", mark=SIGNIFICANT if significant else "")


def _tested(groups: dict[tuple[str, str], list[Side]]) -> Iterator[str]:
    if _several(groups):
        yield (
            f"Improvement: (ours - theirs) / theirs, averaged over data sets. {SIGNIFICANT} the two-sided paired "
            "t-test over data sets gives p < .15 (85 % level, as in the paper; not corrected for the number of tests)."
        )
    else:
        yield "Improvement: (ours - theirs) / theirs."
    for (model, split), group in groups.items():
        if len(group) < 2:
            yield f"{model}, {split}: one data set, so no test over data sets; see the test over users."


def _several(groups: dict[tuple[str, str], list[Side]]) -> bool:
    """Whether any mean is one over data sets."""
    return any(len(group) > 1 for group in groups.values())


def _about(group: Sequence[Side]) -> dict[str, str]:
    """Of a mean over data sets: what each stands on, where they differ."""
    every = [bench.about for bench, _ in group]
    return {key: " ".join(dict.fromkeys(about[key] for about in every)) for key in every[0]}


def _over_users(bench: ResultGroup, reference: Entry) -> Table:
    """Rows are metrics against each other method; Holm's family is the table."""
    rivals, rng = _rivals(bench, reference), np.random.default_rng(0)
    own = _metrics(reference, reference.runs[0])
    rows: list[tuple[str, str, str, float, float, float]] = []
    p_values: list[float] = []
    for rival in rivals:
        differences = own - _metrics(rival, reference.runs[0])
        lows, highs = bootstrap(differences, rng)
        p_values += [paired_t(row) for row in differences]
        rows += [
            (label(rival), SEEN[policy], metric, mean, low, high)
            for (policy, metric), mean, low, high in zip(MEASURES, differences.mean(axis=1), lows, highs, strict=True)
        ]
    counted = "1 method" if len(rivals) == 1 else f"{len(rivals)} methods"
    return Table(
        title=f"Improvement of {label(reference)} over users of {where(bench)}",
        head=("over", "seen", "metric", "difference", "95 % from", "95 % to", "p (Holm)"),
        rows=tuple(_tested_row(*row, p) for row, p in zip(rows, holm(p_values), strict=True)),
        notes=(
            "Mean difference per user, seeds averaged, with its 95 % percentile bootstrap interval over users. p: "
            f"two-sided paired t-test over users, Holm-corrected; the family is the {len(rows)} tests of this table "
            f"({counted}, {len(MEASURES) // len(POLICIES)} metrics, {len(POLICIES)} policies). "
            f"{SIGNIFICANT} p < .05.",
            POLICIES_NOTE,
            *under(bench, bench.entries),
        ),
        labels=3,
        about=(bench.about,) * len(rows),
    )


def _tested_row(over: str, seen: str, metric: str, mean: float, low: float, high: float, p: float) -> tuple[Cell, ...]:
    mark = SIGNIFICANT if p < USER_LEVEL else ""
    ends = (Figure(float(end), "difference") for end in (low, high))
    return over, seen, metric, Figure(float(mean), "difference", mark=mark), *ends, Figure(float(p), "p")


def _metrics(entry: Entry, users: RunFolder) -> NDArray[np.float64]:
    """``(8, n)``: the test metrics of ``MEASURES`` for each user, averaged over seeds.

    Raises:
        ArtifactError: a run does not rank the users that the run ``users`` ranks.
    """
    measured: NDArray[np.float64] = np.mean([_of_run(run, users) for run in entry.runs], axis=0)
    return measured


def _of_run(run: RunFolder, users: RunFolder) -> NDArray[np.float64]:
    ranks, others = read_ranks(run.path, "test"), read_ranks(users.path, "test")
    try:
        if not len(ranks) or not ranks.select(KNOWN).equals(others.select(KNOWN)):
            raise ArtifactError(f"{run.path} ranks other users than {users.path}; train both again on one data set")
        items = int(ranks["items"][0].as_py())
        measured = {policy: per_user(ranks[f"rank_{policy}"].to_numpy(), items) for policy in POLICIES}
    except KeyError as cause:
        raise ArtifactError(f"{run.path} holds damaged ranks ({cause}); train again") from None
    return np.stack([measured[policy][metric] for policy, metric in MEASURES])
