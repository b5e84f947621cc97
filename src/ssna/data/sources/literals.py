"""Python's dictionaries as JSON, rewritten letter by letter: nothing is ever evaluated.

The meta files of Amazon 2014 hold one ``{'asin': '...', 'title': "...", ...}`` a line. Only what a literal is made of
changes its looks: quotes, escapes, and the three words; whatever else a line holds stays as it is, and is no JSON then.
"""

import json
import re
from pathlib import Path

import pyarrow as pa

from ssna.data.sources.packed import LONGEST_LINE, byte_lines

_WORDS = {"None": "null", "True": "true", "False": "false"}
_TOKEN = re.compile(r"""u?'((?:[^'\\]|\\.)*)'|u?"((?:[^"\\]|\\.)*)"|\b(None|True|False)\b""", re.DOTALL)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{1,3}|.)", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\n": ""} | {
    letter: letter for letter in "\\'\""
}
_LAST_LETTER = 0x10FFFF


def is_literal(line: str) -> bool:
    """Whether a line opens as a Python dictionary does, and a JSON object does not."""
    return re.match(r"\s*\{\s*u?'", line) is not None


def as_json(line: str) -> str:
    """The JSON of a line with a Python dictionary; of another line something that need not be JSON."""
    return _TOKEN.sub(_token, line)


def rewrite(path: Path, target: Path) -> None:
    """Write the lines of ``path`` as JSON lines, line by line; ``target`` is compressed with zstd.

    A line that is too long or not UTF-8 becomes one that is no JSON, so that it is counted.
    """
    with pa.CompressedOutputStream(str(target), "zstd") as file:
        for line in byte_lines(path):
            if line.endswith(b"\n") or len(line) < LONGEST_LINE:
                file.write(_bytes_as_json(line))


def _bytes_as_json(line: bytes) -> bytes:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return b"not UTF-8\n"
    return f"{as_json(text.strip())}\n".encode() if is_literal(text) else line


def _token(match: re.Match[str]) -> str:
    single, double, word = match.groups()
    if word is not None:
        return _WORDS[word]
    body = single if single is not None else double
    return json.dumps(_ESCAPE.sub(_letter, body) if "\\" in body else body)


def _letter(match: re.Match[str]) -> str:
    escape: str = match[1]
    if escape[0] in "xuU" and len(escape) > 1:
        code = int(escape[1:], 16)
        return chr(code) if code <= _LAST_LETTER else match[0]
    if escape[0] in "01234567":
        return chr(int(escape, 8))
    return _LETTERS.get(escape, match[0])
