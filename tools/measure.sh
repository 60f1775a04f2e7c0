#!/usr/bin/env bash
# Measures everything, one bench after the other, and keeps each result: tools/measure.sh FOLDER [BENCH...]
# Nothing else should run on the machine meanwhile. docs/performance.md is rendered from such a folder.
set -euo pipefail
folder=${1:?the folder for the results}
shift
[ $# -gt 0 ] || set -- latency viewers join page loss-up loss-down faults cameras churn soak
mkdir -p "$folder"
for bench in "$@"; do
    echo "== $bench"
    arguments=("$bench")
    [ "$bench" = loss-up ] && arguments=(loss --only up-0 up-1 up-5 up-10 up-bursts up-lost-for-good up-blackout up-1200k up-600k)
    [ "$bench" = loss-down ] && arguments=(loss --only down-5 down-10 down-burst down-blackout down-blackout-60 down-400k down-suspended down-new-address)
    surveillx bench "${arguments[@]}" --json "$folder/$bench.json" --plot "$folder/$bench.svg"
done
