"""Files that are whole or absent: written aside, flushed to the disk, then renamed into place."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from ssna.core.errors import ArtifactError, SsnaError


def fsync(path: Path) -> None:
    """Flush a file, or a folder's list of names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def write_aside(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write a file to. The file takes the place of ``path`` once the block ends well.

    A reader, or a kill at any moment, sees the old file or the new one. What a kill leaves behind is called
    ``.NAME.PID.aside``.

    Raises:
        OSError: the disk refuses; it names ``path`` or its folder, not the file beside, which nobody knows.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.aside")
    try:
        yield aside
        fsync(aside)
        aside.replace(path)
    except OSError as cause:
        if cause.filename != str(aside):
            raise
        culprit = path if path.parent.exists() else path.parent
        raise OSError(cause.errno, cause.strerror, str(culprit)) from None
    finally:
        with suppress(OSError):
            aside.unlink()
    fsync(path.parent)


def write_file(path: Path, content: bytes | str) -> None:
    """Write ``path`` by :func:`write_aside`."""
    with write_aside(path) as aside:
        aside.write_bytes(content.encode() if isinstance(content, str) else content)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    write_file(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(
    path: Path, error: type[SsnaError] = ArtifactError, *, maker: str = "ssna", runs: str | None = None
) -> dict[str, Any]:
    """The JSON object in ``path``; raises ``error`` with the culprit when there is none.

    Args:
        maker: the command that writes folders with such a file, for the message.
        runs: a file that every run has, relative to its folder: the message names runs below the folder of ``path``.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        what = "is no folder that" if path.parent.is_dir() else "does not exist; name a folder that"
        below = "" if runs is None else _runs_below(path.parent, runs)
        raise error(f"{path.parent} {what} `{maker}` made (there is no {path.name}){below}") from None
    except NotADirectoryError:
        raise error(f"{path.parent} is a file; name a folder that `{maker}` made") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as cause:
        raise error(f"{path} cannot be read ({cause}); the folder is damaged, make it anew") from None
    if not isinstance(value, dict):
        raise error(f"{path} is not a JSON object; the folder is damaged, make it anew")
    return value


def _runs_below(folder: Path, file: str) -> str:
    """Where there are folders with ``file`` below ``folder``: which, for a message."""
    depth = len(Path(file).parts)
    found = sorted({match.parents[depth - 1] for level in range(1, 5) for match in folder.glob("*/" * level + file)})
    shown = [str(run) for run in found if not any(part.startswith(".") for part in run.relative_to(folder).parts)]
    more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
    return f"; name a run below it: {', '.join(shown[:3])}{more}" if shown else ""


@contextmanager
def new_folder(path: Path, marker: str) -> Iterator[Path]:
    """A folder to fill aside; it takes the place of ``path`` once the block ends well, and vanishes otherwise.

    An existing ``path`` is replaced only if it is empty or holds ``marker``, the file that shows that ssna made it.

    Raises:
        SsnaError: ``path`` exists and is something else, or cannot be made.
    """
    path = Path(path).resolve()  # a link stays, the folder that it points to is replaced
    if path == Path.cwd():
        raise SsnaError(f"{path} is the folder you are in; name another output folder")
    if path.exists() and not path.is_dir():
        raise SsnaError(f"{path} is a file; name another output folder")
    if path.is_dir() and any(path.iterdir()) and not (path / marker).exists():
        raise SsnaError(f"{path} holds other files and is left alone; name another output folder")
    aside = _made_beside(path)
    try:
        yield aside
        for file in sorted(aside.rglob("*")):
            fsync(file)
        aside.chmod(0o755)
        fsync(aside)
        _swap(aside, path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    fsync(path.parent)


def _made_beside(path: Path) -> Path:
    """A new folder beside ``path``, and the folders above the two."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return Path(mkdtemp(prefix=f".{path.name}.", suffix=".aside", dir=path.parent))
    except OSError as cause:
        above = next(folder for folder in path.parents if folder.exists())
        reason = f"{above} takes no new folder: {cause.strerror}" if above.is_dir() else f"{above} is a file"
        raise SsnaError(f"{path} cannot be made ({reason}); name another output folder") from None


def _swap(aside: Path, path: Path) -> None:
    if not path.exists():
        aside.rename(path)
        return
    old = Path(mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
    path.rename(old)
    try:
        aside.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)
