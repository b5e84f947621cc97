"""The steps of ``prepare``: read, clean, pack, and write with a manifest."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from ibis import Table

from ssna.core.errors import DataError, keeping, option
from ssna.core.progress import progress
from ssna.core.ragged import Ints
from ssna.data.append_base import AppendBase
from ssna.data.checks import period
from ssna.data.cleaning import (
    CORE,
    DUPLICATE,
    NO_TEXT,
    WHERE,
    Core,
    FilteredEvents,
    drop_duplicates,
    filter_events,
    k_core,
)
from ssna.data.dataset import Dataset, IdMap
from ssna.data.dropped import Dropped, write_exact
from ssna.data.engine import Engine, engine_errors, open_engine
from ssna.data.id_checks import require_no_guest
from ssna.data.ids import CODE, ID, encode_ids
from ssna.data.options import PrepareOptions
from ssna.data.packing import Packed, pack
from ssna.data.predefined import require_known_parts, when_alone
from ssna.data.quality import NO_TEXT as LOST
from ssna.data.quality import equal_files, measure
from ssna.data.reading import ReadLogs, read_logs
from ssna.data.report import provenance, rules
from ssna.data.sources import ITEM, Request, Source
from ssna.data.sources.attributes import described as described_attributes
from ssna.data.sources.attributes import read_attributes
from ssna.data.sources.values import TIME_REMEDY
from ssna.data.split_points import MIN_EVENTS
from ssna.data.storage import describe, write

_FORMAT = option("time_format", "%d/%m/%Y")
_FEWER = f"lower {option('min_user')} or {option('min_item')}, or give more logs"
_WIDER = f"widen the window: {option('since')} and {option('until')} are UTC"
_HINTS = {
    "unreadable_row": "check the delimiter and the quotes of the file; in JSON, one object stands on each line",
    WHERE: f"no row may be as {option('where')} says; look at the values of its columns",
    "no_user": "check the user column",
    "no_item": "check the item column",
    "no_time": TIME_REMEDY,
    "no_rating": "check the rating column",
    "below_min_rating": f"lower {option('min_rating')}",
    "before_since": _WIDER,
    "after_until": _WIDER,
    NO_TEXT: f"check that items and logs share their ids, or let the id serve as text: {option('missing_text', 'id')}",
    DUPLICATE: f"let repeats stay: {option('dedup', 'none')}",
    "below_min_user": _FEWER,
    "below_min_item": _FEWER,
    "short_history": f"every user needs {MIN_EVENTS} events; give more logs",
}
"""What to do where most rows are dropped, by the reason."""

_COMPACT = ((19_000_101, 20_991_231), (19_000_101_000, 20_991_231_235))
"""Seconds since 1970 that are compact dates in truth, 20240531, or with a time of day behind, 20240531235959."""

_MANY = 0.01  # of all rows; so many times that cannot be read are worth another look at the file


def assemble(request: Request, quiet: bool, folder: Path | None = None, base: AppendBase | None = None) -> Dataset:
    """Read, clean, pack and write. Raises :class:`DataError` as :func:`ssna.data.prepare` says.

    Args:
        folder: where to write it, with the rows that are dropped.
        base: a data set that the logs are appended to.
    """
    options = request.options
    with (
        keeping(lambda: "nothing was written, and nothing that was there is changed"),
        engine_errors(f"{request.logs} could not be prepared; is there enough memory and disk space?"),
        progress("prepare", total=3, quiet=quiet) as advance,
        open_engine(options.engine, options.spark_master) as engine,
    ):
        advance(0, "reading")
        read = read_logs(engine, request, base)
        advance(1, "cleaning")
        cleaned = _clean(engine, read, request)
        advance(1, "ordering")
        predefined = options.split == "predefined"
        packed = pack(engine, cleaned.core.events, cleaned.count, read.users, read.items, read.source.timed, predefined)
        _require_no_compact_dates(request, packed)
        require_no_guest(packed, request, str((read.source.columns or {}).get("user", "user")))
        attributes, said = read_attributes(engine, read.source, request)
        checks = {
            **read.coverage(),
            **_unreadable_time(read.source, cleaned),
            **_unmatched(read, cleaned),
            "equal_files": equal_files(read.source.log_files),
            **({"notes": notes} if (notes := [*read.source.notes, *said]) else {}),
            "same_time": packed.same_time,
            "core_rounds": [asdict(each) for each in cleaned.core.rounds],
        }
        new_items = _new_items(read, packed) if options.keep_items == "text" else {}
        with ThreadPoolExecutor(max_workers=1) as beside:  # from here on it alone asks the engine
            if folder is not None:
                dropped = beside.submit(_dropped(read, cleaned, options).write, engine, folder)
            attributes = attributes if base is None else base.attributes(attributes)
            dataset, exact = _dataset(request, base, read, cleaned, packed, checks, new_items, attributes)
            if folder is not None:
                dropped.result()  # before the data set is written: what it holds in memory, the writing needs
                write(dataset, folder)
                write_exact(exact, folder)
        advance(1, "")
    return dataset


def _dataset(
    request: Request,
    base: AppendBase | None,
    read: ReadLogs,
    cleaned: "_Cleaned",
    packed: Packed,
    checks: dict[str, Any],
    new_items: dict[str, str],
    attributes: pa.Table | None,
) -> tuple[Dataset, Ints | None]:
    """With its manifest; and what :class:`Packed` has as ``exact``, in the order of its events."""
    dataset = Dataset(
        users=IdMap(packed.users),
        items=IdMap(packed.items),
        texts=("", *(read.texts.get(item, item) for item in packed.items)),
        histories=packed.histories,
        max_history=request.options.max_history,
        protocol=request.options.split,
        moments=request.options.moments,
        given_points=packed.split_points,
        new_items=new_items,
        attributes=attributes,
    )
    before = {} if base is None else base.dropped
    dropped = {reason: count + before.get(reason, 0) for reason, count in cleaned.dropped.items()}
    exact = packed.exact
    if base is not None:
        dataset, exact = base.renumbered(dataset, exact)
    if request.options.keep_items == "text":
        named = sum(item in read.texts for item in dataset.new_items)
        checks["new_items"] = {"few_events": named, "no_event": len(dataset.new_items) - named}
    checks |= described_attributes(attributes, (*packed.items, *new_items))
    checks |= measure(dataset, dt.datetime.now(dt.UTC))
    report = {
        "rows_read": len(packed.histories.items) + sum(dropped.values()),
        "dropped": dropped,
        "checks": checks,
        "rules": rules(request.options, read.source.timed),
        "period": period(dataset),
        **provenance(request, read.source, base),
    }
    dataset.manifest.update({**describe(dataset), **report})
    if base is not None:
        dataset.manifest["appended_to"] |= base.appended_counts(dataset)
    return dataset, exact


def _new_items(read: ReadLogs, packed: Packed) -> dict[str, str]:
    """Items that have text, and too few events or none."""
    kept = set(packed.items)
    found = {item: text for item, text in read.texts.items() if item not in kept}
    return dict(sorted((found | read.unnamed_texts()).items()))


def _require_no_compact_dates(request: Request, packed: Packed) -> None:
    times = packed.histories.times
    if times is None:
        return
    first, last = int(times.min()), int(times.max())
    if any(least <= first and last <= most for least, most in _COMPACT):
        raise DataError(
            f"{request.logs}: the times are numbers such as {first}, which reads as a date and not as seconds since "
            "1970; write ISO dates (2024-05-31), seconds or milliseconds"
        )


def _unreadable_time(source: Source, cleaned: "_Cleaned") -> dict[str, str]:
    """A time that cannot be read, if they are many."""
    missing = cleaned.dropped["no_time"]
    if source.unreadable_time is None or missing < _MANY * (cleaned.count + sum(cleaned.dropped.values())):
        return {}
    found = source.unreadable_time() if missing else None
    return {} if found is None else {"unreadable_time": found}


def _unmatched(read: ReadLogs, cleaned: "_Cleaned") -> dict[str, list[str]]:
    """An item of the logs and one of the items' own, if most events are lost for want of text."""
    rows = cleaned.count + sum(cleaned.dropped.values())
    if cleaned.dropped[NO_TEXT] <= LOST * rows:
        return {}
    found = read.unmatched()
    return {} if found is None else {"unmatched": found}


