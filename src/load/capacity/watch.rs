//! Ends a step early where it is clearly lost: a service that fell over is not kept under load.
//!
//! Its first seconds do not count, as they are not judged either: a slow start is not the end of a step. In a step of 10 s those
//! are two, so that a service that is lost is let go after three or four.

use super::super::second::Second;
use super::limit::{CapacityLimit, Ratio, ratios_of};
use super::plan::CapacityPlan;
use crate::targets::Metric;

/// A step is lost with so many times what is allowed. So far above the edge, the exact ratio does not move the answer:
/// steps near it are always made to their ends.
const CLEARLY: f64 = 10.0;
/// The same of an average.
const CLEARLY_AVERAGE: f64 = 3.0;
/// Requests under way, as a multiple of rate times limit, with which the tail of latencies is lost. By Little's law, the mean
/// latency is so many limits then.
const BEHIND: f64 = 3.0;
/// The same of a median or an average, which are below their limits while a few requests are far above.
const FAR_BEHIND: f64 = 10.0;
/// Seconds of arrivals that are under way then, at the least. Whatever arrives during a pause of the service, as for a garbage
/// collection, waits for its end: with a limit of 20 ms, one of 60 ms would seem to be a step that is lost.
const PAUSE_S: f64 = 1.0;
/// Fewest requests under way that say so, as at low rates a few slow ones are many.
const FEWEST_BEHIND: f64 = 20.0;

/// Watches a step while it runs.
#[derive(Debug)]
pub struct StepWatch<'a> {
    limits: &'a [CapacityLimit],
    /// Requests a second.
    rate: f64,
    /// Requests in all.
    planned: f64,
    /// Seconds at the beginning that do not count.
    unwatched: u64,
    sums: Vec<Ratio>,
    lost: bool,
}

impl<'a> StepWatch<'a> {
    /// Watches the step of this level.
    pub fn new(plan: &'a CapacityPlan, level: i32, confirms: bool) -> Self {
        let rate = plan.rate(f64::from(level));
        let planned = rate * plan.lasting_of(confirms).as_secs_f64();
        Self {
            limits: &plan.limits,
            rate,
            planned,
            unwatched: plan.unwatched(),
            sums: vec![Ratio::default(); plan.limits.len()],
            lost: false,
        }
    }

    /// Looks at the seconds that are over since the last call. False where the step is lost.
    pub fn see(&mut self, seconds: &[Second]) -> bool {
        for second in seconds {
            if second.index < self.unwatched {
                continue;
            }
            let ratios = ratios_of(self.limits, second);
            for (place, limit) in self.limits.iter().enumerate() {
                self.sums[place].add(ratios[place]);
                let too_many = self.sums[place].above > clearly_lost(limit) * self.planned;
                let behind = second.in_flight as f64 > most_under_way(limit, self.rate);
                self.lost |= too_many || behind;
            }
        }
        !self.lost
    }

    /// Whether the step is clearly lost.
    pub fn is_lost(&self) -> bool {
        self.lost
    }
}

/// What may count against the limit, as a share of all requests that are planned, before the step is clearly lost.
fn clearly_lost(limit: &CapacityLimit) -> f64 {
    let allowed = limit.allowed();
    match limit.metric() {
        Metric::AvgMs => CLEARLY_AVERAGE,
        // Of a share that is half already, ten times as much is more than all.
        _ => (CLEARLY * allowed).min(f64::midpoint(1.0, allowed)),
    }
}

/// Requests that may be under way at once before the step is clearly lost.
fn most_under_way(limit: &CapacityLimit, rate: f64) -> f64 {
    let Some(latency) = limit.latency() else { return f64::INFINITY };
    let times = match limit.metric() {
        Metric::AvgMs | Metric::MedianMs => FAR_BEHIND,
        _ => BEHIND,
    };
    (rate * (times * latency.as_secs_f64()).max(PAUSE_S)).max(FEWEST_BEHIND)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::fixture_seconds::{Request, seconds};
    use super::*;

    /// Steps of 10 s at 100 requests a second.
    fn plan(metric: Metric, limit: f64) -> CapacityPlan {
        CapacityPlan {
            limits: vec![CapacityLimit::new((metric, limit)).expect("can be looked for")],
            from: 100.0,
            highest: None,
            lasting: Duration::from_secs(10),
            fine_steps: 24,
            seed: 1,
        }
    }

    /// The first seconds of a run in which so many requests began a millisecond apart from this second on, and took this long
    /// each; to the end of the second after that.
    fn run(second: u64, requests: u64, ms: u64) -> Vec<Second> {
        let mut ended = Vec::new();
        for number in 0..requests {
            ended.push(Request::ok(1000 * second + number, ms));
        }
        seconds(&ended, second + 2)
    }

    #[test]
    fn a_tail_that_is_ten_times_too_long_is_lost() {
        // Of 1000 requests 1 % may take 50 ms: a hundred of them are ten times that.
        let plan = plan(Metric::P99Ms, 50.0);
        for (slow, goes_on) in [(100, true), (101, false)] {
            let mut watch = StepWatch::new(&plan, 0, false);
            assert_eq!((watch.see(&run(2, slow, 60)), watch.is_lost()), (goes_on, !goes_on), "{slow}");
        }
        let mut confirming = StepWatch::new(&plan, 0, true);
        assert!(confirming.see(&run(2, 101, 60)), "three times as many are planned");
    }

    #[test]
    fn a_slow_start_does_not_end_a_step() {
        // 300 requests that take 1.5 s: all of them are under way at the end of their first second, of which 100 may be, and end
        // in the next one, where 100 may be slow. Of 10 s, the first two do not count.
        let plan = plan(Metric::P99Ms, 50.0);
        let mut watch = StepWatch::new(&plan, 0, false);
        assert!(watch.see(&run(0, 300, 1500)) && !watch.is_lost());
        let mut later = StepWatch::new(&plan, 0, false);
        assert!(!later.see(&run(2, 300, 1500)) && later.is_lost());
    }

    #[test]
    fn a_queue_of_three_limits_is_lost() {
        // 100 a second with 500 ms each are 50 under way.
        assert_eq!(most_under_way(&plan(Metric::P99Ms, 500.0).limits[0], 100.0), 150.0);
        assert_eq!(most_under_way(&plan(Metric::MedianMs, 500.0).limits[0], 100.0), 500.0);
        // A pause of less than a second is not the end of a step.
        assert_eq!(most_under_way(&plan(Metric::P99Ms, 20.0).limits[0], 100.0), 100.0);
        assert_eq!(most_under_way(&plan(Metric::P99Ms, 500.0).limits[0], 1.0), 20.0);
        assert_eq!(most_under_way(&plan(Metric::SuccessRatePct, 99.0).limits[0], 100.0), f64::INFINITY);
    }

    #[test]
    fn what_is_half_already_is_lost_at_three_quarters() {
        assert_eq!(clearly_lost(&plan(Metric::MedianMs, 500.0).limits[0]), 0.75);
        assert_eq!(clearly_lost(&plan(Metric::P95Ms, 500.0).limits[0]), 0.5);
        assert_eq!(clearly_lost(&plan(Metric::AvgMs, 500.0).limits[0]), 3.0);
    }
}
