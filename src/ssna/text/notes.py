"""What a language model could not see of texts: what was cut off, what it knows no token of, and what that makes equal.

Beside its vectors a cache keeps 9 bytes a row: a byte of flags, and a hash of the tokens that were read.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssna.core.errors import option
from ssna.core.ragged import Ints
from ssna.text.encoding import Encoding

if TYPE_CHECKING:
    from ssna.text.encoder import TextEncoder

NOTES = "notes.bin"
NOTE_BYTES = 9
CUT, UNKNOWN = 1, 2
SHOWN = 40  # characters of a text in a warning
MULTILINGUAL = "intfloat/multilingual-e5-small"

Notes = NDArray[np.uint8]
"""``(n, 9)``; zeros where nothing was noted."""
Files = Sequence[Sequence[NDArray[np.floating[Any]]]]


def notes_of(encoder: "TextEncoder", texts: Sequence[str], token_ids: Sequence[Sequence[int]]) -> Notes:
    """Of texts that were read, with the tokens that were."""
    special = set(encoder.model.tokenizer.all_special_ids)  # the unknown token among them
    full = [place for place, ids in enumerate(token_ids) if len(ids) >= encoder.max_tokens]
    longer = encoder.tokenize([texts[place] for place in full], encoder.max_tokens + 1) if full else []
    cut = {place for place, ids in zip(full, longer, strict=True) if len(ids) > encoder.max_tokens}
    found = bytearray()
    for place, ids in enumerate(token_ids):
        found.append(CUT * (place in cut) + UNKNOWN * special.issuperset(ids))
        found += hashlib.blake2b(np.asarray(ids, dtype="<i4").tobytes(), digest_size=NOTE_BYTES - 1).digest()
    return np.frombuffer(bytes(found), np.uint8).reshape(-1, NOTE_BYTES)


@dataclass(frozen=True)
class Unseen:
    """What a model did not see of the texts, or items, that a cache is bound to.

    Attributes:
        texts: distinct texts; of vectors from elsewhere, items.
        noted: of how many of them the cache knows what was cut; older caches know of none.
        cut: texts longer than the model reads.
        equal_by_cut: texts that were cut and are no other than another text since.
        unknown: texts without any token that the model knows.
        equal_vectors: texts, or items, whose vector another one has, too.
        examples: places in the bound list, by the names above.
    """

    texts: int
    noted: int
    cut: int
    equal_by_cut: int
    unknown: int
    equal_vectors: int
    examples: Mapping[str, Sequence[int]]

    def tree(self) -> dict[str, Any]:
        """For reports: counts; None for what is not known."""
        counts = {name: getattr(self, name) if self.noted else None for name in ("cut", "equal_by_cut", "unknown")}
        return {**counts, "equal_vectors": self.equal_vectors}


def open_notes(folder: Path, rows: int) -> Notes | None:
    """Those of a cache's rows; None where they are damaged: nothing else depends on them."""
    path = folder / NOTES
    if rows == 0 or not path.is_file() or path.stat().st_size < rows * NOTE_BYTES:
        return None
    return np.memmap(path, dtype=np.uint8, mode="r", shape=(rows, NOTE_BYTES))


def unseen_of(rows: Ints, files: Files, notes: Sequence[Notes | None], encoding: Encoding) -> Unseen:
    """Of what a cache is bound to; arguments as the attributes of :class:`ssna.text.LayerCache`."""
    chosen = np.flatnonzero(rows >= 0)
    if not encoding.sources:  # a text that several items have is one
        chosen = chosen[np.sort(np.unique(rows[chosen], return_index=True)[1])]
    noted = encoding.has_model and any(each is not None for each in notes)
    rows = rows[chosen]
    return unseen(chosen, _taken(rows, files, notes) if noted else None, _contents(rows, files, encoding))


def _taken(rows: Ints, files: Files, notes: Sequence[Notes | None]) -> Notes:
    result, start = np.zeros((len(rows), NOTE_BYTES), dtype=np.uint8), 0
    for layers, noted in zip(files, notes, strict=True):
        here = np.flatnonzero((rows >= start) & (rows < start + len(layers[0])))
        if noted is not None:
            result[here] = noted[rows[here] - start]
        start += len(layers[0])
    return result


