"""One value of an attribute: of what kind it is, and as a column of that kind holds it."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from ssna.core.errors import SsnaError

KINDS: Mapping[str, pa.DataType] = {
    "number": pa.float64(),
    "text": pa.string(),
    "boolean": pa.bool_(),
    "time": pa.timestamp("us", "UTC"),
    "texts": pa.list_(pa.string()),
}
"""Kind -> how a column of it is held."""

LONGEST_TEXT, MOST_TEXTS = 1_000, 100
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_WIDEST = 1e300
_WORDS = {
    "number": "no number",
    "text": f"no text of at most {LONGEST_TEXT:,} characters",
    "boolean": "neither true nor false",
    "time": "neither an ISO date or time nor seconds since 1970",
    "texts": f"no list of at most {MOST_TEXTS} texts of at most {LONGEST_TEXT:,} characters",
}


def kind_of(held: pa.DataType) -> str | None:
    """The kind of a column that is held so; None if it is none."""
    return next((kind for kind, of_kind in KINDS.items() if of_kind == held), None)


def flaw_of(kind: str, value: object) -> str | None:
    """Why ``value`` is none of ``kind``; None where it is one."""
    if _MAKERS[kind](value) is not None:
        return None
    text = repr(value)
    return f"{text if len(text) <= 60 else f'{text[:60]}…'} is {_WORDS[kind]}"


def to_held(kind: str, value: object) -> Any:
    """``value`` as a column of ``kind`` holds it; None for one that has a flaw."""
    return _MAKERS[kind](value)


def checked_value(name: str, kind: str, value: object) -> Any:
    """As :func:`to_held`; None, which takes a value away, is let through.

    Args:
        name: of the attribute, for the message.

    Raises:
        SsnaError: it has a flaw.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is not None and (flaw := flaw_of(kind, value)):
        raise SsnaError(f"attribute {name!r}: {flaw}")
    return None if value is None else to_held(kind, value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _WIDEST


def _number(value: Any) -> float | None:
    return float(value) if _is_number(value) else None


def _text(value: Any) -> str | None:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return None
    return value


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _time(value: Any) -> dt.datetime | None:
    try:
        if _is_number(value):
            return _EPOCH + dt.timedelta(seconds=value)
        if isinstance(value, str):
            value = dt.datetime.fromisoformat(value)
        if isinstance(value, dt.datetime):
            return (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None
    return dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC) if isinstance(value, dt.date) else None


def _texts(value: Any) -> list[str] | None:
    if not isinstance(value, list | tuple) or len(value) > MOST_TEXTS:
        return None
    return None if any(_text(each) is None for each in value) else list(value)


_MAKERS = {"number": _number, "text": _text, "boolean": _boolean, "time": _time, "texts": _texts}
