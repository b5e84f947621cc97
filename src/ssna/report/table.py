"""A table of figures, before it has a format: which figures are compared, and the notes beneath."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Style = Literal["score", "percent", "signed", "difference", "p", "number", "seconds", "bytes", "count"]

DRY_RUN, EXTRAPOLATED, SIGNIFICANT = "‡", "≈", "*"
MARKS = {DRY_RUN: "dry run", EXTRAPOLATED: "extrapolated", SIGNIFICANT: "significant"}
"""Every mark, and what it says."""


@dataclass(frozen=True)
class Figure:
    """One number.

    Attributes:
        value: full precision; of ``percent`` and ``signed`` the share (.018), of ``bytes`` bytes.
        style: how people read it: ``.1436``, ``85 %``, ``+1.8 %``, ``+.0123``, ``.0040``, ``12.34``, ``16.3``,
            ``2.3 GB``, ``1,234``.
        deviation: over seeds, in the same unit, or None for a single run.
        comparison_group: figures of one group are compared for best and second; None for a figure that is not.
        lower: the lowest is the best.
        mark: put behind it, such as ``*``; the notes say what it means. (Plain text marks the best ``*`` and the
            second ``+``, so figures that are compared take other marks.)
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
        metadata: of each row, what its figures belong to (:attr:`ssna.report.groups.ResultGroup.metadata`).
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...]
    labels: int = 1
    metadata: tuple[Mapping[str, str], ...] = ()
    _ranks: dict[int, int] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        if any(len(row) != len(self.head) for row in self.rows):
            raise ValueError(f"every row of {self.title!r} has {len(self.head)} cells")
        comparison_groups: dict[Hashable, list[Figure]] = {}
        for figure in self.figures():
            if figure.comparison_group is not None:
                comparison_groups.setdefault(figure.comparison_group, []).append(figure)
        for figures in comparison_groups.values():
            if len(figures) > 1:
                order = sorted({figure.value for figure in figures}, reverse=not figures[0].lower)
                ranked = [figure for figure in figures if figure.lower or figure.value]  # a recall of 0 is not second
                self._ranks.update({id(figure): order.index(figure.value) + 1 for figure in ranked})

    def figures(self) -> Iterator[Figure]:
        """All figures, row by row."""
        return (cell for row in self.rows for cell in row if isinstance(cell, Figure))

    def rank(self, cell: Cell) -> int | None:
        """1 for the best of its comparison group (equal figures share a rank), 2 for the second.

        None if it is compared with no other figure, or is a score of 0.
        """
        return self._ranks.get(id(cell))
