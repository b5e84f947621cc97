"""What the server and the ranking process write to each other: a length, and so many bytes of safetensors."""

import struct
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ssna.core.ragged import Ints, Ragged
from ssna.recommender.ranking import RankRequest
from ssna.serving.selections import pack_selections, unpack_selections

LENGTH = struct.Struct("<Q")


def frame(content: bytes) -> bytes:
    """A message's length, and its content."""
    return LENGTH.pack(len(content)) + content


def pack_request(request: RankRequest) -> dict[str, Tensor]:
    """As tensors; :func:`unpack_request` is the inverse."""
    message = {"k": torch.from_numpy(request.k), "exclude_seen": torch.from_numpy(request.exclude_seen)}
    message |= _pack("histories", request.histories) | _pack("deny", request.deny)
    limited = [number for number, allow in enumerate(request.allow) if allow is not None]
    if limited:
        rows = Ragged.from_rows([allow for allow in request.allow if allow is not None])
        message |= {"limited": torch.tensor(limited)} | _pack("allow", rows)
    if request.new_items is not None:
        message["new_items"] = torch.from_numpy(request.new_items)
    return message if request.selections is None else message | pack_selections(request.selections)


def unpack_request(message: Mapping[str, Tensor]) -> RankRequest:
    """What :func:`pack_request` made."""
    k = message["k"].numpy()
    allow: list[Ints | None] = [None] * len(k)
    if "limited" in message:
        for number, rows in zip(message["limited"].tolist(), _unpack("allow", message), strict=True):
            allow[number] = rows.astype(np.int64)
    histories, deny = _unpack("histories", message), _unpack("deny", message)
    new_items = message["new_items"].numpy() if "new_items" in message else None
    selections = unpack_selections(message, len(k))
    return RankRequest(histories, k, message["exclude_seen"].numpy(), tuple(allow), deny, new_items, selections)


def _pack(name: str, rows: Ragged) -> dict[str, Tensor]:
    return {
        f"{name}.values": torch.from_numpy(rows.values.astype(np.int64, copy=False)),
        f"{name}.offsets": torch.from_numpy(rows.offsets),
    }


def _unpack(name: str, message: Mapping[str, Tensor]) -> Ragged:
    return Ragged(message[f"{name}.values"].numpy(), message[f"{name}.offsets"].numpy())
