"""Steps of training as CUDA graphs: hundreds of short kernels, launched at once."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ssna.training.batches import Batch
from ssna.training.static_batch import StaticBatch, BatchCapacity, tiled


class StagedBatch(NamedTuple):
    """A batch that waits on the host, in the frame that it will be sent to."""

    targets: int
    frame: StaticBatch


class _Captured(NamedTuple):
    frame: StaticBatch
    graph: torch.cuda.CUDAGraph
    loss: Tensor


class CUDAGraphStep:
    """A step on a batch, captured as a graph that serves every batch which finds room in its frame.

    The first batch that finds none is stepped on kernel by kernel, in a larger frame; then a graph is captured, which
    runs nothing, in the place of the one before.

    Args:
        step: a batch on the device -> its loss there, asking nothing of the host and drawing from the device's
            generator alone.
        device: a GPU.
        longest: how many inputs a sequence has at most.
    """

    def __init__(self, step: Callable[[Batch], Tensor], device: torch.device, longest: int) -> None:
        self.step, self.device, self.longest = step, device, longest
        self.stream: torch.cuda.Stream | None = None
        self.frame: StaticBatch | None = None
        self.captured: _Captured | None = None

    def reset(self) -> None:
        """Capture anew, as if no step had been taken: a graph writes to the moments that were there when it was."""
        self.frame = self.captured = None

    def stage(self, batch: Batch) -> StagedBatch:
        """To be started next, while the device may still be busy with the step before."""
        tiles = tiled(batch, self.longest)
        needed = BatchCapacity.of(batch, tiles)
        like = None if self.frame is None else self.frame.capacity
        if like is None or (like.rows > 0) != (needed.rows > 0):
            like = needed  # another kind of step: a teacher came or went
        if self.frame is None or like is needed or not like.fits(needed):
            self.frame = StaticBatch(like.enlarged(needed), tiles.hidden.shape[-1], batch.items, self.device)
        self.frame.stage(batch, tiles)
        return StagedBatch(len(batch.targets), self.frame)

    def run(self, ready: StagedBatch) -> Tensor:
        """Start a step; the loss is there once the device has come to its end, and until the next step."""
        batch = ready.frame.copy_to_device()
        if self.captured is None or self.captured.frame is not ready.frame:
            self.captured = None
            return self._first(batch, ready.frame)
        self.captured.graph.replay()
        return self.captured.loss

    def _first(self, batch: Batch, frame: StaticBatch) -> Tensor:
        """Step once, on a stream that is not the default one, as capturing asks for; then capture."""
        self.stream = torch.cuda.Stream(self.device) if self.stream is None else self.stream
        stream, current = self.stream, torch.cuda.current_stream(self.device)
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            loss = self.step(batch).clone()
        current.wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            self.captured = _Captured(frame, graph, self.step(batch))
        return loss
