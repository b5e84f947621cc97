"""How texts are to be read: what a user may say beside the model's name."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ssna.text.encoding import Dtype, Encoding, Layers, Pooling


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How a language model reads texts.

    Attributes:
        layers: ``"all"``, or how many of the top layers to keep.
        pooling: ``cls``, ``mean`` or ``last``; None goes on as an existing cache began, and begins with what a folder
            of sentence-transformers says, else with the mean.
        max_tokens: where longer texts are cut; None likewise, else the model's own limit, at most 512.
        device: ``auto``, ``cpu``, ``cuda``, ...
        dtype: ``auto`` goes on as an existing cache began, and begins with 16 bits where they are faster; ``int8``
            is never chosen unasked, and needs the extra ``int8``.
        adapter_base: of a folder that holds an adapter of peft alone: its base model; None likewise, else the one that
            the folder names.
    """

    layers: Layers = "all"
    pooling: Pooling | None = None
    max_tokens: int | None = None
    device: str = "auto"
    dtype: Dtype = "auto"
    adapter_base: str | None = None

    def going_on(self, existing: Encoding | None, model: str) -> "ReadOptions":
        """These, and where they say nothing, as the cache ``existing`` of ``model`` was begun."""
        if existing is None or not existing.has_model:
            return self
        options = replace(self, dtype=existing.dtype if self.dtype == "auto" else self.dtype)
        if existing.model not in (model, str(Path(model).resolve())):
            return options
        return replace(
            options,
            pooling=self.pooling or existing.pooling,
            max_tokens=existing.max_tokens if self.max_tokens is None else self.max_tokens,
            adapter_base=self.adapter_base or existing.base_there,
        )


DEFAULTS: Final = ReadOptions()
