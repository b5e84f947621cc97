"""Histories as JSON lines: each is read by itself, and one that cannot be read is an error of its own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, BinaryIO

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from ssna.core.errors import DataError
from ssna.core.fields import ItemId, User, explain, flaw_of
from ssna.core.json_input import JsonError, read_json
from ssna.core.rules import Rules

LONGEST = 2**24  # bytes of a line; what is longer is not kept in memory
EXACT = 2**53  # below it, floats have all whole numbers
PARQUET = b"PAR1"
EXAMPLE = '{"user": "me", "history": ["sku-17", "sku-4"]}'


def from_number(value: Any) -> Any:
    """Ids of whole numbers are often written as numbers."""
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT:
        value = int(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class _Content(BaseModel):
    model_config = ConfigDict(strict=True)
    user: User = None
    history: list[Annotated[ItemId, BeforeValidator(from_number)]]


@dataclass(frozen=True)
class LineError:
    """What is wrong with a line: ``code`` for programs, ``message`` for people."""

    code: str
    message: str


@dataclass(frozen=True)
class Line:
    """One history.

    Attributes:
        number: of the line, from 1.
        user: as it came; None where there is none, or it cannot be read.
        history: item ids, oldest first.
        error: why there is no history.
        rules: those of :class:`ssna.recommender.rules.Rules` that the line has, checked, by their names.
    """

    number: int
    user: str | int | float | None
    history: tuple[str, ...] = ()
    error: LineError | None = None
    rules: Mapping[str, Any] = field(default_factory=dict)


def read_lines(file: BinaryIO, name: str) -> Iterator[Line]:
    """Every line of ``file`` that is not blank.

    Raises:
        DataError: it is a file of Parquet.
    """
    number = 0
    while content := file.readline(LONGEST + 1):
        number += 1
        if number == 1 and content.startswith(PARQUET):
            raise DataError(f"{name} is a file of Parquet, not JSON lines; read it with --format parquet")
        if len(content) > LONGEST and not content.endswith(b"\n"):
            _skip(file)
            yield Line(number, None, error=LineError("too_large", f"the line has more than {LONGEST:,} bytes"))
        elif content.strip():
            yield _parsed(number, content)


def _skip(file: BinaryIO) -> None:
    """To the end of the line."""
    while (more := file.readline(LONGEST)) and not more.endswith(b"\n"):
        pass


def _parsed(number: int, content: bytes) -> Line:
    try:
        value = read_json(content.rstrip(b"\r\n"), "the line")
    except JsonError as error:
        return Line(number, None, error=LineError(error.code, str(error)))
    try:
        read = _Content.model_validate(value)
        given = {name: value[name] for name in Rules.model_fields if value.get(name) is not None}
        rules = Rules.model_validate(given)
    except ValidationError as invalid:
        reason = explain(invalid.errors(include_input=False, include_url=False), "the line")
        user = value.get("user") if isinstance(value, dict) else None
        return Line(number, None if flaw_of(User, user) else user, error=LineError("invalid", reason))
    return Line(number, read.user, tuple(read.history), rules={name: getattr(rules, name) for name in given})
