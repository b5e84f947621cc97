"""What serves at one moment: a recommender under a version, looked at from outside by ids and JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssna.core.conditions import ConditionError, places
from ssna.core.ragged import Ints
from ssna.data.attribute_summary import AttributeSummary, summarize
from ssna.recommender import Recommender
from ssna.recommender.admission import NewItems
from ssna.recommender.ranking import RankRequest, rank
from ssna.recommender.selection import Selection, check_rules, selection_of
from ssna.scoring import Ensemble, vector_member
from ssna.serving.limits import LIMITS
from ssna.serving.refusal import RequestError
from ssna.serving.schemas import RecommendRequest
from ssna.serving.sharing import shared

FORGOTTEN = "\n"  # what no id may hold; a row's number follows
_MAKING_LINES = Lock()


@dataclass(frozen=True)
class Ranking:
    """What is recommended for one history: rows of the catalogue and their scores, best first.

    Attributes:
        unknown: ids of the history that the catalogue does not have.
        fallback: whether popularity ranked.
    """

    rows: Sequence[int]
    scores: Sequence[float]
    unknown: Sequence[str] = ()
    fallback: bool = False


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Frozen, and swapped as a whole: who holds one sees one catalogue.

    Attributes:
        recommender: the run's, with what was added.
        folder: of the run.
        version: 1 for the first run, one more with each reload.
        run_items: how many items are of the run itself, those that are hidden included.
        removed: items that are known in histories, and are neither recommended nor found.
        forgotten: what rows of added items that left are called, until :meth:`compact` drops them; no request can.
        new: items that only histories have, by the rows behind those of ``base``.
        base: what ranks without ``new``; None: ``recommender`` itself.
    """

    recommender: Recommender
    folder: Path
    version: int
    run_items: int
    removed: frozenset[str] = frozenset()
    forgotten: frozenset[str] = frozenset()
    new: NewItems | None = None
    base: Recommender | None = None
    _lines: list[str] = field(default_factory=list, repr=False)  # what is searched, of rows for good

    @property
    def run(self) -> str:
        """The run folder's name."""
        return self.folder.name

    @property
    def added(self) -> int:
        """How many items came from texts alone."""
        return len(self.recommender.items) - self.run_items - len(self.forgotten)

    @cached_property
    def hidden(self) -> frozenset[str]:
        """Items that are neither recommended nor found."""
        return self.removed | self.forgotten

    def __len__(self) -> int:
        return len(self.recommender.items) - len(self.excluded)

    def __contains__(self, item: str) -> bool:
        return item in self.recommender.items and item not in self.hidden

    def is_added(self, item: str) -> bool:
        """Whether it is known by its text or vectors alone."""
        return int(self.recommender.items.find([item])[0]) > self.run_items

    def text(self, item: str) -> str:
        """The text of a known item."""
        return self.recommender.texts[int(self.recommender.items.rows([item])[0])]

    def updated(self, recommender: Recommender, removed: frozenset[str]) -> "Snapshot":
        """The same run with other additions."""
        return replace(self, recommender=recommender, removed=removed)

    def without(self, items: Sequence[str]) -> "Snapshot":
        """Without added items: their rows stay, hidden, and their ids may come again."""
        names = {row: f"{FORGOTTEN}{row}" for row in self.recommender.items.rows(items).tolist()}
        recommender = replace(self.recommender, items=self.recommender.items.renamed(names))
        return replace(self, recommender=recommender, forgotten=self.forgotten.union(names.values())) if names else self

    def compact(self) -> "Snapshot":
        """Without the rows of items that left, once they are many: a copy of the whole catalogue."""
        if len(self.forgotten) <= LIMITS.additions:
            return self
        recommender = shared(self.recommender.remove_items(tuple(self.forgotten)))
        return replace(self, recommender=recommender, forgotten=frozenset(), _lines=[])

    def with_texts(self, texts: Mapping[str, str]) -> "Snapshot":
        """With items for the histories of one request: known there, and not recommended."""
        new = self.recommender.read(texts)
        wider = self.recommender.with_history_items(new)
        return replace(self, recommender=wider, removed=self.removed.union(texts), new=new, base=self.recommender)

    @cached_property
    def excluded(self) -> Ints:
        """Rows of the hidden items, which are excluded from every ranking."""
        return self._ranked(self.recommender.items.rows(self.hidden))  # some runs do not have all that is hidden

    def _ranked(self, rows: Ints) -> Ints:
        """Those of ``rows`` that have a score."""
        return rows[(rows > 0) & (rows < self.recommender.scorer.num_rows)]

    def look_up(self, requests: Sequence[RecommendRequest]) -> tuple[RankRequest, list[list[str]]]:
        """Requests of ids as one of rows, and the ids of each history that the catalogue does not have."""
        histories, unknown = self.recommender.look_up([request.history for request in requests])
        rows = self.recommender.items.find
        request = RankRequest(
            histories=histories,
            k=np.array([request.k for request in requests]),
            exclude_seen=np.array([request.exclude_seen for request in requests]),
            allow=tuple(None if request.allow is None else self._ranked(rows(request.allow)) for request in requests),
            deny=self.recommender.look_up([request.deny for request in requests])[0],
            new_items=self._new_items(requests),
            selections=self._selections(requests),
        )
        return request, unknown

    @cached_property
    def raises_new_items(self) -> bool:
        """Whether requests may raise new items."""
        scorer = self.recommender.scorer
        return isinstance(scorer, Ensemble) and scorer.frequency is not None

    def check_new_items(self, wanted: bool) -> None:
        """Raises :class:`RequestError` where new items are to be raised, and the run has no weights for them."""
        if wanted and not self.raises_new_items:
            raise RequestError(
                409, "no_new_items_weights", "this model has no weights for new items; leave new_items out, or 0"
            )

    @property
    def has_vectors(self) -> bool:
        """Whether requests may ask for `diversity`."""
        return vector_member(self.recommender.scorer) is not None

    @cached_property
    def attribute_summaries(self) -> list[AttributeSummary]:
        """Which values the attributes have, those of hidden items left out; a look at the whole catalogue."""
        known = self.recommender.attributes
        if known is None:
            return []
        hidden = self.recommender.items.rows(self.hidden)  # 0: some runs do not have all that is hidden
        return summarize(known.take(np.setdiff1d(np.arange(1, len(known) + 1), hidden)) if len(hidden) else known)

    def attributes(self, item: str) -> dict[str, Any]:
        """Those of a known item that have a value."""
        known = self.recommender.attributes
        row = int(self.recommender.items.rows([item])[0])
        return {} if known is None or row > len(known) else known.values(row)

    def check_rules(self, requests: Sequence[RecommendRequest], within: str = "") -> None:
        """Raises :class:`RequestError`, which names the place, where rules do not fit the catalogue.

        Args:
            within: where ``requests`` stand as a list.
        """
        for number, request in enumerate(requests):
            rules = request.rules
            try:
                check_rules(rules, self.recommender.attributes, request.k)
            except ConditionError as cause:
                place = f"{within}.{number}." if within else ""
                raise RequestError(422, "invalid", f"{place}{cause}") from None
            if rules.diversity and not self.has_vectors:
                message = "this model has no vectors, so that `diversity` must be 0; leave it out"
                raise RequestError(409, "no_vectors", message)

    def work_of_rules(self, requests: Sequence[RecommendRequest]) -> int:
        """Items that are still to be looked at for conditions nobody asked for lately."""
        known = self.recommender.attributes
        if known is None:
            return 0
        asked = {each for request in requests for _, each in request.rules.conditions}
        return sum(len(known) * len(list(places(each))) for each in asked if not known.knows(each))

    def _selections(self, requests: Sequence[RecommendRequest]) -> tuple[Selection | None, ...] | None:
        found = tuple(selection_of(request.rules, self.recommender.attributes) for request in requests)
        return found if any(each is not None for each in found) else None

    def raised(self, exposure: float) -> Recommender:
        """The recommender with new items raised by ``exposure``. Raises :class:`RequestError` if it cannot."""
        self.check_new_items(exposure != 0)
        return replace(self.recommender, scorer=self.recommender.scorer.with_exposure(exposure))

    def _new_items(self, requests: Sequence[RecommendRequest]) -> NDArray[np.float64] | None:
        if not self.raises_new_items or not any(request.new_items for request in requests):
            return None
        return np.array([request.new_items for request in requests], dtype=np.float64)

    def rank(self, requests: Sequence[RecommendRequest]) -> list[Ranking]:
        """All requests in one pass, in their order."""
        request, unknown = self.look_up(requests)
        rows, scores = rank(self.recommender.scorer, self.recommender.counts, request, self.excluded)
        return rankings(request, unknown, rows, scores)

    def similar(self, item: str, k: int) -> Ranking:
        """The nearest items of a known one."""
        found = [near for near in self.recommender.similar_items(item, k + len(self.hidden)) if near.item in self][:k]
        rows = self.recommender.items.rows([near.item for near in found])
        return Ranking(rows.tolist(), [near.score for near in found])

    def search(self, query: str, limit: int) -> tuple[list[str], int]:
        """Items whose id and text hold every word of ``query``, in the catalogue's order; and how many there are."""
        words = query.casefold().split()
        external = self.recommender.items.external
        found = [
            item
            for item, line in zip(external, self._searched(), strict=False)  # a later snapshot may have more lines
            if all(word in line for word in words) and item not in self.hidden
        ]
        return found[:limit], len(found)

    def _searched(self) -> list[str]:
        """Id and text of every row, in one case; made once for a row."""
        with _MAKING_LINES:
            items, lines = self.recommender.items.external, self._lines
            for row in range(len(lines), len(items)):
                lines.append(f"{items[row]} {self.recommender.texts[row + 1]}".casefold())
        return lines


def rankings(
    request: RankRequest, unknown: Sequence[Sequence[str]], rows: Ints, scores: NDArray[np.float32]
) -> list[Ranking]:
    """``(n, k)`` rows and scores, as :func:`ssna.recommender.ranking.rank` gives them, history by history."""
    counts, fallback = (rows > 0).sum(axis=1).tolist(), request.fallback.tolist()
    found = zip(rows.tolist(), scores.tolist(), counts, unknown, fallback, strict=True)
    return [Ranking(best[:count], values[:count], skipped, popular) for best, values, count, skipped, popular in found]
