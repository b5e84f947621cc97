"""The paper's equations once more, in loops over single numbers and plain Python: slow, and easy to check by eye.

Vectors are lists of floats and matrices are lists of rows; nothing is batched, packed or shared.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

Vector = Sequence[float]
Matrix = Sequence[Vector]
Weights = Mapping[str, Any]
"""Matrices and vectors by name."""


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def softplus(x: float) -> float:
    return math.log(1 + math.exp(x))


def softmax(logits: Vector) -> list[float]:
    exponents = [math.exp(x - max(logits)) for x in logits]
    return [x / sum(exponents) for x in exponents]


def dot(a: Vector, b: Vector) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def row_times_matrix(row: Vector, matrix: Matrix) -> list[float]:
    """``row @ matrix``, as the paper writes products."""
    return [sum(row[i] * matrix[i][j] for i in range(len(row))) for j in range(len(matrix[0]))]


def linear(weight: Matrix, bias: Vector, x: Vector) -> list[float]:
    """torch's ``nn.Linear``: ``weight (out, in)``."""
    return [dot(w, x) + b for w, b in zip(weight, bias, strict=True)]


def adapter(h: Vector, shifts: Matrix, projections: Sequence[Matrix], B: Matrix) -> list[float]:
    """Eq. 1 to 3 without noise. ``shifts[k] = b_k (d)``, ``projections[k] = W_k (d, D)``, ``B (d, K)``."""
    experts = range(len(shifts))
    e = [row_times_matrix([x - b for x, b in zip(h, shifts[k], strict=True)], projections[k]) for k in experts]  # Eq. 1
    mixing = softmax(row_times_matrix(h, B))  # Eq. 3, then the softmax of Eq. 2
    return [sum(mixing[k] * e[k][j] for k in experts) for j in range(len(e[0]))]  # Eq. 2


def gru_step(cell: Weights, x: Vector, state: Vector) -> list[float]:
    """One step of torch's ``nn.GRUCell``: its rows are the reset gate, the update gate, the candidate."""
    dim = len(state)
    read = linear(cell["weight_ih"], cell["bias_ih"], x)
    kept = linear(cell["weight_hh"], cell["bias_hh"], state)
    new = []
    for j in range(dim):
        reset = sigmoid(read[j] + kept[j])
        update = sigmoid(read[dim + j] + kept[dim + j])
        candidate = math.tanh(read[2 * dim + j] + reset * kept[2 * dim + j])
        new.append((1 - update) * candidate + update * state[j])
    return new


def gru(cell: Weights, z: Matrix) -> list[float]:
    """Eq. 4: ``z[0]`` is the top layer's and is read first, from a zero state."""
    state = [0.0] * len(z[0])
    for z_m in z:
        state = gru_step(cell, z_m, state)
    return state


def mean(z: Matrix) -> list[float]:
    """MEAN of Table 8."""
    return [sum(z_m[j] for z_m in z) / len(z) for j in range(len(z[0]))]


def weighted(weights: Vector, z: Matrix) -> list[float]:
    """WEIGHTED of Table 8."""
    return [sum(w * z_m[j] for w, z_m in zip(weights, z, strict=True)) for j in range(len(z[0]))]


def cosine(a: Vector, b: Vector) -> float:
    """Eq. 7."""
    return dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))


def cross_entropy(user: Vector, positive: Vector, negatives: Matrix, tau: float) -> float:
    """One user's term of Eq. 8 with its minus logarithm, and the positive in the denominator."""
    right = math.exp(cosine(user, positive) / tau)
    return -math.log(right / (right + sum(math.exp(cosine(user, v) / tau) for v in negatives)))


def in_batch(
    embeddings: Matrix, items: Matrix, targets: Sequence[int], tau: float, users: Sequence[int] | None = None
) -> float:
    """Eq. 8 over a batch: other users' targets are the negatives, but for repeats of one's own."""
    users = range(len(targets)) if users is None else users
    terms = []
    for sample, target in enumerate(targets):
        others = [items[t] for other, t in enumerate(targets) if users[other] != users[sample] and t != target]
        terms.append(cross_entropy(embeddings[sample], items[target], others, tau))
    return sum(terms) / len(terms)


