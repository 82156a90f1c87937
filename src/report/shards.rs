//! The shards of a run: those that a report was put together from, and what a single one says of itself.

use std::time::Duration;

use serde::Serialize;

use super::quantile::ms;
use crate::document::{Document, Table};
use crate::load::{LoadRecord, MergedRecord, RecordedRun, ShardRecord, problems_of_shard};
use crate::units::{grouped, latency};
use crate::verdict::Verdict;

/// Most shards that a table lists. All of them are in the JSON.
const LISTED: usize = 32;

/// The shards that a run was put together from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShardsReport {
    /// How many the run had.
    pub of: u32,
    /// How many are counted.
    pub counted: usize,
    /// Time from the first one's start to the last one's, by their wall clocks, ms.
    pub starts_within_ms: f64,
    /// How much later than agreed the latest one began, ms; `null` where no start was agreed on.
    pub latest_ms: Option<f64>,
    /// By how much a wall clock moved away from its monotonic one, at most, ms.
    pub drift_most_ms: f64,
    /// Each of them, in order.
    pub each: Vec<ShardReport>,
}

/// One of the shards.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShardReport {
    /// Its index, from 0.
    pub index: u32,
    /// Time from the first one's start to its own, ms.
    pub after_first_ms: f64,
    /// How much later than agreed it began, ms; `null` where no start was agreed on.
    pub late_ms: Option<f64>,
    /// Requests that were due.
    pub scheduled: u64,
    /// Successes.
    pub ok: u64,
    /// Failures.
    pub failed: u64,
    /// Requests that had not ended when it did.
    pub unfinished: u64,
}

impl ShardsReport {
    pub(super) fn of(merged: &MergedRecord) -> Self {
        let mut each = Vec::with_capacity(merged.shards.len());
        let mut last = Duration::ZERO;
        let mut latest: Option<Duration> = None;
        let mut drift = Duration::ZERO;
        for shard in &merged.shards {
            last = last.max(shard.after_first);
            latest = latest.max(shard.late);
            drift = drift.max(shard.drift);
            each.push(ShardReport {
                index: shard.index,
                after_first_ms: ms(shard.after_first),
                late_ms: shard.late.map(ms),
                scheduled: shard.scheduled,
                ok: shard.ok,
                failed: shard.failed,
                unfinished: shard.unfinished,
            });
        }
        Self {
            of: merged.of,
            counted: each.len(),
            starts_within_ms: ms(last),
            latest_ms: latest.map(ms),
            drift_most_ms: ms(drift),
            each,
        }
    }
}

/// A row a shard, unless there are too many to read.
pub(super) fn shards_table(shards: &ShardsReport) -> Table {
    let mut table = Table::new(["shard", "began after the first", "scheduled", "ok", "failed", "unfinished"]);
    if shards.each.len() > LISTED {
        return table;
    }
    for shard in &shards.each {
        table.row([
            format!("{}/{}", shard.index, shards.of),
            latency(Some(shard.after_first_ms)),
            grouped(shard.scheduled),
            grouped(shard.ok),
            grouped(shard.failed),
            grouped(shard.unfinished),
        ]);
    }
    table
}

/// How many there are, and how well their clocks agree.
pub(super) fn shards_line(shards: &ShardsReport) -> String {
    let agreed = match shards.latest_ms {
        Some(late) => format!("the latest {} after the agreed time", latency(Some(late))),
        None => "without an agreed time".to_owned(),
    };
    format!(
        "{} of {} shards; they began within {} of each other, {agreed}; no clock drifted by more than {}",
        grouped(shards.counted as u64),
        grouped(u64::from(shards.of)),
        latency(Some(shards.starts_within_ms)),
        latency(Some(shards.drift_most_ms)),
    )
}