def _dropped(read: ReadLogs, cleaned: "_Cleaned", options: PrepareOptions) -> Dropped:
    own = () if options.missing_text != "id" else tuple(item for item, text in read.texts.items() if item == text)
    return Dropped(
        unusable=cleaned.filtered.unusable,
        usable=when_alone(cleaned.usable) if options.split == "predefined" else cleaned.usable,
        core=cleaned.core,
        users=read.users,
        items=read.items,
        dropped_for_good=read.dropped_for_good,
        parts=read.source.parts,
        texts=read.known,
        own_text=own,
    )


@dataclass(frozen=True, eq=False)
class _Cleaned:
    """``usable``: what the ``core`` is taken of; ``count``: its events."""

    filtered: FilteredEvents
    usable: Table
    core: Core
    count: int
    dropped: dict[str, int]


def _clean(engine: Engine, read: ReadLogs, request: Request) -> _Cleaned:
    source, names, options = read.source, read.items.names, request.options
    with_text = None
    if options.missing_text != "id":
        described = engine.import_arrow(pa.table({ID: pa.array(read.texts, pa.string())}))
        with_text = engine.materialize(names.semi_join(described, ID))
    filtered = filter_events(engine, encode_ids(source.events, read.users, read.items, with_text), options)
    unusable = filtered.counts
    if options.missing_text == "fail" and unusable[NO_TEXT]:
        code = filtered.because(NO_TEXT)[ITEM].min().to_pyarrow().as_py()
        bare = names.filter(names[CODE] == code)[ID].to_pyarrow()[0].as_py()
        raise DataError(
            f"{request.items or request.logs}: item {bare} has no text ({unusable[NO_TEXT]} events name such items); "
            f"add it, or give {option('missing_text', 'drop')} or {option('missing_text', 'id')}"
        )
    if options.split == "predefined":
        require_known_parts(filtered.because(""), request)
    distinct, duplicates = drop_duplicates(engine, filtered.usable, options.dedup)
    core = k_core(engine, distinct, options.min_user or 0, options.min_item or 0, options.min_events)
    rare = {reason: sum(each.rows[reason] for each in core.rounds) for reason in CORE}
    counted = {reason: count for reason, count in unusable.items() if reason}
    left = unusable[""] - duplicates - sum(rare.values())
    dropped = {"unreadable_row": source.unreadable, **counted, DUPLICATE: duplicates, **rare}
    if left == 0:
        raise _nobody_left(request, dropped, read)
    return _Cleaned(filtered, distinct, core, left, dropped)


def _nobody_left(request: Request, dropped: dict[str, int], read: ReadLogs) -> DataError:
    rows = sum(dropped.values())
    if rows == 0:
        return DataError(f"{request.logs} holds no events; give logs with rows below the header")
    reasons = ", ".join(f"{reason} {count}" for reason, count in dropped.items() if count)
    worst = max(dropped, key=lambda reason: dropped[reason])
    hint = _HINTS[worst]
    if worst == NO_TEXT and (found := read.unmatched()) is not None:
        hint = f"the logs have items such as {found[0]!r}, the texts such as {found[1]!r}; {hint}"
    source = read.source
    if worst == "no_time" and source.unreadable_time is not None and (example := source.unreadable_time()) is not None:
        column = (source.columns or {}).get("time", "")
        hint = f"check the time column {column}: {example!r} cannot be read; {_FORMAT} says how times are written"
    return DataError(f"{request.logs}: no user is left of {rows} events (dropped: {reasons}); {hint}")