def sampled(embeddings: Matrix, items: Matrix, targets: Sequence[int], tau: float) -> float:
    """As :func:`in_batch`, but the negatives are all ``items`` except the target."""
    terms = []
    for sample, target in enumerate(targets):
        others = [item for row, item in enumerate(items) if row != target]
        terms.append(cross_entropy(embeddings[sample], items[target], others, tau))
    return sum(terms) / len(terms)


def layer_norm(weight: Vector, bias: Vector, x: Vector) -> list[float]:
    centre = sum(x) / len(x)
    deviation = math.sqrt(sum((value - centre) ** 2 for value in x) / len(x) + 1e-12)
    return [w * (value - centre) / deviation + b for w, b, value in zip(weight, bias, x, strict=True)]


def gelu(x: float) -> float:
    return x * 0.5 * (1 + math.erf(x / math.sqrt(2)))


def plus(a: Vector, b: Vector) -> list[float]:
    return [x + y for x, y in zip(a, b, strict=True)]


def attention(queries: Matrix, keys: Matrix, values: Matrix) -> list[list[float]]:
    """One head: position ``t`` attends to positions 0 to ``t``."""
    mixed = []
    for t, query in enumerate(queries):
        share = softmax([dot(query, keys[s]) / math.sqrt(len(query)) for s in range(t + 1)])
        mixed.append([sum(share[s] * values[s][j] for s in range(t + 1)) for j in range(len(query))])
    return mixed


def block(weights: Weights, num_heads: int, x: Matrix) -> list[list[float]]:
    """Post-norm: a residual, then a LayerNorm, after attention and after the two linear layers."""
    dim = len(x[0])
    qkv = [linear(weights["qkv.weight"], weights["qkv.bias"], row) for row in x]
    size = dim // num_heads
    mixed: list[list[float]] = [[] for _ in x]
    for head in range(num_heads):
        q, k, v = ([row[part * dim + head * size : part * dim + (head + 1) * size] for row in qkv] for part in range(3))
        for row, found in zip(mixed, attention(q, k, v), strict=True):
            row += found
    out = []
    for state, heads in zip(x, mixed, strict=True):
        attended = plus(state, linear(weights["out.weight"], weights["out.bias"], heads))
        attended = layer_norm(weights["attention_norm.weight"], weights["attention_norm.bias"], attended)
        wide = [gelu(value) for value in linear(weights["widen.weight"], weights["widen.bias"], attended)]
        fed = plus(attended, linear(weights["narrow.weight"], weights["narrow.bias"], wide))
        out.append(layer_norm(weights["feed_norm.weight"], weights["feed_norm.bias"], fed))
    return out


def sasrec(weights: Weights, num_layers: int, num_heads: int, x: Matrix) -> list[list[float]]:
    """Eq. 6 for one sequence, in UniSRec's form: item plus position, LayerNorm, then the blocks."""
    x = [
        layer_norm(weights["norm.weight"], weights["norm.bias"], plus(row, weights["position.weight"][t]))
        for t, row in enumerate(x)
    ]
    for number in range(num_layers):
        prefix = f"blocks.{number}."
        x = block({n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}, num_heads, x)
    return [list(row) for row in x]


def recency_mean(x: Matrix, window: int, decay: float) -> list[float]:
    """The user embedding after the last row: of the last ``window`` rows, weighted by ``decay`` once a step back."""
    latest = list(reversed(x))[:window]
    return [sum(decay**back * row[j] for back, row in enumerate(latest)) for j in range(len(x[0]))]


def distance_from_orthonormal(vectors: Matrix) -> float:
    """``|P P' - 1|`` (Frobenius) of the rows ``P``: one term of AdaLoRA's penalty (Zhang et al., 2023, Eq. 4)."""
    rows = range(len(vectors))
    return math.sqrt(sum((dot(vectors[i], vectors[j]) - (i == j)) ** 2 for i in rows for j in rows))
