"""What an item that has a text and no events is admitted by."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ssna.text import Encoding, embed, without_content

SHOWN = 60  # characters of a text in a warning


def states_of_new(texts: Sequence[str], encoding: Encoding, layers: int) -> tuple[Tensor, list[str], list[bool]]:
    """States ``(a, n, d)``, top layer first; the texts that were read; and which say nothing. These are read as no
    text, and their states are zero.

    Raises:
        EncoderError: the language model is gone, or is not the one that the model was trained with.
    """
    without = without_content(texts, encoding)
    read = ["" if nothing else text for text, nothing in zip(texts, without, strict=True)]
    return torch.from_numpy(np.ascontiguousarray(embed(read, encoding, layers))), read, without


def says_nothing(items: Sequence[str], texts: Mapping[str, str]) -> str:
    """The warning about admitted ``items``."""
    example = texts[items[0]]
    shown = example if len(example) <= SHOWN else f"{example[:SHOWN]}..."
    return (
        f"{len(items)} of {len(texts)} texts of new items say nothing of them, such as {shown!r} of {items[0]!r}; the "
        "items are admitted, and such a text adds nothing to a score: give it two words or more"
    )
