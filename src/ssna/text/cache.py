"""The layer cache: what a language model saw in every text, one file a layer, rows keyed by the text itself.

A cache folder holds

    manifest.json       how the vectors were made (:class:`Manifest`)
    keys.bin            16 bytes a row: the hash of its text
    layer-06.f16.bin    width numbers a row, little-endian; ``f32`` where a value was too large for 16 bits

Files only grow. Layers are written before their keys, so a row that has a key is whole in every layer.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from ssna.core.display import cut, html_table
from ssna.core.errors import CacheError, SettingsError, worded
from ssna.core.files import read_json
from ssna.core.ragged import Ints
from ssna.text.encoding import Batching, Encoding, Pooling

Stored = Literal["f16", "f32"]
FloatType = np.dtype[np.floating[Any]]

FORMAT: Final = "ssna-layers-1"
MANIFEST = "manifest.json"
KEYS = "keys.bin"
KEY_BYTES = 16
STORED_DTYPES: Final[dict[Stored, FloatType]] = {"f16": np.dtype("<f2"), "f32": np.dtype("<f4")}


class Manifest(Encoding):
    """``manifest.json``: the encoding, and what the numbers of each layer are stored as."""

    format: Literal["ssna-layers-1"] = FORMAT
    stored: tuple[Stored, ...]
    """One entry a layer, in the order of ``layers``."""
    batching: Batching | None = None
    """Which texts the model reads together without changing their vectors, as it showed; None in older caches."""

    @property
    def encoding(self) -> Encoding:
        """The part that does not depend on how the numbers are stored."""
        return Encoding.model_validate(self.model_dump(include=set(Encoding.model_fields)))

    @property
    def files(self) -> Iterator[tuple[str, FloatType]]:
        """Name and number type of each layer's file, in the order of ``layers``."""
        return (
            (layer_file(n, stored), STORED_DTYPES[stored]) for n, stored in zip(self.layers, self.stored, strict=True)
        )


def layer_file(layer: int, stored: Stored) -> str:
    """The name of a layer's file."""
    return f"layer-{layer:02d}.{stored}.bin"


NAME_ANOTHER = "name another output folder"


def read_manifest(folder: Path, remedy: str = "name the folder that `ssna encode` made") -> Manifest:
    """The manifest of a cache. Raises :class:`CacheError` with the ``remedy`` when ``folder`` is no cache."""
    tree = read_json(folder / MANIFEST, CacheError, maker="ssna encode")
    if tree.get("format") != FORMAT:
        if {"format", "fingerprint"} <= tree.keys():
            raise CacheError(f"{folder} is a data folder, not a layer cache; {remedy}")
        raise CacheError(f"{folder} is no layer cache (format {tree.get('format')!r}); {remedy}")
    try:
        manifest = Manifest.parse(tree, str(folder / MANIFEST))
    except SettingsError as invalid:
        raise CacheError(f"{invalid}\nthe cache is damaged; encode into another folder") from None
    if len(manifest.stored) != len(manifest.layers):
        raise CacheError(f"{folder / MANIFEST} lists other files than layers; encode into another folder")
    return manifest


