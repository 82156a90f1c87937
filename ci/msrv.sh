#!/usr/bin/env bash
# Compiles the program with the oldest Rust that Cargo.toml promises (rust-version), which it installs by rustup. Tests and
# benches are left out: what they need beside the program may be newer.
#
# usage: ci/msrv.sh
set -euo pipefail
cd "$(dirname "$0")/.."

rust=$(sed -n 's/^rust-version = "\([0-9.]*\)"$/\1/p' Cargo.toml)
[ -n "$rust" ] || { echo "Cargo.toml has no line rust-version = \"...\"" >&2; exit 2; }
rustup toolchain install "$rust" --profile minimal --no-self-update
cargo "+$rust" check --locked
# What is off by default, without what is on.
cargo "+$rust" check --locked --no-default-features --features heap-profile
