"""The options of ``prepare``, each once.

Python, the command line, the files of ``--config`` and ``append`` take them from here: :class:`PrepareOptions` has
their names, types, defaults, limits and help. Only the signatures of :func:`ssna.data.prepare` and
:func:`ssna.data.append` name them again.
"""

import datetime as dt
import inspect
from collections.abc import Callable
from textwrap import indent
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from ssna.core.conditions import Condition, parse
from ssna.core.errors import SettingsError, option
from ssna.core.settings import Settings, reason
from ssna.data.split_points import MIN_EVENTS, SplitRule

FormatName = Literal["auto", "table", "amazon", "movielens", "recbole", "unisrec", "sequences", "mind"]
MissingText = Literal["drop", "id", "fail"]
KeepItems = Literal["events", "text"]
Dedup = Literal["none", "same", "first", "last"]
EngineName = Literal["duckdb", "spark"]
Quote = Literal["auto", "none"]
Order = Literal["time", "rows"]
Accepted = Literal["item-texts", "float-ids", "guests"]
Moment = str | int | float | dt.date | dt.datetime

_TABLE = ("header", "quote", "time_format")
COLUMNS = ("user_col", "item_col", "item_id_col", "time_col", "text_cols", "attribute_cols", "rating_col", *_TABLE)
APPENDING = ("format", *COLUMNS, "accept", "engine", "spark_master")
"""What ``append`` may be told anew. All else is a rule, and the rules are those of the data set appended to."""

