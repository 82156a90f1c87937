//! What had to hold in a session: that no case got slower, that no count rose, and that the session can be trusted.

use super::accepted::AcceptedVerdict;
use super::counter_table::both_counts;
use super::counters::{CountFinding, CounterVerdict};
use super::finding::Finding;
use super::record::Record;
use super::verdict::{CaseVerdict, SessionVerdict};
use crate::document::{Check, CheckOutcome};
use crate::units::{Share, printable};

/// What all checks of a session belong to.
const GROUP: &str = "gate";

/// A check a case, one for each count that was judged, and one of the session where it is not to be trusted.
pub(super) fn gate_checks(record: &Record, verdict: &SessionVerdict) -> Vec<Check> {
    let mut checks = Vec::new();
    let is_trusted = verdict.distrust.is_empty();
    if !is_trusted {
        let why = verdict.distrust.join("; ");
        checks.push(check("the session can be trusted", CheckOutcome::Undecided, &why));
    }
    for case in &verdict.cases {
        let accepted = verdict.accepted.iter().find(|accepted| accepted.slowdown.case == case.id);
        checks.push(of_case(case, accepted, is_trusted));
    }
    // Without a case nothing was judged, which is no pass.
    if verdict.cases.is_empty() && !verdict.identical {
        let why = "no case was measured";
        checks.push(check("a case was judged", CheckOutcome::Undecided, why));
    }
    if let Some(counters) = &record.counters {
        for counter in &verdict.counters {
            checks.extend(of_counter(counter, counters.fail));
        }
    }
    checks
}

/// Two builds that are the same bytes cannot differ.
pub(super) fn identical_check() -> Check {
    check("no case got slower", CheckOutcome::Held, "both builds are the same bytes")
}

fn of_case(case: &CaseVerdict, accepted: Option<&AcceptedVerdict>, is_trusted: bool) -> Check {
    let outcome = match case.finding {
        // What a session that is not to be trusted found is no evidence, whatever it is.
        _ if !is_trusted => CheckOutcome::Undecided,
        Finding::Same | Finding::Improved | Finding::Accepted => CheckOutcome::Held,
        Finding::Regressed | Finding::TailRegressed => CheckOutcome::Missed,
        Finding::Undecided | Finding::TooSlow | Finding::Untrusted | Finding::Missing => {
            CheckOutcome::Undecided
        }
    };
    let mut measured = case.finding.label().to_owned();
    if let Some(figures) = &case.figures {
        measured += &format!(": {}", figures.effect.with_interval());
    }
    // Somebody agreed to it, or to less: a CI shows that beside what was measured.
    if let Some(accepted) = accepted {
        measured += &format!("; {accepted}");
    }
    // Why it is not decided belongs to what was measured.
    for problem in &case.distrust {
        measured += &format!("; {problem}");
    }
    let name = format!("{} is not slower by {} or more", case.id, Share(case.threshold));
    check(&name, outcome, &measured)
}

/// `None` for a count that does not have to hold: one that is not the same each time, or that base lacks, is shown and not
/// judged.
fn of_counter(counter: &CounterVerdict, fail: f64) -> Option<Check> {
    let outcome = match counter.finding {
        CountFinding::NotExact | CountFinding::OnlyInHead => return None,
        CountFinding::Risen => CheckOutcome::Missed,
        CountFinding::Missing => CheckOutcome::Undecided,
        CountFinding::More | CountFinding::Fewer | CountFinding::Within | CountFinding::Equal => {
            CheckOutcome::Held
        }
    };
    let name = format!("{} {} do not rise by more than {}", counter.case, counter.measure, Share(fail));
    Some(check(&name, outcome, &both_counts(counter)))
}

/// Ids and problems come from workers, which may say anything.
fn check(name: &str, outcome: CheckOutcome, measured: &str) -> Check {
    Check { group: GROUP.to_owned(), name: printable(name), outcome, measured: printable(measured) }
}

#[cfg(test)]
mod tests {
    use super::super::accepted::{Accepted, AcceptedSlowdown};
    use super::super::counters::{CountRecord, Counters};
    use super::super::fake::{self, Trait, session};
    use super::super::measure::Measure;
    use super::super::schedule::Role;
    use super::super::verdict::judge;
    use super::*;

    fn checks(record: &Record) -> Vec<Check> {
        gate_checks(record, &judge(record))
    }

    fn outcomes(checks: &[Check]) -> Vec<CheckOutcome> {
        checks.iter().map(|check| check.outcome).collect()
    }

