"""A softmax over the whole catalogue in memory that does not grow with it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from ssna.compute import distributed

CHUNK = 4096  # items encoded at once: memory grows with samples x CHUNK and with what encoding them keeps


@dataclass(frozen=True)
class Catalogue:
    """All items, by the function that encodes them.

    Attributes:
        encode: item rows ``(n,)`` from 1 -> vectors ``(n, D)``, with gradients to its own parameters.
        items: ``I``, rows 1 to ``I``.
        targets: ``(P,)`` each sample's target as an item row.
        own: of these samples, the ones of this process.
    """

    encode: Callable[[Tensor], Tensor]
    items: int
    targets: Tensor
    own: slice = field(default_factory=lambda: slice(None))


def log_normalizers(users: Tensor, catalogue: Catalogue, temperature: float) -> Tensor:
    """``(p,)`` logarithms of the sum of ``exp(cosine / temperature)`` over all items but each sample's own target.

    Several processes share the catalogue: each sums over its shard of it, for the samples of all.

    Args:
        users: ``(p, D)`` user embeddings of unit length, fp32.
    """
    users = distributed.gather(users, catalogue.own, len(catalogue.targets))  # (P, D)
    lifted = torch.ones((), requires_grad=torch.is_grad_enabled())  # gradients flow to the encoder's own parameters
    parts: Tensor = _LogNormalizers.apply(users, lifted, catalogue, temperature)  # type: ignore[no-untyped-call]
    return distributed.all_gather(parts).logsumexp(dim=0)[catalogue.own]


class _LogNormalizers(torch.autograd.Function):
    """Vectors and logits of a chunk are made, used and forgotten; backward makes them again from the same noise."""

    @staticmethod
    def forward(ctx: Any, users: Tensor, lifted: Tensor, catalogue: Catalogue, temperature: float) -> Tensor:
        ctx.catalogue, ctx.temperature, ctx.noise = catalogue, temperature, []
        device = users.device
        ctx.autocast = torch.is_autocast_enabled(device.type), torch.get_autocast_dtype(device.type)
        total = users.new_full((len(users),), -torch.inf)
        for rows in _chunks(catalogue, device):
            ctx.noise.append(_generator_state(device))
            logits = _logits(users, catalogue, rows, temperature)
            total = torch.logaddexp(total, logits.logsumexp(dim=1))
        ctx.save_for_backward(users, total)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        users, total = ctx.saved_tensors
        device, (enabled, dtype) = users.device, ctx.autocast
        leaf = users.detach().requires_grad_()
        with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.enable_grad():
            for rows, noise in zip(_chunks(ctx.catalogue, device), ctx.noise, strict=True):
                _set_generator_state(device, noise)
                with torch.autocast(device.type, dtype=dtype, enabled=enabled):
                    logits = _logits(leaf, ctx.catalogue, rows, ctx.temperature)
                shares = (logits.detach() - total[:, None]).exp_().mul_(gradient[:, None])
                logits.backward(shares)
        return leaf.grad, None, None, None


def _logits(users: Tensor, catalogue: Catalogue, rows: Tensor, temperature: float) -> Tensor:
    """``(P, n)`` fp32, minus infinity at each sample's target."""
    vectors = F.normalize(catalogue.encode(rows).float(), dim=-1)
    logits = (users @ vectors.T).float() / temperature
    return logits.masked_fill_(catalogue.targets[:, None] == rows[None, :], -torch.inf)


def _chunks(catalogue: Catalogue, device: torch.device) -> Iterator[Tensor]:
    own = distributed.shard(catalogue.items)
    for start in range(own.start + 1, own.stop + 1, CHUNK):
        yield torch.arange(start, min(start + CHUNK, own.stop + 1), device=device)


def _generator_state(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _set_generator_state(device: torch.device, state: Tensor) -> None:
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)
