#!/usr/bin/env bash
# Does `load --find` find what a service holds? Against a service whose limit follows from queueing theory: four workers of 20 ms,
# p99 below 100 ms. Searches it 20 times: the rate has to lie within 5 % of the true one in 18 of them, and within the interval.
# Then compares it with a service that is 20 % slower, ten times, and with itself, ten times. Prints Markdown; the figures stand
# in docs/capacity.md. Needs python3.
#
# Each search has services of its own, which wait most of the time: a search takes a tenth of a core, so six run at once
# (JOBS). That takes about an hour and a half of a machine with nothing else to do.
#
# usage: ci/capacity.sh [SEARCHES [COMPARISONS]]
#   STEP=5s JOBS=4 ci/capacity.sh 4 2      shorter steps than the usual 10 s, fewer searches
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --quiet --release --locked
exec python3 ci/capacity/proof.py target/release/ingester-perf "${1:-20}" "${2:-10}"
