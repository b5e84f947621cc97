"""The floating-point operations that a step of SSNA cannot do without, in closed form.

Two a multiply-and-add; matrix products only. A step has ``U`` distinct items, ``N`` real positions (no padding),
sequences of lengths ``l``, ``P`` targets; ``a`` layers of width ``d``, ``K`` experts, item vectors of width ``D``,
``b`` Transformer layers with feed-forward width ``F``:

    adapters        a (2 (U + K) d K D  +  4 U d K  +  4 U K D)     Eq. 1 to 3: experts and shifts, routing, mixture
    GRU             12 a U D D - 6 U D D                            Eq. 4: inputs, states (the first state is zero)
    sequence model  b (8 N D D + 4 N D F + sum 2 l (l + 1) D)       Eq. 5 and 6: four maps, feed-forward, attention
    loss            2 P P D                                         Eq. 7 and 8, in-batch

Backward costs twice that, one product for each factor's gradient, but where a factor needs none: the states are frozen,
so experts and routing cost once.
"""

from dataclasses import dataclass

from ssna.nn.batch import Batch


@dataclass(frozen=True)
class Shape:
    """The letters above that do not change from step to step."""

    layers: int
    width: int
    num_experts: int
    dim: int
    num_layers: int
    ffn_dim: int


def operations(batch: Batch, shape: Shape) -> dict[str, float]:
    """Forward and backward, by part, of one batch."""
    U, N, P = len(batch.candidates.items), len(batch.sequences.items), len(batch.targets)
    a, d, K, D, b, F = shape.layers, shape.width, shape.num_experts, shape.dim, shape.num_layers, shape.ffn_dim
    lengths = batch.sequences.offsets.diff()
    frozen = a * (2 * (U + K) * d * K * D + 4 * U * d * K)
    gru = 12 * a * U * D * D - 6 * U * D * D
    attention = float((2 * lengths * (lengths + 1)).sum()) * D
    return {
        "adapters": 2.0 * frozen + 3.0 * a * 4 * U * K * D,
        "GRU": 3.0 * gru,
        "sequence model": 3.0 * b * (8 * N * D * D + 4 * N * D * F + attention),
        "loss": 3.0 * 2 * P * P * D,
    }
