#!/usr/bin/env bash
# Did this tree get slower than where it left main? Builds it, then both sides of the comparison, and measures them in
# lock-step. Takes two minutes after the build. The report is in target/gate/report: slices.json, verdict.json, summary.md.
# For any CI that has the history (no shallow clone). The exit code is the gate's: 0 held, 1 slower, 2 could not
# measure, 3 inconclusive, 4 not comparable.
#
# usage: [GATE_BASE=BRANCH] ci/gate.sh [ARGUMENTS OF ingester-perf gate]
#
# The base is the merge-base with GATE_BASE (default: GITHUB_BASE_REF, else main), or the commit before where this is
# that branch itself; the gate finds it, here as at a prompt. --base COMMIT sets another.
set -euo pipefail
cd "$(dirname "$0")/.."

gate=${CARGO_TARGET_DIR:-target}/gate
# Where the gate builds too: the dependencies, most of the time, are compiled once for all three.
cargo build --release --locked --target-dir "$gate/target" || exit 2
# A copy, as the builds of the two sides go where this one lies.
driver=$(mktemp -d "$gate/driver.XXXXXX")
trap 'rm -rf "$driver"' EXIT
cp "$gate/target/release/ingester-perf" "$driver"
"$driver/ingester-perf" gate --out "$gate/report" "$@"
