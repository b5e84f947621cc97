"""Overall performance (Tables 2 to 4), of new and rare items, and coverage, novelty and popularity of the lists."""

from collections.abc import Callable, Sequence

from ssna.evaluation.ranking import POLICIES, Policy
from ssna.report.cells import MEASURES, POLICY_LABELS, group_name, label, measured, score
from ssna.report.groups import ResultGroup
from ssna.report.notes import POLICIES_NOTE, group_notes
from ssna.report.rare import new_and_rare
from ssna.report.table import Style, Table
from ssna.runs import RunRecord

BEYOND: dict[str, Style] = {"coverage@10": "percent", "novelty@10": "number", "popular@10": "percent"}
BEYOND_NOTE = (
    "Of the first ten items of every list: share of the catalogue shown to anyone, mean surprise in bits "
    "(-log2 of an item's share of the training events), share of positions held by the most popular fifth of the items."
)


def accuracy(groups: Sequence[ResultGroup]) -> list[Table]:
    """The tables of every group: all items, new and rare ones where there are some, and beyond accuracy."""
    return [
        table for group in groups for table in (overall(group), new_and_rare(group), beyond(group)) if table is not None
    ]


def overall(group: ResultGroup) -> Table:
    """Test recall and NDCG, one row an entry, each column a comparison group."""
    return Table(
        title=f"Accuracy on {group_name(group)}",
        head=("method", *(f"{POLICY_LABELS[policy]}\n{metric}" for policy, metric in MEASURES)),
        rows=tuple(
            (label(entry), *(score(entry, policy, metric, (policy, metric)) for policy, metric in MEASURES))
            for entry in group.entries
        ),
        notes=(POLICIES_NOTE, *group_notes(group, group.entries)),
        metadata=(group.metadata,) * len(group.entries),
    )


def beyond(group: ResultGroup) -> Table:
    """Coverage, novelty and share of popular items; none is better high or low."""
    measures = [(policy, name) for policy in POLICIES for name in BEYOND]
    return Table(
        title=f"Beyond accuracy on {group_name(group)}",
        head=("method", *(f"{POLICY_LABELS[policy]}\n{name}" for policy, name in measures)),
        rows=tuple(
            (
                label(entry),
                *(measured(entry, _of(policy, name), BEYOND[name]) for policy, name in measures),
            )
            for entry in group.entries
        ),
        notes=(BEYOND_NOTE, *group_notes(group, group.entries)),
        metadata=(group.metadata,) * len(group.entries),
    )


def _of(policy: Policy, name: str) -> Callable[[RunRecord], float]:
    return lambda record: record.beyond[policy][name]
