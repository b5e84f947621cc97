"""What was added to a run and removed from it, and what was read from the texts, as a database keeps it."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Column, Connection, Table, delete, insert, select, update

from ssna.core.errors import ArtifactError
from ssna.serving.additions import Additions, Change
from ssna.serving.database import ERRORS, Database, open_database, readable, refused, unwritable
from ssna.serving.item_attributes import attributes_in, write_attributes
from ssna.serving.item_vectors import insert_vectors, numbers_of, some_of, vectors_in
from ssna.serving.logs import log
from ssna.serving.refusal import RequestError
from ssna.serving.tables import ADDED, MODELS, REMOVED, STATE, STATES
from ssna.text import Encoding

if TYPE_CHECKING:
    from ssna.recommender.admission import NewItems


class ChangedElsewhereError(RequestError):
    """Another server has changed the state since this one read it."""


class Store:
    """What was added and removed, in a database that any number of servers read and change.

    Args:
        state: a folder, or the address of a PostgreSQL database; or what :func:`ssna.serving.database.open_database`
            gave.

    Attributes:
        trouble: why it cannot be read, in a line; None: all is well.
        additions: what it holds, as far as this process has read or written it.

    Raises:
        ArtifactError: as :func:`ssna.serving.database.open_database`.
    """

    def __init__(self, state: Path | str | Database) -> None:
        self.database = open_database(state) if isinstance(state, Path | str) else state
        self.additions = Additions()
        self.trouble: str | None = None

    def close(self) -> None:
        """Give it back."""
        self.database.close()

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

    def is_behind(self) -> bool:
        """Whether another server has changed it; raises as :meth:`read`."""
        with readable(self.database) as connection:
            revision = 0 if connection is None else _revision(connection)
        return self.trouble is not None or revision != self.additions.revision

    def read(self) -> Additions:
        """What it has now. Raises :class:`ArtifactError` if it cannot be read."""
        with readable(self.database) as connection:
            if connection is None:
                return Additions()
            texts = {row.item: row.text for row in connection.execute(select(ADDED).order_by(ADDED.c.number))}
            hidden = frozenset(connection.execute(select(REMOVED.c.item)).scalars())
            vectors, attributes = vectors_in(connection), attributes_in(connection)
            return Additions(texts, hidden, _revision(connection), vectors, attributes)

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
        with readable(self.database) as connection:
            for some in some_of(items if connection is not None else ()):
                assert connection is not None
                rows = connection.execute(select(*columns).join(STATES).where(of_model & ADDED.c.item.in_(some)))
                for item, text, kept, content, nothing in rows:
                    if (states := _states(content, kept, encoding.width)) is not None:
                        found[item] = text, states[:layers], nothing
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
            ChangedElsewhereError: another server has changed it; :meth:`read` it, and try again.
        RequestError: the disk refuses.
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
    def _writing(self) -> Iterator[Connection]:
        if self.trouble is not None:
            raise refused(f"{self.trouble}; mend it, then POST /reload")
        try:
            with self.database.writing() as connection:
                if (there := _revision(connection)) != self.additions.revision:
                    raise ChangedElsewhereError(
                        409, "changed_elsewhere",
                        f"other servers have changed {self.database.name} ({there - self.additions.revision} changes) "
                        "each time that this one was about to; ask again",
                    )  # fmt: skip
                yield connection
        except ERRORS as cause:
            raise unwritable(self.database, cause) from None


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
