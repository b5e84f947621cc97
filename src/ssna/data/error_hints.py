"""Files that cannot be read as they are: what is wrong, and a command that helps."""

import codecs
import shlex
from pathlib import Path

import pyarrow as pa

_UNPACKERS = {".gz": "gzip -dc", ".zst": "zstd -dc"}
_KINDS = {".gz": "gzip", ".zst": "zstd"}
_HEAD = 256  # bytes
_PACKED = {b"PK\x03\x04": "zip", b"7z\xbc\xaf": "7z", b"Rar!": "rar", b"\xfd7zXZ": "xz", b"BZh": "bz2"}
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NEVER_IN_TEXT = frozenset(range(9)) | frozenset(range(14, 26))  # bytes


def _by(command: str, path: Path, suffix: str) -> str:
    """A line for the shell: ``command`` rewrites the text of ``path``, unpacked, as ``NEW`` with ``suffix``."""
    name, unpacker = shlex.quote(str(path)), _UNPACKERS.get(path.suffix.lower())
    return f"{command} {name} > NEW{suffix}" if unpacker is None else f"{unpacker} {name} | {command} > NEW{suffix}"


def not_utf8(path: Path, content: bytes) -> str:
    """What is wrong with ``path`` and the remedy; ``content`` is the first line, or piece, that is not UTF-8."""
    plain = path.with_suffix("") if path.suffix.lower() in _UNPACKERS else path
    if content.startswith(_UTF_16):
        return f"{path} is UTF-16, not UTF-8 text; convert it: {_by('iconv -f utf-16 -t utf-8', path, plain.suffix)}"
    if not _NEVER_IN_TEXT.isdisjoint(content):
        return (
            f"{path} is not UTF-8 text but binary; if it is packed or Parquet, let its name say so "
            "(.gz, .zst, .parquet), else export it as CSV"
        )
    command = _by("iconv -f latin1 -t utf-8", path, plain.suffix)
    return f"{path} is not UTF-8 text; convert it, for example: {command}"


def not_data(path: Path) -> str | None:
    """What ``path`` is in the place of data, going by its first bytes, and the remedy; or None."""
    head = _head(path)
    if head.startswith(b"version https://git-lfs"):
        return f"{path} is a pointer of Git LFS in the place of the file; fetch the file itself: git lfs pull"
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").lower().startswith((b"<!doctype html", b"<html")):
        return f"{path} is a page of HTML in the place of data, perhaps an error; download it again, and look at it"
    for begin, kind in _PACKED.items():
        if head.startswith(begin):
            return f"{path} is packed as {kind}, or a spreadsheet, by another name; unpack it, or export it as CSV"
    return None


def _head(path: Path) -> bytes:
    """The first bytes, unpacked if they can be."""
    kind = _KINDS.get(path.suffix.lower())
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if kind is None:
        return head
    try:
        with pa.input_stream(str(path), compression=kind) as unpacked:
            return bytes(unpacked.read(_HEAD))
    except (OSError, EOFError, pa.ArrowException):
        return head


def forbidden(path: Path) -> str:
    """What is wrong with a file whose reading is denied, and the remedy."""
    return f"{path} may not be read; give yourself the right, for example: chmod u+r {shlex.quote(str(path))}"


def one_object_a_line(path: Path) -> str:
    """The remedy for an array of objects."""
    command = _by("jq -c '.[]'", path, ".jsonl")
    return f"write one object a line, for example: {command} (pandas: to_json(..., orient='records', lines=True))"
