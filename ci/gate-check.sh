#!/usr/bin/env bash
# The gate as a check: measured, and where that was inconclusive measured once more with twice as many pairs and twice the
# time. Prints one word on standard output: success, failure, or what an inconclusive run counts as. It is never green: it
# says that this machine was too noisy, and nothing about the change.
#
# usage: ci/gate-check.sh neutral|failure [COMMAND] [ARGUMENT...]
#
# COMMAND measures; it takes the arguments of `ingester-perf gate` and ends with its exit codes [ci/gate.sh]:
#   ci/gate-check.sh neutral ingester-perf gate --case upload/1MB
set -euo pipefail

inconclusive=${1:-}
case $inconclusive in
  neutral | failure) shift ;;
  *) echo "usage: ci/gate-check.sh neutral|failure [COMMAND] [ARGUMENT...]" >&2; exit 2 ;;
esac
case ${1:--} in
  -*) set -- "$(dirname "$0")/gate.sh" "$@" ;;
esac

# What the second run has in place of the first one's. The gate's own defaults, unless arguments say otherwise.
pairs=20
max_pairs=
budget=60s
again=()
first=("$@")
while [ $# -gt 0 ]; do
  case $1 in
    --pairs | --max-pairs | --budget)
      [ $# -gt 1 ] || { echo "$1 has no value" >&2; exit 2; }
      option=$1 value=$2
      shift 2
      ;;
    --pairs=* | --max-pairs=* | --budget=*)
      option=${1%%=*} value=${1#*=}
      shift
      ;;
    *)
      again+=("$1")
      shift
      continue
      ;;
  esac
  case $option in
    --pairs) pairs=$value ;;
    --max-pairs) max_pairs=$value ;;
    --budget) budget=$value ;;
  esac
done
# Told now, and not after minutes of measuring.
whole='^[1-9][0-9]*$'
if ! [[ $pairs =~ $whole && ${max_pairs:-1} =~ $whole && $budget =~ ^([1-9][0-9]*)([a-z]+)$ ]]; then
  echo "--pairs $pairs${max_pairs:+ --max-pairs $max_pairs} --budget $budget: write whole numbers, and the time as one number" \
    "with a unit (90s), so that they can be doubled" >&2
  exit 2
fi
# The gate takes no more pairs than this, and would end with 2: a failure, where there was none.
most=200
twice() { echo $((2 * $1 < most ? 2 * $1 : most)); }
again+=(--pairs "$(twice "$pairs")" --max-pairs "$(twice "${max_pairs:-$((2 * pairs))}")")
again+=(--budget "$((2 * BASH_REMATCH[1]))${BASH_REMATCH[2]}")

code=0
"${first[@]}" >&2 || code=$?
if [ "$code" = 3 ]; then
  echo "inconclusive: measured once more, with twice as many pairs" >&2
  code=0
  "${again[@]}" >&2 || code=$?
fi
case $code in
  0) echo success ;;
  3) echo "$inconclusive" ;;
  *) echo failure ;;
esac
