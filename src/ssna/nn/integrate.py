"""How the outputs of the adapters become one item vector: Eq. 4, and the two variants of Table 8."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GruIntegration(nn.Module):
    """Eq. 4: a GRU from a zero state over the layers, top first."""

    def __init__(self, layers: int, dim: int) -> None:
        super().__init__()
        self.cell = nn.GRUCell(dim, dim)

    def forward(self, z: list[Tensor]) -> Tensor:
        """``a`` tensors ``(n, D)``, top layer first -> ``v (n, D)``. Inputs of all layers go through one product."""
        cell, state = self.cell, torch.zeros_like(z[0])
        if state.is_cuda:  # the library's cell is one kernel behind its products there
            for x in z:
                state = cell(x, state)
            return state
        inputs = F.linear(torch.cat(z), cell.weight_ih, cell.bias_ih).chunk(len(z))
        for number, x in enumerate(inputs):
            past = F.linear(state, cell.weight_hh, cell.bias_hh) if number else cell.bias_hh.to(x.dtype)
            reset, update = torch.sigmoid(x[:, : -cell.hidden_size] + past[..., : -cell.hidden_size]).chunk(2, dim=1)
            new = torch.tanh(x[:, -cell.hidden_size :] + reset * past[..., -cell.hidden_size :])
            state = torch.lerp(new, state, update)
        return state


class MeanIntegration(nn.Module):
    """MEAN of Table 8: the average over layers."""

    def __init__(self, layers: int, dim: int) -> None:
        super().__init__()

    def forward(self, z: list[Tensor]) -> Tensor:
        """``a`` tensors ``(n, D)`` -> ``v (n, D)``."""
        return torch.stack(z).mean(dim=0)


class WeightedIntegration(nn.Module):
    """WEIGHTED of Table 8: a sum over layers with learned weights, equal at the start."""

    def __init__(self, layers: int, dim: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.full((layers,), 1 / layers))

    def forward(self, z: list[Tensor]) -> Tensor:
        """``a`` tensors ``(n, D)`` -> ``v (n, D)``."""
        return torch.einsum("a,and->nd", self.weights, torch.stack(z))


INTEGRATIONS: dict[str, type[nn.Module]] = {
    "gru": GruIntegration,
    "mean": MeanIntegration,
    "weighted": WeightedIntegration,
}
