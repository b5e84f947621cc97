"""JSON of others: as RFC 8259 has it, each key once, in UTF-8, and no surprise left behind a value that was read."""

import json
import re
from typing import Any, NoReturn

from ssna.core.errors import SsnaError

SHOWN = 40  # characters of a name that somebody made up
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class JsonError(SsnaError):
    """What was sent is no JSON that can be used.

    Args:
        code: stable, in snake case; for programs.
        message: for people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def read_json(content: bytes, name: str) -> Any:
    """The JSON value in ``content``.

    Args:
        name: of what was sent, for the message: ``"the body"``.

    Raises:
        JsonError: ``not_utf8``, ``not_json``, ``not_unicode``, ``duplicate_key`` or ``too_deep``.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as cause:
        raise JsonError("not_utf8", f"{name} is not UTF-8: byte {cause.start} of {len(content)}") from None
    if content.startswith(BYTE_ORDER_MARK):
        reason = "it begins with a byte order mark, which nobody sees; write UTF-8 without one"
        raise JsonError("not_json", f"{name} is not JSON: {reason}")
    try:
        value = DECODER.decode(text)
        if SURROGATE.search(content):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise JsonError("too_deep", f"{name} is nested too deep") from None
    except UnicodeEncodeError:
        raise JsonError("not_unicode", f"{name} holds half of a surrogate pair (\\ud800 to \\udfff)") from None
    except json.JSONDecodeError as cause:
        raise JsonError("not_json", f"{name} is not JSON: {cause.msg} at character {cause.pos}") from None
    except _NoNumberError as cause:
        raise JsonError("not_json", f"{name} is not JSON: {cause} is no number there") from None
    except ValueError:  # an integer of more digits than Python reads
        raise JsonError("not_json", f"{name} holds a number of too many digits") from None
    return value


def short(name: str) -> str:
    """A name that somebody made up, fit for one line."""
    line = name if name.isprintable() else ascii(name)[1:-1]
    return line if len(line) <= SHOWN else line[:SHOWN] + "…"


class _NoNumberError(Exception):
    """NaN, or infinity."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise JsonError("duplicate_key", f"the key {short(twice)!r} occurs twice in an object")
    return value


def _no_number(name: str) -> NoReturn:
    raise _NoNumberError(name)


DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_number)
