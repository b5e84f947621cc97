"""Filling a layer cache with vectors from elsewhere: rows keyed by items, a language model's layers beside them."""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ssna.core.errors import CacheError, Interrupted, worded
from ssna.core.ragged import Ints
from ssna.text.cache import LayerCache, cache_root, keys_of
from ssna.text.encoding import Encoding, Layers
from ssna.text.fill import (
    PATIENCE,
    SAVE_BYTES,
    SAVE_SECONDS,
    EncodeReport,
    default_folder,
    encoder_of,
    existing_in,
    going_on,
    say_remark,
)
from ssna.text.manifest import NAME_ANOTHER, Manifest
from ssna.text.notes import NOTE_BYTES, Notes, notes_of
from ssna.text.options import DEFAULTS, ReadOptions
from ssna.text.sources import Find, ItemVectors, bind, digest_of, mean_length, open_sources, with_sources
from ssna.text.writer import CacheWriter, check_agreement, writing

if TYPE_CHECKING:
    from ssna.text.encoder import TextEncoder

AT_ONCE = 4_096  # items whose vectors are read together
SAMPLED = 256  # texts that tell how long a language model's vectors are

Rows = tuple[list[bytes], list[NDArray[np.float32]], Notes]
Read = tuple[Ints, list[NDArray[np.float32]], Notes | None, int]
"""Items by rows, the language model's layers ``(n, d)`` of their texts, what was noted of these, and tokens read."""


@dataclass(frozen=True, eq=False)
class Items:
    """What vectors are wanted of, row 0 padding.

    Attributes:
        texts: ``(I + 1,)``, the first one empty.
        ids: ``(I,)``.
        find: ids to rows.
        needed: how many of them, the first, are of the catalogue; what comes behind may lack a vector.
    """

    texts: Sequence[str]
    ids: Sequence[str]
    find: Find
    needed: int


def encode_items(
    items: Items,
    vectors: object,
    model: str | None = None,
    out: Path | str | None = None,
    options: ReadOptions = DEFAULTS,
    *,
    quiet: bool = False,
) -> tuple[LayerCache, EncodeReport]:
    """As :func:`ssna.text.encode`, with vectors from elsewhere beside the language model's, or alone.

    Args:
        vectors: see :func:`ssna.text.sources.open_sources`.
        model: None for no language model.
        options: how the model reads them, and how many of its layers are kept.

    Raises:
        CacheError: vectors cannot be read or do not fit, or an item has another one in the cache already; or as
            :func:`ssna.text.encode`.
        EncoderError: a language model, or a static one, cannot be found, loaded or run so.
    """
    import torch

    from ssna.compute import distributed

    bound = [bind(source, items.find, items.ids) for source in open_sources(vectors)]
    existing = existing_in(None if out is None else Path(out))
    encoder = None if model is None else encoder_of(model, options, existing)
    folder = _default(encoder, options.layers, bound, items) if out is None else Path(out)
    existing, batching = existing or existing_in(folder), None
    if encoder is not None:
        encoder, batching = going_on(encoder, existing)
    encoding = _encoding(encoder, options.layers, bound, items.texts, existing)
    if existing is not None:
        check_agreement(folder, existing, encoding)
    keys = keys_of(encoding, items.texts, ("", *items.ids))
    with distributed.process_group(torch.device("cpu"), PATIENCE), writing(folder, encoding, batching) as writer:
        wanted = {key: row for row, key in enumerate(keys) if key is not None}
        known = [row for key, row in wanted.items() if key in writer.known]
        missing = [row for key, row in wanted.items() if key not in writer.known]
        distributed.barrier()
        size = writer.reserve(len(missing))
        _require_same(folder, items, bound, np.array(known, dtype=np.int64))
        quiet = quiet or not distributed.is_main()
        if not quiet and missing:
            print(f"{len(missing):,} items to encode: {size / 1e6:,.1f} MB in {folder}", file=sys.stderr)
            if encoder is not None:
                say_remark(encoder)
        own = list(islice(missing, distributed.rank(), None, distributed.world_size()))
        rows = _rows_of_model(encoder, items.texts, own, len(encoding.layers)) if encoder else _rows(own)
        speed = _fill(writer, rows, bound, items.texts, keys)
        speed = distributed.all_reduce(torch.tensor(speed, dtype=torch.float64)).item()
    report = EncodeReport(len(missing), len(known), round(speed, 1), len(encoding.layers), encoding.width)
    cache = LayerCache.open(folder, items.texts, items.ids)
    return cache, replace(report, without=_without(bound, items), unseen=cache.unseen)


