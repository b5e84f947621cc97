"""Steps of training as CUDA graphs: hundreds of short kernels, launched at once."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ssna.nn.batch import Batch
from ssna.training.static_batch import BatchCapacity, StaticBatch, tiled


class StagedBatch(NamedTuple):
    """A batch that waits on the host, in the memory that it will be copied from."""

    targets: int
    static_batch: StaticBatch


class _Captured(NamedTuple):
    static_batch: StaticBatch
    graph: torch.cuda.CUDAGraph
    loss: Tensor


class CUDAGraphStep:
    """A step on a batch, captured as a graph that serves every batch that fits its static batch.

    The first batch that does not fit is stepped on kernel by kernel, in a larger static batch. Then a graph is captured
    in the place of the one before, which runs nothing.

    Args:
        step: a batch on the device -> its loss there, asking nothing of the host and drawing from the device's
            generator alone.
        device: a GPU.
        longest: how many inputs a sequence has at most.
    """

    def __init__(self, step: Callable[[Batch], Tensor], device: torch.device, longest: int) -> None:
        self.step, self.device, self.longest = step, device, longest
        self.stream: torch.cuda.Stream | None = None
        self.static_batch: StaticBatch | None = None
        self.captured: _Captured | None = None

    def reset(self) -> None:
        """Capture anew, as if no step had been taken: a graph writes to the moments that were there when it was."""
        self.static_batch = self.captured = None

    def stage(self, batch: Batch) -> StagedBatch:
        """To be started next, while the device may still be busy with the step before."""
        tiles = tiled(batch, self.longest)
        needed = BatchCapacity.of(batch, tiles)
        known = None if self.static_batch is None else self.static_batch.capacity
        if known is None or (known.teacher_rows > 0) != (needed.teacher_rows > 0):
            known = needed  # another kind of step: with a teacher, or without one
        if self.static_batch is None or known is needed or not known.fits(needed):
            size, catalogue_size = tiles.hidden.shape[-1], batch.candidates.catalogue_size
            self.static_batch = StaticBatch(known.enlarged(needed), size, catalogue_size, self.device)
        self.static_batch.stage(batch, tiles)
        return StagedBatch(len(batch.targets), self.static_batch)

    def run(self, staged: StagedBatch) -> Tensor:
        """Start a step; the loss is there once the device has come to its end, and until the next step."""
        batch = staged.static_batch.copy_to_device()
        if self.captured is None or self.captured.static_batch is not staged.static_batch:
            self.captured = None
            return self._first(batch, staged.static_batch)
        self.captured.graph.replay()
        return self.captured.loss

    def _first(self, batch: Batch, static_batch: StaticBatch) -> Tensor:
        """Step once, on a stream that is not the default one, as capturing asks for; then capture."""
        self.stream = torch.cuda.Stream(self.device) if self.stream is None else self.stream
        stream, current = self.stream, torch.cuda.current_stream(self.device)
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            loss = self.step(batch).clone()
        current.wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            self.captured = _Captured(static_batch, graph, self.step(batch))
        return loss
