"""One JSON object a line, or one of Python's dictionaries."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from ssna.core.errors import DataError
from ssna.data.engine import ROW, Engine, Rows
from ssna.data.error_hints import one_object_a_line
from ssna.data.sources.literals import is_literal, rewrite
from ssna.data.sources.packed import first_line
from ssna.data.sources.sample import of_objects
from ssna.data.sources.tabular import TableFile, Wanted
from ssna.data.sources.values import as_raw_id


def open_json_lines(engine: Engine, path: Path) -> TableFile:
    """Taken apart by us: what a column is must not depend on a sample of its rows."""
    source, first = path, first_line(path)
    if is_literal(first):
        source = engine.folder / f"{engine.new_name()}.jsonl.zst"
        rewrite(path, source)
    lines = engine.read_json(source)
    if not lines.names:
        if first.lstrip().startswith("["):
            raise DataError(f"{path} is one JSON array; {one_object_a_line(path)}")
        raise DataError(f"{path} holds no JSON object; write one object a line, with the names of the columns as keys")

    def read(wanted: Wanted, numbered: bool) -> Rows:
        # Text first, in a step of its own: the engine would take the JSON apart again for every use of a column.
        ids = {new for new, (_, convert) in wanted.items() if convert is as_raw_id}
        found = lines.texts({new: name for new, (name, _) in wanted.items()}, ids, numbered)
        texts = found.table
        chosen = {new: convert(texts[new]) for new, (_, convert) in wanted.items()}
        table = engine.materialize(texts.select(**chosen, **({ROW: texts[ROW]} if numbered else {})))
        engine.release(texts)
        return replace(found, table=table)

    return TableFile(
        path,
        tuple(name for name in lines.names if '"' not in name),
        read,
        (path,),
        sample=partial(of_objects, path),
        looks=True,
    )
