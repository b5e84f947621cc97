"""The layer cache: what a language model saw in every text, one file a layer, rows keyed by the text itself.

A cache folder holds

    manifest.json       how the vectors were made (:class:`Manifest`)
    keys.bin            16 bytes a row: the hash of its text; of vectors from elsewhere, the hash of the item
    layer-06.f16.bin    width numbers a row, little-endian; ``f32`` where a value was too large for 16 bits
    layer-s1-01.f32.bin the same, of the first layer of the first source of vectors from elsewhere
    notes.bin           9 bytes a row: whether its text was cut, or is unknown to the model; a hash of its tokens

Files only grow. Layers are written before their keys, so a row that has a key is whole in every layer.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssna.core.display import cut, html_table
from ssna.core.errors import CacheError, for_python, worded
from ssna.core.ragged import Ints
from ssna.text.encoding import Encoding, Pooling, Source
from ssna.text.manifest import FloatType, Manifest, read_manifest
from ssna.text.notes import Notes, Unseen, open_notes, unseen_of, warnings_of

KEYS = "keys.bin"
KEY_BYTES = 16


def cache_root() -> Path:
    """Where caches without a name lie."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ssna"


def key_of(text: str) -> bytes:
    """16 bytes that stand for ``text``; two texts that share them by chance are not to be expected in 10^18 texts."""
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=KEY_BYTES).digest()


def keys_of(encoding: Encoding, texts: Sequence[str], items: Sequence[str] | None) -> list[bytes | None]:
    """The key of each text, None for an empty one; where vectors are those of items, of each item.

    Args:
        texts: ``n``.
        items: their ids, ``n``; an empty one is padding.

    Raises:
        CacheError: there are no ids, and the vectors are those of items.
    """
    if encoding.sources is None:
        return [key_of(text) if text else None for text in texts]
    if items is None:
        raise CacheError("the vectors of this cache are those of items; name the items, not their texts alone")
    if not encoding.reads_text:
        return [key_of(item) if item else None for item in items]
    pairs = zip(items, texts, strict=True)
    return [key_of(f"{len(item)} {item} {text}") if item else None for item, text in pairs]  # a new text is read anew


def rows_by_key(keys: bytes) -> dict[bytes, int]:
    """The row of every key in the content of ``keys.bin``; a torn last key is left out."""
    whole = len(keys) // KEY_BYTES
    return {keys[KEY_BYTES * row : KEY_BYTES * (row + 1)]: row for row in range(whole)}


