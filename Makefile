# `make run` shows the sample camera in the browser; `make test` runs what CI runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
# First, or the others would wait for them at the end.
LONGEST := tests/test_worker_faults.py tests/test_evaluation.py $(wildcard tests/test_bench*.py)
# Real browsers, recognisers and networks: where others share the machine, one test of a thousand may be starved. It is
# tried once more, and the summary names it.
AGAIN := --reruns=1
LOCKS := requirements/server.txt requirements/dev.txt requirements/photos.txt package-lock.json

.PHONY: run test setup check format lock bench clean

run: setup
	$(BIN)/surveillx demo

setup: $(STAMP)

$(STAMP): $(LOCKS) pyproject.toml tools/setup.sh
	PYTHON="$(PYTHON)" VENV="$(VENV)" bash tools/setup.sh
	touch $(STAMP)

check: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" bash tools/check.sh

test: setup
	bash tools/system_packages.sh
	PATH="$(CURDIR)/$(BIN):$$PATH" bash tools/check.sh
	$(BIN)/pytest tests/e2e $(AGAIN)
	$(BIN)/pytest $(LONGEST) tests --ignore=tests/e2e --numprocesses=3 --dist=loadfile --no-loadscope-reorder $(AGAIN)

format: setup
	$(BIN)/ruff check --fix server tests tools
	$(BIN)/ruff format server tests tools

lock: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" bash tools/lock.sh

bench: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" bash tools/measure.sh docs/performance
	$(BIN)/python -m tools.performance

clean:
	rm -rf $(VENV) node_modules web/vendor .mypy_cache .ruff_cache .pytest_cache
