"""How values look in a shell and in a notebook: never longer than a screen."""

from collections.abc import Iterable, Sequence
from html import escape

MOST_ROWS = 20
LONGEST_CELL = 40


class Text(str):
    """Lines for people: a shell and a notebook show them as they are, without quotes and ``\\n``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def cut(text: str, longest: int = LONGEST_CELL) -> str:
    """The beginning of ``text``, with an ellipsis where there is more."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns under each other, those of numbers to the right."""
    cells = [[cut(str(cell)) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(head, *cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in [list(head), *cells])


def html_table(title: str, rows: Iterable[Sequence[object]], head: Sequence[object] = ()) -> str:
    """One ``<table>`` for a notebook; everything is escaped."""

    def line(cells: Sequence[object], kind: str) -> str:
        joined = "".join(f'<{kind} style="text-align: left">{escape(cut(str(cell), 200))}</{kind}>' for cell in cells)
        return f"<tr>{joined}</tr>"

    lines = [line(head, "th")] if head else []
    lines += [line(row, "td") for row in rows]
    return f"<table><caption>{escape(title)}</caption>{''.join(lines)}</table>"
