#!/usr/bin/env bash
# Prints the commit that a change is compared with: where it left main or, on main itself, the commit before. Looks at the
# repository of the current folder. For ci/gate.sh and ci/gate-skip.sh, which have to mean the same commit.
#
# usage: [GATE_BASE=BRANCH] ci/gate-base.sh
#
# Main is GATE_BASE, else GITHUB_BASE_REF, else main or master; at origin before here.
set -euo pipefail

main=
for name in ${GATE_BASE:-${GITHUB_BASE_REF:-main master}}; do
  for ref in "origin/$name" "$name"; do
    if git rev-parse --quiet --verify "$ref^{commit}" >/dev/null; then
      main=$ref
      break 2
    fi
  done
done
if [ -z "$main" ]; then
  echo "there is no ${GATE_BASE:-${GITHUB_BASE_REF:-main or master}} to compare with; name a branch with GATE_BASE, and fetch" \
    "its history (fetch-depth: 0 on GitHub, GIT_DEPTH: 0 on GitLab)" >&2
  exit 2
fi
base=$(git merge-base HEAD "$main") || {
  echo "HEAD and $main have no commit in common; fetch more history (fetch-depth: 0 on GitHub, GIT_DEPTH: 0 on GitLab)" >&2
  exit 2
}
# On main itself, without uncommitted changes.
if [ "$base" = "$(git rev-parse HEAD)" ] && git diff --quiet HEAD; then
  base=$(git rev-parse --quiet --verify HEAD^1) || { echo "there is no commit before HEAD to compare with" >&2; exit 2; }
fi
echo "$base"
