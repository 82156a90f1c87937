//! From the slices to a verdict: a pure function of the record, the same today and in a replay.
//!
//! Each pair of processes gives one value a case, the median of its blocks' log ratios. Processes are the sample: what
//! differs between two of them (where memory lies, which port) does not average out within one.

use serde::Serialize;

use super::compared::{Comparison, Effect, OneCase};
use super::controls::{problems_of_controls, problems_of_order};
use super::plan::{Plan, control};
use super::record::{CaseRecord, Compared, Record};
use super::schedule::Role;
use crate::stats::median;

/// A case is underpowered if what it could have seen is more than so many times what would fail it.
const UNDERPOWERED: f64 = 2.0;

/// The verdict on a session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// What the whole run says.
    pub conclusion: Conclusion,
    /// Why it is not to be trusted, a sentence each.
    pub distrust: Vec<String>,
    /// Each case.
    pub cases: Vec<CaseVerdict>,
}

/// What a run says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// No case got slower, and it would have been seen.
    Pass,
    /// A case got slower.
    Regression,
    /// Nothing can be said.
    Inconclusive,
}

/// What was found of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// It got slower.
    Regressed,
    /// It got faster.
    Improved,
    /// Neither, and it would have been seen.
    Same,
    /// Too noisy to see a slowdown of twice what would fail it.
    Underpowered,
    /// Its blocks take too long for the budget.
    TooSlow,
}

/// A case, with what its verdict rests on. Effects are shares of the base's time: 0.02 is 2 % slower.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseVerdict {
    /// Its id.
    pub id: String,
    /// What was found.
    pub finding: Finding,
    /// A slowdown from here on fails it.
    pub fail_over: f64,
    /// The figures; none for a case that was too slow.
    #[serde(flatten)]
    pub figures: Option<Figures>,
}

/// What was measured of a case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Nanoseconds of an iteration of the base, median over slices.
    pub base_ns: f64,
    /// Likewise, of the head.
    pub head_ns: f64,
    /// By what share the head is slower; below 0, faster.
    pub effect: Effect,
    /// How often chance alone makes any case look this much slower than the margin allows.
    pub p_slower: f64,
    /// How often chance alone makes any case look this much faster.
    pub p_faster: f64,
    /// The smallest slowdown that this run would have seen nine times in ten.
    pub smallest: f64,
    /// Standard deviation of the effect from pair to pair.
    pub spread: f64,
    /// The control that must show nothing: a second process of the base.
    pub copy: Effect,
    /// The control that must be caught: the same, slowed by `control_share`.
    pub slowed: Effect,
    /// By what share the control was slowed.
    pub control_share: f64,
    /// Blocks, in all pairs.
    pub blocks: usize,
}

/// Judges a whole record: one that holds as many pairs of every case.
pub fn judge(record: &Record) -> Verdict {
    judge_cases(&record.plan, &record.cases, problems_of_order(record))
}

/// Judges cases whose order of arms has been looked at, with what was wrong about that.
pub(super) fn judge_cases(plan: &Plan, cases: &[CaseRecord], mut distrust: Vec<String>) -> Verdict {
    let (too_slow_ones, measured): (Vec<_>, Vec<_>) = cases.iter().partition(|case| case.too_slow);
    let compare = |of| Comparison::new(&measured, of, plan.margin, plan.rate);
    let comparisons = (compare(Compared::Head), compare(Compared::Copy), compare(Compared::Slowed));
    let mut verdicts = Vec::new();
    if let (Some(head), Some(copy), Some(slowed)) = comparisons {
        let of =
            |(i, case): (usize, &&CaseRecord)| of_case(case, [head.case(i), copy.case(i), slowed.case(i)]);
        verdicts.extend(measured.iter().enumerate().map(of));
        distrust.extend(problems_of_controls(&measured, &copy, &slowed));
    }
    verdicts.extend(too_slow_ones.into_iter().map(too_slow));
    Verdict { conclusion: conclusion(&verdicts, &distrust), distrust, cases: verdicts }
}

/// A broken control makes all of it worthless; a proven slowdown outranks what could not be seen elsewhere.
fn conclusion(cases: &[CaseVerdict], distrust: &[String]) -> Conclusion {
    let found = |finding| cases.iter().any(|case| case.finding == finding);
    if !distrust.is_empty() {
        Conclusion::Inconclusive
    } else if found(Finding::Regressed) {
        Conclusion::Regression
    } else if cases.is_empty() || found(Finding::Underpowered) || found(Finding::TooSlow) {
        Conclusion::Inconclusive
    } else {
        Conclusion::Pass
    }
}

fn too_slow(case: &CaseRecord) -> CaseVerdict {
    CaseVerdict { id: case.id.clone(), finding: Finding::TooSlow, fail_over: case.fail_over, figures: None }
}

