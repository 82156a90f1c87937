//! Exact counts of both sides, and the verdict on them: a pure function of the record, like that on the session.
//!
//! No statistics: what is counted is the same each time, or is not judged. So a count has no interval and no false
//! alarms, and a rise of one allocation in a hundred is seen where time shows nothing.

use serde::{Deserialize, Serialize};

use super::measure::Measure;

/// What was counted of both sides, beside the session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// A change by more than this share of the base's count is named.
    pub show: f64,
    /// A rise by more than this share fails the run.
    pub fail: f64,
    /// What was not counted, and why: a sentence each, without its end.
    pub notes: Vec<String>,
    /// The counts.
    pub counts: Vec<CountRecord>,
}

/// One thing that was counted of one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CountRecord {
    /// Id of the case.
    pub case: String,
    /// What was counted.
    pub measure: Measure,
    /// How many iterations a count is of; 1 where it is no sum over them.
    pub iterations: u64,
    /// By which share two counts of one build may differ.
    pub tolerance: f64,
    /// The base's counts, of one round each. None where the base lacks the case.
    pub base: Vec<u64>,
    /// The head's, likewise.
    pub head: Vec<u64>,
}

/// The finding about a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CountFinding {
    /// The head has more than is allowed: the run fails.
    Risen,
    /// The head has more than is passed over.
    More,
    /// The head has fewer, by as much.
    Fewer,
    /// They differ by less.
    Within,
    /// They are the same.
    Equal,
    /// Two rounds of one build differ: not judged.
    NotExact,
    /// The head lacks it.
    Missing,
    /// The base lacks it.
    OnlyInHead,
}

/// The verdict on a count. Values are of one iteration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CounterVerdict {
    /// Id of the case.
    pub case: String,
    /// What was counted.
    pub measure: Measure,
    /// The finding.
    pub finding: CountFinding,
    /// The base's count.
    pub base: Option<f64>,
    /// The head's count.
    pub head: Option<f64>,
    /// By what share of the base's the head's is larger; none where the base's is 0.
    pub change: Option<f64>,
}

impl Counters {
    /// The reason why these cannot be judged, if there is one.
    pub(super) fn problem(&self) -> Option<String> {
        // An infinite limit would let everything pass.
        let limits = 0.0..=100.0;
        if !limits.contains(&self.show) || !limits.contains(&self.fail) || self.show > self.fail {
            return Some("counters: limits that are no shares, or the second below the first".to_owned());
        }
        for count in &self.counts {
            if count.iterations == 0 || !limits.contains(&count.tolerance) {
                let measure = &count.measure;
                return Some(format!(
                    "{}: {measure} of no iterations, or a tolerance that is no share",
                    count.case
                ));
            }
        }
        None
    }
}

/// Judges every count.
pub(super) fn judge_counters(counters: &Counters) -> Vec<CounterVerdict> {
    let mut verdicts = Vec::new();
    for count in &counters.counts {
        let base = least(&count.base);
        let head = least(&count.head);
        let per_iteration = count.iterations as f64;
        verdicts.push(CounterVerdict {
            case: count.case.clone(),
            measure: count.measure.clone(),
            finding: finding(count, counters.show, counters.fail),
            base: base.map(|base| base / per_iteration),
            head: head.map(|head| head / per_iteration),
            change: change(base, head),
        });
    }
    verdicts
}

/// The least count of all rounds: what disturbs a count only adds to it.
fn least(rounds: &[u64]) -> Option<f64> {
    rounds.iter().min().map(|count| *count as f64)
}

fn change(base: Option<f64>, head: Option<f64>) -> Option<f64> {
    let base = base.filter(|base| *base > 0.0)?;
    Some(head? / base - 1.0)
}

fn finding(count: &CountRecord, show: f64, fail: f64) -> CountFinding {
    let Some(base) = least(&count.base) else { return CountFinding::OnlyInHead };
    let Some(head) = least(&count.head) else { return CountFinding::Missing };
    if !agree(&count.base, count.tolerance) || !agree(&count.head, count.tolerance) {
        return CountFinding::NotExact;
    }
    // Compared as products, so that 105 is not more than 5 % above 100 by a rounding error.
    if head > base * (1.0 + fail) {
        CountFinding::Risen
    } else if head > base * (1.0 + show) {
        CountFinding::More
    } else if head < base * (1.0 - show) {
        CountFinding::Fewer
    } else if (head - base).abs() <= base * count.tolerance {
        CountFinding::Equal
    } else {
        CountFinding::Within
    }
}

