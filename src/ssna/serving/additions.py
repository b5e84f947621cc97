"""What was added and removed while serving: a journal that is on the disk before a change is answered.

One line a change: a CRC-32 of the rest in 8 hex digits, a space, JSON. A process that is killed leaves at most an
unfinished last line, which was never answered; it is cut off at the next start. Any other line that does not match its
checksum is damage, and nothing is cut.
"""

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ssna.core.errors import ArtifactError
from ssna.core.files import fsync, write_file
from ssna.core.locks import try_lock
from ssna.serving.logs import log
from ssna.serving.refusal import RequestError

JOURNAL, LOCK = "additions.journal", ".lock"
WORTH_REWRITING = 1_000  # lines; shorter journals are read in no time


@dataclass(frozen=True)
class Change:
    """One step.

    Attributes:
        put: added items and their texts; an earlier text is replaced.
        delete: added items that leave.
        hide: items of the run that leave.
        show: items of the run that come back.
    """

    put: Mapping[str, str] = field(default_factory=dict)
    delete: tuple[str, ...] = ()
    hide: tuple[str, ...] = ()
    show: tuple[str, ...] = ()

    def line(self) -> bytes:
        """As the journal keeps it."""
        sections = {"put": dict(self.put), "delete": self.delete, "hide": self.hide, "show": self.show}
        filled = {name: section for name, section in sections.items() if section}
        content = json.dumps(filled, ensure_ascii=False).encode()
        return b"%08x %s\n" % (zlib.crc32(content), content)

    @classmethod
    def parse(cls, line: bytes) -> "Change":
        """The inverse of :meth:`line`. Raises ValueError for anything else."""
        checksum, _, content = line.rstrip(b"\n").partition(b" ")
        if checksum != b"%08x" % zlib.crc32(content):
            raise ValueError("the checksum does not match")
        value = json.loads(content)
        return cls(value.get("put", {}), *(tuple(value.get(name, ())) for name in ("delete", "hide", "show")))


@dataclass(frozen=True)
class Additions:
    """All changes together. An added id that a run knows by itself is that run's own, not an addition to it.

    Attributes:
        texts: added item -> text, in the order in which they came.
        hidden: items of a run that are not to be recommended.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.texts) + len(self.hidden)

    def after(self, change: Change) -> "Additions":
        """With one more change."""
        removed = {*change.put, *change.delete}  # a replaced text goes to the end, as in the catalogue
        texts = {item: text for item, text in self.texts.items() if item not in removed} | dict(change.put)
        return Additions(texts, self.hidden.union(change.hide).difference(change.show))


class Journal:
    """The only writer of a state folder; open it with :func:`journal`."""

    def __init__(self, path: Path, file: IO[bytes], additions: Additions) -> None:
        self.path, self.additions = path, additions
        self._file, self._broken = file, False

    def record(self, change: Change) -> Additions:
        """Make ``change`` last. When this returns it is on the disk; when it raises it did not happen.

        Raises:
            RequestError: the disk refuses, now or since an earlier time.
        """
        if self._broken:
            raise _disk(f"{self.path} could not be written earlier; see to the disk and start the server again")
        end = self._file.seek(0, os.SEEK_END)
        try:
            line = change.line()
            while line:
                line = line[self._file.write(line) :]
            os.fsync(self._file.fileno())
        except OSError as cause:
            self._undo(end)
            raise _disk(f"{self.path} cannot be written ({cause.strerror}); nothing was changed") from None
        self.additions = self.additions.after(change)
        return self.additions

    def _undo(self, end: int) -> None:
        """Nothing may follow half a line."""
        try:
            self._file.truncate(end)
            os.fsync(self._file.fileno())
        except OSError:
            self._broken = True


def _disk(message: str) -> RequestError:
    return RequestError(503, "disk", message, {"Retry-After": "60"})


@contextmanager
def journal(folder: Path) -> Iterator[Journal]:
    """The journal in ``folder``, which is made if need be; no second server may have it until the block ends.

    Raises:
        ArtifactError: another server has it, or it is damaged, or no folder.
    """
    if folder.exists() and not folder.is_dir():
        raise ArtifactError(f"{folder} is a file; name a folder for additions with --state")
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    with try_lock(folder / LOCK) as free, _undone(folder if made else None):
        if not free:
            raise ArtifactError(
                f"another server keeps its additions in {folder}; stop it, or name another folder with --state"
            )
        path = folder / JOURNAL
        additions, lines = _replay(path)
        if lines > max(WORTH_REWRITING, 2 * len(additions)):
            whole = Change(put=additions.texts, hide=tuple(sorted(additions.hidden)))
            write_file(path, whole.line())
        with path.open("ab", buffering=0) as file:
            fsync(folder)
            yield Journal(path, file, additions)


@contextmanager
def _undone(folder: Path | None) -> Iterator[None]:
    """Leave no new folder behind where a server fails to start."""
    try:
        yield
    except BaseException:
        if folder is not None and not ((folder / JOURNAL).exists() and (folder / JOURNAL).stat().st_size):
            with suppress(OSError):
                for name in (JOURNAL, LOCK):
                    (folder / name).unlink(missing_ok=True)
                folder.rmdir()
        raise


def _replay(path: Path) -> tuple[Additions, int]:
    """All changes, and how many lines they are; an unfinished last line is cut off."""
    additions, lines, end = Additions(), 0, 0
    if not path.exists():
        return additions, lines
    with path.open("r+b") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            try:
                additions = additions.after(Change.parse(line))
            except (ValueError, TypeError, AttributeError) as cause:
                raise ArtifactError(
                    f"{path}: line {lines + 1} is damaged ({cause}); restore the file, or delete this line to go on "
                    "without its change"
                ) from None
            lines, end = lines + 1, end + len(line)
        if end < path.stat().st_size:
            log("journal", level="warning", message="its last line was unfinished, so never answered; it is cut off")
        file.truncate(end)
        os.fsync(file.fileno())
    return additions, lines
