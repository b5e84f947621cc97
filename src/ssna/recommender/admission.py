"""What an item that has no events is admitted by: its text, or its vector."""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ssna.core.errors import SsnaError
from ssna.core.fields import require_new
from ssna.data.dataset import IdMap
from ssna.text import Encoding, LayerCache, without_content
from ssna.text.encoding import VECTORS
from ssna.text.states import Vectors, require_vectors, states, vectors_of

SHOWN = 60  # characters of a text in a warning


@dataclass(frozen=True, eq=False)
class NewItems:
    """``n`` items that have a text or a vector, and what the language model read in the text.

    Attributes:
        texts: by ids; empty where an item has a vector alone.
        states: ``(a, n, d)`` fp32, top layer first; zero where a text says nothing and there is no vector.
        silent: ``n``, whether nothing is known of an item: its text says nothing, and it has no vector.
        vectors: by ids, of the items that have some.
        unread: ids whose text says nothing, or is empty, though they have a vector.
    """

    texts: Mapping[str, str]
    states: Tensor
    silent: Sequence[bool]
    vectors: Mapping[str, Vectors] = field(default_factory=dict)
    unread: Container[str] = ()

    @property
    def read(self) -> list[str]:
        """``n`` texts as a scorer is to read them: empty where they say nothing."""
        pairs = zip(self.texts.items(), self.silent, strict=True)
        return ["" if nothing or item in self.unread else text for (item, text), nothing in pairs]

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
    found = torch.cat([part.states for part in parts], dim=1)[:, order]
    vectors = {item: given for part in parts for item, given in part.vectors.items()}
    unread = {item for part in parts for item in part.texts if item in part.unread}
    in_their_order = {whole[number]: texts[whole[number]] for number in order}
    return NewItems(in_their_order, found, [silent[n] for n in order], vectors, unread)


def check_new(texts: Mapping[str, str], items: IdMap, vectors: Container[object] = ()) -> None:
    """Raises :class:`SsnaError` unless ``texts`` are some, by ids that ``items`` does not have.

    Args:
        vectors: ids that have a vector, and need no text.
    """
    if not isinstance(texts, Mapping):
        raise SsnaError("add_items takes texts by their ids: add_items({'sku-new': 'Cordless drill, 18 V'})")
    require_new(texts.items(), vectors)
    if known := [item for item in texts if item in items]:
        raise SsnaError(f"item {known[0]!r} is in the catalogue already; give new items new ids")


def read_new(texts: Mapping[str, str], vectors: Mapping[str, Vectors], encoding: Encoding, layers: int) -> NewItems:
    """Let the language model read texts, beside ``vectors`` that are given.

    Raises:
        SsnaError: nothing is known of an item.
        EncoderError: the language model is gone, or is not the one that the model was trained with.
    """
    if not encoding.reads_text:
        require_vectors(list(texts), vectors, encoding)
    here = [vectors.get(item, {}) for item in texts]
    found, read = states_of_new(tuple(texts.values()), encoding, layers, here)
    silent = [not text and not given for text, given in zip(read, here, strict=True)]
    unread = {item for item, text in zip(texts, read, strict=True) if not text and encoding.reads_text}
    return NewItems(texts, found, silent, {item: vectors[item] for item in texts if vectors.get(item)}, unread)


def checked_vectors(vectors: Mapping[str, object], encoding: Encoding | None) -> dict[str, Vectors]:
    """What a caller gave as vectors of new items, by ids. Raises :class:`SsnaError` for one that does not fit."""
    if not isinstance(vectors, Mapping):
        raise SsnaError("vectors are arrays by ids: add_items(vectors={'sku-new': array})")
    if encoding is None and vectors:
        raise SsnaError("this model reads no vectors; leave them out")
    return {} if encoding is None else {item: vectors_of(item, given, encoding) for item, given in vectors.items()}


def new_in_cache(texts: Mapping[str, str], cache: LayerCache, layers: int) -> NewItems:
    """New items whose vectors a cache has. Raises :class:`CacheError` where it lacks one."""
    bound = LayerCache.open(cache.folders, ("", *texts.values()), tuple(texts))
    found = torch.from_numpy(bound.top(layers)[:, 1:])
    return NewItems(texts, found, (found == 0).all(dim=2).all(dim=0).tolist())


def states_of_new(
    texts: Sequence[str], encoding: Encoding, layers: int, vectors: Sequence[Vectors] | None = None
) -> tuple[Tensor, list[str]]:
    """States ``(a, n, d)``, top layer first; and the texts that were read. Those that say nothing are read as no text,
    and the states of an item without a vector are zero then.

    Raises:
        EncoderError: the language model is gone, or is not the one that the model was trained with.
    """
    without = without_content(texts, encoding) if encoding.has_model else [not text.strip() for text in texts]
    read = ["" if nothing else text for text, nothing in zip(texts, without, strict=True)]
    found = states(read, [{}] * len(texts) if vectors is None else vectors, encoding, layers)
    return torch.from_numpy(np.ascontiguousarray(found)), read


def warnings_of(new: NewItems, encoding: Encoding | None) -> Iterator[str]:
    """What has to be said of admitted items."""
    if new.silent_items:
        yield says_nothing(new.silent_items, new.texts)
    given = () if encoding is None else encoding.given
    silent = set(new.silent_items)
    for source in given:
        lacking = [item for item in new.texts if source.name not in new.vectors.get(item, {}) and item not in silent]
        if lacking:
            named = "" if source.name == VECTORS else f" in {source.name}"
            yield (
                f"{len(lacking)} of {len(new.texts)} new items have no vector{named}, such as {lacking[0]!r}; what "
                "else is known of them ranks them: their texts, or other vectors"
            )


def says_nothing(items: Sequence[str], texts: Mapping[str, str]) -> str:
    """The warning about admitted ``items``."""
    example = texts[items[0]]
    shown = example if len(example) <= SHOWN else f"{example[:SHOWN]}..."
    return (
        f"{len(items)} of {len(texts)} texts of new items say nothing of them, such as {shown!r} of {items[0]!r}; the "
        "items are admitted, and such a text adds nothing to a score: give it two words or more"
    )
