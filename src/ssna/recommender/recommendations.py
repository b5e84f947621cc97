"""What is recommended: items with scores and texts, a list a history; and the same as a table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import pyarrow as pa

from ssna.core.display import MOST_ROWS, cut, html_table, table
from ssna.core.frames import Tabular


@dataclass(frozen=True)
class ScoredItem:
    """One recommended item; the higher the score the better, comparable within one recommendation only."""

    item: str
    score: float
    text: str


@dataclass(frozen=True)
class Recommendation:
    """What is recommended for one history.

    Attributes:
        items: best first.
        unknown: ids of the history that the catalogue does not have; they were skipped.
        fallback: ``"popularity"`` where no known item was left in the history, else None.
    """

    items: tuple[ScoredItem, ...]
    unknown: tuple[str, ...]
    fallback: Literal["popularity"] | None

    def __repr__(self) -> str:
        first = ", ".join(f"{cut(each.item, 20)} {each.score:.4g}" for each in self.items[:10])
        said = f"; unknown: {len(self.unknown):,}" if self.unknown else ""
        said += f"; by {self.fallback}" if self.fallback else ""
        return f"<Recommendation of {len(self.items):,} items: {first}{', …' if len(self.items) > 10 else ''}{said}>"


class Recommendations(list[Recommendation], Tabular):
    """A list of :class:`Recommendation`, one a history, in the order of the histories.

    Attributes:
        users: whose histories they are, where that is known.
    """

    def __init__(self, found: Iterable[Recommendation], users: Sequence[str] | None = None) -> None:
        super().__init__(found)
        self.users = None if users is None else tuple(users)

    def __repr__(self) -> str:
        head, rows, more = self._shown()
        return f"<Recommendations for {self._count}>\n{table(head, rows)}{more}"

    def _repr_html_(self) -> str:
        head, rows, more = self._shown()
        return html_table(f"Recommendations for {self._count}{more}", rows, head)

    @property
    def _count(self) -> str:
        return f"{len(self):,} {'history' if len(self) == 1 else 'histories'}"

    def _shown(self) -> tuple[list[str], list[list[object]], str]:
        """The head of the table, its first rows, and a line that says how many there are where these are not all."""
        of = self.users or range(len(self))
        every = (
            [whose, place, each.item, f"{each.score:.4g}", each.text]
            for whose, found in zip(of, self, strict=True)
            for place, each in enumerate(found.items, 1)
        )
        rows, count = list(islice(every, MOST_ROWS)), sum(len(found.items) for found in self)
        more = f"\n… {count:,} rows; to_pandas() has them all" if count > MOST_ROWS else ""
        if unanswerable := sum(found.fallback is not None for found in self):
            more += f"\n{unanswerable:,} of {self._count}: no item is known, popularity answers"
        return ["history" if self.users is None else "user", "rank", "item", "score", "text"], rows, more

    def to_arrow(self) -> pa.Table:
        """A row an item: ``user`` (or ``history``, from 0), ``rank`` (from 1), ``item``, ``score``, ``text``, and
        ``fallback``, which is null where the history decides."""
        rows = [(number, place, each) for number, found in enumerate(self) for place, each in enumerate(found.items, 1)]
        whose: tuple[str, Any] = ("history", pa.array([number for number, *_ in rows], pa.int64()))
        if self.users is not None:
            whose = ("user", pa.array([self.users[number] for number, *_ in rows], pa.string()))
        return pa.table(
            {
                whose[0]: whose[1],
                "rank": pa.array([place for _, place, _ in rows], pa.int64()),
                "item": pa.array([each.item for *_, each in rows], pa.string()),
                "score": pa.array([each.score for *_, each in rows], pa.float64()),
                "text": pa.array([each.text for *_, each in rows], pa.string()),
                "fallback": pa.array([self[number].fallback for number, *_ in rows], pa.string()),
            }
        )
