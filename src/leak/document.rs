//! What is said of a search for a leak: a row, the reasons, what to do next, and the conclusion.

use std::time::Duration;

use super::checks::{leak_checks, leak_verdict};
use super::judge::{Doubt, LeakFinding, LeakJudgement, WINDOWS};
use super::record::{LeakRecord, MemoryKind};
use crate::document::{Document, Table};
use crate::stats::Slope;
use crate::units::{Bytes, grouped, percent};

/// All that is to be said.
pub(crate) fn leak_document(record: &LeakRecord, judgement: &LeakJudgement) -> Document {
    let mut document = Document::new("Leak");
    document.about = Some(format!(
        "{} of {}; {} users, files of {}",
        record.memory, record.subject, record.users, record.sent
    ));
    document.table(table(record, judgement));
    document.gap();
    document.lines(judged(record, judgement));
    if record.succeeded < record.ended {
        let failed = record.ended - record.succeeded;
        document.line(format!("{} of {} uploads failed.", grouped(failed), grouped(record.ended)));
    }
    if let Some(reason) = &record.ended_early {
        document.line(format!("The load ended early: {reason}."));
    }
    if let Some(reason) = &record.stopped {
        document.line(format!("Stopped before its time: {reason}. What was measured until then was judged."));
    }
    document.lines(next(record, judgement));
    let conclusion = conclusion(record, judgement);
    document.checks = leak_checks(record, judgement, &conclusion);
    document.verdict = Some(leak_verdict(record, judgement));
    document.conclusion = Some(conclusion);
    document
}

/// One row: what was read, and what it came to.
fn table(record: &LeakRecord, judgement: &LeakJudgement) -> Table {
    let growth = match &judgement.slope {
        Some(slope) => format!("growth per 1,000 uploads [{} interval]", confidence(slope)),
        None => "growth per 1,000 uploads".to_owned(),
    };
    let mut table =
        Table::new(["memory", "uploads", "first reading", "last reading", growth.as_str(), "verdict"]);
    let verdict = match judgement.finding {
        LeakFinding::Leak { .. } => "LEAK",
        LeakFinding::NoLeak => "no leak",
        LeakFinding::Undecided(_) => "undecided",
    };
    table.row([
        record.memory.to_string(),
        grouped(record.ended),
        record.samples.first().map_or_else(|| "-".to_owned(), |first| Bytes(first.bytes).to_string()),
        record.samples.last().map_or_else(|| "-".to_owned(), |last| Bytes(last.bytes).to_string()),
        judgement.slope.as_ref().map_or_else(|| "not known".to_owned(), per_thousand),
        verdict.to_owned(),
    ]);
    table
}

/// What was judged, so that a reader can tell which part of the samples it was.
fn judged(record: &LeakRecord, judgement: &LeakJudgement) -> Option<String> {
    judgement.slope?;
    let first = record.samples.get(judgement.from)?;
    let last = record.samples.last()?;
    let seconds = last.at_ms.saturating_sub(first.at_ms) as f64 / 1e3;
    let uploads = grouped(last.operations.saturating_sub(first.operations));
    let left_out = first.at_ms as f64 / 1e3;
    // A leak that began late, and growth that changes, are judged by one half with windows of its own.
    let windows = match judgement.finding {
        LeakFinding::Leak { late: true } | LeakFinding::Undecided(Doubt::NotSettled { .. }) => String::new(),
        _ => format!(", by the lowest reading in each of {WINDOWS} parts of it"),
    };
    Some(format!(
        "Judged are the last {seconds:.1} s with {uploads} uploads{windows}; the {left_out:.1} s before are left out."
    ))
}

/// What to do now.
fn next(record: &LeakRecord, judgement: &LeakJudgement) -> Vec<String> {
    match &judgement.finding {
        LeakFinding::NoLeak => Vec::new(),
        LeakFinding::Leak { .. } => {
            let what = match record.memory {
                MemoryKind::LiveBytes => "Next: a heap profile says which code keeps it (docs/memory.md).",
                MemoryKind::Resident | MemoryKind::Gauge(_) => {
                    "Next: a run twice as long, as caches may still grow; then a heap profiler for the language of the service."
                }
            };
            vec![what.to_owned()]
        }
        LeakFinding::Undecided(doubt) => vec![format!("Next: {}", advice(record, doubt))],
    }
}

