#!/usr/bin/env bash
# DuckDB 2.0.1: the CSV reader and a cast disagree about what a number is.
#
# A column of 1_000 and 1000 is text to read_csv's detection of types, so the two are different. A cast takes the underscore
# for a separator of digits: the two are equal then, and TRY_CAST, which is used to tell numbers from other texts, says
# that 1_000 is one. A type named to read_csv does the same. One would expect one grammar of numbers.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >expected <<'OUTPUT'
detected: VARCHAR, 2 different values
TRY_CAST: 1 different value: 1000.0
types = DOUBLE: 1 different value: 1000.0
OUTPUT

python3 -m venv env
PIP_DISABLE_PIP_VERSION_CHECK=1 env/bin/pip install --quiet duckdb==2.0.1
env/bin/python - >seen <<'PYTHON'
from pathlib import Path

import duckdb

Path("ids.csv").write_text("id\n1_000\n1000\n")
kind = duckdb.sql("SELECT column_type FROM (DESCRIBE FROM 'ids.csv')").fetchall()[0][0]
found = duckdb.sql("SELECT DISTINCT id FROM 'ids.csv'").fetchall()
print(f"detected: {kind}, {len(found)} different values")
for name, query in (
    ("TRY_CAST", "SELECT DISTINCT TRY_CAST(id AS DOUBLE) FROM 'ids.csv'"),
    ("types = DOUBLE", "SELECT DISTINCT id FROM read_csv('ids.csv', types = {'id': 'DOUBLE'})"),
):
    found = duckdb.sql(query).fetchall()
    print(f"{name}: {len(found)} different value: {found[0][0]}")
PYTHON
cat seen
diff expected seen >difference || { cat difference; echo "it behaves otherwise now"; exit 1; }
