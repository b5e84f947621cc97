"""Recommenders in memory that the server and the ranking process both see: what one appends is not sent to the other.

A scorer travels as what it is described by and its tensors. Those in blocks go as descriptors of these, others that are
large in blocks of their own, small ones as they are.
"""

import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from ssna.compute.blocks import Block, block_of, give_back, placed
from ssna.recommender import Recommender
from ssna.recommender.admission import NewItems
from ssna.scoring import Scorer, below, restore, under

LEAST_BYTES = 65_536  # of a tensor that is worth a block
COUNTS = "counts"
MOST_DESCRIPTORS = 200  # of one message: the system takes 253

Message = Mapping[str, Tensor]
Receive = Callable[[int], list[int]]


class Sent(NamedTuple):
    """What is to be sent of a recommender.

    Attributes:
        message: small tensors, and a description of the others.
        blocks: in the order of their descriptors; to be kept until the message has come.
    """

    message: dict[str, Tensor]
    blocks: list[Block]


def shared(recommender: Recommender) -> Recommender:
    """The same, its large tensors in blocks, with spare rows for more items."""
    scorer = recommender.scorer
    config, tensors = scorer.state()
    moved = {name: placed(tensor) if _is_large(tensor) else tensor for name, tensor in tensors.items()}
    counts = torch.from_numpy(recommender.counts)
    return replace(
        recommender,
        scorer=restore(scorer.kind, config, moved),
        counts=(placed(counts) if _is_large(counts) else counts).numpy(),
    )


def give_back_rows(recommender: Recommender) -> None:
    """Items that were admitted to ``recommender``, and serve nobody, leave their rows to the next ones."""
    for tensor in (*recommender.scorer.state()[1].values(), torch.from_numpy(recommender.counts)):
        give_back(tensor)


def pack_scorer(recommender: Recommender) -> Sent:
    """What :func:`unpack_scorer` makes a scorer and counts of."""
    scorer = recommender.scorer
    config, tensors = scorer.state()
    message: dict[str, Tensor] = {}
    blocks, layout = list[Block](), dict[str, Any]()
    for name, tensor in {**under("state.", tensors), COUNTS: torch.from_numpy(recommender.counts)}.items():
        if (block := block_of(tensor)) is None and _is_large(tensor):
            block = block_of(placed(tensor.detach().contiguous()))
        if block is None:
            message[name] = tensor.detach().contiguous()
            continue
        layout[name] = [block.key, len(block), str(tensor.dtype).removeprefix("torch."), list(tensor.shape)]
        blocks.append(block)
    described = json.dumps({"kind": scorer.kind, "config": config, "layout": layout}).encode()
    return Sent(message | {"scorer": _bytes(described)}, blocks)


def unpack_scorer(
    message: Message, receive: Receive, blocks: "WeakValueDictionary[int, Block]"
) -> tuple[Scorer, Tensor]:
    """A scorer, and the training events of each item.

    Args:
        receive: gives so many descriptors, in the order in which they were sent.
        blocks: those that are mapped already, by their keys.
    """
    saved = json.loads(message["scorer"].numpy().tobytes())
    tensors, layout = dict(message), saved["layout"]
    descriptors = receive(len(layout))
    for (name, (key, size, dtype, shape)), descriptor in zip(layout.items(), descriptors, strict=True):
        if (block := blocks.get(key)) is None:
            block = blocks[key] = Block.map(descriptor, size, key)
        else:
            os.close(descriptor)
        tensors[name] = block.tensor(getattr(torch, dtype), tuple(shape))
    return restore(saved["kind"], saved["config"], below("state.", tensors)), tensors[COUNTS]


def send_descriptors(channel: socket.socket, blocks: Sequence[Block]) -> None:
    """Raises OSError if the other end is gone, or reads nothing."""
    for start in range(0, len(blocks), MOST_DESCRIPTORS):
        some = [block.descriptor for block in blocks[start : start + MOST_DESCRIPTORS]]
        socket.send_fds(channel, [b"\0"], some)


def receive_descriptors(channel: socket.socket, count: int) -> list[int]:
    """As many as :func:`send_descriptors` sent. Raises :class:`EOFError` if they do not come."""
    found: list[int] = []
    while len(found) < count:
        content, some, *_ = socket.recv_fds(channel, 1, MOST_DESCRIPTORS)
        if not content:
            raise EOFError("the server is gone")
        found += some
    return found


def pack_new(new: NewItems) -> dict[str, Tensor]:
    """Items of histories, for one ranking."""
    return {"new.states": new.states.contiguous(), "new.texts": _bytes(json.dumps(new.read).encode())}


def with_new(scorer: Scorer, message: Message) -> Scorer:
    """``scorer`` with the items of histories that :func:`pack_new` put into ``message``, if it did."""
    if "new.states" not in message:
        return scorer
    return scorer.with_history_items(message["new.states"], json.loads(message["new.texts"].numpy().tobytes()))


def _bytes(content: bytes) -> Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


def _is_large(tensor: Tensor) -> bool:
    return tensor.dim() > 0 and prod(tensor.shape) * tensor.element_size() >= max(LEAST_BYTES, 1)
