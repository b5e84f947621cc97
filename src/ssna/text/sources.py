"""What stands beside a language model's layers, or in their place: vectors that are given, and static models."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssna.core.errors import CacheError, SettingsError, option
from ssna.core.ragged import Ints
from ssna.text.encoding import VECTORS, Encoding, Source
from ssna.text.given import GivenVectors, read_vectors
from ssna.text.static import StaticModel, find_static, is_static

SAMPLE = 10_000  # vectors whose length is looked at
Find = Callable[[Sequence[str]], Ints]
"""Ids to rows of items from 1; 0 for one that is not known."""


@dataclass(frozen=True, eq=False)
class ItemVectors:
    """A source, and which of its rows is which item's.

    Attributes:
        rows: ``(I + 1,)`` rows of given vectors, -1 for an item without one; None of a static model.
    """

    of: GivenVectors | StaticModel
    rows: Ints | None = None

    def source(self, scale: float = 1.0) -> Source:
        """What is kept of it."""
        if isinstance(self.of, StaticModel):
            made = {"model": self.of.model, "revision": self.of.revision}
            return Source(name=self.of.name, layers=1, width=self.of.width, stored="f32", scale=scale, **made)
        _, layers, width = self.of.values.shape
        return Source(name=self.of.name, layers=layers, width=width, stored=self.of.stored, scale=scale)

    def take(self, items: Ints, texts: Sequence[str]) -> NDArray[np.float32]:
        """``(layers, n, d)`` of items by rows, and of their texts; zero where there is none.

        Raises:
            CacheError: a number is not finite.
        """
        if isinstance(self.of, StaticModel):
            return np.swapaxes(self.of.vectors(texts), 0, 1)
        assert self.rows is not None, "given vectors are bound to items"
        rows = self.rows[items]
        _, layers, width = self.of.values.shape
        taken = np.zeros((len(items), layers, width), dtype=np.float32)
        taken[rows >= 0] = self.of.take(rows[rows >= 0])
        return np.swapaxes(taken, 0, 1)

    def mean_length(self, texts: Sequence[str]) -> float:
        """Of the top layer's vectors of some items, spread evenly; 0 if there is none."""
        there = np.arange(1, len(texts)) if self.rows is None else np.flatnonzero(self.rows >= 0)
        some = there[np.unique(np.linspace(0, max(len(there) - 1, 0), min(SAMPLE, len(there))).astype(np.int64))]
        return mean_length(self.take(some, [texts[item] for item in some.tolist()])[-1])


def mean_length(vectors: NDArray[np.float32]) -> float:
    """Of vectors ``(n, d)`` that are not zero; 0 if all are."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    return float(lengths[lengths > 0].mean()) if lengths.any() else 0.0


def open_sources(vectors: object) -> list[GivenVectors | StaticModel]:
    """Every source that the caller named: one, a list, or several by their names.

    Raises:
        CacheError: one cannot be read.
        EncoderError: a static model is not there.
        SettingsError: two have one name.
    """
    return [
        find_static(str(given), name) if is_static(given) else read_vectors(given, name)
        for name, given in _named(vectors)
    ]


def _named(vectors: object) -> list[tuple[str, object]]:
    """A path or hub id is called by its last part where there are several."""
    if isinstance(vectors, Mapping) and vectors and not all(map(_is_array, vectors.values())):
        named = [(str(name), given) for name, given in vectors.items()]
    elif isinstance(vectors, list) and all(isinstance(given, str | Path) for given in vectors):
        parts = [_split(given) for given in vectors]
        named = [(name or (Path(given).stem if len(parts) > 1 else VECTORS), given) for name, given in parts]
    else:
        named = [(VECTORS, vectors)]
    names = [name for name, _ in named]
    if twice := [name for name in names if names.count(name) > 1]:
        raise SettingsError(
            f"two sources of vectors are called {twice[0]}; name them: {option('vectors', 'NAME=FILE')}"
        )
    if not named:
        raise SettingsError(f"{option('vectors')} names no file; leave it out, or name one")
    return named


def _split(given: str | Path) -> tuple[str | None, str]:
    """``NAME=FILE`` apart, unless there is such a file."""
    name, equals, path = str(given).partition("=")
    return (name, path) if equals and name.isidentifier() and not Path(given).exists() else (None, str(given))


def _is_array(value: object) -> bool:
    """One item's vector, as against a source, which may be a pair of ids and array."""
    if isinstance(value, list | tuple) and len(value) == 2 and getattr(value[1], "ndim", 0) > 1:
        return False
    while isinstance(value, list | tuple) and value:
        value = value[0]
    return isinstance(value, np.ndarray | np.number | int | float)


def bind(source: GivenVectors | StaticModel, find: Find, items: Sequence[str]) -> ItemVectors:
    """Which vector is which item's.

    Args:
        items: their ids, ``(I,)``.

    Raises:
        CacheError: an item has two vectors, or no item has one.
    """
    if isinstance(source, StaticModel):
        return ItemVectors(source)
    found = find(source.ids)
    known = np.flatnonzero(found > 0)
    rows = np.full(len(items) + 1, -1, dtype=np.int64)
    rows[found[known]] = known
    if (rows >= 0).sum() < len(known):
        twice = source.ids[int(next(row for row in known.tolist() if rows[found[row]] != row))]
        raise CacheError(f"{source.name}: item {twice!r} has several vectors; give one an item")
    if not len(known):
        mine, theirs = (next(iter(ids), "") for ids in (items, source.ids))
        raise CacheError(
            f"{source.name}: none of {len(source.ids):,} ids is an item of the data, such as {theirs!r}; the data have "
            f"ids such as {mine!r}: give vectors under these"
        )
    return ItemVectors(source, rows)


def with_sources(base: Encoding | None, bound: Sequence[ItemVectors], scales: Sequence[float]) -> Encoding:
    """A language model's encoding with sources beside it; without one, that of the sources."""
    sources = tuple(each.source(scale) for each, scale in zip(bound, scales, strict=True))
    widest = max(source.width for source in sources)
    if base is not None:
        model_width = base.width if widest > base.width else None
        update = {"sources": sources, "width": max(widest, base.width), "model_width": model_width}
        return base.model_copy(update=update)
    first = sources[0]
    return Encoding(
        model=VECTORS,
        revision="given",
        layers=tuple(range(1, first.layers + 1)),
        depth=first.layers,
        width=widest,
        dtype="fp32",
        sources=sources,
    )


def digest_of(bound: Sequence[ItemVectors], items: Sequence[str]) -> str:
    """16 hex digits, equal exactly for equal sources of equal items."""
    digest = hashlib.blake2b(digest_size=8)
    for each in bound:
        digest.update(repr(each.source()).encode())
        if each.rows is not None and isinstance(each.of, GivenVectors):
            there = np.flatnonzero(each.rows >= 0)
            digest.update("\n".join(items[row - 1] for row in there.tolist()).encode(errors="replace"))
            places = iter(there.tolist())
            while some := list(islice(places, SAMPLE)):
                digest.update(np.ascontiguousarray(each.of.values[each.rows[some]]).tobytes())
    return digest.hexdigest()