@dataclass(frozen=True, eq=False)
class LayerCache:
    """The vectors of one list of texts, read from cache folders that may hold many more.

    Attributes:
        folders: the cache folders; more than one for several data sets that were encoded apart, in one way.
        encoding: how the vectors were made.
        rows: ``(I + 1,)`` the row of every text, counted through the folders; -1 for an empty text, whose vectors are
            zero.
        files: for each folder one ``(rows, d)`` memory map a layer, in the order of ``encoding.files``.
        texts, items: what it is bound to, as :meth:`open` was told.
        notes: for each folder what was noted of its texts, or None.
    """

    folders: tuple[Path, ...]
    encoding: Encoding
    rows: Ints
    files: tuple[tuple[NDArray[np.floating[Any]], ...], ...]
    texts: Sequence[str] = field(default=(), repr=False)
    items: Sequence[str] | None = field(default=None, repr=False)
    notes: tuple[Notes | None, ...] = field(default=(), repr=False)

    def __repr__(self) -> str:
        what = "items" if self.encoding.sources else "texts"
        made = [f"{self.model}, layers {self.layers[0]} to {self.layers[-1]}", f"{self.pooling} pooling"]
        made = [*(made if self.encoding.has_model else ()), *map(described, self.encoding.sources or ())]
        return (
            f"<LayerCache of {len(self.rows) - 1:,} {what}: {', '.join(made)}, width {self.width}; "
            f"{cut(str(self.folder), 200)}>"
        )

    def _repr_html_(self) -> str:
        model = {
            "model": f"{self.model} ({self.encoding.revision[:12]})",
            "layers": f"{self.layers[0]} to {self.layers[-1]} of {self.encoding.depth}",
            "pooling": self.pooling,
        }
        about = {
            "items" if self.encoding.sources else "texts": f"{len(self.rows) - 1:,}",
            **(model if self.encoding.has_model else {}),
            **{source.name: described(source) for source in self.encoding.sources or ()},
            "width": self.width,
            "folder": ", ".join(map(str, self.folders)),
        }
        return html_table("LayerCache", about.items())

    @classmethod
    def open(
        cls, folder: Path | Sequence[Path], texts: Sequence[str], items: Sequence[str] | None = None
    ) -> "LayerCache":
        """Bind a cache to ``texts`` (``texts[0]`` is padding, an empty text). A million texts take seconds.

        Args:
            items: ``(I,)`` their ids, without padding; vectors from elsewhere go by them.

        Raises:
            CacheError: no cache, a damaged one, or one that lacks some of the texts; or several that were made in
                several ways.
        """
        folders = (Path(folder),) if isinstance(folder, str | Path) else tuple(map(Path, folder))
        first = read_manifest(folders[0])
        row_of: dict[bytes, int] = {}
        files, notes, held = [], list[Notes | None](), 0
        for each in folders:
            manifest = read_manifest(each)
            if manifest.encoding != first.encoding:
                raise CacheError(f"{each} was made in another way than {folders[0]}; encode all data in one way")
            rows_here, maps = _opened(each, manifest)
            notes.append(open_notes(each, len(rows_here)) if manifest.notes else None)
            row_of = {**{key: held + row for key, row in rows_here.items()}, **row_of}
            files.append(maps)
            held += len(rows_here)
        keys = keys_of(first.encoding, texts, None if items is None else ("", *items))
        rows = np.array([-1 if key is None else row_of.get(key, -2) for key in keys], dtype=np.int64)
        missing = int((rows == -2).sum())
        if missing:
            asked, names = sum(key is not None for key in keys), ", ".join(map(str, folders))
            what, where = ("is the cache", "it") if len(folders) == 1 else ("are caches", "them")
            raise CacheError(
                f"{names} {what} of another data set: {missing:,} of {asked:,} "
                f"{'items' if first.sources else 'texts'} are not in {where}; "
                f"run {_encode(folders[0], first.encoding)} to add them"
            )
        return cls(folders, first.encoding, rows, tuple(files), texts, items, tuple(notes))

    @property
    def folder(self) -> Path:
        """The cache folder, or the first of them."""
        return self.folders[0]

    @property
    def layers(self) -> tuple[int, ...]:
        """The numbers of the layers held, rising; 1 is the model's lowest."""
        return self.encoding.layers

    @property
    def width(self) -> int:
        """d, the numbers in a vector."""
        return self.encoding.width

    @property
    def model(self) -> str:
        """The language model: `minilm`, a hub id, or a folder."""
        return self.encoding.model

    @property
    def pooling(self) -> Pooling | None:
        """How a text's token vectors became one; None without a language model."""
        return self.encoding.pooling

    @property
    def max_tokens(self) -> int | None:
        """Where longer texts were cut; None without a language model."""
        return self.encoding.max_tokens

    @cached_property
    def unseen(self) -> Unseen:
        """What the model could not see of the texts; a million texts take seconds."""
        return unseen_of(self.rows, self.files, self.notes, self.encoding)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What has to be said of :attr:`unseen`."""
        return tuple(map(for_python, self.warnings_to_word()))

    def warnings_to_word(self) -> Iterator[str]:
        """As :attr:`warnings`, for whoever prints them to choose the words of Python or of the shell."""
        names = self.texts if self.encoding.reads_text else ("", *(self.items or ()))
        return warnings_of(self.unseen, self.encoding, names)

    def reach(self, layers: int) -> int:
        """How many layers a method gets that asks for the top ``layers`` of the language model: vectors from elsewhere
        come along. Of fewer in vectors that stand in the model's place, all."""
        held = layers if self.encoding.has_model else min(layers, len(self.layers))
        return held + self.encoding.extra

    def top(self, a: int, items: Ints | None = None) -> NDArray[np.float32]:
        """``(a, I + 1, d)``: the top ``a`` layers, the last layer first, as Eq. 4 takes them; row 0 is zero.

        Layers of vectors from elsewhere stand above the model's. Narrower ones have zeros at their end.

        Args:
            items: rows ``(n,)``, in any order; then ``(a, n, d)``, and no more than these is read.

        Raises:
            CacheError: ``a`` is not between 1 and the number of layers held.
        """
        extra = self.encoding.extra
        if not 1 <= a <= len(self.layers) + extra:
            raise CacheError(
                f"{self.folder} holds {len(self.layers)} layers, {a - extra} were asked for\n"
                f"the model has {self.encoding.depth}; encode more of them into another folder"
            )
        rows = self.rows if items is None else self.rows[items]
        result = np.zeros((a, len(rows), self.width), dtype=np.float32)
        start = 0
        for files in self.files:
            stop = start + len(files[0])
            held = np.flatnonzero((rows >= start) & (rows < stop))
            for place, file in enumerate(reversed(files[-a:])):
                result[place, held, : file.shape[1]] = file[rows[held] - start]
            start = stop
        return result


def described(source: Source) -> str:
    """A source in a few words."""
    layers = f"{source.layers} layers of " if source.layers > 1 else ""
    return f"{source.name} ({layers}{source.width} numbers)"


def _encode(folder: Path, encoding: Encoding) -> str:
    return worded(
        python=f"`ssna.encode(data{', vectors=...' if encoding.given else ''}, out={str(folder)!r})`",
        shell=f"`ssna encode DATA {'--vectors FILE ' if encoding.given else ''}-o {folder}`",
    )


def _opened(folder: Path, manifest: Manifest) -> tuple[dict[bytes, int], tuple[NDArray[np.floating[Any]], ...]]:
    """The rows by their keys, and a memory map a layer."""
    try:
        row_of = rows_by_key((folder / KEYS).read_bytes())
        return row_of, tuple(
            _map(folder / name, dtype, (len(row_of), width), manifest) for name, dtype, width in manifest.layer_files
        )
    except FileNotFoundError as cause:
        raise CacheError(f"{cause.filename} is missing; run {_encode(folder, manifest)} to repair it") from None


def _map(path: Path, dtype: FloatType, shape: tuple[int, int], manifest: Manifest) -> NDArray[np.floating[Any]]:
    """A file's first rows; what an unfinished run left behind them is not looked at."""
    rows, width = shape
    if path.stat().st_size < rows * width * dtype.itemsize:
        raise CacheError(f"{path} is cut short; run {_encode(path.parent, manifest)} to repair it")
    if rows == 0:  # an empty file cannot be mapped
        return np.zeros((0, width), dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r", shape=(rows, width))
