"""Item texts: the parts of a row cleaned and joined, and one text an item."""

import html
from collections.abc import Iterable, Iterator

import pyarrow as pa

TEXT_RULE = (
    "the parts of a row are joined with '. ' after HTML entities are undone and white space is collapsed; "
    "of several rows the longest text counts, of equally long ones the alphabetically first"
)


def joined_rows(parts: pa.Table | pa.RecordBatch) -> Iterator[tuple[str, str]]:
    """Id and text of every row; the text may be empty. ``parts``: the id, then a column for each part, in order."""
    ids, *columns = (column.to_pylist() for column in parts.columns)
    for item, *values in zip(ids, *columns, strict=True):
        yield item, joined(values)


def longest(rows: Iterable[tuple[str, str]]) -> dict[str, str]:
    """One text an item; items without text are left out. Rows may come in any order, and one part after the other."""
    texts: dict[str, str] = {}
    for item, text in rows:
        known = texts.get(item, "")
        if text and (not known or (-len(text), text) < (-len(known), known)):
            texts[item] = text
    return texts


def joined(parts: Iterable[str | None]) -> str:
    """The parts that are there, cleaned, with ``". "`` between them."""
    return ". ".join(part for part in map(_clean, parts) if part)


def _clean(part: str | None) -> str:
    return " ".join(html.unescape(part).split()) if part else ""
