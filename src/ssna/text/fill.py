"""Filling a layer cache: only texts that it lacks are read, and a run that is cut off goes on where it stopped."""

import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from functools import lru_cache
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssna.compute.forks import lost_the_gpu
from ssna.core.errors import CacheError, EncoderError, Interrupted, worded
from ssna.core.progress import progress
from ssna.text.cache import LayerCache, cache_root, key_of
from ssna.text.content import say_nothing
from ssna.text.encoding import Batching, Encoding, Layers
from ssna.text.manifest import MANIFEST, NAME_ANOTHER, Manifest, read_manifest
from ssna.text.moved import require_there
from ssna.text.notes import Notes, Unseen, notes_of
from ssna.text.options import DEFAULTS, ReadOptions
from ssna.text.writer import CacheWriter, check_agreement, writing

if TYPE_CHECKING:
    from ssna.text.encoder import Encoded, TextEncoder

SAVE_SECONDS = 5.0  # at most so much work is lost when the process is killed,
SAVE_BYTES = 64 * 2**20  # and at most so much of it waits in memory

PATIENCE = timedelta(days=7)  # processes that share the texts wait at the end for the slowest

_ONE_AT_A_TIME = Lock()  # neither tokenizers nor the first loading of weights bear two threads


@dataclass(frozen=True)
class EncodeReport:
    """What one run did: ``encoded + reused`` is the number of texts that are not empty.

    Attributes:
        encoded: texts that went through the model.
        reused: texts whose vectors were there already, or that repeat another text.
        tokens_per_second: real tokens read a second, loading the model left out; 0 when nothing was encoded.
        layers: how many layers the cache holds.
        width: numbers in a vector.
        without: of each source of vectors from elsewhere that lacks some: its name, how many items of the catalogue
            have none, and one of these.
        unseen: what the model could not see of the texts, counted; see :class:`ssna.text.notes.Unseen`.
    """

    encoded: int
    reused: int
    tokens_per_second: float
    layers: int
    width: int
    without: tuple[tuple[str, int, str], ...] = ()
    unseen: Unseen | None = None

    def tree(self) -> dict[str, Any]:
        """What ``encode --json`` prints."""
        plain = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in ("without", "unseen")}
        without = [dict(zip(("source", "items", "example"), each, strict=True)) for each in self.without]
        unseen = {} if self.unseen is None else self.unseen.tree()
        return plain | unseen | ({"without_vector": without} if without else {})


def encode(
    texts: Sequence[str],
    model: str = "minilm",
    out: Path | str | None = None,
    options: ReadOptions = DEFAULTS,
    *,
    quiet: bool = False,
) -> tuple[LayerCache, EncodeReport]:
    """Read every text once with a frozen language model; what a cache folder already holds is not read again.

    Started by torchrun in several processes, all of them must call it: they share the texts, and each writes its own.

    Args:
        texts: ``texts[r]`` belongs to item row ``r``; empty ones (``texts[0]``) get zero vectors.
        model: ``minilm``, a folder that ``save_pretrained`` wrote, or a hub id; an encoder or a decoder.
        out: the cache folder; None takes one in the user's cache directory that all data sets share.
        options: how the model reads them, and how many of its layers are kept.
        quiet: no progress on standard error.

    Raises:
        EncoderError: the model cannot be found, loaded or run so.
        CacheError: the folder is no cache, was made otherwise, is being written to, or the disk is full.
    """
    import torch

    from ssna.compute import distributed

    existing = existing_in(None if out is None else Path(out))
    encoder = encoder_of(model, options, existing)
    folder = default_folder(encoder, options.layers) if out is None else Path(out)
    existing = existing or existing_in(folder)
    encoder, batching = going_on(encoder, existing)
    encoding = _encoding(encoder, options.layers, folder, existing)
    with distributed.process_group(torch.device("cpu"), PATIENCE), writing(folder, encoding, batching) as writer:
        missing = {key: text for text in texts if text and (key := key_of(text)) not in writer.known}
        distributed.barrier()  # until all have seen the same texts missing
        size = writer.reserve(len(missing))
        quiet = quiet or not distributed.is_main()
        if not quiet and missing:
            _announce(encoding, len(missing), size, folder)
            say_remark(encoder)
        own = dict(islice(missing.items(), distributed.rank(), None, distributed.world_size()))
        speed = distributed.all_reduce(torch.tensor(_fill(writer, encoder, own, quiet), dtype=torch.float64)).item()
    asked = sum(text != "" for text in texts)
    report = EncodeReport(len(missing), asked - len(missing), round(speed, 1), len(encoding.layers), encoding.width)
    cache = LayerCache.open(folder, texts)
    return cache, replace(report, unseen=cache.unseen)


def embed(
    texts: Sequence[str], encoding: Encoding, layers: int | None = None, device: str = "auto"
) -> NDArray[np.float32]:
    """Vectors of a few new texts, made as ``encoding`` says, without a cache.

    The model of the last call stays loaded, for servers that admit items one by one; threads take turns.

    Returns:
        ``(a, n, d)``, the last layer first, as :meth:`LayerCache.top` gives them; a = ``layers``, or all that the
        encoding keeps. They equal a cache's vectors up to rounding: its 16 bits a number, and the model's precision.

    Raises:
        EncoderError: the model is gone, is not the one that made the cache, or there was none.
        CacheError: the encoding keeps fewer layers.
    """
    kept = len(encoding.layers) if layers is None else layers
    if not 1 <= kept <= len(encoding.layers):
        raise CacheError(f"the encoding keeps {len(encoding.layers)} layers, {kept} were asked for")
    with _ONE_AT_A_TIME:
        return _encoder_like(encoding, device).vectors(texts, kept)[::-1].copy()


