//! What is written of a search for a leak: the verdict with the record that it follows from, and the samples as a table.

use std::path::Path;

use serde::Serialize;

use super::document::conclusion;
use super::judge::{LeakFinding, LeakJudgement};
use super::record::LeakRecord;
use crate::document::Table;
use crate::error::Error;
use crate::files::{write_json, write_text};

/// The name of the report, in the folder of reports.
pub(crate) const REPORT: &str = "leak.json";
/// Operations for which growth is told.
const PER: f64 = 1000.0;

/// The report. Growth is in bytes for 1,000 operations.
#[derive(Debug, Serialize)]
struct LeakReport<'a> {
    verdict: &'static str,
    conclusion: String,
    /// Whether the command was ended before its time.
    partial: bool,
    operations: u64,
    start_bytes: Option<u64>,
    end_bytes: Option<u64>,
    growth_per_1000_bytes: Option<f64>,
    growth_per_1000_lower_bytes: Option<f64>,
    growth_per_1000_upper_bytes: Option<f64>,
    confidence: Option<f64>,
    /// Time of the first sample that was judged.
    judged_from_ms: Option<u64>,
    record: &'a LeakRecord,
}

impl<'a> LeakReport<'a> {
    fn of(record: &'a LeakRecord, judgement: &LeakJudgement) -> Self {
        let slope = judgement.slope;
        Self {
            verdict: match judgement.finding {
                LeakFinding::Leak { .. } => "leak",
                LeakFinding::NoLeak => "none",
                LeakFinding::Undecided(_) => "undecided",
            },
            conclusion: conclusion(record, judgement),
            partial: record.stopped.is_some(),
            operations: record.ended,
            start_bytes: record.samples.first().map(|first| first.bytes),
            end_bytes: record.samples.last().map(|last| last.bytes),
            growth_per_1000_bytes: slope.map(|slope| PER * slope.estimate),
            growth_per_1000_lower_bytes: slope.map(|slope| PER * slope.lower),
            growth_per_1000_upper_bytes: slope.map(|slope| PER * slope.upper),
            confidence: slope.map(|slope| slope.confidence),
            judged_from_ms: record.samples.get(judgement.from).map(|first| first.at_ms),
            record,
        }
    }
}

/// Writes the report to this path, and the samples beside it as CSV.
pub(crate) fn save(record: &LeakRecord, judgement: &LeakJudgement, path: &Path) -> Result<(), Error> {
    // Both are tried, as a disk may have room for one of them.
    let listed = write_text(&path.with_extension("csv"), &samples_table(record).csv());
    let reported = write_json(path, &LeakReport::of(record, judgement));
    reported.and(listed)
}

/// A row a sample.
fn samples_table(record: &LeakRecord) -> Table {
    let mut table = Table::new(["seconds", "uploads", "bytes"]);
    for sample in &record.samples {
        table.row([
            format!("{:.3}", sample.at_ms as f64 / 1e3),
            sample.operations.to_string(),
            sample.bytes.to_string(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{record, samples};
    use super::super::judge::judge;
    use super::*;

    #[test]
    fn a_report_has_the_record_that_its_verdict_follows_from() {
        let dir = tempfile::tempdir().expect("makes one");
        let path = dir.path().join(REPORT);
        // 200 bytes an operation.
        let record = record(samples((0..32).map(|n| 5000 + 20_000 * n)));
        let judgement = judge(&record);
        save(&record, &judgement, &path).expect("writes");
        let text = std::fs::read_to_string(&path).expect("reads");
        let report: serde_json::Value = serde_json::from_str(&text).expect("is JSON");
        assert_eq!(report["verdict"], "leak");
        assert_eq!(report["partial"], false);
        assert_eq!(report["start_bytes"], 5000);
        assert_eq!(report["end_bytes"], 625_000);
        // A quarter of 32 samples is left out, and the first one is at 100 ms.
        assert_eq!(report["judged_from_ms"], 900);
        let growth = report["growth_per_1000_bytes"].as_f64().expect("is a number");
        assert!((growth - 200_000.0).abs() < 1e-6, "{growth}");
        assert_eq!(judge(&LeakRecord::load(&path).expect("reads")), judgement);
        let listed = std::fs::read_to_string(path.with_extension("csv")).expect("reads");
        assert!(listed.starts_with("seconds,uploads,bytes\n0.100,100,5000\n0.200,200,25000\n"), "{listed}");
    }

    #[test]
    fn a_report_that_was_cut_is_refused_by_name() {
        let dir = tempfile::tempdir().expect("makes one");
        let path = dir.path().join(REPORT);
        let record = record(Vec::new());
        save(&record, &judge(&record), &path).expect("writes");
        let text = std::fs::read_to_string(&path).expect("reads");
        std::fs::write(&path, &text[..text.len() / 2]).expect("writes");
        let error = LeakRecord::load(&path).expect_err("was cut").to_string();
        assert!(error.contains("leak.json: EOF while parsing"), "{error}");
        std::fs::write(&path, "{\"verdict\":\"none\"}").expect("writes");
        let error = LeakRecord::load(&path).expect_err("has no record").to_string();
        assert!(error.contains("leak.json: missing field `record`"), "{error}");
    }
}
