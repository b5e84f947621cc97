"""A table of figures, before it has a format: which figures compete, and what stands under them."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Style = Literal["score", "percent", "signed", "difference", "p", "number", "seconds", "bytes", "count"]

DRY_RUN, EXTRAPOLATED, SIGNIFICANT = "‡", "≈", "*"
MARKS = {DRY_RUN: "rehearsal", EXTRAPOLATED: "extrapolated", SIGNIFICANT: "significant"}
"""Every mark, and what it says."""


@dataclass(frozen=True)
class Figure:
    """One number.

    Attributes:
        value: full precision; of ``percent`` and ``signed`` the share (.018), of ``bytes`` bytes.
        style: how people read it: ``.1436``, ``85 %``, ``+1.8 %``, ``+.0123``, ``.0040``, ``12.34``, ``16.3``,
            ``2.3 GB``, ``1,234``.
        deviation: over seeds, in the same unit, or None for a single run.
        contest: figures of one contest compete for best and second; None for a figure that competes with none.
        lower: the lowest wins.
        mark: put behind it, such as ``*``; the notes say what it means. (Plain text marks the best ``*`` and the
            second ``+``, so figures that compete take other marks.)
    """

    value: float
    style: Style = "score"
    deviation: float | None = None
    comparison_group: Hashable = None
    lower: bool = False
    mark: str = ""


Cell = Figure | str | None
"""None prints as a dash: not measured, or not published."""


@dataclass(frozen=True)
class Table:
    """Rows under headings.

    Attributes:
        head: of a heading in two lines the first names a group, which it shares with its neighbours.
        labels: how many leading columns name the row instead of holding figures.
        about: of each row, what its figures stand on (:attr:`ssna.report.groups.Bench.about`), for programs to read.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...]
    labels: int = 1
    about: tuple[Mapping[str, str], ...] = ()
    _places: dict[int, int] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        if any(len(row) != len(self.head) for row in self.rows):
            raise ValueError(f"every row of {self.title!r} has {len(self.head)} cells")
        contests: dict[Hashable, list[Figure]] = {}
        for figure in self.figures():
            if figure.comparison_group is not None:
                contests.setdefault(figure.comparison_group, []).append(figure)
        for rivals in contests.values():
            if len(rivals) > 1:
                order = sorted({rival.value for rival in rivals}, reverse=not rivals[0].lower)
                placed = [rival for rival in rivals if rival.lower or rival.value]  # a recall of 0 is no second place
                self._places.update({id(rival): order.index(rival.value) + 1 for rival in placed})

    def figures(self) -> Iterator[Figure]:
        """All figures, row by row."""
        return (cell for row in self.rows for cell in row if isinstance(cell, Figure))

    def place(self, figure: Figure) -> int | None:
        """1 for the best of its contest (equal figures share a place), 2 for the second.

        None if it has no rival, or is a score of 0.
        """
        return self._places.get(id(figure))
