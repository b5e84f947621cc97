"""States of new items, in the layers and in the order that a cache gives: of their texts, and of vectors given."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssna.core.errors import SsnaError
from ssna.text.encoding import VECTORS, Encoding, Source
from ssna.text.fill import embed
from ssna.text.static import static_like

Vectors = Mapping[str, NDArray[np.float32]]
"""Of one item: by the names of sources, ``(layers, d)`` each, as they were given."""


def states(
    texts: Sequence[str], vectors: Sequence[Vectors], encoding: Encoding, layers: int, device: str = "auto"
) -> NDArray[np.float32]:
    """``(layers, n, d)``, the top layer first, as :meth:`ssna.text.LayerCache.top` gives them.

    Args:
        texts: ``n``; the states of an empty one are zero.
        vectors: ``n``; those of a source that an item lacks are zero.

    Raises:
        EncoderError: a language model is gone, or has changed.
    """
    from_top: list[NDArray[np.float32]] = []
    for source in reversed(encoding.sources or ()):
        of_items = _of_source(source, texts, vectors)
        if source.scale != 1:
            of_items = of_items * np.float32(source.scale)
        if source.stored == "f16":
            of_items = _rounded(of_items)
        from_top += [of_items[:, layer] for layer in reversed(range(source.layers))]
    if encoding.has_model and layers > len(from_top):
        from_top += list(embed(texts, encoding, layers - len(from_top), device))
    result = np.zeros((layers, len(texts), encoding.width), dtype=np.float32)
    for place, layer in enumerate(from_top[:layers]):
        result[place, :, : layer.shape[1]] = layer
    return result


def _rounded(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """To 16 bits, as a cache keeps them, which has 32 for numbers that are too large."""
    with np.errstate(over="ignore"):
        rounded = vectors.astype(np.float16).astype(np.float32)
    return np.where(np.isfinite(rounded), rounded, vectors)


def _of_source(source: Source, texts: Sequence[str], vectors: Sequence[Vectors]) -> NDArray[np.float32]:
    """``(n, layers, d)``."""
    if source.model is not None:
        return static_like(source).vectors(texts)
    nothing = np.zeros((source.layers, source.width), dtype=np.float32)
    taken = [each.get(source.name, nothing) for each in vectors]
    return np.stack(taken) if taken else np.zeros((0, source.layers, source.width), dtype=np.float32)


def vectors_of(item: str, given: Any, encoding: Encoding) -> Vectors:
    """What a caller gave as the vector of a new item: an array, or arrays by the names of sources.

    Raises:
        SsnaError: there is no such source, or an array does not fit it.
    """
    sources = {source.name: source for source in encoding.given}
    if not sources:
        raise SsnaError(f"item {item!r} comes with a vector, but this model was trained with none; give its text alone")
    if not isinstance(given, Mapping):
        if len(sources) > 1:
            raise SsnaError(f"item {item!r} needs a vector for each of {', '.join(sources)}: {_example(encoding)}")
        given = {next(iter(sources)): given}
    if unknown := [name for name in given if name not in sources]:
        raise SsnaError(f"item {item!r} has a vector for {unknown[0]!r}; there are {', '.join(sources)}")
    return {name: _array(item, values, sources[name]) for name, values in given.items()}


def _array(item: str, values: Any, source: Source) -> NDArray[np.float32]:
    """``(layers, d)``."""
    try:
        with np.errstate(over="ignore"):
            array = np.asarray(values)
            array = array.astype(np.float32) if array.dtype.kind in "fiu" else np.zeros(0, dtype=np.float32)
    except (TypeError, ValueError, OverflowError):  # lists of unlike lengths, other things than numbers
        array = np.zeros(0, dtype=np.float32)
    shape, named = (source.layers, source.width), "" if source.name == VECTORS else f" in {source.name}"
    if array.shape == (source.width,) and source.layers == 1:
        array = array[None]
    if array.shape != shape:
        wanted = f"{source.width} numbers" if source.layers == 1 else f"{shape[0]} lists of {shape[1]} numbers"
        found = f"has the shape {array.shape}" if array.size else "is no array of numbers"
        raise SsnaError(f"the vector of item {item!r}{named} {found}; give {wanted}, as the cache has them")
    if not np.isfinite(array).all():
        raise SsnaError(f"the vector of item {item!r}{named} has a value that is not finite; mend it")
    if not array.any():
        raise SsnaError(f"the vector of item {item!r}{named} is all zero; leave it out, or mend it")
    return array


def _example(encoding: Encoding) -> str:
    inner = ", ".join(f"{source.name!r}: array" for source in encoding.given)
    return f"vectors={{'sku-new': {{{inner}}}}}" if len(encoding.given) > 1 else "vectors={'sku-new': array}"


def require_vectors(items: Sequence[str], vectors: Mapping[str, Vectors], encoding: Encoding) -> None:
    """Raises :class:`SsnaError` for a new item that nothing is known of: no text that is read, and no vector."""
    if lacking := [item for item in items if not vectors.get(item)]:
        source = encoding.given[0]
        raise SsnaError(
            f"{len(lacking)} of {len(items)} new items have no vector, such as {lacking[0]!r}; this model ranks by "
            f"vectors of {source.width} numbers, not by texts: {_example(encoding)}"
        )
