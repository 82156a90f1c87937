#!/usr/bin/env bash
# Are the exact counters exact, and does the gate report one allocation more? Counts everything twice, then has the gate
# compare what is committed with the same and one more allocation in the handler of uploads. Needs Valgrind for the
# instructions. Takes some minutes, most of them for three builds.
#
# usage: ci/counters.sh
set -euo pipefail
cd "$(dirname "$0")/.."

out=$PWD/target/counters
mkdir -p "$out"
export CARGO_TARGET_DIR=$out/target

echo "$(date -u +%F), $(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -1), $(rustc --version)"
INGESTER_PERF_PROOF=1 cargo test --quiet --release --locked --test counters -- --test-threads 1 --nocapture

rm -rf "$out/clone"
git clone --quiet . "$out/clone"
cd "$out/clone"
git checkout --quiet -B main
sed -i 's|^    let began = Instant::now();|&\n    drop(std::hint::black_box(Box::new(7_u8)));|' src/stub/upload.rs
git -c user.name=proof -c user.email=proof@localhost commit --quiet --all --message "One more allocation" || {
  echo "the handler of uploads has no line to put an allocation behind" >&2
  exit 1
}
# The session is as short as it may be: what it says of time is not the question.
code=0
cargo run --quiet --release --locked -- gate --case upload/10KB --budget 2s --pairs 10 --max-pairs 10 --out "$out/report" \
  >"$out/said" || code=$?
cat "$out/said"
grep -Eq '^ upload/10KB +allocations .* \+1 ' "$out/said" || {
  echo "one more allocation was not reported (the gate ended with $code)" >&2
  exit 1
}
