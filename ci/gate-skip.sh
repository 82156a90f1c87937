#!/usr/bin/env bash
# Is there anything to measure? Where all files that changed match the patterns, prints why the gate is skipped, in one line;
# otherwise prints nothing. Looks at the repository of the current folder, and compares with the commit of ci/gate-base.sh.
#
# usage: ci/gate-skip.sh [PATTERN...]
#
# A pattern is one of git's, seen from the top of the repository: docs/ is a folder, *.md is a file in any folder.
set -euo pipefail

base=$("$(dirname "$0")/gate-base.sh")
excluded=()
named=
for pattern; do
  excluded+=(":(top,exclude)$pattern")
  named+=${named:+, }$pattern
done
# Against the tree as it stands, as the gate compares it. A file that was moved counts as removed from where it was.
changed=$(git diff --name-only --no-renames "$base" -- ":(top)" ${excluded[@]+"${excluded[@]}"})
if [ -z "$changed" ]; then
  echo "skipped: nothing that is measured changed since $(git rev-parse --short "$base")${named:+ (left out: $named)}"
fi
