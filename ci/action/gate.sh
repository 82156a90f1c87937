#!/usr/bin/env bash
# Measures, and tells the action's next steps how the check comes out, as the output `verdict`.
#
# ARGS are the gate's arguments, INCONCLUSIVE is what an inconclusive run counts as, GATE is a program in place of
# `ingester-perf gate`, if not empty, and REPORT is the folder that it writes to.
set -euo pipefail

# Of an earlier run on the same machine. A gate that ends before it measures, as where a build fails, leaves it there, and it
# would be told as the result of this one.
if [ -n "${REPORT:-}" ]; then rm -f "$REPORT/summary.md"; fi
command=(ingester-perf gate)
if [ -n "${GATE:-}" ]; then command=("$GATE"); fi
# xargs knows a shell's quotes, and expands nothing.
arguments=$(mktemp)
trap 'rm -f "$arguments"' EXIT
xargs printf '%s\0' <<<"${ARGS:-}" >"$arguments" || { echo "args: a quote is not closed: $ARGS" >&2; exit 2; }
while IFS= read -r -d '' argument; do
  # Without arguments, printf prints one that is empty.
  if [ -n "$argument" ]; then command+=("$argument"); fi
done <"$arguments"
verdict=$("$(dirname "$0")/../gate-check.sh" "$INCONCLUSIVE" "${command[@]}")
echo "verdict=$verdict" >>"$GITHUB_OUTPUT"