_SECOND = 1_000_000  # microseconds
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def _named(metavar: str) -> Any:
    """A field without a default, and what stands for its value in the command line's help."""
    return Field(None, json_schema_extra={"metavar": metavar})


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class PrepareOptions(Settings):
    """How logs become a data set: which columns are read, what is kept, how it is split, and what computes it."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    format: FormatName = "auto"
    """The format of the logs; auto tells it from the files."""
    user_col: str | None = _named("NAME")
    """The column of user ids; the usual names are found without it."""
    item_col: str | None = _named("NAME")
    """The column of item ids, in logs and item texts; the usual names are found without it."""
    item_id_col: str | None = _named("NAME")
    """The column of item ids in the items' own file, where it has another name there."""
    time_col: str | None = _named("NAME")
    """The column of times: seconds or milliseconds since 1970, or dates; the usual names are found without it."""
    time_format: str | None = _named("FORMAT")
    """How dates are written where the column itself does not tell, such as %d/%m/%Y; a time of day may follow."""
    text_cols: Annotated[tuple[str, ...] | None, BeforeValidator(_as_list)] = _named("NAME,...")
    """The columns that make up an item's text, in order."""
    attribute_cols: Annotated[tuple[str, ...] | None, BeforeValidator(_as_list)] = _named("NAME,...")
    """The columns of the items' own file that are kept as attributes, to filter and boost recommendations by."""
    rating_col: str | None = _named("NAME")
    """The column of ratings; it is read only where there is a least rating."""
    header: Annotated[tuple[str, ...] | None, BeforeValidator(_as_list)] = _named("NAME,...")
    """The names of all columns, for logs without a header; their first row is data then."""
    quote: Quote = "auto"
    """Whether cells may be quoted; none takes a quote for a letter like any other."""
    order: Order = "time"
    """What orders a user's events: their times, or the rows as they stand in the file."""
    where: str | None = _named("CONDITION")
    """Drop rows that are not as this says, such as "event in (purchase, cart) and price > 5"."""
    min_rating: float | None = _named("X")
    """Drop events rated below this, or not at all."""
    since: Moment | None = _named("DATE")
    """Drop what was before this: a date or time (UTC where it names no zone), or seconds since 1970."""
    until: Moment | None = _named("DATE")
    """Drop what was at this moment or later."""
    min_user: int | None = Field(None, ge=0)
    """The fewest events a user needs: 5 if not given, 0 for unisrec, sequences, mind; leave-one-out needs 3 anyhow."""
    min_item: int | None = Field(None, ge=0)
    """The fewest events an item needs: 5 if not given, 0 for unisrec, sequences, mind."""
    max_history: int = Field(50, ge=1)
    """The most events before its target that a history holds when it is read; more are stored."""
    missing_text: MissingText = "drop"
    """Items without text: drop their events, let the id serve as text, or fail."""
    keep_items: KeepItems = "events"
    """Which items can be recommended: those with enough events, or all with text, the others as new items."""
    dedup: Dedup = "none"
    """Count events of the same user, item and time once; or keep only a user's first or last event on an item."""
    split: SplitRule = "leave-one-out"
    """Test on each user's last event, on what came after a moment of all users, as the logs say, or on nothing."""
    split_col: str | None = _named("NAME")
    """The column that says what each event is for: train, valid or test; a user's events follow in this order."""
    valid_from: Moment | None = _named("DATE")
    """By time: where validation begins, if not with the last fifth of the events; a date or time, as for since."""
    test_from: Moment | None = _named("DATE")
    """By time: where the test begins, if not with the last tenth of the events."""
    accept: Annotated[tuple[Accepted, ...], BeforeValidator(_as_list)] = Field(
        (), json_schema_extra={"metavar": "NAME,..."}
    )
    """Go on in spite of a doubt that a message named: item-texts, float-ids, guests."""
    engine: EngineName = "duckdb"
    """What reads and computes, with the same result: DuckDB, or Spark (it needs the extra of that name, and Java)."""
    spark_master: str | None = _named("URL")
    """Where Spark runs: all cores of this machine, local[*], if not given."""

    @field_validator("where")
    @classmethod
    def _is_condition(cls, text: str | None) -> str | None:
        if text is not None:
            parse(text)
        return text

    @field_validator("since", "until", "valid_from", "test_from")
    @classmethod
    def _is_moment(cls, moment: Moment | None) -> Moment | None:
        _microseconds(moment)
        return moment

    @classmethod
    def of(cls, **given: Any) -> "PrepareOptions":
        """Checked options. Raises :class:`SettingsError` for the first that is out of range or lacks another.

        With a column that says how to split, the split is predefined.
        """
        if given.get("split_col") is not None and given.get("split", "leave-one-out") == "leave-one-out":
            given["split"] = "predefined"
        try:
            options = cls(**given)
        except ValidationError as invalid:
            wrong = invalid.errors()[0]
            name = str(wrong["loc"][0])
            raise SettingsError(f"{option(name, given[name])}: {reason(wrong)}") from None
        options._require_consistent()
        return options

    def _require_consistent(self) -> None:
        if self.rating_col is not None and not self.rated:
            culprit, lacking = option("rating_col", self.rating_col), option("min_rating")
            raise SettingsError(f"{culprit}: it is for {lacking}, which is not given")
        if self.spark_master is not None and self.engine != "spark":
            raise SettingsError(f"{option('spark_master', self.spark_master)}: it is for {option('engine', 'spark')}")
        self._require_split()
        self._require_moments()
        first, end = self.window
        if first is not None and end is not None and first >= end:
            since, until = option("since", self.since), option("until", self.until)
            raise SettingsError(f"{since} is not before {until}; nothing would be left")

    def _require_split(self) -> None:
        if self.split_col is not None and self.split != "predefined":
            culprit = option("split_col", self.split_col)
            raise SettingsError(f"{culprit}: it is a split of its own; leave {option('split', self.split)} out")

    def _require_moments(self) -> None:
        given = {name: getattr(self, name) for name in ("valid_from", "test_from")}
        named = {name: moment for name, moment in given.items() if moment is not None}
        if named and self.split != "time":
            culprit = option(*next(iter(named.items())))
            raise SettingsError(f"{culprit}: it is for {option('split', 'time')}")
        if len(named) == 1:
            name, other = next(iter(named)), next(name for name in given if name not in named)
            raise SettingsError(f"{option(name, named[name])}: it needs {option(other)}, too")
        if self.moments is not None and self.moments[0] >= self.moments[1]:
            valid, test = (option(name, moment) for name, moment in named.items())
            raise SettingsError(f"{valid} is not before {test}; validation comes first")

    def with_logs_of_parts(self, valid: bool, test: bool) -> "PrepareOptions":
        """The same where there are logs for validation, or for the test: it takes both, and a predefined split takes
        them or a column.

        Raises:
            SettingsError: one of the two is missing, or another split is asked for.
        """
        if valid != test:
            given, missing = ("valid_logs", "test_logs") if valid else ("test_logs", "valid_logs")
            raise SettingsError(f"{option(given)} needs {option(missing)}, too")
        if not valid:
            if self.split == "predefined" and self.split_col is None:
                names = f"{option('split_col')}, or {option('valid_logs')} and {option('test_logs')}"
                raise SettingsError(f"{option('split', 'predefined')}: say where it stands, with {names}")
            return self
        if self.split_col is not None or self.split not in ("leave-one-out", "predefined"):
            culprit = option("split_col" if self.split_col else "split", self.split_col or self.split)
            raise SettingsError(f"{culprit}: {option('valid_logs')} and {option('test_logs')} are a split of their own")
        return self.model_copy(update={"split": "predefined"})

    def for_format(self, name: FormatName, minimum: int) -> "PrepareOptions":
        """The same for a format that is known by now, and the ``minimum`` of events it takes where none was given."""
        least = {key: minimum for key in ("min_user", "min_item") if getattr(self, key) is None}
        return self.model_copy(update={"format": name, **least})

    @property
    def condition(self) -> Condition | None:
        """What ``where`` says."""
        return None if self.where is None else parse(self.where)

    @property
    def rated(self) -> bool:
        """Whether ratings are read."""
        return self.min_rating is not None

    @property
    def windowed(self) -> bool:
        """Whether events need a time because only those of a time count."""
        return self.window != (None, None)

    @property
    def window(self) -> tuple[int | None, int | None]:
        """``since`` and ``until`` in microseconds since 1970. ``until`` itself is too late; None does not limit."""
        return _microseconds(self.since), _microseconds(self.until)

    @property
    def moments(self) -> tuple[int, int] | None:
        """``valid_from`` and ``test_from`` in seconds since 1970, rounded up; None if they are not given."""
        valid, test = _microseconds(self.valid_from), _microseconds(self.test_from)
        return None if valid is None or test is None else (-(-valid // _SECOND), -(-test // _SECOND))

    @property
    def min_events(self) -> int:
        """The fewest events of a user that the split can do with."""
        return MIN_EVENTS if self.split == "leave-one-out" else 1


def with_help(*names: str) -> Callable[[FunctionT], FunctionT]:
    """A decorator: what the options ``names`` are, behind the docstring, so that ``help()`` says it."""

    def add(function: FunctionT) -> FunctionT:
        lines = [f"{name}: {PrepareOptions.model_fields[name].description}" for name in names]
        function.__doc__ = f"{inspect.getdoc(function)}\n\nOptions:\n{indent(chr(10).join(lines), '    ')}\n"
        return function

    return add


def _microseconds(moment: Moment | None) -> int | None:
    if moment is None:
        return None
    try:
        if not isinstance(moment, dt.date):
            return round(float(moment) * _SECOND)
    except (ValueError, OverflowError):
        pass
    try:
        date = dt.datetime.fromisoformat(str(moment))
    except ValueError:
        raise ValueError("it is no time; give a date such as 2024-05-31, or seconds since 1970") from None
    return ((date if date.tzinfo else date.replace(tzinfo=dt.UTC)) - _EPOCH) // dt.timedelta(microseconds=1)
