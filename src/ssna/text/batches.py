"""Which texts a language model reads together."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ssna.text.encoding import Batching

TOKENS_PER_BATCH = {"cpu": 4_096, "cuda": 16_384}  # padded; more was not faster (MiniLM, 2 cores)


def batches_by_length(lengths: list[int], budget: int, batching: Batching = "padded") -> Iterator[NDArray[np.int64]]:
    """Texts of like length together, longest first, at most ``budget`` tokens a batch with padding; of one length, or
    one text alone, where ``batching`` says so."""
    order = np.argsort(-np.array(lengths), kind="stable")
    start = 0
    while start < len(order):
        longest = lengths[order[start]]
        stop = start + (1 if batching == "text" else max(1, budget // longest))
        if batching == "length":
            stop = min(stop, start + sum(lengths[row] == longest for row in order[start:stop]))
        yield order[start:stop]
        start = stop


def padded(batch: Sequence[list[int]], filler: int) -> tuple[Tensor, Tensor]:
    """Ids and mask ``(b, T)``; padding on the right: positions count from the first token in every model."""
    ids = nn.utils.rnn.pad_sequence([torch.tensor(each) for each in batch], batch_first=True, padding_value=filler)
    return ids, torch.arange(ids.shape[1]) < torch.tensor([len(each) for each in batch])[:, None]
