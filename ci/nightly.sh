#!/usr/bin/env bash
# A load against the stub, the same every night, and its place in the history. Writes to target/nightly: the report, the page,
# the record of the run (which `load --replay` reads), the history, and a page of its trend. For any CI that keeps
# target/nightly/history.jsonl from one night to the next.
#
# usage: [LOAD_TIME=5m] ci/nightly.sh
#
# The exit code is that of the load: 0 all targets held, 1 one was missed, 2 could not measure, 3 not to be trusted. A run that
# is not to be trusted is repeated once, and stays out of the history.
set -euo pipefail
cd "$(dirname "$0")/.."

out=target/nightly
mkdir -p "$out"
cargo build --quiet --release --locked
perf=target/release/ingester-perf

# Users who come on their own, at a rate that two cores hold easily: what is looked for is change, and not the limit.
load=("$perf" load --rate 100 --arrivals poisson --duration "${LOAD_TIME:-5m}" --mix '10KB=70,1MB=25,10MB=5' --seed 1)
load+=(--name load --report-dir "$out" --export junit="$out/junit.xml")
code=0
"${load[@]}" || code=$?
if [ "$code" = 3 ]; then
  echo "not to be trusted: measured once more" >&2
  code=0
  "${load[@]}" || code=$?
fi
case $code in
  0 | 1) ;;
  *) exit "$code" ;;
esac
"$perf" history add --file "$out/history.jsonl" "$out/load.json"
"$perf" history show --file "$out/history.jsonl" --export html="$out/trend.html"
exit "$code"
