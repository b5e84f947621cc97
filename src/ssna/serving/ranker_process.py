"""The process that ranks for a server: it reads calls from its standard input and writes results to its output."""

import os
import signal
import socket
import sys
from contextlib import suppress
from functools import partial
from typing import BinaryIO
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import torch as safetensors
from torch import Tensor

from ssna.compute.allocator import tune_allocator
from ssna.compute.blocks import Block
from ssna.core.ragged import Ragged
from ssna.recommender.ranking import rank
from ssna.scoring import Scorer
from ssna.serving.logs import background_log, described, log
from ssna.serving.messages import LENGTH, frame, unpack_request
from ssna.serving.sharing import Message, Receive, receive_descriptors, unpack_scorer, with_new

LOAD, UNLOAD, RANK = range(3)
NOBODY = Ragged.from_rows([[]])

Loaded = dict[int, tuple[Scorer, NDArray[np.int64]]]


def answer_calls(calls: BinaryIO, results: BinaryIO, receive: Receive) -> None:
    """The process's end: answer until nothing more can come. ``receive`` gives descriptors."""
    loaded: Loaded = {}
    blocks: WeakValueDictionary[int, Block] = WeakValueDictionary()
    while len(head := calls.read(LENGTH.size)) == LENGTH.size:
        (size,) = LENGTH.unpack(head)
        if len(content := calls.read(size)) < size:
            return  # the server was killed while it wrote
        message = safetensors.load(content)
        try:
            if message["call"][0] == LOAD:
                scorer, counts = unpack_scorer(message, receive, blocks)
                scorer.approximate(NOBODY)  # what is worked out once for a catalogue, no question waits for
                loaded[int(message["call"][1])] = scorer, counts.numpy()
                result = {"done": torch.ones(1)}
            else:
                result = _answer_call(loaded, message)
        except EOFError:
            return
        except Exception as error:  # the server ranks by itself then, and the client notices nothing
            log("ranker", level="error", **described(error))
            result = {"failed": torch.ones(1)}
        results.write(frame(safetensors.save(result)))
        results.flush()


def _answer_call(loaded: Loaded, message: Message) -> dict[str, Tensor]:
    kind, number = message["call"].tolist()
    if kind == UNLOAD:
        loaded.pop(number, None)
        return {"done": torch.ones(1)}
    scorer, counts = loaded[number]
    wider = with_new(scorer, message)
    if more := wider.num_rows - scorer.num_rows:
        counts = np.pad(counts, (0, more))
    rows, scores = rank(wider, counts, unpack_request(message), message["excluded"].numpy())
    return {"rows": torch.from_numpy(rows).contiguous(), "scores": torch.from_numpy(scores).contiguous()}


def main() -> None:
    """Serve the process that started this one; it alone says when to end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    output = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints is no result
    with background_log(), tune_allocator(), suppress(BrokenPipeError), os.fdopen(output, "wb") as results:
        channel = socket.socket(fileno=int(sys.argv[1]))
        answer_calls(sys.stdin.buffer, results, partial(receive_descriptors, channel))


if __name__ == "__main__":
    main()
