"""What may be sent to a recommender: the one set of checks that Python, the command line and HTTP share.

An id has 1 to 256 characters. It is not blank and has no line breaks or other control characters in it, so that it fits
a line, a file and an address. In Python and in Parquet an id that the catalogue has is accepted,
whatever it is; lines and HTTP are checked before anybody looks at the catalogue.
"""

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, StringConstraints, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from ssna.core.errors import SsnaError
from ssna.core.json_input import short

ID_LENGTH = 256
_CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_TIDY = rf"[^\s{_CONTROL}]([^{_CONTROL}]*[^\s{_CONTROL}])?"
ASKED_ID, ADDED_ID = rf"^\s*{_TIDY}\s*$", rf"^{_TIDY}$"
FILLED = r"\S"

ItemId = Annotated[str, StringConstraints(min_length=1, max_length=ID_LENGTH, pattern=ASKED_ID)]
"""An id that is asked for; blanks around it are not looked at."""

NewItemId = Annotated[str, StringConstraints(min_length=1, max_length=ID_LENGTH, pattern=ADDED_ID)]
"""An id that is to be added: without blanks around it, which nobody would see."""

Text = Annotated[str, StringConstraints(min_length=1, pattern=FILLED)]
"""Of an item."""


def _integer(value: Any) -> Any:
    """JSON has one kind of number: 10.0 is an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Integer = Annotated[int, BeforeValidator(_integer)]


def _user(value: Any) -> Any:
    fits = isinstance(value, str | int | float | None) and not isinstance(value, bool)
    if not fits or (isinstance(value, float) and not abs(value) < float("inf")):
        raise PydanticCustomError("user", "must be text, a finite number, or null")
    return value


User = Annotated[Any, AfterValidator(_user)]
"""Whoever a history is of: given back as it came."""

MEANINGS = {
    "missing": "is missing",
    "string_type": "must be text",
    "string_unicode": "holds half of a surrogate pair",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "list_type": "must be a list",
    "model_type": "must be an object",
    "string_pattern_mismatch": "must not be blank",
}
"""What pydantic says, in words that need no knowledge of it."""

OF_PATTERNS = {
    ASKED_ID: "must not be blank, nor have line breaks or control characters in it",
    ADDED_ID: "must have no blanks around it, nor line breaks or control characters in it",
}


def explain(errors: Sequence[Any], name: str) -> str:
    """What is wrong in one line: pydantic's first error, and how many more there are.

    Args:
        name: of what was sent, where all of it is wrong: ``"the body"``.
    """
    inside = errors[0].get("ctx", {}).get("place", "")  # of a condition
    where = ".".join(filter(None, [*(short(str(part)) for part in errors[0]["loc"]), inside])) or name
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{where}: {_meaning(errors[0])}{more}"


def flaw_of(kind: Any, value: object) -> str | None:
    """What is wrong with ``value``, where one of the types above is wanted; None where nothing is."""
    try:
        _adapter(kind).validate_python(value, strict=True)
    except ValidationError as wrong:
        return _meaning(wrong.errors(include_input=False, include_url=False)[0])
    return None


def is_list(value: object) -> bool:
    """Whether ``value`` holds several: a list, a tuple, an array, ..., and no text."""
    return isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping)


def require_ids(ids: Iterable[object], known: Container[str]) -> None:
    """Raises :class:`SsnaError` for the first that is no id.

    Args:
        known: ids of the catalogue.
    """
    for each in ids:
        if not isinstance(each, str):
            raise SsnaError(f"ids are text: {str(each)!r} instead of {each!r}")
        if each not in known and (flaw := flaw_of(ItemId, each)):
            raise SsnaError(f"item id {short(each)!r} {flaw}")


def require_new(texts: Iterable[tuple[object, object]], silent: Container[object] = ()) -> None:
    """Raises :class:`SsnaError` for the first item that could not be asked for, or saved: ids and their texts.

    Args:
        silent: ids that need no text.
    """
    for item, text in texts:
        for value, what in ((item, "ids"), (text, "texts")):
            if not isinstance(value, str):
                raise SsnaError(f"{what} are text: {str(value)!r} instead of {value!r}")
        if flaw := flaw_of(NewItemId, item):
            raise SsnaError(f"item id {short(str(item))!r} {flaw}")
        if item in silent and not text:
            continue
        if not str(text).strip():
            raise SsnaError(f"item {item!r} has no text, so there is nothing to rank it by")
        if flaw := flaw_of(Text, text):
            raise SsnaError(f"the text of item {item!r} {flaw}")


def _meaning(error: Any) -> str:
    kind, context = error["type"], error.get("ctx", {})
    words = OF_PATTERNS.get(context.get("pattern")) or MEANINGS.get(kind, "").format(**context)
    return words or str(error["msg"])


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
