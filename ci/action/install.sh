#!/usr/bin/env bash
# Installs the ingester-perf that this action is a part of: the version of the action is that of the program.
#
# usage: ci/action/install.sh FOLDER    builds it into FOLDER/bin, unless it is there, and adds that to the path
#        ci/action/install.sh key       prints key=..., which changes with the source
set -euo pipefail
source=$(cd "$(dirname "$0")/../.." && pwd)

if [ "$1" = key ]; then
  cd "$source"
  # git is needed anyway; not every system has sha256sum.
  sum=$(find Cargo.toml Cargo.lock build.rs src benches baseline -type f -print0 | LC_ALL=C sort -z | xargs -0 cat | git hash-object --stdin)
  echo "key=$sum"
  exit
fi

bin=$1/bin
if [ ! -x "$bin/ingester-perf" ]; then
  cargo=(cargo)
  if command -v rustup >/dev/null; then
    rustup toolchain install stable --profile minimal --no-self-update >&2
    cargo=(cargo +stable)
  elif ! command -v cargo >/dev/null; then
    echo "ingester-perf has to be compiled, and there is no Rust: install it in a step before this one (rustup.rs)" >&2
    exit 2
  fi
  target=$(mktemp -d)
  trap 'rm -rf "$target"' EXIT
  # In its own folder: settings of the repository that is measured are not meant for it.
  (cd "$source" && "${cargo[@]}" install --locked --path . --bin ingester-perf --root "$1" --target-dir "$target" --no-track) || exit 2
fi
echo "$bin" >>"$GITHUB_PATH"