fn of_case(case: &CaseRecord, [head, copy, slowed]: [OneCase<'_>; 3]) -> CaseVerdict {
    let smallest = head.smallest(case.fail_over);
    let finding = match head.found(case.fail_over) {
        Some(finding) => finding,
        None if smallest > UNDERPOWERED * case.fail_over => Finding::Underpowered,
        None => Finding::Same,
    };
    let figures = Figures {
        base_ns: median_slice(case, Role::Base),
        head_ns: median_slice(case, Role::Head),
        effect: head.effect(),
        p_slower: head.p_slower,
        p_faster: head.p_faster,
        smallest,
        spread: head.spread(),
        copy: copy.effect(),
        slowed: slowed.effect(),
        control_share: control(case.fail_over),
        blocks: case.pairs.iter().map(Vec::len).sum(),
    };
    CaseVerdict { id: case.id.clone(), finding, fail_over: case.fail_over, figures: Some(figures) }
}

/// Nanoseconds of an iteration.
fn median_slice(case: &CaseRecord, role: Role) -> f64 {
    let blocks = case.pairs.iter().flatten();
    let slices = blocks.map(|block| block.sum(role) as f64 / 2.0 / case.iters as f64).collect();
    median(slices).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::super::fake::{self, Trait, session};
    use super::*;

    const CASES: [&str; 3] = ["a", "b", "c"];

    fn judged(seed: u64, traits: &[Trait]) -> Verdict {
        judge(&session(&fake::plan(seed), &CASES, traits))
    }

    fn findings(verdict: &Verdict) -> Vec<Finding> {
        verdict.cases.iter().map(|case| case.finding).collect()
    }

    #[test]
    fn a_head_that_is_five_percent_slower_fails_in_every_case() {
        let verdict = judged(1, &[Trait::Slower(0.05)]);
        assert_eq!(
            (verdict.conclusion, findings(&verdict)),
            (Conclusion::Regression, vec![Finding::Regressed; 3])
        );
        let figures = verdict.cases[0].figures.as_ref().expect("has some");
        assert!((figures.effect.share - 0.05).abs() < 0.01, "{figures:?}");
        assert!(figures.effect.lower < Some(0.05) && figures.effect.upper > Some(0.05), "{figures:?}");
        assert!((figures.slowed.share - 0.05).abs() < 0.01 && figures.copy.share.abs() < 0.01, "{figures:?}");
        assert!((figures.head_ns / figures.base_ns / 1.05 - 1.0).abs() < 0.01, "{figures:?}");
    }

    #[test]
    fn a_faster_head_is_found_by_the_same_rule_and_passes() {
        let verdict = judged(1, &[Trait::Slower(-0.05)]);
        assert_eq!((verdict.conclusion, findings(&verdict)), (Conclusion::Pass, vec![Finding::Improved; 3]));
    }

    #[test]
    fn drift_and_two_speeds_are_no_regression_and_hide_none() {
        for odd in [Trait::Drift(0.1), Trait::TwoSpeeds] {
            for seed in 0..20 {
                assert_eq!(judged(seed, &[odd]).conclusion, Conclusion::Pass, "seed {seed}");
                let slower = judged(seed, &[odd, Trait::Slower(0.05)]);
                assert_eq!(slower.conclusion, Conclusion::Regression, "seed {seed}: {slower:?}");
            }
        }
    }

    #[test]
    fn only_the_slowed_case_is_named() {
        let injected = super::super::plan::Injection { case: "b".to_owned(), share: 0.04 };
        let plan = Plan { injected: Some(injected), ..fake::plan(3) };
        let verdict = judge(&session(&plan, &CASES, &[Trait::TwoSpeeds]));
        assert_eq!(findings(&verdict), [Finding::Same, Finding::Regressed, Finding::Same]);
    }

    #[test]
    fn restless_processes_are_underpowered_and_never_a_pass() {
        // 10 % from process to process, 10 of them: nothing below a dozen percent can be seen.
        for seed in 0..10 {
            let verdict = judged(seed, &[Trait::Restless(Role::Head, 0.1)]);
            assert_eq!(verdict.conclusion, Conclusion::Inconclusive, "{verdict:?}");
            assert!(verdict.cases[0].figures.as_ref().is_some_and(|f| f.smallest > 0.04 && f.spread > 0.05));
        }
    }

    #[test]
    fn a_proven_slowdown_outranks_a_case_that_could_not_be_seen() {
        let verdict = |finding| CaseVerdict { id: "a".to_owned(), finding, fail_over: 0.02, figures: None };
        let both = [verdict(Finding::Underpowered), verdict(Finding::Regressed)];
        assert_eq!(conclusion(&both, &[]), Conclusion::Regression);
        assert_eq!(conclusion(&both, &["a control failed".to_owned()]), Conclusion::Inconclusive);
        assert_eq!(conclusion(&both[..1], &[]), Conclusion::Inconclusive);
        assert_eq!(
            conclusion(&[verdict(Finding::TooSlow), verdict(Finding::Same)], &[]),
            Conclusion::Inconclusive
        );
        assert_eq!(conclusion(&[], &[]), Conclusion::Inconclusive);
        assert_eq!(conclusion(&[verdict(Finding::Same), verdict(Finding::Improved)], &[]), Conclusion::Pass);
    }

    #[test]
    fn a_case_that_is_too_slow_is_listed_and_not_passed() {
        let plan = Plan { budget_ms: 2_000, ..fake::plan(1) };
        let verdict = judge(&session(&plan, &["slow", "a"], &[Trait::Quiet]));
        assert_eq!((verdict.conclusion, verdict.cases.len()), (Conclusion::Inconclusive, 2));
        assert!(findings(&verdict).contains(&Finding::TooSlow));
    }

    #[test]
    fn what_it_says_it_could_have_seen_it_sees_nine_times_in_ten() {
        // With 2 % from process to process, the smallest effect is found by the run's own reckoning, then injected.
        let restless = Trait::Restless(Role::Head, 0.02);
        let smallest: f64 = (0..20)
            .map(|seed| judged(seed, &[restless]).cases[0].figures.as_ref().map_or(0.0, |f| f.smallest))
            .sum::<f64>()
            / 20.0;
        let seen = (100..300)
            .filter(|&seed| {
                let verdict = judged(seed, &[restless, Trait::Slower(smallest)]);
                verdict.cases[0].finding == Finding::Regressed
            })
            .count();
        // 180 of 200 expected, standard deviation 4.2, and the formula is an approximation.
        assert!((160..=198).contains(&seen), "{seen} of 200 at {smallest}");
    }
}
