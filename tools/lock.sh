#!/usr/bin/env bash
# Compiles the lock files from pyproject.toml: hashed, for every platform, without registry addresses.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() { uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header "$@"; }
compile pyproject.toml -o requirements/publisher.txt
compile pyproject.toml --extra server -o requirements/server.txt
compile pyproject.toml --extra server --group dev -o requirements/dev.txt
compile --group pyproject.toml:fuzz -o requirements/fuzz.txt
compile --group pyproject.toml:audit -o requirements/audit.txt
compile --no-deps --group pyproject.toml:photos -o requirements/photos.txt
VENV=${VENV:-.venv}
. tools/node.sh
npm install --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund
