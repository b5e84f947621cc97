"""The processed files of UniSRec and its family: every prefix of every history as a row.

``NAME.train.inter`` holds, for every user, each prefix of the training part with the item that follows;
``NAME.valid.inter`` and ``NAME.test.inter`` one such row a user. Prefixes are windows on the latest items (50 in the
published files), so the whole history is put together again from all rows. Items are numbers in these files:
``NAME.item2index`` says which id each stands for, and ``NAME.text`` holds the texts by id.
"""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from ssna.core.errors import DataError
from ssna.data.engine import Engine
from ssna.data.sources.lines import read_fields
from ssna.data.sources.source import ITEM, USER, WHEN, Request, Source, find_one, require

_HEADER = ("user_id:token", "item_id_list:token_seq", "item_id:token")


@dataclass(frozen=True)
class _Row:
    """After ``prefix`` came ``target``."""

    prefix: list[str]
    target: str


def recognises(path: Path) -> bool:
    """Whether ``path`` is, or is the folder or the common beginning of, a ``.train.inter`` file."""
    return any(path.glob("*.train.inter")) if path.is_dir() else find_one(path, ".train.inter") is not None


def read(engine: Engine, request: Request) -> Source:
    """Put the histories together.

    Raises:
        DataError: a file is not there or damaged, or the rows of a user contradict each other.
    """
    request.refuse("items", "user_col", "item_col", "time_col", "text_cols", "attribute_cols")
    request.refuse_ratings()
    train_file = require(find_one(request.path, ".train.inter"), request.path, "NAME.train.inter")
    stem = train_file.name.removesuffix(".train.inter")
    valid_file, test_file, text_file, index_file = (
        require(train_file.with_name(stem + suffix), train_file.parent, stem + suffix)
        for suffix in (".valid.inter", ".test.inter", ".text", ".item2index")
    )
    histories = _histories(_rows(train_file), _rows(valid_file), _rows(test_file), train_file)
    ids = _ids(index_file)
    texts = [fields for _, fields in read_fields(text_file, ("item_id:token", "text:token_seq"), 2)]
    return Source(
        events=request.marked(engine.import_arrow(_events(histories, ids, index_file))),
        parts=engine.import_arrow(pa.table({ITEM: [item for item, _ in texts], "part_1": [text for _, text in texts]})),
        timed=False,
        unreadable=0,
        log_files=(train_file, valid_file, test_file),
        item_files=(text_file, index_file),
    )


def _rows(path: Path) -> dict[str, list[_Row]]:
    rows: dict[str, list[_Row]] = {}
    for number, (user, prefix, target) in read_fields(path, _HEADER, 3):
        if not prefix.split() or not target:
            raise DataError(f"{path}, line {number}: there must be items before the target, and a target")
        rows.setdefault(user, []).append(_Row(prefix.split(), target))
    return rows


def _ids(path: Path) -> dict[str, str]:
    pairs = [fields for _, fields in read_fields(path, None, 2)]
    ids = {index: item for item, index in pairs}
    if len(ids) < len(pairs) or len(set(ids.values())) < len(pairs):
        raise DataError(f"{path}: an item or an index stands twice; both must be distinct")
    return ids


def _histories(
    train: dict[str, list[_Row]], valid: dict[str, list[_Row]], test: dict[str, list[_Row]], culprit: Path
) -> dict[str, list[str]]:
    everything = (row for part in (train, valid, test) for rows in part.values() for row in rows)
    window = max((len(row.prefix) for row in everything), default=0)
    histories = {}
    for user in train | valid | test:
        questions = valid.get(user, []) + test.get(user, [])
        if len(valid.get(user, [])) != 1 or len(test.get(user, [])) != 1:
            raise DataError(f"{culprit.parent}: user {user} needs one row in valid.inter and one in test.inter")
        history = _history(train.get(user, []), questions, window)
        if history is None:
            raise DataError(f"{culprit.parent}: the rows of user {user} contradict each other; get the files anew")
        histories[user] = history
    return histories


def _history(train: list[_Row], questions: list[_Row], window: int) -> list[str] | None:
    """Chain all rows by length. Rows of full length are listed latest first, or else oldest first."""
    for listed in (train[::-1], train):
        history = _chain(sorted(listed, key=lambda row: len(row.prefix)) + questions, window)
        if history is not None:
            return history
    return None


def _chain(rows: list[_Row], window: int) -> list[str] | None:
    history = list(rows[0].prefix)
    for row in rows:
        if row.prefix != history[-window:]:
            return None
        history.append(row.target)
    return history


def _events(histories: dict[str, list[str]], ids: dict[str, str], index_file: Path) -> pa.Table:
    users = [user for user, history in histories.items() for _ in history]
    items = [index for history in histories.values() for index in history]
    missing = next((index for index in items if index not in ids), None)
    if missing is not None:
        raise DataError(f"{index_file} does not name the item with index {missing}; get the files anew")
    places = [place for history in histories.values() for place in range(len(history))]
    return pa.table(
        {USER: users, ITEM: [ids[index] for index in items], WHEN: places},
        schema=pa.schema({USER: pa.string(), ITEM: pa.string(), WHEN: pa.int64()}),
    )