def _contents(rows: Ints, files: Files, encoding: Encoding) -> Iterator[bytes]:
    """What is kept of each row in the top layer of the model and of every source; empty where it is zero."""
    layers = [len(encoding.layers) if encoding.has_model else 0, *(each.layers for each in encoding.sources or ())]
    tops = [int(end) - 1 for end in dict.fromkeys(np.cumsum(layers).tolist()) if end]
    starts = np.cumsum([0, *(len(each[0]) for each in files)])
    of = np.searchsorted(starts, rows, side="right") - 1
    for row, number in zip(rows.tolist(), of.tolist(), strict=True):
        parts = [files[number][top][row - int(starts[number])] for top in tops]
        yield b"".join(part.tobytes() for part in parts) if any(part.any() for part in parts) else b""


def unseen(places: Ints, notes: Notes | None, vectors: Iterator[bytes]) -> Unseen:
    """Of distinct texts, or items.

    Args:
        places: ``(n,)`` where they are in the bound list.
        notes: ``(n, 9)``, or None where there are none.
        vectors: ``n``, what is kept of each; empty where all of it is zero.
    """
    examples: dict[str, Sequence[int]] = {}
    noted = cut = unknown = equal_by_cut = 0
    if notes is not None:
        there = notes[:, 1:].any(axis=1)
        flags, tokens = notes[:, 0], np.ascontiguousarray(notes[:, 1:]).view("<u8")[:, 0]
        _, group, size = np.unique(tokens, return_inverse=True, return_counts=True)
        was_cut, is_unknown = (there & (flags & flag > 0) for flag in (CUT, UNKNOWN))
        alike = was_cut & (size[group] > 1)
        noted, cut, unknown, equal_by_cut = (int(each.sum()) for each in (there, was_cut, is_unknown, alike))
        for name, each in (("cut", was_cut), ("unknown", is_unknown)):
            examples[name] = places[each][:1].tolist()
        if equal_by_cut:
            examples["equal_by_cut"] = places[group == group[np.argmax(alike)]][:2].tolist()
    of: dict[int, int] = {}
    first = np.full(len(places), -1, dtype=np.int64)
    for place, content in enumerate(vectors):
        if content:
            first[place] = of.setdefault(hash(content), place)
    said = first[first >= 0]
    values, counts = np.unique(said, return_counts=True)
    several = values[counts > 1]
    if len(several):
        examples["equal_vectors"] = places[first == several[0]][:2].tolist()
    return Unseen(len(places), noted, cut, equal_by_cut, unknown, int(counts[counts > 1].sum()), examples)


def warnings_of(found: Unseen, encoding: Encoding, texts: Sequence[str]) -> Iterator[str]:
    """A line for each thing that has to be said.

    Args:
        texts: the bound list; or ids, where items have vectors from elsewhere alone.
    """
    shown = {name: [_short(texts[place]) for place in places] for name, places in found.examples.items()}
    if found.cut:
        alike = f"; {found.equal_by_cut:,} of these are equal to another text since" if found.equal_by_cut else ""
        yield (
            f"{found.cut:,} of {found.texts:,} texts have more than {encoding.max_tokens} tokens and were cut, such as "
            f"{shown['cut'][0]}{alike}; read more with {option('max_tokens')}, or with a model that reads longer texts"
        )
    if found.unknown:
        yield (
            f"{found.unknown:,} of {found.texts:,} texts have no token that {encoding.model} knows, such as "
            f"{shown['unknown'][0]}; take a multilingual model, such as {option('model', MULTILINGUAL)}"
        )
    if found.equal_vectors:
        what = "texts" if encoding.has_model and not encoding.sources else "items"
        yield (
            f"{found.equal_vectors:,} of {found.texts:,} {what} have a vector that another has, too, such as "
            f"{' and '.join(shown['equal_vectors'])}; nothing but their events will tell them apart"
        )


def _short(text: str) -> str:
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")