def without_content(texts: Sequence[str], encoding: Encoding, device: str = "auto") -> list[bool]:
    """Which texts say nothing of their item to the language model of ``encoding``.

    See :func:`ssna.text.content.say_nothing`. Raises :class:`EncoderError` as :func:`embed`.
    """
    with _ONE_AT_A_TIME:
        encoder = _encoder_like(encoding, device)
        tokens = replace(encoder, prompt=None).tokenize(list(texts))
        return say_nothing(texts, tokens, encoder.model.tokenizer)


@lru_cache(maxsize=1)
def _encoder_like(encoding: Encoding, device: str) -> "TextEncoder":
    from ssna.text.encoder import TextEncoder

    if not encoding.has_model:
        raise EncoderError("no language model read these items, so that none can read a text; give vectors")
    require_there(encoding)
    return TextEncoder.like(encoding, device)


def _start_anew_in_a_fork() -> None:
    """A thread that is not in the child may have held the lock; and what lies on a GPU cannot be used there."""
    global _ONE_AT_A_TIME
    _ONE_AT_A_TIME = Lock()
    if lost_the_gpu():
        _encoder_like.cache_clear()


os.register_at_fork(after_in_child=_start_anew_in_a_fork)


def default_folder(encoder: "TextEncoder", layers: Layers) -> Path:
    """Where a cache without a name lies: one folder for each way of encoding, under ``$XDG_CACHE_HOME/ssna``."""
    name = Path(encoder.model.name)
    slug = re.sub(r"[^\w.-]+", "-", name.name if name.is_absolute() else str(name))
    parts = [slug, encoder.model.revision[:8], encoder.pooling, str(encoder.max_tokens), encoder.dtype]
    return cache_root() / "-".join([*parts, *([] if layers == "all" else [f"top{layers}"])])


def encoder_of(model: str, options: ReadOptions, existing: Encoding | None) -> "TextEncoder":
    """The language model; where ``options`` say nothing, as the cache ``existing`` was begun."""
    from ssna.text.encoder import TextEncoder

    return TextEncoder.find(model, options.going_on(existing, model))


def say_remark(encoder: "TextEncoder") -> None:
    """On standard error, where there is something to say."""
    if encoder.remark:
        print(encoder.remark, file=sys.stderr)


def going_on(encoder: "TextEncoder", existing: Manifest | None) -> tuple["TextEncoder", Batching | None]:
    """The encoder that goes on with a cache, and which texts it reads together: as the cache knows, if it is there."""
    if existing is not None and existing.revision == encoder.model.revision:
        encoder = replace(encoder.going_on(existing), known_batching=existing.batching)
    return encoder, encoder.batching if existing is None else existing.batching


def existing_in(folder: Path | None) -> Manifest | None:
    """The manifest of the cache in ``folder``, if there is one."""
    return read_manifest(folder, NAME_ANOTHER) if folder is not None and (folder / MANIFEST).exists() else None


def _encoding(encoder: "TextEncoder", layers: Layers, folder: Path, existing: Manifest | None) -> Encoding:
    """What is to be stored. An existing cache knows its model's shape, so that a finished one needs no weights."""
    if existing is None:
        return encoder.encoding(layers)
    if existing.revision != encoder.model.revision:
        layers = len(existing.layers)  # of another model: only the model is worth a word
    asked = encoder.encoding(layers, shape=(existing.depth, existing.width))
    check_agreement(folder, existing, asked)
    return asked


@dataclass
class _Pending:
    """Rows that wait to be saved."""

    keys: list[bytes] = field(default_factory=list)
    vectors: list[NDArray[np.float32]] = field(default_factory=list)
    notes: list[Notes] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)

    def add(self, keys: list[bytes], batch: "Encoded", notes: Notes) -> None:
        self.keys += [keys[row] for row in batch.rows]
        self.vectors.append(batch.vectors)
        self.notes.append(notes)

    @property
    def is_due(self) -> bool:
        return time.monotonic() - self.since > SAVE_SECONDS or sum(v.nbytes for v in self.vectors) > SAVE_BYTES

    def save(self, writer: CacheWriter) -> None:
        if self.keys:
            writer.append(self.keys, np.concatenate(self.vectors, axis=1), np.concatenate(self.notes))


def _fill(writer: CacheWriter, encoder: "TextEncoder", missing: dict[bytes, str], quiet: bool) -> float:
    """Encode and save ``missing``; returns tokens a second."""
    if not missing:
        return 0.0
    keys, texts = list(missing), list(missing.values())
    encoder.load()  # whose time is not counted
    pending, tokens, done, speed, start = _Pending(), 0, 0, 0.0, time.monotonic()
    with progress("encode", total=sum(map(len, texts)), quiet=quiet) as advance:
        try:
            for batch in encoder.encode(texts, len(writer.manifest.layers)):
                pending.add(keys, batch, notes_of(encoder, [texts[row] for row in batch.rows], batch.token_ids))
                if pending.is_due:
                    pending.save(writer)
                    pending = _Pending()
                tokens += batch.tokens
                done += len(batch.rows)
                speed = tokens / (time.monotonic() - start)
                advance(sum(len(texts[row]) for row in batch.rows), f"{speed:,.0f} tokens/s")
        except KeyboardInterrupt:
            pending.save(writer)
            again = worded(python="call encode again", shell="give the same command again")
            kept = f"{done:,} of {len(keys):,} texts are encoded and kept; to go on, {again}"
            raise Interrupted(kept) from None
    pending.save(writer)
    return speed


def _announce(encoding: Encoding, rows: int, size: int, folder: Path) -> None:
    print(
        f"{encoding.model}: {rows:,} texts to encode, {len(encoding.layers)} layers x {encoding.width} numbers: "
        f"{size / 1e6:,.1f} MB in {folder}",
        file=sys.stderr,
    )
