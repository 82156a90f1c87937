#!/usr/bin/env bash
# Does the search over commits name the slow one, and several where it cannot tell? For each seed a repository is made here,
# with a service in Python (tests/common/service.py) and 16 commits after the first. From one of them on, a request spins for a
# quarter of what it took. Up to three commits cannot be told: one does not build, one does not start, and one has processes of
# two speeds. For every second seed one of these is the slow commit itself, or the one before it. The answer has to be the
# commit, or just those that cannot be told from it. Prints Markdown; the figures stand in docs/gate.md. Needs Python 3 and an
# otherwise idle machine. Takes under two minutes a seed.
#
# Every search is kept in a folder of its own under target/bisect-proof; those that are there are not run again, so the script
# can be stopped and started at will. To begin anew, remove that folder.
#
# usage: [SEEDS=10] ci/bisect-proof.sh
set -euo pipefail
cd "$(dirname "$0")/.."

home=$PWD
out=$home/target/bisect-proof
seeds=${SEEDS:-10}
id=upload/100KB
mkdir -p "$out"

# One build for all of it, however often the script is started.
if [ ! -x "$out/ingester-perf" ]; then
  cargo build --quiet --release --locked
  cp target/release/ingester-perf "$out/ingester-perf"
fi

# A repository for this seed, and beside it what the search has to say of it.
repository() { # folder, seed
  rm -rf "$1"
  mkdir -p "$1"
  git -C "$1" init --quiet --initial-branch=main
  python3 - "$1" "$2" tests/common/service.py <<'PYTHON'
import json, random, subprocess, sys

folder, seed, service = sys.argv[1], int(sys.argv[2]), open(sys.argv[3]).read()
LAST = 16
draw = random.Random(seed)
slow = draw.randint(1, LAST)
# The ends have to be measured.
inner = list(range(1, LAST))
untold = set(draw.sample(inner, 3))
if seed % 2 == 0:
    # One that matters. Where the last commit is the slow one, that is the one before.
    untold.pop()
    untold.add(min(slow, LAST - 1))
kinds = dict(zip(sorted(untold), draw.sample(["does not build", "does not start", "two speeds"], 3)))

# A request that is slower spins for a share of its own time, so that the machine's speed makes no difference.
began = "    def do_POST(self):\n"
answered = '        answer = {"id": name, "bytes": len(content), "md5": work(content)}\n'
assert began in service and answered in service
service = service.replace(began, began + "        began = time.perf_counter()\n")
service = service.replace(answered, answered + "        until = began + (time.perf_counter() - began) * (1 + SLOWER)\n"
                          "        while time.perf_counter() < until:\n            pass\n")
service = service.replace("import hashlib\n", "import hashlib\nimport random\nimport time\n")


def write(name, text):
    with open(f"{folder}/{name}", "w") as file:
        file.write(text)


def git(*args):
    command = ["git", "-C", folder, "-c", "user.name=ingester-perf", "-c", "user.email=ci@localhost", *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


write(".gitignore", "target/\n__pycache__/\n")
write("ingester-perf.toml", """[service]
build = "python3 -m py_compile service.py"
serve = "exec python3 service.py {port} {dir}"
ready = "/health"

[api]
path = "/upload"
file_field = "upload"
token = "none"
size = "/bytes"
checksum = "/md5"
checksum_algorithm = "md5"

[[case]]
group = "upload"
name = "100KB"
file_size = "100KB"
""")
ids = []
for place in range(LAST + 1):
    kind = kinds.get(place)
    share = "0.25" if place >= slow else "0.0"
    if kind == "two speeds":
        share = "random.choice([0.0, 0.25])"
    text = service.replace("FOLDER = sys.argv[2]\n", f"FOLDER = sys.argv[2]\nSLOWER = {share}\nCHANGE = {place}\n")
    if kind == "does not build":
        text += "def broken(:\n"
    if kind == "does not start":
        text = text.replace("import hashlib\n", "import hashlib\nimport nothing_of_this_name\n")
    write("service.py", text)
    git("add", "--all")
    git("commit", "--quiet", "--message", f"Change {place}" + (f": {kind}" if kind else ""))
    ids.append(git("rev-parse", "HEAD"))
without = max(place for place in range(slow) if place not in kinds)
found = min(place for place in range(slow, LAST + 1) if place not in kinds)
truth = {"slow": slow, "kinds": {str(place): kind for place, kind in kinds.items()}, "ids": ids,
         "expected": list(range(without + 1, found + 1))}
with open(f"{folder}.truth.json", "w") as file:
    json.dump(truth, file)
PYTHON
}

search() { # seed
  local dir=$out/$1
  if [ -e "$dir.exit" ]; then return; fi
  echo "$(date +%T) seed $1" >&2
  repository "$dir" "$1"
  local began code=0
  began=$(date +%s)
  (cd "$dir" && "$out/ingester-perf" gate --bisect main~16..main --case "$id" --seed "$1" \
    --budget 7s --pairs 14 --max-pairs 14 --out "$dir.search") >"$dir.log" 2>&1 || code=$?
  # Measured: nothing slower, found, not told. All else is no search.
  case $code in 0 | 1 | 3) ;; *) cat "$dir.log" >&2; exit "$code" ;; esac
  echo "$(($(date +%s) - began))" >"$dir.took"
  echo "$code" >"$dir.exit"
}

for seed in $(seq "$seeds"); do search "$seed"; done

echo "$(date -u +%F), $(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -1), $(nproc) cores, $(python3 --version)"
echo
python3 - "$out" "$seeds" <<'PYTHON'
import json, sys

out, seeds = sys.argv[1], int(sys.argv[2])
right = 0
print("| seed | slow | cannot be told | expected | answer | effect | steps | took |")
print("| --- | --- | --- | --- | --- | --- | --- | --- |")
for seed in range(1, seeds + 1):
    truth = json.load(open(f"{out}/{seed}.truth.json"))
    verdict = json.load(open(f"{out}/{seed}.search/verdict.json"))
    steps = len(json.load(open(f"{out}/{seed}.search/bisect.json"))["steps"])
    answer = [truth["ids"].index(commit) for commit in verdict["commits"]]
    finding = "found" if len(truth["expected"]) == 1 else "one_of_several"
    is_right = answer == truth["expected"] and verdict["finding"] == finding
    right += is_right
    untold = ", ".join(f"{place} {kind}" for place, kind in truth["kinds"].items())
    effect = f"{100 * verdict['effect']['share']:+.1f} %" if verdict["effect"] else "-"
    said = ", ".join(map(str, answer)) + ("" if is_right else f" WRONG ({verdict['finding']})")
    print(f"| {seed} | {truth['slow']} | {untold} | {', '.join(map(str, truth['expected']))} | {said} | {effect} | {steps} | "
          f"{open(f'{out}/{seed}.took').read().strip()} s |")
print(f"\n{right} of {seeds} searches named just the commits that they should.")
sys.exit(right < seeds)
PYTHON
