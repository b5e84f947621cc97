"""Bodies from bytes to checked values: JSON as RFC 8259 has it, each key once, and no surprise left to a 500."""

import json
import re
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from ssna.serving.limits import LIMITS
from ssna.serving.refusal import RequestError

ModelT = TypeVar("ModelT", bound=BaseModel)
SHOWN = 40  # characters of a name that a request made up
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse(model: type[ModelT], body: bytes) -> ModelT:
    """``body`` as ``model``. Raises :class:`RequestError`: 400 for what is no JSON, 422 for what is not this model."""
    value = read_json(body)
    try:
        return model.model_validate(value)
    except ValidationError as invalid:
        if _depth(value) > LIMITS.json_depth:
            raise _too_deep() from None
        raise RequestError(422, "invalid", explain(invalid.errors(include_input=False, include_url=False))) from None


def read_json(body: bytes) -> Any:
    """The JSON value in ``body``. Raises :class:`RequestError` with 400."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as cause:
        raise RequestError(400, "not_utf8", f"the body is not UTF-8: byte {cause.start} of {len(body)}") from None
    try:
        value = DECODER.decode(text)
        if SURROGATE.search(body):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise _too_deep() from None
    except UnicodeEncodeError:
        raise RequestError(400, "not_unicode", "the body holds half of a surrogate pair (\\ud800 to \\udfff)") from None
    except json.JSONDecodeError as cause:
        raise RequestError(400, "not_json", f"the body is not JSON: {cause.msg} at character {cause.pos}") from None
    except ValueError:  # an integer of more digits than Python reads
        raise RequestError(400, "not_json", "the body holds a number of too many digits") from None
    return value


MEANINGS = {"model_type": "must be an object", "string_pattern_mismatch": "must not be blank"}
"""What pydantic says of classes and patterns that nobody outside knows."""


def explain(errors: Sequence[Any]) -> str:
    """What is wrong in one line: pydantic's first error, and how many more there are."""
    where = ".".join(short(str(part)) for part in errors[0]["loc"]) or "the body"
    message = MEANINGS.get(errors[0]["type"], errors[0]["msg"])
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{where}: {message}{more}"


def short(name: str) -> str:
    """A name that a request made up, fit for one line."""
    line = name if name.isprintable() else ascii(name)[1:-1]
    return line if len(line) <= SHOWN else line[:SHOWN] + "…"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise RequestError(400, "duplicate_key", f"the key {short(twice)!r} occurs twice in an object")
    return value


def _no_number(name: str) -> NoReturn:
    raise RequestError(400, "not_json", f"the body is not JSON: {name} is no number there")


DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_number)


def _too_deep() -> RequestError:
    return RequestError(400, "too_deep", f"the body is nested more than {LIMITS.json_depth} deep")


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := [node for node in level if isinstance(node, dict | list)]:
        depth += 1
        level = [child for node in level for child in (node.values() if isinstance(node, dict) else node)]
    return depth
