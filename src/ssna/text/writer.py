"""Growing a layer cache: one run at a time, whose processes take turns, and nothing to lose when they are killed."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssna.compute.launch import launch
from ssna.core.errors import CacheError, option
from ssna.core.files import fsync, write_aside, write_json
from ssna.core.locks import try_lock, wait_for_lock
from ssna.text.cache import KEY_BYTES, KEYS, rows_by_key
from ssna.text.encoding import Batching, Encoding
from ssna.text.manifest import MANIFEST, NAME_ANOTHER, STORED_DTYPES, Manifest, layer_file, read_manifest
from ssna.text.notes import NOTE_BYTES, NOTES, Notes

LOCK, TURN = ".lock", ".turn"
LARGEST_F16 = float(np.finfo(np.float16).max)
COPY_BYTES = 2**26


@contextmanager
def writing(folder: Path, encoding: Encoding, batching: Batching | None = None) -> Iterator["CacheWriter"]:
    """The only writer of ``folder``, which is made or repaired: rows that a killed run left torn are cut off.

    Processes that torchrun started write side by side, in turns of one :meth:`CacheWriter.append` each. They wait for
    each other between opening the cache and writing to it, so that none writes where the first one was refused.

    Raises:
        CacheError: another run writes there, the folder is something else or holds another encoding,
            or (also from within the block) the disk refuses.
    """
    with _disk_errors_named(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with _only_run(folder):
            yield CacheWriter(folder, encoding, batching)


@contextmanager
def _only_run(folder: Path) -> Iterator[None]:
    """The first of the processes of a run holds the lock for all of them."""
    if launch().rank > 0:
        yield
        return
    with try_lock(folder / LOCK) as alone:
        if not alone:
            raise CacheError(
                f"another process is writing to {folder}; wait until it ends, or name another output folder"
            )
        yield


class CacheWriter:
    """Appends rows. At any moment, a kill included, readers see a whole cache; build it with :func:`writing`."""

    def __init__(self, folder: Path, encoding: Encoding, batching: Batching | None = None) -> None:
        self.folder, self.encoding, self.batching = folder, encoding, batching
        self.rows, self.known = 0, set[bytes]()
        with self._turn():
            pass

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """No other process writes, and what others wrote, or left torn when they were killed, has been seen to."""
        with wait_for_lock(self.folder / TURN):
            self.manifest = _agreed_manifest(self.folder, self.encoding, self.batching)
            self._repair()
            rows = self._whole_rows()
            if rows > self.rows:
                with (self.folder / KEYS).open("rb") as keys:
                    keys.seek(KEY_BYTES * self.rows)
                    self.known.update(rows_by_key(keys.read()))
            self.rows = rows
            yield

    def reserve(self, rows: int) -> int:
        """Check that ``rows`` more rows fit on the disk, and say how many bytes they take.

        Raises:
            CacheError: they do not fit; nothing has been written yet.
        """
        size = rows * (KEY_BYTES + sum(self._row_bytes()))
        free = shutil.disk_usage(self.folder).free
        if size > free:
            raise CacheError(
                f"{self.folder}: {rows:,} texts take {size / 1e6:,.0f} MB, the disk has {free / 1e6:,.0f} MB free\n"
                f"free some space, name a folder on another disk, or keep fewer layers ({option('layers')})"
            )
        with self._turn():
            for path, _ in self._files():
                path.touch()
            write_json(self.folder / MANIFEST, self.manifest.tree())  # last: a folder with a manifest is a cache
        return size

    def append(
        self,
        keys: Sequence[bytes],
        vectors: Sequence[NDArray[np.float32]] | NDArray[np.float32],
        notes: Notes | None = None,
    ) -> None:
        """Add rows: ``keys`` ``(n,)`` and ``vectors``, ``(n, d)`` of each file, finite, lowest layer first; and
        ``notes``, ``(n, 9)``, if there are some.

        Keys that are there by now are left out: a process that outlived its run may have written them.

        Raises:
            OSError: the disk refused; the cache is as it was before the call.
        """
        with self._turn():
            new = [place for place, key in enumerate(keys) if key not in self.known]
            noted = np.zeros((len(keys), NOTE_BYTES), dtype=np.uint8) if notes is None else notes
            self._append([keys[place] for place in new], [layer[new] for layer in vectors], noted[new])

    def _append(self, keys: Sequence[bytes], vectors: Sequence[NDArray[np.float32]], notes: Notes) -> None:
        for place, layer in enumerate(vectors):
            if self.manifest.stored[place] == "f16" and np.abs(layer).max(initial=0.0) > LARGEST_F16:
                self._widen(place)
        try:
            for (name, dtype, _), layer in zip(self.manifest.layer_files, vectors, strict=True):
                _append(self.folder / name, layer.astype(dtype).tobytes())
            if self.manifest.notes:
                _append(self.folder / NOTES, notes.tobytes())
            _append(self.folder / KEYS, b"".join(keys))  # the rows count from here on
        except OSError:
            self._truncate(self.rows)
            raise
        self.rows += len(keys)
        self.known.update(keys)

    def _row_bytes(self) -> list[int]:
        return [width * dtype.itemsize for _, dtype, width in self.manifest.layer_files]

    def _files(self) -> list[tuple[Path, int]]:
        """Every file with its bytes a row, the keys first."""
        names = [KEYS, *(name for name, _, _ in self.manifest.layer_files)]
        files = list(zip(names, [KEY_BYTES, *self._row_bytes()], strict=True))
        files += [(NOTES, NOTE_BYTES)] if self.manifest.notes else []
        return [(self.folder / name, size) for name, size in files]

    def _whole_rows(self) -> int:
        return min(path.stat().st_size // size if path.exists() else 0 for path, size in self._files())

    def _repair(self) -> None:
        ours = {path.name for path, _ in self._files()}
        for stray in [*self.folder.glob("layer-*.bin"), *self.folder.glob(".*.aside")]:
            if stray.name not in ours:  # a killed run was about to widen a layer, or had just done so
                stray.unlink()
        self._truncate(self._whole_rows())

    def _truncate(self, rows: int) -> None:
        for path, size in self._files():
            if path.exists() and path.stat().st_size != rows * size:
                os.truncate(path, rows * size)
                fsync(path)

    def _widen(self, place: int) -> None:
        """Store a layer in 32 bits from now on: a whole new file first, then the manifest that names it."""
        layer = list(self.manifest.files)[place][0]
        narrow, wide = (self.folder / layer_file(layer, stored) for stored in ("f16", "f32"))
        with write_aside(wide) as aside, narrow.open("rb") as source, aside.open("wb") as target:
            while chunk := source.read(COPY_BYTES):
                target.write(np.frombuffer(chunk, STORED_DTYPES["f16"]).astype(STORED_DTYPES["f32"]).tobytes())
        stored = tuple("f32" if n == place else old for n, old in enumerate(self.manifest.stored))
        manifest = self.manifest.model_copy(update={"stored": stored})
        write_json(self.folder / MANIFEST, manifest.tree())
        self.manifest = manifest
        narrow.unlink()


def _agreed_manifest(folder: Path, encoding: Encoding, batching: Batching | None) -> Manifest:
    """The folder's manifest, or a first one for an empty folder."""
    if not (folder / MANIFEST).exists():
        foreign = sorted(
            path.name for path in folder.iterdir() if not path.name.startswith((".", "layer-", KEYS, NOTES))
        )
        if foreign:
            raise CacheError(f"{folder} holds other files ({foreign[0]}) and is left alone; {NAME_ANOTHER}")
        stored = tuple(stored for _, stored, _ in encoding.files)
        notes = True if encoding.has_model else None
        return Manifest(**encoding.model_dump(), stored=stored, notes=notes, batching=batching)
    manifest = read_manifest(folder, NAME_ANOTHER)
    check_agreement(folder, manifest, encoding)
    return manifest


def check_agreement(folder: Path, manifest: Encoding, encoding: Encoding) -> None:
    """Raise :class:`CacheError` when the cache in ``folder`` was made in another way than ``encoding``."""
    differences = manifest.differences(encoding)
    if differences:
        raise CacheError(f"{folder} was made with {'; '.join(differences)}\n{NAME_ANOTHER}")


def _append(path: Path, content: bytes) -> None:
    with path.open("ab", buffering=0) as file:
        rest = memoryview(content)
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())


@contextmanager
def _disk_errors_named(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as cause:
        raise CacheError(
            f"{folder} cannot be written: {cause.strerror or cause}\n"
            "once that is settled, the same command goes on from the texts already there"
        ) from None
