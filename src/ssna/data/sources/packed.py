"""Files as they come, compressed or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

import pyarrow as pa

_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}

LONGEST_LINE = 16 << 20  # bytes; what DuckDB allows a JSON object by default


def plain_name(path: Path) -> str:
    """The name in lower case, without the suffix of a compression."""
    name = path.name.lower()
    return name.removesuffix(Path(name).suffix) if Path(name).suffix in _COMPRESSIONS else name


@contextmanager
def open_binary(path: Path) -> Iterator[BufferedReader]:
    """The bytes of ``path``, unpacked."""
    compression = _COMPRESSIONS.get(path.suffix.lower())
    with pa.OSFile(str(path)) as raw:
        unpacked = raw if compression is None else pa.CompressedInputStream(raw, compression)
        with BufferedReader(unpacked) as file:
            yield file


def byte_lines(path: Path) -> Iterator[bytes]:
    """Lines with their ends. One that is longer than ``LONGEST_LINE`` comes in pieces: memory stays bounded."""
    with open_binary(path) as file:
        while line := file.readline(LONGEST_LINE):
            yield line


def first_line(path: Path) -> str:
    """The first line that is not blank, without its end and without a byte order mark; "" if there is none.

    Raises:
        UnicodeDecodeError: it is not UTF-8.
    """
    for line in byte_lines(path):
        if line.strip():
            cut = len(line) == LONGEST_LINE  # perhaps within a letter
            return line.decode("utf-8-sig", "ignore" if cut else "strict").rstrip("\r\n")
    return ""
