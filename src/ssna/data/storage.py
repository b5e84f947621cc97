"""A data set on the disk: three Parquet files and a manifest."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ssna.core.arguments import checked
from ssna.core.errors import DataError
from ssna.core.files import new_folder, read_json, write_json
from ssna.data.attribute_values import kind_of
from ssna.data.attributes import require_kinds
from ssna.data.dataset import Dataset, HeldOut, Histories, IdMap
from ssna.data.split_points import SplitPoints, iso, points_of_words, words_of_points

FORMAT = 1

MANIFEST = "manifest.json"
ITEMS = "items.parquet"
USERS = "users.parquet"
EVENTS = "events.parquet"
NEW_ITEMS = "new_items.parquet"
ATTRIBUTES = "attributes.parquet"
HELD_OUT, QUESTIONS = "held_out.parquet", "questions.parquet"

# What folders of before have: the format is the same.
_FORMER_HELD_OUT = "withheld.parquet"
_FORMER_KEYS = {
    "asked": "evaluation_users",
    "withheld_of": "held_out_of",
    "withheld": "held_out",
    "strange_time": "unreadable_time",
    "say_nothing": "placeholder_ids",
}

_ITEM_SCHEMA = pa.schema({"id": pa.string(), "text": pa.string()})
_QUESTION_SCHEMA = pa.schema({"history": pa.list_(pa.string()), "target": pa.string()})
_USER_SCHEMA = pa.schema({"id": pa.string()})


def describe(dataset: Dataset) -> dict[str, Any]:
    """The part of the manifest that follows from the data set itself, and is checked when it is loaded."""
    return {
        "format": FORMAT,
        "users": len(dataset.users),
        "items": len(dataset.items),
        "interactions": len(dataset.histories.items),
        "interactions_used": dataset.interactions_used,
        "fingerprint": dataset.fingerprint,
        "max_history": dataset.max_history,
        **_describe_split(dataset),
        **({"new_items": len(dataset.new_items)} if dataset.new_items else {}),
        **({} if dataset.attributes is None else {"attributes": _kinds(dataset.attributes)}),
    }


def _describe_split(dataset: Dataset) -> dict[str, Any]:
    described: dict[str, Any] = {
        "split": dataset.protocol,
        "evaluation_users": {name: len(dataset.evaluation_users(name)[0]) for name in ("valid", "test")},
        "unseen_targets": dataset.unseen_targets,
    }
    if dataset.split_points.moments is not None:
        moments = zip(("valid", "test"), dataset.split_points.moments, strict=True)
        if dataset.moments is not None:
            described["given_moments"] = list(dataset.moments)
        described["moments"] = {name: {"seconds": moment, "date": iso(moment)} for name, moment in moments}
    if dataset.protocol == "predefined":
        points, events = dataset.split_points, len(dataset.histories.items)
        ends = (int(points.valid.sum()), int(points.test.sum()), events)
        described["split_events"] = {"train": ends[0], "valid": ends[1] - ends[0], "test": ends[2] - ends[1]}
        described["untested_users"] = int((points.test == dataset.histories.ragged.lengths).sum())
    return described


def save(dataset: Dataset, folder: str | Path) -> None:
    """Write ``dataset`` as ``folder``, whole or not at all; a data set that stands there is replaced.

    ``users.parquet`` (id) and ``items.parquet`` (id, text) hold row 1 first; ``events.parquet`` holds every user's
    events in order, as rows of the two (user, item, and seconds since 1970 where the source has times; in a predefined
    split, ``split`` says what an event is for). Where items
    are held out, ``held_out.parquet`` (id, text) holds them, and ``questions.parquet`` (history, target) the questions
    about them. ``new_items.parquet`` (id, text) holds items without enough events that can be recommended;
    ``attributes.parquet`` (id, and a column each) the attributes of all items that were described.

    Raises:
        SsnaError: ``folder`` holds something else.
        OSError: the disk is full, or may not be written.
    """
    with new_folder(Path(folder), marker=EVENTS) as aside:
        write(dataset, aside)


def write(dataset: Dataset, folder: Path) -> None:
    """Write the files of :func:`save` into ``folder``, which exists and which the caller moves into place."""
    histories = dataset.histories
    events = {
        "user": np.repeat(np.arange(1, len(dataset.users) + 1, dtype=np.int32), histories.ragged.lengths),
        "item": pa.array(histories.items, pa.int32()),
    }
    if histories.times is not None:
        events["time"] = pa.array(histories.times, pa.int64())
    if dataset.protocol == "predefined":
        events["split"] = words_of_points(dataset.split_points, histories.ragged.lengths)
    items = {"id": dataset.items.external, "text": dataset.texts[1:]}
    reported = {"rows_read": len(histories.items), "dropped": {}, **dataset.manifest, **describe(dataset)}
    _write(folder / USERS, pa.table({"id": dataset.users.external}, schema=_USER_SCHEMA))
    _write(folder / ITEMS, pa.table(items, schema=_ITEM_SCHEMA))
    _write(folder / EVENTS, pa.table(events))
    if dataset.held_out is not None:
        _write_held_out(dataset.held_out, folder)
    if dataset.new_items:
        new = {"id": list(dataset.new_items), "text": list(dataset.new_items.values())}
        _write(folder / NEW_ITEMS, pa.table(new, schema=_ITEM_SCHEMA))
    if dataset.attributes is not None:
        _write(folder / ATTRIBUTES, dataset.attributes)
    write_json(folder / MANIFEST, reported)


def is_data_set(folder: Path) -> bool:
    """Whether :func:`save` wrote ``folder``, in whatever version."""
    with suppress(DataError):
        return {"format", "fingerprint"} <= read_json(folder / MANIFEST, DataError).keys()
    return False


@checked
def load(folder: str | Path) -> Dataset:
    """The data set in ``folder``.

    Raises:
        DataError: ``folder`` is not a data set, is of another format version, or is damaged.
    """
    folder = Path(folder)
    manifest = _in_todays_words(read_json(folder / MANIFEST, DataError, maker="ssna prepare"))
    if manifest.get("format") != FORMAT:
        if "layers" in manifest:
            raise DataError(f"{folder} is a layer cache, not a data folder; name a folder that `ssna prepare` made")
        raise DataError(
            f"{folder} is not a data set of format {FORMAT} (its manifest says {manifest.get('format')!r}); "
            "name a folder that `ssna prepare` of this version made"
        )
    held_out = next((folder / name for name in (HELD_OUT, _FORMER_HELD_OUT) if (folder / name).exists()), None)
    with damaged(folder):
        users = _read(folder / USERS, {"id"})
        items = _read(folder / ITEMS, {"id", "text"})
        events = _read(folder / EVENTS, {"user", "item"})
        dataset = Dataset(
            users=IdMap(tuple(users["id"].to_pylist())),
            items=IdMap(tuple(items["id"].to_pylist())),
            texts=("", *items["text"].to_pylist()),
            histories=_histories(events, len(users)),
            max_history=manifest["max_history"],
            manifest=manifest,
            protocol=manifest.get("split", "leave-one-out"),
            held_out=None if held_out is None else _read_held_out(held_out),
            moments=_moments(manifest.get("given_moments")),
            new_items=_read_new_items(folder) if manifest.get("new_items") else {},
            given_points=_given_points(manifest, events, len(users)),
            attributes=_read_attributes(folder / ATTRIBUTES) if "attributes" in manifest else None,
        )
        if "split" not in manifest:  # made when there was but one
            manifest.update(_describe_split(dataset))
        found = describe(dataset)
        wrong = [key for key, value in found.items() if manifest[key] != value]
        if wrong:
            raise DataError(f"{wrong[0]} is {found[wrong[0]]}, but the manifest says {manifest[wrong[0]]}")
    return dataset


def _given_points(manifest: dict[str, Any], events: pa.Table, users: int) -> SplitPoints | None:
    if manifest.get("split") != "predefined":
        return None
    return points_of_words(events["split"], events["user"].to_numpy() - 1, users)


def _moments(given: Any) -> tuple[int, int] | None:
    return None if given is None else (int(given[0]), int(given[1]))


def _in_todays_words(manifest: dict[str, Any]) -> dict[str, Any]:
    renamed = {_FORMER_KEYS.get(key, key): value for key, value in manifest.items()}
    for section in ("checks", "held_out_of"):
        if isinstance(within := renamed.get(section), dict):
            renamed[section] = {_FORMER_KEYS.get(key, key): value for key, value in within.items()}
    return renamed


def _write_held_out(held_out: HeldOut, folder: Path) -> None:
    items = {"id": list(held_out.texts), "text": list(held_out.texts.values())}
    questions = {"history": held_out.histories, "target": held_out.targets}
    _write(folder / HELD_OUT, pa.table(items, schema=_ITEM_SCHEMA))
    _write(folder / QUESTIONS, pa.table(questions, schema=_QUESTION_SCHEMA))


def _read_held_out(path: Path) -> HeldOut:
    items, questions = _read(path, {"id", "text"}), _read(path.with_name(QUESTIONS), {"history", "target"})
    return HeldOut(
        texts=dict(zip(items["id"].to_pylist(), items["text"].to_pylist(), strict=True)),
        histories=tuple(map(tuple, questions["history"].to_pylist())),
        targets=tuple(questions["target"].to_pylist()),
    )


def _read_new_items(folder: Path) -> dict[str, str]:
    items = _read(folder / NEW_ITEMS, {"id", "text"})
    return dict(zip(items["id"].to_pylist(), items["text"].to_pylist(), strict=True))


def _kinds(table: pa.Table) -> dict[str, str]:
    return {each.name: kind_of(each.type) or "" for each in table.schema if each.name != "id"}


def _read_attributes(path: Path) -> pa.Table:
    table = read_whole(path)
    require_kinds(table.drop_columns(["id"]))
    if table["id"].null_count or len(table["id"].unique()) < len(table):
        raise DataError(f"{path.name} does not have each item once")
    return table


def _write(path: Path, table: pa.Table) -> None:
    texts = [field.name for field in table.schema if pa.types.is_string(field.type)]  # numbers are smaller without
    pq.write_table(table, path, compression="zstd", use_dictionary=texts, write_page_checksum=True)


def read_whole(path: Path) -> pa.Table:
    """A Parquet file of ours, its checksums verified."""
    # Opened by ourselves: given a path, pyarrow would read a folder of that name, too, and guess partitions. Opened
    # by Arrow and read at once, not ahead: a reader thread that needs Python may still run when the process ends.
    with pa.OSFile(str(path)) as file:
        return pq.read_table(file, page_checksum_verification=True, pre_buffer=False)


def _read(path: Path, columns: set[str]) -> pa.Table:
    table = read_whole(path)
    missing = columns - set(table.column_names)
    if missing:
        raise DataError(f"{path.name} has no column {min(missing)}")
    if any(table[column].null_count for column in table.column_names):
        raise DataError(f"{path.name} has empty cells")
    return table


def _histories(events: pa.Table, users: int) -> Histories:
    user = events["user"].to_numpy()
    if len(user) and (user.min() < 1 or user.max() > users or (np.diff(user) < 0).any()):
        raise DataError(f"{EVENTS} is not in the order of the users")
    lengths = np.bincount(user, minlength=users + 1)[1:]
    return Histories(
        items=events["item"].to_numpy().astype(np.int32),
        times=events["time"].to_numpy().astype(np.int64) if "time" in events.column_names else None,
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
    )


@contextmanager
def damaged(folder: Path) -> Iterator[None]:
    """Whatever is wrong with a file inside is :class:`DataError`, with ``folder`` as the culprit."""
    try:
        yield
    except (DataError, pa.ArrowException, OSError, KeyError, TypeError, ValueError, UnicodeError) as cause:
        reason = " ".join(str(cause).split())[:200]
        raise DataError(f"{folder} is damaged: {reason}; run prepare again") from None
