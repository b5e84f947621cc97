"""What an item that has a text and no events is admitted by."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ssna.core.errors import SsnaError
from ssna.core.fields import require_new
from ssna.data.dataset import IdMap
from ssna.text import Encoding, embed, without_content

SHOWN = 60  # characters of a text in a warning


@dataclass(frozen=True, eq=False)
class NewItems:
    """``n`` items that have a text, and what the language model read in it.

    Attributes:
        texts: by ids.
        states: ``(a, n, d)`` fp32, top layer first; zero where a text says nothing.
        silent: ``n``, whether a text says nothing.
    """

    texts: Mapping[str, str]
    states: Tensor
    silent: Sequence[bool]

    @property
    def read(self) -> list[str]:
        """``n`` texts as a scorer is to read them: empty where they say nothing."""
        return ["" if nothing else text for text, nothing in zip(self.texts.values(), self.silent, strict=True)]

    @property
    def silent_items(self) -> tuple[str, ...]:
        """The ids of those whose text says nothing."""
        return tuple(item for item, nothing in zip(self.texts, self.silent, strict=True) if nothing)


def in_order(items: Iterable[str], parts: Sequence[NewItems]) -> NewItems:
    """All of ``parts`` together, in the order of ``items``, which are theirs."""
    whole = [item for part in parts for item in part.texts]
    place = {item: number for number, item in enumerate(whole)}
    order = [place[item] for item in items]
    texts = {item: text for part in parts for item, text in part.texts.items()}
    silent = [nothing for part in parts for nothing in part.silent]
    states = torch.cat([part.states for part in parts], dim=1)[:, order]
    return NewItems({whole[number]: texts[whole[number]] for number in order}, states, [silent[n] for n in order])


def check_new(texts: Mapping[str, str], items: IdMap) -> None:
    """Raises :class:`SsnaError` unless ``texts`` are some, by ids that ``items`` does not have."""
    if not isinstance(texts, Mapping):
        raise SsnaError("add_items takes texts by their ids: add_items({'sku-new': 'Cordless drill, 18 V'})")
    require_new(texts.items())
    if known := [item for item in texts if item in items]:
        raise SsnaError(f"item {known[0]!r} is in the catalogue already; give new items new ids")


def read_texts(texts: Mapping[str, str], encoding: Encoding, layers: int) -> NewItems:
    """Let the language model read them.

    Raises:
        EncoderError: the language model is gone, or is not the one that the model was trained with.
    """
    states, _, silent = states_of_new(tuple(texts.values()), encoding, layers)
    return NewItems(texts, states, silent)


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
