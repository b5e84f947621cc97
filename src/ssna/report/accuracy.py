"""Overall performance (Tables 2 to 4), and what the lists look like besides being right."""

from collections.abc import Callable, Sequence

from ssna.evaluation.ranking import POLICIES, Policy
from ssna.report.cells import MEASURES, SEEN, label, over_seeds, score, where
from ssna.report.groups import ResultGroup
from ssna.report.notes import POLICIES_NOTE, under
from ssna.report.table import Style, Table
from ssna.runs import RunRecord

BEYOND: dict[str, Style] = {"coverage@10": "percent", "novelty@10": "number", "popular@10": "percent"}
BEYOND_NOTE = (
    "Of the first ten items of every list: share of the catalogue shown to anyone, mean surprise in bits "
    "(-log2 of an item's share of the training events), share of places held by the most popular fifth of the items."
)


def accuracy(benches: Sequence[ResultGroup]) -> list[Table]:
    """Both tables of every bench."""
    return [table for bench in benches for table in (overall(bench), beyond(bench))]


def overall(bench: ResultGroup) -> Table:
    """Test recall and NDCG, one row an entry, each column a contest."""
    return Table(
        title=f"Accuracy on {where(bench)}",
        head=("method", *(f"{SEEN[policy]}\n{metric}" for policy, metric in MEASURES)),
        rows=tuple(
            (label(entry), *(score(entry, policy, metric, (policy, metric)) for policy, metric in MEASURES))
            for entry in bench.entries
        ),
        notes=(POLICIES_NOTE, *under(bench, bench.entries)),
        about=(bench.about,) * len(bench.entries),
    )


def beyond(bench: ResultGroup) -> Table:
    """Coverage, novelty and share of popular items; none is better high or low."""
    measures = [(policy, name) for policy in POLICIES for name in BEYOND]
    return Table(
        title=f"Beyond accuracy on {where(bench)}",
        head=("method", *(f"{SEEN[policy]}\n{name}" for policy, name in measures)),
        rows=tuple(
            (
                label(entry),
                *(over_seeds(entry, _of(policy, name), BEYOND[name]) for policy, name in measures),
            )
            for entry in bench.entries
        ),
        notes=(BEYOND_NOTE, *under(bench, bench.entries)),
        about=(bench.about,) * len(bench.entries),
    )


def _of(policy: Policy, name: str) -> Callable[[RunRecord], float]:
    return lambda record: record.beyond[policy][name]
