#!/usr/bin/env bash
# Tests object stores behind the stub, and run files of shards in them. ci/check.sh leaves that out, as what only this needs
# takes minutes to compile. The tests run against a real S3 server that they start themselves.
#
# usage: ci/s3.sh
set -euo pipefail
cd "$(dirname "$0")/.."

cargo clippy --locked --all-targets --features s3-test -- -D warnings
cargo test --locked --features s3-test --lib stub::storage
cargo test --locked --features s3-test --lib bucket
cargo test --locked --features s3-test --lib cli::load::place
cargo test --locked --features s3-test --test s3
