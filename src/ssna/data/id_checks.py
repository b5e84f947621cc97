"""Ids that would make one user, or item, of several."""

from textwrap import shorten

import numpy as np
from ibis import Table

from ssna.core.errors import DataError, option
from ssna.data.ids import ID
from ssna.data.packing import Packed
from ssna.data.sources import Request
from ssna.data.sources.values import FLOAT

_NESTED = r"""^(\[ *["'0-9].*,.*\]|\{ *["'].*\})$"""
_NOBODY = ("0", "-1", "guest", "guests", "anonymous", "anon", "unknown", "(not set)", "undefined")
_TIMES, _SHARE = 5, 0.05  # of the median user's events, and of all events; fewer may be a user's
_LONGEST = 40  # letters of an id in a message


def require_no_guest(packed: Packed, request: Request, column: str) -> None:
    """Raises :class:`DataError` if an id that stands for nobody has the most events, unless that is accepted."""
    lengths = np.diff(packed.histories.offsets)
    most = int(np.argmax(lengths))
    user, events = packed.users[most], int(lengths[most])
    share = events / int(lengths.sum())
    if user.lower() not in _NOBODY or events < _TIMES * np.median(lengths) or share < _SHARE:
        return
    if "guests" not in request.options.accept:
        raise DataError(
            f"{request.logs}: user {user} has {events:,} events, {share:.0%} of all: guests, it seems, who would be "
            f"one user; drop them ({option('where', f'{column} != {user}')}) or go on: {option('accept', 'guests')}"
        )


def require_ids(names: Table, key: str, request: Request) -> None:
    """Look at the distinct ``names`` of users, or items.

    Raises:
        DataError: there are lists or objects among them; or numbers that lost digits as floating point, unless the
            options accept those.
    """
    ids = names[ID]
    is_list = (ids.endswith("]") | ids.endswith("}")) & ids.re_search(_NESTED)
    is_float = ids.contains("+") & ids.re_search(FLOAT)
    found = names.agg(nested=ids.min(where=is_list), float=ids.min(where=is_float)).to_pyarrow().to_pylist()[0]
    if found["nested"] is not None:
        shown, column = shorten(found["nested"], _LONGEST, placeholder="…"), option(f"{key}_col")
        raise DataError(
            f"{request.logs}: {key}s such as {shown} are no ids; name what stands inside ({column} NAME[] or NAME[].ID)"
        )
    if found["float"] is not None and "float-ids" not in request.options.accept:
        raise DataError(
            f"{request.logs}: {key}s such as {found['float']} went through floating point, which makes one of several "
            f"ids; export the column as text, or go on: {option('accept', 'float-ids')}"
        )
