//! What is asked of every rate: limits, and what counts against them.
//!
//! A limit on a percentile is one on a share: p99 is below 500 ms where at most one request in a hundred takes that long or
//! never succeeds. Shares of several steps can be added up, and percentiles cannot.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::second::Second;
use crate::targets::{Limit, Metric};

/// Longest latency that can be limited, in ms: what a histogram tells apart from longer ones is an hour.
const LONGEST_MS: f64 = 3.6e6;
/// Nanoseconds in a millisecond.
const NS_PER_MS: f64 = 1e6;

/// A limit whose rate can be looked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredLimit")]
pub struct CapacityLimit {
    metric: Metric,
    limit: f64,
}

/// A limit in a file.
#[derive(Deserialize)]
struct StoredLimit {
    metric: Metric,
    limit: f64,
}

/// Error for a limit whose rate cannot be looked for.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum NotSearchable {
    /// The rate itself.
    #[error("throughput_rps is what is looked for; limit a latency, like p99_ms=500, or success_rate_pct")]
    Throughput,
    /// The longest of all.
    #[error("the longest latency grows with the length of a step, so no rate holds max_ms; limit p99_ms")]
    Longest,
    /// A latency that nothing has.
    #[error("{0} is not a valid limit on a latency; write milliseconds, from above 0 to an hour")]
    Latency(f64),
    /// Not a percentage.
    #[error("{0} is not a valid success rate; write a percentage from above 0 to 100")]
    Success(f64),
}

impl TryFrom<StoredLimit> for CapacityLimit {
    type Error = NotSearchable;

    fn try_from(stored: StoredLimit) -> Result<Self, NotSearchable> {
        Self::new((stored.metric, stored.limit))
    }
}

/// What counts against a limit, over what it is counted of: slow requests of all, or failures of all; or the time that
/// requests took, in limits, over their number.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Ratio {
    /// What counts against it.
    pub above: f64,
    /// What it is counted of.
    pub below: f64,
}

impl Ratio {
    /// Adds another one.
    pub fn add(&mut self, other: Self) {
        self.above += other.above;
        self.below += other.below;
    }
}

/// What ended in a second, as one limit sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SecondCounts {
    /// Successes.
    pub ok: u64,
    /// Successes that took as long as the limit or longer.
    pub slow: u64,
    /// Failures, and what never ended.
    pub failed: u64,
    /// Response times of the successes, summed, in ns.
    pub ok_ns: u128,
}

impl CapacityLimit {
    /// An error where no rate can be found for this limit.
    pub fn new((metric, limit): Limit) -> Result<Self, NotSearchable> {
        match metric {
            Metric::ThroughputRps => Err(NotSearchable::Throughput),
            Metric::MaxMs => Err(NotSearchable::Longest),
            Metric::SuccessRatePct => {
                // With 0, a service that fails every request would hold any rate.
                if limit > 0.0 && limit <= 100.0 {
                    Ok(Self { metric, limit })
                } else {
                    Err(NotSearchable::Success(limit))
                }
            }
            Metric::AvgMs | Metric::MedianMs | Metric::P95Ms | Metric::P99Ms => {
                // NaN is not above 0.
                if limit > 0.0 && limit <= LONGEST_MS {
                    Ok(Self { metric, limit })
                } else {
                    Err(NotSearchable::Latency(limit))
                }
            }
        }
    }

    /// What is limited.
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// The limit, in the metric's unit.
    pub fn limit(&self) -> f64 {
        self.limit
    }

    /// The limit as a time, where it is one on a latency.
    pub fn latency(&self) -> Option<Duration> {
        if self.metric.is_latency() { Some(Duration::from_secs_f64(self.limit / 1e3)) } else { None }
    }

    /// The ratio up to which it holds.
    pub fn allowed(&self) -> f64 {
        match self.metric {
            Metric::MedianMs => 0.5,
            Metric::P95Ms => 0.05,
            Metric::P99Ms => 0.01,
            Metric::SuccessRatePct => (100.0 - self.limit) / 100.0,
            // Latencies are counted in limits, so their mean may be one.
            Metric::AvgMs => 1.0,
            Metric::ThroughputRps | Metric::MaxMs => unreachable!("such a limit is refused when it is made"),
        }
    }