/// Whether all rounds of one build came to the same, within the tolerance.
fn agree(rounds: &[u64], tolerance: f64) -> bool {
    let least = rounds.iter().min().copied().unwrap_or_default() as f64;
    let most = rounds.iter().max().copied().unwrap_or_default() as f64;
    most - least <= least * tolerance
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(base: &[u64], head: &[u64], tolerance: f64) -> CountRecord {
        CountRecord {
            case: "a".to_owned(),
            measure: Measure::Count("allocations".to_owned()),
            iterations: 10,
            tolerance,
            base: base.to_vec(),
            head: head.to_vec(),
        }
    }

    fn counters(counts: Vec<CountRecord>) -> Counters {
        Counters { show: 0.01, fail: 0.05, notes: Vec::new(), counts }
    }

    /// The verdict on one count of which a build has the same each time.
    fn judged(base: &[u64], head: &[u64]) -> CounterVerdict {
        judge_counters(&counters(vec![count(base, head, 0.0)])).remove(0)
    }

    #[test]
    fn a_rise_is_shown_above_one_percent_and_fails_above_five() {
        for (head, finding) in [
            (1000, CountFinding::Equal),
            (1001, CountFinding::Within),
            (1010, CountFinding::Within),
            (1011, CountFinding::More),
            (1050, CountFinding::More),
            (1051, CountFinding::Risen),
            (990, CountFinding::Within),
            (989, CountFinding::Fewer),
            (0, CountFinding::Fewer),
        ] {
            assert_eq!(judged(&[1000, 1000], &[head, head]).finding, finding, "{head}");
        }
    }

    #[test]
    fn values_are_of_one_iteration() {
        // 58 and 59 allocations in each of ten: 1 of 58 is 1.72 %.
        let verdict = judged(&[580, 580], &[590, 590]);
        assert_eq!((verdict.base, verdict.head), (Some(58.0), Some(59.0)));
        assert!(verdict.change.is_some_and(|change| (change - 1.0 / 58.0).abs() < 1e-12), "{verdict:?}");
    }

    #[test]
    fn what_is_not_the_same_each_time_is_not_judged() {
        assert_eq!(judged(&[1000, 1001], &[2000, 2000]).finding, CountFinding::NotExact);
        assert_eq!(judged(&[1000, 1000], &[2000, 2001]).finding, CountFinding::NotExact);
        // Within its tolerance, here 0.1 %, a count is exact, and one build the same as the other.
        let instructions = counters(vec![count(&[10_000, 10_010], &[10_005], 0.001)]);
        assert_eq!(judge_counters(&instructions)[0].finding, CountFinding::Equal);
        let noisy = counters(vec![count(&[10_000, 10_011], &[10_005], 0.001)]);
        assert_eq!(judge_counters(&noisy)[0].finding, CountFinding::NotExact);
    }

    #[test]
    fn what_one_side_lacks_is_said() {
        assert_eq!(judged(&[5], &[]).finding, CountFinding::Missing);
        let only = judged(&[], &[5]);
        assert_eq!((only.finding, only.base, only.change), (CountFinding::OnlyInHead, None, None));
    }

    #[test]
    fn a_first_allocation_is_a_rise() {
        let verdict = judged(&[0, 0], &[10, 10]);
        assert_eq!((verdict.finding, verdict.change), (CountFinding::Risen, None));
        assert_eq!(judged(&[0, 0], &[0, 0]).finding, CountFinding::Equal);
    }

    #[test]
    fn counts_that_cannot_be_are_refused() {
        assert_eq!(counters(vec![count(&[1], &[1], 0.0)]).problem(), None);
        let none = CountRecord { iterations: 0, ..count(&[1], &[1], 0.0) };
        assert!(
            counters(vec![none])
                .problem()
                .is_some_and(|says| says.contains("a: allocations of no iterations"))
        );
        assert!(counters(vec![count(&[1], &[1], f64::NAN)]).problem().is_some());
        let lax = Counters { fail: f64::INFINITY, ..counters(Vec::new()) };
        assert!(lax.problem().is_some());
        assert!(Counters { show: 0.1, ..counters(Vec::new()) }.problem().is_some());
    }
}
