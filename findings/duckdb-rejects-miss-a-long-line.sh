#!/usr/bin/env bash
# DuckDB 2.0.1: read_csv with store_rejects loses a row without a word.
#
# A line longer than max_line_size (2 MB unless set) is left out of the result. It ought to stand in the table of rejects.
# There it is missing if the line is long (20 MB here; 3 MB are rejected) and the file longer still (60 MB here; in a file of
# three lines it is rejected), whatever the number of threads. With parallel = false it is rejected, as documented.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >expected <<'OUTPUT'
by default: 799999 of 800000 rows, 0 rejected
parallel = false: 799999 of 800000 rows, 1 rejected
OUTPUT

python3 -m venv env
PIP_DISABLE_PIP_VERSION_CHECK=1 env/bin/pip install --quiet duckdb==2.0.1
env/bin/python - >seen <<'PYTHON'
import duckdb

ROWS, LONG = 800_000, 400_000
with open("log.csv", "w") as file:
    file.write("id,text\n")
    for row in range(ROWS):
        file.write(f"{row},{'x' * 20_000_000 if row == LONG else 'y' * 40}\n")

for name, option in (("by default", ""), ("parallel = false", "parallel = false,")):
    connection = duckdb.connect()
    (read,) = connection.execute(
        f"""
        SELECT count(*) FROM read_csv('log.csv', header = true, auto_detect = false, {option}
            columns = {{'id': 'VARCHAR', 'text': 'VARCHAR'}},
            store_rejects = true, rejects_table = 'rejects', rejects_scan = 'scans', rejects_limit = 0)
        """
    ).fetchall()[0]
    (rejected,) = connection.execute("SELECT count(*) FROM rejects").fetchall()[0]
    print(f"{name}: {read} of {ROWS} rows, {rejected} rejected")
PYTHON
cat seen
diff expected seen >difference || { cat difference; echo "it behaves otherwise now"; exit 1; }
