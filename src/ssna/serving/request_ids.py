"""What a request is called in the log and in its answer: as its client says, or by a name of our own."""

import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

REQUEST_ID = "X-Request-Id"
_NAME = REQUEST_ID.lower().encode()
_HARMLESS = re.compile(rb"[A-Za-z0-9._:=+/@-]{1,128}")


def request_id_of(scope: Mapping[str, Any]) -> str:
    """What the client sent as ``X-Request-Id``, if it is one short word of harmless letters; else a new one."""
    given = [value for name, value in scope["headers"] if name == _NAME]
    if len(given) == 1 and _HARMLESS.fullmatch(given[0]):
        return str(given[0], "ascii")
    return new_request_id()


def new_request_id() -> str:
    """32 random hexadecimal digits."""
    return uuid4().hex
