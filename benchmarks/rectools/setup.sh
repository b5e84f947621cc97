#!/usr/bin/env bash
# An environment of its own for benchmarks/rectools/run.py: benchmarks/rectools/setup.sh [FOLDER], .venv-rectools unless named.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
folder="${1:-$here/../../.venv-rectools}"
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --constraint "$here/../../constraints.txt" torch
"$folder/bin/python" -m pip install --quiet --constraint "$here/../../constraints.txt" -r "$here/requirements.txt"
"$folder/bin/python" -c "import rectools.fast_transformers, numpy; print('rectools ready, numpy', numpy.__version__)"
