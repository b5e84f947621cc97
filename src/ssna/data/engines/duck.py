"""DuckDB behind Ibis."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from ibis import Table
from ibis.backends.duckdb import Backend
from ibis.expr.operations import DatabaseTable, Namespace

from ssna.data.engine import Convert, Engine, JsonLines, Layout, Rows
from ssna.data.engines import duck_files
from ssna.data.grammar import MOMENT

_MEMORY = "12%"  # of the machine's; arrays and ids outside the engine take as much again

_TEMPORARY = Namespace(catalog="temp", database="main")

_FUNCTIONS = {
    "ssna_whole(x)": r"regexp_replace(x, '^(-?\d+)\.0+$', '\1')",
    "ssna_decimal(x)": "x",
    # All but the underscore is as grammar.NUMBER has it, and a search for that takes a quarter of the time.
    "ssna_number(x)": "CASE WHEN NOT contains(x, '_') THEN TRY_CAST(x AS DOUBLE) END",
    "ssna_moment(x)": (
        f"CASE WHEN substr(x, 5, 1) = '-' AND regexp_full_match(x, '{MOMENT}') "
        "THEN epoch_us(TRY_CAST(x AS TIMESTAMPTZ)) END"
    ),
    "ssna_hex(x)": "lower(hex(x))",
    "ssna_decoded(x)": "decode(x)",
    "ssna_microseconds(x)": "epoch_us(x)",
    "ssna_rounded(x)": "TRY_CAST(x AS BIGINT)",
}


class DuckEngine(Engine):
    """``Table.cache`` and ``ibis.memtable`` are not used: with sqlglot from 30.18 on, Ibis 12 drops such tables with a
    statement that lacks their name (https://github.com/ibis-project/ibis/issues/12101).
    """

    def __init__(self, connection: Any, folder: Path) -> None:
        super().__init__(connection, folder)
        self._imported: set[str] = set()

    def materialize(self, expression: Table) -> Table:
        return self.connection.kept(self.new_name(), expression)

    def release(self, table: Table) -> None:
        name = table.op().name
        if name in self._imported:
            self.connection.con.unregister(name)
            self._imported.remove(name)
        else:
            self.connection.raw_sql(f'DROP TABLE "{name}"')

    def import_arrow(self, table: pa.Table | pa.RecordBatchReader) -> Table:
        name = self.new_name()
        self.connection.con.register(name, table)
        self._imported.add(name)
        return self.connection.table(name)

    def batches(self, expression: Table) -> Iterator[pa.RecordBatch]:
        # Not by Table.to_pyarrow_batches: Ibis 12 calls a method for it that DuckDB 2 no longer has.
        with pa.RecordBatchReader.from_stream(self.connection.con.sql(self.connection.compile(expression))) as reader:
            yield from reader

    def read_parquet(self, path: Path, numbered: bool = False) -> Table:
        rows = duck_files.read_parquet(self, path)
        return self.materialize(duck_files.numbered(self, rows)) if numbered else rows

    def select_cells(
        self, path: Path, layout: Layout, wanted: Mapping[str, tuple[int, Convert]], numbered: bool = False
    ) -> Rows:
        return duck_files.select_cells(self, path, layout, wanted, numbered)

    def read_json(self, path: Path) -> JsonLines:
        return duck_files.read_json(self, path)


class _Backend(Backend):  # type: ignore[misc]  # Ibis is not typed
    """Results come as Arrow alone; Ibis would load pandas to look at them."""

    def kept(self, name: str, expression: Table) -> Table:
        """As ``create_table``, which asks the database for three things more that are known: a tenth of small logs."""
        schema = expression.schema()
        columns = ", ".join(column.sql(self.dialect) for column in schema.to_sqlglot_column_defs(self.dialect))
        self.raw_sql(f"CREATE TEMP TABLE {name} ({columns})")
        self.raw_sql(f"INSERT INTO {name} {self.compile(expression)}")
        return DatabaseTable(name, schema=schema, source=self, namespace=_TEMPORARY).to_expr()

    def to_pyarrow(self, expr: Any, /, **_: Any) -> Any:
        return expr.__pyarrow_result__(self.con.sql(self.compile(expr.as_table())).to_arrow_table())


@contextmanager
def opened(master: str | None = None) -> Iterator[DuckEngine]:
    """Spills to a temporary folder what ``_MEMORY`` does not hold; Ibis sets its clock to UTC."""
    with TemporaryDirectory(prefix="ssna-", ignore_cleanup_errors=True) as spill:
        connection = _Backend()
        connection.do_connect(temp_directory=spill)
        _draw_no_bar(connection)
        connection.raw_sql(f"SET memory_limit = '{_MEMORY}'")
        connection.raw_sql("SET preserve_insertion_order = false")  # no step relies on the order of the rows
        for signature, body in _FUNCTIONS.items():
            connection.raw_sql(f"CREATE TEMP MACRO {signature} AS {body}")
        try:
            yield DuckEngine(connection, Path(spill))
        finally:
            connection.disconnect()


def _draw_no_bar(connection: _Backend) -> None:
    """The bar is ours. In a notebook without ipywidgets DuckDB has none, and even to say so again is an error there."""
    drawn = connection.con.sql("SELECT current_setting('enable_progress_bar')").fetchall()
    if drawn != [(False,)]:
        connection.raw_sql("SET enable_progress_bar = false")
