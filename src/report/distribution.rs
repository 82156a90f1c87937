//! How often each latency occurred, as what charts draw: the percentile curve, and how many took how long.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::document::ChartPoint;
use crate::recording::Samples;

/// Points of the percentile curve between one nine and the next.
const POINTS_PER_NINE: f64 = 10.0;
/// Bars between a time and ten times that: neighbours differ by an eighth.
const BARS_PER_DECADE: f64 = 20.0;
const NS_PER_S: f64 = 1e9;
/// Where a number of operations should be a whole one, it may come out a little beside it.
const ROUNDING: f64 = 1e-6;

/// Latencies of operations that succeeded, and how many did not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Distribution {
    /// In ascending order.
    latencies: Vec<LatencyCount>,
    /// Operations that failed or never ended, which count as slower than any other.
    lost: u64,
}

/// A latency, and how many operations took so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LatencyCount {
    ns: u64,
    count: u64,
}

impl Distribution {
    /// Of these successes, beside which so many operations were lost.
    pub(crate) fn of_samples(samples: &Samples, lost: u64) -> Self {
        let mut distribution = Self::of_histogram(samples.histogram(), lost);
        if let Some((shortest, longest)) = samples.range() {
            let shortest = shortest.as_nanos() as u64;
            let longest = longest.as_nanos() as u64;
            // The ends are known exactly, and a bucket of the histogram reaches beyond them.
            for latency in &mut distribution.latencies {
                latency.ns = latency.ns.clamp(shortest, longest);
            }
        }
        distribution
    }

    /// Of a histogram of nanoseconds.
    pub(crate) fn of_histogram(histogram: &Histogram<u64>, lost: u64) -> Self {
        let mut latencies = Vec::new();
        for value in histogram.iter_recorded() {
            latencies.push(LatencyCount { ns: value.value_iterated_to(), count: value.count_at_value() });
        }
        Self { latencies, lost }
    }

    /// Of nanoseconds and how many took so long, in any order.
    pub(crate) fn of_counts<'a>(counts: impl IntoIterator<Item = &'a (u64, u64)>) -> Self {
        let mut by_latency: BTreeMap<u64, u64> = BTreeMap::new();
        for (ns, count) in counts {
            let sum = by_latency.entry(*ns).or_default();
            // Those of a file may be any numbers.
            *sum = sum.saturating_add(*count);
        }
        let mut latencies = Vec::new();
        for (ns, count) in by_latency {
            latencies.push(LatencyCount { ns, count });
        }
        Self { latencies, lost: 0 }
    }

    /// Whether nothing succeeded, so that there is nothing to draw.
    pub(crate) fn is_empty(&self) -> bool {
        self.succeeded() == 0
    }

    fn succeeded(&self) -> u64 {
        self.latencies.iter().fold(0, |sum: u64, latency| sum.saturating_add(latency.count))
    }

    /// Seconds over the share of operations that took no longer: as many points for each further nine, up to the slowest
    /// operation. A point has no figure where it lies among what was lost.
    pub(crate) fn curve(&self) -> Vec<ChartPoint> {
        let mut points = Vec::new();
        if self.is_empty() {
            return points;
        }
        let due = self.succeeded().saturating_add(self.lost) as f64;
        for step in 0.. {
            let beyond = 10_f64.powf(-f64::from(step) / POINTS_PER_NINE);
            // Less than one operation lies beyond: what follows would be the slowest one again and again.
            if beyond * due < 1.0 - ROUNDING {
                break;
            }
            points.push(self.point(1.0 - beyond, due));
        }
        // The axis has no end, and the slowest operation stands where half of it lies beyond.
        points.push(self.point(1.0 - 0.5 / due, due));
        points
    }

    fn point(&self, share: f64, due: f64) -> ChartPoint {
        let rank = (share * due - ROUNDING).ceil().max(1.0) as u64;
        match self.at_rank(rank) {
            // A logarithmic axis has no place for 0.
            Some(ns) => ChartPoint::new(share, ns.max(1) as f64 / NS_PER_S),
            None => ChartPoint::missing(share),
        }
    }

    /// The latency of this rank, counted from 1 at the fastest.
    fn at_rank(&self, rank: u64) -> Option<u64> {
        let mut below: u64 = 0;
        for latency in &self.latencies {
            below = below.saturating_add(latency.count);
            if below >= rank {
                return Some(latency.ns);
            }
        }
        None
    }

    /// How many operations took how long, in seconds: bars whose ends are equal factors apart. Those between the first and
    /// the last are there where they are empty, too.
    pub(crate) fn bars(&self) -> Vec<ChartPoint> {
        let Some(shortest) = self.latencies.first() else { return Vec::new() };
        let longest = self.latencies.last().unwrap_or(shortest);
        let first = bar_of(shortest.ns);
        let mut counts = vec![0_u64; (bar_of(longest.ns) - first + 1) as usize];
        for latency in &self.latencies {
            let count = &mut counts[(bar_of(latency.ns) - first) as usize];
            *count = count.saturating_add(latency.count);
        }
        let mut bars = Vec::new();
        for (bar, count) in (first..).zip(counts) {
            let middle_ns = 10_f64.powf((bar as f64 + 0.5) / BARS_PER_DECADE);
            bars.push(ChartPoint::new(middle_ns / NS_PER_S, count as f64));
        }
        bars
    }
}

