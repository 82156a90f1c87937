//! Reports of a run as an entry.

use serde::Deserialize;

use super::entry::{HistoryEntry, HistoryKind, RunCase, RunEntry, SCHEMA_VERSION};
use crate::baseline::{Origin, Side};
use crate::report::Interval;

/// What of a report a comparison has no need for.
#[derive(Deserialize)]
struct MoreOfReport {
    #[serde(default)]
    targets: Vec<JudgedTarget>,
    environment: MadeAt,
}

#[derive(Deserialize)]
struct JudgedTarget {
    held: bool,
}

#[derive(Deserialize)]
struct MadeAt {
    made_at: String,
}

/// The entry of what one side of a comparison holds, as measured of this commit. An error where its reports are not of one
/// machine, or lack what this build writes.
pub(crate) fn entry_of_reports(side: &Side, commit: String) -> Result<HistoryEntry, String> {
    let mut origin: Option<&Origin> = None;
    let mut made_at = String::new();
    let mut cases = Vec::new();
    for (id, kept) in &side.cases {
        let report = &kept.report;
        let first = origin.get_or_insert(&report.origin);
        if first.decisive() != report.origin.decisive() {
            return Err(format!("{id} was measured elsewhere than the others: add them one by one"));
        }
        // The text was read as a report already; only these keys may be missing from it.
        let more: MoreOfReport = serde_json::from_str(&kept.text).map_err(|e| format!("{id}: {e}"))?;
        // The run was over when its last report was written.
        if more.environment.made_at > made_at {
            made_at.clone_from(&more.environment.made_at);
        }
        let held =
            if more.targets.is_empty() { None } else { Some(more.targets.iter().all(|target| target.held)) };
        let p50_interval_ms = match report.intervals.median_latency_ms {
            Interval { lower: Some(lower), upper: Some(upper) } => Some([lower, upper]),
            _ => None,
        };
        cases.push(RunCase {
            case: id.clone(),
            low_ms: report.low_ms,
            p50_ms: report.p50_ms,
            p50_interval_ms,
            p95_ms: report.p95_ms,
            p99_ms: report.p99_ms,
            held,
        });
    }
    Ok(HistoryEntry {
        schema_version: SCHEMA_VERSION,
        commit,
        made_at,
        machine: origin.cloned(),
        measured: HistoryKind::Run(RunEntry { cases }),
    })
}
