#!/usr/bin/env bash
# DuckDB 2.0.1: while one thread waits for a query, another thread's query on the same connection is refused.
#
# "SELECT 1" raises ResourceInUseException ("connection is busy with another call") as long as the other thread's query
# runs, instead of waiting for it. A cursor of the same connection answers meanwhile. Whether programs of two threads
# that share a connection work depends on their timing: with short queries most runs pass.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >expected <<'OUTPUT'
the connection: ResourceInUseException, connection is busy with another call
its cursor: answers
OUTPUT

python3 -m venv env
PIP_DISABLE_PIP_VERSION_CHECK=1 env/bin/pip install --quiet duckdb==2.0.1
env/bin/python - >seen <<'PYTHON'
import threading
import time

import duckdb

connection = duckdb.connect()
connection.execute("SET threads = 1")


def wait_for_a_query():
    connection.sql("SELECT count(*) FROM range(30000) a, range(30000) b WHERE a.range + b.range = 7").fetchall()


thread = threading.Thread(target=wait_for_a_query)
thread.start()
time.sleep(0.3)
for name, source in (("the connection", lambda: connection), ("its cursor", connection.cursor)):
    try:
        source().sql("SELECT 1").fetchall()
        said = "answers"
    except duckdb.Error as error:
        said = f"{type(error).__name__}, {str(error).split(': ')[1].split(';')[0]}"
    print(f"{name}: {said}" if thread.is_alive() else f"{name}: asked too late")
thread.join()
PYTHON
diff expected seen
