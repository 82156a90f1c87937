#!/usr/bin/env bash
# How far can the gate be trusted? Sessions of 60 s of measuring each, always of two files: with the same code, with a stub
# that really is slower, and, of 30 s, beside a busy loop. Takes two and a half hours of an otherwise idle machine. Prints Markdown;
# the figures stand in docs/gate.md. What Criterion's comparison says of a build against itself: ci/noise.sh.
#
# Both files are one build with the feature `handicap`; they differ in their last line, which says for how long the stub
# spins after each upload (src/stub/handicap.rs). How long that has to be for a slowdown of 3 % is found by a session with
# a known spin first.
#
# Every session is kept in a folder of its own under target/gate-proof; those that are there are not run again, so the
# script can be stopped and started at will. To begin anew, remove that folder. While a file named `hold` lies in it, no
# session begins.
#
# usage: ci/gate-proof.sh [KIND...]      kinds: same swapped plus3 plus5 plus2 tail busy_same busy_plus20; default: all
#   PART=4 ci/gate-proof.sh      one session in four, in forty minutes
set -euo pipefail
cd "$(dirname "$0")/.."

out=$PWD/target/gate-proof
mkdir -p "$out"
part=${PART:-1}
kinds=${*:-same swapped plus3 plus5 plus2 tail busy_same busy_plus20}

# One build for all of it, however often the script is started.
if [ ! -x "$out/build" ]; then
  cargo build --quiet --release --locked --features handicap --target-dir target/handicap
  cp target/handicap/release/ingester-perf "$out/build"
fi

executable() { # name, note: a file with the same code and this handicap
  [ -x "$out/$1" ] && return
  cp "$out/build" "$out/$1.new"
  printf '\nhandicap %s\n' "$2" >>"$out/$1.new"
  mv "$out/$1.new" "$out/$1"
}

session() { # kind, number, base, head, further arguments
  local dir=$out/$1.$2 base=$out/$3 head=$out/$4
  shift 4
  if [ -e "$dir/exit" ]; then return; fi
  while [ -e "$out/hold" ]; do sleep 1; done
  echo "$(date +%T) ${dir##*/} $*" >&2
  local code=0
  "$out/base" gate --base-exe "$base" --head-exe "$head" --out "$dir" "$@" >"$dir.log" 2>&1 || code=$?
  # Measured: passed, slower, inconclusive. All else is no session.
  case $code in 0 | 1 | 3) ;; *) cat "$dir.log" >&2; exit "$code" ;; esac
  echo "$code" >"$dir/exit"
}

busy() { # kind and number of a session, and the rest of it
  if [ -e "$out/$1.$2/exit" ]; then return; fi
  # Else the loop would run while the session is held.
  while [ -e "$out/hold" ]; do sleep 1; done
  sh -c 'while :; do :; done' &
  local loop=$!
  # shellcheck disable=SC2064 # expanded now: the variable is gone when the script ends
  trap "kill $loop" EXIT
  session "$@"
  kill "$loop"
  wait "$loop" || true
  trap - EXIT
}

# The note that slows every upload and load case by a share in percent. Spinning in the stub does not lengthen a pass of
# many users by as much, so what a spin of a tenth of each upload does is measured once, and scaled.
note() {
  python3 - "$out" "$1" <<'PYTHON'
import json, sys
out, percent = sys.argv[1], float(sys.argv[2])
files = {'upload/10KB': (10240, 1), 'upload/1MB': (1 << 20, 1), 'upload/10MB': (10 << 20, 1),
         'load/10_users': (102400, 100), 'load/50_users': (51200, 500)}
first = {case['id']: case for case in json.load(open(f'{out}/first.1/verdict.json'))['cases']}
words = {}
for case, (size, uploads) in files.items():
    spin = 0.1 * first[case]['base'] / uploads
    if percent != 10:
        tenth = json.load(open(f'{out}/tenth.1/verdict.json'))['cases']
        effect = next(found['effect']['share'] for found in tenth if found['id'] == case)
        spin *= percent / 100 / effect
    words[size] = round(spin)
print(' '.join(f'{size}={ns}' for size, ns in sorted(words.items())))
PYTHON
}

executable base 0=0
executable same 0=00
session first 1 base same --seed 1 --pairs 20 --max-pairs 20 --budget 30s
executable tenth "$(note 10)"
session tenth 1 base tenth --seed 1
for percent in 2 3 5 20; do executable "plus$percent" "$(note "$percent")"; done
executable tail stall=50:5000000

# How many of each kind. They take turns, as the machine may change over the hours.
declare -A number=([same]=20 [swapped]=20 [plus3]=20 [plus5]=10 [plus2]=5 [tail]=10 [busy_same]=10 [busy_plus20]=10)
for i in $(seq 20); do
  for kind in $kinds; do
    if [ "$i" -gt $(((number[$kind] + part - 1) / part)) ]; then continue; fi
    case $kind in
      same) session same "$i" base same ;;
      swapped) session swapped "$i" same base ;;
      # Every one of these goes on to all the pairs there may be: of half the length, they take no longer than the others.
      busy_same) busy busy_same "$i" base same --budget 30s ;;
      busy_plus20) busy busy_plus20 "$i" base plus20 --budget 30s ;;
      *) session "$kind" "$i" base "$kind" ;;
    esac
  done
done

echo "$(date -u +%F), $(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -1), $(nproc) cores, $(rustc --version)"
echo
"$out/base" gate --proof "$out"
