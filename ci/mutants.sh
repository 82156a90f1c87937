#!/usr/bin/env bash
# Tests the tests: every patch in ci/mutants breaks a clock or a counter, and the test binary that its first line names
# has to notice. A patch that no longer applies or does not compile fails too. Takes a few minutes.
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
  test=$(sed -n '1s/^# caught by: //p' "$patch")
  [ -n "$test" ] || { say "$name" "does not say which test catches it"; failed=1; continue; }
  rm -rf "$work/source"
  mkdir -p "$work/source"
  git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents --preserve=timestamps -t "$work/source"
  cd "$work/source"
  if ! patch --quiet --strip 1 --fuzz 0 <"$root/$patch" >/dev/null; then
    say "$name" "DOES NOT APPLY"
    failed=1
  elif ! cargo test --quiet --locked --test "$test" --no-run 2>"$work/err"; then
    say "$name" "DOES NOT COMPILE"
    failed=1
  elif cargo test --quiet --locked --test "$test" >"$work/out" 2>&1; then
    say "$name" "NOT NOTICED by $test"
    failed=1
  else
    say "$name" "noticed by $test: $(sed -n 's/^    \([a-z0-9_]*\)$/\1/p' "$work/out" | sort -u | paste -sd ' ')"
  fi
  cd "$root"
done
exit "$failed"
