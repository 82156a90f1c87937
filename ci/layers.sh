#!/usr/bin/env bash
# Checks the floors of src/: a module uses those below it only, and no files of a module use each other in a circle. Modules
# that measure do not name uploads. Pure ones use no file, socket, clock or event loop. axum, hyper's client and Criterion are
# used by one module each.
#
# usage: ci/layers.sh
set -euo pipefail
cd "$(dirname "$0")/../src"

layers=(units error verdict exit console files bucket interrupt process_group network machine document phases profile stats targets recording load report lockstep
        leak live payload auth api stub ingester client case config baseline history counters gate index harness cli)
# The method: these measure, judge and report, whatever it is.
method=(stats targets recording load report lockstep machine document phases leak/judge.rs leak/gauge.rs network profile live history)
pure=(stats targets document phases verdict load/schedule.rs load/profile.rs load/queue.rs load/users.rs load/second.rs load/steps.rs load/usage.rs
      load/window.rs load/abort.rs load/capacity load/job.rs load/shard.rs recording/packed.rs report/shards.rs
      lockstep/verdict.rs lockstep/compared.rs lockstep/controls.rs lockstep/clocks.rs lockstep/tail.rs lockstep/extension.rs lockstep/storm.rs
      lockstep/accepted.rs lockstep/checks.rs lockstep/page.rs lockstep/parts.rs lockstep/explanation.rs lockstep/why.rs lockstep/difference.rs
      lockstep/search.rs lockstep/bisect.rs lockstep/bisect_document.rs
      lockstep/counters.rs lockstep/counter_table.rs lockstep/schedule.rs lockstep/measure.rs lockstep/print.rs report/performance.rs report/of_load.rs report/of_record.rs
      report/findings.rs report/table.rs report/checks.rs report/distribution.rs report/drawing.rs report/timeline.rs report/load_page.rs report/step_table.rs report/load_table.rs report/resources.rs report/resource_findings.rs
      report/capacity.rs report/capacity_document.rs
      report/resource_table.rs leak/judge.rs leak/gauge.rs leak/document.rs leak/checks.rs leak/page.rs index/page.rs index/stored.rs
      live/board.rs live/tally.rs live/families.rs live/exposition.rs live/remote_write.rs live/view.rs live/page.rs
      harness/page.rs harness/floor_report.rs baseline/compare.rs baseline/page.rs api/pointer.rs api/path.rs api/template.rs stub/fault/spec.rs stub/fault/draw.rs
      network/rate.rs network/preset.rs network/spec.rs network/line.rs network/way.rs profile/draw.rs profile/frame.rs
      profile/stacks.rs history/entry.rs history/line.rs history/chain.rs history/creep.rs history/change_point.rs
      history/trend.rs history/doubled.rs history/sparkline.rs history/of_session.rs history/of_reports.rs
      history/show_document.rs history/check_document.rs)
failed=0

complain() { # what, offending lines
  [ -z "$2" ] && return
  printf '%s:\n%s\n' "$1" "$2" >&2
  failed=1
}

sources() { # the files of a module
  [ -e "$1" ] || [ -e "${1%.rs}.rs" ] || { echo "$1 is listed, and not there" >&2; exit 1; }
  if [ -d "$1" ]; then find "$1" -name '*.rs'; else ls "${1%.rs}.rs"; fi
}

# shellcheck disable=SC2016 # the dollars are awk's
code() { # lines of a module with this pattern, but for its tests, which stand at the end of a file and may speak of anything
  sources "$1" | PATTERN=$2 xargs awk '/^mod tests \{$/ { nextfile } $0 ~ ENVIRON["PATTERN"] { print FILENAME ":" FNR ": " $0 }'
}

for module in *; do
  module=${module%.rs}
  case $module in bin | lib | main) continue ;; esac
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
  complain "$module must be pure" "$(code "$module" "$impure")"
done

for module in "${method[@]}"; do
  complain "$module names uploads, which are not its business" "$(code "$module" '[Uu]pload|[Mm]ultipart')"
done

complain "axum outside stub" "$(grep -rnE '\baxum::' --include='*.rs' . | grep -v '^./stub/' || true)"
complain "hyper's client outside client" "$(grep -rnE 'hyper::client' --include='*.rs' . | grep -v '^./client/' || true)"
complain "Criterion outside harness" "$(grep -rnE '\bcriterion::' --include='*.rs' . | grep -v '^./harness/' || true)"
../ci/circles.py || failed=1
exit "$failed"
