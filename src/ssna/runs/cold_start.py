"""Items that training never saw, placed by their texts alone: ranked among themselves, and among all items."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from ssna.core.errors import ArtifactError, CacheError, option
from ssna.core.ragged import Ints, Ragged
from ssna.data.dataset import Dataset, HeldOut, IdMap, Split
from ssna.evaluation import evaluate
from ssna.evaluation.metrics import summary
from ssna.scoring import Scorer
from ssna.text import LayerCache
from ssna.text.states import states
from ssna.training.frequency import EXPOSURES

COLD = "cold.parquet"
ITEMS_OF = {"among": "new items", "all": "items"}


@dataclass(frozen=True, eq=False)
class ColdEvaluation:
    """Ranks of the targets of the questions; ties count against them.

    Attributes:
        targets: ``(n,)`` outside ids.
        among: ``(n,)`` ranks among the held-out items.
        everywhere: ``(n,)`` ranks among all items, those of the history left out.
        old: ``(users,)`` ranks of the test targets among all items, seen excluded: what new items cost the old ones.
        held_out, items: how many items each is a rank of.
        raised: exposure -> ``everywhere`` and ``old`` with new items raised by it, of a model that can.
    """

    targets: tuple[str, ...]
    among: Ints
    everywhere: Ints
    old: Ints
    held_out: int
    items: int
    raised: dict[float, tuple[Ints, Ints]] = field(default_factory=dict)

    def figures(self) -> dict[str, Any]:
        """What the record keeps: sizes, and for each ranking recall, NDCG and the median rank."""
        rankings = {
            "among": (self.among, self.held_out),
            "all": (self.everywhere, self.items),
            "old": (self.old, self.items),
        }
        return {
            "questions": len(self.targets),
            "held_out": self.held_out,
            "items": self.items,
            **{
                name: summary(ranks, items) | {"median": float(np.median(ranks))}
                for name, (ranks, items) in rankings.items()
            },
            "raised": [
                {"new_items": exposure, "all": summary(new, self.items), "old": summary(old, self.items)}
                for exposure, (new, old) in self.raised.items()
            ],
        }

    def write(self, folder: Path) -> None:
        """``cold.parquet``: a row a question."""
        columns = {"target": self.targets, "rank_among": self.among, "rank_all": self.everywhere}
        pq.write_table(pa.table(columns), folder / COLD, compression="zstd")


def evaluate_cold(scorer: Scorer, data: Dataset, cache: LayerCache | None) -> ColdEvaluation | None:
    """Admit the held-out items of ``data``, and rank the target of each question.

    None where there are no questions, or the method cannot admit an item. One that reads no text admits it as an
    item without neighbours or events.
    """
    held_out = data.held_out
    if held_out is None or not held_out.targets:
        return None
    try:
        scorer_with_new = scorer.add_items(_states(held_out, cache, scorer.layers), tuple(held_out.texts.values()))
    except ArtifactError:
        return None
    items = IdMap((*data.items.external, *held_out.texts))
    rows = [items.rows(history) for history in held_out.histories]  # of some items no event is left in the data
    histories, targets = Ragged.from_rows([row[row > 0] for row in rows]), items.rows(held_out.targets)
    split = Split("test", np.arange(len(targets)), histories.last(data.max_history), histories, targets)
    new = np.arange(len(data.items) + 1, len(items) + 1)

    def among_all(admitted: Scorer) -> tuple[Ints, Ints]:
        everywhere, old = (evaluate(admitted, part).ranks["exclude_seen"] for part in (split, data.test))
        return everywhere, old

    everywhere, old = among_all(scorer_with_new)
    raised = {}
    for exposure in EXPOSURES[1:]:
        with suppress(ArtifactError):  # a model that does not tell new items from others
            raised[exposure] = among_all(scorer_with_new.with_exposure(exposure))
    return ColdEvaluation(
        targets=held_out.targets,
        among=evaluate(scorer_with_new, split, among=new).ranks["exclude_seen"],
        everywhere=everywhere,
        old=old,
        held_out=len(new),
        items=len(items),
        raised=raised,
    )


def shortfall(cold: Mapping[str, Any]) -> str | None:
    """What has to be said of ``cold``, as the record keeps it: new items that are found no better than by chance.

    Among the new ones alone, texts then tell nothing. Among all items, new ones then stand behind the old ones.
    """
    questions, monitor = cold["questions"], "R@10"
    for name, size, remedy in (
        (
            "among",
            cold["held_out"],
            "the texts of these items do not say who takes them; do not rely on it for new ones",
        ),
        ("all", cold["items"], f"raise new items with {option('new_items')}, or train with ensemble.new_items=true"),
    ):
        chance = min(10 / size, 1.0)
        least = chance + 2 * (chance * (1 - chance) / questions) ** 0.5  # two standard errors
        if chance < 1 and (found := cold[name][monitor]) <= least:
            return (
                f"new items are found no better than by chance: {monitor} {found:.4f} among {size:,} {ITEMS_OF[name]}, "
                f"by chance {chance:.4f}; {remedy}"
            )
    return None


def _states(held_out: HeldOut, cache: LayerCache | None, layers: int) -> torch.Tensor:
    """``(a, n, d)`` of the held-out texts: from the cache if it holds them, else read now.

    Raises:
        CacheError: their vectors are not in the cache, and nobody but the user has them.
    """
    texts = tuple(held_out.texts.values())
    if cache is None or layers == 0:
        return torch.zeros(0, len(texts), 0)
    try:
        return torch.from_numpy(LayerCache.open(cache.folders, ("", *texts), tuple(held_out.texts)).top(layers)[:, 1:])
    except CacheError:
        if cache.encoding.given:
            raise
        return torch.from_numpy(states(texts, [{}] * len(texts), cache.encoding, layers))
