"""The processes of one run. Alone, every function here gives back what it was given, so nobody asks how many there are.

Each process does its :func:`stretch` of the work, :func:`gather` puts the results of all together, and gradients flow
back through it: the sum of the processes' gradients is then that of one process that had done everything.
All of them call the same functions in the same order; docs/decisions/13-several-processes.md.
"""

import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

from ssna.compute.launch import launch
from ssna.core.errors import ProcessError, SsnaError

TIMEOUT = timedelta(minutes=10)  # with a process that is alive and silent; of one that died, all learn at once
TERMINATED = 128 + signal.SIGTERM

T = TypeVar("T")


@contextmanager
def process_group(device: torch.device, timeout: timedelta = TIMEOUT) -> Iterator[None]:
    """Where the processes that torchrun started work as one; without torchrun, or within another such block, nothing.

    Tensors may lie on the CPU (gloo) and on ``device`` (nccl, if it is a GPU).

    Raises:
        ProcessError: they do not find each other.
    """
    if launch().world_size == 1 or dist.is_initialized():
        yield
        return
    backend = "gloo"
    if device.type == "cuda":
        torch.cuda.set_device(device)
        backend = "cpu:gloo,cuda:nccl"
    with _peer_errors_named():
        dist.init_process_group(backend, timeout=timeout)
    try:
        with _exit_on_sigterm():
            yield
    finally:
        dist.destroy_process_group()


def world_size() -> int:
    """How many work together here."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def is_main() -> bool:
    """Whether this is the one that writes for all."""
    return rank() == 0


def shard(length: int) -> slice:
    """This process's part of ``length`` rows; the parts differ by one row at most."""
    return slice(length * rank() // world_size(), length * (rank() + 1) // world_size())


def gather(x: Tensor, own: slice, length: int) -> Tensor:
    """``x``, rows ``own`` of ``length`` -> the rows of all processes ``(length, ...)``, with gradients to ``x``."""
    if world_size() == 1:
        return x
    rows: Tensor = _Gather.apply(x, own, length)  # type: ignore[no-untyped-call]
    return rows


class _Gather(torch.autograd.Function):
    """As a sum of tables that are zero in all rows but one's own: parts need not be of equal length."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, own: slice, length: int) -> Tensor:
        ctx.own = own
        rows = x.new_zeros(length, *x.shape[1:])
        rows[own] = x
        return _sum(rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return _sum(gradient.clone(memory_format=torch.contiguous_format))[ctx.own], None, None


def all_gather(x: Tensor) -> Tensor:
    """``x`` of one shape in every process -> ``(count, ...)``, by rank."""
    return gather(x[None], slice(rank(), rank() + 1), world_size())


def all_reduce(x: Tensor) -> Tensor:
    """Sum of ``x`` over the processes, without gradients."""
    return x if world_size() == 1 else _sum(x.detach().clone())


def barrier() -> None:
    """Until all have come here."""
    all_reduce(torch.zeros(()))


def sum_gradients(parameters: Iterable[Tensor]) -> None:
    """The gradients that the processes hold become their sum, in all. The same parameters have one everywhere."""
    if world_size() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    summed = _sum(torch.cat([gradient.flatten() for gradient in gradients]))
    for gradient, part in zip(gradients, summed.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def broadcast_tensors(tensors: Iterable[Tensor]) -> None:
    """Every process gets the values of process 0."""
    if world_size() > 1:
        with _peer_errors_named():
            for tensor in tensors:
                dist.broadcast(tensor.detach(), 0)


def broadcast(flag: bool) -> bool:
    """What process 0 says."""
    said = torch.tensor(flag, dtype=torch.uint8)
    broadcast_tensors([said])
    return bool(said)


def run_on_main(make: Callable[[], T]) -> T:
    """What ``make`` gives in process 0, in all; a named error there is raised in all."""
    if world_size() == 1:
        return make()
    told: list[Any] = [None, None]
    if is_main():
        try:
            told[0] = make()
        except SsnaError as error:
            told[1] = error
    with _peer_errors_named():
        dist.broadcast_object_list(told, 0)
    if told[1] is not None:
        raise told[1]
    value: T = told[0]
    return value


def seed_per_rank(seed: int) -> None:
    """From here on torch draws other random numbers in every process; process 0 goes on with those it had."""
    if not is_main():
        state = np.random.SeedSequence((seed, rank())).generate_state(1, np.uint64)[0]
        torch.manual_seed(int(state) >> 1)


def _sum(x: Tensor) -> Tensor:
    with _peer_errors_named():
        dist.all_reduce(x)
    return x


@contextmanager
def _peer_errors_named() -> Iterator[None]:
    try:
        yield
    except RuntimeError as cause:
        first_line, *_ = str(cause).split("\n")
        raise ProcessError(
            f"process {launch().rank} lost the others ({first_line})\nthe message of the one that ended first says why"
        ) from None


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """torchrun terminates the others when one has died: folders that are being filled aside shall vanish then."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
