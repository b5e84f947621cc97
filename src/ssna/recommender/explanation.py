"""Why an item stands where it stands, and where an item would stand that there is only a text of."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ssna.core.errors import ArtifactError, SsnaError
from ssna.core.ragged import Ragged
from ssna.nn.adapter import LayerAdapters, MoEWhiteningAdapter
from ssna.recommender.recommender import Recommender, ScoredItem
from ssna.scoring import Ensemble, Scorer, VectorScorer, name_of, vector_member
from ssna.scoring.naming import REPEAT_CONSUMPTION
from ssna.text import embed


@dataclass(frozen=True)
class Influence:
    """One item of the history.

    Attributes:
        item, text: which one.
        effect: the score less what it is when this event is left out of the history.
        similarity: the cosine of its vector with the explained item's; None where the scorer has no vectors.
    """

    item: str
    text: str
    effect: float
    similarity: float | None


@dataclass(frozen=True)
class AdapterOutput:
    """What the adapters made of the item's text; contributions are to the cosine of item and intent (Eq. 7).

    Attributes:
        text: what the adapted text contributes.
        ids: what the item's own learned vector contributes, about zero without ids; ``text + ids`` is the cosine.
        layers: ``(a,)`` what the cosine loses when a layer's adapter gives zero, top layer first.
        heads: ``(a, K)`` the weights of Eq. 2 (the softmax of Eq. 3), top layer first. Both are empty for an adapter
            that has no such parts.
    """

    text: float
    ids: float
    layers: tuple[float, ...]
    heads: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Explanation:
    """Why an item has its score after a history.

    Attributes:
        item: the item, its score and its text.
        rank: its place among the items that are not of the history; other items of equal score stand before it.
        parts: name and contribution to the score of each scorer that is joined; they add up to the score.
        history: the known items of the history, oldest first.
        reading: None where the method keeps no adapters, or no item text.
    """

    item: ScoredItem
    rank: int
    parts: tuple[tuple[str, float], ...]
    history: tuple[Influence, ...]
    reading: AdapterOutput | None


@dataclass(frozen=True)
class Placement:
    """Where a text would stand as a new item.

    Attributes:
        score: of the same kind as those of :meth:`Recommender.recommend`.
        rank: its place among all other items that are not of the history, 1 for the best; equal scores stand before it.
        among: how many items that ranking holds, the new one included.
        similar: the nearest items of the catalogue, by cosine.
    """

    score: float
    rank: int
    among: int
    similar: tuple[ScoredItem, ...]


def explain(recommender: Recommender, history: Sequence[str], item: str, deny: Collection[str] = ()) -> Explanation:
    """Why ``item`` has its score after ``history`` (ids, oldest first; unknown ones are skipped).

    The language model reads the item's text once more, if the method kept its adapters.

    Args:
        deny: items that leave the ranking.

    Raises:
        SsnaError: the item is unknown, or nothing of the history is known.
        EncoderError: the language model is gone.
    """
    row = int(recommender.items.rows([item])[0])
    if row == 0:
        raise SsnaError(f"item {item!r} is not in the catalogue; add it with add_items")
    rows = _known(recommender, history)
    scores = recommender.scorer.score(Ragged.from_rows([rows]))[0]
    shorter = Ragged.from_rows([np.delete(rows, place) for place in range(len(rows))])
    own = float(scores[row])
    gone = np.concatenate([rows, recommender.items.rows(deny)])
    scores[gone[gone != row]] = -torch.inf
    without = recommender.scorer.prepare(shorter)(torch.tensor([row]))[:, 0].tolist()
    vectors = vector_member(recommender.scorer)
    similarity = None if vectors is None else (vectors.directions[rows] @ vectors.directions[row]).tolist()
    return Explanation(
        item=ScoredItem(item, own, recommender.texts[row]),
        rank=int((scores >= own).sum()),
        parts=tuple(_parts(recommender.scorer, Ragged.from_rows([rows]), row)),
        history=tuple(
            Influence(
                item=recommender.items.external[seen - 1],
                text=recommender.texts[seen],
                effect=own - without[place],
                similarity=None if similarity is None else similarity[place],
            )
            for place, seen in enumerate(rows.tolist())
        ),
        reading=None if vectors is None else _reading(recommender, vectors, rows, row),
    )


def rank_text(
    recommender: Recommender, history: Sequence[str], text: str, k: int = 10, deny: Collection[str] = ()
) -> Placement:
    """Where an item of this ``text`` would stand after ``history``, as :meth:`Recommender.add_items` would have it.

    Args:
        k: similar items.
        deny: items that leave the ranking, and are not similar.

    Raises:
        SsnaError: the text is empty, or nothing of the history is known.
        ArtifactError: the method admits no items by their texts.
        EncoderError: the language model is gone.
    """
    if not text.strip():
        raise SsnaError("the text is empty, so there is nothing to place it by")
    rows = _known(recommender, history)
    scorer = recommender.scorer
    if recommender.encoding is None or not scorer.layers:
        raise ArtifactError("this model cannot place a text; ssna, tmlp, tmoe, text-knn and text-linear can")
    wider = scorer.add_items(_states(recommender, text, scorer.layers))
    scores = wider.score(Ragged.from_rows([rows]))[0]
    denied = recommender.items.rows(deny)
    scores[rows] = scores[denied] = -torch.inf
    own = float(scores[-1])
    vectors = cast(VectorScorer, vector_member(wider))
    cosines = vectors.directions[:-1] @ vectors.directions[-1]
    cosines[0] = cosines[denied] = -torch.inf
    best = cosines.topk(min(k, int((cosines > -torch.inf).sum())))
    return Placement(
        score=own,
        rank=int((scores >= own).sum()),
        among=int((scores > -torch.inf).sum()),
        similar=tuple(
            ScoredItem(recommender.items.external[near - 1], cosine, recommender.texts[near])
            for cosine, near in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ),
    )


def _known(recommender: Recommender, history: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    rows = recommender.items.rows(history)
    rows = rows[rows > 0].astype(np.int64)
    if not len(rows):
        raise SsnaError("no item of the history is in the catalogue, so there is nothing to explain a ranking by")
    return cast("np.ndarray[tuple[int], np.dtype[np.int64]]", rows)


def _parts(scorer: Scorer, history: Ragged, row: int, share: float = 1.0) -> list[tuple[str, float]]:
    if isinstance(scorer, Ensemble):
        found = [
            one
            for part in scorer.members
            for one in _parts(part.scorer, history, row, share * part.weight / part.scale)
        ]
        return [(name, value) for name, value in found if value or name != REPEAT_CONSUMPTION]
    return [(name_of(scorer), share * float(scorer.prepare(history)(torch.tensor([row]))))]


@torch.no_grad()
def _reading(
    recommender: Recommender, scorer: VectorScorer, history: np.ndarray[tuple[int], np.dtype[np.int64]], row: int
) -> AdapterOutput | None:
    if recommender.encoding is None or scorer.admission is None or not recommender.texts[row]:
        return None
    h = _states(recommender, recommender.texts[row], scorer.layers)
    intent = F.normalize(scorer.user_embeddings(Ragged.from_rows([history]))[0], dim=0)
    text, whole = scorer.admission(h)[0].float(), scorer.vectors[row]
    without, heads = _inside(scorer.admission, h)
    cosines = F.normalize(without + whole - text, dim=-1) @ intent
    return AdapterOutput(
        text=float(intent @ text / whole.norm()),
        ids=float(intent @ (whole - text) / whole.norm()),
        layers=tuple((intent @ F.normalize(whole, dim=0) - cosines).tolist()),
        heads=tuple(map(tuple, heads.tolist())),
    )


def _inside(adapter: torch.nn.Module, h: Tensor) -> tuple[Tensor, Tensor]:
    """The vector when a layer's adapter gives zero, ``(a, D)``; and the weights of its heads, ``(a, K)``."""
    if not isinstance(adapter, LayerAdapters):
        return torch.empty(0, 1), torch.empty(0, 1)
    layers = list(zip(cast("Iterable[MoEWhiteningAdapter]", adapter.adapters), h, strict=True))
    z = [each(h_m) for each, h_m in layers]
    silenced = ([torch.zeros_like(z_m) if m == gone else z_m for m, z_m in enumerate(z)] for gone in range(len(z)))
    without = torch.cat([adapter.integrate(outputs).float() for outputs in silenced])
    return without, torch.cat([F.softmax(each.route(h_m).float(), dim=-1) for each, h_m in layers])


def _states(recommender: Recommender, text: str, layers: int) -> Tensor:
    """``(a, 1, d)``, top layer first."""
    assert recommender.encoding is not None
    return torch.from_numpy(embed((text,), recommender.encoding, layers))
