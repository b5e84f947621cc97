"""``manifest.json`` of a layer cache: how its vectors were made, and the files that hold them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from ssna.core.errors import CacheError, SettingsError
from ssna.core.files import read_json
from ssna.text.encoding import Batching, Encoding, Stored

FloatType = np.dtype[np.floating[Any]]

FORMAT: Final = "ssna-layers-1"
MANIFEST = "manifest.json"
STORED_DTYPES: Final[dict[Stored, FloatType]] = {"f16": np.dtype("<f2"), "f32": np.dtype("<f4")}
NAME_ANOTHER = "name another output folder"


class Manifest(Encoding):
    """``manifest.json``: the encoding, and what the numbers of each layer are stored as."""

    format: Literal["ssna-layers-1"] = FORMAT
    stored: tuple[Stored, ...]
    """One entry a file, in the order of :attr:`Encoding.files`."""
    notes: bool | None = None
    """Whether there is a file of notes; caches of before 0.3 have none."""
    batching: Batching | None = None
    """Which texts the model reads together without changing their vectors, as it showed; None in older caches."""

    @property
    def encoding(self) -> Encoding:
        """The part that does not depend on how the numbers are stored."""
        return Encoding.model_validate(self.model_dump(include=set(Encoding.model_fields)))

    @property
    def layer_files(self) -> Iterator[tuple[str, FloatType, int]]:
        """Name, number type and width of each layer's file, the lowest layer first."""
        return (
            (layer_file(name, stored), STORED_DTYPES[stored], width)
            for (name, _, width), stored in zip(self.files, self.stored, strict=True)
        )


def layer_file(layer: int | str, stored: Stored) -> str:
    """The name of a layer's file."""
    return f"layer-{layer:02d}.{stored}.bin" if isinstance(layer, int) else f"layer-{layer}.{stored}.bin"


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
    if len(manifest.stored) != len(list(manifest.files)):
        raise CacheError(f"{folder / MANIFEST} lists other files than layers; encode into another folder")
    return manifest
