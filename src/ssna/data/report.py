"""What the manifest says about how a data set came to be: its rules in words, its sources, and its options."""

from pathlib import Path
from typing import Any

import numpy as np

from ssna.data.append_base import OWN_ITEMS, AppendBase
from ssna.data.cleaning import DEDUP_RULES
from ssna.data.options import PrepareOptions
from ssna.data.packing import ORDER_RULE, TIES_RULE
from ssna.data.sources import Request, Source
from ssna.data.sources.place import Frame
from ssna.data.sources.values import TIME_RULE
from ssna.data.split_points import SplitRule
from ssna.data.texts import TEXT_RULE

_SPLITS: dict[SplitRule, str] = {
    "leave-one-out": "leave one out: a user's last event is the test target, the one before the validation target; "
    "the test history holds the validation item",
    "predefined": "predefined: the logs say which events are for training, validation and test; a user's events stand "
    "in this order, and by time within each; a user with events before those for validation (for the test) is "
    "evaluated on the first of them, given all events before it",
    "none": "none: every event is for training, and nothing is left to evaluate on",
    "time": "by time: all stamps sorted, validation begins at the one behind the first 80 % of the events, the test at "
    "the one behind 90 %; training is what came before validation; a user with events before a beginning is evaluated "
    "on the first event from then on, in validation if it came before the test begins, given all events before the "
    "beginning",
}


def rules(options: PrepareOptions, timed: bool) -> dict[str, str]:
    """What was done to the rows, in sentences; ``timed``: whether the source has times."""
    least_user = max(options.min_user or 0, options.min_events)
    least_item = max(options.min_item or 0, 1)
    missing = {"drop": "its events are dropped", "id": "its id is its text", "fail": "prepare fails"}
    return {
        "ids": "ids are text, trimmed, and whole numbers without a fraction (17.0 in a CSV is 17); users and items are "
        "numbered in the alphabetical order of their ids",
        "time": TIME_RULE if timed else "the source has no times",
        "order": ORDER_RULE if timed else "as the source lists the events, oldest first",
        "ties": TIES_RULE if timed else "there are none",
        **_limits(options),
        "text": TEXT_RULE,
        "missing_text": f"where an item has no text, {missing[options.missing_text]}",
        **_kept(options),
        "duplicates": DEDUP_RULES[options.dedup],
        "k_core": f"every user has at least {least_user} events and every item at least {least_item}, "
        "repeats included; what has fewer is dropped, in rounds, until nothing has",
        "split": _SPLITS[options.split] + _told(options),
        "history": f"histories are stored whole; a view reads at most {options.max_history} events before its target",
    }


def _kept(options: PrepareOptions) -> dict[str, str]:
    if options.keep_items == "events":
        return {}
    return {"new_items": "items with text and too few events, or none, are new items, recommended by their texts"}


def _limits(options: PrepareOptions) -> dict[str, str]:
    """The rules about ratings and times, those that hold."""
    found = {}
    if options.where is not None:
        found["where"] = f"only rows count that are as this says: {options.where}"
    if options.min_rating is not None:
        found["rating"] = f"events rated below {options.min_rating:g}, or not at all, are dropped"
    if options.windowed:
        spans = zip(("from", "before"), options.window, strict=True)
        kept = " and ".join(f"{word} {_iso(moment)}" for word, moment in spans if moment is not None)
        found["window"] = f"only events {kept} count"
    return found


def _told(options: PrepareOptions) -> str:
    if options.moments is None:
        return ""
    valid, test = (_iso(moment * 1_000_000) for moment in options.moments)
    return f"; but validation begins at {valid} and the test at {test}, as told"


def _iso(moment: int) -> str:
    return f"{str(np.datetime64(moment, 'us')).removesuffix('.000000')}Z"


def provenance(request: Request, source: Source, base: AppendBase | None) -> dict[str, Any]:
    """The files, what was read as what in them, what was appended to; and the options for logs that come later."""
    files = [file.name for file in source.files]
    over: dict[str, Any] = {}
    if frames := {
        place.argument: place.kind
        for place in (request.logs, *request.later, request.items)
        if isinstance(place, Frame)
    }:
        over["frames"] = frames
    if source.passed_over:
        over["passed_over"] = [file.name for file in source.passed_over]
    if base is None:
        columns: dict[str, Any] = {} if source.columns is None else {"columns": dict(source.columns)}
        if source.also_fitting:
            columns["also_fitting"] = dict(source.also_fitting)
        described = {"format": request.options.format, "files": files, **columns, **over}
        return {"source": described, "options": _options(request, source)}
    manifest = base.data.manifest
    of = {"fingerprint": base.data.fingerprint, "users": manifest["users"], "items": manifest["items"]}
    before = manifest["source"]
    of |= {
        "logs": request.logs.name if isinstance(request.logs, Path) else str(request.logs),
        "again": sorted({file.name for file in source.log_files} & {*before["files"]}),
    }
    described = {**before, "files": [*before["files"], *files], **over}
    return {"source": described, "options": manifest["options"], "appended_to": of}


def _options(request: Request, source: Source) -> dict[str, Any]:
    """Those that the data set depends on, with the format of times that was found; the engine is not among them."""
    options = request.options.model_dump(mode="json", exclude={"engine", "spark_master"}, exclude_none=True)
    found = (source.columns or {}).get("time_format")
    return {OWN_ITEMS: request.items is not None, **options, **({} if found is None else {"time_format": found})}
