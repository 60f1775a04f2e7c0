#!/usr/bin/env bash
# Every check and test, in about the order in which their failures are worth the most; what `make test` runs.
set -euo pipefail
cd "$(dirname "$0")/.."

# Their results do not depend on time: they take what the browser tests leave of the processors.
computing=(tests/test_{cli,packaging,fuzz_api,fuzz_inputs,fuzz_offers,motion,evaluation,sample,calibration,detectors,engine,photos,quality,search}.py)
# First, or the others would wait for them at the end.
longest=(tests/test_{worker_faults,api_people,viewer,ladder}.py tests/test_bench*.py)
# Real browsers, recognisers and networks: where others share the machine, one test of a thousand may be starved. It is
# tried once more, and the summary names it.
again=--reruns=1

idle() { if chrt --idle 0 true 2> /dev/null; then chrt --idle 0 "$@"; else nice -n 19 "$@"; fi; }
ignored() { printf -- '--ignore=%s\n' "$@"; }

aside=$(mktemp)
trap 'kill -- -"$computes" 2> /dev/null || true; rm -f "$aside"' EXIT
set -m # a process group of its own, so that all of it ends with this script
idle bash -ec 'bash tools/check.sh; pytest --timeout=600 --reruns=1 "$@"' aside "${computing[@]}" > "$aside" 2>&1 &
computes=$!
set +m
echo "Checks and ${computing[*]} run beside the browser tests; what they say comes after those."
pytest tests/e2e "$again"
wait "$computes" || { cat "$aside"; exit 1; }
cat "$aside"
# shellcheck disable=SC2046 - one word each
pytest "${longest[@]}" tests $(ignored tests/e2e "${computing[@]}") --numprocesses=3 --dist=loadfile --no-loadscope-reorder "$again"
