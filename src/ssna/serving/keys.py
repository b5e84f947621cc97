"""Keys of clients, and what each may do. A file has their digests alone: ``ssna keys`` writes it, a server reads it."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from ssna.core.errors import SsnaError, there_are
from ssna.core.files import write_file
from ssna.core.locks import wait_for_lock
from ssna.core.settings import reason
from ssna.serving.refusal import RequestError

HEADER = "X-API-Key"
OF_SCOPE = "ssna.key"  # in a request's scope: the key that came with it, or None
SINGLE = "api-key"  # what the key of SSNA_API_KEY is called in the log
RANDOM_BYTES = 32  # of a key: too many to be guessed from its digest, so that no slow digest is needed
LONGEST_FILE = 2**20  # bytes


class May(StrEnum):
    """What a key allows; who may change may read, too."""

    read = "read"
    change = "change"

    def covers(self, other: "May") -> bool:
        """Whether this is enough for what needs ``other``."""
        return self is May.change or other is May.read


class Key(BaseModel):
    """A key, but for the key itself.

    Attributes:
        name: of its holder, for the log.
        sha256: of the key, in hexadecimal digits.
        made: when.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    may: May
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    made: AwareDatetime


class _Content(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    format: Literal[1] = 1
    keys: Annotated[list[Key], Field(max_length=1_000)] = []


class Keys:
    """The keys of a server.

    Args:
        single: a key that may change; alone, it leaves reading to everybody.
        file: of more keys, as ``ssna keys add`` writes it. With one, reading needs a key, too.

    Raises:
        SsnaError: as :func:`read_keys`.
    """

    def __init__(self, single: str | None = None, file: Path | None = None) -> None:
        now = datetime.now(UTC)
        self._single = [] if single is None else [Key(name=SINGLE, may=May.change, sha256=_digest(single), made=now)]
        self._file = file
        self._known: Sequence[Key] = ()
        self.read_again()

    @property
    def guard_reading(self) -> bool:
        """Whether reading needs a key."""
        return self._file is not None

    def read_again(self) -> None:
        """What the file holds now. Raises :class:`SsnaError` if it cannot be read; the keys are then as before."""
        self._known = [*self._single, *([] if self._file is None else read_keys(self._file))]

    def of(self, scope: Mapping[str, Any]) -> Key | None:
        """The key that a request came with; None: it has none, several, or one that is not known."""
        given = [value for name, value in scope["headers"] if name == b"x-api-key"]
        if len(given) != 1:
            return None
        digest, found = hashlib.sha256(given[0]).hexdigest(), None
        for key in self._known:  # all of them: how long it takes tells nothing
            if hmac.compare_digest(digest, key.sha256):
                found = key
        return found

    def check(self, scope: Mapping[str, Any], may: May) -> None:
        """Raises :class:`RequestError` for a request whose key (``OF_SCOPE``) does not allow what it asks for."""
        if not any(key.may.covers(may) for key in self._known):
            made = "start the server with --api-key or SSNA_API_KEY, or make a key for them with `ssna keys add`"
            what = "changes, users and events are" if may is May.change else "this is"
            raise RequestError(403, "no_key", f"{what} off: {made}")
        key: Key | None = scope.get(OF_SCOPE)
        if key is None:
            given = any(name == b"x-api-key" for name, _ in scope["headers"])
            message = f"the key {'is wrong' if given else 'is missing'}: send it as {HEADER}"
            raise RequestError(401, "wrong_key", message, {"WWW-Authenticate": "ApiKey"})
        if not key.may.covers(may):
            message = f"the key {key.name!r} may only {key.may}; take one of `ssna keys add --may {may}`"
            raise RequestError(403, "key_may_not", message)


def read_keys(path: Path) -> list[Key]:
    """What ``path`` holds. Raises :class:`SsnaError` if it is not there, or is no file of keys."""
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST_FILE + 1)
        if len(content) > LONGEST_FILE:
            raise SsnaError(f"{path} has more than {LONGEST_FILE:,} bytes; it is no file of keys")
        return _Content.model_validate_json(content).keys
    except FileNotFoundError:
        raise SsnaError(f"{path} does not exist; make it with `ssna keys add {path} --name NAME --may read`") from None
    except ValidationError as invalid:
        error = invalid.errors(include_url=False)[0]
        where = ".".join(map(str, error["loc"])) or "all of it"
        raise SsnaError(
            f"{path} is no file of keys ({where}: {reason(error)}); make one with `ssna keys add`"
        ) from None
    except OSError as cause:
        raise SsnaError(f"{path} cannot be read ({cause.strerror}); name a file of `ssna keys add`") from None


def add_key(path: Path, name: str, may: May) -> str:
    """A new key, which nobody can read from ``path`` afterwards; the file is made if need be.

    Raises:
        SsnaError: the name is taken or none, or ``path`` is something else.
    """
    key = f"ssna_{secrets.token_urlsafe(RANDOM_BYTES)}"
    with wait_for_lock(_lock(path)):
        known = read_keys(path) if path.exists() else []
        if any(each.name == name for each in known):
            raise SsnaError(f"{path} has a key {name!r} already; remove it first, or take another --name")
        try:
            made = Key(name=name, may=may, sha256=_digest(key), made=datetime.now(UTC).replace(microsecond=0))
        except ValidationError:
            raise SsnaError(f"--name {name!r}: up to 64 letters, digits, dots, dashes and underscores") from None
        _write(path, [*known, made])
    return key


def remove_key(path: Path, name: str) -> None:
    """Whoever has the key loses it, once servers have read ``path`` again.

    Raises:
        SsnaError: there is no such key, or ``path`` is something else.
    """
    read_keys(path)  # before a lock lies beside what is no file of keys
    with wait_for_lock(_lock(path)):
        known = read_keys(path)
        if all(key.name != name for key in known):
            names = there_are([key.name for key in known], name) if known else "there is none"
            raise SsnaError(f"{path} has no key {name!r}; {names}")
        _write(path, [key for key in known if key.name != name])


def _write(path: Path, keys: list[Key]) -> None:
    write_file(path, _Content(keys=keys).model_dump_json(indent=2) + "\n")


def _lock(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
