#!/usr/bin/env bash
# Reads an interval log with another implementation, Python's hdrhistogram, and compares its quantiles with the report's. Prints
# Markdown; the figures stand in docs/proof.md. Needs python3 with venv, and fetches that package.
#
# usage: ci/hlog.sh
set -euo pipefail
cd "$(dirname "$0")/.."

python=target/hlog/bin/python
[ -x "$python" ] || python3 -m venv target/hlog
"$python" -m pip install --quiet hdrhistogram==0.10.8
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo run --quiet --release --locked -- load --rate 200 --duration 5s --mix 1KB=3,1MB=1 --report-dir "$work" >"$work/said" 2>&1 ||
  { cat "$work/said" >&2; exit 1; }
"$python" - "$work/load" <<'PY'
import json, sys
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

report = json.load(open(sys.argv[1] + ".json"))
whole = HdrHistogram(1, 3_600_000_000_000, 3)
reader = HistogramLogReader(sys.argv[1] + ".hlog", whole)
intervals = 0
while (interval := reader.get_next_interval_histogram()) is not None:
    whole.add(interval)
    intervals += 1
assert whole.get_total_count() == report["successful_requests"], whole.get_total_count()
assert intervals == len(report["load"]["seconds"]), intervals
# The log has successes only, the report's quantiles count failures as slower.
assert report["failed_requests"] == 0, report["failures"]
print("| quantile | interval log, read by Python's hdrhistogram | report |\n| --- | --- | --- |")
for q, of_report in [
    (50, report["median_latency_ms"]), (95, report["p95_latency_ms"]), (99, report["p99_latency_ms"]),
    (99.9, report["load"]["p999_latency_ms"]), (100, report["max_latency_ms"]),
]:
    of_log = whole.get_value_at_percentile(q) / 1e6
    print(f"| {q} % | {of_log:.4f} ms | {of_report:.4f} ms |")
    # Both have three digits.
    assert abs(of_log / of_report - 1) < 2e-3
print(f"\n{whole.get_total_count()} uploads in {intervals} intervals.")
PY
