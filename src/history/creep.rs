//! Creep: how much slower a case has become since a release, in steps none of which was large enough to fail.
//!
//! The gate passes a slowdown of 1 %, and ten of them are 10 %. What was accepted beforehand is told and not counted, until
//! its last day is past. Where commits have no session, a product over the others would hide what happened there: such a case
//! is not judged.

use super::chain::{CaseSteps, Product, Step, product};
use super::line::CommitLine;
use crate::units::Day;
use crate::verdict::Verdict;

/// How creep is judged.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CreepRule {
    /// The most by which a case may have become slower, as a share of 1.
    pub limit: f64,
    /// The day by which accepted slowdowns have expired or not.
    pub today: Day,
}

/// The verdict on all cases.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CreepVerdict {
    /// Missed where a case crept beyond the limit, whatever is not known of others; else untrusted where something is not known.
    pub conclusion: Verdict,
    /// The verdict on each case.
    pub cases: Vec<CaseCreep>,
}

/// The verdict on a case.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CaseCreep {
    /// Its name.
    pub case: String,
    /// The finding.
    pub finding: CreepFinding,
    /// The place from which it was followed: the start, or where the case was new.
    pub from: usize,
    /// The whole change since then; none where the chain is broken.
    pub total: Option<Product>,
    /// What of it counts: all that was not accepted.
    pub counted: Option<Product>,
    /// What was accepted of it, and still is.
    pub accepted: Option<Product>,
    /// How many steps were accepted until a day that is past.
    pub expired: usize,
}

/// The finding about a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CreepFinding {
    /// It did not creep beyond the limit.
    Within,
    /// It did.
    Beyond,
    /// By the estimate it did, and it is not even sure that it became slower at all.
    Unsure,
    /// Commits in between have no session that tells.
    Broken(Gap),
    /// The newest commit has it no longer.
    Gone,
}

/// Where a chain is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    /// The last place that sessions lead to.
    pub from: usize,
    /// The next place, which none leads to from there.
    pub to: usize,
    /// Whether a session leads to it that could not tell.
    pub is_doubtful: bool,
}

/// Judges the cases of a line.
pub(crate) fn judge_creep(cases: &[CaseSteps], line: &CommitLine, rule: &CreepRule) -> CreepVerdict {
    let mut judged = Vec::new();
    for case in cases {
        judged.push(judge_case(case, line.end(), rule));
    }
    CreepVerdict { conclusion: conclusion(&judged, line), cases: judged }
}

fn conclusion(cases: &[CaseCreep], line: &CommitLine) -> Verdict {
    let is_beyond = cases.iter().any(|case| case.finding == CreepFinding::Beyond);
    let is_unknown =
        cases.iter().any(|case| matches!(case.finding, CreepFinding::Unsure | CreepFinding::Broken(_)));
    if is_beyond {
        Verdict::Missed
    } else if is_unknown || cases.is_empty() && line.end() > 0 {
        // Commits without any session are no pass.
        Verdict::Untrusted
    } else {
        Verdict::Held
    }
}

fn judge_case(case: &CaseSteps, end: usize, rule: &CreepRule) -> CaseCreep {
    let mut creep = CaseCreep {
        case: case.case.clone(),
        finding: CreepFinding::Gone,
        from: 0,
        total: None,
        counted: None,
        accepted: None,
        expired: 0,
    };
    let Some(path) = path(case, end) else {
        if !is_gone(case) {
            creep.finding = CreepFinding::Broken(gap(case, end));
        }
        return creep;
    };
    creep.from = path.first().map_or(end, |step| step.from);
    let mut counted = Vec::new();
    let mut accepted = Vec::new();
    for step in &path {
        match &step.accepted {
            Some(one) if one.until >= rule.today => accepted.push(&step.change),
            Some(_) => {
                creep.expired += 1;
                counted.push(&step.change);
            }
            None => counted.push(&step.change),
        }
    }
    let of_counted = product(counted);
    creep.finding = finding(&of_counted, rule.limit);
    creep.counted = Some(of_counted);
    if !accepted.is_empty() {
        creep.accepted = Some(product(accepted));
    }
    creep.total = Some(product(path.iter().map(|step| &step.change)));
    creep
}

