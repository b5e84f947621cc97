# setup:     install into the active virtual environment, or into .venv if none is active
# demo:      from logs to recommendations on MovieLens-100K
# test-fast: what takes no process, no browser and no seconds: 1 minute  test: what every change must pass: 6 minutes
# test-long: documented commands, Spark, whole runs, servers, kills        soak: properties with many more examples, kills, outages
# check:     what CI runs: style, types, layers, docs, tests            dist: sdist and wheel, tried in an empty environment
# sweep:     every type of language model, small and random, beside transformers: 10 minutes; goes on where it was cut off
# docs:      the documentation site, in build/site, with all tables and plots of the kept runs
# bench-peers: beside FAISS, Polars and sentence-transformers, in under 15 minutes  bench-peers-full: FOLDERS="DATA CACHE ...", hours
# bench:     every benchmark in its short form, on the demo's data; figures go to .cache/bench and are not kept
VENV   ?= $(or $(VIRTUAL_ENV),.venv)
PYTHON := $(VENV)/bin/python
STAMP  := $(VENV)/.ssna-installed
WHEEL  := .cache/recbole-1.2.1-py3-none-any.whl

.PHONY: setup demo test test-fast test-long soak sweep lint docs check dist report bench bench-peers bench-peers-full clean

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

# A file of tests for each core at a time, and a thread for each; the longest files first (tests/conftest.py). Bytecode is
# kept: every process that a test starts would compile ssna, and every worker all tests.
unexport PYTHONDONTWRITEBYTECODE
PYTEST := OMP_NUM_THREADS=1 $(PYTHON) -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

test: setup
	$(PYTEST) -m "not spark and not long"

test-fast: setup
	$(PYTEST) -m "not slow and not fork and not browser and not spark and not long"

test-long: setup
	$(PYTEST) -m "spark or long"

soak: setup
	SOAK=10 $(PYTEST) -m "not spark" tests/property tests/golden/test_hot_path.py tests/unit/serving/test_store.py \
		tests/unit/serving/test_user_events.py
	SOAK=10 $(PYTEST) tests/end_to_end/spark/test_spark_layouts.py tests/long/test_tutorials.py \
		tests/end_to_end/test_postgres_state.py tests/end_to_end/test_two_servers.py

sweep: setup
	OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 $(PYTHON) tests/sweep/run.py

HELPERS := $(filter-out %conftest.py,$(shell find tests -name '*.py' -not -name 'test_*'))

lint: setup
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy src benchmarks $(HELPERS)
	$(VENV)/bin/lint-imports
	$(VENV)/bin/hadolint Dockerfile
	$(VENV)/bin/compose-lint --quiet --fail-on medium compose.yaml

docs: setup
	$(PYTHON) -m mkdocs build --strict --quiet --site-dir build/site

check: lint docs test test-long

dist: setup
	bash .ci/dist $(PYTHON)

report: setup
	$(PYTHON) benchmarks/performance.py

bench: setup
	test -e demo/cache/manifest.json || $(MAKE) demo
	$(PYTHON) -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(PYTHON) benchmarks/roofline.py demo/data demo/cache --width 384 --rounds 2 -o .cache/bench/roofline.json
	$(PYTHON) benchmarks/train.py demo/data demo/cache --against literal --against lora --rounds 1 -o .cache/bench/train.json
	$(PYTHON) benchmarks/rank.py --items 20000 --users 1024 --rounds 2 -o .cache/bench/rank.json
	$(PYTHON) benchmarks/serve.py demo/runs/best demo/data --requests 4000 --rounds 2 -o .cache/bench/serve.json
	$(PYTHON) benchmarks/hostile.py demo/runs/best demo/data --requests 320 --honest 4000 -o .cache/bench/hostile.json
	$(PYTHON) benchmarks/admission.py demo/runs/best --rounds 2 -o .cache/bench/admission.json
	$(PYTHON) benchmarks/encode.py demo/data --texts 500 --rounds 2 -o .cache/bench/encode.json
	$(PYTHON) benchmarks/scaling.py --short -o .cache/bench/scaling.json
	$(PYTHON) benchmarks/recommend.py --histories 20000 --items 20000 -o .cache/bench/recommend.json
	$(PYTHON) benchmarks/prepare.py --rows 500000 --against polars --against pandas --rounds 1 -o .cache/bench/prepare.json

bench-peers: setup
	test -e demo/cache/manifest.json || $(MAKE) demo
	$(PYTHON) -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(PYTHON) benchmarks/peers.py demo/data demo/cache

bench-peers-full: setup
	test -n "$(FOLDERS)" || { echo 'name data folders and their caches: make bench-peers-full FOLDERS="data cache data cache"'; exit 2; }
	$(PYTHON) -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(PYTHON) benchmarks/peers.py $(FOLDERS) --full -o .cache/bench/peers-full

clean:
	rm -rf demo runs build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
