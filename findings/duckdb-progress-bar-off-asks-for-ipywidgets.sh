#!/usr/bin/env bash
# DuckDB 2.0.1: in a notebook without ipywidgets, switching the progress bar off is an error.
#
# An ipykernel runs "SET enable_progress_bar = false", which is what the setting is already. DuckDB raises
# ModuleNotFoundError for ipywidgets, although no bar is to be drawn. In plain Python the same statement passes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >expected <<'OUTPUT'
plain Python: passes
ipykernel: error, names ipywidgets
OUTPUT

python3 -m venv env
PIP_DISABLE_PIP_VERSION_CHECK=1 env/bin/pip install --quiet duckdb==2.0.1 ipykernel==7.4.0 nbclient==0.11.0
env/bin/python - >seen 2>/dev/null <<'PYTHON'
import duckdb
import nbformat
from nbclient import NotebookClient

STATEMENT = "SET enable_progress_bar = false"
CELL = f"""
import duckdb
try:
    duckdb.connect().execute({STATEMENT!r})
    print("passes")
except Exception as error:
    print("error, names ipywidgets" if "ipywidgets" in str(error) else f"error, {{error}}")
"""

duckdb.connect().execute(STATEMENT)
print("plain Python: passes")
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
print("ipykernel:", notebook.cells[0].outputs[0]["text"].strip())
PYTHON
cat seen
diff expected seen >difference || { cat difference; echo "it behaves otherwise now"; exit 1; }
