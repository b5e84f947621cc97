"""Any recommender on any data set: the metrics that are asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from ssna.core.arguments import checked
from ssna.core.display import html_table, table
from ssna.core.errors import SettingsError, there_are
from ssna.core.frames import Tabular
from ssna.core.plugins import Registry
from ssna.core.ragged import Ints, Ragged
from ssna.data.dataset import Dataset, Split, SplitName
from ssna.evaluation import Evaluation, beyond_accuracy
from ssna.evaluation import evaluate as rank_all
from ssna.evaluation.metrics import ndcg, recall, reciprocal_rank
from ssna.evaluation.ranking import POLICIES, TOP
from ssna.recommender import Recommender
from ssna.scoring import vector_member

Metric = Callable[[NDArray[np.int64], NDArray[np.int32], int], Any]
"""``ranks (n,)`` of the targets, from 1; the best item rows of each user ``(n, k)``, 0 where there is none; and ``k``:
to a number, or to one for each user, whose mean counts."""

_BY_RANK = {"recall": ("R", recall), "ndcg": ("N", ndcg), "mrr": ("MRR", reciprocal_rank)}
_BY_LIST = ("coverage", "novelty", "popular")
METRICS: Registry[Metric | None] = Registry(
    "ssna.metrics", dict.fromkeys((*_BY_RANK, *_BY_LIST, "diversity")), callable
)
"""Those here, and functions of installed packages, by their entry points in ``ssna.metrics``."""


@dataclass(frozen=True, eq=False, repr=False)
class Figures(Tabular, Mapping[str, dict[str, float]]):
    """Policy -> metric -> its mean over ``users``. A row a metric as a table."""

    values_by_policy: dict[str, dict[str, float]]
    users: int

    def __getitem__(self, policy: str) -> dict[str, float]:
        return self.values_by_policy[policy]

    def __iter__(self) -> Any:
        return iter(self.values_by_policy)

    def __len__(self) -> int:
        return len(self.values_by_policy)

    def to_arrow(self) -> pa.Table:
        """``metric`` and a column for each policy."""
        names = list(next(iter(self.values_by_policy.values())))
        columns = {policy: [found[name] for name in names] for policy, found in self.items()}
        return pa.table({"metric": pa.array(names, pa.string()), **columns})

    def __repr__(self) -> str:
        head, rows = self._shown()
        return f"<Figures of {self.users:,} users>\n{table(head, rows)}"

    def _repr_html_(self) -> str:
        head, rows = self._shown()
        return html_table(f"{self.users:,} users", rows, head)

    def _shown(self) -> tuple[list[str], list[list[str]]]:
        found = self.to_arrow().to_pydict()
        cells = [[f"{value:.4f}" for value in found[policy]] for policy in self]
        return ["metric", *self], [list(row) for row in zip(found["metric"], *cells, strict=True)]


@checked
def evaluate(
    recommender: Recommender,
    data: Dataset,
    k: int | Sequence[int] = (10, 50),
    metrics: Sequence[str | Metric] = ("recall", "ndcg"),
    split: SplitName = "test",
) -> Figures:
    """Rank the whole catalogue for every evaluation user of ``data``, with seen items excluded and included.

    There is one target a user. So Precision@k is R@k / k, HitRate@k is R@k, and MAP@k is MRR@k.

    Args:
        recommender: of a run, or loaded. Its items are told by their ids; a target that it does not know is a miss.
        data: need not be what was trained on, but what was trained on must not hold its targets.
        k: one cut-off or several.
        metrics: of ``recall`` (R@k), ``ndcg`` (N@k), ``mrr``, ``coverage``, ``novelty``, ``popular``, ``diversity``,
            and those of installed packages; or functions of yours, see :data:`Metric`, that go by their names.
        split: ``valid`` or ``test``.

    Raises:
        SettingsError: a metric is not known, ``k`` is below 1, or ``data`` have nobody to evaluate on.
    """
    cutoffs = _cutoffs(k)
    if isinstance(metrics, str) or callable(metrics):
        metrics = (metrics,)
    for metric in metrics:
        if not callable(metric) and metric not in METRICS:
            raise SettingsError(f"there is no metric {metric!r}; {there_are(METRICS, metric)}, or a function of yours")
    if not isinstance(recommender, Recommender) or not isinstance(data, Dataset):
        raise SettingsError("evaluate takes a recommender (run.recommender) and what prepare (or load_data) returns")
    if split not in ("valid", "test"):
        raise SettingsError(f"split = {split!r}: {there_are(('valid', 'test'), split)}")
    found = ranked(recommender, data, split, max(TOP, *cutoffs))
    return figures(found, recommender, cutoffs, metrics)


def figures(
    found: Evaluation, recommender: Recommender, cutoffs: Sequence[int], metrics: Sequence[str | Metric]
) -> Figures:
    """The ``metrics`` of an evaluation, at all cut-offs."""
    diversity = _Diversity(recommender) if "diversity" in metrics else None
    values: dict[str, dict[str, float]] = {policy: {} for policy in POLICIES}
    for policy in POLICIES:
        for metric in metrics:
            for cutoff in cutoffs:
                name, value = _measured(metric, found, policy, cutoff, recommender, diversity)
                values[policy][name] = value
    return Figures(values, len(found.targets))


def _measured(
    metric: str | Metric,
    found: Evaluation,
    policy: Any,
    k: int,
    recommender: Recommender,
    diversity: "_Diversity | None",
) -> tuple[str, float]:
    ranks, lists = found.ranks[policy], found.lists[policy][:, :k]
    own = METRICS[metric] if isinstance(metric, str) else metric
    if own is not None:
        name = metric if isinstance(metric, str) else getattr(metric, "__name__", "metric")
        return f"{name}@{k}", float(np.mean(own(ranks, lists, k)))
    assert isinstance(metric, str), "only those by name are measured here"
    if metric in _BY_RANK:
        name, of_ranks = _BY_RANK[metric]
        return f"{name}@{k}", float(of_ranks(ranks, min(k, found.items)).mean())
    if diversity is not None and metric == "diversity":
        return f"diversity@{k}", diversity(lists)
    return f"{metric}@{k}", beyond_accuracy(lists, recommender.counts[: found.items + 1], k)[f"{metric}@{k}"]


class _Diversity:
    """Mean over users of one minus the cosine of two items of a list, over all pairs (intra-list diversity)."""

    def __init__(self, recommender: Recommender) -> None:
        member = vector_member(recommender.scorer)
        if member is None:
            raise SettingsError("diversity is told by item vectors, which this model has none of; leave it out")
        self.directions = member.directions.cpu().float()

    def __call__(self, lists: NDArray[np.int32]) -> float:
        found = []
        for rows in torch.from_numpy(lists).long().split(1024):
            there = (rows > 0).float()
            total = (self.directions[rows] * there[:, :, None]).sum(dim=1)
            count = there.sum(dim=1)
            cosines = (total.square().sum(dim=1) - count) / (count * (count - 1)).clamp(min=1)
            found.append(torch.where(count > 1, 1 - cosines, torch.zeros(())))
        return float(torch.cat(found).mean())


def _cutoffs(k: int | Sequence[int]) -> tuple[int, ...]:
    cutoffs = (k,) if isinstance(k, int) else tuple(k) if isinstance(k, Sequence | np.ndarray) else ()
    if not cutoffs or not all(isinstance(each, int | np.integer) and each >= 1 for each in cutoffs):
        raise SettingsError(f"k = {k!r}: it must be a whole number of at least 1, or a list of such: k=[5, 10, 20]")
    return tuple(int(each) for each in cutoffs)


def ranked(recommender: Recommender, data: Dataset, name: SplitName, top: int = TOP) -> Evaluation:
    """Ranks and lists of ``(n,)`` evaluation users, in the rows of the recommender's items.

    Raises:
        SettingsError: ``data`` have nobody to evaluate on.
    """
    asked = data.split(name)
    if not len(asked):
        raise SettingsError("the data have nobody to evaluate on, as all events are for training; split them otherwise")
    if recommender.items.external == data.items.external:
        return rank_all(recommender.scorer, asked, top=top)
    row_of = np.concatenate([[0], recommender.items.rows(data.items.external)])
    targets = row_of[asked.targets]
    histories, seen = (_translated(rows, row_of) for rows in (asked.histories, asked.seen))
    split = Split(asked.name, asked.users, histories, seen, np.maximum(targets, 1))
    found = rank_all(recommender.scorer, split, top=top)
    missed = {policy: np.where(targets == 0, found.items + 1, ranks) for policy, ranks in found.ranks.items()}
    return replace(found, ranks=missed)


def _translated(rows: Ragged, row_of: Ints) -> Ragged:
    values = row_of[rows.values]
    kept = np.concatenate([[0], np.cumsum(values > 0)])
    return Ragged(values[values > 0], kept[rows.offsets])
