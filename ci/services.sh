#!/usr/bin/env bash
# Does the gate judge services that are not ours? A FastAPI service under uvicorn, a Node service (express, multer) and the
# crate in examples/own_router, each in a repository made here with three commits: the first; one that changes a comment; one
# that is slower. The comment must not be called slower, the slowdown has to be named. Also: raw bodies to nginx's WebDAV.
#
# Installs what it needs: python3-venv, nodejs, npm and nginx from Debian (as root), the rest from PyPI and npm.
# Takes about forty minutes of an otherwise idle machine for all; prints Markdown. The figures stand in docs/gate.md.
#
# usage: ci/services.sh [PART...]      parts: fastapi node crate nginx; default: all
#   SESSIONS=10 ci/services.sh fastapi      so many sessions of the comment, not one
# shellcheck disable=SC2329 # parts are called by name
set -euo pipefail
cd "$(dirname "$0")/.."

home=$PWD
out=$home/target/services
sessions=${SESSIONS:-1}
parts=${*:-fastapi node crate nginx}
mkdir -p "$out"

need() { # a program, and the Debian packages that have it
  local program=$1
  shift
  command -v "$program" >/dev/null && return
  echo "installing $*" >&2
  apt-get install -y -qq "$@" >/dev/null || { echo "$program is missing: install $*" >&2; exit 2; }
}

cargo build --quiet --release --locked
perf=$home/target/release/ingester-perf

repository() { # folder: an empty repository
  rm -rf "$1"
  mkdir -p "$1"
  git -C "$1" init --quiet --initial-branch=main
  printf 'target/\nnode_modules/\n__pycache__/\n' >"$1/.gitignore"
}

commit() { # folder, tag
  git -C "$1" add --all
  git -C "$1" -c user.name=ingester-perf -c user.email=ci@localhost commit --quiet --message "$2"
  git -C "$1" tag "$2"
}

gate() { # folder, head's tag, what for, further arguments: one row of the table
  local folder=$1 head=$2 what=$3
  shift 3
  local began code=0
  began=$(date +%s)
  (cd "$folder" && "$perf" gate --base first --head "$head" --out "$out/${folder##*/}-$what" "$@") \
    >"$out/${folder##*/}-$what.log" 2>&1 || code=$?
  local took=$(($(date +%s) - began))
  python3 - "$out/${folder##*/}-$what/verdict.json" "${folder##*/}" "$what" "$code" "$took" <<'PYTHON'
import json, sys
path, service, what, code, took = sys.argv[1:]
try:
    verdict = json.load(open(path))
except FileNotFoundError:
    print(f'| {service} | {what} | exit code {code}: no verdict | {took} s |')
    sys.exit()
cases = []
for case in verdict['cases']:
    effect = case.get('effect', {}).get('share')
    share = 'not measured' if effect is None else f'{100 * effect:+.1f} %'
    cases.append(f"{case['id']} {share} {case['finding']}")
print(f"| {service} | {what} | {verdict['conclusion']}: {'; '.join(cases)} | {took} s |")
PYTHON
  case $code in 0 | 1 | 3) ;; *) tail -20 "$out/${folder##*/}-$what.log" >&2; exit "$code" ;; esac
  echo "$code" >"$out/${folder##*/}-$what.code"
}

check() { # file of an exit code, wanted codes, what is proved
  case " $2 " in *" $(cat "$1") "*) ;; *) echo "FAILED: $3 (exit code $(cat "$1"))" >&2; failed=1 ;; esac
}
failed=0