fn advice(record: &LeakRecord, doubt: &Doubt) -> String {
    match doubt {
        Doubt::TooLittle => "a longer run (--duration), or more users (--users).".to_owned(),
        Doubt::FewSuccesses => "ingester-perf load says how the uploads fail.".to_owned(),
        Doubt::NotSettled { .. } => format!("--duration {}.", longer(record, 2.0)),
        Doubt::TooWide { times: Some(times) } => format!("--duration {} would tell.", longer(record, *times)),
        Doubt::TooWide { times: None } => {
            "the slope lies too close to the threshold: another --threshold, or memory that varies less."
                .to_owned()
        }
    }
}

/// So many times the planned time, rounded up to ten seconds.
fn longer(record: &LeakRecord, times: f64) -> String {
    let tens = (record.planned_s * times / 10.0).ceil() as u64;
    humantime::format_duration(Duration::from_secs(10 * tens)).to_string().replace(' ', "")
}

/// The verdict in a sentence.
pub(super) fn conclusion(record: &LeakRecord, judgement: &LeakJudgement) -> String {
    let threshold = Bytes(record.threshold_bytes);
    match (&judgement.finding, &judgement.slope) {
        (LeakFinding::Leak { late }, Some(slope)) => {
            let began = if *late { ", but not from the beginning" } else { "" };
            format!(
                "LEAK: every upload leaves {} behind ({} to {}){began}; the threshold is {threshold}",
                signed(slope.estimate),
                signed(slope.lower),
                signed(slope.upper)
            )
        }
        (LeakFinding::NoLeak, Some(slope)) => {
            // Rounded up, so that the sentence stays true.
            let most = Bytes(slope.upper.max(0.0).ceil() as u64);
            format!("No leak: an upload leaves at most {most} behind; the threshold is {threshold}")
        }
        (LeakFinding::Undecided(doubt), slope) => {
            format!("UNDECIDED: {}", why_undecided(record, doubt, slope.as_ref()))
        }
        (LeakFinding::Leak { .. } | LeakFinding::NoLeak, None) => unreachable!("both follow from a slope"),
    }
}

fn why_undecided(record: &LeakRecord, doubt: &Doubt, slope: Option<&Slope>) -> String {
    match (doubt, slope) {
        (Doubt::FewSuccesses, _) => {
            format!("only {} of the uploads succeeded", percent(record.success_rate_pct()))
        }
        (Doubt::NotSettled { before, after }, _) if after < before => format!(
            "memory is still warming up: an upload left {} behind, and later {}",
            signed(*before),
            signed(*after)
        ),
        (Doubt::NotSettled { before, after }, _) => format!(
            "memory does not grow evenly: an upload left {} behind, and later {}",
            signed(*before),
            signed(*after)
        ),
        (Doubt::TooWide { .. }, Some(slope)) => format!(
            "an upload leaves between {} and {} behind; the threshold is {}",
            signed(slope.lower),
            signed(slope.upper),
            Bytes(record.threshold_bytes)
        ),
        (Doubt::TooLittle | Doubt::TooWide { .. }, _) => {
            format!("{} readings over {} uploads are too few", record.samples.len(), grouped(record.ended))
        }
    }
}

/// A slope for a thousand operations, with its interval.
fn per_thousand(slope: &Slope) -> String {
    format!("{} [{}, {}]", signed(1e3 * slope.estimate), signed(1e3 * slope.lower), signed(1e3 * slope.upper))
}

/// Bytes that may be fewer than none.
fn signed(bytes: f64) -> String {
    let whole = Bytes(bytes.abs().round() as u64);
    if bytes < 0.0 && whole.0 > 0 { format!("-{whole}") } else { whole.to_string() }
}