def _default(encoder: "TextEncoder | None", layers: Layers, bound: Sequence[ItemVectors], items: Items) -> Path:
    name = digest_of(bound, items.ids)
    if encoder is None:
        return cache_root() / f"vectors-{name}"
    folder = default_folder(encoder, layers)
    return folder.with_name(f"{folder.name}-{name}")


def _encoding(
    encoder: "TextEncoder | None",
    layers: Layers,
    bound: Sequence[ItemVectors],
    texts: Sequence[str],
    existing: Manifest | None,
) -> Encoding:
    """What is to be stored; an existing cache knows its model's shape, and its scales."""
    base = None
    if encoder is not None:
        known = existing is not None and existing.has_model
        shape = (existing.depth, existing.text_width) if existing is not None and known else None
        base = encoder.encoding(layers, shape=shape)
    if existing is not None and len(existing.sources or ()) == len(bound):
        return with_sources(base, bound, [source.scale for source in existing.sources or ()])
    return with_sources(base, bound, _scales(encoder, bound, texts))


def _scales(encoder: "TextEncoder | None", bound: Sequence[ItemVectors], texts: Sequence[str]) -> list[float]:
    """Sources beside others are made as long, in the mean: a whitening takes the directions of largest variance."""
    lengths = [each.mean_length(texts) for each in bound]
    first = lengths[0]
    if encoder is not None:
        distinct = sorted({text for text in texts if text})
        some = np.unique(np.linspace(0, max(len(distinct) - 1, 0), SAMPLED).astype(np.int64)) if distinct else ()
        first = mean_length(encoder.vectors([distinct[place] for place in some], 1)[0])
    scales = [float(f"{first / length:.6g}") if first > 0 and length > 0 else 1.0 for length in lengths]
    return scales if encoder is not None else [1.0, *scales[1:]]


def _require_same(folder: Path, items: Items, bound: Sequence[ItemVectors], known: Ints) -> None:
    """Raises :class:`CacheError` if an item is in the cache with another vector."""
    if not len(known) or all(each.rows is None for each in bound):
        return
    texts, ids = ["", *(items.texts[row] for row in known)], [items.ids[row - 1] for row in known]
    cache = LayerCache.open(folder, texts, ids)
    first = len(list(cache.encoding.files)) - sum(source.layers for source in cache.encoding.sources or ())
    for start in range(0, len(known), AT_ONCE):
        rows = known[start : start + AT_ONCE]
        held = cache.files[0][first:]
        stored = [file[cache.rows[1 + start : 1 + start + len(rows)]] for file in held]
        given = [
            layer for each, source in zip(bound, cache.encoding.sources or (), strict=True)
            for layer in _scaled(each, source.scale, rows, items.texts)
        ]  # fmt: skip
        for mine, theirs in zip(stored, given, strict=True):
            differs = (mine != theirs.astype(mine.dtype)).any(axis=1)
            if differs.any():
                item = items.ids[int(rows[int(np.argmax(differs))]) - 1]
                raise CacheError(f"{folder} has another vector of item {item!r}; vectors there stay\n{NAME_ANOTHER}")


