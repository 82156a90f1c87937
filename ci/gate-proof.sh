#!/usr/bin/env bash
# How far can the gate be trusted? Sessions of 60 s of measuring each: a build against itself, with known slowdowns,
# and beside a busy loop. Takes an hour and 25 minutes of an otherwise idle machine. Prints Markdown; the figures stand
# in docs/gate.md. What Criterion's comparison says of a build against itself: ci/noise.sh.
#
# Every session is kept in a folder of its own under target/gate-proof; those that are there are not run again, so the
# script can be stopped and started at will. To begin anew, remove that folder.
#
# usage: ci/gate-proof.sh
set -euo pipefail
cd "$(dirname "$0")/.."

out=$PWD/target/gate-proof
mkdir -p "$out"
cases=(upload/10KB upload/1MB upload/10MB jwt/validate load/10_users load/50_users)

# One build for all of it, however often the script is started.
if [ ! -x "$out/ingester-perf" ]; then
  cargo build --quiet --release --locked
  cp target/release/ingester-perf "$out/ingester-perf.new"
  mv "$out/ingester-perf.new" "$out/ingester-perf"
fi
build=$out/ingester-perf

session() { # kind, number, further arguments
  local dir=$out/$1.$2
  shift 2
  if [ -e "$dir/exit" ]; then return; fi
  echo "$(date +%T) ${dir##*/} $*" >&2
  local code=0
  "$build" gate --base-exe "$build" --head-exe "$build" --even-if-identical --budget 60s --out "$dir" "$@" \
    >"$dir.log" 2>&1 || code=$?
  # Measured: passed, slower, inconclusive. All else is no session.
  case $code in 0 | 1 | 3) ;; *) cat "$dir.log" >&2; exit "$code" ;; esac
  echo "$code" >"$dir/exit"
}

slowed() { # by how much, number: the cases in turn
  session "plus$1" "$2" --inject "${cases[$((($2 - 1) % ${#cases[@]}))]}=$1%"
}

# The kinds take turns, as the machine may change over the hours.
for i in $(seq 30); do
  session itself "$i"
  if [ "$i" -le 16 ]; then slowed 3 "$i"; fi
  if [ "$i" -le 8 ]; then slowed 5 "$i"; fi
  if [ "$i" -le 8 ]; then slowed 2 "$i"; fi
done

busy() { # session and its arguments
  if [ -e "$out/$2.$3/exit" ]; then return; fi
  sh -c 'while :; do :; done' &
  local loop=$!
  trap "kill $loop" EXIT
  "$@"
  kill "$loop"
  wait "$loop" || true
  trap - EXIT
}
for i in $(seq 6); do
  busy session busy_itself "$i"
  busy session busy_plus20 "$i" --inject "${cases[$((i - 1))]}=20%"
done

echo "$(date -u +%F), $(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -1), $(nproc) cores, $(rustc --version)"
echo
"$build" gate --proof "$out"
