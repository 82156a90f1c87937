#!/usr/bin/env bash
# Does the gate explain a slowdown by what really got slower? Builds this tree, and once more with every patch in ci/explain:
# one hashes each file twice, the other checks each token twice. Then ten sessions each, of the case that the patch's first
# line names. Prints Markdown; the figures stand in docs/gate.md. Fails where a session does not give that phase 80 % of the
# effect at least. Needs an otherwise idle machine, for twenty minutes after the builds.
#
# Every session is kept in a folder of its own under target/explain-proof; those that are there are not run again, so the
# script can be stopped and started at will. To begin anew, remove that folder.
#
# usage: [SESSIONS=10] ci/explain-proof.sh [PATCH...]
set -euo pipefail
cd "$(dirname "$0")/.."

root=$PWD
out=$root/target/explain-proof
sessions=${SESSIONS:-10}
patches=("$@")
[ ${#patches[@]} -gt 0 ] || patches=(ci/explain/*.patch)
mkdir -p "$out"

build() { # name, patch; none for the tree as it is
  [ -x "$out/$1" ] && return
  # In one folder for all, so that only this package is compiled more than once.
  rm -rf "$out/source"
  mkdir -p "$out/source"
  git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents --preserve=timestamps -t "$out/source"
  [ -z "${2:-}" ] || patch --quiet --strip 1 --fuzz 0 --directory "$out/source" <"$root/$2"
  # Cargo looks at times: a file that has its old text back, with its old time, would pass for compiled.
  touch "$out/source/src/lib.rs"
  (cd "$out/source" && cargo build --quiet --release --locked --target-dir "$out/target")
  cp "$out/target/release/ingester-perf" "$out/$1.new"
  mv "$out/$1.new" "$out/$1"
}

session() { # name, case, number
  local dir=$out/$1.$3
  if [ -e "$dir/exit" ]; then return; fi
  echo "$(date +%T) $1 $3" >&2
  local code=0
  "$out/base" gate --base-exe "$out/base" --head-exe "$out/$1" --case "$2" --seed "$3" --budget 20s --out "$dir" \
    >"$dir.log" 2>&1 || code=$?
  # Measured: passed, slower, inconclusive. All else is no session.
  case $code in 0 | 1 | 3) ;; *) cat "$dir.log" >&2; exit "$code" ;; esac
  echo "$code" >"$dir/exit"
}

build base
kinds=()
for patch in "${patches[@]}"; do
  name=$(basename "$patch" .patch)
  # "# slower: PHASE in CASE"
  read -r phase case < <(sed -n '1s/^# slower: \(.*\) in \(.*\)$/\1 \2/p' "$patch")
  build "$name" "$patch"
  for number in $(seq "$sessions"); do session "$name" "$case" "$number"; done
  kinds+=("$name:$phase")
done

echo "$(date -u +%F), $(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -1), $(nproc) cores, $(rustc --version)"
echo
python3 - "$out" "$sessions" "${kinds[@]}" <<'PYTHON'
import json, sys

out, sessions, kinds = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
failed = False

def percent(share):
    return f"{100 * share:+.1f} %"

def interval(part):
    return f"{percent(part['share'])} [{percent(part['lower'])}, {percent(part['upper'])}]"

print("| sessions | case | judged | seen | of the phase | given to it |")
print("| --- | --- | --- | --- | --- | --- |")
for kind in kinds:
    name, phase = kind.split(":")
    given = []
    for number in range(1, sessions + 1):
        explained = json.load(open(f"{out}/{name}.{number}/verdict.json")).get("explanations", [])
        if not explained:
            print(f"| {name} {number} | - | - | - | - | not explained |")
            continue
        why = explained[0]
        part = next(part for part in why["phases"] if part["name"] == phase)
        # What does not agree with the verdict explains nothing.
        share = part["share"] / why["whole"]["share"] if why["agrees"] else 0.0
        given.append(share)
        judged = interval(why["judged"]) if why["judged"] else "its tail"
        print(f"| {name} {number} | `{why['case']}` | {judged} | {interval(why['whole'])} | "
              f"{phase} {interval(part)} | {100 * share:.0f} % |")
    enough = sum(share >= 0.8 for share in given)
    failed |= enough < sessions
    print(f"| {name} | | | | {phase}, at least 80 % | {enough} of {sessions} |")
sys.exit(failed)
PYTHON
