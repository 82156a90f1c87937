#!/usr/bin/env bash
# Modules use those below them and never the other way, and no files of a module use each other in a circle; the pure ones know no file, socket, clock or event loop; a
# library that stands behind one module is used in that one only.
set -euo pipefail
cd "$(dirname "$0")/../src"

layers=(units error exit console files interrupt process_group machine stats targets recording payload auth api stub ingester client load case config baseline report gate harness cli)
pure=(stats targets load/schedule.rs load/profile.rs load/queue.rs load/users.rs load/mix.rs gate/verdict.rs gate/compared.rs gate/controls.rs gate/clocks.rs gate/tail.rs gate/extension.rs gate/storm.rs baseline/compare.rs api/pointer.rs api/path.rs)
failed=0

complain() { # what, offending lines
  [ -z "$2" ] && return
  printf '%s:\n%s\n' "$1" "$2" >&2
  failed=1
}

sources() { # the files of a module
  if [ -d "$1" ]; then find "$1" -name '*.rs'; else ls "${1%.rs}.rs"; fi
}

for module in $(ls | sed 's/\.rs$//' | grep -vxE 'lib|main'); do
  case " ${layers[*]} " in *" $module "*) ;; *) complain "module without a layer" "$module" ;; esac
done

above=${layers[*]}
for layer in "${layers[@]}"; do
  above=${above#"$layer"}
  above=${above# }
  [ -z "$above" ] && break
  up="(crate|ingester_perf)::\{?(${above// /|})\b"
  complain "$layer uses what stands above it" "$(sources "$layer" | xargs grep -nE "$up" /dev/null || true)"
done

impure='tokio|hyper|reqwest|axum|std::(fs|io|net|env|process|thread)|Instant|SystemTime'
for module in "${pure[@]}"; do
  complain "$module must be pure" "$(sources "$module" | xargs grep -nE "$impure" /dev/null || true)"
done

complain "axum outside stub" "$(grep -rnE '\baxum::' --include='*.rs' . | grep -v '^./stub/' || true)"
complain "hyper's client outside client" "$(grep -rnE 'hyper::client' --include='*.rs' . | grep -v '^./client/' || true)"
complain "Criterion outside harness" "$(grep -rnE '\bcriterion::' --include='*.rs' . | grep -v '^./harness/' || true)"
../ci/circles.py || failed=1
exit "$failed"