/// What a single shard says: its counts, when it began, and whether it is to be trusted. Its percentiles are left out, as they
/// are of a part; and its targets are judged after the merge.
pub(crate) fn shard_document(record: &LoadRecord) -> Document {
    let mut document = Document::new("Load, one shard");
    if let Some(ShardRecord { shard, clock, .. }) = &record.shard {
        for RecordedRun { run, .. } in &record.runs {
            document.line(format!(
                "Shard {shard}: {} scheduled = {} ok + {} failed + {} unfinished, in {:.1} s",
                grouped(run.load.scheduled),
                grouped(run.load.responses.ok.count()),
                grouped(run.load.responses.failures()),
                grouped(run.load.unfinished.count()),
                run.load.responses.elapsed.as_secs_f64()
            ));
        }
        document.line(match clock.late() {
            Some(late) => format!("It began {} after the agreed time.", latency(Some(ms(late)))),
            None => "It began when it was ready: no start was agreed on (--start-at).".to_owned(),
        });
    }
    for problem in problems_of_shard(record) {
        // Where there is none, the verdict is still the merge's.
        document.verdict = Some(Verdict::Untrusted);
        document.line(format!("NOT TO BE TRUSTED: {problem}"));
    }
    document
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::fixture::{record, run};
    use super::super::performance::PerformanceReport;
    use super::*;
    use crate::load::{MergedShard, Shard, ShardClock};
    use crate::targets::Targets;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// A run of three shards, of which the last is missing.
    fn merged(problems: &[&str]) -> MergedRecord {
        let mut shards = Vec::new();
        for (index, after_first) in [(0, MS(0)), (1, MS(40))] {
            shards.push(MergedShard {
                index,
                after_first,
                late: Some(after_first / 2),
                drift: MS(u64::from(index)),
                scheduled: 1_000,
                ok: 990,
                failed: 7,
                unfinished: 3,
            });
        }
        let problems = problems.iter().map(|problem| (*problem).to_owned()).collect();
        MergedRecord { of: 3, plan_hash: String::new(), shards, shard_command: None, problems }
    }

    #[test]
    fn shards_are_told_in_a_table_and_a_line() {
        let report = ShardsReport::of(&merged(&[]));
        assert_eq!(
            shards_line(&report),
            "2 of 3 shards; they began within 40 ms of each other, the latest 20 ms after the agreed time; no clock \
             drifted by more than 1 ms"
        );
        let table = shards_table(&report);
        assert_eq!(table.rows[1], ["1/3", "40 ms", "1,000", "990", "7", "3"]);
        let mut many = report;
        many.each = vec![many.each[0].clone(); 33];
        assert!(shards_table(&many).is_empty());
    }

    #[test]
    fn a_run_of_which_a_shard_is_missing_is_held_against_nothing() {
        let mut record = record(vec![run(&[(0, 1)], 1)]);
        let targets = Targets::parse("[op]\navg_ms = 0.5", &["op"]).expect("is valid");
        record.merged = Some(merged(&[]));
        let whole = PerformanceReport::of_load(&record, &record.runs[0], &targets);
        assert_eq!((whole.verdict(), whole.targets.len()), (Verdict::Missed, 1));
        record.merged = Some(merged(&["shard 2/3 is missing"]));
        let report = PerformanceReport::of_load(&record, &record.runs[0], &targets);
        assert_eq!((report.verdict(), report.targets.len()), (Verdict::Untrusted, 0));
        assert_eq!(report.load.expect("is a load's").health.problems, ["shard 2/3 is missing"]);
    }

    #[test]
    fn a_shard_tells_its_counts_and_when_it_began() {
        let mut record = record(vec![run(&[(0, 1), (10, 2)], 1)]);
        let agreed = SystemTime::UNIX_EPOCH + MS(5_000);
        let started = agreed + MS(3);
        let clock = ShardClock { agreed: Some(agreed), started, ended: started, lasted: Duration::ZERO };
        let shard = Shard::new(3, 4).expect("is one");
        record.shard = Some(ShardRecord { shard, plan_hash: String::new(), clock });
        assert_eq!(shard_document(&record).verdict, None);
        assert_eq!(
            shard_document(&record).to_string(),
            "Shard 3/4: 2 scheduled = 2 ok + 0 failed + 0 unfinished, in 0.0 s\nIt began 3 ms after the agreed time.\n"
        );
        record.shard.as_mut().expect("is a shard").clock.started = agreed + MS(1_200);
        let late = shard_document(&record);
        assert_eq!(late.verdict, Some(Verdict::Untrusted));
        let late = late.to_string();
        assert!(late.contains("NOT TO BE TRUSTED: shard 3/4 began 1.2s later than agreed"), "{late}");
    }
}