compare() { # folder, further arguments: comment and slowdown
  local folder=$1 name=${1##*/}
  shift
  for i in $(seq "$sessions"); do
    gate "$folder" comment "comment-$i" "$@"
    check "$out/$name-comment-$i.code" "0 3" "a comment is called a slowdown of $name"
  done
  gate "$folder" slower slower "$@"
  check "$out/$name-slower.code" "1" "a slowdown of $name is not named"
}

api() { # the rest of a configuration: one case of 100 KB
  cat <<'TOML'

[api]
path = "/upload"
file_field = "file"
token = "none"
success = [200, 201]
size = "/size"
checksum = "/sha256"

[[case]]
group = "upload"
name = "100KB"
file_size = "100KB"
TOML
}

measure_fastapi() {
  need python3 python3 python3-venv
  local folder=$out/fastapi venv=$out/venv
  if [ ! -x "$venv/bin/uvicorn" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet fastapi uvicorn python-multipart
  fi
  repository "$folder"
  cat >"$folder/app.py" <<'PYTHON'
import hashlib

from fastapi import FastAPI, UploadFile

app = FastAPI()


def digest(content):
    # How many times the content is hashed.
    for _ in range(TIMES):
        checksum = hashlib.sha256(content).hexdigest()
    return checksum


TIMES = 1


@app.get("/health")
async def health():
    return {}


@app.post("/upload", status_code=201)
async def upload(file: UploadFile):
    content = await file.read()
    return {"size": len(content), "sha256": digest(content)}
PYTHON
  { printf '[service]\nserve = "exec %s/bin/uvicorn app:app --host 127.0.0.1 --port {port} --no-access-log"\nready = "/health"\n' "$venv"; api; } \
    >"$folder/ingester-perf.toml"
  commit "$folder" first
  sed -i 's/# How many times the content is hashed./# How often the content is hashed./' "$folder/app.py"
  commit "$folder" comment
  # Hashed again, which is about a tenth of an upload of 100 KB.
  sed -i 's/^TIMES = 1/TIMES = 2/' "$folder/app.py"
  commit "$folder" slower
  compare "$folder"
}

measure_node() {
  need node nodejs
  need npm npm
  local folder=$out/node
  repository "$folder"
  cat >"$folder/app.js" <<'JS'
const crypto = require('node:crypto')
const express = require('express')
const multer = require('multer')

const app = express()
const upload = multer({ storage: multer.memoryStorage() })
const times = 1

function digest (content) {
  // How many times the content is hashed.
  let checksum
  for (let n = 0; n < times; n++) checksum = crypto.createHash('sha256').update(content).digest('hex')
  return checksum
}

app.get('/health', (request, response) => response.json({}))
app.post('/upload', upload.single('file'), (request, response) => {
  response.status(201).json({ size: request.file.size, sha256: digest(request.file.buffer) })
})
app.listen(process.env.PORT, '127.0.0.1')
JS
  printf '{ "name": "node", "private": true, "dependencies": { "express": "^4", "multer": "^1.4.5-lts.1" } }\n' >"$folder/package.json"
  { printf '[service]\nbuild = "npm install --silent --no-audit --no-fund"\nserve = "exec node app.js"\nready = "/health"\n'; api; } \
    >"$folder/ingester-perf.toml"
  (cd "$folder" && npm install --silent --no-audit --no-fund --package-lock-only)
  commit "$folder" first
  sed -i 's/How many times/How often/' "$folder/app.js"
  commit "$folder" comment
  sed -i 's/^const times = 1/const times = 2/' "$folder/app.js"
  commit "$folder" slower
  compare "$folder"
}

measure_crate() {
  local folder=$out/crate
  repository "$folder"
  cp -r examples/own_router/. "$folder"
  rm -rf "$folder/target"
  # Elsewhere than in this checkout, the way to this package is another one.
  sed -i "s#path = \"../..\"#path = \"$home\"#" "$folder/Cargo.toml"
  commit "$folder" first
  sed -i 's/^\/\/\/ Largest file that is taken./\/\/\/ The largest file that is taken./' "$folder/src/lib.rs"
  commit "$folder" comment
  # About five percent slower at 1 MB: a part of the content is hashed once more.
  sed -i "s#^fn hash(body: &\[u8\]) -> String {#fn hash(body: \&[u8]) -> String {\n    let again = body.len() / ${CRATE_PART:-16};\n    std::hint::black_box(Sha256::digest(\&body[..again]));#" "$folder/src/lib.rs"
  commit "$folder" slower
  compare "$folder" --bench perf --case upload/1MB
  # Dependencies were compiled for the gate.
  export CARGO_TARGET_DIR=$folder/target/gate/target
  (cd "$folder" && git checkout --quiet first &&
    cargo bench --quiet -- upload/ --noplot --save-baseline main >"$out/crate-bench.log" 2>&1 &&
    cargo bench --quiet -- upload/ --noplot --baseline main >>"$out/crate-bench.log" 2>&1) ||
    { echo "FAILED: cargo bench in the crate" >&2; tail -20 "$out/crate-bench.log" >&2; failed=1; }
  unset CARGO_TARGET_DIR
}

measure_nginx() {
  need nginx nginx
  local folder=$out/nginx
  rm -rf "$folder"
  mkdir -p "$folder"
  cat >"$folder/nginx.conf.in" <<'NGINX'
daemon off;
user USER;
worker_processes 1;
error_log stderr;
pid DIR/nginx.pid;
events {}
http {
  access_log off;
  client_max_body_size 64m;
  client_body_temp_path DIR/body;
  proxy_temp_path DIR/proxy;
  fastcgi_temp_path DIR/fastcgi;
  uwsgi_temp_path DIR/uwsgi;
  scgi_temp_path DIR/scgi;
  server {
    listen 127.0.0.1:PORT;
    root DIR/files;
    location / { dav_methods PUT DELETE; create_full_put_path on; }
  }
}
NGINX
  cat >"$folder/ingester-perf.toml" <<'TOML'
[service]
serve = "mkdir -p {dir}/files && sed -e s#DIR#{dir}#g -e s#PORT#{port}#g -e s#USER#$(id -un)#g nginx.conf.in > {dir}/nginx.conf && exec nginx -e stderr -c {dir}/nginx.conf"

[api]
path = "/{uuid}/{name}"
body = "raw"
token = "none"
success = [201, 204]

[cleanup]
path = "/{uuid}/{name}"

[[case]]
group = "upload"
name = "1MB"
file_size = "1MB"
TOML
  (cd "$folder" && "$perf" load --preset normal && "$perf" bench --noplot upload/1MB) >"$out/nginx.log" 2>&1 || {
    echo "FAILED: nginx" >&2
    tail -20 "$out/nginx.log" >&2
    failed=1
  }
  grep -h "^Content not verified\|^Removed\|^ concurrent_upload_10 \|^ upload_1MB " "$out/nginx.log" | sed 's/^/| nginx | PUT | /; s/$/ | |/'
}

echo "$(date -u +%F), $(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -1), $(nproc) cores"
echo
echo "| service | change | verdict | time |"
echo "| --- | --- | --- | --- |"
for part in $parts; do "measure_$part"; done
exit "$failed"
