"""Why an item has its rank after a history, and the rank that a text would have as a new item."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ssna.core.errors import ArtifactError, SsnaError
from ssna.core.ragged import Ints, Ragged
from ssna.nn.adapter import LayerAdapters, MoEWhiteningAdapter
from ssna.recommender.admission import states_of_new
from ssna.recommender.ranking import RankRequest, best_rows, rank
from ssna.recommender.recommendations import ScoredItem
from ssna.recommender.recommender import Recommender
from ssna.scoring import Ensemble, Scorer, VectorScorer, name_of, vector_member
from ssna.scoring.naming import REPEAT_CONSUMPTION, TRAINING_EVENTS
from ssna.text.states import states


@dataclass(frozen=True)
class Influence:
    """One item of the history.

    Attributes:
        item, text: which one.
        effect: the score less what it is without this event in the history.
        similarity: the cosine of its vector with the explained item's; None where the scorer has no vectors.
    """

    item: str
    text: str
    effect: float
    similarity: float | None


@dataclass(frozen=True)
class AdapterOutput:
    """What the adapters made of the item's text; contributions are to the cosine of item and user embedding (Eq. 7).

    Attributes:
        text: what the adapted text contributes.
        id_embedding: what the item's id embedding contributes, about zero without one; both add up to the cosine.
        layers: ``(a,)`` what the cosine loses when a layer's adapter gives zero, top layer first.
        expert_weights: ``(a, K)`` the weights of Eq. 2 (the softmax of Eq. 3), top layer first. Both are empty for an
            adapter without layers and experts.
    """

    text: float
    id_embedding: float
    layers: tuple[float, ...]
    expert_weights: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Explanation:
    """Why an item has its score after a history.

    Attributes:
        item: the item, its score and its text.
        rank: 1 for the best, among the items that are not of the history.
        members: name and contribution to the score of each member of the ensemble; they add up to the score.
        history: the known items of the history, oldest first.
        adapters: None where the method keeps no adapters or no item text, or vectors were given, which are not kept.
    """

    item: ScoredItem
    rank: int
    members: tuple[tuple[str, float], ...]
    history: tuple[Influence, ...]
    adapters: AdapterOutput | None


@dataclass(frozen=True)
class TextRank:
    """The rank of a text, were it a new item.

    Attributes:
        score: of the same kind as those of :meth:`Recommender.recommend`.
        rank: 1 for the best, among all other items that are not of the history.
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
        deny: items that are excluded from the ranking.

    Raises:
        SsnaError: the item is unknown, or nothing of the history is known.
        EncoderError: the language model is missing.
    """
    row = int(recommender.items.find([item])[0])
    if row == 0:
        raise SsnaError(f"item {item!r} is not in the catalogue; add it with add_items")
    known = _known(recommender, history)
    found = _ranking(recommender.scorer, recommender.counts, known, recommender.items.find(deny), row)
    score = float(found.scores[found.position])
    shorter = Ragged.from_rows([np.delete(known, event) for event in range(len(known))])
    without = recommender.scorer.prepare(shorter)(torch.tensor([row]))[:, 0].tolist()
    vectors = vector_member(recommender.scorer)
    similarity = (
        [None] * len(known) if vectors is None else (vectors.directions[known] @ vectors.directions[row]).tolist()
    )
    return Explanation(
        item=ScoredItem(item, score, recommender.texts[row]),
        rank=found.position + 1,
        members=tuple(_contributions(recommender.scorer, Ragged.from_rows([known]), row)),
        history=tuple(
            Influence(recommender.items.external[seen - 1], recommender.texts[seen], score - score_without, cosine)
            for seen, score_without, cosine in zip(known.tolist(), without, similarity, strict=True)
        ),
        adapters=None if vectors is None else _adapter_output(recommender, vectors, known, row),
    )


def rank_text(
    recommender: Recommender, history: Sequence[str], text: str, k: int = 10, deny: Collection[str] = ()
) -> TextRank:
    """The rank of an item of this ``text`` after ``history``, as :meth:`Recommender.add_items` would have it.

    Args:
        k: similar items.
        deny: items that are excluded from the ranking, and from similar items.

    Raises:
        SsnaError: the text is empty, or nothing of the history is known.
        ArtifactError: the method admits no items by their texts.
        EncoderError: the language model is missing.
    """
    if not text.strip():
        raise SsnaError("the text is empty, so there is nothing to rank it by")
    known = _known(recommender, history)
    scorer = recommender.scorer
    if recommender.encoding is None or not scorer.layers:
        raise ArtifactError("this model cannot rank a text; ssna, tmlp, tmoe, text-knn and text-linear can")
    denied = recommender.items.find(deny)
    if not recommender.encoding.reads_text:
        raise ArtifactError(
            "this model cannot rank a text: it was trained with vectors, and no language model reads it"
        )
    h, read = states_of_new([text], recommender.encoding, scorer.layers)
    beside = np.unique(known)  # all that the new item's score depends on: the catalogue is not copied for it
    few = scorer.select_items(torch.from_numpy(np.concatenate([[0], beside]))).add_items(h, read)
    rows = Ragged.from_rows([np.searchsorted(beside, known) + 1])
    score = float(few.prepare(rows)(torch.tensor([few.num_rows - 1])))
    others = _scores(scorer, recommender.counts, known, denied)
    vectors, among_few = cast(VectorScorer, vector_member(scorer)), cast(VectorScorer, vector_member(few))
    cosines = vectors.directions @ among_few.directions[-1]
    cosines[0] = cosines[denied] = -torch.inf
    return TextRank(
        score=score,
        rank=1 + int((others >= score).sum()),
        among=len(others) + 1,
        similar=recommender.scored(*best_rows(cosines, k)),
    )


@dataclass(frozen=True, eq=False)
class _Ranking:
    """All that is not excluded, best first, and the position of one row in it, from 0."""

    scores: NDArray[np.float32]
    position: int


def _ranking(scorer: Scorer, counts: NDArray[np.int64], history: Ints, deny: Ints, row: int) -> _Ranking:
    """``row`` itself is never excluded."""
    excluded = np.concatenate([history, deny])
    rows, scores = _ranked(scorer, counts, history, excluded[excluded != row])
    return _Ranking(scores, int(np.flatnonzero(rows == row)[0]))


def _scores(scorer: Scorer, counts: NDArray[np.int64], history: Ints, deny: Ints) -> NDArray[np.float32]:
    """Of all that is neither in the history nor excluded."""
    return _ranked(scorer, counts, history, np.concatenate([history, deny]))[1]


def _ranked(
    scorer: Scorer, counts: NDArray[np.int64], history: Ints, excluded: Ints
) -> tuple[Ints, NDArray[np.float32]]:
    """Rows and scores, best first."""
    request = RankRequest.uniform(Ragged.from_rows([history]), k=scorer.num_rows, exclude_seen=False)
    rows, scores = rank(scorer, counts, request, excluded)
    there = rows[0] > 0
    return rows[0][there], scores[0][there]


def _known(recommender: Recommender, history: Sequence[str]) -> Ints:
    known, _ = recommender.look_up([history])
    if not len(known.values):
        raise SsnaError("no item of the history is in the catalogue, so there is nothing to explain a ranking by")
    return known.values.astype(np.int64)


def _contributions(scorer: Scorer, history: Ragged, row: int, weight: float = 1.0) -> list[tuple[str, float]]:
    if isinstance(scorer, Ensemble):
        weights, bias = scorer.item_weights
        found = [
            contribution
            for member, of_item in zip(scorer.members, weights[:, row].tolist(), strict=True)
            for contribution in _contributions(member.scorer, history, row, weight * of_item)
        ]
        found.append((TRAINING_EVENTS, weight * float(bias[row])))
        return [(name, value) for name, value in found if value or name not in (REPEAT_CONSUMPTION, TRAINING_EVENTS)]
    return [(name_of(scorer), weight * float(scorer.prepare(history)(torch.tensor([row]))))]


@torch.no_grad()
def _adapter_output(recommender: Recommender, scorer: VectorScorer, history: Ints, row: int) -> AdapterOutput | None:
    if recommender.encoding is None or scorer.text_projection is None or not recommender.texts[row]:
        return None
    if recommender.encoding.given:  # which are not kept
        return None
    h = _states(recommender, recommender.texts[row], scorer.layers)
    if not scorer.vectors[row].any():  # its text says nothing
        return None
    user = F.normalize(scorer.user_embeddings(Ragged.from_rows([history]))[0], dim=0)
    text, whole = scorer.text_projection(h)[0].float(), scorer.vectors[row]
    without, expert_weights = _ablated(scorer.text_projection, h)
    cosines = F.normalize(without + whole - text, dim=-1) @ user
    return AdapterOutput(
        text=float(user @ text / whole.norm()),
        id_embedding=float(user @ (whole - text) / whole.norm()),
        layers=tuple((user @ F.normalize(whole, dim=0) - cosines).tolist()),
        expert_weights=tuple(map(tuple, expert_weights.tolist())),
    )


def _ablated(adapter: torch.nn.Module, h: Tensor) -> tuple[Tensor, Tensor]:
    """The vector when a layer's adapter gives zero, ``(a, D)``; and the weights of its experts, ``(a, K)``."""
    if not isinstance(adapter, LayerAdapters):
        return torch.empty(0, 1), torch.empty(0, 1)
    layers = list(zip(cast("Iterable[MoEWhiteningAdapter]", adapter.adapters), h, strict=True))
    z = [each(h_m) for each, h_m in layers]
    ablations = ([torch.zeros_like(z_m) if m == zero else z_m for m, z_m in enumerate(z)] for zero in range(len(z)))
    without = torch.cat([adapter.integrate(outputs).float() for outputs in ablations])
    return without, torch.cat([F.softmax(each.route(h_m).float(), dim=-1) for each, h_m in layers])


def _states(recommender: Recommender, text: str, layers: int) -> Tensor:
    """``(a, 1, d)``, top layer first."""
    assert recommender.encoding is not None
    return torch.from_numpy(states((text,), [{}], recommender.encoding, layers))