fn confidence(slope: &Slope) -> String {
    format!("{:.1} %", 100.0 * slope.confidence)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{record, samples};
    use super::super::judge::judge;
    use super::super::record::MemorySample;
    use super::*;

    fn text(samples: Vec<MemorySample>, change: impl FnOnce(&mut LeakRecord)) -> String {
        let mut record = record(samples);
        change(&mut record);
        leak_document(&record, &judge(&record)).to_string()
    }

    #[test]
    fn a_leak_is_told_with_its_figures() {
        // 1 KB an operation: 1000 KB for a thousand.
        let said = text(samples((0..32).map(|n| (1 << 20) + 102_400 * n)), |_| ());
        assert!(said.contains("growth per 1,000 uploads [98.6 % interval]"), "{said}");
        for part in ["live bytes", "3,200", "1 MB", "4.03 MB", "1000 KB [1000 KB, 1000 KB]", "LEAK"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        let judged = "Judged are the last 2.3 s with 2,300 uploads, by the lowest reading in each of 8 parts of it; the 0.9 s before are left out.";
        assert!(said.contains(judged), "{said}");
        assert!(
            said.contains("\nNext: a heap profile says which code keeps it (docs/memory.md).\n"),
            "{said}"
        );
        let end = "\nLEAK: every upload leaves 1 KB behind (1 KB to 1 KB); the threshold is 100 B\n";
        assert!(said.ends_with(end), "{said}");
    }

    #[test]
    fn no_leak_is_told_with_its_bound() {
        // 20 bytes for each hundred operations less: nothing is left behind.
        let said = text(samples((0..32).map(|n| 5000 - 20 * n)), |_| ());
        assert!(said.contains("-200 B [-200 B, -200 B]"), "{said}");
        assert!(!said.contains("Next:"), "{said}");
        assert!(
            said.ends_with("\nNo leak: an upload leaves at most 0 B behind; the threshold is 100 B\n"),
            "{said}"
        );
    }

    #[test]
    fn what_is_undecided_says_what_would_decide() {
        // Up and down by megabytes, every three readings: no slope, and a wide interval.
        let uneven = samples((0..32).map(|n| 5000 + 1_000_000 * ((7 * (n / 3)) % 5)));
        let said = text(uneven, |_| ());
        assert!(
            said.contains("UNDECIDED: an upload leaves between -1.63 KB and 1.08 KB behind; the"),
            "{said}"
        );
        // The upper end, 1111 B, has to come below 100 B: 11.1 times the minute, and a fifth more.
        assert!(said.contains("\nNext: --duration 13m"), "{said}");

        let said = text(samples(0..10), |_| ());
        assert!(said.contains("not known"), "{said}");
        assert!(said.contains("\nNext: a longer run (--duration), or more users (--users).\n"), "{said}");
        assert!(said.ends_with("\nUNDECIDED: 10 readings over 1,000 uploads are too few\n"), "{said}");
    }

    #[test]
    fn growth_that_slows_down_is_warming_up() {
        // The root of the number of operations never stops growing, and grows less and less.
        let slowing = samples((1..=64_u32).map(|n| (1e6 * f64::from(n).sqrt()) as u64));
        let said = text(slowing, |_| ());
        assert!(said.contains("UNDECIDED: memory is still warming up: an upload left "), "{said}");
        // Twice the minute that was planned.
        assert!(said.contains("\nNext: --duration 2m.\n"), "{said}");
    }

    #[test]
    fn what_ended_or_failed_is_said() {
        let flat = samples((0..32).map(|_| 5000));
        let said = text(flat.clone(), |record| record.succeeded = 3190);
        assert!(said.contains("\n10 of 3,200 uploads failed.\n"), "{said}");
        let said = text(flat.clone(), |record| record.succeeded = 320);
        assert!(said.ends_with("\nUNDECIDED: only 10 % of the uploads succeeded\n"), "{said}");
        let said = text(flat.clone(), |record| record.stopped = Some("interrupted".to_owned()));
        assert!(said.contains("\nStopped before its time: interrupted. What was measured"), "{said}");
        let said = text(flat, |record| record.ended_early = Some("all bytes were sent".to_owned()));
        assert!(said.contains("\nThe load ended early: all bytes were sent.\n"), "{said}");
    }
}
