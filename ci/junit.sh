#!/usr/bin/env bash
# Checks JUnit files of load, compare and gate against a schema, with libxml2's own validator, and their counts against what is
# in them. Needs xmllint (Debian: libxml2-utils).
#
# usage: ci/junit.sh [schema.xsd]     another schema than ci/junit.xsd, such as that of Jenkins' xUnit plugin (junit-10.xsd)
set -euo pipefail
schema=$(realpath "${1:-"$(dirname "$0")/junit.xsd"}")
cd "$(dirname "$0")/.."

command -v xmllint >/dev/null || { echo "xmllint is missing: install libxml2-utils" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo build --quiet --release --locked
perf=${CARGO_TARGET_DIR:-target}/release/ingester-perf

run() { # exit codes that are expected, command
  local allowed=$1 code=0
  shift
  "$@" >"$work/said" 2>&1 || code=$?
  case " $allowed " in *" $code "*) ;; *) cat "$work/said" >&2; echo "$* ended with $code" >&2; exit 1 ;; esac
}

# Held, unless the generator was late: then nothing is judged, and all is an error.
run "0 3" "$perf" load --users 2 --requests 200 --file-size 10KB --report-dir "$work" --export "junit=$work/held.xml"
# No upload takes less than a microsecond, and the look before is none of a run.
run "1 3" "$perf" load --replay "$work/load.run.json" --target p95_ms=0.001 --export "junit=$work/missed.xml"
# The stub refuses everything: nothing succeeds.
run "1 3" env INGESTER_FAULTS=status=503 INGESTER_EVEN_IF_FAILING=1 "$perf" load --users 2 --requests 20 --file-size 1KB \
  --report-dir "$work/failing" --export "junit=$work/failing.xml"
# A look has no verdict.
run 0 "$perf" compare "$work/load.json" "$work/load.json" --export "junit=$work/compared.xml"
# One file for both sides is identical; measured all the same, it is held, or undecided after so short a time.
run 0 "$perf" gate --base-exe "$perf" --head-exe "$perf" --case jwt/validate --out "$work/gate" \
  --export "junit=$work/identical.xml"
run "0 3" "$perf" gate --base-exe "$perf" --head-exe "$perf" --case jwt/validate --even-if-identical --pairs 10 \
  --max-pairs 10 --budget 2s --out "$work/gate" --export "junit=$work/gate.xml"

for file in held missed failing compared identical gate; do
  xmllint --noout --schema "$schema" "$work/$file.xml"
  for count in tests:testcase failures:testcase/failure errors:testcase/error; do
    path="sum(//testsuite/@${count%%:*}) = count(//${count#*:})"
    [ "$(xmllint --xpath "$path" "$work/$file.xml")" = true ] || { echo "$file.xml: not $path" >&2; exit 1; }
  done
done
# What did not hold is no success, and no test that is passed over.
for file in missed failing; do
  path="count(//failure | //error) > 0 and count(//skipped) = 0"
  [ "$(xmllint --xpath "$path" "$work/$file.xml")" = true ] || { echo "$file.xml: not $path" >&2; exit 1; }
done
