# setup: install into the active virtual environment, or into .venv if none is active
# demo:  logs to recommendations on MovieLens-100K      test: the whole suite
# check: what CI runs (style, types, layers, tests)           report: committed tables and plots, from committed runs
VENV   ?= $(or $(VIRTUAL_ENV),.venv)
PYTHON := $(VENV)/bin/python
STAMP  := $(VENV)/.ssna-installed
WHEEL  := .cache/recbole-1.2.1-py3-none-any.whl

.PHONY: setup demo test lint check report clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(PYTHON) || python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --constraint constraints.txt torch
	$(PYTHON) -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup $(WHEEL)
	$(PYTHON) -m ssna demo --out demo --wheel $(WHEEL)

$(WHEEL):
	$(PYTHON) -m pip download --quiet --no-deps --dest $(@D) recbole==1.2.1

test: setup
	$(PYTHON) -m pytest

lint: setup
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(VENV)/bin/lint-imports

check: lint test

report: setup
	$(PYTHON) benchmarks/report.py

clean:
	rm -rf demo runs build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
