#!/usr/bin/env bash
# The job of ci/gitlab.yml, in the repository that is measured: installs ingester-perf, unless the cache has it, and runs the
# gate. Ends with 0, 1, or 3 for a run that was inconclusive twice and counts as neutral.
#
# GATE_ARGS, GATE_INCONCLUSIVE and GATE_SKIP are explained in ci/gitlab.yml.
set -euo pipefail
ci=$(cd "$(dirname "$0")" && pwd)

# A job has the commit alone, and no branch to compare it with.
export GATE_BASE=$CI_MERGE_REQUEST_TARGET_BRANCH_NAME
git fetch --quiet origin "+refs/heads/$GATE_BASE:refs/remotes/origin/$GATE_BASE"

# As the action does it, which is told where to leave what it says.
GITHUB_PATH=$(mktemp) GITHUB_OUTPUT=$(mktemp)
export GITHUB_PATH GITHUB_OUTPUT
SKIP_PATHS=${GATE_SKIP:-} "$ci/action/skip.sh"
if grep -q '^sentence=.' "$GITHUB_OUTPUT"; then exit 0; fi
# Where the cache of the job is: GitLab keeps nothing outside of the repository. Its key is GATE_REF, and a branch of that name
# goes on: what was built of another source is not the program that was asked for.
kept=$CI_PROJECT_DIR/.ingester-perf
key=$("$ci/action/install.sh" key)
if ! [ -f "$kept/key" ] || [ "$(cat "$kept/key")" != "$key" ]; then rm -rf "$kept"; fi
"$ci/action/install.sh" "$kept"
echo "$key" >"$kept/key"
PATH=$(cat "$GITHUB_PATH"):$PATH
export PATH
ARGS="--export junit=target/gate/report/junit.xml ${GATE_ARGS:-}" INCONCLUSIVE=$GATE_INCONCLUSIVE \
  "$ci/action/gate.sh"
case $(sed -n 's/^verdict=//p' "$GITHUB_OUTPUT") in
  success) ;;
  neutral) exit 3 ;;
  *) exit 1 ;;
esac
