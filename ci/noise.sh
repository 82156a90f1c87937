#!/usr/bin/env bash
# What does `cargo bench -- --baseline main` say of a build compared with itself, and of a case slowed by 30 %?
# Takes about 35 minutes of an otherwise idle machine. Prints Markdown; the figures stand in docs/noise.md.
#
# usage: ci/noise.sh [RERUNS]      (default 10)
set -euo pipefail
cd "$(dirname "$0")/.."

reruns=${1:-10}
slowed=(load/10_users)
out=$PWD/target/noise
rm -rf "$out"
mkdir -p "$out"
export CRITERION_HOME=$out/criterion INGESTER_REPORT_DIR=$out/reports

# Case, change in percent with its interval, p, and what Criterion called it: one line a comparison.
comparisons() {
  cat "$@" | sed 's/−/-/g' | awk '
    /^[a-z]+\/[0-9A-Za-z_]+ +time:/ { id = $1 }
    /\(p = / { gsub(/[][%+(]/, ""); split($0, f, " +"); low = $2; mid = $3; high = $4; p = $7 }
    /Performance has regressed/ { print id, low, mid, high, p, "regressed" }
    /Performance has improved/ { print id, low, mid, high, p, "improved" }
    /No change in performance|Change within noise/ { print id, low, mid, high, p, "same" }'
}

cargo bench --quiet --no-run
echo "baseline: the whole suite, floor and plots included" >&2
SECONDS=0
cargo bench --quiet -- --save-baseline main >"$out/base.log" 2>&1
whole=$SECONDS
for i in $(seq "$reruns"); do
  echo "rerun $i of $reruns, unchanged" >&2
  cargo bench --quiet --bench jwt --bench load --bench upload -- --baseline main --noplot >"$out/same.$i.log" 2>&1
done
for case in "${slowed[@]}"; do
  for i in $(seq "$reruns"); do
    echo "rerun $i of $reruns, $case slowed by 30 %" >&2
    INGESTER_PERF_SLOWDOWN=$case=0.3 cargo bench --quiet --bench "${case%%/*}" -- \
      --baseline main --noplot --exact "$case" >"$out/slow.${case//\//_}.$i.log" 2>&1
  done
done

echo "$(date -u +%F), $(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -1), $(nproc) cores, $(rustc --version)"
echo
echo "The whole of \`cargo bench\`, after the build: $whole s."
echo
echo "| case, unchanged | comparisons | called changed | with Criterion's own threshold of 1 % | standard deviation of the change | largest |"
echo "| --- | --- | --- | --- | --- | --- |"
comparisons "$out"/same.*.log | awk '
  function abs(x) { return x < 0 ? -x : x }
  { n[$1]++; s[$1] += $3; q[$1] += $3 * $3; if (abs($3) > abs(m[$1])) m[$1] = $3
    if ($6 != "same") c[$1]++
    if ($5 < 0.05 && ($2 > 1 || $4 < -1)) d[$1]++ }
  END { for (id in n) { N += n[id]; C += c[id]; D += d[id]
          printf "| `%s` | %d | %d | %d | %.1f %% | %+.1f %% |\n", id, n[id], c[id], d[id],
            sqrt((q[id] - s[id] * s[id] / n[id]) / (n[id] - 1)), m[id] | "sort" }
        close("sort"); printf "| all | %d | %d | %d | | |\n", N, C, D }'
echo
echo "| case, slowed by 30 % | comparisons | called regressed | change found, least to most |"
echo "| --- | --- | --- | --- |"
comparisons "$out"/slow.*.log | awk '
  { n[$1]++; if ($6 == "regressed") r[$1]++
    if (!($1 in lo) || $3 < lo[$1]) lo[$1] = $3; if (!($1 in hi) || $3 > hi[$1]) hi[$1] = $3 }
  END { for (id in n) printf "| `%s` | %d | %d | %+.1f to %+.1f %% |\n", id, n[id], r[id], lo[id], hi[id] | "sort" }'
