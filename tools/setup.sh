#!/usr/bin/env bash
# Builds .venv and node_modules from the lock files. Needs Python 3.11+ and nothing else: no compiler, no Node.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
VENV=${VENV:-.venv}

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "SurveillX needs Python 3.11 or newer; $("$PYTHON" --version) was found. Set PYTHON=/path/to/python3.11." >&2
    exit 1
}
"$PYTHON" -c 'import ensurepip' 2>/dev/null || {
    echo "This Python cannot make a virtual environment. On Debian or Ubuntu: apt-get install python3-venv" >&2
    exit 1
}

echo "1/3 Python environment in $VENV"
[ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
pip() { "$VENV/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }

echo "2/3 Python packages (from hashed lock files; about 450 MB)"
# --no-deps: the lock names everything, and face_recognition must not pull the source build of dlib.
pip install --no-deps --require-hashes -r requirements/dev.txt -r requirements/photos.txt
pip install --no-deps --no-build-isolation --editable .

echo "3/3 Browser packages"
. tools/node.sh
npm ci --no-audit --no-fund --loglevel=error
mkdir -p web/vendor
cp node_modules/socket.io-client/dist/socket.io.esm.min.js web/vendor/socket.io.js
