#!/usr/bin/env bash
# Object stores behind the stub: what check.sh leaves out, as it takes minutes to compile what only this needs. The tests run
# against a real S3 server that they start themselves.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo clippy --locked --all-targets --features s3-test -- -D warnings
cargo test --locked --features s3-test --lib stub::storage
cargo test --locked --features s3-test --lib bucket
cargo test --locked --features s3-test --lib cli::load::place
cargo test --locked --features s3-test --test s3
