"""What a vector depends on besides its text. Two vectors may be compared only where all of it agrees."""

import hashlib
from typing import Literal

from pydantic import Field

from ssna.core.settings import Settings

Pooling = Literal["cls", "mean", "last"]
Precision = Literal["fp32", "bf16", "fp16"]
Dtype = Literal["auto", "fp32", "bf16", "fp16"]
Batching = Literal["padded", "length", "text"]  # texts of any length share a batch; those of one length; none
Layers = Literal["all"] | int  # a number means the top so many


class Encoding(Settings):
    """One way to turn texts into vectors: everything needed to do the same again, years later."""

    model: str
    """`minilm`, a hub id, or the absolute path of a model folder."""
    revision: str
    """The commit of a hub model; for a folder, the hash of its files. It, not the name, is the model's identity."""
    pooling: Pooling
    """`cls`: the classification token's vector, or the first's; `mean`: all tokens' mean; `last`: the last token's."""
    max_tokens: int = Field(ge=1)
    """Longer texts are cut to so many tokens, special tokens included."""
    layers: tuple[int, ...] = Field(min_length=1)
    """The layers kept, rising; 1 is the lowest, the embeddings below it are never kept."""
    depth: int = Field(ge=1)
    """How many layers the model has."""
    width: int = Field(ge=1)
    """Numbers in a vector."""
    dtype: Precision
    """What the model computed in; pooling is always fp32."""

    prompt: str | None = None
    """What stands before every text: that of a folder of sentence-transformers."""
    head: str | None = None
    """12 hex digits of such a folder's linear maps of the top layer, and of its lower case; None without."""

    @property
    def fingerprint(self) -> str:
        """12 hex digits, equal exactly for encodings that give the same vectors, wherever the model lies."""
        values = [getattr(self, field) for field in _IDENTITY]
        values += [(field, value) for field in _OPTIONAL if (value := getattr(self, field)) is not None]
        return hashlib.sha256(repr(values).encode()).hexdigest()[:12]

    def differences(self, asked: "Encoding") -> list[str]:
        """What keeps ``asked`` from sharing a cache with this encoding, as phrases for people."""
        phrases = [
            f"{field} {_show(getattr(self, field))} (asked: {_show(getattr(asked, field))})"
            for field in (*_IDENTITY, *_OPTIONAL)
            if field != "revision" and getattr(self, field) != getattr(asked, field)
        ]
        if self.revision == asked.revision:
            return phrases
        ours, theirs = f"{self.model} {self.revision[:12]}", f"{asked.model} {asked.revision[:12]}"
        return [f"model {ours} (asked: {theirs})", *phrases]


_IDENTITY = ("revision", "pooling", "max_tokens", "layers", "depth", "width", "dtype")
_OPTIONAL = ("prompt", "head")


def _show(value: object) -> str:
    return f"{value[0]} to {value[-1]}" if isinstance(value, tuple) else str(value)
