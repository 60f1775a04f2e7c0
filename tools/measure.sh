#!/usr/bin/env bash
# Measures everything, one bench after the other, and keeps each result: tools/measure.sh FOLDER [BENCH...]
# Nothing else should run on the machine meanwhile. docs/performance.md is rendered from such a folder.
set -euo pipefail
folder=${1:?the folder for the results}
shift
[ $# -gt 0 ] || set -- latency viewers join loss cameras churn soak
mkdir -p "$folder"
for bench in "$@"; do
    echo "== $bench"
    surveillx bench "$bench" --json "$folder/$bench.json" --plot "$folder/$bench.svg"
done
