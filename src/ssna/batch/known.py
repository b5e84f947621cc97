"""Histories of ids in Arrow to item rows: each distinct id is looked at once, and none that is no id goes unsaid."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ssna.core.fields import ItemId, flaw_of
from ssna.core.ragged import Ragged
from ssna.data.dataset import IdMap

NOT_UTF8 = "is not UTF-8"


@dataclass(frozen=True, eq=False)
class KnownHistories:
    """What a catalogue knows of ``n`` histories.

    Attributes:
        known: item rows; none of a history that has an error.
        users: ``(n,)``, null where they cannot be written.
        errors: ``n`` times what is wrong with the history or its user, or None.
    """

    known: Ragged
    users: Any
    errors: tuple[str | None, ...]

    @classmethod
    def of(cls, items: IdMap, users: Any, histories: Any) -> "KnownHistories":
        """Look up ``histories``, an Arrow array of lists of strings that need not be UTF-8, and ``users``, one each."""
        users, errors = _readable(users)
        lengths = pc.fill_null(pc.list_value_length(histories), 0).to_numpy(zero_copy_only=False)
        ends = np.cumsum(lengths)
        rows, flaws = _rows(items, histories.flatten())
        for place in sorted(flaws):
            history = int(np.searchsorted(ends, place, side="right"))
            errors.setdefault(history, f"history.{place - int(ends[history] - lengths[history])}: {flaws[place]}")
        rows[np.isin(np.repeat(np.arange(len(lengths)), lengths), list(errors))] = 0
        kept = np.concatenate([[0], np.cumsum(rows > 0)])
        known = Ragged(rows[rows > 0], kept[np.concatenate([[0], ends])])
        return cls(known, users, tuple(errors.get(history) for history in range(len(lengths))))


def _rows(items: IdMap, ids: Any) -> tuple[Any, dict[int, str]]:
    """``(m,)`` rows of ids, 0 for one that is not known; and what is wrong with some, by their places."""
    rows = items.rows_of(ids)
    missing = np.flatnonzero(rows == 0)
    distinct = ids.take(pa.array(missing)).cast(pa.binary()).dictionary_encode(null_encoding="encode")
    contents = distinct.dictionary.to_pylist()
    texts = [None if content is None else _decoded(content) for content in contents]
    flaws = {
        number: NOT_UTF8 if text is None and contents[number] is not None else flaw_of(ItemId, text)
        for number, text in enumerate(texts)
    }
    wrong = {number: flaw for number, flaw in flaws.items() if flaw}
    found = items.find("" if number in wrong else str(text) for number, text in enumerate(texts))
    of_missing = distinct.indices.to_numpy()
    rows[missing] = found[of_missing]
    flawed = np.flatnonzero(np.isin(of_missing, list(wrong)))
    return rows, {int(missing[place]): wrong[int(of_missing[place])] for place in flawed.tolist()}


def _readable(users: Any) -> tuple[Any, dict[int, str]]:
    """Users with null in the place of those that are no UTF-8; and which these are."""
    kind = users.type.value_type if pa.types.is_dictionary(users.type) else users.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return users, {}
    content = users.cast(kind).cast(pa.large_binary())
    try:
        content.cast(pa.large_string())
    except pa.ArrowInvalid:
        texts = [None if each is None else _decoded(each) for each in content.to_pylist()]
        lost = [place for place, text in enumerate(texts) if text is None and content[place].is_valid]
        return pa.array(texts, kind).cast(users.type), dict.fromkeys(lost, f"user: {NOT_UTF8}")
    return users, {}


def _decoded(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None
