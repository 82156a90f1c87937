#!/usr/bin/env bash
# Did this tree get slower than where it left main? Builds the gate as it is there, then both sides of the comparison, and
# measures them in lock-step. Takes a minute and a half after the builds, three if a case is undecided. The report is in
# target/gate/report: slices.json, verdict.json, summary.md, gate.html. For any CI that has the history (no shallow clone). The
# exit code is the gate's: 0 held, 1 slower, 2 could not measure, 3 inconclusive.
#
# usage: [GATE_BASE=BRANCH] [GATE_DRIVER=base|head] ci/gate.sh [ARGUMENTS OF ingester-perf gate, but --base]
#
# The base is what ci/gate-base.sh prints. The gate that judges is base's: a change that loosens the gate does not judge
# itself by it. Where a change gives the gate's workers another protocol, base's gate refuses head's worker;
# GATE_DRIVER=head takes head's.
set -euo pipefail
cd "$(dirname "$0")/.."

# Misspelt, it must not let the change judge itself.
driver_of=${GATE_DRIVER:-base}
case $driver_of in
  base | head) ;;
  *) echo "GATE_DRIVER: \"$driver_of\" is not base or head" >&2; exit 2 ;;
esac

gate=${CARGO_TARGET_DIR:-$PWD/target}/gate
mkdir -p "$gate"
base=$(ci/gate-base.sh)

source=$PWD
if [ "$driver_of" = base ]; then
  # Outside of this tree: cargo would take settings from it.
  source=$(mktemp -d)
  git worktree add --quiet --detach --force "$source" "$base"
fi
# A copy, as the builds of the two sides go where this one lies.
driver=$(mktemp -d "$gate/driver.XXXXXX")
cleanup() {
  rm -rf "$driver"
  [ "$source" = "$PWD" ] || git worktree remove --force "$source" || true
}
trap cleanup EXIT
# Where the gate builds too: the dependencies, most of the time, are compiled once for all three.
(cd "$source" && cargo build --release --locked --target-dir "$gate/target") || exit 2
cp "$gate/target/release/ingester-perf" "$driver"
"$driver/ingester-perf" gate --base "$base" --out "$gate/report" "$@"
