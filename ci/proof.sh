#!/usr/bin/env bash
# Proves the latencies and counts of load runs, and what the stub withstands: the tests of the same promises, in a release build,
# on longer runs, with limits a tenth as wide. Prints Markdown; the figures stand in docs/proof.md. Takes about
# half an hour of a machine with nothing else to do.
#
# usage: ci/proof.sh
set -euo pipefail
cd "$(dirname "$0")/.."

export INGESTER_PERF_PROOF=1
cargo test --quiet --release --locked --test stalls --test latency_is_true --test queue --test load_command --test conservation \
  --test hostile --test storage --test stub_faults --test network --test shards --no-run
echo "$(date -u +%F), $(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -1), $(nproc) cores, $(rustc --version)"
echo
echo "| what | measured | limit |"
echo "| --- | --- | --- |"
failed=0
run() { # test binary, tests
  local out=target/proof.out
  if ! cargo test --quiet --release --locked --test "$1" -- --test-threads 1 --nocapture "${@:2}" >$out 2>&1; then
    cat $out >&2
    failed=1
  fi
  # What a test prints first stands behind its name.
  grep -o '| .* |$' $out || true
}
run stalls
run latency_is_true
run queue
run load_command interrupted many_users
run conservation
run hostile
run storage
run stub_faults
run network presets
run shards four_shards
cargo test --quiet --release --locked --lib -- --ignored --nocapture twice_the_bytes | grep '^|' || failed=1
exit "$failed"
