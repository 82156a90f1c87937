#!/usr/bin/env bash
# Is ci/kubernetes/load.yaml what Kubernetes takes? By its own schemas, as kubernetes-validate (PyPI) has them, in a virtual
# environment of its own. A cluster is not needed, and nothing is run.
#
# usage: ci/kubernetes/check.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

venv=target/kubernetes-validate
[ -x "$venv/bin/kubernetes-validate" ] || {
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet kubernetes-validate==1.37.0
}
documents=$(mktemp -d)
trap 'rm -rf "$documents"' EXIT
awk -v folder="$documents" 'BEGIN { file = folder "/1.yaml" } /^---$/ { file = folder "/2.yaml"; next } { print >file }' \
  ci/kubernetes/load.yaml
for document in "$documents"/*.yaml; do
  "$venv/bin/kubernetes-validate" --strict "$document"
done
# What a schema does not say: that all shards run at the same time, each of them once, and on when another one fails.
"$venv/bin/python" - "$documents/1.yaml" <<'PYTHON'
import sys, yaml
job = yaml.safe_load(open(sys.argv[1]))["spec"]
args = job["template"]["spec"]["containers"][0]["args"]
assert job["completionMode"] == "Indexed" and job["backoffLimitPerIndex"] == 0 and "backoffLimit" not in job, job
assert job["template"]["spec"]["restartPolicy"] == "Never", "a limit for each index needs it"
assert job["completions"] == job["parallelism"], "some shards would wait for others to end"
assert f"--shards={job['completions']}" in args, "the shards would be of another number than the pods"
assert any(arg.startswith("--start-at=") for arg in args), "no start is agreed on"
PYTHON
echo "ci/kubernetes/load.yaml is valid; it was not run"
