"""Data sets whose items have vectors from elsewhere."""

from dataclasses import replace

import numpy as np

ITEMS, WIDTH = 30, 6


def some_vectors(count=ITEMS, width=WIDTH, seed=0):
    """By ids ``i1``, ..."""
    values = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
    return {f"i{row}": values[row - 1] for row in range(1, count + 1)}


def with_equal_texts(data):
    """All items have one text: nothing but vectors tells them apart."""
    return replace(data, texts=("", *["a lamp"] * len(data.items)))
