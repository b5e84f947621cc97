"""The steps of ``prepare``, and the report on them that becomes the manifest."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
from ibis import Table

from ssna.core.errors import DataError
from ssna.core.progress import progress
from ssna.data.append_base import AppendBase
from ssna.data.checks import period
from ssna.data.cleaning import (
    CORE,
    DEDUP_RULES,
    DUPLICATE,
    NO_TEXT,
    Core,
    FilteredEvents,
    drop_duplicates,
    filter_events,
    k_core,
)
from ssna.data.dataset import Dataset, IdMap
from ssna.data.dropped import TEXT, LeftOut
from ssna.data.engine import Engine, engine_errors, open_engine, reading
from ssna.data.ids import CODE, ID, Ids, encode_ids, read_ids
from ssna.data.packing import ORDER_RULE, TIES_RULE, Packed, pack
from ssna.data.rules import EngineName, Rules
from ssna.data.sources import FORMATS, ITEM, USER, Request, Source
from ssna.data.sources.values import TIME_REMEDY, TIME_RULE
from ssna.data.split_points import MIN_EVENTS, NO_TIMES, SplitRule
from ssna.data.storage import describe, write
from ssna.data.texts import TEXT_RULE, joined_rows, longest

_REMEDIES = {
    "unreadable_row": "check the delimiter and the quotes of the file; in JSON, one object stands on each line",
    "no_user": "check the user column",
    "no_item": "check the item column",
    "no_time": TIME_REMEDY,
    "no_rating": "check the rating column",
    "below_min_rating": "lower min_rating",
    "before_since": "widen the window: since and until are UTC",
    "after_until": "widen the window: since and until are UTC",
    NO_TEXT: "check that items and logs share their ids, or let the id serve as text: missing_text='id'",
    DUPLICATE: "let repeats stay: dedup='none'",
    "below_min_user": "lower min_user or min_item, or give more logs",
    "below_min_item": "lower min_user or min_item, or give more logs",
    "short_history": f"every user needs {MIN_EVENTS} events; give more logs",
}

_SAYS_NOTHING = ("null", "none", "nan", "na", "n/a", "nil", "-", "?")
"""What other programs write for a value that is not there."""

_COMPACT = ((19_000_101, 20_991_231), (19_000_101_000, 20_991_231_235))
"""Seconds since 1970 that are compact dates in truth, 20240531, or with a time of day behind, 20240531235959."""

_MANY = 0.01  # of all rows; so many times that cannot be read are worth another look at the file

_SPLITS: dict[SplitRule, str] = {
    "leave-one-out": "leave one out: a user's last event is the test target, the one before the validation target; "
    "the test history holds the validation item",
    "time": "by time: all stamps sorted, validation begins at the one behind the first 80 % of the events, the test at "
    "the one behind 90 %; training is what came before validation; a user with events before a beginning is asked for "
    "the first event from then on, in validation if it came before the test begins, given all events before the "
    "beginning",
}


def assemble(
    request: Request,
    format_name: str,
    rules: Rules,
    quiet: bool,
    engine_name: EngineName,
    spark_master: str | None,
    folder: Path | None = None,
    earlier: AppendBase | None = None,
) -> Dataset:
    """Read, clean, pack and write. Raises :class:`DataError` as :func:`ssna.data.prepare` says.

    Args:
        folder: where to write it, with what is left out.
        earlier: a data set that the logs are appended to.
    """
    with (
        engine_errors(f"{request.logs} could not be prepared; is there enough memory and disk space?"),
        progress("prepare", total=3, quiet=quiet) as advance,
        open_engine(engine_name, spark_master) as engine,
    ):
        advance(0, "reading")
        read = _read(engine, request, format_name, rules, earlier)
        advance(1, "cleaning")
        cleaned = _clean(engine, read, request, rules)
        advance(1, "ordering")
        packed = pack(engine, cleaned.core.events, cleaned.count, read.users, read.items, read.source.timed)
        _require_no_compact_dates(request, packed)
        checks = {
            **_coverage(read),
            **_strange_time(read.source, cleaned),
            "same_time": packed.same_time,
            "core_rounds": [asdict(each) for each in cleaned.core.rounds],
        }
        with ThreadPoolExecutor(max_workers=1) as beside:
            if folder is not None:
                left_out = beside.submit(_left_out(read, cleaned, rules).write, engine, packed, folder)
            dataset = _dataset(request, format_name, rules, earlier, read, cleaned, packed, checks)
            if folder is not None:
                left_out.result()  # before the data set is written: what it holds in memory, the writing needs
                write(dataset, folder)
        advance(1, "")
    return dataset


def _dataset(
    request: Request,
    format_name: str,
    rules: Rules,
    earlier: AppendBase | None,
    read: "_Read",
    cleaned: "_Cleaned",
    packed: Packed,
    checks: dict[str, Any],
) -> Dataset:
    """With its manifest."""
    dataset = Dataset(
        users=IdMap(packed.users),
        items=IdMap(packed.items),
        texts=("", *(read.texts.get(item, item) for item in packed.items)),
        histories=packed.histories,
        max_history=rules.max_history,
        protocol=rules.split,
    )
    before = {} if earlier is None else earlier.dropped
    dropped = {reason: count + before.get(reason, 0) for reason, count in cleaned.dropped.items()}
    dataset = dataset if earlier is None else earlier.numbering(dataset)
    report = {
        "rows_read": len(packed.histories.items) + sum(dropped.values()),
        "dropped": dropped,
        "checks": checks,
        "rules": _sentences(rules, read.source.timed),
        "options": _options(request, rules, earlier),
        "period": period(dataset),
        **_provenance(request, read.source, format_name, earlier),
    }
    dataset.manifest.update({**describe(dataset), **report})
    if earlier is not None:
        dataset.manifest["appended_to"] |= earlier.joined_by(dataset)
    return dataset


@dataclass(frozen=True, eq=False)
class _Read:
    """The logs, and what they say together with those that they are appended to.

    Attributes:
        source: as read; its events follow those of the earlier data set that count, or may count again.
        users, items: the ids of every row that could be read, of all logs.
        settled: rows of earlier logs that are left out for good; or None.
        known: item and text, of earlier logs; or None.
        texts: of the items that are named.
    """

    source: Source
    users: Ids
    items: Ids
    settled: Table | None
    known: Table | None
    texts: dict[str, str]


def _read(engine: Engine, request: Request, format_name: str, rules: Rules, earlier: AppendBase | None) -> _Read:
    source = FORMATS[format_name].read(engine, request)
    if rules.split == "time" and not source.timed:
        raise DataError(f"{request.logs} {NO_TIMES}")
    if rules.limits.timed and not source.timed:
        raise DataError(f"{request.logs} has no times; leave since and until out, or give a table that has them")
    settled = known = None
    named = source.events
    if earlier is not None:
        source = earlier.followed_by(engine, source)
        settled, known = earlier.settled(engine), earlier.texts(engine)
        named = ibis.union(*(rows.select(USER, ITEM) for rows in (source.events, settled)), distinct=False)
    with reading(request.logs):
        users, items = (read_ids(engine, named, key, source.typed) for key in (USER, ITEM))
    return _Read(source, users, items, settled, known, _texts(source, items, known, request, rules))


def _texts(source: Source, items: Ids, known: Table | None, request: Request, rules: Rules) -> dict[str, str]:
    """Texts of the items that the logs name."""
    if source.parts is None and known is None and rules.missing_text != "id":
        raise DataError(
            f"{request.items or request.logs}: no column of item text is known; name some with text=... (--text-cols), "
            "give the items' own file with items=... (--items), or let the id serve as text: "
            "missing_text='id' (--missing-text id)"
        )
    rows: list[Iterator[tuple[str, str]]] = []
    if source.parts is not None:
        used = source.parts.filter(source.parts[ITEM].isin(items.names[ID])).distinct()
        rows.append(joined_rows(used.to_pyarrow()))
    if known is not None:
        table = known.filter(known[ITEM].isin(items.names[ID])).to_pyarrow()
        rows.append(zip(table[ITEM].to_pylist(), table[TEXT].to_pylist(), strict=True))
    return longest(chain(*rows))


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


def _strange_time(source: Source, cleaned: "_Cleaned") -> dict[str, str]:
    """A time that cannot be read, if they are many."""
    missing = cleaned.dropped["no_time"]
    if source.strange_time is None or missing < _MANY * (cleaned.count + sum(cleaned.dropped.values())):
        return {}
    found = source.strange_time() if missing else None
    return {} if found is None else {"strange_time": found}


def _coverage(read: _Read) -> dict[str, Any]:
    """How logs and items go together, before anything is dropped."""
    users, items = (ids.names.count().to_pyarrow().as_py() for ids in (read.users, read.items))
    described = [table.select(**{ID: table[ITEM]}) for table in (read.source.parts, read.known) if table is not None]
    idle = 0
    if described:
        every = ibis.union(*described) if len(described) > 1 else described[0]
        idle = every.distinct().drop_null().anti_join(read.items.names, ID).count().to_pyarrow().as_py()
    return {
        "users_read": users,
        "items_read": items,
        "items_without_text": items - len(read.texts),
        "items_never_named": idle,
        "say_nothing": {
            kind: ids.names.filter(ids.names[ID].lower().isin(_SAYS_NOTHING))[ID].to_pyarrow().sort().to_pylist()
            for kind, ids in (("users", read.users), ("items", read.items))
        },
    }


def _left_out(read: _Read, cleaned: "_Cleaned", rules: Rules) -> LeftOut:
    own = () if rules.missing_text != "id" else tuple(item for item, text in read.texts.items() if item == text)
    return LeftOut(
        unusable=cleaned.judged.unusable,
        usable=cleaned.usable,
        core=cleaned.core,
        users=read.users,
        items=read.items,
        settled=read.settled,
        parts=read.source.parts,
        texts=read.known,
        own_text=own,
    )


def _options(request: Request, rules: Rules, earlier: AppendBase | None) -> dict[str, Any]:
    """What an appended log need not be told again."""
    if earlier is not None:
        return earlier.options
    text = None if request.text is None else list(request.text)
    columns = {"user": request.user, "item": request.item, "time": request.time, "text": text}
    columns["rating"] = request.rating
    return {"columns": columns, "own_items": request.items is not None, "rules": asdict(rules)}


def _provenance(request: Request, source: Source, format_name: str, earlier: AppendBase | None) -> dict[str, Any]:
    files = [file.name for file in source.files]
    over = {"passed_over": [file.name for file in source.passed_over]} if source.passed_over else {}
    if earlier is None:
        columns = {} if source.columns is None else {"columns": dict(source.columns)}
        return {"source": {"format": format_name, "files": files, **columns, **over}}
    manifest = earlier.data.manifest
    of = {"fingerprint": earlier.data.fingerprint, "users": manifest["users"], "items": manifest["items"]}
    before = manifest["source"]
    of |= {"logs": request.logs.name, "again": sorted({*files} & {*before["files"]})}
    return {"source": {**before, "files": [*before["files"], *files], **over}, "appended_to": of}


@dataclass(frozen=True, eq=False)
class _Cleaned:
    """``usable``: what the ``core`` is taken of; ``count``: its events."""

    judged: FilteredEvents
    usable: Table
    core: Core
    count: int
    dropped: dict[str, int]


def _clean(engine: Engine, read: _Read, request: Request, rules: Rules) -> _Cleaned:
    source, names = read.source, read.items.names
    with_text = None
    if rules.missing_text != "id":
        described = engine.import_arrow(pa.table({ID: pa.array(read.texts, pa.string())}))
        with_text = engine.materialize(names.semi_join(described, ID))
    judged = filter_events(engine, encode_ids(source.events, read.users, read.items, with_text), rules.limits)
    unusable = judged.counts
    if rules.missing_text == "fail" and unusable[NO_TEXT]:
        code = judged.because(NO_TEXT)[ITEM].min().to_pyarrow().as_py()
        bare = names.filter(names[CODE] == code)[ID].to_pyarrow()[0].as_py()
        raise DataError(
            f"{request.items or request.logs}: item {bare} has no text ({unusable[NO_TEXT]} events name such items); "
            "add it, or let missing_text be 'drop' or 'id'"
        )
    distinct, duplicates = drop_duplicates(engine, judged.usable, rules.dedup)
    core = k_core(engine, distinct, rules.min_user, rules.min_item, rules.least)
    rare = {reason: sum(each.rows[reason] for each in core.rounds) for reason in CORE}
    counted = {reason: count for reason, count in unusable.items() if reason}
    left = unusable[""] - duplicates - sum(rare.values())
    dropped = {"unreadable_row": source.unreadable, **counted, DUPLICATE: duplicates, **rare}
    if left == 0:
        raise _nobody_left(request, dropped)
    return _Cleaned(judged, distinct, core, left, dropped)


def _nobody_left(request: Request, dropped: dict[str, int]) -> DataError:
    rows = sum(dropped.values())
    if rows == 0:
        return DataError(f"{request.logs} holds no events; give logs with rows below the header")
    reasons = ", ".join(f"{reason} {count}" for reason, count in dropped.items() if count)
    remedy = _REMEDIES[max(dropped, key=lambda reason: dropped[reason])]
    return DataError(f"{request.logs}: no user is left of {rows} events (dropped: {reasons}); {remedy}")


def _sentences(rules: Rules, timed: bool) -> dict[str, Any]:
    least_user = max(rules.min_user, rules.least)
    missing = {"drop": "its events are dropped", "id": "its id is its text", "fail": "prepare fails"}
    return {
        "ids": "ids are text, trimmed, and whole numbers without a fraction (17.0 in a CSV is 17); users and items are "
        "numbered in the alphabetical order of their ids",
        "time": TIME_RULE if timed else "the source has no times",
        "order": ORDER_RULE if timed else "as the source lists the events, oldest first",
        "ties": TIES_RULE if timed else "there are none",
        **rules.limits.sentences,
        "text": TEXT_RULE,
        "missing_text": f"where an item has no text, {missing[rules.missing_text]}",
        "duplicates": DEDUP_RULES[rules.dedup],
        "k_core": f"every user has at least {least_user} events and every item at least {max(rules.min_item, 1)}, "
        "repeats included; what has fewer is dropped, in rounds, until nothing has",
        "split": _SPLITS[rules.split],
        "history": f"histories are stored whole; a view reads at most {rules.max_history} events before its target",
    }
