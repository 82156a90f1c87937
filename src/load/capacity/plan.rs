//! The plan of a search, and the record of it: what a replay needs beside the runs themselves.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::limit::CapacityLimit;
use crate::units::printable;

/// Levels in which the rate doubles, so that it rises by 4.4 % from one to the next. Finer ones would spread the steps over
/// more levels, with fewer steps on each; the answer lies between levels anyway.
pub const LEVELS_PER_DOUBLING: i32 = 16;
/// Shortest step unless told otherwise.
const SHORTEST_STEP: Duration = Duration::from_secs(10);
/// Longest step unless told otherwise. Thirty and more of them are needed.
const LONGEST_STEP: Duration = Duration::from_secs(60);
/// Length of a step in latency limits. A service that is asked for 2.5 % more than it holds is behind by 25 ms after each
/// second, and so by a whole limit after so many of them: before that, its queue has not grown to what it will be.
const LIMITS_IN_A_STEP: u32 = 40;
/// Share of a step at its beginning that is not judged. Every step begins with an empty service, whose first answers are
/// better than those that follow.
const SETTLING: u64 = 5;
/// Most seconds at the beginning of a step that cannot end it early. Until then connections are opened, TLS is agreed on and
/// pools are filled, for which a few seconds are enough.
const SLOW_START: u64 = 5;
/// Steps that a confirming run is as long as.
const CONFIRMATION: u32 = 3;
/// Fewest requests that are due in a step at the lowest rate.
const FEWEST: f64 = 10.0;
/// The lowest rate is a thousandth of the first one, at the least.
const LOWEST: i32 = -10 * LEVELS_PER_DOUBLING;
/// Levels that a record may have, on either side of the first.
const FARTHEST: i32 = 100 * LEVELS_PER_DOUBLING;
/// Rates, in requests a second, that a record may begin with.
const RATES: std::ops::RangeInclusive<f64> = 1e-6..=1e7;

/// What is looked for, and by what steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapacityPlan {
    /// What has to hold, all of it.
    pub limits: Vec<CapacityLimit>,
    /// Rate of the first step, in requests a second: that of level 0.
    pub from: f64,
    /// Highest rate that is tried, if one was asked for.
    pub highest: Option<f64>,
    /// How long a step lasts.
    pub lasting: Duration,
    /// Steps with the smallest stride.
    pub fine_steps: u32,
    /// Seed of the interval.
    pub seed: u64,
}

/// The time of a step that suits these limits.
pub fn usual_step(limits: &[CapacityLimit]) -> Duration {
    let mut lasting = SHORTEST_STEP;
    for limit in limits {
        if let Some(latency) = limit.latency() {
            lasting = lasting.max(latency.saturating_mul(LIMITS_IN_A_STEP));
        }
    }
    lasting.min(LONGEST_STEP)
}

impl CapacityPlan {
    /// The rate of a level, which may lie between two, in requests a second.
    pub fn rate(&self, level: f64) -> f64 {
        self.from * 2_f64.powf(level / f64::from(LEVELS_PER_DOUBLING))
    }

    /// The level below which nothing is tried.
    pub fn lowest_level(&self) -> i32 {
        let due = self.from * self.lasting.as_secs_f64();
        let fewest = (f64::from(LEVELS_PER_DOUBLING) * (FEWEST / due).log2()).ceil();
        // A cast keeps within the type's range; the first step is tried whatever its rate is.
        (fewest as i32).clamp(LOWEST, 0)
    }

    /// The level above which nothing is tried, if a highest rate was asked for. The rate itself may lie between two levels.
    pub fn highest_level(&self) -> Option<i32> {
        let highest = self.highest?;
        let level = f64::from(LEVELS_PER_DOUBLING) * (highest / self.from).log2();
        // What rounding took away must not cost a level.
        Some((level + 1e-9).floor() as i32)
    }

    /// Seconds at the beginning of a step that are not judged.
    pub fn settling(&self) -> u64 {
        self.lasting.as_secs() / SETTLING
    }

    /// Seconds at the beginning of a step that cannot end it early, as a slow start is not a service that is lost: those that are
    /// not judged. Of long steps not all of them, or a service that is lost would be kept under load for a fifth of an hour.
    pub fn unwatched(&self) -> u64 {
        self.settling().min(SLOW_START)
    }

    /// How long a step lasts, or a run that confirms.
    pub fn lasting_of(&self, confirms: bool) -> Duration {
        if confirms { self.lasting * CONFIRMATION } else { self.lasting }
    }

    /// An error where a plan of a file makes no sense.
    fn check(&self) -> Result<(), String> {
        if self.limits.is_empty() {
            return Err("its search has no limits".to_owned());
        }
        let rates = [Some(self.from), self.highest];
        if !rates.iter().flatten().all(|rate| RATES.contains(rate)) {
            return Err("its search has a rate that is not possible".to_owned());
        }
        // Rates and lengths are multiplied by each other.
        if self.lasting.is_zero() || self.lasting > Duration::from_secs(24 * 3600) {
            return Err("its search has steps of a length that is not possible".to_owned());
        }
        Ok(())
    }
}

