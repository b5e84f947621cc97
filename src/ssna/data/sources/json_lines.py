"""One JSON object a line, or one of Python's dictionaries."""

import glob
from pathlib import Path

import ibis
import ibis.expr.datatypes as dt

from ssna.data.engine import Engine
from ssna.data.sources.delimited import require_utf8
from ssna.data.sources.literals import is_literal, rewrite
from ssna.data.sources.packed import first_line
from ssna.data.sources.tabular import Rows, TableFile, Wanted
from ssna.data.sources.values import as_text
from ssna.errors import DataError

_LINE = "line"


def open_json_lines(engine: Engine, path: Path) -> TableFile:
    """Taken apart by us: what a column is must not depend on a sample of its rows."""
    source = path
    if is_literal(first_line(path)):
        source = engine.folder / f"{engine.new_name()}.jsonl.zst"
        rewrite(path, source)
    rows = engine.connection.read_json(
        glob.escape(str(source)),
        columns={_LINE: "JSON"},
        format="newline_delimited",
        records="false",
        ignore_errors=True,
    )
    line = rows[_LINE]
    is_object = (_json_type(line) == "OBJECT").fill_null(False)
    names = rows.select(name=_json_keys(line).unnest()).distinct().order_by("name").to_pyarrow()["name"].to_pylist()
    if not names:
        require_utf8(path)
        raise DataError(f"{path} holds no JSON object; write one object a line, with the names of the columns as keys")

    def read(wanted: Wanted) -> Rows:
        # Text first, in a step of its own: the engine would take the JSON apart again for every use of a column.
        chosen = {new: as_text(line[f'"{name}"']) for new, (name, _) in wanted.items()}
        texts = engine.hold(rows.filter(is_object).select(**chosen))
        table = engine.hold(texts.select(**{new: convert(texts[new]) for new, (_, convert) in wanted.items()}))
        engine.free(texts)
        unreadable = rows.filter(~is_object).count().to_pyarrow().as_py()
        if unreadable and source is path:
            require_utf8(path)
        return Rows(table, unreadable)

    return TableFile(path, tuple(name for name in names if '"' not in name), read, files=(path,))


def json_keys(line: dt.JSON) -> dt.Array[dt.String]:
    """DuckDB's function: the keys of an object, none for another value."""


def json_type(line: dt.JSON) -> dt.String:
    """DuckDB's function: OBJECT, ARRAY, VARCHAR and so on."""


# What Ibis has for the two (``map.keys()`` and ``map.notnull()``) takes ten times as long.
_json_keys = ibis.udf.scalar.builtin(json_keys)
_json_type = ibis.udf.scalar.builtin(json_type)
