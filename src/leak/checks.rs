//! What had to hold in a search for a leak.

use super::judge::{LeakFinding, LeakJudgement};
use super::record::LeakRecord;
use crate::document::{Check, CheckOutcome};
use crate::units::Bytes;
use crate::verdict::Verdict;

/// The verdict. A part of what was to be measured is no evidence that there is no leak.
pub(super) fn leak_verdict(record: &LeakRecord, judgement: &LeakJudgement) -> Verdict {
    match judgement.verdict() {
        Verdict::Held if record.stopped.is_some() => Verdict::Untrusted,
        verdict => verdict,
    }
}

/// That an upload leaves less than the threshold behind, and that the search was not cut short. `conclusion` says what was
/// measured.
pub(super) fn leak_checks(record: &LeakRecord, judgement: &LeakJudgement, conclusion: &str) -> Vec<Check> {
    let outcome = match judgement.finding {
        LeakFinding::NoLeak => CheckOutcome::Held,
        LeakFinding::Leak { .. } => CheckOutcome::Missed,
        LeakFinding::Undecided(_) => CheckOutcome::Undecided,
    };
    let threshold = Bytes(record.threshold_bytes);
    let name = format!("an upload leaves less than {threshold} behind");
    let mut checks = vec![check(&name, outcome, conclusion)];
    // Else a search that was stopped early would pass as one that found nothing.
    if let Some(why) = &record.stopped {
        checks.push(check("the search was not cut short", CheckOutcome::Undecided, why));
    }
    checks
}

fn check(name: &str, outcome: CheckOutcome, measured: &str) -> Check {
    Check { group: "leak".to_owned(), name: name.to_owned(), outcome, measured: measured.to_owned() }
}