/// A step that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityStep {
    /// Which of the services it was made with.
    pub service: usize,
    /// The level of its rate.
    pub level: i32,
    /// Whether it is a run that confirms the answer.
    pub confirms: bool,
    /// Whether it was ended early, as what it was to hold was clearly lost.
    pub lost: bool,
    /// How the service came to rest before it.
    pub recovery: Recovery,
}

/// How a service came to rest before a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// How long that took.
    pub took: Duration,
    /// Whether it answered as quickly as before the first step in the end.
    pub complete: bool,
}

/// A search, as it is stored beside its runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapacityRecord {
    /// What is looked for.
    pub plan: CapacityPlan,
    /// Names of the services: one, or two that are compared.
    pub services: Vec<String>,
    /// The steps, in the order of the record's runs: one for each.
    pub steps: Vec<CapacityStep>,
}

impl CapacityRecord {
    /// An error where it does not belong to a record with so many runs, or cannot be evaluated.
    pub(in super::super) fn check(&self, runs: usize) -> Result<(), String> {
        self.plan.check()?;
        if self.steps.len() != runs {
            return Err(format!("has {runs} runs, and {} steps of a search", self.steps.len()));
        }
        if self.services.is_empty() || self.services.len() > 2 {
            return Err(format!("its search is of {} services, and not of one or two", self.services.len()));
        }
        for step in &self.steps {
            if step.service >= self.services.len() || !(-FARTHEST..=FARTHEST).contains(&step.level) {
                return Err("its search has a step that is not possible".to_owned());
            }
        }
        Ok(())
    }

    /// Makes the texts safe to print.
    pub(in super::super) fn make_printable(&mut self) {
        for service in &mut self.services {
            *service = printable(service);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::Metric;

    fn limit(metric: Metric, number: f64) -> CapacityLimit {
        CapacityLimit::new((metric, number)).expect("can be looked for")
    }

    fn plan(from: f64) -> CapacityPlan {
        CapacityPlan {
            limits: vec![limit(Metric::P99Ms, 100.0)],
            from,
            highest: Some(800.0),
            lasting: Duration::from_secs(10),
            fine_steps: 24,
            seed: 1,
        }
    }

    #[test]
    fn sixteen_levels_double_the_rate() {
        let plan = plan(50.0);
        assert_eq!([0.0, 16.0, -16.0].map(|level| plan.rate(level)), [50.0, 100.0, 25.0]);
        // 800 is 50 doubled four times.
        assert_eq!(plan.highest_level(), Some(64));
        assert_eq!(CapacityPlan { highest: Some(799.0), ..plan.clone() }.highest_level(), Some(63));
        // 500 are due in ten seconds. After 90 levels, or 5.6 halvings, that are ten of them.
        assert_eq!(plan.lowest_level(), -90);
        assert!(plan.rate(-90.0) * 10.0 >= 10.0 && plan.rate(-91.0) * 10.0 < 10.0);
        // Where even the first step has fewer than ten, it is the lowest.
        assert_eq!(CapacityPlan { from: 0.5, ..plan }.lowest_level(), 0);
    }

    #[test]
    fn a_step_is_long_enough_for_its_limits() {
        // Forty times half a second are 20 s; of 5 s, they would be more than a minute.
        for (metric, number, seconds) in [
            (Metric::SuccessRatePct, 99.0, 10),
            (Metric::P99Ms, 100.0, 10),
            (Metric::P99Ms, 500.0, 20),
            (Metric::P99Ms, 5000.0, 60),
        ] {
            let limits = [limit(Metric::AvgMs, 1.0), limit(metric, number)];
            assert_eq!(usual_step(&limits), Duration::from_secs(seconds), "{number}");
        }
        assert_eq!((plan(1.0).settling(), plan(1.0).lasting_of(true).as_secs()), (2, 30));
    }

    #[test]
    fn what_cannot_end_a_step_is_not_judged_either() {
        for (lasting, settling, unwatched) in [(4, 0, 0), (10, 2, 2), (60, 12, 5), (3600, 720, 5)] {
            let plan = CapacityPlan { lasting: Duration::from_secs(lasting), ..plan(1.0) };
            assert_eq!((plan.settling(), plan.unwatched()), (settling, unwatched), "{lasting}");
        }
    }

    #[test]
    fn a_record_that_makes_no_sense_is_refused() {
        let recovery = Recovery { took: Duration::ZERO, complete: true };
        let step = CapacityStep { service: 0, level: 3, confirms: false, lost: false, recovery };
        let record =
            CapacityRecord { plan: plan(1.0), services: vec!["stub".to_owned()], steps: vec![step, step] };
        assert_eq!(record.check(2), Ok(()));
        assert!(record.check(3).expect_err("has two").contains("3 runs, and 2 steps"));
        let mut other = record.clone();
        other.steps[1].service = 1;
        assert!(other.check(2).is_err());
        let mut other = record.clone();
        other.steps[1].level = i32::MIN;
        assert!(other.check(2).is_err());
        let mut other = record.clone();
        other.plan.from = f64::INFINITY;
        assert!(other.check(2).is_err());
        let mut other = record;
        other.plan.limits.clear();
        assert!(other.check(2).expect_err("has none").contains("no limits"));
    }
}
