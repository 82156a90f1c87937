//! The verdict on a session: a pure function of the record, the same after measuring and in a replay.
//!
//! Each pair of processes gives one value for each case, the median of its blocks' log ratios. Processes are the
//! sample: what differs between two of them (where memory lies, which port) does not average out within one.

use serde::{Serialize, Serializer};

use super::accepted::{Accepted, AcceptedState, AcceptedVerdict, FoundOfCase};
use super::clocks::problems_of_clocks;
use super::compared::{Comparison, Effect, OneCaseArms};
use super::controls::{problem_of_controls, problems_of_order};
use super::counters::{CountFinding, CounterVerdict, judge_counters};
use super::finding::Finding;
use super::measure::Measure;
use super::plan::{Plan, passes_below, positive_control};
use super::record::{CaseRecord, Compared, Record};
use super::schedule::Role;
use super::tail::{Tail, compare_tails, problem_of_tails};
use crate::stats::median;
use crate::verdict::Verdict;

/// The verdict on a session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SessionVerdict {
    /// The conclusion of the whole run: held where no case got slower, and it is sure that none got slower by twice its
    /// threshold; missed where a case got slower; untrusted where neither can be said.
    #[serde(serialize_with = "as_conclusion")]
    pub conclusion: Verdict,
    /// Whether both builds are the same bytes, and nothing was measured.
    pub identical: bool,
    /// Reasons why the whole run is not to be trusted, a sentence each.
    pub distrust: Vec<String>,
    /// The verdict on each case.
    pub cases: Vec<CaseVerdict>,
    /// The verdict on each exact count; none where nothing was counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub counters: Vec<CounterVerdict>,
    /// What became of each slowdown that was accepted beforehand; none where none was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<AcceptedVerdict>,
}

/// The words of `verdict.json`.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn as_conclusion<S: Serializer>(verdict: &Verdict, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match verdict {
        Verdict::Held => "pass",
        Verdict::Missed => "regression",
        Verdict::Untrusted => "inconclusive",
    })
}

/// The verdict on a case, and what it rests on. Effects are shares of the base's value: 0.02 is 2 % slower.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseVerdict {
    /// Its id.
    pub id: String,
    /// The finding.
    pub finding: Finding,
    /// The slowdown from which on it fails.
    pub threshold: f64,
    /// Reasons why its figures are not to be trusted, a sentence each.
    pub distrust: Vec<String>,
    /// The figures; none for a case that was not measured.
    #[serde(flatten)]
    pub figures: Option<Figures>,
}

/// The figures of a case. Values are of one iteration, of what the record measures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// The base's value, median over slices.
    pub base: f64,
    /// The head's value, median over slices.
    pub head: f64,
    /// By what share the head is slower; below 0, faster.
    pub effect: Effect,
    /// How often chance alone makes any case look this much slower (or faster) than by the margin. Nothing where the
    /// effect is below the threshold.
    pub p: Option<f64>,
    /// The minimum detectable effect: the slowdown that this run would have found nine times in ten.
    pub mde: f64,
    /// Standard deviation of the effect from pair to pair.
    pub spread: f64,
    /// The A/A control, which must show nothing: a second process of the base.
    pub aa_control: Effect,
    /// The positive control, which must be caught: the same, slowed by `positive_control_share`.
    pub positive_control: Effect,
    /// By what share the positive control was slowed.
    pub positive_control_share: f64,
    /// The slowest operations; none where there are too few.
    pub tail: Option<Tail>,
    /// Pairs of processes.
    pub pairs: usize,
    /// Blocks, in all pairs.
    pub blocks: usize,
}

impl SessionVerdict {
    /// The verdict on two builds that are the same bytes.
    pub fn identical() -> Self {
        Self {
            conclusion: Verdict::Held,
            identical: true,
            distrust: Vec::new(),
            cases: Vec::new(),
            counters: Vec::new(),
            accepted: Vec::new(),
        }
    }
}

