#!/usr/bin/env bash
# Does a load through Slurm add up, and is a node that dies named? A whole cluster on this machine: Debian's slurm-wlm, which is
# built so that several slurmd can run on one host, with a controller and four nodes. First a run of four shards against
# `ingester-perf serve`, merged and counted; then a run in which one node is killed: exit code 3, with the shard's name.
#
# Needs root and Debian (installs slurm-wlm, munge and python3 where they are missing). Takes about three minutes.
#
# usage: ci/slurm/try.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() { printf '%s\n' "$*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "ci/slurm/try.sh needs root: slurmd starts jobs as other users" >&2; exit 2; }
for program in slurmctld slurmd srun munged python3; do
  command -v "$program" >/dev/null && continue
  apt-get install -y -qq slurm-wlm munge python3 >/dev/null || { echo "cannot install slurm-wlm, munge and python3" >&2; exit 2; }
done

cargo build --quiet --release --locked
perf=$PWD/target/release/ingester-perf
sbatch_file=$PWD/ci/slurm/load.sbatch
work=$(mktemp -d /var/tmp/ingester-perf-slurm.XXXXXX)
# munged lets others than root use its socket only where they can get to it.
chmod 711 "$work"

pids() { cat "$work"/*.pid 2>/dev/null || true; }
cleanup() {
  # What the daemons have started first: it would be waited for.
  scancel --full --user root >/dev/null 2>&1 || true
  for pid in $(pids); do kill "$pid" 2>/dev/null || true; done
  sleep 1
  for pid in $(pids); do kill -KILL "$pid" 2>/dev/null || true; done
  [ "${KEEP:-}" ] || rm -rf "$work"
}
trap cleanup EXIT

host=$(hostname -s)
head -c 1024 /dev/urandom >"$work/munge.key"
chmod 400 "$work/munge.key"
cat >"$work/slurm.conf" <<CONF
ClusterName=try
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=27000
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge.socket
CredType=cred/munge
# Nothing of systemd's or of control groups: neither is to be had in a container.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/linear
ReturnToService=2
# A node that does not answer is down after this many seconds.
SlurmdTimeout=10
SlurmctldTimeout=10
KillWait=10
StateSaveLocation=$work/state
SlurmctldPidFile=$work/slurmctld.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdSpoolDir=$work/spool.%n
SlurmdPidFile=$work/slurmd.%n.pid
SlurmdLogFile=$work/slurmd.%n.log
NodeName=n[0-3] NodeHostname=$host NodeAddr=127.0.0.1 Port=[27001-27004] CPUs=1 State=UNKNOWN
PartitionName=try Nodes=n[0-3] Default=YES MaxTime=INFINITE OverSubscribe=NO State=UP
CONF
printf 'CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n' >"$work/cgroup.conf"
export SLURM_CONF=$work/slurm.conf
mkdir "$work/state" "$work"/spool.n{0..3} "$work/runs"

munged --force --key-file="$work/munge.key" --socket="$work/munge.socket" --pid-file="$work/munged.pid" \
  --log-file="$work/munged.log" --seed-file="$work/munge.seed" 2>"$work/munged.err"
slurmctld -f "$work/slurm.conf"
for node in n0 n1 n2 n3; do slurmd -f "$work/slurm.conf" -N "$node"; done
for _ in $(seq 60); do
  idle=$(sinfo --noheader --Node --format '%N %t' 2>/dev/null | grep -c ' idle$' || true)
  [ "$idle" = 4 ] && break
  sleep 1
done
[ "$idle" = 4 ] || { sinfo --Node --long >&2; tail -5 "$work"/*.log >&2; fail "of four nodes, $idle are idle after a minute"; }

"$perf" serve --listen 127.0.0.1:0 --print-token >"$work/token" 2>"$work/serve.log" &
echo $! >"$work/serve.pid"
until url=$(grep -o 'http://[0-9.:]*' "$work/serve.log"); do sleep 0.1; done
export INGESTER_PERF=$perf LEAD=10
load=("$work/runs" --url "$url" --token-file "$work/token" --file-size 10KB --max-bytes 10GB)

sum() { # folder, report: the counts of the run files, added up and held against the report
  python3 - "$1" <<'PYTHON'
import glob, json, sys
folder = sys.argv[1]
report = json.load(open(f"{folder}/load.json"))
scheduled = ok = failed = unfinished = 0
for path in glob.glob(f"{folder}/*.shard-*.run.json"):
    record = json.load(open(path))
    # Histograms are held against each other by tests/shards.rs; here the counts that stand in plain numbers.
    run = record["runs"][0]["run"]
    scheduled += run["load"]["scheduled"]
    ok += sum(second["ok"] for second in run["seconds"])
    failed += sum(second["failed"] for second in run["seconds"])
load = report["load"]
unfinished = load["unfinished"]
assert load["scheduled"] == scheduled, (load["scheduled"], scheduled)
assert (report["successful_requests"], report["failed_requests"]) == (ok, failed), (ok, failed)
assert scheduled == ok + failed + unfinished, (scheduled, ok, failed, unfinished)
print(f"{scheduled} scheduled = {ok} ok + {failed} failed + {unfinished} unfinished, in {load['shards']['counted']} shards; "
      f"they began within {load['shards']['starts_within_ms']:.1f} ms")
PYTHON
}

echo "== four shards"
job=$(sbatch --parsable --nodes=4 --output="$work/first.out" "$sbatch_file" "${load[@]}" --rate 400 --duration 10s)
for _ in $(seq 120); do [ -z "$(squeue --noheader --jobs "$job" 2>/dev/null)" ] && break; sleep 1; done
cat "$work/first.out"
[ -f "$work/runs/$job/load.json" ] || fail "the job has left no report"
sum "$work/runs/$job"
python3 - "$work/runs/$job/load.json" <<'PYTHON'
import json, sys
load = json.load(open(sys.argv[1]))["load"]
# 400 a second for 10 s, and none lost on the way.
assert (load["scheduled"], load["shards"]["counted"]) == (4000, 4), load["shards"]
PYTHON

echo "== a node dies"
job=$(sbatch --parsable --nodes=4 --output="$work/second.out" "$sbatch_file" "${load[@]}" --rate 400 --duration 60s)
task_on() { # node: the load on it
  local environ
  for environ in /proc/[0-9]*/environ; do
    # A process may end while it is looked at.
    grep -zqx "SLURMD_NODENAME=$1" "$environ" 2>/dev/null || continue
    case $(tr '\0' ' ' <"${environ%environ}cmdline" 2>/dev/null || true) in
      "$perf load --shard"*)
        basename "${environ%/environ}"
        return
        ;;
    esac
  done
}
for _ in $(seq 60); do task=$(task_on n2); [ -n "$task" ] && break; sleep 1; done
[ -n "$task" ] || fail "no shard runs on n2"
sleep $((LEAD + 5))
# All that a node is: slurmd first, so that it tells nobody; then the step's own daemon and the load.
kill -KILL "$(cat "$work/slurmd.n2.pid")"
stepd=$(awk '{ print $4 }' "/proc/$task/stat")
kill -KILL "$stepd" "$task" 2>/dev/null || true
rm "$work/slurmd.n2.pid"
for _ in $(seq 180); do [ -z "$(squeue --noheader --jobs "$job" 2>/dev/null)" ] && break; sleep 1; done
cat "$work/second.out"
[ -z "$(squeue --noheader --jobs "$job" 2>/dev/null)" ] || fail "the job has not ended"
code=0
"$perf" load merge "$work/runs/$job" --report-dir "$work/runs/$job" >"$work/merge.out" 2>&1 || code=$?
[ "$code" = 3 ] || { cat "$work/merge.out"; fail "the merge ended with $code, and not with 3"; }
grep -q 'NOT TO BE TRUSTED: shard 2/4 is missing' "$work/merge.out" || { cat "$work/merge.out"; fail "shard 2/4 is not named"; }
sum "$work/runs/$job"
echo "held: the sum is exact, and the shard of the node that died is named"
