#!/usr/bin/env bash
# Known weaknesses of what is installed, what `make audit` runs. It needs the advisory services of PyPI and npm: where
# they cannot be asked, it fails and says so, for that is not a pass.
set -uo pipefail
cd "$(dirname "$0")/.."
status=0

pip install --quiet --no-deps --require-hashes -r requirements/audit.txt || exit 1
for lock in requirements/server.txt requirements/dev.txt; do
  report=$(mktemp)
  pip-audit --requirement "$lock" --disable-pip --require-hashes > "$report" 2>&1 || status=1
  cat "$report"
  if grep -q "could not be audited" "$report"; then
    echo "$lock: NOT audited in full: this package index has no advisories. Ask PyPI itself (PIP_INDEX_URL)."
    status=1
  fi
  rm -f "$report"
done

VENV=${VENV:-.venv}
. tools/node.sh
npm audit || { echo "npm packages: weaknesses found (above), or the registry has no advisories."; status=1; }
exit "$status"
