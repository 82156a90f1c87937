//! Slower in the tail: if one operation in fifty takes 5 ms longer, no median moves, and yet users notice.
//!
//! There are two measures for each case, from the latencies of single operations in the same blocks. Both are tested
//! over pairs of processes as the medians are, all of them together, with a false-alarm rate of their own.
//!
//! * **p99**: head's over base's.
//! * **late**: the share of operations more than a tenth beyond base's p99, head's less the A/A control's. Both are held
//!   against a limit that comes from neither, so that exchanging the two is exchanging signs.

use serde::Serialize;

use super::plan::Plan;
use super::record::CaseRecord;
use super::schedule::Role;
use crate::stats::{median, sign_flip_max};

/// Fewest operations of each arm in each pair. With fewer, p99 is the maximum.
pub const LEAST_OPERATIONS: u64 = 100;
/// The test asks whether p99 got later by more than this share.
const P99_MARGIN: f64 = 0.10;
/// A tail is slower only if its p99 is later by at least this share.
const P99_THRESHOLD: f64 = 0.20;
/// An operation is late if it takes longer than base's p99 by more than this share.
const LATE_BY: f64 = 0.10;
/// The test asks whether more than this share of the operations became late.
const LATE_MARGIN: f64 = 0.005;
/// A tail is slower only if at least this share of the operations became late.
const LATE_THRESHOLD: f64 = 0.01;

/// The tail of one case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tail {
    /// p99 of the base in ns, median over pairs.
    pub base_p99_ns: f64,
    /// p99 of the head in ns, median over pairs.
    pub head_p99_ns: f64,
    /// By what share head's p99 is later than base's; median over pairs.
    pub p99: f64,
    /// Share of the A/A control's operations that are late.
    pub control_late: f64,
    /// Share of the head's operations that are late.
    pub head_late: f64,
    /// By what share the A/A control's p99 is later than base's.
    pub control_p99: f64,
    /// How often chance alone makes any case's tail look this much worse, by the clearer of the two measures. Nothing
    /// where no figure of any case was large enough to be tested.
    pub p: Option<f64>,
    /// Whether it got worse, beyond chance and by at least a threshold.
    pub regressed: bool,
    /// Whether the A/A control's p99 got worse, too: then the case is not to be trusted.
    pub control_regressed: bool,
}

/// The sentence that a case's latencies say against it: they cannot be those of the arms' operations, or the A/A
/// control's tail came out slower as well.
pub fn problem_of_tails(case: &CaseRecord, tail: Option<&Tail>) -> Option<String> {
    // Every block runs as many iterations of each arm, so an arm with fewer operations keeps some back.
    for (number, pair) in case.pairs.iter().enumerate() {
        let operations = Role::ALL.map(|role| count(&pair.latencies[role as usize]));
        if operations.iter().any(|n| *n != operations[0]) {
            let [base, head, control] = operations;
            return Some(format!(
                "{}: all arms did the same operations, and in pair {} base tells the latencies of {base}, head of {head}, \
                 the A/A control of {control}",
                case.id,
                number + 1
            ));
        }
    }
    // The A/A control is a second process of base: if its tail is slower as well, the change need not be the reason.
    if tail.is_some_and(|tail| tail.regressed && tail.control_regressed) {
        return Some(format!(
            "{}: the tail of head is slower than base's, and so is that of the A/A control",
            case.id
        ));
    }
    None
}

/// The tails of one case in one pair of processes.
struct PairTail {
    base_p99_ns: f64,
    head_p99_ns: f64,
    control_p99_ns: f64,
    control_late: f64,
    head_late: f64,
}

/// The tail of each case; nothing for one whose worker keeps no latencies, or has too few operations.
pub fn compare_tails(cases: &[&CaseRecord], plan: &Plan) -> Vec<Option<Tail>> {
    let pairs: Vec<Option<Vec<PairTail>>> = cases.iter().map(|case| pair_tails(case)).collect();
    let mut tails: Vec<Option<Tail>> = Vec::new();
    for pairs in &pairs {
        tails.push(pairs.as_ref().map(|pairs| untested(pairs)));
    }
    test_heads(&mut tails, &pairs, plan);
    test_controls(&mut tails, &pairs, plan);
    tails
}

/// The figures of a tail, before the test.
fn untested(pairs: &[PairTail]) -> Tail {
    Tail {
        base_p99_ns: median_of(pairs, |pair| pair.base_p99_ns),
        head_p99_ns: median_of(pairs, |pair| pair.head_p99_ns),
        p99: median_of(pairs, |pair| pair.head_p99_ns / pair.base_p99_ns) - 1.0,
        control_p99: median_of(pairs, |pair| pair.control_p99_ns / pair.base_p99_ns) - 1.0,
        // Means, as shares of few operations: where fewer than half of the pairs have a late one, a median would be
        // 0.
        control_late: mean_of(pairs, |pair| pair.control_late),
        head_late: mean_of(pairs, |pair| pair.head_late),
        p: None,
        regressed: false,
        control_regressed: false,
    }
}

