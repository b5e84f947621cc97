"""How runs are kept: GROUP.json holds their records, GROUP.parquet the ranks of the test split.

The JSON has a line a run: its path in the group, and its record. The Parquet has a row for each test user of each data
set: ``fingerprint``, ``history``, ``events``. Each run adds two columns, null in the rows of other data sets:
``PATH/rank_exclude_seen``, and ``PATH/seen_above``, which is ``rank_include_seen`` less ``rank_exclude_seen``. The
difference takes a fifth of the room. User and item ids are left out, because they belong to the data.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ssna.core.errors import ArtifactError
from ssna.core.files import read_json, write_file, write_json
from ssna.runs.record import RANKS, RECORD, read_ranks

USERS = ("history", "events")
EXCLUDE, INCLUDE, ABOVE = "rank_exclude_seen", "rank_include_seen", "seen_above"

Column = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class KeptRun:
    """A record as JSON has it, and the test split's ``(users,)`` columns by name: ``USERS`` and both ranks."""

    record: dict[str, Any]
    ranks: dict[str, Column]

    @classmethod
    def of(cls, folder: Path) -> Self:
        """From a run folder. Raises :class:`ArtifactError` if it holds no record or no ranks."""
        table = read_ranks(folder, "test")
        return cls(read_json(folder / RECORD), {name: table[name].to_numpy() for name in (*USERS, EXCLUDE, INCLUDE)})

    @property
    def fingerprint(self) -> str:
        """Of the data set."""
        return str(self.record["fingerprint"])

    def unpack(self, folder: Path) -> None:
        """Write a run folder that :mod:`ssna.report` reads."""
        folder.mkdir(parents=True)
        write_json(folder / RECORD, self.record)
        users = len(self.ranks[EXCLUDE])
        columns = {"split": ["test"] * users, "items": np.full(users, self.record["items"])}
        pq.write_table(pa.table({**columns, **self.ranks}), folder / RANKS)


def read_group(group: Path) -> dict[str, KeptRun]:
    """The runs of ``GROUP.json`` and ``GROUP.parquet`` by their paths; ``group`` is ``.../GROUP``."""
    records = json.loads(_json(group).read_text(encoding="utf-8"))
    table = pq.read_table(_parquet(group))
    fingerprints = np.array(table["fingerprint"].to_pylist())
    runs = {}
    for path, record in records.items():
        rows = pa.array(np.flatnonzero(fingerprints == record["fingerprint"]))
        names = (*USERS, f"{path}/{EXCLUDE}", f"{path}/{ABOVE}")
        history, events, excluded, above = (table[name].take(rows).to_numpy().astype(np.int64) for name in names)
        ranks = {"history": history, "events": events, EXCLUDE: excluded, INCLUDE: excluded + above}
        runs[path] = KeptRun(record, ranks)
    return runs


def write_group(group: Path, runs: Mapping[str, KeptRun]) -> None:
    """Write ``GROUP.json`` and ``GROUP.parquet``. Raises :class:`ArtifactError` if runs rank different users."""
    firsts: dict[str, KeptRun] = {}
    for path, run in runs.items():
        first = firsts.setdefault(run.fingerprint, run)
        if any(not np.array_equal(run.ranks[name], first.ranks[name]) for name in USERS):
            raise ArtifactError(f"{path} ranks other users than the other runs on {run.fingerprint}; train it again")
    blocks = []
    for fingerprint, first in firsts.items():
        columns = {"fingerprint": pa.array([fingerprint] * len(first.ranks[EXCLUDE]))}
        columns |= {name: pa.array(first.ranks[name]) for name in USERS}
        for path, run in runs.items():
            if run.fingerprint == fingerprint:
                columns[f"{path}/{EXCLUDE}"] = pa.array(run.ranks[EXCLUDE])
                columns[f"{path}/{ABOVE}"] = pa.array(run.ranks[INCLUDE] - run.ranks[EXCLUDE])
        blocks.append(pa.table(columns))
    table = _narrow(pa.concat_tables(blocks, promote_options="default"))
    pq.write_table(
        table,
        _parquet(group),
        compression="zstd",
        compression_level=19,
        use_dictionary=["fingerprint"],
        use_byte_stream_split=table.column_names[1:],
    )
    lines = (f"{json.dumps(path)}: {json.dumps(run.record, ensure_ascii=False)}" for path, run in runs.items())
    write_file(_json(group), "{\n" + ",\n".join(lines) + "\n}\n")


def _narrow(table: pa.Table) -> pa.Table:
    """Whole numbers in the smallest type that holds them."""
    for place, name in enumerate(table.column_names):
        if pa.types.is_integer(table[name].type):
            least, most = pa.compute.min_max(table[name]).as_py().values()
            kind = np.result_type(np.min_scalar_type(least), np.min_scalar_type(most))
            table = table.set_column(place, name, table[name].cast(pa.from_numpy_dtype(kind)))
    return table


def _json(group: Path) -> Path:
    return group.with_name(f"{group.name}.json")


def _parquet(group: Path) -> Path:
    return group.with_name(f"{group.name}.parquet")
