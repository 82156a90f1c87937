//! The totals of all seconds so far.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::load::Second;
use crate::recording::{Class, Samples};

/// Upper bounds of the buckets of latencies, in ns: 1, 2 and 5 times the powers of ten, from 0.5 ms on. The longest time limit
/// that is usual, a minute, is the last.
const BOUNDS_NS: [u64; 17] = [
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
    20_000_000_000,
    50_000_000_000,
    60_000_000_000,
];
const NS_PER_S: f64 = 1e9;
const NS_PER_MS: f64 = 1e6;

/// What has become of all requests so far.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    /// Successes.
    pub ok: u64,
    /// Failures by class.
    pub failures: BTreeMap<Class, u64>,
    /// Requests that had not ended when their run did.
    pub unfinished: u64,
    /// Response times of the successes, in ns.
    latency: Histogram<u64>,
    latency_sum_ns: u128,
}

/// The latencies that are not longer than a bound, and longer than the bound before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LatencyBucket {
    /// Its bound in seconds; infinite for the last.
    pub upper_s: f64,
    /// How many there are.
    pub count: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            ok: 0,
            failures: BTreeMap::new(),
            unfinished: 0,
            latency: Samples::default().histogram().clone(),
            latency_sum_ns: 0,
        }
    }
}

impl Tally {
    /// Adds a second.
    pub fn add(&mut self, second: &Second) {
        self.ok += second.ok;
        for (class, count) in &second.failures {
            *self.failures.entry(*class).or_default() += count;
        }
        self.latency_sum_ns += second.ok_ns;
        // Adding goes through all the places of a histogram, whether or not anything was counted there.
        if second.ok > 0 {
            self.latency.add(second.histogram()).expect("both have the same bounds");
        }
    }

    /// Failures of every class.
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Sum of the response times of the successes, in seconds.
    pub fn latency_sum_s(&self) -> f64 {
        self.latency_sum_ns as f64 / NS_PER_S
    }

    /// This quantile of the response times of the successes; `None` where there are none.
    pub fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        if self.latency.is_empty() {
            return None;
        }
        Some(self.latency.value_at_quantile(quantile) as f64 / NS_PER_MS)
    }

    /// The successes by response time. A histogram has three digits, so that a latency within a part in a thousand of a bound
    /// may be counted on the other side of it.
    pub fn buckets(&self) -> Vec<LatencyBucket> {
        let mut buckets: Vec<LatencyBucket> = Vec::with_capacity(BOUNDS_NS.len() + 1);
        for bound in BOUNDS_NS {
            buckets.push(LatencyBucket { upper_s: bound as f64 / NS_PER_S, count: 0 });
        }
        buckets.push(LatencyBucket { upper_s: f64::INFINITY, count: 0 });
        for value in self.latency.iter_recorded() {
            // The smallest latency that is counted with this one: one of exactly a bound belongs to its bucket.
            let lowest = self.latency.lowest_equivalent(value.value_iterated_to());
            let place = BOUNDS_NS.partition_point(|bound| *bound < lowest);
            buckets[place].count += value.count_at_value();
        }
        buckets
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::seconds;
    use super::*;

    /// The totals of a run of these requests: see [`seconds`].
    fn tally(requests: &[(u64, u64)]) -> Tally {
        let mut tally = Tally::default();
        for second in seconds(requests) {
            tally.add(&second);
        }
        tally
    }

    #[test]
    fn totals_are_sums_over_the_seconds() {
        // Four in the first second, one of which is reset, and two in the third.
        let tally = tally(&[(0, 1), (10, 4), (20, 14), (30, 9), (2_000, 1), (2_500, 99)]);
        assert_eq!((tally.ok, tally.failed()), (5, 1));
        assert_eq!(tally.failures, BTreeMap::from([(Class::Reset, 1)]));
        // 1 + 4 + 9 + 1 + 99 ms, and 1 ms of send delay for each of the five.
        assert!((tally.latency_sum_s() - 0.119).abs() < 1e-12, "{}", tally.latency_sum_s());
        // The third of 2, 2, 5, 10 and 100 ms.
        let p50 = tally.quantile_ms(0.5).expect("is known");
        assert!((p50 / 5.0 - 1.0).abs() < 1e-3, "{p50}");
        assert_eq!(Tally::default().quantile_ms(0.5), None);
    }

    #[test]
    fn a_latency_of_exactly_a_bound_belongs_to_its_bucket() {
        // Response times of 2, 2, 5, 10 and 100 ms, and one of 61 s.
        let tally = tally(&[(0, 1), (10, 1), (20, 4), (30, 9), (40, 99), (50, 60_999)]);
        let mut counts = Vec::new();
        for bucket in tally.buckets() {
            if bucket.count > 0 {
                counts.push((bucket.upper_s, bucket.count));
            }
        }
        assert_eq!(counts, [(0.002, 2), (0.005, 1), (0.01, 1), (0.1, 1), (f64::INFINITY, 1)]);
        assert_eq!(tally.buckets().len(), 18);
    }

    #[test]
    fn bounds_are_written_without_digits_of_rounding() {
        let bounds: Vec<String> =
            Tally::default().buckets().iter().map(|b| format!("{:?}", b.upper_s)).collect();
        assert_eq!(bounds[..4], ["0.0005", "0.001", "0.002", "0.005"]);
        assert_eq!(bounds[14..], ["20.0", "50.0", "60.0", "inf"]);
    }
}
