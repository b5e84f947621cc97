"""What a reader is asked for, and what it hands over."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ibis import Table

from ssna.core.errors import DataError, option
from ssna.data.engine import Rows
from ssna.data.options import PrepareOptions
from ssna.data.sources.place import Place
from ssna.data.where import condition_columns, selected

if TYPE_CHECKING:
    from ssna.data.sources.attributes import AttributeRows

# Column names of every table between the readers and the packed arrays.
USER = "user"
ITEM = "item"
WHEN = "when"
RATING = "rating"
SPLIT = "split"

NEEDS_TIMES = (
    f"histories need an order: where no column says when and rows stand oldest first, give {option('order', 'rows')}"
)

_MOST_NAMES = 20


@dataclass(frozen=True)
class Request:
    """Where the logs are and, if they have a file of their own, the item texts; and what is asked of them.

    ``later``: logs of their own for validation and for the test, or none.
    """

    logs: Place
    items: Place | None
    options: PrepareOptions
    later: tuple[Place, ...] = ()

    @property
    def path(self) -> Path:
        """The logs of a format that is found by names of files. Raises :class:`DataError` if they are no path."""
        if not isinstance(self.logs, Path):
            raise DataError(
                f"{self.logs}: the format {self.options.format} is the path of one file or folder; give that"
            )
        return self.logs

    def refuse_ratings(self) -> None:
        """Raise :class:`DataError` if ratings are asked for, as the format has none."""
        self.refuse("rating_col")
        if self.options.rated:
            remedy = f"leave {option('min_rating')} out"
            raise DataError(f"{self.logs}: the format {self.options.format} has no ratings; {remedy}")

    def refuse_order(self) -> None:
        """Raise :class:`DataError` if rows are to stand in order, as the format has times."""
        if self.options.order == "rows":
            culprit = option("order", "rows")
            raise DataError(f"{self.logs}: the format {self.options.format} has times; leave {culprit} out")

    def refuse(self, *names: str) -> None:
        """Raise :class:`DataError` if one of the options ``names``, or ``items``, is given; the format needs none."""
        for name in names:
            if (self.items if name == "items" else getattr(self.options, name)) is not None:
                raise DataError(f"{self.logs}: the format {self.options.format} needs no {option(name)}; leave it out")

    def marked(self, events: Table) -> Table:
        """``events`` that have nothing but a user and an item, and whether each is as ``where`` says.

        Raises:
            DataError: the condition speaks of another column.
        """
        columns = condition_columns(self.options)
        for name in columns.values():
            if name not in (USER, ITEM):
                raise unknown_column(self.logs, name, (USER, ITEM))
        rows = events.mutate(**{new: events[name] for new, name in columns.items()})
        return rows.select(*events.columns, **selected(rows, self.options))


@dataclass(frozen=True, eq=False)
class Source:
    """Rows as they were read, nothing dropped yet.

    Attributes:
        events: ``user`` and ``item`` (text, not trimmed yet, null where missing), ``when`` (int64: microseconds since
            1970, or the place in the user's history; null where missing); if it was asked for, ``rating`` (float64,
            null where missing), and ``split`` (text: train, valid or test).
        parts: ``item`` and then one column for each part of its text, in order; an item may have several rows.
            None where the source has no text.
        timed: whether ``when`` is a time.
        unreadable: rows of the logs that could not be taken apart; they are not in ``events``.
        log_files: the files that events were read from.
        item_files: the files that texts were read from, where they are others.
        typed: whether the logs tell numbers from text; a CSV does not.
        passed_over: files in the folder of the logs that are no logs by their names.
        unreadable_time: looks for a time that cannot be read, in the logs once more.
        columns: what was read as what, where the columns have names: ``user``, ``item``, ``time``, ..., and the list
            ``text``.
        also_fitting: the columns that could have been read as what ``columns`` names another for.
        attributes: of the items' own file, where some are asked for; or None.
        notes: sentences about what may not be as it was meant.
    """

    events: Table
    parts: Table | None
    timed: bool
    unreadable: int
    log_files: tuple[Path, ...]
    item_files: tuple[Path, ...] = ()
    typed: bool = True
    passed_over: tuple[Path, ...] = ()
    unreadable_time: Callable[[], str | None] | None = None
    columns: Mapping[str, str | list[str]] | None = None
    also_fitting: Mapping[str, list[str]] = field(default_factory=dict)
    attributes: "AttributeRows | None" = None
    notes: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All files read."""
        return self.log_files + self.item_files

    @property
    def logs(self) -> str:
        """The logs, for a message."""
        return str(self.log_files[0]) if self.log_files else "logs"


def unreadable_items(path: object, rows: Rows) -> tuple[str, ...]:
    """The note about rows of the items' file that could not be taken apart, if there are some."""
    if not rows.unreadable:
        return ()
    example = f", such as {rows.example!r}" if rows.example else ""
    count = "1 row" if rows.unreadable == 1 else f"{rows.unreadable:,} rows"
    name = path.name if isinstance(path, Path) else path
    return (f"{name}: {count} cannot be read{example}; check delimiters and quotes",)


def find_one(path: Path, suffix: str) -> Path | None:
    """The file that ends in ``suffix``: ``path`` itself, ``path`` + suffix, or the only one in the folder ``path``.

    Raises:
        DataError: the folder holds several.
    """
    if path.is_dir():
        found = sorted(path.glob(f"*{suffix}"))
        if len(found) > 1:
            names = ", ".join(file.name for file in found[:3])
            raise DataError(f"{path} holds several *{suffix} files ({names}); name the one to read")
        return found[0] if found else None
    whole = path if path.name.endswith(suffix) else path.with_name(path.name + suffix)
    return whole if whole.is_file() else None


def require(path: Path | None, culprit: Path, wanted: str) -> Path:
    """``path``, if there is such a file. Raises :class:`DataError` otherwise."""
    if path is None or not path.is_file():
        raise DataError(f"{culprit} has no {wanted}; check the path, or name another format")
    return path


def unknown_column(path: object, name: str, known: Iterable[str]) -> DataError:
    """The error for a column that ``path`` does not have."""
    names = list(known)
    if "," in name and set(parts := [part.strip() for part in name.split(",")]) <= set(names):
        return DataError(f"{path} has no column {name!r}; give its columns as a list: {parts}")
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}? It has" if close else "it has"
    return DataError(f"{path} has no column {name!r}; {hint}: {listed(names)}")


def listed(names: Iterable[str]) -> str:
    """Column names for a message."""
    names = list(names)
    return ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
