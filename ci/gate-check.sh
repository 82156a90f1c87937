#!/usr/bin/env bash
# The gate as a check of a pull request: measured, and where that was inconclusive measured once more with twice as many
# pairs. Prints one word on standard output: success, failure, or what an inconclusive run counts as.
#
# usage: ci/gate-check.sh neutral|failure
#
# GATE names the command that measures [ci/gate.sh].
set -euo pipefail
cd "$(dirname "$0")/.."

inconclusive=${1:-}
case $inconclusive in
  neutral | failure) ;;
  *) echo "usage: ci/gate-check.sh neutral|failure" >&2; exit 2 ;;
esac
gate=${GATE:-ci/gate.sh}

code=0
"$gate" >&2 || code=$?
if [ "$code" = 3 ]; then
  echo "inconclusive: measured once more, with twice as many pairs" >&2
  code=0
  "$gate" --pairs 40 --max-pairs 80 --budget 120s >&2 || code=$?
fi
case $code in
  0) echo success ;;
  3) echo "$inconclusive" ;;
  *) echo failure ;;
esac