def key_of(text: str) -> bytes:
    """16 bytes that stand for ``text``; two texts that share them by chance are not to be expected in 10^18 texts."""
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=KEY_BYTES).digest()


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
        files: for each folder one ``(rows, d)`` memory map a layer, in the order of ``encoding.layers``.
    """

    folders: tuple[Path, ...]
    encoding: Encoding
    rows: Ints
    files: tuple[tuple[NDArray[np.floating[Any]], ...], ...]

    def __repr__(self) -> str:
        layers, name = self.layers, cut(str(self.folder), 200)
        return (
            f"<LayerCache of {len(self.rows) - 1:,} texts: {self.model}, layers {layers[0]} to {layers[-1]}, "
            f"{self.pooling} pooling, width {self.width}; {name}>"
        )

    def _repr_html_(self) -> str:
        about = {
            "texts": f"{len(self.rows) - 1:,}",
            "model": f"{self.model} ({self.encoding.revision[:12]})",
            "layers": f"{self.layers[0]} to {self.layers[-1]} of {self.encoding.depth}",
            "pooling": self.pooling,
            "width": self.width,
            "folder": ", ".join(map(str, self.folders)),
        }
        return html_table("LayerCache", about.items())

    @classmethod
    def open(cls, folder: Path | Sequence[Path], texts: Sequence[str]) -> "LayerCache":
        """Bind a cache to ``texts`` (``texts[0]`` is padding, an empty text). A million texts take seconds.

        Raises:
            CacheError: no cache, a damaged one, or one that lacks some of the texts; or several that were made in
                several ways.
        """
        folders = (Path(folder),) if isinstance(folder, str | Path) else tuple(map(Path, folder))
        first = read_manifest(folders[0])
        row_of: dict[bytes, int] = {}
        files, held = [], 0
        for each in folders:
            manifest = read_manifest(each)
            if manifest.encoding != first.encoding:
                raise CacheError(f"{each} was made in another way than {folders[0]}; encode all data in one way")
            rows_here, maps = _opened(each, manifest)
            row_of = {**{key: held + row for key, row in rows_here.items()}, **row_of}
            files.append(maps)
            held += len(rows_here)
        rows = np.array([row_of.get(key_of(text), -2) if text else -1 for text in texts], dtype=np.int64)
        missing = int((rows == -2).sum())
        if missing:
            asked, names = sum(text != "" for text in texts), ", ".join(map(str, folders))
            what, where = ("is the cache", "it") if len(folders) == 1 else ("are caches", "them")
            raise CacheError(
                f"{names} {what} of another data set: {missing:,} of {asked:,} texts are not in {where}; "
                f"run {_encode(folders[0])} to add them"
            )
        return cls(folders, first.encoding, rows, tuple(files))

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
    def pooling(self) -> Pooling:
        """How a text's token vectors became one."""
        return self.encoding.pooling

    @property
    def max_tokens(self) -> int:
        """Where longer texts were cut."""
        return self.encoding.max_tokens

    def top(self, a: int, items: Ints | None = None) -> NDArray[np.float32]:
        """``(a, I + 1, d)``: the top ``a`` layers, the last layer first, as Eq. 4 takes them; row 0 is zero.

        Args:
            items: rows ``(n,)``, in any order; then ``(a, n, d)``, and no more than these is read.

        Raises:
            CacheError: ``a`` is not between 1 and the number of layers held.
        """
        if not 1 <= a <= len(self.layers):
            raise CacheError(
                f"{self.folder} holds {len(self.layers)} layers, {a} were asked for\n"
                f"the model has {self.encoding.depth}; encode more of them into another folder"
            )
        rows = self.rows if items is None else self.rows[items]
        result = np.zeros((a, len(rows), self.width), dtype=np.float32)
        start = 0
        for files in self.files:
            stop = start + len(files[0])
            held = np.flatnonzero((rows >= start) & (rows < stop))
            for place, file in enumerate(reversed(files[-a:])):
                result[place, held] = file[rows[held] - start]
            start = stop
        return result


def _encode(folder: Path) -> str:
    return worded(python=f"`ssna.encode(data, out={str(folder)!r})`", shell=f"`ssna encode DATA -o {folder}`")


def _opened(folder: Path, manifest: Manifest) -> tuple[dict[bytes, int], tuple[NDArray[np.floating[Any]], ...]]:
    """The rows by their keys, and a memory map a layer."""
    try:
        row_of = rows_by_key((folder / KEYS).read_bytes())
        return row_of, tuple(_map(folder / name, dtype, len(row_of), manifest.width) for name, dtype in manifest.files)
    except FileNotFoundError as cause:
        raise CacheError(f"{cause.filename} is missing; run {_encode(folder)} to repair it") from None


def _map(path: Path, dtype: FloatType, rows: int, width: int) -> NDArray[np.floating[Any]]:
    """A file's first ``rows`` rows; what an unfinished run left behind them is not looked at."""
    if path.stat().st_size < rows * width * dtype.itemsize:
        raise CacheError(f"{path} is cut short; run {_encode(path.parent)} to repair it")
    if rows == 0:  # an empty file cannot be mapped
        return np.zeros((0, width), dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r", shape=(rows, width))