/// Judges a whole record, which has the same number of pairs of every case.
pub fn judge(record: &Record) -> SessionVerdict {
    let clocks = record.measure == Measure::WallTime;
    let mut verdict = judge_cases(&record.plan, &record.cases, problems_of_order(record), clocks);
    for id in &record.missing {
        verdict.cases.push(without_figures(id, Finding::Missing, record.plan.threshold));
    }
    if let Some(accepted) = &record.accepted {
        verdict.accepted = accept(accepted, &mut verdict.cases);
    }
    verdict.counters = record.counters.as_ref().map(judge_counters).unwrap_or_default();
    // Once more, now with the missing cases, which are no pass, with what was accepted, and with what was counted.
    let of_time = conclusion(&verdict.cases, &verdict.distrust);
    verdict.conclusion = with_counters(of_time, &verdict.counters);
    verdict
}

/// Changes the finding about every case that an accepted slowdown covers; what became of each of them.
fn accept(accepted: &Accepted, cases: &mut [CaseVerdict]) -> Vec<AcceptedVerdict> {
    let mut verdicts = Vec::new();
    for slowdown in &accepted.slowdowns {
        let case = cases.iter_mut().find(|case| case.id == slowdown.case);
        let found = case.as_deref().map(found_of);
        let verdict = slowdown.judge(&accepted.on, found);
        if verdict.state == AcceptedState::Covers
            && let Some(case) = case
        {
            case.finding = Finding::Accepted;
        }
        verdicts.push(verdict);
    }
    verdicts
}

fn found_of(case: &CaseVerdict) -> FoundOfCase {
    let at_most = case.figures.as_ref().and_then(|figures| figures.effect.upper);
    FoundOfCase { finding: case.finding, at_most }
}

/// Judges cases. `distrust` is what was wrong with the order of the arms. `clocks` says whether values are times,
/// with which the gate's own clock has to agree.
pub(super) fn judge_cases(
    plan: &Plan,
    cases: &[CaseRecord],
    distrust: Vec<String>,
    clocks: bool,
) -> SessionVerdict {
    // Each comparison is of all cases at once, so that its false-alarm rate is that of the whole run.
    let measured: Vec<&CaseRecord> = cases.iter().filter(|case| !case.too_slow).collect();
    let head = Comparison::new(&measured, Compared::Head, plan);
    let control = Comparison::new(&measured, Compared::Control, plan);
    let positive = Comparison::new(&measured, Compared::PositiveControl, plan);
    let tails = compare_tails(&measured, plan);

    // Where no case was measured, there is no comparison.
    let mut verdicts = Vec::new();
    if let (Some(head), Some(control), Some(positive)) = (head, control, positive) {
        for (i, (case, tail)) in measured.iter().zip(tails).enumerate() {
            let arms =
                OneCaseArms { head: head.case(i), control: control.case(i), positive: positive.case(i) };
            verdicts.push(of_case(case, &arms, tail, plan.margin, clocks));
        }
    }
    for case in cases.iter().filter(|case| case.too_slow) {
        verdicts.push(without_figures(&case.id, Finding::TooSlow, case.threshold));
    }
    SessionVerdict {
        conclusion: conclusion(&verdicts, &distrust),
        identical: false,
        distrust,
        cases: verdicts,
        counters: Vec::new(),
        accepted: Vec::new(),
    }
}

/// The conclusion from the findings. If the order of the arms was wrong, the whole run is worthless. Otherwise a
/// proven slowdown outranks whatever could not be seen, or not be trusted, in another case.
fn conclusion(cases: &[CaseVerdict], distrust: &[String]) -> Verdict {
    let all_passed = cases
        .iter()
        .all(|case| matches!(case.finding, Finding::Same | Finding::Improved | Finding::Accepted));
    if !distrust.is_empty() {
        Verdict::Untrusted
    } else if cases.iter().any(is_slower) {
        Verdict::Missed
    } else if cases.is_empty() || !all_passed {
        // `all` holds for no cases too, and a run that judged nothing is no pass.
        Verdict::Untrusted
    } else {
        Verdict::Held
    }
}

/// The conclusion from time and counters. A count that rose is proved whatever becomes of the session, which it is no
/// part of. Equal counts prove nothing about time: an inconclusive session stays one.
fn with_counters(of_time: Verdict, counters: &[CounterVerdict]) -> Verdict {
    let has_risen = counters.iter().any(|counter| counter.finding == CountFinding::Risen);
    let lacks_some = counters.iter().any(|counter| counter.finding == CountFinding::Missing);
    match of_time {
        _ if has_risen => Verdict::Missed,
        // As a case that head lacks.
        Verdict::Held if lacks_some => Verdict::Untrusted,
        of_time => of_time,
    }
}

