#!/usr/bin/env bash
# Checks what comes in with dependencies by deny.toml: licences, known vulnerabilities, duplicates, sources. Installs cargo-deny
# where it is missing. The list of vulnerabilities is fetched from the net; where that cannot be had, name the other checks.
#
# usage: ci/deny.sh [advisories] [bans] [licenses] [sources]
set -euo pipefail
cd "$(dirname "$0")/.."

command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
exec cargo deny --locked check "$@"
