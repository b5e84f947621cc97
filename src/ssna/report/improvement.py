"""What a method gains over the others, and whether that is chance (Table 5, and the stronger test over users)."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ssna.core.errors import ArtifactError
from ssna.evaluation.metrics import per_user
from ssna.evaluation.ranking import POLICIES
from ssna.evaluation.significance import bootstrap, holm, paired_t
from ssna.report.cells import MEASURES, POLICY_LABELS, group_name, label, labels
from ssna.report.groups import Entry, ResultGroup, RunFolder
from ssna.report.notes import POLICIES_NOTE, dry_run_notes, group_notes
from ssna.report.table import SIGNIFICANT, Cell, Figure, Table
from ssna.runs.record import read_ranks

DATA_LEVEL, USER_LEVEL = 0.15, 0.05
SAME_USERS = ["history", "events"]  # of each user and target: equal, row by row, where two runs rank the same users
Reference = tuple[ResultGroup, Entry]
"""A group, and its entry that the others are compared with."""


def improvement(groups: Sequence[ResultGroup], of: str | None = None) -> list[Table]:
    """Of one entry over each other: on average over data sets, then over the users of each.

    Args:
        of: the entry's name; by default ``ssna``, or else the first one whose method is ssna.

    Raises:
        ArtifactError: no group has such an entry, or its runs rank different users.
    """
    references = [(group, entry) for group in groups if (entry := reference(group, of)) is not None]
    if not references:
        names = dict.fromkeys(entry.name for group in groups for entry in group.entries)
        missing = f"no entry is named {of}" if of else "no run is of the method ssna"
        raise ArtifactError(f"{missing}; say --of NAME, one of {', '.join(names)}")
    excluded = [group_name(group) for group in groups if reference(group, of) is None]
    without = [f"Not shown, without {of or 'a run of ssna'}: {'; '.join(excluded)}."] if excluded else []
    references = [(group, entry) for group, entry in references if len(group.entries) > 1]
    return [*_over_data_sets(references, without), *(_over_users(group, entry) for group, entry in references)]


def reference(group: ResultGroup, of: str | None) -> Entry | None:
    """The entry that the others are compared with: the one named ``of``, or see :func:`improvement`."""
    named = [entry for entry in group.entries if entry.name == (of or "ssna")]
    method = [entry for entry in group.entries if of is None and entry.record.method == "ssna"]
    return next(iter(named + method), None)


def _baselines(group: ResultGroup, reference: Entry) -> list[Entry]:
    return [entry for entry in group.entries if entry is not reference]


def _over_data_sets(references: Sequence[Reference], without: Sequence[str]) -> list[Table]:
    """Table 5: rows are metrics of a language model and split, columns the other methods."""
    if not references:
        return []
    by_model: dict[tuple[str, str], list[Reference]] = {}
    for group, reference in references:
        by_model.setdefault((group.model or "no text", group.split), []).append((group, reference))
    baselines = [entry for group, reference in references for entry in _baselines(group, reference)]
    columns = labels(baselines)
    rows: list[tuple[Cell, ...]] = []
    metadata: list[dict[str, str]] = []
    for (model, split), pairs in by_model.items():
        row = model if len({split for _, split in by_model}) == 1 else f"{model}, {split}"
        metadata += [_metadata(pairs)] * len(MEASURES)
        for measure, (policy, metric) in enumerate(MEASURES):
            rows.append((row, POLICY_LABELS[policy], metric, *(_gain(pairs, name, measure) for name in columns)))
    names = " or ".join(dict.fromkeys(label(reference) for _, reference in references))
    return [
        Table(
            title=f"Improvement of {names}, {'mean over data sets' if _several(by_model) else 'one data set'}",
            head=("model", "seen", "metric", *columns.values()),
            rows=tuple(rows),
            notes=(
                *_test_notes(by_model),
                *without,
                POLICIES_NOTE,
                *(f"{group.note}, {group.model or 'no text'}." for group, _ in references),
                *dry_run_notes([*baselines, *(reference for _, reference in references)]),
            ),
            labels=3,
            metadata=tuple(metadata),
        )
    ]


def _gain(references: Sequence[Reference], name: str, measure: int) -> Figure | None:
    """Mean relative gain over the data sets that have the baseline; None where the baseline scored 0."""
    pairs = [
        (reference.figures(*MEASURES[measure]).mean(), baseline.figures(*MEASURES[measure]).mean())
        for group, reference in references
        for baseline in _baselines(group, reference)
        if baseline.name == name
    ]
    if not pairs or any(baseline == 0 for _, baseline in pairs):
        return None
    own, others = np.array(pairs).T
    significant = paired_t(own - others) < DATA_LEVEL
    return Figure(float(((own - others) / others).mean()), "signed", mark=SIGNIFICANT if significant else "")


def _test_notes(by_model: dict[tuple[str, str], list[Reference]]) -> Iterator[str]:
    if _several(by_model):
        yield (
            f"Improvement: (ours - theirs) / theirs, averaged over data sets. {SIGNIFICANT} the two-sided paired "
            "t-test over data sets gives p < .15 (85 % level, as in the paper; not corrected for the number of tests)."
        )
    else:
        yield "Improvement: (ours - theirs) / theirs."
    for (model, split), references in by_model.items():
        if len(references) < 2:
            yield f"{model}, {split}: one data set, so no test over data sets; see the test over users."


def _several(by_model: dict[tuple[str, str], list[Reference]]) -> bool:
    """Whether any mean is one over data sets."""
    return any(len(references) > 1 for references in by_model.values())


def _metadata(references: Sequence[Reference]) -> dict[str, str]:
    """Of a mean over data sets: each value that any of them has."""
    every = [group.metadata for group, _ in references]
    return {key: " ".join(dict.fromkeys(of_group[key] for of_group in every)) for key in every[0]}


def _over_users(group: ResultGroup, reference: Entry) -> Table:
    """Rows are metrics against each other method; Holm's family is the table."""
    baselines, rng = _baselines(group, reference), np.random.default_rng(0)
    own = _metrics(reference, reference.runs[0])
    rows: list[tuple[str, str, str, float, float, float]] = []
    p_values: list[float] = []
    for baseline in baselines:
        differences = own - _metrics(baseline, reference.runs[0])
        lows, highs = bootstrap(differences, rng)
        p_values += [paired_t(row) for row in differences]
        rows += [
            (label(baseline), POLICY_LABELS[policy], metric, mean, low, high)
            for (policy, metric), mean, low, high in zip(MEASURES, differences.mean(axis=1), lows, highs, strict=True)
        ]
    counted = "1 method" if len(baselines) == 1 else f"{len(baselines)} methods"
    return Table(
        title=f"Improvement of {label(reference)} over users of {group_name(group)}",
        head=("over", "seen", "metric", "difference", "95 % from", "95 % to", "p (Holm)"),
        rows=tuple(_tested_row(*row, p) for row, p in zip(rows, holm(p_values), strict=True)),
        notes=(
            "Mean difference per user, seeds averaged, with its 95 % percentile bootstrap interval over users. p: "
            f"two-sided paired t-test over users, Holm-corrected; the family is the {len(rows)} tests of this table "
            f"({counted}, {len(MEASURES) // len(POLICIES)} metrics, {len(POLICIES)} policies). "
            f"{SIGNIFICANT} p < .05.",
            POLICIES_NOTE,
            *group_notes(group, group.entries),
        ),
        labels=3,
        metadata=(group.metadata,) * len(rows),
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
        if not len(ranks) or not ranks.select(SAME_USERS).equals(others.select(SAME_USERS)):
            raise ArtifactError(f"{run.path} ranks other users than {users.path}; train both again on one data set")
        items = int(ranks["items"][0].as_py())
        measured = {policy: per_user(ranks[f"rank_{policy}"].to_numpy(), items) for policy in POLICIES}
    except KeyError as cause:
        raise ArtifactError(f"{run.path} holds damaged ranks ({cause}); train again") from None
    return np.stack([measured[policy][metric] for policy, metric in MEASURES])
