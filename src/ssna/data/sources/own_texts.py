"""Texts that stand in the log itself: of the items, or of the events?

A review stands beside the item that it is about. Taken for the item's text, the longest review would speak for the
item, and it may be that of the very event that a model is tested on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import shorten

import ibis
from ibis import Table

from ssna.core.errors import DataError, option
from ssna.data.options import PrepareOptions
from ssna.data.sources.source import ITEM
from ssna.data.sources.values import FLOAT

_MOST = 0.5  # of the items in several rows; more with several texts each are no texts of items
_FEW = 0.01  # of all items; fewer with several texts are not looked at
_LONGEST = 30  # letters of a text in a message


@dataclass(frozen=True)
class OwnTexts:
    """Columns of the log that hold items' texts, and what is to be said of the others."""

    names: tuple[str, ...]
    notes: tuple[str, ...] = ()


def texts_of_items(
    path: object, events: Table, described: Table, names: Sequence[str], options: PrepareOptions
) -> OwnTexts:
    """Those of ``names`` that say the same of an item in most of its rows.

    Args:
        events: has ``item``; the rows of the log.
        described: ``item``, ``part_1``, ...: the distinct rows, a part for each of ``names``.

    Raises:
        DataError: columns that were named, or all that there are, hold texts of events.
    """
    if "item-texts" in options.accept:
        return OwnTexts(tuple(names))
    varying = _varying(events, described, len(names))
    if not varying:
        return OwnTexts(tuple(names))
    if described.filter(described[ITEM].re_search(FLOAT)).count().to_pyarrow().as_py():
        return OwnTexts(tuple(names))  # one id of several items: that is refused for what it is
    left = tuple(name for place, name in enumerate(names, start=1) if place not in varying)
    columns = " and ".join(names[place - 1] for place in varying)
    item, texts, share = _example(described, min(varying), max(varying.values()))
    found = f"{share:.0%} of the items in several rows have several texts there, such as item {item}: {texts}"
    if options.text_cols is not None or (not left and options.missing_text != "id"):
        raise DataError(
            f"{path}: {columns} hold texts of events and not of items ({found}); give the items' own file "
            f"({option('items')}) or take ids as texts ({option('missing_text', 'id')}), or go on: "
            f"{option('accept', 'item-texts')}"
        )
    return OwnTexts(left, (f"{columns} are not read as texts of items: {found}",))


def _varying(events: Table, described: Table, parts: int) -> dict[int, float]:
    """Part -> share, of those that have several texts for most items that have several rows."""
    columns = [f"part_{place}" for place in range(1, parts + 1)]
    texts = {name: described[name].strip().nullif("").nunique() for name in columns}
    counted = described.drop_null(ITEM).group_by(ITEM).agg(**texts)
    several = {name: (counted[name] > 1).sum() for name in columns}
    found = counted.agg(items=counted.count(), **several).to_pyarrow().to_pylist()[0]
    if all((found[name] or 0) <= _FEW * found["items"] for name in columns):
        return {}
    often = events.group_by(ITEM).agg(rows=events.count())
    repeated = max(often.filter(often.rows > 1).count().to_pyarrow().as_py(), 1)
    shares = {place: found[f"part_{place}"] / repeated for place in range(1, parts + 1)}
    return {place: min(share, 1.0) for place, share in shares.items() if share > _MOST}


def _example(described: Table, place: int, share: float) -> tuple[str, str, float]:
    """An item, and two of its texts."""
    text = described[f"part_{place}"].strip().nullif("")
    rows = described.select(ITEM, text=text).drop_null().group_by(ITEM)
    found = rows.agg(first=ibis._.text.min(), last=ibis._.text.max())
    row = found.filter(found["first"] != found["last"]).order_by(ITEM).limit(1).to_pyarrow().to_pylist()[0]
    shown = " and ".join(repr(shorten(row[name], _LONGEST, placeholder="…")) for name in ("first", "last"))
    return str(row[ITEM]), shown, share
