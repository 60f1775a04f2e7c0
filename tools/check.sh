#!/usr/bin/env bash
# Everything that reads the code without running it.
set -euo pipefail
cd "$(dirname "$0")/.."
ruff format --check server tests tools
ruff check server tests tools
mypy
lint-imports --no-logo 2>/dev/null || lint-imports
VENV=${VENV:-.venv}
. tools/node.sh
node_modules/.bin/eslint --max-warnings 0 web
node_modules/.bin/tsc --noEmit -p web/jsconfig.json