fn median_of(pairs: &[PairTail], of: fn(&PairTail) -> f64) -> f64 {
    median(pairs.iter().map(of).collect()).expect("there are pairs")
}

fn mean_of(pairs: &[PairTail], of: fn(&PairTail) -> f64) -> f64 {
    pairs.iter().map(of).sum::<f64>() / pairs.len() as f64
}

impl Tail {
    fn p99_matters(&self) -> bool {
        self.p99 >= P99_THRESHOLD
    }

    fn late_matters(&self) -> bool {
        self.head_late - self.control_late >= LATE_THRESHOLD
    }
}

/// Tests both measures of all cases together, if any figure is large enough to matter.
fn test_heads(tails: &mut [Option<Tail>], pairs: &[Option<Vec<PairTail>>], plan: &Plan) {
    // Trying a million patterns of signs takes a moment, and no p could make a smaller figure fail.
    if !tails.iter().flatten().any(|tail| tail.p99_matters() || tail.late_matters()) {
        return;
    }
    let mut things = Vec::new();
    for pairs in pairs.iter().flatten() {
        things.push(pairs.iter().map(|pair| beyond_margin(pair.head_p99_ns, pair.base_p99_ns)).collect());
        things.push(pairs.iter().map(|pair| pair.head_late - pair.control_late - LATE_MARGIN).collect());
    }
    let tested = sign_flip_max(&things, plan.seed).expect("every case has as many pairs");
    // Two values of p for each case that has a tail, in the order in which `things` were pushed.
    for (tail, p) in tails.iter_mut().flatten().zip(tested.p.chunks(2)) {
        let by_p99 = tail.p99_matters() && p[0] <= plan.tail_alpha;
        let by_share = tail.late_matters() && p[1] <= plan.tail_alpha;
        tail.p = Some(p[0].min(p[1]));
        tail.regressed = by_p99 || by_share;
    }
}

/// Tests the A/A control's p99 against base's by the same rule. Only that: the share of late operations is head's
/// less the control's own.
fn test_controls(tails: &mut [Option<Tail>], pairs: &[Option<Vec<PairTail>>], plan: &Plan) {
    if !tails.iter().flatten().any(|tail| tail.control_p99 >= P99_THRESHOLD) {
        return;
    }
    let mut things = Vec::new();
    for pairs in pairs.iter().flatten() {
        things.push(pairs.iter().map(|pair| beyond_margin(pair.control_p99_ns, pair.base_p99_ns)).collect());
    }
    let tested = sign_flip_max(&things, plan.seed).expect("every case has as many pairs");
    for (tail, p) in tails.iter_mut().flatten().zip(tested.p) {
        tail.control_regressed = tail.control_p99 >= P99_THRESHOLD && p <= plan.tail_alpha;
    }
}

/// Logarithm of how much later one p99 is than another, less the margin.
fn beyond_margin(p99_ns: f64, base_p99_ns: f64) -> f64 {
    (p99_ns / base_p99_ns).ln() - P99_MARGIN.ln_1p()
}

/// The tails of one case in every pair; nothing if any arm has too few operations in any pair.
fn pair_tails(case: &CaseRecord) -> Option<Vec<PairTail>> {
    let mut tails = Vec::new();
    for pair in &case.pairs {
        let [base, head, control] = &pair.latencies;
        let base_p99_ns = p99(base)?;
        // One limit for head and control, which comes from neither: exchanging the two is then exchanging signs.
        let limit = base_p99_ns * (1.0 + LATE_BY);
        tails.push(PairTail {
            base_p99_ns,
            head_p99_ns: p99(head)?,
            control_p99_ns: p99(control)?,
            control_late: share_beyond(control, limit),
            head_late: share_beyond(head, limit),
        });
    }
    Some(tails)
}

/// The smallest latency with at least 99 % of the operations at or below it.
fn p99(latencies: &[(u64, u64)]) -> Option<f64> {
    let operations = count(latencies);
    if operations < LEAST_OPERATIONS {
        return None;
    }
    let rank = (0.99 * operations as f64).ceil() as u64;
    let mut below = 0;
    for (ns, count) in latencies {
        below += count;
        if below >= rank {
            return Some(*ns as f64);
        }
    }
    None
}

