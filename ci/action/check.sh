#!/usr/bin/env bash
# Adds the check to the commit, and decides how the job ends. A job can be green or red only: what is neither is neutral as a
# check of its own.
#
# VERDICT is the gate's word (success, failure, neutral), and SKIPPED why nothing was measured. GH_TOKEN has to allow for
# checks. Where it does not, as in pull requests from forks, an inconclusive run ends the job red: green would say that it was
# measured.
set -euo pipefail

if [ -n "${SKIPPED:-}" ]; then
  conclusion=neutral
  title=$SKIPPED
else
  case ${VERDICT:-} in
    success) conclusion=success title='No case got slower' ;;
    neutral) conclusion=neutral title='Inconclusive: this machine was too noisy to tell' ;;
    *) conclusion=failure title='A case got slower, or nothing could be measured' ;;
  esac
fi

added=yes
gh api "repos/$GITHUB_REPOSITORY/check-runs" -f name="$NAME" -f head_sha="$COMMIT" -f status=completed \
  -f conclusion="$conclusion" -f "output[title]=$title" \
  -f "output[summary]=The table is on the page of the run: $GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID" \
  >/dev/null || added=no
echo "$title"
if [ "$added" = no ]; then
  echo "::warning::The check \"$NAME\" was not added: the token has to allow for it (permissions: checks: write), which it does not" \
    "for pull requests from forks."
fi
case $conclusion in
  success) ;;
  # Nothing to measure is not a failure to measure.
  neutral) [ "$added" = yes ] || [ -n "${SKIPPED:-}" ] ;;
  *) exit 1 ;;
esac
