"""Texts and vectors of a data set's items to a layer cache, as it is called from Python and from the command line."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ssna.core.errors import for_python
from ssna.data.dataset import Dataset, IdMap
from ssna.text import LayerCache
from ssna.text import encode as encode_texts
from ssna.text.encoding import VECTORS
from ssna.text.fill import EncodeReport
from ssna.text.fill_items import Items, encode_items
from ssna.text.options import DEFAULTS, ReadOptions

MODEL = "minilm"
"""What reads texts where neither a model nor vectors are named."""


def encode_data(
    data: Dataset,
    model: str | None = None,
    out: Path | str | None = None,
    options: ReadOptions = DEFAULTS,
    *,
    vectors: object = None,
    quiet: bool = False,
) -> tuple[LayerCache, EncodeReport]:
    """As :func:`ssna.encode`, with a report of what was done."""
    if vectors is None:
        return encode_texts(data.texts, model or MODEL, out, options, quiet=quiet)
    cache, report = encode_items(_all_items(data), vectors, model, out, options, quiet=quiet)
    last = len(data.items) + 1
    items = None if cache.items is None else cache.items[: last - 1]
    cache = replace(cache, rows=cache.rows[:last], texts=cache.texts[:last], items=items)
    return cache, replace(report, unseen=cache.unseen)


def warnings(report: EncodeReport, cache: LayerCache) -> Iterator[str]:
    """What has to be said of what was encoded, as lines."""
    yield from cache.warnings_to_word()
    items = len(cache.rows) - 1
    for name, lacking, example in report.without:
        named = "" if name == VECTORS else f" in {name}"
        yield (
            f"{lacking:,} of {items:,} items have no vector{named}, such as {example!r}; zeros stand in its place, "
            "as in that of a missing text"
        )


def say_warnings(report: EncodeReport, cache: LayerCache) -> None:
    """On standard error."""
    for line in warnings(report, cache):
        print(f"warning: {for_python(line)}", file=sys.stderr, flush=True)


def _all_items(data: Dataset) -> Items:
    """Those of the catalogue, and behind them the ones that are held out or new: they have vectors, too."""
    behind = dict(data.held_out.texts if data.held_out else {}) | data.new_items
    ids = (*data.items.external, *behind) if behind else data.items.external
    find = (IdMap(tuple(ids)) if behind else data.items).find
    return Items((*data.texts, *behind.values()), ids, find, len(data.items))