/// The bar that a latency is counted in.
fn bar_of(ns: u64) -> i64 {
    // A logarithm of 0 is infinite.
    ((ns.max(1) as f64).log10() * BARS_PER_DECADE).floor() as i64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn near(value: f64, expected: f64) -> bool {
        (value / expected - 1.0).abs() < 1e-9
    }

    #[test]
    fn a_curve_goes_from_the_fastest_to_the_slowest() {
        // 90 of 1 ms, 9 of 2 ms and one of 5 ms.
        let distribution = Distribution::of_counts(&[(5_000_000, 1), (1_000_000, 90), (2_000_000, 9)]);
        let curve = distribution.curve();
        // Two nines of ten points each, the one at 99 %, and the slowest.
        assert_eq!(curve.len(), 22);
        let at = [0, 10, 11, 20, 21].map(|point| curve[point]);
        assert_eq!(at.map(|point| point.y), [0.001, 0.001, 0.002, 0.002, 0.005].map(Some));
        assert!(at[0].x == 0.0 && near(at[1].x, 0.9) && near(at[4].x, 0.995), "{at:?}");
    }

    #[test]
    fn what_was_lost_lies_beyond_all_others() {
        let mut samples = Samples::default();
        for _ in 0..5 {
            samples.record(Duration::from_millis(3));
        }
        let curve = Distribution::of_samples(&samples, 5).curve();
        // Half succeeded: the fifth of ten is known, and the sixth is not.
        let known: Vec<bool> = curve.iter().map(|point| point.y.is_some()).collect();
        let last_known = known.iter().rposition(|known| *known).expect("has one");
        assert!(curve[last_known].x <= 0.5 && curve[last_known + 1].x > 0.5, "{curve:?}");
        // To the nanosecond, though a bucket of the histogram is wider.
        assert_eq!(curve[0].y, Some(0.003));
    }

    #[test]
    fn bars_are_equal_factors_apart_and_none_is_left_out() {
        // From 1 µs to 10 µs there are twenty bars, and 10 µs begin the next one.
        let bars = Distribution::of_counts(&[(1_000, 7), (1_001, 1), (10_000, 2)]).bars();
        assert_eq!(bars.len(), 21);
        let counts: Vec<Option<f64>> = bars.iter().map(|bar| bar.y).collect();
        assert_eq!((counts[0], counts[1], counts[20]), (Some(8.0), Some(0.0), Some(2.0)));
        assert!(near(bars[1].x / bars[0].x, 10_f64.powf(0.05)), "{bars:?}");
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        let nothing = Distribution::of_samples(&Samples::default(), 9);
        assert!(nothing.is_empty() && nothing.curve().is_empty() && nothing.bars().is_empty());
        // A file may say that an operation took no time.
        assert_eq!(Distribution::of_counts(&[(0, 1)]).bars().len(), 1);
    }
}
