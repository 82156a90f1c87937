#!/usr/bin/env bash
# How far does a merge go? Writes the run files of shards that never ran, 10^9 requests in a thousand of them, and merges 250, 500
# and all of them: within a minute and 2 GB, and in a time that grows with their number and no faster. Prints Markdown; the figures
# stand in docs/scale.md. Writing takes some minutes and about half a GB in target/scale.
#
# usage: ci/scale.sh [SHARDS [REQUESTS-A-SECOND [SECONDS]]]      default: 1000 10000000 100
set -euo pipefail
cd "$(dirname "$0")/.."

export SCALE_SHARDS=${1:-1000} SCALE_RATE=${2:-10000000} SCALE_SECONDS=${3:-100}
export SCALE_FOLDER=$PWD/target/scale/files
rm -rf target/scale
mkdir -p "$SCALE_FOLDER"
cargo build --quiet --release --locked
echo "writing $SCALE_SHARDS run files" >&2
cargo test --quiet --release --locked --lib -- --ignored --exact load::scale::run_files_of_shards_that_never_ran >target/scale/written.out 2>&1 ||
  { cat target/scale/written.out >&2; exit 1; }

echo "| what | time |"
echo "| --- | --- |"
cargo test --quiet --release --locked --lib -- --ignored --nocapture --exact load::scale::time_of_finding_a_request |
  grep -o '| .* |$'
echo
echo "$(date -u +%F), $(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -1), $(nproc) cores, $(rustc --version)"
echo
echo "| shards | requests | bytes of run files | time of the merge | peak memory |"
echo "| --- | --- | --- | --- | --- |"
python3 - "$PWD/target/release/ingester-perf" <<'PYTHON'
import json, os, resource, subprocess, sys, time
from pathlib import Path

perf = sys.argv[1]
shards = int(os.environ["SCALE_SHARDS"])
asked = int(os.environ["SCALE_RATE"]) * int(os.environ["SCALE_SECONDS"])
files = sorted(Path(os.environ["SCALE_FOLDER"]).iterdir())
assert len(files) == shards, len(files)
seconds = {}
for share in (4, 2, 1):
    part = files[: shards // share]
    reports = Path(f"target/scale/reports-{len(part)}")
    begun = time.monotonic()
    merged = subprocess.run([perf, "load", "merge", *part, "--report-dir", reports], capture_output=True, text=True)
    seconds[share] = time.monotonic() - begun
    # Of a part of the shards the others are missing.
    assert merged.returncode == (0 if share == 1 else 3), merged.stdout + merged.stderr
    load = json.load(open(reports / "load.json"))["load"]
    assert load["shards"]["counted"] == len(part), load["shards"]["counted"]
    if share == 1:
        assert load["scheduled"] == asked, load["scheduled"]
    # The largest so far, in KB; each merge is larger than the one before.
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    size = sum(file.stat().st_size for file in part) / 2**20
    print(f"| {len(part)} | {load['scheduled']:,} | {size:,.0f} MB | {seconds[share]:.1f} s | {memory:,.0f} MB |")
assert seconds[1] < 60, f"{seconds[1]:.0f} s"
assert memory < 2048, f"{memory:.0f} MB"
# Four times the shards in four times the time: half as much again for what is not measured twice alike.
assert seconds[1] < 1.5 * 4 * seconds[4], seconds
PYTHON
