//! Do the workers' clocks agree with the gate's own? A worker says how long its slices took; the gate times how long
//! it waited for them.
//!
//! The gate waits for more than a slice: for the pipe, for waking up, for work that a worker does not time. That rest
//! is the same for all arms. Where it is not, one arm has a clock that runs at another speed, or works outside the
//! timed part.

use super::record::{Block, CaseRecord};
use super::schedule::Role;
use crate::stats::{median, quantile_ranks};

/// Arms may differ in what the gate waits beside their own times by this share of those. Between processes of one build
/// the difference is below 0.3 %.
const TOLERANCE: f64 = 0.01;
/// They may also differ by this share of the difference between their own times: on a busy machine, an arm that ran
/// for longer is waited for longer.
const TOLERANCE_OF_EFFECT: f64 = 0.1;
/// Confidence of the interval that has to lie beyond the tolerance: of 20 pairs 18 have to, of 10 all.
const CONFIDENCE: f64 = 0.998;
/// Fewest slices of exactly the same time that show that a clock stands still.
const FEW: usize = 10;

/// What is wrong with the clocks of one case, a sentence each.
pub fn problems_of_clocks(case: &CaseRecord) -> Vec<String> {
    let mut problems = Vec::new();
    for role in Role::ALL {
        let arm = role.name();
        // One sentence an arm, the plainest cause first: a clock that stands still may fail the other checks as well.
        if let Some(value) = only_value(case, role) {
            problems.push(format!(
                "{}: every slice of {arm} took exactly {value} ns: its clock stands still",
                case.id
            ));
        } else if claims_too_much(case, role) {
            problems.push(format!(
                "{}: {arm} says that its slices took longer than the gate waited for them: its clock runs too fast",
                case.id
            ));
        } else if let Some(share) = differs_from_both_others(case, role) {
            let percent = 100.0 * share.abs();
            let direction = if share > 0.0 { "more" } else { "less" };
            problems.push(format!(
                "{}: by the gate's clock, {arm} took {percent:.1} % {direction} beside what it timed than the other arms \
                 did: its clock (or that of both others) runs at another speed, or it works outside the timed part",
                case.id
            ));
        }
    }
    problems
}

/// The value that all slices of an arm have in common, if they have one.
fn only_value(case: &CaseRecord, role: Role) -> Option<u64> {
    let mut values = Vec::new();
    for block in case.pairs.iter().flat_map(|pair| &pair.blocks) {
        values.extend(block.slices(role));
    }
    let first = *values.first()?;
    let alike = values.len() >= FEW && values.iter().all(|value| *value == first);
    if alike { Some(first) } else { None }
}

/// Whether an arm's slices took longer by its own clock than the gate waited for them.
fn claims_too_much(case: &CaseRecord, role: Role) -> bool {
    let mut shares = Vec::new();
    for block in case.pairs.iter().flat_map(|pair| &pair.blocks) {
        shares.push(untimed_ns(block, role) / block.sum(role) as f64);
    }
    median(shares).is_some_and(|share| share < -TOLERANCE)
}

/// By what share more (or less) the gate waited beside this arm's time than beside those of the other two: the smaller of
/// the two differences, if both lie beyond the tolerance on the same side.
fn differs_from_both_others(case: &CaseRecord, role: Role) -> Option<f64> {
    // The two sound arms differ from an odd one, but not from each other: so only the odd one is named.
    let mut differences = Vec::new();
    for other in Role::ALL.into_iter().filter(|other| *other != role) {
        differences.push(difference(case, role, other)?);
    }
    let smaller = differences.iter().copied().min_by(|a, b| a.abs().total_cmp(&b.abs()))?;
    let same_side = differences.iter().all(|difference| difference.signum() == smaller.signum());
    if same_side { Some(smaller) } else { None }
}

