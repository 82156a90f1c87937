#!/usr/bin/env bash
# Makes the archive that `cargo publish` would upload, and compiles the program from it alone. Fails where the archive has files
# that nobody needs, or is larger than two megabytes.
#
# usage: ci/package.sh
set -euo pipefail
cd "$(dirname "$0")/.."

# `include` in Cargo.toml says what belongs in; these are the files that have slipped into archives of others. Cargo itself adds
# its manifest as it was written.
unwanted=$(cargo package --locked --list | grep -vFx Cargo.toml.orig | grep -E '^(target|tests|fuzz|ci|\.github)/|\.(orig|rej|svg|log|jsonl)$' || true)
[ -z "$unwanted" ] || { printf 'not meant to be published:\n%s\n' "$unwanted" >&2; exit 1; }
archives=${CARGO_TARGET_DIR:-target}/package
rm -f "$archives"/*.crate
cargo package --locked
bytes=$(cat "$archives"/*.crate | wc -c)
echo "The archive has $bytes bytes."
[ "$bytes" -le 2097152 ] || { echo "more than two megabytes: see cargo package --list" >&2; exit 1; }
