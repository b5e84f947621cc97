"""Spark behind Ibis: the same expressions, on one machine or on a cluster."""

from collections.abc import Iterator, Mapping, Set
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from ibis import Table
from ibis.backends.pyspark import Backend
from pyspark.sql import DataFrame, SparkSession

from ssna.data.engine import ROW, Convert, Engine, JsonLines, Layout, Rows
from ssna.data.engines import duck, spark_files
from ssna.data.engines.spark_functions import FUNCTIONS
from ssna.data.engines.spark_session import SETTINGS, session_at


class SparkEngine(Engine):
    """Tables are views; what is materialized is a checkpoint, which forgets how it was made.

    Without that, every round of the k-core would plan all rounds before it again, twice as much in each. A file that
    does not come line by line in good order is taken apart by DuckDB, and handed over as Parquet: what counts as a row
    must not depend on the engine.
    """

    def __init__(self, session: SparkSession, folder: Path, closing: ExitStack) -> None:
        backend = _Backend()
        backend.register_options()
        backend.do_connect(session, **SETTINGS)
        for signature, body in FUNCTIONS.items():
            session.sql(f"CREATE OR REPLACE TEMPORARY FUNCTION {signature} RETURN {body}")
        super().__init__(backend, folder)
        self.session = session
        self._closing = closing
        self._duck: Engine | None = None
        self._materialized: dict[str, Any] = {}

    def materialize(self, expression: Table) -> Table:
        frame = self.session.sql(self.connection.compile(expression)).localCheckpoint()
        table = self.view(frame)
        self._materialized[table.op().name] = frame._jdf.queryExecution().logical().rdd()
        return table

    def release(self, table: Table) -> None:
        self._forget(table.op().name)

    def release_all(self) -> None:
        """Forget all rows that :meth:`materialize` kept."""
        for name in list(self._materialized):
            self._forget(name)

    def _forget(self, name: str) -> None:
        self.session.catalog.dropTempView(name)
        if name in self._materialized:
            self._materialized.pop(name).unpersist(False)

    def import_arrow(self, table: pa.Table | pa.RecordBatchReader) -> Table:
        return self.view(
            self.session.createDataFrame(_without_views(table if isinstance(table, pa.Table) else table.read_all()))
        )

    def batches(self, expression: Table) -> Iterator[pa.RecordBatch]:
        yield from expression.to_pyarrow().to_batches()

    def read_parquet(self, path: Path, numbered: bool = False) -> Table:
        if numbered:
            return self._staged(Rows(self._duckdb().read_parquet(path, numbered=True), 0)).table
        return self.view(spark_files.read_parquet(self.session, path))

    def select_cells(
        self, path: Path, layout: Layout, wanted: Mapping[str, tuple[int, Convert]], numbered: bool = False
    ) -> Rows:
        found = self._cells(path, layout, {place for place, _ in wanted.values()}, numbered)
        cells = found.table
        chosen = {new: convert(cells[f"c{place}"]) for new, (place, convert) in wanted.items()}
        if numbered:
            chosen[ROW] = cells[ROW]
        return replace(found, table=self.materialize(cells.select(**chosen)))

    def _cells(self, path: Path, layout: Layout, places: set[int], numbered: bool) -> Rows:
        frame = None if numbered else spark_files.cells(self.session, path, layout)
        if frame is not None:
            return Rows(self.view(frame), 0)
        raw = {f"c{place}": (place, _unchanged) for place in sorted(places)}
        return self._staged(self._duckdb().select_cells(path, layout, raw, numbered))

    def read_json(self, path: Path) -> JsonLines:
        lines = spark_files.objects(self.session, path)
        if lines is None:
            return self._staged_json(self._duckdb().read_json(path))

        names = spark_files.keys(lines)

        def texts(wanted: Mapping[str, str], ids: Set[str], numbered: bool) -> Rows:
            nested = any(name not in names for name in wanted.values())
            frame = None if numbered or nested else spark_files.texts(lines, wanted, ids)
            if frame is None:
                return self._staged_json(self._duckdb().read_json(path)).texts(wanted, ids, numbered)
            return Rows(self.materialize(self.view(frame)), 0)

        return JsonLines(names, texts)

    def view(self, frame: DataFrame) -> Table:
        """``frame`` as a table of Ibis."""
        name = self.new_name()
        frame.createTempView(name)
        return self.connection.table(name)

    def _duckdb(self) -> Engine:
        if self._duck is None:
            self._duck = self._closing.enter_context(duck.opened())
        return self._duck

    def _staged_json(self, lines: JsonLines) -> JsonLines:
        def texts(wanted: Mapping[str, str], ids: Set[str], numbered: bool) -> Rows:
            staged = self._staged(lines.texts(wanted, ids, numbered))
            return replace(staged, table=self.materialize(staged.table))

        return JsonLines(lines.names, texts)

    def _staged(self, rows: Rows) -> Rows:
        """Rows of DuckDB, as Parquet. Spark's machines must see the temporary folder (``TMPDIR``)."""
        path = self.folder / f"{self.new_name()}.parquet"
        self._duckdb().connection.to_parquet(rows.table, path)
        self._duckdb().release(rows.table)
        return replace(rows, table=self.read_parquet(path))


class _Backend(Backend):  # type: ignore[misc]  # Ibis is not typed
    """Results come as Arrow; Ibis would carry every value through Python, and lists through pandas."""

    def to_pyarrow(self, expr: Any, /, **_: Any) -> Any:
        return expr.__pyarrow_result__(self._session.sql(self.compile(expr.as_table())).toArrow())


def _without_views(table: pa.Table) -> pa.Table:
    """Texts as Spark knows them: its Arrow has no views, which is what Polars writes."""

    def known(kind: Any) -> Any:
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            return pa.large_list(known(kind.value_type))
        return pa.large_string() if pa.types.is_string_view(kind) else kind

    return table.cast(pa.schema([(field.name, known(field.type)) for field in table.schema]))


def _unchanged(cell: Any) -> Any:
    return cell


@contextmanager
def opened(master: str | None = None) -> Iterator[SparkEngine]:
    """A session of its own, at ``master``; or beside one that runs in this process, which stays.

    Raises:
        SettingsError: there is no Java, or nobody answers at ``master``.
    """
    with TemporaryDirectory(prefix="ssna-", ignore_cleanup_errors=True) as name, ExitStack() as closing:
        engine = SparkEngine(closing.enter_context(session_at(master, Path(name))), Path(name), closing)
        try:
            yield engine
        finally:
            engine.release_all()
