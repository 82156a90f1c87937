#!/usr/bin/env bash
# Tells the result on the page of the run, and in one comment on the pull request, which is updated in place.
#
# REPORT is the gate's folder, SKIPPED why nothing was measured, NAME tells several gates apart. A comment is written where
# COMMENT is true and PULL_REQUEST has a number; GH_TOKEN has to allow for it. Without that right, as in pull requests from
# forks, there is a warning, and no failure.
set -euo pipefail

# It stands in a hidden comment and in a query, and so must not end either.
if ! [[ $NAME =~ ^[A-Za-z0-9._-]+$ ]]; then
  echo "name: \"$NAME\" has other characters than letters, digits, dots, underscores and dashes" >&2
  exit 2
fi
if ! [[ $AUTHOR =~ ^[A-Za-z0-9-]+(\[bot\])?$ ]]; then
  echo "comment-author: \"$AUTHOR\" is not a valid name of a user" >&2
  exit 2
fi
marker="<!-- ingester-perf: $NAME -->"
text=$(mktemp)
trap 'rm -f "$text"' EXIT

# The forge takes 65,536 characters.
most=60000
{
  echo "$marker"
  if [ -n "${SKIPPED:-}" ]; then
    printf '### Gate: skipped\n\n%s\n' "$SKIPPED"
  # The code that was measured may have left a link there, to a file that holds the token.
  elif [ -f "$REPORT/summary.md" ] && [ ! -L "$REPORT/summary.md" ]; then
    LC_ALL=C awk -v most="$most" '{ bytes += length($0) + 1 }
      bytes > most { print "\nCut here; all of it is in the report."; exit }
      { print }' "$REPORT/summary.md"
  else
    printf '### Gate: nothing was measured\n\nThe gate ended before it measured; its log says why.\n'
  fi
  printf '\n[Log and report](%s/%s/actions/runs/%s)\n' "$GITHUB_SERVER_URL" "$GITHUB_REPOSITORY" "$GITHUB_RUN_ID"
} >"$text"
cat "$text" >>"$GITHUB_STEP_SUMMARY"

if [ "$COMMENT" != true ] || [ -z "${PULL_REQUEST:-}" ]; then exit 0; fi

comment() {
  local comments="repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments" id
  # Ours alone: whoever writes the marker into a comment of their own does not get it replaced.
  id=$(gh api --paginate "$comments?per_page=100" \
    --jq ".[] | select(.user.login == \"$AUTHOR\" and (.body | startswith(\"$marker\"))) | .id") || return
  id=${id%%$'\n'*}
  if [ -n "$id" ]; then
    gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$id" -F body=@"$text" >/dev/null
  elif [ -z "${SKIPPED:-}" ]; then
    # That nothing was measured needs no comment, unless one says otherwise.
    gh api --method POST "$comments" -F body=@"$text" >/dev/null
  fi
}
comment || echo "::warning::The comment was not written: the token has to allow for it (permissions: pull-requests: write), which" \
  "it does not for pull requests from forks. The result is on the page of this run."
