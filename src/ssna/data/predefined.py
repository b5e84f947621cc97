"""A split that the logs themselves say: a column, or logs of their own for training, validation and test.

From the filter to the packed arrays the part stands in ``when``, so that one number orders a user's events: those for
training first, then those for validation, then those for the test, each by time.
"""

from collections.abc import Sequence
from dataclasses import replace

import ibis
import numpy as np
from ibis import Table
from ibis.expr.types import IntegerValue, Value

from ssna.core.errors import DataError, option
from ssna.core.ragged import Ints
from ssna.data.engine import Engine
from ssna.data.ids import with_ids
from ssna.data.moments import parts
from ssna.data.sources import FORMATS, SPLIT, WHEN, Request, Source
from ssna.data.split_points import PARTS, SplitPoints

_WORDS = {"validation": "valid", "val": "valid", "dev": "valid"}
_STEP = 1 << 60  # between two parts; what ``when`` says lies within half of it: 18,000 years


def read_parts(engine: Engine, request: Request) -> Source:
    """The source of ``request``; with logs of their own for validation and test, that of all three.

    Raises:
        DataError: as the format's reader; or one of the three has times or texts that another has not.
    """
    read = FORMATS[request.options.format].read
    if not request.later:
        return read(engine, request)
    sources = [read(engine, each) for each in (replace(request, later=()), *_requests(request))]
    first = sources[0]
    for each in sources[1:]:
        if each.timed != first.timed:
            having, lacking = (first, each) if first.timed else (each, first)
            raise DataError(f"{having.logs} has times and {lacking.logs} has none; give logs of the same kind")
        if _columns(each.parts) != _columns(first.parts):
            raise DataError(f"{first.logs} and {each.logs} have texts of different columns; name them: {_TEXTS}")
    labelled = [
        with_ids(each).events.mutate(**{SPLIT: ibis.literal(part)}) for each, part in zip(sources, PARTS, strict=True)
    ]
    names = labelled[0].columns
    described = [each.parts for each in sources if each.parts is not None]
    texts = described if request.items is None else described[:1]
    return replace(
        first,
        events=ibis.union(*(events.select(*names) for events in labelled), distinct=False),
        parts=ibis.union(*texts, distinct=False) if len(texts) > 1 else first.parts,
        typed=True,
        unreadable=sum(each.unreadable for each in sources),
        log_files=tuple(file for each in sources for file in each.log_files),
        notes=tuple(dict.fromkeys(note for each in sources for note in each.notes)),
    )


_TEXTS = option("text_cols", ("title",))


def _requests(request: Request) -> list[Request]:
    return [replace(request, logs=place, later=()) for place in request.later]


def _columns(table: Table | None) -> Sequence[str] | None:
    return None if table is None else table.columns


def in_order_of_parts(events: Table) -> Table:
    """``events`` with the part in ``when``, in place of the column ``split``."""
    return events.mutate(**{WHEN: events[WHEN] + _part(events[SPLIT]) * _STEP}).drop(SPLIT)


def when_alone(events: Table) -> Table:
    """The opposite of :func:`in_order_of_parts`, but for the part, which is gone."""
    part = (events[WHEN] + _STEP // 2) // _STEP
    return events.mutate(**{WHEN: (events[WHEN] - part.cast("int64") * _STEP).cast("int64")})


def require_known_parts(events: Table, request: Request) -> None:
    """Raise :class:`DataError` if an event that counts is for no part, or its time is too far off."""
    counts = events.filter(_part(events[SPLIT]).isnull()).group_by(SPLIT).agg(rows=ibis._.count())
    odd = counts.order_by(ibis.desc("rows"), SPLIT).limit(1).to_pyarrow().to_pylist()
    if odd:
        value, rows = odd[0][SPLIT], odd[0]["rows"]
        named = "nothing" if value is None or not value.strip() else repr(value)
        column = request.options.split_col
        raise DataError(
            f"{request.logs}: the column {column!r} holds {named} ({rows:,} rows), and must say train, valid or test; "
            f"correct it, or leave these rows out: {option('where', f'{column} in (train, valid, test)')}"
        )
    far = events.agg(far=(events[WHEN].abs() >= _STEP // 2).any()).to_pyarrow().to_pylist()[0]["far"]
    if far:
        raise DataError(f"{request.logs}: times are beyond the year 20000; check the time column")


def split_apart(exact: Ints, offsets: Ints) -> SplitPoints:
    """Take the part out of ``exact (m,)``, in place; return where the parts begin in each history, none of them
    empty."""
    before = {name: np.zeros(len(exact), dtype=bool) for name in ("valid", "test")}
    for some in parts(len(exact)):
        part = (exact[some] + _STEP // 2) >> 60
        exact[some] -= part << 60
        before["valid"][some], before["test"][some] = part < 1, part < 2
    valid, test = (np.add.reduceat(mask, offsets[:-1], dtype=np.int64) for mask in before.values())
    return SplitPoints(valid, test)


def _part(split: Value) -> IntegerValue:
    word = split.strip().lower()
    known = {**{name: name for name in PARTS}, **_WORDS}
    return ibis.cases(*((word == name, ibis.literal(PARTS.index(part), "int64")) for name, part in known.items()))
