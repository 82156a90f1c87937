#!/usr/bin/env bash
# Tests the tests: every patch in ci/mutants breaks a clock or a counter, and the unit tests that its first line names have
# to notice within a second. A patch that no longer applies or does not compile fails too. Takes a few minutes, all of it
# for compiling.
#
# usage: ci/mutants.sh [PATCH ...]
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$root/target/mutants
patches=("$@")
[ ${#patches[@]} -gt 0 ] || patches=(ci/mutants/*.patch)
export CARGO_TARGET_DIR=$work/target

failed=0
say() { printf '%-45s %s\n' "$1" "$2"; }
for patch in "${patches[@]}"; do
  name=$(basename "$patch" .patch)
  tests=$(sed -n '1s/^# caught by: //p' "$patch")
  [ -n "$tests" ] || { say "$name" "does not say which tests catch it"; failed=1; continue; }
  rm -rf "$work/source"
  mkdir -p "$work/source"
  git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents --preserve=timestamps -t "$work/source"
  cd "$work/source"
  if ! patch --quiet --strip 1 --fuzz 0 <"$root/$patch" >/dev/null; then
    say "$name" "DOES NOT APPLY"
    failed=1
  elif ! cargo test --quiet --locked --lib --no-run 2>"$work/err"; then
    say "$name" "DOES NOT COMPILE"
    failed=1
  else
    code=0
    cargo test --locked --lib -- "$tests" >"$work/out" 2>&1 || code=$?
    took=$(sed -n 's/.*finished in \([0-9.]*\)s/\1/p' "$work/out")
    noticed=$(sed -n 's/^    \([a-z0-9_:]*\)$/\1/p' "$work/out" | sort -u | paste -sd ' ')
    if [ "$code" = 0 ]; then
      say "$name" "NOT NOTICED by $tests"
      failed=1
    elif [ -z "$took" ] || [ "${took%.*}" -ge 1 ]; then
      say "$name" "noticed after ${took:-an unknown number of} s: too late"
      failed=1
    else
      say "$name" "noticed in $took s: $noticed"
    fi
  fi
  cd "$root"
done
exit "$failed"