/// Whether the last that is known of the case is that it went.
fn is_gone(case: &CaseSteps) -> bool {
    // Of two builds that are the same nothing was measured: such a step leads on from a commit without the case, too.
    let measured = case.steps.iter().filter(|step| step.value.is_some());
    let last_seen = measured.map(|step| step.to).chain(case.new_at.iter().copied()).max();
    case.gone_at.iter().copied().max() > last_seen
}

/// The path to the newest commit: from the start, or for a case that came later from where it was new.
fn path(case: &CaseSteps, end: usize) -> Option<Vec<&Step>> {
    let mut starts = vec![0];
    starts.extend(&case.new_at);
    // Of several the earliest, from which most is seen.
    starts.sort_unstable();
    for start in starts {
        if let Some(path) = case.fewest(start, end) {
            return Some(path);
        }
    }
    None
}

/// The first place at which the chain breaks.
fn gap(case: &CaseSteps, end: usize) -> Gap {
    let mut starts = vec![0];
    starts.extend(&case.new_at);
    // What came later need not be followed from the start: the chain that leads farthest breaks last.
    let mut from = 0;
    for start in starts {
        from = from.max(case.farthest(start, end));
    }
    Gap { from, to: from + 1, is_doubtful: case.doubtful_at.contains(&(from + 1)) }
}

/// Judged by the estimate, as a limit of many percent needs no proof of the last tenth; but a case of which it is not sure
/// that it became slower at all fails nothing.
fn finding(product: &Product, limit: f64) -> CreepFinding {
    if product.change.share <= limit {
        CreepFinding::Within
    } else if product.change.lower.is_some_and(|lower| lower > 0.0) {
        CreepFinding::Beyond
    } else {
        CreepFinding::Unsure
    }
}

#[cfg(test)]
mod tests {
    use super::super::chain::case_steps;
    use super::super::entry::tests::{changed, gate};
    use super::super::entry::{AcceptedStep, Change, GateCase, HistoryEntry, HistoryKind};
    use super::super::line::tests::line;
    use super::*;

    fn rule() -> CreepRule {
        CreepRule { limit: 0.05, today: "2026-11-26".parse().expect("is a day") }
    }

    fn judged(entries: &[HistoryEntry], end: usize) -> CreepVerdict {
        let line = line(end);
        judge_creep(&case_steps(entries, &line), &line, &rule())
    }

    /// A session for each commit, in which the case got slower by this share.
    fn each_slower_by(share: f64, commits: usize) -> Vec<HistoryEntry> {
        (1..=commits).map(|head| gate(head - 1, head, vec![changed("a", share)])).collect()
    }

    #[test]
    fn ten_steps_of_one_percent_are_ten_percent() {
        let verdict = judged(&each_slower_by(0.01, 10), 10);
        assert_eq!((verdict.conclusion, verdict.cases[0].finding), (Verdict::Missed, CreepFinding::Beyond));
        let total = verdict.cases[0].total.expect("is whole");
        // 1.01 to the tenth is 1.1046. Half a percent each way, ten times: about the root of ten times as much.
        assert!((total.change.share - 0.104_622).abs() < 1e-6 && total.steps == 10, "{total:?}");
        assert!(total.change.lower.is_some_and(|lower| (0.085..0.089).contains(&lower)), "{total:?}");
        // Four of them are 4.06 %.
        let verdict = judged(&each_slower_by(0.01, 4), 4);
        assert_eq!((verdict.conclusion, verdict.cases[0].finding), (Verdict::Held, CreepFinding::Within));
    }

    #[test]
    fn a_commit_without_a_session_breaks_the_chain() {
        let mut entries = each_slower_by(0.001, 5);
        entries.remove(2);
        let verdict = judged(&entries, 5);
        assert_eq!(verdict.conclusion, Verdict::Untrusted);
        let gap = Gap { from: 2, to: 3, is_doubtful: false };
        assert_eq!(verdict.cases[0].finding, CreepFinding::Broken(gap));
        assert_eq!(verdict.cases[0].total, None);

        let doubtful = GateCase { finding: crate::lockstep::Finding::Untrusted, ..changed("a", 0.0) };
        entries.push(gate(2, 3, vec![doubtful]));
        let CreepFinding::Broken(gap) = judged(&entries, 5).cases[0].finding else { panic!("is broken") };
        assert!(gap.is_doubtful);

        // A proven creep of another case outranks it.
        entries.push(gate(0, 5, vec![changed("b", 0.08)]));
        assert_eq!(judged(&entries, 5).conclusion, Verdict::Missed);
    }

