#!/usr/bin/env bash
# Does `load --find` find what a service holds? Against a service whose limit follows from queueing theory: four workers of 20 ms,
# p99 below 100 ms. Searches it 20 times: the rate has to lie within 5 % of the true one in 18 of them. Then compares it with a
# service that is 20 % slower, ten times, and with itself, ten times. Prints Markdown; the figures stand in docs/capacity.md.
# Takes about seven hours of a machine with nothing else to do, most of it for the comparisons; needs python3.
#
# usage: ci/capacity.sh [SEARCHES [COMPARISONS]]
#   STEP=5s ci/capacity.sh 4 2      shorter steps than the usual 10 s, fewer searches
set -euo pipefail
cd "$(dirname "$0")/.."
searches=${1:-20}
comparisons=${2:-10}
step=${STEP:-10s}
limit_ms=100

cargo build --quiet --release --locked
perf=$PWD/target/release/ingester-perf
work=$(mktemp -d)
# shellcheck disable=SC2046 # ids of jobs are words
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT

serve() { # name, workers, milliseconds: prints the URL
  python3 ci/capacity_service.py "$2" "$3" >"$work/$1" &
  until grep -q http "$work/$1"; do sleep 0.1; done
}
serve base 4 20
serve slower 4 24
serve same 4 20

search() { # seed, further arguments: exit code in $code, report in $work/capacity.json
  code=0
  INGESTER_TOKEN=a.bearer.token "$perf" load --find p99_ms=$limit_ms --url "$(cat "$work/base")" --seed "$1" --duration "$step" \
    --file-size 1KB --max-bytes 1000GB --report-dir "$work" "${@:2}" >"$work/out" 2>"$work/err" || code=$?
  case $code in 0 | 1 | 3) ;; *) cat "$work/err" >&2; exit "$code" ;; esac
}

# 100 ms are five times of service.
load=$(python3 ci/capacity_service.py --solve 4 5)
echo "$(date -u +%F), $(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -1), $(nproc) cores; steps of $step"
echo
echo "True rate: $(python3 -c "print('%.1f' % ($load * 4 / 0.020))") a second, that is $load of what four workers can do."
echo
echo "| search | found | 95 % interval | off by | covers | exit code | steps | took |"
echo "| --- | --- | --- | --- | --- | --- | --- | --- |"
for seed in $(seq "$searches"); do
  began=$(date +%s)
  search "$seed"
  python3 - "$work/capacity.json" "$load" "$seed" "$code" $(($(date +%s) - began)) "$work/close" <<'PYTHON'
import json, sys
path, load, seed, code, took, close = sys.argv[1:]
true = float(load) * 4 / 0.020
report = json.load(open(path))
found = report['load']['capacity']['services'][0]
rate, lower, upper = found['rate'], found['lower'], found['upper']
off = rate / true - 1 if rate else float('nan')
covers = bool(rate) and lower <= true <= upper
print(f"| {seed} | {rate:.1f} | {lower:.1f} to {upper:.1f} | {100 * off:+.1f} % | {'yes' if covers else 'no'} | {code} | "
      f"{len(report['load']['runs'])} | {took} s |" if rate else f'| {seed} | {found["finding"]} | | | no | {code} | | {took} s |')
open(close, 'a').write(f"{int(abs(off) <= 0.05)} {int(covers)}\n")
PYTHON
done
close=$(awk '{ n += $1 } END { print n + 0 }' "$work/close")
covering=$(awk '{ n += $2 } END { print n + 0 }' "$work/close")
echo
echo "$close of $searches within 5 %, $covering of $searches intervals cover the true rate."

echo
echo "| compared with | change | 95 % interval | told apart | exit code |"
echo "| --- | --- | --- | --- | --- |"
for other in slower same; do
  for seed in $(seq "$comparisons"); do
    search $((100 + seed)) --compare-url "$(cat "$work/$other")"
    python3 - "$work/capacity.json" "$other" "$code" "$work/$other.told" <<'PYTHON'
import json, sys
path, other, code, told = sys.argv[1:]
change = json.load(open(path))['load']['capacity'].get('change')
apart = bool(change) and (change['lower'] > 0 or change['upper'] < 0)
percent = [f"{100 * change[key]:+.1f} %" for key in ('share', 'lower', 'upper')] if change else ['-'] * 3
print(f"| {other} | {percent[0]} | {percent[1]} to {percent[2]} | {'yes' if apart else 'no'} | {code} |")
open(told, 'a').write(f"{int(apart)}\n")
PYTHON
  done
done
told=$(awk '{ n += $1 } END { print n + 0 }' "$work/slower.told")
alarms=$(awk '{ n += $1 } END { print n + 0 }' "$work/same.told")
echo
echo "$told of $comparisons told apart from a service that is 20 % slower; $alarms of $comparisons from itself."
# Nine in ten, as for 18 of 20.
[ "$((10 * close))" -ge "$((9 * searches))" ] && [ "$told" -eq "$comparisons" ] && [ "$alarms" -le "$(((comparisons + 9) / 10))" ]
