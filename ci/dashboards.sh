#!/usr/bin/env bash
# Do the dashboards under ci/grafana show what a run tells? Starts a Prometheus of its own on a free port of loopback, lets it
# fetch the metrics of one load, has another load push its own, and asks every query of dashboard.json: each has to return
# data. What was pushed has to be exactly what the report says. Grafana itself is not in Debian: the form of the dashboard is
# checked by a schema that is kept beside it.
#
# Installs prometheus and python3-jsonschema from Debian (as root). Fails where it cannot run. Takes a minute after the build;
# prints Markdown.
#
# usage: ci/dashboards.sh
set -euo pipefail
cd "$(dirname "$0")/.."

packages=()
command -v prometheus >/dev/null && command -v promtool >/dev/null || packages+=(prometheus)
python3 -c 'import jsonschema' 2>/dev/null || packages+=(python3-jsonschema)
command -v curl >/dev/null || packages+=(curl)
if [ ${#packages[@]} -gt 0 ]; then
  echo "installing ${packages[*]}" >&2
  # In runlevel 1 Debian starts no server of a package that it installs: this script starts its own.
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2 ||
    { echo "${packages[*]} cannot be installed: run apt-get update, or be root" >&2; exit 2; }
fi

cargo build --quiet --release --locked
perf=$PWD/target/release/ingester-perf
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$work"' EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

die() { # what is wrong, a log
  echo "$1" >&2
  tail -20 "$2" >&2
  exit 1
}

load() { # its name, arguments: a load whose verdict does not matter here
  local name=$1 code=0
  shift
  "$perf" load --name "$name" --report-dir "$work" "$@" >"$work/$name.log" 2>&1 || code=$?
  case $code in 0 | 1 | 3) ;; *) die "the load $name ended with $code" "$work/$name.log" ;; esac
}

port=$(free_port)
metrics=$(free_port)
url=http://127.0.0.1:$port
sed "s/127\.0\.0\.1:9464/127.0.0.1:$metrics/" ci/grafana/prometheus.yml >"$work/prometheus.yml"
promtool check config ci/grafana/prometheus.yml
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" --web.listen-address="127.0.0.1:$port" \
  --web.enable-remote-write-receiver >"$work/prometheus.log" 2>&1 &
prometheus=$!
for _ in $(seq 100); do
  curl --silent --fail "$url/-/ready" >/dev/null && break
  kill -0 $prometheus 2>/dev/null || die "Prometheus ended" "$work/prometheus.log"
  sleep 0.2
done
curl --silent --fail "$url/-/ready" >/dev/null || die "Prometheus is not ready after 20 s" "$work/prometheus.log"

begun=$(date +%s)
load earlier --users 2 --duration 3s --file-size 10KB
# From here on some uploads fail, so that failures have something to show. Of a run with failures p99 may not be known, and no
# baseline can be without it.
export INGESTER_FAULTS=status=503,share=2%
load fetched --rate 100 --duration 25s --file-size 10KB --metrics-addr "127.0.0.1:$metrics" --baseline "$work/earlier.json" &
fetched=$!
sleep 10
kill -0 $fetched 2>/dev/null || die "the load that is fetched ended early" "$work/fetched.log"
curl --silent --fail "http://127.0.0.1:$metrics/metrics" >"$work/metrics"
promtool check metrics <"$work/metrics"
echo "metrics: $(grep -c -v '^#' "$work/metrics") series, without complaint from promtool"
wait $fetched
load pushed --users 2 --duration 16s --file-size 10KB --push-url "$url/api/v1/write" --baseline "$work/earlier.json"
grep -q -- '--push-url' "$work/pushed.log" && die "a push failed" "$work/pushed.log"
ended=$(($(date +%s) + 1))

echo
python3 ci/grafana/panels.py "$url" "$begun" "$ended"

# What was pushed at the end is what the report says, exactly.
python3 - "$url" "$work/pushed.json" <<'PYTHON'
import json, sys, urllib.parse, urllib.request
url, report = sys.argv[1], json.load(open(sys.argv[2]))
wanted = {
    'sum(ingester_perf_requests_total{operation="pushed"})': report["load"]["scheduled"],
    'ingester_perf_requests_total{operation="pushed",outcome="ok"}': report["successful_requests"],
    'ingester_perf_requests_total{operation="pushed",outcome="http_5xx"}': report["failed_requests"],
    'ingester_perf_latency_seconds_count{operation="pushed"}': report["successful_requests"],
}
for query, expected in wanted.items():
    answer = urllib.request.urlopen(f"{url}/api/v1/query?" + urllib.parse.urlencode({"query": query}), timeout=10)
    found = json.load(answer)["data"]["result"]
    value = int(found[0]["value"][1]) if found else None
    if value != expected:
        sys.exit(f"{query} is {value}, and the report says {expected}")
print(f"Pushed totals are those of the report: {report['load']['scheduled']} requests.")
PYTHON
