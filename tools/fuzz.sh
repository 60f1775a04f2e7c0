#!/usr/bin/env bash
# The long attack by machine, what `make fuzz` runs: other inputs each time, for about FUZZ_SECONDS (default 600) a target.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${FUZZ_SECONDS:-600}

pytest tests/test_fuzz_*.py -s --timeout=0 --hypothesis-profile=long
if [ "$(uname)" != Linux ]; then
  echo "Coverage-guided fuzzing (atheris) needs Linux; the rest is done."
  exit
fi
pip install --quiet --no-deps --require-hashes -r requirements/fuzz.txt
for target in offer fragment datagram report overlay; do
  echo "atheris: $target, $seconds s"
  found=$(mktemp -d)
  python -m tests.fuzz "$target" -max_total_time="$seconds" -print_final_stats=1 "$found" tests/offers
  rm -r "$found"
done
