#!/usr/bin/env bash
# What does the generator itself cost, compared with oha and wrk? Both have to be on the path. 10 connections send signed uploads
# of 10 KB to the stub in a process of its own: requests a second, CPU time per request, peak memory; then what pacing costs.
# Prints Markdown; the figures stand in docs/proof.md.
#
# usage: ci/versus.sh [SECONDS]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-10}
for tool in oha wrk curl /usr/bin/time; do
  command -v "$tool" >/dev/null || { echo "$tool is not on the path" >&2; exit 2; }
done

cargo build --quiet --release --locked
perf=$PWD/target/release/ingester-perf
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT
"$perf" serve --listen 127.0.0.1:0 --print-token >"$work/token" 2>"$work/serve" &
until url=$(grep -o 'http://[0-9.:]*' "$work/serve"); do sleep 0.1; done
token=$(cat "$work/token")
upload=$url/api/v1/files/upload

# The body that every tool sends.
boundary=versus-boundary
{
  printf -- '--%s\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n' $boundary
  head -c 10240 /dev/zero | tr '\0' 'a'
  printf -- '\r\n--%s--\r\n' $boundary
} >"$work/body"
cat >"$work/upload.lua" <<LUA
wrk.method = "POST"
local file = io.open("$work/body", "rb")
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = "multipart/form-data; boundary=$boundary"
wrk.headers["Authorization"] = "Bearer $token"
LUA

row() { # name, command: what it says goes to $work/out; the figure of requests comes from the caller
  /usr/bin/time -f '%U %S %M' -o "$work/time" "${@:2}" >"$work/out" 2>"$work/err"
  read -r user system memory <"$work/time"
  "requests_of_$1"
  awk -v name="$1" -v n="$requests" -v s="$seconds" -v cpu="$user $system" -v kb="$memory" 'BEGIN {
    split(cpu, part, " "); us = 1e6 * (part[1] + part[2]) / n
    printf "| %s | %.0f | %.1f | %.1f |\n", name, n / s, us, kb / 1024 }'
}
requests_of_oha() { requests=$(grep -oE '\[201\] [0-9]+' "$work/out" | grep -oE '[0-9]+$'); }
requests_of_wrk() { requests=$(sed -n 's/^ *\([0-9]*\) requests in .*/\1/p' "$work/out"); }
requests_of_ingester-perf() { requests=$(python3 -c "import json; print(json.load(open('$work/load.json'))['successful_requests'])"); }

load=("$perf" load --url "$url" --token-file "$work/token" --max-bytes 1000GB --file-size 10KB --report-dir "$work")
echo "$(date -u +%F), $(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -1), $(nproc) cores; $(oha --version), $(wrk -v 2>&1 | head -1)"
echo
echo "| tool | requests/s | CPU us a request | peak memory, MB |"
echo "| --- | --- | --- | --- |"
for _ in 1 2 3; do
  row oha oha --no-tui -c 10 -z "${seconds}s" -m POST -D "$work/body" -H "Authorization: Bearer $token" \
    -H "Content-Type: multipart/form-data; boundary=$boundary" "$upload"
  row wrk wrk -t 1 -c 10 -d "${seconds}s" -s "$work/upload.lua" "$upload"
  row ingester-perf "${load[@]}" --users 10 --duration "${seconds}s"
done
unpaced=$((requests / seconds))
"${load[@]}" --rate $((unpaced * 2)) --at-once 10 --duration "${seconds}s" --grace 0s >/dev/null 2>&1 || true
requests_of_ingester-perf
echo
echo "Asked for twice as much on a schedule: $((requests / seconds)) requests/s, $((100 * requests / seconds / unpaced)) % of unpaced."
