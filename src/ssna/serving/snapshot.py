"""What serves at one moment: a recommender under a version; questions in, rows and scores out, many at once."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ssna.core.ragged import Ints, Ragged
from ssna.recommender import Recommender
from ssna.scoring import PopularityScorer, Scorer
from ssna.scoring.topk import top
from ssna.serving.schemas import Question


@dataclass(frozen=True)
class Ranked:
    """The answer to one question: rows of the catalogue and their scores, best first."""

    rows: Sequence[int]
    scores: Sequence[float]
    unknown: Sequence[str]
    fallback: bool


@dataclass(frozen=True, eq=False)
class Asked:
    """Questions whose ids are looked up.

    Attributes:
        known: ``n`` histories of known rows.
        unknown: ids of each history that the catalogue does not have.
    """

    questions: Sequence[Question]
    known: Ragged
    unknown: Sequence[Sequence[str]]

    @property
    def k(self) -> int:
        """The most items that one of them asks for."""
        return max(question.k for question in self.questions)

    @property
    def plain(self) -> bool:
        """Whether one ranking of the whole catalogue, by the run's own scorer, answers all."""
        return bool(self.known.lengths.all()) and all(question.allow is None for question in self.questions)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Frozen, and swapped as a whole: who holds one sees one catalogue.

    Attributes:
        recommender: the run's, with what was added.
        folder: of the run.
        version: 1 for the first run, one more with each reload.
        own: items of the run itself, those that are hidden included.
        hidden: items that are known in histories, and are neither recommended nor found.
    """

    recommender: Recommender
    folder: Path
    version: int
    own: int
    hidden: frozenset[str] = frozenset()
    _fragments: dict[int, tuple[str, str]] = field(default_factory=dict, repr=False)

    @property
    def run(self) -> str:
        """The run folder's name."""
        return self.folder.name

    @property
    def added(self) -> int:
        """How many items came from texts alone."""
        return len(self.recommender.items) - self.own

    def __len__(self) -> int:
        return len(self.recommender.items) - len(self.barred)

    def __contains__(self, item: str) -> bool:
        return item in self.recommender.items and item not in self.hidden

    def text(self, item: str) -> str:
        """The text of a known item."""
        return self.recommender.texts[int(self.recommender.items.rows([item])[0])]

    def changed(self, recommender: Recommender, hidden: frozenset[str]) -> "Snapshot":
        """The same run with other additions."""
        return replace(self, recommender=recommender, hidden=hidden, _fragments={})

    def widened(self, texts: Mapping[str, str]) -> "Snapshot":
        """With items for the history of one request: read, and not recommended."""
        return replace(self, recommender=self.recommender.add_items(texts), hidden=self.hidden.union(texts))

    def answer(self, questions: Sequence[Question]) -> list[Ranked]:
        """All questions in one pass, in their order."""
        asked = self.read(questions)
        ranked: dict[int, tuple[list[int], list[float]]] = {}
        filled = asked.known.lengths > 0
        for scorer, chosen in ((self.recommender.scorer, filled), (self._popularity, ~filled)):
            rows = np.flatnonzero(chosen).tolist()
            ranked |= self._ranked(scorer, questions, asked.known, rows)
        return [Ranked(*ranked[row], asked.unknown[row], fallback=not filled[row]) for row in range(len(questions))]

    def read(self, questions: Sequence[Question]) -> Asked:
        """Look up the histories' ids."""
        histories = [question.history for question in questions]
        lengths = np.array([len(history) for history in histories])
        rows = self.recommender.items.rows(chain.from_iterable(histories))
        known, row_of = rows > 0, np.repeat(np.arange(len(histories)), lengths)
        counts = np.bincount(row_of[known], minlength=len(histories))
        unknown: list[list[str]] = [[] for _ in histories]
        if not known.all():
            flat = list(chain.from_iterable(histories))
            for place in np.flatnonzero(~known).tolist():
                unknown[row_of[place]].append(flat[place])
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Asked(questions, Ragged(rows[known], offsets), unknown)

    def gone(self, questions: Sequence[Question], known: Ragged) -> Ragged:
        """Rows that leave the ranking of each question."""
        if all(question.exclude_seen and not question.deny for question in questions):
            return known
        return Ragged.from_rows([self._left_out(q, seen) for q, seen in zip(questions, known, strict=True)])

    def cut(self, asked: Asked, rows: Ints, scores: NDArray[np.float32]) -> list[Ranked]:
        """Answers from the ``k`` best rows of the catalogue, and their scores, for each of plain questions."""
        return [
            Ranked(*few, unknown, fallback=False)
            for few, unknown in zip(_first(asked.questions, rows, scores), asked.unknown, strict=True)
        ]

    def similar(self, item: str, k: int) -> Ranked:
        """The nearest items of a known one."""
        found = [near for near in self.recommender.similar_items(item, k + len(self.hidden)) if near.item in self][:k]
        rows = self.recommender.items.rows([near.item for near in found])
        return Ranked(rows.tolist(), [near.score for near in found], (), fallback=False)

    def search(self, query: str, limit: int) -> tuple[list[str], int]:
        """Items whose id and text hold every word of ``query``, in the catalogue's order; and how many there are."""
        words = query.casefold().split()
        external = self.recommender.items.external
        found = [
            item
            for item, line in zip(external, self._lines, strict=True)
            if all(word in line for word in words) and item not in self.hidden
        ]
        return found[:limit], len(found)

    def listed(self, answer: Ranked) -> str:
        """The items of an answer as JSON."""
        parts = []
        for row, score in zip(answer.rows, answer.scores, strict=True):
            before, after = self._fragments.get(row) or self._fragment(row)
            parts.append(f"{before}{score:.7g}{after}")
        return f"[{','.join(parts)}]"

    def written(self, answer: Ranked) -> str:
        """An answer as JSON."""
        unknown = json.dumps(answer.unknown, ensure_ascii=False) if answer.unknown else "[]"
        fallback = '"popularity"' if answer.fallback else "null"
        return f'{{"items":{self.listed(answer)},"unknown":{unknown},"fallback":{fallback}}}'

    @cached_property
    def _popularity(self) -> PopularityScorer:
        return PopularityScorer(torch.from_numpy(self.recommender.counts))

    @cached_property
    def barred(self) -> Ints:
        """Rows that no answer may hold."""
        rows = self.recommender.items.rows(self.hidden)
        return rows[rows > 0]  # some runs do not have all that is hidden

    @cached_property
    def _mask(self) -> torch.Tensor:
        """``(I + 1,)`` bool."""
        barred = torch.zeros(len(self.recommender.items) + 1, dtype=torch.bool)
        barred[torch.from_numpy(self.barred)] = True
        return barred

    @cached_property
    def _lines(self) -> list[str]:
        items = zip(self.recommender.items.external, self.recommender.texts[1:], strict=True)
        return [f"{item} {text}".casefold() for item, text in items]

    def _fragment(self, row: int) -> tuple[str, str]:
        """What stands before and after an item's score; made once for each item that was ever recommended."""
        item = json.dumps(self.recommender.items.external[row - 1], ensure_ascii=False)
        text = json.dumps(self.recommender.texts[row], ensure_ascii=False)
        return self._fragments.setdefault(row, (f'{{"item":{item},"score":', f',"text":{text}}}'))

    def _ranked(
        self, scorer: Scorer, questions: Sequence[Question], known: Ragged, rows: Sequence[int]
    ) -> dict[int, tuple[list[int], list[float]]]:
        """Row of a question -> the best rows of the catalogue and their scores."""
        found = {
            row: self._among(scorer, questions[row], known[row]) for row in rows if questions[row].allow is not None
        }
        free = [row for row in rows if row not in found]
        if not free:
            return found
        asked, histories = [questions[row] for row in free], known.take(np.array(free))
        k = max(question.k for question in asked)
        barred = self._mask if self.hidden else None
        best, scores = top(scorer, histories, k, self.gone(asked, histories), barred)
        return found | dict(zip(free, _first(asked, best, scores), strict=True))

    def _left_out(self, question: Question, seen: Iterable[int]) -> Ints:
        denied = self.recommender.items.rows(question.deny)
        return np.concatenate([np.asarray(seen, dtype=np.int64), denied]) if question.exclude_seen else denied

    def _among(self, scorer: Scorer, question: Question, seen: Iterable[int]) -> tuple[list[int], list[float]]:
        """The best of the items that a question allows: only they are scored."""
        allowed = np.unique(self.recommender.items.rows(question.allow or ()))
        gone = {*self._left_out(question, seen).tolist(), *self.barred.tolist(), 0}
        rows = torch.tensor([row for row in allowed.tolist() if row not in gone], dtype=torch.int64)
        if not len(rows):
            return [], []
        history = Ragged.from_rows([list(seen)])
        scores, order = scorer.prepare(history)(rows)[0].sort(descending=True, stable=True)
        return rows[order][: question.k].tolist(), scores[: question.k].tolist()


def _first(
    questions: Sequence[Question], rows: Ints, scores: NDArray[np.float32]
) -> Iterator[tuple[list[int], list[float]]]:
    """As many of the ``k`` best as each question asks for, where so many are left."""
    left = (rows > 0).sum(axis=1).tolist()
    for question, count, rows_, scores_ in zip(questions, left, rows.tolist(), scores.tolist(), strict=True):
        cut = min(count, question.k)
        yield rows_[:cut], scores_[:cut]