    #[test]
    fn a_case_is_a_check_with_its_effect() {
        let quiet = checks(&session(&fake::plan(1), &["a", "b"], &[Trait::Quiet]));
        assert_eq!(outcomes(&quiet), [CheckOutcome::Held; 2]);
        assert_eq!(quiet[0].name, "a is not slower by 2 % or more");
        assert!(quiet[0].measured.starts_with("same: "), "{quiet:?}");
        let slower = checks(&session(&fake::plan(1), &["a", "b"], &[Trait::Slower(0.05)]));
        assert_eq!(outcomes(&slower), [CheckOutcome::Missed; 2]);
        let measured = &slower[0].measured;
        assert!(measured.starts_with("SLOWER: +") && measured.ends_with(" %]"), "{measured}");
    }

    #[test]
    fn an_accepted_slowdown_holds_and_says_by_whose_word() {
        let slowdown = AcceptedSlowdown {
            case: "a".to_owned(),
            up_to: 0.1,
            left: 0.1,
            until: "2026-12-24".parse().expect("is a day"),
            why: "it verifies checksums".to_owned(),
        };
        let accepted = Accepted { on: "2026-11-26".parse().expect("is a day"), slowdowns: vec![slowdown] };
        let slower = session(&fake::plan(1), &["a", "b"], &[Trait::Slower(0.05)]);
        let checks = checks(&Record { accepted: Some(accepted), ..slower });
        assert_eq!(outcomes(&checks), [CheckOutcome::Held, CheckOutcome::Missed]);
        assert!(checks[0].measured.starts_with("accepted: +"), "{checks:?}");
        assert!(checks[0].measured.contains("; Accepted until 2026-12-24: a up to +10 %"), "{checks:?}");
        assert!(!checks[1].measured.contains("Accepted"), "{checks:?}");
    }

    #[test]
    fn what_is_not_decided_or_not_trusted_is_no_success() {
        let undecided = CheckOutcome::Undecided;
        let restless = session(&fake::plan(1), &["a", "b"], &[Trait::Restless(Role::Head, 0.1)]);
        assert_eq!(outcomes(&checks(&restless)), [undecided; 2]);
        let no_spin = checks(&session(&fake::plan(1), &["a"], &[Trait::NoSpin]));
        assert_eq!(outcomes(&no_spin), [undecided]);
        assert!(no_spin[0].measured.contains("; a: "), "its problem is told: {no_spin:?}");
        let mut lacking = session(&fake::plan(1), &["a"], &[Trait::Quiet]);
        lacking.missing.push("b".to_owned());
        assert_eq!(outcomes(&checks(&lacking)), [CheckOutcome::Held, undecided]);
        lacking.cases.clear();
        lacking.missing.clear();
        assert_eq!(outcomes(&checks(&lacking)), [undecided]);
    }

    #[test]
    fn a_session_that_is_not_to_be_trusted_has_nothing_that_held() {
        let record = session(&fake::plan(1), &["a", "b"], &[Trait::Quiet]);
        let mut verdict = judge(&record);
        verdict.distrust.push("no coin decided that".to_owned());
        assert_eq!(outcomes(&gate_checks(&record, &verdict)), [CheckOutcome::Undecided; 3]);
    }

    #[test]
    fn counts_are_checks_where_they_are_judged() {
        let mut counts = Vec::new();
        for (measure, base, head) in [
            ("allocations", [20, 20], [30, 30]),
            ("bytes", [20, 20], [20, 20]),
            ("instructions", [1, 2], [5, 5]),
        ] {
            counts.push(CountRecord {
                case: "a".to_owned(),
                measure: Measure::Count(measure.to_owned()),
                iterations: 10,
                tolerance: 0.0,
                base: base.to_vec(),
                head: head.to_vec(),
            });
        }
        let counters = Counters { show: 0.01, fail: 0.05, notes: Vec::new(), counts };
        let quiet = session(&fake::plan(1), &["a"], &[Trait::Quiet]);
        let checks = checks(&Record { counters: Some(counters), ..quiet });
        // The third one is not the same each time.
        assert_eq!(outcomes(&checks), [CheckOutcome::Held, CheckOutcome::Missed, CheckOutcome::Held]);
        assert_eq!(checks[1].name, "a allocations do not rise by more than 5 %");
        assert_eq!(checks[1].measured, "2 in base, 3 in head (+50.0 %)");
    }

    #[test]
    fn what_workers_say_cannot_rule_a_terminal() {
        let record = session(&fake::plan(1), &["a\u{1b}[2J"], &[Trait::Quiet]);
        assert!(checks(&record)[0].name.starts_with(r"a\u{1b}[2J is not"), "{record:?}");
    }
}