/// Whether a case was found to be slower, in its median or in its tail.
pub(super) fn is_slower(case: &CaseVerdict) -> bool {
    matches!(case.finding, Finding::Regressed | Finding::TailRegressed)
}

fn without_figures(id: &str, finding: Finding, threshold: f64) -> CaseVerdict {
    CaseVerdict { id: id.to_owned(), finding, threshold, distrust: Vec::new(), figures: None }
}

/// Judges one case.
fn of_case(
    case: &CaseRecord,
    arms: &OneCaseArms<'_>,
    tail: Option<Tail>,
    margin: f64,
    clocks: bool,
) -> CaseVerdict {
    let effect = arms.head.effect();
    let surely_below = effect.upper.is_some_and(|upper| upper < passes_below(case.threshold));
    // First whether its figures can be trusted at all. A count has no second clock.
    let mut distrust = Vec::new();
    distrust.extend(problem_of_controls(case, arms, margin, surely_below));
    if clocks {
        distrust.extend(problems_of_clocks(case));
    }
    distrust.extend(problem_of_tails(case, tail.as_ref()));
    let tail_regressed = tail.as_ref().is_some_and(|tail| tail.regressed);
    // Distrust comes first: figures that cannot be trusted show neither a slowdown nor a pass. A tail is only looked
    // at where the median did not get slower, and then a slower tail outranks a faster median.
    let finding = match arms.head.found(case.threshold) {
        _ if !distrust.is_empty() => Finding::Untrusted,
        Some(Finding::Regressed) => Finding::Regressed,
        _ if tail_regressed => Finding::TailRegressed,
        Some(found) => found,
        None if surely_below => Finding::Same,
        None => Finding::Undecided,
    };
    let figures = Figures {
        base: median_slice(case, Role::Base),
        head: median_slice(case, Role::Head),
        effect,
        p: arms.head.p(case.threshold),
        mde: arms.head.mde(case.threshold),
        spread: arms.head.spread(),
        aa_control: arms.control.effect(),
        positive_control: arms.positive.effect(),
        positive_control_share: positive_control(case.threshold),
        tail,
        pairs: case.pairs.len(),
        blocks: case.pairs.iter().map(|pair| pair.blocks.len()).sum(),
    };
    CaseVerdict { id: case.id.clone(), finding, threshold: case.threshold, distrust, figures: Some(figures) }
}

