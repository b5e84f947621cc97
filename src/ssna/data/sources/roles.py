"""The columns of a log by their roles, found before it is read and settled when its rows are there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ibis import Table
from ibis.expr.types import Value

from ssna.data.engine import ROW, Convert, reading
from ssna.data.options import PrepareOptions
from ssna.data.sources.clocks import Clock, days_and_clock
from ssna.data.sources.columns import USUAL, choose, fitting, nested, usual
from ssna.data.sources.nested import LIST, is_list
from ssna.data.sources.sample import Sample
from ssna.data.sources.source import ITEM, RATING, SPLIT, USER, WHEN
from ssna.data.sources.tabular import TableFile, Wanted
from ssna.data.sources.times import TimeReading, time_reading
from ssna.data.sources.values import as_microseconds, as_number, as_raw_id, as_text
from ssna.data.where import condition_columns, selected

_CLOCK = "clock"
_CONVERT = {USER: as_raw_id, ITEM: as_raw_id, RATING: as_number}


@dataclass(frozen=True, eq=False)
class Roles:
    """What a log may be read as.

    Attributes:
        fits: for each role the columns that fit, best first.
        times: how each of those of times is read.
        in_order: whether the rows stand in order, and no times are read.
        sample: the first rows of the log.
        clock: the column of the time of day, where the columns of times have days alone.
    """

    log: TableFile
    options: PrepareOptions
    fits: Mapping[str, tuple[str, ...]]
    times: tuple[TimeReading, ...]
    in_order: bool
    sample: Sample
    clock: Clock | None = None

    @classmethod
    def of(cls, log: TableFile, options: PrepareOptions) -> "Roles":
        """Raises :class:`ssna.core.errors.DataError` where no column fits a role."""
        with reading(log.path):
            sample = log.sample()
        items = _apart(sample, fitting(log, ITEM, options.item_col))
        fits = {USER: fitting(log, USER, options.user_col), ITEM: items}
        clock = None
        in_order = options.order == "rows" or _is_history(log, items, options)
        if not in_order:
            times = fitting(log, WHEN, options.time_col)
            if options.time_col is None:
                times, clock = days_and_clock(sample, times)
            fits[WHEN] = _apart(sample, times) if all(name.endswith(LIST) for name in items) else times
        if options.rated:
            fits[RATING] = fitting(log, RATING, options.rating_col)
        readings = (
            time_reading(sample if clock is None else clock.joined(sample, name), name, options.time_format)
            for name in fits.get(WHEN, ())
        )
        return cls(log, options, fits, tuple(readings), in_order, sample, clock)

    @property
    def wanted(self) -> Wanted:
        """The columns to read, as ``role_0``, ``role_1``, ..."""
        others = condition_columns(self.options) | self._split
        return (
            {
                f"{role}_{place}": (name, self._time_of(place) if role == WHEN else _CONVERT[role])
                for role, names in self.fits.items()
                for place, name in enumerate(names)
            }
            | self._clock
            | {new: (name, as_text) for new, name in others.items()}
        )

    @property
    def _split(self) -> dict[str, str]:
        return {} if self.options.split_col is None else {SPLIT: self.options.split_col}

    @property
    def _clock(self) -> dict[str, tuple[str, Convert]]:
        return {} if self.clock is None else {_CLOCK: (self.clock.name, as_text)}

    def _time_of(self, place: int) -> Convert:
        return self.times[place].convert if self.clock is None else as_text

    def with_clock(self, rows: Table, *columns: str) -> Table:
        """``rows`` whose ``columns`` of days have the time of day behind, if that stands apart."""
        if self.clock is None:
            return rows
        return rows.mutate(**{name: self.clock.behind(rows[name], rows[_CLOCK]) for name in columns})

    def microseconds(self, rows: Table, place: int, column: str) -> tuple[Value, str | None]:
        """The ``column`` of ``rows``, which are :meth:`with_clock`, as microseconds; and the format, if there is one.

        Raises:
            DataError: nothing tells day from month.
        """
        name, time = self.fits[WHEN][place], self.times[place]
        when, written = time.microseconds(self.log.path, name, rows, column)
        return (as_microseconds(when) if self.clock is not None and time.format is None else when), written

    def settled(self, rows: Table) -> "SettledRoles":
        """One column for each role. ``rows`` have those of :attr:`wanted`.

        Raises:
            DataError: nothing tells day from month.
        """
        rows = self.with_clock(rows, *(f"{WHEN}_{place}" for place in range(len(self.times))))
        chosen = choose(rows, self.fits)
        columns = {role: names[chosen[role]] for role, names in self.fits.items()}
        values = {role: rows[f"{role}_{place}"] for role, place in chosen.items()} | selected(rows, self.options)
        values |= {name: rows[name] for name in self._split}
        if self.in_order:
            return SettledRoles(self, columns, rows.select(**values, **{WHEN: rows[ROW]}), f"{ITEM}_{chosen[ITEM]}")
        place = chosen[WHEN]
        with reading(self.log.path):
            when, written = self.microseconds(rows, place, f"{WHEN}_{place}")
        return SettledRoles(
            self, columns, rows.select(**{**values, WHEN: when}), f"{ITEM}_{chosen[ITEM]}", place, written
        )


@dataclass(frozen=True, eq=False)
class SettledRoles:
    """What a log was read as.

    Attributes:
        columns: role -> column.
        events: of the rows, by their roles.
        item: the column of the rows that has the items.
        time: which of the columns of times it is; and, if they are neither ISO nor seconds, their format.
    """

    roles: Roles
    columns: Mapping[str, str]
    events: Table
    item: str
    time: int | None = None
    time_format: str | None = None

    @property
    def described(self) -> dict[str, Any]:
        """For :class:`ssna.data.sources.Source`: ``columns`` without those of texts, and ``also_fitting``."""
        named = {_word(role): name for role, name in self.columns.items()}
        if self.roles.clock is not None:
            named[_word(WHEN)] += f" and {self.roles.clock.name}"
        if self.roles.options.split_col is not None:
            named[SPLIT] = self.roles.options.split_col
        formats = {} if self.time_format is None else {"time_format": self.time_format}
        others = {
            _word(role): [name for name in names if name != self.columns[role]]
            for role, names in self.roles.fits.items()
            if len(names) > 1
        }
        return {"columns": {**named, **formats}, "also_fitting": others}

    def unreadable_time(self) -> str | None:
        """A time that cannot be read, looked for in the log once more."""
        if self.time is None:
            return None
        name, roles = self.columns[WHEN], self.roles
        rows = roles.log.select({"raw": (name, as_text), WHEN: (name, roles._time_of(self.time)), **roles._clock}).table
        rows = roles.with_clock(rows, WHEN)
        when, _ = roles.microseconds(rows, self.time, WHEN)
        found: str | None = rows.filter(when.isnull() & (rows.raw.strip() != "")).raw.min().to_pyarrow().as_py()
        return found


def _apart(sample: Sample, names: tuple[str, ...]) -> tuple[str, ...]:
    """Columns that hold lists, as paths to their elements."""
    return tuple(f"{name}{LIST}" if is_list(sample, name) else name for name in names)


def _is_history(log: TableFile, items: tuple[str, ...], options: PrepareOptions) -> bool:
    """Whether rows have lists of items and nothing has their times, so that they stand in order."""
    known = options.time_col is not None or usual(log.names, USUAL[WHEN]) or nested(log, USUAL[WHEN])
    return not known and all(name.endswith(LIST) for name in items)


def _word(role: str) -> str:
    return "time" if role == WHEN else role
