"""Static models of the library model2vec: a vector for each token, averaged. They read a text without a network."""

import hashlib
import importlib.util
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssna.core.errors import ArtifactError, EncoderError, option
from ssna.core.hub import download
from ssna.text.encoding import Source
from ssna.text.given import SUFFIXES

PACKAGE = "model2vec"
CONFIG = "config.json"
FILES = (CONFIG, "*.safetensors", "token*", "vocab*")
KIND = "model2vec"
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, eq=False)
class StaticModel:
    """A static model that was found; its weights are read at the first text.

    Attributes:
        name: of the source, one of several.
        model: a hub id, or the absolute path of a folder.
        folder: where its files are.
        revision: the hub's commit, or the hash of the folder's files.
    """

    name: str
    model: str
    folder: Path
    revision: str

    @cached_property
    def network(self) -> Any:
        """The model. Raises :class:`EncoderError` if the library is not installed, or cannot read it."""
        if importlib.util.find_spec(PACKAGE) is None:
            raise EncoderError(f"{self.model} is a static model, which {PACKAGE} reads\npip install 'ssna[static]'")
        from model2vec import StaticModel as Network

        try:
            return Network.from_pretrained(self.folder)
        except Exception as cause:
            first = next(iter(str(cause).strip().splitlines()), type(cause).__name__)
            raise EncoderError(
                f"{self.model} cannot be read as a static model ({first[:200]})\nfetch it again"
            ) from None

    @property
    def width(self) -> int:
        """Numbers in a vector."""
        return int(self.network.dim)

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """``(n, 1, d)``; zero for a text that is empty, or has no token that the model knows."""
        full = [place for place, text in enumerate(texts) if text]
        result = np.zeros((len(texts), 1, self.width), dtype=np.float32)
        if full:
            safe = [texts[place].encode(errors="replace").decode() for place in full]
            result[full, 0] = self.network.encode(safe, use_multiprocessing=False)
        if not np.isfinite(result).all():
            raise EncoderError(
                f"{self.model} gives values that are not finite\nits weights are damaged; fetch it again"
            )
        return result


def is_static(given: object) -> bool:
    """Whether ``given`` is the folder of a static model, or the id of something on a hub."""
    if not isinstance(given, str | Path):
        return False
    if Path(given).exists():
        return _kind(Path(given)) == KIND
    is_file = Path(given).suffix.lower() in SUFFIXES or Path(given).parent.exists()
    return isinstance(given, str) and bool(HUB_ID.fullmatch(given)) and not is_file


def find_static(model: str, name: str, revision: str | None = None) -> StaticModel:
    """A static model by its folder or hub id; its weights are not read yet.

    Args:
        name: of the source.
        revision: what a manifest recorded; the model must still be the same. None takes what there is now.

    Raises:
        EncoderError: there is none, it is of another kind, or it has changed since ``revision``.
    """
    if Path(model).is_dir():
        folder = Path(model).resolve()
        found = StaticModel(name, str(folder), folder, _hash_of(folder))
    else:
        try:
            folder = download(model, FILES, token=None, revision=revision)
        except ArtifactError as cause:
            raise EncoderError(str(cause)) from None
        found = StaticModel(name, model, folder, folder.name)
    if _kind(folder) != KIND:
        raise EncoderError(f"{model} is no static model of {PACKAGE}\nname a language model with {option('model')}")
    if revision not in (None, found.revision):
        raise EncoderError(
            f"{model} has changed: {found.revision[:12]} now, {revision[:12]} when the vectors were made\n"
            "put the old model back, or encode and train again with this one"
        )
    return found


@lru_cache(maxsize=4)
def static_like(source: Source) -> StaticModel:
    """The one that made the vectors of ``source``; it stays loaded. Raises as :func:`find_static`."""
    assert source.model is not None, "given vectors have no model"
    return find_static(source.model, source.name, source.revision)


def _kind(folder: Path) -> object:
    try:
        tree = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return tree.get("model_type") if isinstance(tree, dict) else None


def _hash_of(folder: Path) -> str:
    digest = hashlib.sha256(b"ssna-static-1")
    for path in sorted({path for pattern in FILES for path in folder.glob(pattern) if path.is_file()}):
        digest.update(f"{path.name} {path.stat().st_size} ".encode())
        with path.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()