/// The value of an iteration: the median over blocks, each of which has two slices of the arm.
fn median_slice(case: &CaseRecord, role: Role) -> f64 {
    let blocks = case.pairs.iter().flat_map(|pair| &pair.blocks);
    let slices = blocks.map(|block| block.sum(role) as f64 / 2.0 / case.iters as f64).collect();
    median(slices).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::super::accepted::AcceptedSlowdown;
    use super::super::fake::{self, Trait, session};
    use super::*;

    const CASES: [&str; 3] = ["a", "b", "c"];

    fn judged(seed: u64, traits: &[Trait]) -> SessionVerdict {
        judge(&session(&fake::plan(seed), &CASES, traits))
    }

    fn findings(verdict: &SessionVerdict) -> Vec<Finding> {
        verdict.cases.iter().map(|case| case.finding).collect()
    }

    #[test]
    fn a_head_that_is_five_percent_slower_fails_in_every_case() {
        let verdict = judged(1, &[Trait::Slower(0.05)]);
        assert_eq!((verdict.conclusion, findings(&verdict)), (Verdict::Missed, vec![Finding::Regressed; 3]));
        // Noise of 3 % a slice, over some 500 blocks of each case: what is left of it is far below 1 %.
        let figures = verdict.cases[0].figures.as_ref().expect("has some");
        assert!((figures.effect.share - 0.05).abs() < 0.01, "{figures:?}");
        assert!(figures.effect.lower < Some(0.05) && figures.effect.upper > Some(0.05), "{figures:?}");
        assert!(
            (figures.positive_control.share - 0.05).abs() < 0.01 && figures.aa_control.share.abs() < 0.01,
            "{figures:?}"
        );
        assert!((figures.head / figures.base / 1.05 - 1.0).abs() < 0.01, "{figures:?}");
    }

    #[test]
    fn a_faster_head_is_found_by_the_same_rule_and_passes() {
        let verdict = judged(1, &[Trait::Slower(-0.05)]);
        assert_eq!((verdict.conclusion, findings(&verdict)), (Verdict::Held, vec![Finding::Improved; 3]));
    }

    /// The verdict on a session whose head is 5 % slower, of which so much was accepted in the first case.
    fn accepting(up_to: f64, traits: &[Trait]) -> SessionVerdict {
        let slowdown = AcceptedSlowdown {
            case: "a".to_owned(),
            up_to,
            left: up_to,
            until: "2026-12-24".parse().expect("is a day"),
            why: "it verifies checksums".to_owned(),
        };
        let on = "2026-11-26".parse().expect("is a day");
        let accepted = Accepted { on, slowdowns: vec![slowdown] };
        judge(&Record { accepted: Some(accepted), ..session(&fake::plan(1), &["a"], traits) })
    }

    #[test]
    fn a_slowdown_that_was_accepted_passes_and_a_larger_one_fails() {
        // Around 5 %, and at most 6 % as sure as the interval.
        let verdict = accepting(0.06, &[Trait::Slower(0.05)]);
        assert_eq!((verdict.conclusion, findings(&verdict)), (Verdict::Held, vec![Finding::Accepted]));
        assert_eq!(verdict.accepted[0].state, AcceptedState::Covers);
        let verdict = accepting(0.04, &[Trait::Slower(0.05)]);
        assert_eq!((verdict.conclusion, findings(&verdict)), (Verdict::Missed, vec![Finding::Regressed]));
        assert_eq!(verdict.accepted[0].state, AcceptedState::NotEnough);
    }

    #[test]
    fn figures_that_are_not_to_be_trusted_are_not_accepted_either() {
        let verdict = accepting(0.06, &[Trait::Slower(0.05), Trait::NoSpin]);
        assert_eq!((verdict.conclusion, findings(&verdict)), (Verdict::Untrusted, vec![Finding::Untrusted]));
        let stalls = accepting(0.06, &[Trait::Stalls(0.02, 5_000_000)]);
        assert_eq!((stalls.conclusion, findings(&stalls)), (Verdict::Missed, vec![Finding::TailRegressed]));
        assert_eq!(stalls.accepted[0].state, AcceptedState::TailOnly);
    }

    #[test]
    fn drift_and_two_speeds_are_no_regression_and_hide_none() {
        for odd in [Trait::Drift(0.1), Trait::TwoSpeeds] {
            for seed in 0..10 {
                assert_eq!(judged(seed, &[odd]).conclusion, Verdict::Held, "seed {seed}");
                let slower = judged(seed, &[odd, Trait::Slower(0.05)]);
                assert_eq!(slower.conclusion, Verdict::Missed, "seed {seed}: {slower:?}");
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
    fn restless_processes_pass_only_where_a_slowdown_is_excluded() {
        // 10 % from process to process, 10 of them: nothing below a dozen percent is surely found.
        let mut undecided = 0;
        for seed in 0..20 {
            let verdict = judged(seed, &[Trait::Restless(Role::Head, 0.1)]);
            let case = &verdict.cases[0];
            let figures = case.figures.as_ref().expect("has some");
            assert!(figures.mde > 0.04 && figures.spread > 0.05, "{figures:?}");
            assert!(case.finding == Finding::Undecided || figures.effect.upper < Some(0.04), "{case:?}");
            undecided += usize::from(verdict.conclusion == Verdict::Untrusted);
        }
        assert!(undecided >= 16, "{undecided} of 20");
    }

    fn without(finding: Finding) -> CaseVerdict {
        without_figures("a", finding, 0.02)
    }

    #[test]
    fn a_proven_slowdown_outranks_what_is_not_known_of_another_case() {
        for slower in [Finding::Regressed, Finding::TailRegressed] {
            for other in [Finding::Undecided, Finding::Untrusted, Finding::TooSlow, Finding::Missing] {
                assert_eq!(conclusion(&[without(other), without(slower)], &[]), Verdict::Missed);
                assert_eq!(conclusion(&[without(other), without(Finding::Same)], &[]), Verdict::Untrusted);
            }
        }
        assert_eq!(conclusion(&[], &[]), Verdict::Untrusted);
        assert_eq!(conclusion(&[without(Finding::Same), without(Finding::Improved)], &[]), Verdict::Held);
    }

    fn counter(finding: CountFinding) -> CounterVerdict {
        let measure = Measure::Count("allocations".to_owned());
        CounterVerdict { case: "a".to_owned(), measure, finding, base: None, head: None, change: None }
    }

    #[test]
    fn a_count_that_rose_fails_whatever_time_says() {
        for of_time in [Verdict::Held, Verdict::Missed, Verdict::Untrusted] {
            assert_eq!(with_counters(of_time, &[counter(CountFinding::Risen)]), Verdict::Missed);
            // Nothing else changes what time says.
            for finding in [CountFinding::More, CountFinding::Equal, CountFinding::NotExact] {
                assert_eq!(with_counters(of_time, &[counter(finding)]), of_time, "{finding:?}");
            }
        }
        assert_eq!(with_counters(Verdict::Held, &[counter(CountFinding::Missing)]), Verdict::Untrusted);
        assert_eq!(with_counters(Verdict::Missed, &[counter(CountFinding::Missing)]), Verdict::Missed);
    }

    #[test]
    fn arms_that_took_turns_by_another_coin_make_all_of_it_worthless() {
        let order = ["no coin decided that".to_owned()];
        assert_eq!(conclusion(&[without(Finding::Regressed)], &order), Verdict::Untrusted);
    }

    #[test]
    fn a_case_that_head_lacks_is_no_pass() {
        let mut record = session(&fake::plan(1), &CASES, &[Trait::Quiet]);
        assert_eq!(judge(&record).conclusion, Verdict::Held);
        record.missing.push("d".to_owned());
        let verdict = judge(&record);
        assert_eq!(verdict.conclusion, Verdict::Untrusted);
        assert_eq!(findings(&verdict)[3], Finding::Missing);
    }

    #[test]
    fn a_case_that_is_too_slow_is_listed_and_not_passed() {
        let plan = Plan { budget_ms: 2_000, ..fake::plan(1) };
        let verdict = judge(&session(&plan, &["slow", "a"], &[Trait::Quiet]));
        assert_eq!((verdict.conclusion, verdict.cases.len()), (Verdict::Untrusted, 2));
        assert!(findings(&verdict).contains(&Finding::TooSlow));
    }

    #[test]
    fn a_noisy_case_passes_where_its_interval_excludes_a_slowdown() {
        // 2 % from process to process: what would surely be found is more than 4 %, and yet 4 % is excluded.
        let mut excluded = 0;
        for seed in 0..20 {
            let verdict = judged(seed, &[Trait::Restless(Role::Head, 0.02)]);
            let case = &verdict.cases[0];
            let figures = case.figures.as_ref().expect("has some");
            let upper = figures.effect.upper.expect("ten pairs have one");
            if case.finding == Finding::Same {
                assert!(upper < 0.04, "{case:?}");
                excluded += usize::from(figures.mde > 0.04);
            }
        }
        assert!(excluded >= 5, "{excluded} of 20");
    }

    #[test]
    fn the_minimum_detectable_effect_is_detected_nine_times_in_ten() {
        // With 2 % from process to process, it is found by the run's own reckoning, then injected.
        let restless = Trait::Restless(Role::Head, 0.02);
        let mut mde = 0.0;
        for seed in 0..20 {
            mde += judged(seed, &[restless]).cases[0].figures.as_ref().map_or(0.0, |f| f.mde) / 20.0;
        }
        let mut detected = 0;
        for seed in 100..200 {
            let verdict = judged(seed, &[restless, Trait::Slower(mde)]);
            detected += usize::from(verdict.cases[0].finding == Finding::Regressed);
        }
        // 90 of 100 expected, standard deviation 3, and the formula is an approximation.
        assert!((80..=99).contains(&detected), "{detected} of 100 at {mde}");
    }
}
