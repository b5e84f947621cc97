"""Histories that are none, ten kinds of them, as JSON lines and as Parquet."""

import json

import numpy as np
import pyarrow as pa

BAD_LINES = {
    "half of a surrogate pair in the history": (rb'{"user": 1, "history": ["\ud800"]}', "not_unicode"),
    "half of a surrogate pair in the user": (rb'{"user": "\udfff", "history": ["1"]}', "not_unicode"),
    "NaN as a user": (b'{"user": NaN, "history": ["1"]}', "not_json"),
    "a byte order mark": (b'\xef\xbb\xbf{"user": 1, "history": ["1"]}', "not_json"),
    "no UTF-8": (b'{"user": "\xff", "history": ["1"]}', "not_utf8"),
    "a history of another type": (b'{"user": 1, "history": "1"}', "invalid"),
    "an id of another type": (b'{"user": 1, "history": ["1", true]}', "invalid"),
    "an id that is too long": (json.dumps({"user": 1, "history": ["1", "x" * 257]}).encode(), "invalid"),
    "an id with a line break": (rb'{"user": 1, "history": ["a\nb"]}', "invalid"),
    "half a line": (b'{"user": 1, "history": ["1"', "not_json"),
}
"""Kind -> the line, and the code of its error."""

BAD_IDS: dict[str, bytes | None] = {
    "no UTF-8": b"\xff",
    "half of a surrogate pair": b"\xed\xa0\x80",
    "cut in the middle of a character": "ü".encode()[:1],
    "null": None,
    "empty": b"",
    "blank": b" \xc2\xa0",
    "too long": b"x" * 257,
    "a line break": b"a\nb",
    "a zero": b"a\x00",
    "a separator of lines": "a\u2028b".encode(),
}
"""Kind -> an id in Parquet, where strings are bytes that need not be UTF-8."""


def unchecked_strings(values: list[bytes | None]) -> pa.Array:
    """An array of strings that nobody looked at, as files have them."""
    ends = np.cumsum([0, *(len(value or b"") for value in values)]).astype(np.int32)
    mask = pa.array([value is not None for value in values]).buffers()[1]
    buffers = [mask, pa.py_buffer(ends.tobytes()), pa.py_buffer(b"".join(value or b"" for value in values))]
    return pa.Array.from_buffers(pa.string(), len(values), buffers)


def table_of(users: list[bytes | None], histories: list[list[bytes | None]]) -> pa.Table:
    """``user`` and ``history`` of strings that nobody looked at."""
    offsets = np.cumsum([0, *map(len, histories)]).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), unchecked_strings([item for row in histories for item in row]))
    return pa.table({"user": unchecked_strings(users), "history": lists})
