# `make run` shows the sample camera in the browser; `make test` runs what CI runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
LOCKS := requirements/server.txt requirements/dev.txt requirements/photos.txt package-lock.json

.PHONY: run test setup check format lock bench fuzz audit clean

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
	PATH="$(CURDIR)/$(BIN):$$PATH" bash tools/test.sh

format: setup
	$(BIN)/ruff check --fix server tests tools
	$(BIN)/ruff format server tests tools

lock: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" bash tools/lock.sh

bench: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" bash tools/measure.sh docs/performance
	$(BIN)/python -m tools.performance

fuzz: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" bash tools/fuzz.sh

audit: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" bash tools/audit.sh

clean:
	rm -rf $(VENV) node_modules web/vendor .mypy_cache .ruff_cache .pytest_cache
