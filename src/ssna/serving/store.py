"""The state of a server: one SQLite file of what was added and removed, and of what was read from the texts.

All is written by SQLAlchemy's own expressions, which PostgreSQL understands, too.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Column, Connection, Engine, Table, delete, insert, inspect, select, update

from ssna.core.errors import ArtifactError
from ssna.core.files import fsync
from ssna.serving.additions import Additions, Change
from ssna.serving.item_attributes import attributes_in, write_attributes
from ssna.serving.item_vectors import insert_vectors, numbers_of, some_of, vectors_in
from ssna.serving.logs import log
from ssna.serving.refusal import RequestError
from ssna.serving.sqlite import ERRORS, check_pages, engine_of, exists, readable, reason
from ssna.serving.tables import ADDED, FORMAT, MODELS, REMOVED, STATE, STATES, TABLES
from ssna.text import Encoding

if TYPE_CHECKING:
    from ssna.recommender.admission import NewItems

STORE, JOURNAL = "state.sqlite", "additions.journal"


class Store:
    """The state in one folder. Neither folder nor file is made before the first change.

    Any number of servers may read it. Of two that change it, the second one is refused until it has read again.

    Args:
        folder: of the state.

    Attributes:
        trouble: why it cannot be read, in a line; None: all is well.
        additions: what it holds, as far as this process has read or written it.

    Raises:
        ArtifactError: the folder is a file, or belongs to an earlier version of ssna.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / STORE
        if folder.exists() and not folder.is_dir():
            raise ArtifactError(f"{folder} is a file; name a folder for additions with --state")
        journal = folder / JOURNAL
        if journal.is_file() and journal.stat().st_size and not self.path.exists():
            raise ArtifactError(
                f"{journal} is of an ssna before 0.3, whose additions this one does not read; name another folder with "
                "--state and put the items again, or delete the file to give them up"
            )
        self.additions = Additions()
        self.trouble: str | None = None
        self._engine: Engine | None = None

    def close(self) -> None:
        """Give the file back."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def load(self) -> Additions:
        """Read what was added and removed; where that cannot be done, :attr:`trouble` says why, once in the log."""
        try:
            self.accept(self.read())
        except ArtifactError as cause:
            self.trouble = str(cause)
            log(
                "store", level="error", message=f"{self.trouble}; items that were added are missing, those that were "
                "removed are back, and changes are refused; mend it, then POST /reload",
            )  # fmt: skip
        return self.additions

    def accept(self, additions: Additions) -> None:
        """From now on changes follow ``additions``, which :meth:`read` gave."""
        self.additions, self.trouble = additions, None

    def read(self) -> Additions:
        """What is in the file now. Raises :class:`ArtifactError` if it cannot be read."""
        try:
            with self._reading() as connection:
                if connection is None:
                    return Additions()
                texts = {row.item: row.text for row in connection.execute(select(ADDED).order_by(ADDED.c.number))}
                hidden = frozenset(connection.execute(select(REMOVED.c.item)).scalars())
                vectors, attributes = vectors_in(connection), attributes_in(connection)
                return Additions(texts, hidden, _revision(connection), vectors, attributes)
        except (*ERRORS, ArtifactError) as cause:
            raise ArtifactError(f"{self.path} cannot be read ({reason(cause)})") from None

    def known(self, items: Sequence[str], encoding: Encoding, layers: int) -> "NewItems":
        """What was read from the texts of those ``items`` that this model has read, in their order, from the store.

        Raises:
            ArtifactError: it cannot be read.
        """
        import torch  # takes seconds

        from ssna.recommender.admission import NewItems

        found: dict[str, tuple[str, NDArray[np.float32], bool]] = {}
        columns = ADDED.c.item, ADDED.c.text, STATES.c.layers, STATES.c.states, STATES.c.says_nothing
        of_model = (STATES.c.fingerprint == encoding.fingerprint) & (STATES.c.layers >= layers)
        try:
            with self._reading() as connection:
                for some in some_of(items if connection is not None else ()):
                    assert connection is not None
                    rows = connection.execute(select(*columns).join(STATES).where(of_model & ADDED.c.item.in_(some)))
                    for item, text, kept, content, nothing in rows:
                        if (states := _states(content, kept, encoding.width)) is not None:
                            found[item] = text, states[:layers], nothing
        except ERRORS as cause:
            raise ArtifactError(f"{self.path} cannot be read ({reason(cause)})") from None
        here = [item for item in items if item in found]
        states = np.zeros((layers, len(here), encoding.width), dtype=np.float32)
        for place, item in enumerate(here):
            states[:, place] = found[item][1]
        texts, silent = {item: found[item][0] for item in here}, [found[item][2] for item in here]
        unread = {
            item for item, nothing in zip(here, silent, strict=True)
            if encoding.has_model and not nothing and not found[item][1][encoding.extra :].any()
        }  # fmt: skip
        return NewItems(texts, torch.from_numpy(states), silent, unread=unread)

    def record(self, change: Change, read: "NewItems | None" = None, encoding: Encoding | None = None) -> Additions:
        """Make ``change`` last. When this returns it is on the disk; when it raises it did not happen.

        Args:
            read: what ``encoding`` read from the texts that are put.

        Raises:
            RequestError: the disk refuses, or another process has changed the store.
        """
        with self._writing() as connection:
            _delete(connection, ADDED.c.item, [*change.put, *change.delete])
            _delete(connection, REMOVED.c.item, [*change.show, *change.hide])
            _insert(connection, REMOVED, [{"item": item} for item in change.hide if item not in change.show])
            _insert(connection, ADDED, [{"item": item, "text": text} for item, text in change.put.items()])
            insert_vectors(connection, change.vectors)
            if read is not None and encoding is not None:
                _insert_states(connection, read, encoding)
            after = self.additions.after(change)
            write_attributes(connection, change, after)
            connection.execute(update(STATE).values(revision=after.revision))
        self.additions = after
        return after

    def keep(self, read: "NewItems", encoding: Encoding) -> None:
        """Keep what another model read from added texts. Raises as :meth:`record`."""
        with self._writing() as connection:
            _insert_states(connection, read, encoding)

    @contextmanager
    def _reading(self) -> Iterator[Connection | None]:
        """None where there is no file yet."""
        if not exists(self.path):
            yield None
            return
        if self._engine is not None:
            with self._engine.connect() as connection:
                yield connection
            return
        with readable(self.path) as engine, engine.connect() as connection:
            _check(connection, self.path)
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        if self.trouble is not None:
            raise _refused(f"{self.trouble}; mend it, then POST /reload")
        try:
            if self._engine is None:
                self._engine = self._open()
            with self._engine.begin() as connection:
                if (there := _revision(connection)) != self.additions.revision:
                    raise RequestError(
                        409, "changed_elsewhere",
                        f"another process has changed {self.path} ({there - self.additions.revision} changes); "
                        "POST /reload takes them over, then ask again",
                    )  # fmt: skip
                yield connection
        except ERRORS as cause:
            message = f"{self.path} cannot be written ({reason(cause)}); nothing was changed"
            log("store", level="error", message=message)
            raise _refused(message) from None

    def _open(self) -> Engine:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not exists(self.path):
            self._make()
        engine = engine_of(self.path)
        if set(TABLES.tables) - set(inspect(engine).get_table_names()):  # of a store that an earlier version made
            TABLES.create_all(engine)
        return engine

    def _make(self) -> None:
        """Whole or not at all, and not where another server was faster."""
        aside = self.path.with_name(f".{STORE}.{os.getpid()}.aside")
        engine = engine_of(aside)
        try:
            with engine.begin() as connection:
                TABLES.create_all(connection)
                connection.execute(insert(STATE).values(format=FORMAT, revision=0))
            engine.dispose()
            fsync(aside)
            with suppress(FileExistsError):
                self.path.hardlink_to(aside)
        finally:
            engine.dispose()
            aside.unlink(missing_ok=True)
        fsync(self.folder)


def _check(connection: Connection, path: Path) -> None:
    check_pages(connection)
    found = connection.execute(select(STATE.c.format)).scalar()
    if found != FORMAT:
        raise ArtifactError(f"{path.name} has format {found}, this ssna reads {FORMAT}")


def _states(content: bytes, layers: int, width: int) -> NDArray[np.float32] | None:
    """``(a, d)``; None for what is damaged, and is to be read from the text again."""
    if len(content) != 4 * layers * width:
        return None
    states = np.frombuffer(content, "<f4").reshape(layers, width)
    return states if np.isfinite(states).all() else None


def _revision(connection: Connection) -> int:
    return int(connection.execute(select(STATE.c.revision)).scalar() or 0)


def _insert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _delete(connection: Connection, column: Column[Any], values: Iterable[str]) -> None:
    for some in some_of(values):
        connection.execute(delete(column.table).where(column.in_(some)))


def _insert_states(connection: Connection, read: "NewItems", encoding: Encoding) -> None:
    of_model = MODELS.c.fingerprint == encoding.fingerprint
    if connection.execute(select(MODELS.c.fingerprint).where(of_model)).first() is None:
        described = json.dumps(encoding.tree())
        connection.execute(insert(MODELS).values(fingerprint=encoding.fingerprint, encoding=described))
    numbers = numbers_of(connection, read.texts)
    for some in some_of(numbers.values()):
        earlier = STATES.c.number.in_(some) & (STATES.c.fingerprint == encoding.fingerprint)
        connection.execute(delete(STATES).where(earlier))
    states = read.states.numpy().astype("<f4", copy=False)
    _insert(
        connection,
        STATES,
        [
            {
                "number": numbers[item], "fingerprint": encoding.fingerprint, "layers": len(states),
                "says_nothing": bool(nothing), "states": states[:, place].tobytes(),
            }
            for place, (item, nothing) in enumerate(zip(read.texts, read.silent, strict=True))
        ],
    )  # fmt: skip


def _refused(message: str) -> RequestError:
    return RequestError(503, "disk", message, {"Retry-After": "60"})