    /// Whether it holds of what was counted.
    pub fn holds(&self, counted: Ratio) -> bool {
        counted.above <= self.allowed() * counted.below
    }

    /// The ratio of a second.
    pub fn ratio(&self, counts: &SecondCounts) -> Ratio {
        let ended = (counts.ok + counts.failed) as f64;
        match self.metric {
            // Of successes, as in every report. Failures have the success rate against them.
            Metric::AvgMs => {
                Ratio { above: counts.ok_ns as f64 / (self.limit * NS_PER_MS), below: counts.ok as f64 }
            }
            Metric::SuccessRatePct => Ratio { above: counts.failed as f64, below: ended },
            // A failure counts as slower than any success.
            _ => Ratio { above: (counts.slow + counts.failed) as f64, below: ended },
        }
    }
}

/// The ratio of each limit in a second of a run.
pub fn ratios_of(limits: &[CapacityLimit], second: &Second) -> Vec<Ratio> {
    // Unpacked once for all of them.
    let histogram = second.histogram();
    let mut ratios = Vec::with_capacity(limits.len());
    for limit in limits {
        let slow = match limit.latency() {
            Some(latency) => histogram.count_between(latency.as_nanos() as u64, u64::MAX),
            None => 0,
        };
        let counts = SecondCounts { ok: second.ok, slow, failed: second.failed, ok_ns: second.ok_ns };
        ratios.push(limit.ratio(&counts));
    }
    ratios
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(metric: Metric, number: f64) -> CapacityLimit {
        CapacityLimit::new((metric, number)).expect("can be looked for")
    }

    /// Ten that ended: eight successes of 0.4 s in all, two of them slow, and two failures.
    const TEN: SecondCounts = SecondCounts { ok: 8, slow: 2, failed: 2, ok_ns: 400_000_000 };

    #[test]
    fn a_percentile_is_a_share_of_all_requests() {
        let p95 = limit(Metric::P95Ms, 100.0);
        assert_eq!((p95.ratio(&TEN), p95.allowed()), (Ratio { above: 4.0, below: 10.0 }, 0.05));
        assert!(
            p95.holds(Ratio { above: 5.0, below: 100.0 }) && !p95.holds(Ratio { above: 5.1, below: 100.0 })
        );
        // Of nothing everything holds.
        assert!(p95.holds(Ratio::default()));
    }

    #[test]
    fn a_success_rate_counts_failures_and_an_average_time() {
        let success = limit(Metric::SuccessRatePct, 75.0);
        assert_eq!((success.ratio(&TEN), success.allowed()), (Ratio { above: 2.0, below: 10.0 }, 0.25));
        // 400 ms are four limits of 100 ms, over eight successes: half of what is allowed.
        let average = limit(Metric::AvgMs, 100.0);
        assert_eq!((average.ratio(&TEN), average.allowed()), (Ratio { above: 4.0, below: 8.0 }, 1.0));
    }

    #[test]
    fn what_no_rate_holds_is_refused() {
        for (metric, number, says) in [
            (Metric::ThroughputRps, 5.0, "is what is looked for"),
            (Metric::MaxMs, 5.0, "limit p99_ms"),
            (Metric::P99Ms, 0.0, "above 0"),
            (Metric::P99Ms, f64::NAN, "above 0"),
            (Metric::AvgMs, 1e9, "an hour"),
            (Metric::SuccessRatePct, 100.5, "from above 0 to 100"),
            (Metric::SuccessRatePct, 0.0, "from above 0 to 100"),
        ] {
            let refused = CapacityLimit::new((metric, number)).expect_err(says).to_string();
            assert!(refused.contains(says), "{refused}");
        }
    }

    #[test]
    fn a_stored_limit_is_read_as_it_was_and_a_wrong_one_is_refused() {
        let p99 = limit(Metric::P99Ms, 500.0);
        let text = serde_json::to_string(&p99).expect("serialises");
        assert_eq!(text, r#"{"metric":"p99_ms","limit":500.0}"#);
        assert_eq!(serde_json::from_str::<CapacityLimit>(&text).expect("is one"), p99);
        assert!(serde_json::from_str::<CapacityLimit>(&text.replace("p99", "max")).is_err());
    }
}