fn share_beyond(latencies: &[(u64, u64)], limit_ns: f64) -> f64 {
    let beyond: u64 = latencies.iter().filter(|(ns, _)| *ns as f64 > limit_ns).map(|(_, count)| count).sum();
    beyond as f64 / count(latencies) as f64
}

fn count(latencies: &[(u64, u64)]) -> u64 {
    latencies.iter().map(|(_, count)| count).sum()
}

#[cfg(test)]
mod tests {
    use super::super::fake::{self, Trait, session};
    use super::super::finding::Finding;
    use super::super::verdict::judge;
    use super::*;
    use crate::verdict::Verdict;

    #[test]
    fn p99_and_late_operations_by_hand() {
        // 1000 operations: rank 990 is the last of those that take 100 ns. Ten take longer than 110 ns, four than
        // 111.
        let latencies = [(100, 990), (111, 6), (500, 4)];
        assert_eq!(p99(&latencies), Some(100.0));
        assert_eq!(share_beyond(&latencies, 110.0), 0.010);
        assert_eq!(share_beyond(&latencies, 111.0), 0.004);
        assert_eq!(p99(&[(100, 989), (300, 11)]), Some(300.0));
        assert_eq!(p99(&[(100, 99)]), None, "p99 of 99 operations is their maximum");
        assert_eq!(p99(&[]), None);
    }

    #[test]
    fn one_operation_in_fifty_that_stalls_is_found_though_no_median_moves() {
        // One in fifty by 5 ms, where an operation takes 0.1 ms.
        let stalls = session(&fake::plan(1), &["a", "b"], &[Trait::Stalls(0.02, 5_000_000)]);
        let verdict = judge(&stalls);
        assert_eq!(verdict.conclusion, Verdict::Missed, "{verdict:?}");
        for case in &verdict.cases {
            assert_eq!(case.finding, Finding::TailRegressed, "{case:?}");
            let tail = case.figures.as_ref().and_then(|f| f.tail.as_ref()).expect("has one");
            // 2 % of the head's operations stall, and no other is late.
            assert!((tail.head_late - 0.02).abs() < 0.002 && tail.control_late == 0.0, "{tail:?}");
            assert!(tail.p <= Some(0.001), "{tail:?}");
        }
    }

    #[test]
    fn equal_tails_are_not_even_tested() {
        let record = session(&fake::plan(1), &["a"], &[Trait::Quiet]);
        let cases: Vec<&CaseRecord> = record.cases.iter().collect();
        let tail = compare_tails(&cases, &record.plan).remove(0).expect("has one");
        assert_eq!((tail.p99, tail.p, tail.regressed), (0.0, None, false));
    }

    #[test]
    fn without_latencies_or_with_few_there_is_no_tail() {
        let mut record = session(&fake::plan(1), &["a", "b"], &[Trait::Stalls(0.02, 5_000_000)]);
        record.cases[0].pairs[3].latencies = [vec![(100, 99)], vec![(100, 99)], vec![(100, 99)]];
        let cases: Vec<&CaseRecord> = record.cases.iter().collect();
        let tails = compare_tails(&cases, &record.plan);
        assert!(tails[0].is_none() && tails[1].as_ref().is_some_and(|tail| tail.regressed));
        assert_eq!(judge(&record).cases[0].finding, Finding::Same);
    }

    #[test]
    fn an_arm_that_keeps_latencies_back_is_not_to_be_trusted() {
        for role in Role::ALL {
            let mut record = session(&fake::plan(1), &["a", "b"], &[Trait::Quiet]);
            record.cases[0].pairs[3].latencies[role as usize].clear();
            let verdict = judge(&record);
            assert_eq!(verdict.cases[0].finding, Finding::Untrusted, "{verdict:?}");
            assert!(
                verdict.cases[0].distrust[0].contains("in pair 4 base tells the latencies of"),
                "{verdict:?}"
            );
            assert_eq!(verdict.cases[1].finding, Finding::Same);
        }
    }

    #[test]
    fn where_the_a_a_control_stalls_too_the_case_is_not_to_be_trusted() {
        // The late operations of both are as many, which all signs flipped make as unlikely as the p99s: ten pairs are too few.
        let plan = Plan { pairs: 12, max_pairs: 12, ..fake::plan(1) };
        let mut record = session(&plan, &["a"], &[Trait::Stalls(0.02, 5_000_000)]);
        for pair in &mut record.cases[0].pairs {
            pair.latencies[Role::Control as usize] = pair.latencies[Role::Head as usize].clone();
        }
        let verdict = judge(&record);
        assert_eq!(verdict.cases[0].finding, Finding::Untrusted, "{verdict:?}");
        assert!(verdict.cases[0].distrust[0].contains("and so is that of the A/A control"), "{verdict:?}");
    }
}
