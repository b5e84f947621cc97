#!/usr/bin/env bash
# DuckDB 2.0.1: the name of a folder replaces a column of a Parquet file.
#
# A single file is read by its path. It lies in a folder whose name looks like a Hive partition (x=9), and has a column of
# that name. The values of the file (1) are gone; those of the folder's name (9) stand in their place, without a warning. One
# would expect what the file holds, as one gets with hive_partitioning = false.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >expected <<'OUTPUT'
as it is: [(9, 2)]
hive_partitioning = false: [(1, 2)]
OUTPUT

python3 -m venv env
PIP_DISABLE_PIP_VERSION_CHECK=1 env/bin/pip install --quiet duckdb==2.0.1
env/bin/python - >seen <<'PYTHON'
from pathlib import Path

import duckdb

Path("x=9").mkdir()
duckdb.sql("COPY (SELECT 1 AS x, 2 AS y) TO 'x=9/file.parquet'")
print("as it is:", duckdb.sql("SELECT x, y FROM read_parquet('x=9/file.parquet')").fetchall())
plain = duckdb.sql("SELECT x, y FROM read_parquet('x=9/file.parquet', hive_partitioning = false)")
print("hive_partitioning = false:", plain.fetchall())
PYTHON
cat seen
diff expected seen >difference || { cat difference; echo "it behaves otherwise now"; exit 1; }
