"""``prepare``: from logs and item texts, in any known format, to a :class:`Dataset`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from ssna.core.errors import SettingsError
from ssna.core.files import new_folder
from ssna.data.dataset import Dataset
from ssna.data.limits import Limits, Moment, window
from ssna.data.rules import Dedup, EngineName, MissingText, Rules
from ssna.data.split_points import SplitRule
from ssna.data.storage import MANIFEST

FormatName = Literal["auto", "table", "amazon", "movielens", "recbole", "unisrec", "sequences"]


def prepare(
    logs: str | Path,
    items: str | Path | None = None,
    *,
    format: FormatName = "auto",
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    text: str | Sequence[str] | None = None,
    rating: str | None = None,
    min_rating: float | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    min_user: int | None = None,
    min_item: int | None = None,
    max_history: int = 50,
    missing_text: MissingText = "drop",
    dedup: Dedup = "none",
    split: SplitRule = "leave-one-out",
    engine: EngineName = "duckdb",
    spark_master: str | None = None,
    out: str | Path | None = None,
    quiet: bool = False,
) -> Dataset:
    """Read logs, clean them, put every user's events in order; what was dropped and why stands in ``manifest``.

    Equal content gives an equal fingerprint, whatever the order of the rows and the kind of the file.

    Args:
        logs: a table (CSV, TSV, Parquet, JSON lines; ``.gz`` and ``.zst``), a folder or pattern (``logs/*.csv``) of
            tables with the same columns, or the folder or file of another format.
        items: a table of item texts (or a folder or pattern, as above), with the same item column; None where the
            logs hold the texts, too.
        format: one of ``FORMATS``, or ``auto`` to tell it from the files.
        user: the column of user ids; like the next two, the usual names are found without it.
        item: the column of item ids.
        time: the column of times: seconds or milliseconds since 1970, or ISO dates.
        text: the columns that make up an item's text, in order.
        rating: the column of ratings, found like the others; read only where ``min_rating`` asks for it.
        min_rating: events rated below are left out, and so are those without a rating.
        since: the first moment that counts, in UTC: a date or time as ISO text, or seconds since 1970.
        until: the first moment that does not count any more.
        min_user: the fewest events a user needs; None is 5, or off for formats that come prepared. 3 in any case under
            leave-one-out.
        min_item: the fewest events an item needs; None as above.
        max_history: the number of events that a view reads before its target; more are stored.
        missing_text: what happens to items without text: their events are dropped, the id serves as text, or
            :class:`DataError`.
        dedup: ``same``: events of the same user, item and time count once; ``first`` or ``last``: only that one of a
            user's events on an item stays.
        split: ``leave-one-out``: a user's last event is the test target, the one before it the validation target.
            ``time``: the same two moments for everybody, at 80 % and 90 % of all events; training is what came before.
        engine: what reads and computes: DuckDB in this process, or Spark (the extra ``spark``, and Java). The result
            is the same.
        spark_master: where Spark runs; None is ``local[*]``, all cores of this machine. A Spark session that runs in
            this process already is used, and left running.
        out: the folder to save to as well.
        quiet: no progress bar.

    Raises:
        DataError: a file or column is not there or cannot be read, nobody is left, or a split by time or a
            window finds no times, or nobody to ask.
        SettingsError: an argument is out of range, Spark cannot be started, or ``TMPDIR`` is no folder to write to.
        SsnaError: ``out`` holds something else.
    """
    _check(format, min_user, min_item, max_history, missing_text, dedup, split, engine, spark_master)
    if rating is not None and min_rating is None:
        raise SettingsError(f"rating = {rating!r}: it is for min_rating (--min-rating), which is not given")
    limits = Limits(min_rating, *window(since, until))
    from ssna.data.pipeline import assemble  # Ibis takes a second to load
    from ssna.data.sources import FORMATS, Request, find_format

    request = Request(
        logs=Path(logs),
        items=None if items is None else Path(items),
        user=user,
        item=item,
        time=time,
        rating=rating,
        rated=min_rating is not None,
        text=as_columns(text),
    )
    format_name = find_format(request.logs) if format == "auto" else format
    core = FORMATS[format_name].core
    rules = Rules(
        min_user=core if min_user is None else min_user,
        min_item=core if min_item is None else min_item,
        max_history=max_history,
        missing_text=missing_text,
        dedup=dedup,
        split=split,
        limits=limits,
    )
    if out is None:
        return assemble(request, format_name, rules, quiet, engine, spark_master)
    with new_folder(Path(out), marker=MANIFEST) as aside:
        return assemble(request, format_name, rules, quiet, engine, spark_master, aside)


def as_columns(text: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """The columns of the text, one of which may be named without a list."""
    return (text,) if isinstance(text, str) else None if text is None else tuple(text)


def require_one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    """Raise :class:`SettingsError` unless ``value`` is ``allowed``."""
    if value not in allowed:
        raise SettingsError(f"{name} = {value!r}: it must be one of {', '.join(allowed)}")


def require_master(engine: str, spark_master: str | None) -> None:
    """Raise :class:`SettingsError` if another engine than Spark is told where Spark runs."""
    if spark_master is not None and engine != "spark":
        raise SettingsError(f"spark_master = {spark_master!r}: it is for engine = 'spark' (--engine spark)")


def _check(
    format: str,
    min_user: int | None,
    min_item: int | None,
    max_history: int,
    missing_text: str,
    dedup: str,
    split: str,
    engine: str,
    spark_master: str | None,
) -> None:
    for name, value, allowed in (
        ("format", format, get_args(FormatName)),
        ("missing_text", missing_text, get_args(MissingText)),
        ("dedup", dedup, get_args(Dedup)),
        ("split", split, get_args(SplitRule)),
        ("engine", engine, get_args(EngineName)),
    ):
        require_one_of(name, value, allowed)
    require_master(engine, spark_master)
    for name, number, least in (("min_user", min_user, 0), ("min_item", min_item, 0), ("max_history", max_history, 1)):
        if number is not None and number < least:
            raise SettingsError(f"{name} = {number}: it must be at least {least}")
