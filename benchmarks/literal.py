"""The paper read to the letter, and slowly: every prefix padded, adapters applied at each of its positions, fp32.

It computes with the weights of our model, so that a test holds the two to be equal (``tests/golden/test_literal.py``)
and a benchmark can time what the reading costs (``benchmarks/train.py``).
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssna.core.ragged import Ints, Ragged
from ssna.nn.adapter import LayerAdapters, MoEWhiteningAdapter
from ssna.nn.sasrec import SASRec
from ssna.training.batches import prefix


class Literal(nn.Module):
    """Eq. 1 to 8 with SASRec over ``(B, L)`` padded prefixes.

    Args:
        states: ``(a, I + 1, d)``, top layer first, row 0 zero.
    """

    def __init__(self, states: Tensor, adapters: LayerAdapters, sequence: SASRec) -> None:
        super().__init__()
        self.states, self.adapters, self.sequence = states, adapters, sequence

    def items(self, rows: Tensor) -> Tensor:
        """Eq. 1 to 4: ``(...)`` item rows -> ``(..., D)``, one expert after the other."""
        flat = rows.flatten()
        integrate: Any = self.adapters.integrate
        v = self.states.new_zeros(len(flat), self.adapters.config["dim"], dtype=torch.float32)
        for adapter, h in zip(self.adapters.adapters, self.states, strict=True):
            assert isinstance(adapter, MoEWhiteningAdapter)
            x = h[flat].float()
            weights = F.softmax(adapter.route(x), dim=-1)
            experts = range(adapter.shift.shape[0])
            z = sum(weights[:, k, None] * ((x - adapter.shift[k]) @ adapter.projection[:, k]) for k in experts)
            v = integrate.cell(z, v)
        return v.view(*rows.shape, -1)

    def user_embeddings(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """``(B, L)`` item rows, 0 behind each prefix -> ``(B, D)``; Eq. 5 and 6."""
        model, (count, size) = self.sequence, inputs.shape
        x = model.dropout(model.norm(self.items(inputs) + model.position(torch.arange(size))))
        hidden = torch.ones(size, size).triu(1).bool() | (inputs == 0)[:, None, None, :]
        block: Any
        for block in model.blocks:
            q, k, v = block.qkv(x).view(count, size, 3, block.num_heads, -1).permute(2, 0, 3, 1, 4)
            scores = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(hidden, -torch.inf)
            mixed = (block.dropout(F.softmax(scores, dim=-1)) @ v).transpose(1, 2).reshape(x.shape)
            x = block.attention_norm(x + block.dropout(block.out(mixed)))
            x = block.feed_norm(x + block.dropout(block.narrow(F.gelu(block.widen(x)))))
        last: Tensor = x[torch.arange(count), lengths - 1]
        return last

    def loss(self, inputs: Tensor, lengths: Tensor, targets: Tensor, users: Tensor, temperature: float) -> Tensor:
        """Eq. 8 over the targets of other users."""
        embeddings, items = self.user_embeddings(inputs, lengths), self.items(targets)
        logits = F.normalize(embeddings, dim=-1) @ F.normalize(items, dim=-1).T / temperature
        excluded = (targets[:, None] == targets) | (users[:, None] == users)
        return F.cross_entropy(
            logits.masked_fill(excluded.fill_diagonal_(False), -torch.inf), torch.arange(len(targets))
        )


def padded(histories: Ragged, max_history: int, chosen: Ints) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``inputs (B, max_history)``, ``lengths``, ``targets`` and ``users (B,)`` of prefixes ``chosen``."""
    all_of_them = prefix(histories, max_history)
    users, starts, stops = all_of_them.user[chosen], all_of_them.start[chosen], all_of_them.stop[chosen]
    inputs = np.zeros((len(chosen), max_history), dtype=np.int64)
    targets = np.zeros(len(chosen), dtype=np.int64)
    for row, (user, start, stop) in enumerate(zip(users, starts, stops, strict=True)):
        inputs[row, : stop - start] = histories[user][start:stop]
        targets[row] = histories[user][stop]
    tensors = (inputs, stops - starts, targets, users)
    return tuple(torch.from_numpy(np.ascontiguousarray(array)) for array in tensors)  # type: ignore[return-value]
