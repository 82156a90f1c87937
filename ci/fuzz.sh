#!/usr/bin/env bash
# Fuzzes the readers of what others wrote (files, configuration, forms, tokens) with libFuzzer: 60 seconds for each target. A
# finding ends the script, and its bytes are in fuzz/artifacts. Inputs that reach new code are kept in fuzz/corpus, where the next
# run goes on. Needs a C++ compiler; installs cargo-fuzz where it is missing.
#
# usage: ci/fuzz.sh [SECONDS [TARGET ...]]
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
[ $# -eq 0 ] || shift
command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
# The same versions as in every other build of the project; cargo adds what only the targets use.
cp Cargo.lock fuzz/Cargo.lock
# Targets write what they read from files here.
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo fuzz list)
# Seeds from the program as it is now.
cargo run --quiet --release --manifest-path fuzz/Cargo.toml --example seeds
for target in "${targets[@]}"; do
  printf '\n== %s\n' "$target"
  # What is built is what users build, without the switch `--cfg fuzzing` that some libraries know; but arithmetic that
  # overflows panics. An input that takes ten seconds is a finding too, and so is one that takes 1 GB.
  cargo fuzz run --sanitizer none --no-cfg-fuzzing "$target" -- \
    -max_total_time="$seconds" -max_len=20000 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1
done