def _scaled(each: ItemVectors, scale: float, rows: Ints, texts: Sequence[str]) -> Iterator[NDArray[np.float32]]:
    """``(n, d)`` a layer."""
    taken = each.take(rows, [texts[row] for row in rows.tolist()])
    yield from (layer if scale == 1 else layer * np.float32(scale) for layer in taken)


def _rows(own: Sequence[int]) -> Iterator[Read]:
    """Items without a language model's layers."""
    for start in range(0, len(own), AT_ONCE):
        yield np.array(own[start : start + AT_ONCE], dtype=np.int64), [], None, 0


def _rows_of_model(encoder: "TextEncoder", texts: Sequence[str], own: Sequence[int], layers: int) -> Iterator[Read]:
    """As :func:`_rows`, with the language model's layers; a text that several items have is read once."""
    of_text: dict[str, list[int]] = {}
    for row in own:
        of_text.setdefault(texts[row], []).append(row)
    silent = of_text.pop("", [])
    distinct = list(of_text)
    for batch in encoder.encode(distinct, layers):
        places = [(place, row) for place, text in enumerate(batch.rows.tolist()) for row in of_text[distinct[text]]]
        rows = np.array([row for _, row in places], dtype=np.int64)
        chosen = [place for place, _ in places]
        notes = notes_of(encoder, [distinct[text] for text in batch.rows], batch.token_ids)
        yield rows, list(batch.vectors[:, chosen]), notes[chosen], batch.tokens
    if silent:
        nothing = np.zeros((layers, len(silent), encoder.shape[1]), dtype=np.float32)
        yield np.array(silent, dtype=np.int64), list(nothing), None, 0


def _fill(
    writer: CacheWriter,
    rows: Iterator[Read],
    bound: Sequence[ItemVectors],
    texts: Sequence[str],
    keys: Sequence[bytes | None],
) -> float:
    """Save what ``rows`` gives, with the vectors of each source; returns tokens a second."""
    pending: list[Rows] = []
    since, start, tokens, done, speed = time.monotonic(), time.monotonic(), 0, 0, 0.0
    try:
        for some, layers, noted, read in rows:
            sources = zip(bound, writer.manifest.sources or (), strict=True)
            beside = [layer for each, source in sources for layer in _scaled(each, source.scale, some, texts)]
            notes = np.zeros((len(some), NOTE_BYTES), dtype=np.uint8) if noted is None else noted
            own_keys = [key for row in some.tolist() if (key := keys[row]) is not None]
            pending.append((own_keys, [*layers, *beside], notes))
            done, tokens = done + len(some), tokens + read
            speed = tokens / max(time.monotonic() - start, 1e-9)
            size = sum(layer.nbytes for _, each, _ in pending for layer in each)
            if time.monotonic() - since > SAVE_SECONDS or size > SAVE_BYTES:
                _save(writer, pending)
                pending, since = [], time.monotonic()
    except KeyboardInterrupt:
        _save(writer, pending)
        again = worded(python="call encode again", shell="give the same command again")
        raise Interrupted(f"{done:,} items are encoded and kept; to go on, {again}") from None
    _save(writer, pending)
    return speed


def _save(writer: CacheWriter, pending: Sequence[Rows]) -> None:
    if pending:
        files = zip(*(layers for _, layers, _ in pending), strict=True)
        writer.append(
            [key for keys, _, _ in pending for key in keys],
            [np.concatenate(layers) for layers in files],
            np.concatenate([notes for _, _, notes in pending]),
        )


def _without(bound: Sequence[ItemVectors], items: Items) -> tuple[tuple[str, int, str], ...]:
    """Of each source that lacks vectors: its name, how many items of the catalogue have none, and one of these."""
    found = []
    for each in bound:
        if each.rows is None:
            continue
        lacking = np.flatnonzero(each.rows[1 : items.needed + 1] < 0)
        if len(lacking):
            found.append((each.of.name, len(lacking), items.ids[int(lacking[0])]))
    return tuple(found)
