"""The two contracts of a method: an encoder of items that is trained, or a scorer that is fitted at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ssna.core.settings import Settings
from ssna.data.dataset import Dataset
from ssna.scoring import Scorer
from ssna.text import LayerCache


class MethodSettings(Settings):
    """What ``[method]`` holds for every method: its name in ``METHODS``."""

    name: str


class ItemEncoder(nn.Module):
    """Item rows to embeddings. All that a trained method is; the trainer knows nothing else of it.

    What a run that is cut off must know to go on, beside parameters and buffers, a method keeps as torch's extra state:
    ``get_extra_state() -> dict[str, Tensor]`` and ``set_extra_state``.
    """

    cuda_graph_safe = False
    """Whether a CUDA graph can hold a step of training: every :meth:`forward` of as many items asks the same of the
    device and nothing of the host, and :meth:`penalty` and :meth:`after_step`, which are not called then, do nothing.
    Row 0, for no item, may stand among the items, repeatedly."""

    def forward(self, items: Tensor) -> Tensor:
        """``items (n,)`` distinct rows from 1 -> ``(n, dim)``."""
        raise NotImplementedError

    def setup(self, device: torch.device) -> None:
        """Told once where it will compute, before it is moved there."""

    def on_train_begin(self, total_steps: int) -> None:
        """Told once, before the first step, how many there are at most."""

    def penalty(self) -> Tensor | float:
        """Added to every step's loss."""
        return 0.0

    def after_step(self, step: int) -> None:
        """Called after every optimizer step, from 0, while the gradients are still there."""

    def item_rows(self) -> tuple[str, ...]:
        """The parameters that have one row an item, row 0 for padding, by name."""
        return ()

    def text_projection(self) -> nn.Module | None:
        """The part, one of ``ADAPTERS``, that turns states of new texts ``(a, n, d)`` into vectors, if there is one."""
        return None

    @torch.no_grad()
    def item_embeddings(self, items: int, chunk: int = 4096) -> Tensor:
        """Vectors of the whole catalogue, ``(items + 1, dim)`` fp32; row 0 is zero. Call it in evaluation mode."""
        rows = torch.arange(1, items + 1, device=next(self.parameters()).device)
        vectors = torch.cat([self(rows[start : start + chunk]).float() for start in range(0, items, chunk)])
        return torch.cat([vectors.new_zeros(1, vectors.shape[1]), vectors])


@dataclass(frozen=True)
class TrainedMethod:
    """A method whose item vectors are learned: ``build(settings, data, cache, dim)`` -> encoder.

    ``cache`` is None for a method that does not ``needs_text``.
    """

    settings: type[MethodSettings]
    build: Callable[[Any, Dataset, LayerCache | None, int], ItemEncoder]
    needs_text: bool


@dataclass(frozen=True)
class FittedMethod:
    """A training-free method: ``fit(settings, data, cache, dim)`` -> scorer. ``cache`` as in :class:`TrainedMethod`."""

    settings: type[MethodSettings]
    fit: Callable[[Any, Dataset, LayerCache | None, int], Scorer]
    needs_text: bool
    fit_member: Callable[[Any, Dataset, LayerCache | None, int], Scorer] | None = None
    """As ``fit``, for an ensemble, where it admits new items as well as it can; None: ``fit`` does."""


Method = TrainedMethod | FittedMethod
