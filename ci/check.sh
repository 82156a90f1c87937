#!/usr/bin/env bash
# Everything that has to hold before a change lands. Needs Rust with rustfmt and clippy, a C compiler, git and Python 3.
set -euo pipefail
cd "$(dirname "$0")/.."

# The interpreter itself. Behind a version manager's script it starts in 140 ms instead of 30, and tests start hundreds.
PATH=$(dirname "$(python3 -c 'import sys; print(sys.executable)')"):$PATH

step() { printf '\n== %s\n' "$*"; "$@"; }

mutants_apply() { for patch in ci/mutants/*.patch ci/explain/*.patch; do git apply --check "$patch"; done; }

step cargo fmt --check
step ci/layers.sh
step mutants_apply
step cargo clippy --locked --all-targets -- -D warnings
step cargo test --locked
# Without --bench the benches run each case once and check its outcome.
step cargo test --locked --benches
RUSTDOCFLAGS="-D warnings" step cargo doc --locked --no-deps