/// The difference of two arms as a share of what the other took, if it is beyond the tolerance with its whole interval
/// over pairs.
fn difference(case: &CaseRecord, role: Role, other: Role) -> Option<f64> {
    let mut untimed = Vec::new();
    let mut effects = Vec::new();
    for pair in &case.pairs {
        let mut shares = Vec::new();
        for block in &pair.blocks {
            let timed = block.sum(other) as f64;
            shares.push((untimed_ns(block, role) - untimed_ns(block, other)) / timed);
            effects.push(block.sum(role) as f64 / timed - 1.0);
        }
        untimed.push(median(shares)?);
    }
    // A tenth of the effect and no more: a clock that is 3 % slow shows as an effect of 3 %, and has to be noticed.
    let tolerance = TOLERANCE + TOLERANCE_OF_EFFECT * median(effects)?.abs();
    untimed.sort_by(f64::total_cmp);
    let ranks = quantile_ranks(untimed.len() as u64, 0.5, CONFIDENCE)?;
    let lower = untimed[ranks.lower? as usize - 1];
    let upper = untimed[ranks.upper? as usize - 1];
    if lower > tolerance || upper < -tolerance { median(untimed) } else { None }
}

/// Nanoseconds that the gate waited for both slices of an arm beyond what the arm says that they took. A difference
/// and not a ratio: that rest does not grow with the time of a slice, so in a ratio a slower arm would look
/// different.
fn untimed_ns(block: &Block, role: Role) -> f64 {
    // What head spins on purpose (`--inject`) is part of its value already.
    let spun = if role == Role::Control { block.spun } else { 0 };
    block.waited(role) as f64 - (block.sum(role) + spun) as f64
}

#[cfg(test)]
mod tests {
    use super::super::fake::{self, Trait, session};
    use super::super::finding::Finding;
    use super::super::verdict::judge;
    use super::*;
    use crate::verdict::Verdict;

    /// What is said of the clocks in a session of one case with such workers, whose verdict has to be inconclusive.
    fn said(traits: &[Trait]) -> String {
        let record = session(&fake::plan(1), &["a"], traits);
        let verdict = judge(&record);
        assert_eq!(verdict.conclusion, Verdict::Untrusted, "{verdict:?}");
        assert_eq!(verdict.cases[0].finding, Finding::Untrusted, "{verdict:?}");
        problems_of_clocks(&record.cases[0]).join("\n")
    }

    #[test]
    fn clocks_of_one_speed_agree_however_slow_an_arm_is() {
        for traits in [&[Trait::Quiet][..], &[Trait::Slower(0.5)], &[Trait::TwoSpeeds, Trait::Slower(-0.5)]] {
            let record = session(&fake::plan(1), &["a", "b"], traits);
            assert_eq!(problems_of_clocks(&record.cases[0]), Vec::<String>::new());
        }
    }

    #[test]
    fn a_clock_that_stands_still_is_named_whatever_it_hides() {
        for hidden in [Trait::Quiet, Trait::Slower(0.05)] {
            let said = said(&[Trait::FrozenClock(Role::Head), hidden]);
            assert!(said.contains("a: every slice of head took exactly 2000000 ns"), "{said}");
        }
        assert!(said(&[Trait::FrozenClock(Role::Base)]).contains("every slice of base took exactly"));
    }

    #[test]
    fn a_clock_three_percent_slow_is_named_in_each_arm() {
        for role in Role::ALL {
            let said = said(&[Trait::SlowClock(role, 0.03)]);
            let expected = format!("by the gate's clock, {} took 3", role.name());
            assert!(said.contains(&expected) && said.contains("% more beside what it timed"), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    }

    #[test]
    fn a_slow_clock_hides_no_slowdown_of_its_size() {
        assert!(
            said(&[Trait::SlowClock(Role::Head, 0.05), Trait::Slower(0.05)]).contains("clock, head took 5")
        );
    }

    #[test]
    fn a_clock_that_runs_fast_claims_more_than_was_waited() {
        let said = said(&[Trait::SlowClock(Role::Head, -0.10)]);
        assert!(said.contains("head says that its slices took longer than the gate waited"), "{said}");
    }

    #[test]
    fn work_before_the_clock_starts_is_named() {
        let said = said(&[Trait::HiddenWork(Role::Head, 0.03)]);
        assert!(
            said.contains("clock, head took 3.0 % more") && said.contains("outside the timed part"),
            "{said}"
        );
    }
}
