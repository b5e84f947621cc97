"""What a vector depends on besides its text. Two vectors may be compared only where all of it agrees."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from ssna.core.settings import Settings

Pooling = Literal["cls", "mean", "last"]
Precision = Literal["fp32", "bf16", "fp16", "int8"]
Dtype = Literal["auto", "fp32", "bf16", "fp16", "int8"]
Batching = Literal["padded", "length", "text"]  # texts of any length share a batch; those of one length; none
Layers = Literal["all"] | int  # a number means the top so many
Stored = Literal["f16", "f32"]

VECTORS = "vectors"
"""In the place of a language model's name: none has read anything."""
MOST_WIDTH = 16_384
MOST_LAYERS = 256


class Source(Settings):
    """Vectors that a user gave, or that a static model made: one a layer for each item."""

    name: str = Field(min_length=1, max_length=100)
    """`vectors`, or what tells several sources apart."""
    layers: int = Field(ge=1, le=MOST_LAYERS)
    """Vectors of an item."""
    width: int = Field(ge=1, le=MOST_WIDTH)
    """Numbers in each of them, zeros that fill it up left out."""
    stored: Stored
    """`f16` where numbers of 16 bits were given."""
    scale: float = Field(1.0, gt=0)
    """What all numbers are multiplied by, so that sources side by side are of one length."""
    model: str | None = None
    """The static model that reads texts: a hub id, or the absolute path of its folder. None: vectors are given."""
    revision: str | None = None
    """Of the static model, as that of a language model."""


class Encoding(Settings):
    """One way to turn texts into vectors: everything needed to do the same again, years later."""

    model: str
    """`minilm`, a hub id, or the absolute path of a model folder; `vectors` where no language model reads texts."""
    revision: str
    """The commit of a hub model; for a folder, the hash of its files. It, not the name, is the model's identity."""
    pooling: Pooling | None = None
    """`cls`: the classification token's vector, or the first's; `mean`: all tokens' mean; `last`: the last token's.
    None without a model."""
    max_tokens: int | None = Field(None, ge=1)
    """Longer texts are cut to so many tokens, special tokens included. None without a model."""
    layers: tuple[int, ...] = Field(min_length=1)
    """The layers kept, rising; 1 is the lowest, the embeddings below it are never kept. Without a model, the first
    source's."""
    depth: int = Field(ge=1)
    """How many layers the model has."""
    width: int = Field(ge=1)
    """Numbers in a vector; of several widths the largest, and zeros fill the others up."""
    dtype: Precision
    """What the model computed in, `int8` its linear maps alone; pooling is always fp32."""
    sources: tuple[Source, ...] | None = None
    """Vectors from elsewhere, beside those of the model or alone."""
    model_width: int | None = Field(None, ge=1)
    """Numbers in a vector of the language model, where sources beside it have more."""

    prompt: str | None = None
    """What stands before every text: that of a folder of sentence-transformers."""
    head: str | None = None
    """12 hex digits of such a folder's linear maps of the top layer, and of its lower case; None without."""
    adapter_base: str | None = None
    """The base of a folder that holds an adapter of peft alone, where it is another one than the folder names."""

    @property
    def fingerprint(self) -> str:
        """12 hex digits, equal exactly for encodings that give the same vectors, wherever the model lies."""
        values = [getattr(self, field) for field in _IDENTITY]
        values += [(field, value) for field in _OPTIONAL if (value := getattr(self, field)) is not None]
        values += [(each.name, each.layers, each.width, each.scale, each.revision) for each in self.sources or ()]
        return hashlib.sha256(repr(values).encode()).hexdigest()[:12]

    @property
    def base_there(self) -> str | None:
        """The base of an adapter, unless its folder is gone: then the adapter's own folder may name it."""
        base = self.adapter_base
        return None if base is None or (Path(base).is_absolute() and not Path(base).is_dir()) else base

    @property
    def has_model(self) -> bool:
        """Whether a language model reads texts."""
        return self.model != VECTORS

    @property
    def reads_text(self) -> bool:
        """Whether a text alone gives a vector: of a language model, or of a static one."""
        return self.has_model or any(source.model for source in self.sources or ())

    @property
    def given(self) -> tuple[Source, ...]:
        """The sources whose vectors nobody but the user has."""
        return tuple(source for source in self.sources or () if source.model is None)

    @property
    def beside(self) -> tuple[Source, ...]:
        """The sources that stand beside the layers which methods count; all of their layers always come along."""
        return (self.sources or ())[0 if self.has_model else 1 :]

    @property
    def extra(self) -> int:
        """How many layers these have."""
        return sum(source.layers for source in self.beside)

    @property
    def files(self) -> Iterator[tuple[int | str, Stored, int]]:
        """Of each layer's file, the lowest first: what it is called by, what it begins as, and its width."""
        if self.has_model:
            yield from ((layer, "f16", self.text_width) for layer in self.layers)
        for number, source in enumerate(self.sources or (), start=1):
            yield from (
                (f"s{number}-{layer:02d}", source.stored, source.width) for layer in range(1, source.layers + 1)
            )

    @property
    def text_width(self) -> int:
        """Of the language model's vectors."""
        return self.model_width or self.width

    def differences(self, asked: "Encoding") -> list[str]:
        """What keeps ``asked`` from sharing a cache with this encoding, as phrases for people."""
        phrases = [
            f"{field} {_show(getattr(self, field))} (asked: {_show(getattr(asked, field))})"
            for field in (*_IDENTITY, *_OPTIONAL)
            if field != "revision" and getattr(self, field) != getattr(asked, field)
        ]
        if self.sources != asked.sources:
            phrases.append(f"vectors {_shown(self.sources)} (asked: {_shown(asked.sources)})")
        if self.revision == asked.revision:
            return phrases
        ours, theirs = f"{self.model} {self.revision[:12]}", f"{asked.model} {asked.revision[:12]}"
        return [f"model {ours} (asked: {theirs})", *phrases]


_IDENTITY = ("revision", "pooling", "max_tokens", "layers", "depth", "width", "dtype")
_OPTIONAL = ("prompt", "head")


def _show(value: object) -> str:
    return f"{value[0]} to {value[-1]}" if isinstance(value, tuple) else str(value)


def _shown(sources: tuple[Source, ...] | None) -> str:
    return (
        ", ".join(f"{each.name} of {each.layers} x {each.width} {each.stored}" for each in sources or ())
        or "of no file"
    )