    #[test]
    fn nothing_measured_is_no_pass_and_nothing_to_measure_is_one() {
        assert_eq!(judged(&[], 3).conclusion, Verdict::Untrusted);
        assert_eq!(judged(&[], 0).conclusion, Verdict::Held);
    }

    #[test]
    fn an_estimate_beyond_the_limit_that_may_be_none_is_unsure() {
        let mut wide = changed("a", 0.06);
        wide.change = Some(Change { share: 0.06, lower: Some(-0.01), upper: Some(0.13) });
        let verdict = judged(&[gate(0, 1, vec![wide])], 1);
        assert_eq!(
            (verdict.conclusion, verdict.cases[0].finding),
            (Verdict::Untrusted, CreepFinding::Unsure)
        );
    }

    /// A step of 4 % that was accepted until this day.
    fn accepted(until: &str) -> GateCase {
        let until = until.parse().expect("is a day");
        GateCase { accepted: Some(AcceptedStep { up_to: 0.05, until }), ..changed("a", 0.04) }
    }

    #[test]
    fn what_was_accepted_does_not_count_until_its_last_day_is_past() {
        for (until, finding, expired) in
            [("2026-11-26", CreepFinding::Within, 0), ("2026-11-25", CreepFinding::Beyond, 1)]
        {
            let mut entries = each_slower_by(0.01, 2);
            entries.push(gate(2, 3, vec![accepted(until)]));
            let creep = judged(&entries, 3).cases.remove(0);
            assert_eq!((creep.finding, creep.expired), (finding, expired), "{until}");
            // 1.01 * 1.01 * 1.04 = 1.0609, whatever of it counts.
            let total = creep.total.expect("is whole").change.share;
            assert!((total - 0.060_904).abs() < 1e-6, "{total}");
        }
    }

    #[test]
    fn cases_are_followed_from_where_they_came_until_they_go() {
        let mut entries = vec![gate(0, 1, vec![changed("a", 0.0)])];
        entries.push(gate(1, 2, vec![changed("a", 0.0)]));
        if let HistoryKind::Gate(gate) = &mut entries[1].measured {
            gate.new_cases.push("b".to_owned());
        }
        entries.push(gate(2, 3, vec![changed("b", 0.01)]));
        if let HistoryKind::Gate(gate) = &mut entries[2].measured {
            gate.gone_cases.push("a".to_owned());
        }
        let verdict = judged(&entries, 3);
        assert_eq!(verdict.conclusion, Verdict::Held);
        assert_eq!(
            (verdict.cases[0].finding, verdict.cases[1].finding),
            (CreepFinding::Gone, CreepFinding::Within)
        );
        assert_eq!(verdict.cases[1].from, 2);
    }

    /// A session from commit 1 to commit 2, in which the case went.
    fn gone() -> HistoryEntry {
        let mut entry = gate(1, 2, Vec::new());
        if let HistoryKind::Gate(gate) = &mut entry.measured {
            gate.gone_cases.push("a".to_owned());
        }
        entry
    }

    #[test]
    fn a_case_that_went_is_gone_until_it_comes_again() {
        let mut entries = vec![gate(0, 1, vec![changed("a", 0.0)]), gone()];
        // Two builds that are the same: both lack it.
        let mut same = gate(2, 3, Vec::new());
        if let HistoryKind::Gate(gate) = &mut same.measured {
            gate.identical = true;
        }
        entries.push(same);
        let verdict = judged(&entries, 3);
        assert_eq!((verdict.conclusion, verdict.cases[0].finding), (Verdict::Held, CreepFinding::Gone));

        // It came again, and nothing was measured since then.
        let mut new = gate(3, 4, Vec::new());
        if let HistoryKind::Gate(gate) = &mut new.measured {
            gate.new_cases.push("a".to_owned());
        }
        entries.push(new);
        let verdict = judged(&entries, 5);
        let gap = Gap { from: 4, to: 5, is_doubtful: false };
        assert_eq!(verdict.cases[0].finding, CreepFinding::Broken(gap));
        assert_eq!(verdict.conclusion, Verdict::Untrusted);
    }
}
