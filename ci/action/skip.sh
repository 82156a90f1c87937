#!/usr/bin/env bash
# Tells the action's next steps, as the output `sentence`, why there is nothing to measure; nothing where there is something.
#
# SKIP_PATHS has a pattern a line; see ci/gate-skip.sh.
set -euo pipefail

patterns=()
while IFS= read -r pattern; do
  # An empty pattern would match everything, and nothing would ever be measured.
  if [ -n "$pattern" ]; then patterns+=("$pattern"); fi
done <<<"${SKIP_PATHS:-}"
# Who wants everything measured wants it measured even where nothing changed.
[ ${#patterns[@]} -gt 0 ] || exit 0
sentence=$("$(dirname "$0")/../gate-skip.sh" "${patterns[@]}")
echo "sentence=$sentence" >>"$GITHUB_OUTPUT"
[ -z "$sentence" ] || echo "::notice::$sentence"
