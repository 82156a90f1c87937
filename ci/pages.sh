#!/usr/bin/env bash
# Do pages work in a browser? Makes pages by running the commands, opens each in Chromium at 1280 and 390 pixels, in light and
# dark colours, and fails on an error in the console, anything that a page asks for, a page that is wider than its window, and
# a serious finding of axe (accessibility). One page is full of text that would run code if it were not escaped, and one is of
# a minute at 1,000 requests a second, which has to stay below 2 MB and to load within a second. Screenshots: target/pages.
#
# Installs what it needs: chromium, nodejs and npm from Debian (as root), playwright-core and axe-core from npm into a folder
# that it removes. Takes about three minutes after the build.
#
# usage: ci/pages.sh
set -euo pipefail
cd "$(dirname "$0")/.."

out=$PWD/target/pages
work=$(mktemp -d)
server=
cleanup() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
rm -rf "$out"
mkdir -p "$out"

need() { # a program, and the Debian package that has it
  command -v "$1" >/dev/null && return
  echo "installing $2" >&2
  apt-get install -y -qq "$2" >/dev/null || { echo "$1 is missing: install $2, for which this script has to be root" >&2; exit 2; }
}
need chromium chromium
need node nodejs
need npm npm
npm install --silent --no-audit --no-fund --no-save --prefix "$work" playwright-core@1.65.1 axe-core@4.14.1

cargo build --quiet --release --locked --bins --example page
perf=$PWD/target/release/ingester-perf
# What is set for a service of somebody's own must not decide which one is measured.
for name in $(compgen -e INGESTER_ || true); do unset "$name"; done

measure() { # name of the log, command...: any verdict will do
  local log=$out/$1.log code=0
  shift
  "$@" >"$log" 2>&1 || code=$?
  case $code in
  0 | 1 | 3) ;;
  *)
    echo "FAILED: $* ended with $code" >&2
    tail -20 "$log" >&2
    exit 1
    ;;
  esac
}

make_page() { # name, command...
  local page=$out/$1.html
  measure "$@" --export "html=$page"
  [ -s "$page" ] || { echo "FAILED: $1 has no page" >&2; exit 1; }
}

take() { # page that a command writes of its own accord, name
  [ -s "$1" ] || { echo "FAILED: $2 was not written" >&2; exit 1; }
  cp "$1" "$out/$2.html"
}

reports=$work/reports
make_page load "$perf" load --preset normal --report-dir "$reports"
take "$reports/index.html" load-index
make_page minute "$perf" load --rate 1000 --duration 60s --file-size 1KB --report-dir "$work/minute"
make_page leak "$perf" leak --duration 10s --report-dir "$work/leak"
report=$reports/load_concurrent_upload_10.json
make_page compare "$perf" compare "$report" "$report"
# Two files of the same build: a few bytes behind the last one change nothing.
cp "$perf" "$work/head"
printf 'xx' >>"$work/head"
make_page gate "$perf" gate --base-exe "$perf" --head-exe "$work/head" --case jwt/validate --budget 5s --pairs 10 \
  --max-pairs 10 --no-counters --out "$work/gate"
CRITERION_HOME=$work/criterion INGESTER_REPORT_DIR=$work/bench measure bench "$perf" bench jwt/validate --noplot \
  --sample-size 10 --warm-up-time 0.1 --measurement-time 0.5
take "$work/bench/index.html" bench

# Every part that a page may have; then with text that would run code; then the same from a service.
hostile='"><script>window.hostile=1</script><img src=x onerror=window.hostile=1>'
target/release/examples/page >"$out/parts.html"
target/release/examples/page "$hostile" >"$out/hostile.html"
node ci/pages/hostile.js "$hostile" >"$work/port" &
server=$!
until [ -s "$work/port" ]; do
  kill -0 "$server" 2>/dev/null || { echo "FAILED: the hostile service did not start" >&2; exit 1; }
  sleep 0.1
done
INGESTER_TOKEN=a.bearer.token INGESTER_EVEN_IF_FAILING=1 make_page hostile-service "$perf" load \
  --url "http://127.0.0.1:$(cat "$work/port")" --users 2 --requests 20 --file-size 1KB --report-dir "$work/hostile"
grep -q '&lt;script&gt;window.hostile' "$out/hostile-service.html" || {
  echo "FAILED: the page does not quote the hostile service" >&2
  exit 1
}

echo "$(date -u +%F), $(chromium --version), $(nproc) cores"
NODE_PATH=$work/node_modules node ci/pages/check.js "$(command -v chromium)" "$work/profile" "$out"
