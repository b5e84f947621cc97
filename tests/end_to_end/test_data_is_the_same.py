"""One log, whatever its files look like and whoever reads it, is one data set."""

import gzip
import os
import subprocess
import sys
from functools import partial
from hashlib import md5

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from data_files import SHARED, histories, write_csv

from ssna.data import prepare

pytestmark = pytest.mark.slow

ONLINE_RETAIL = SHARED / "online_retail" / "online_retail.parquet"
PREPARE = """
import re, sys, time, ssna
began = time.perf_counter()
columns = dict(user_col="CustomerID", item_col="Description", time_col="InvoiceDate", text_cols="Description")
data = ssna.prepare(sys.argv[1], **columns, quiet=True)
accounted = data.manifest["interactions"] + sum(data.manifest["dropped"].values())
print(data.fingerprint, data.manifest["rows_read"], accounted)
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 2**10  # ru_maxrss is the parent's
print(f"{sys.argv[1]}: {time.perf_counter() - began:.1f} s, {peak:.0f} MiB", file=sys.stderr)
"""


def as_csv(table, path):
    """As pandas writes it: customers with gaps are ``17850.0``, and times have no ``T``."""
    customers = [None if value is None else f"{value:.1f}" for value in table["CustomerID"].to_pylist()]
    times = table["InvoiceDate"].cast(pa.timestamp("s")).cast(pa.string())
    written = table.set_column(table.column_names.index("CustomerID"), "CustomerID", pa.array(customers, pa.string()))
    pyarrow.csv.write_csv(written.set_column(table.column_names.index("InvoiceDate"), "InvoiceDate", times), path)


def as_json_lines(table, path):
    """As pandas writes it: times in milliseconds."""
    milliseconds = table["InvoiceDate"].cast(pa.timestamp("ms")).cast(pa.int64())
    written = table.set_column(table.column_names.index("InvoiceDate"), "InvoiceDate", milliseconds)
    written.to_pandas().to_json(path, orient="records", lines=True, compression="gzip")


WRITERS = {
    "log.csv": as_csv,
    "log.parquet": pq.write_table,
    "log.jsonl.gz": as_json_lines,
}


@pytest.mark.long
@pytest.mark.skipif(not ONLINE_RETAIL.exists(), reason="the shared data is not here")
def test_online_retail_in_any_order_and_file_gives_one_fingerprint(tmp_path):
    """Each in a process of its own, with another hash seed. ``pytest -s`` shows seconds and memory."""
    table = pq.read_table(ONLINE_RETAIL)
    rng = np.random.default_rng(0)
    paths = [ONLINE_RETAIL]
    for name, write in WRITERS.items():
        write(table.take(rng.permutation(len(table))), tmp_path / name)
        paths.append(tmp_path / name)
    printed = set()
    for seed, path in enumerate(paths):
        done = subprocess.run(
            [sys.executable, "-c", PREPARE, str(path)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        )
        print(done.stderr.strip())
        printed.add(done.stdout)
    assert len(printed) == 1
    _, read, accounted = printed.pop().split()
    assert read == accounted == "541909"


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_neither_threads_nor_the_order_of_rows_decide_ties(tmp_path, monkeypatch, threads):
    rows = [(f"u{k % 97}", f"i{k * k % 53}", k % 3, f"Title {k * k % 53}") for k in range(60_000)]
    order = np.random.default_rng(threads).permutation(len(rows))
    path = write_csv(tmp_path / "log.csv", [rows[place] for place in order])
    monkeypatch.setattr(ibis.duckdb, "connect", partial(ibis.duckdb.connect, threads=threads))
    expected: dict[str, list[str]] = {}
    for user, item, *_ in sorted(rows, key=lambda row: (row[2], md5(f"{row[0]}\x1f{row[1]}".encode()).hexdigest())):
        expected.setdefault(user, []).append(item)
    assert histories(prepare(path, quiet=True)) == expected


def test_the_rule_for_ties_stands_in_the_manifest_and_is_followed(tmp_path):
    rows = [("u", f"i{k}", 1_000, f"Title {k}") for k in range(9)]
    data = prepare(write_csv(tmp_path / "log.csv", rows), min_item=0, quiet=True)
    assert data.manifest["rules"]["ties"].startswith("events of a user at the same time stand in the order of the MD5")
    shuffled = [rows[place] for place in np.random.default_rng(0).permutation(9)]
    packed = tmp_path / "log.csv.gz"
    packed.write_bytes(gzip.compress(write_csv(tmp_path / "again.csv", shuffled).read_bytes()))
    again = prepare(packed, min_item=0, quiet=True)
    assert histories(again) == histories(data)
