//! Latencies of operations that ended alike: an HDR histogram beside exact sums.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Significant digits of the histogram: with three, a quantile is off by at most one part in a thousand.
const DIGITS: u8 = 3;
/// Longest latency that the histogram tells apart from longer ones: one hour.
const MAX_NS: u64 = 3_600 * 1_000_000_000;

/// Latencies in nanoseconds. Count, sum, minimum and maximum are exact; quantiles have three digits.
#[derive(Debug, Clone)]
pub struct Samples {
    histogram: Histogram<u64>,
    // In 64 bits the square of a latency of more than 4.3 s would not fit.
    sum_ns: u128,
    sum_squares: u128,
    min_ns: u64,
    max_ns: u64,
}

impl Default for Samples {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, MAX_NS, DIGITS).expect("the bounds are valid");
        Self { histogram, sum_ns: 0, sum_squares: 0, min_ns: u64::MAX, max_ns: 0 }
    }
}

impl Samples {
    /// Counts one latency. Does not allocate.
    pub fn record(&mut self, latency: Duration) {
        let ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.histogram.saturating_record(ns);
        self.sum_ns += u128::from(ns);
        self.sum_squares += u128::from(ns) * u128::from(ns);
        self.min_ns = self.min_ns.min(ns);
        self.max_ns = self.max_ns.max(ns);
    }

    /// Adds what another has counted: the same as if this one had counted all of it.
    pub fn merge(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("all have the same bounds");
        self.sum_ns += other.sum_ns;
        self.sum_squares += other.sum_squares;
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// Forgets all latencies, and keeps the memory.
    pub fn clear(&mut self) {
        self.histogram.clear();
        self.sum_ns = 0;
        self.sum_squares = 0;
        self.min_ns = u64::MAX;
        self.max_ns = 0;
    }

    /// Number of latencies.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Shortest and longest; `None` where there are none.
    pub fn range(&self) -> Option<(Duration, Duration)> {
        if self.count() == 0 {
            return None;
        }
        Some((Duration::from_nanos(self.min_ns), Duration::from_nanos(self.max_ns)))
    }

    /// Their sum, in nanoseconds.
    pub fn sum_ns(&self) -> u128 {
        self.sum_ns
    }

    /// Arithmetic mean, in nanoseconds.
    pub fn mean_ns(&self) -> Option<f64> {
        if self.count() == 0 {
            return None;
        }
        Some(self.sum_ns as f64 / self.count() as f64)
    }

    /// Standard deviation of the sample (divisor n - 1), in nanoseconds; 0 for a single one.
    pub fn std_dev_ns(&self) -> Option<f64> {
        let n = u128::from(self.count());
        if n < 2 {
            return if n == 1 { Some(0.0) } else { None };
        }
        // n * sum(x^2) - sum(x)^2, in whole numbers, as floats would lose digits in the difference. Where one of the terms
        // is too large even for 128 bits, floats have to do.
        let spread = match (n.checked_mul(self.sum_squares), self.sum_ns.checked_mul(self.sum_ns)) {
            (Some(a), Some(b)) => (a - b) as f64,
            _ => n as f64 * self.sum_squares as f64 - (self.sum_ns as f64).powi(2),
        };
        Some((spread.max(0.0) / (n as f64 * (n - 1) as f64)).sqrt())
    }

    /// The value of 1-based `rank` in ascending order, within the histogram's precision and the exact range.
    pub fn at_rank(&self, rank: u64) -> Option<Duration> {
        if rank == 0 || rank > self.count() {
            return None;
        }
        // The middle between two ranks' quantiles, so that rounding cannot select a neighbour.
        let quantile = (rank as f64 - 0.5) / self.count() as f64;
        let ns = self.histogram.value_at_quantile(quantile).clamp(self.min_ns, self.max_ns);
        Some(Duration::from_nanos(ns))
    }

    /// The histogram of latencies in ns, for export.
    pub fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ns: &[u64]) -> Samples {
        let mut samples = Samples::default();
        for &n in ns {
            samples.record(Duration::from_nanos(n));
        }
        samples
    }

    #[test]
    fn hand_computed_figures() {
        // 2, 4, 4, 4, 5, 5, 7, 9: mean 5, squares of deviations sum to 32, so variance 32 / 7.
        let samples = of(&[2, 4, 4, 4, 5, 5, 7, 9]);
        assert_eq!(samples.count(), 8);
        assert_eq!(samples.mean_ns(), Some(5.0));
        assert!((samples.std_dev_ns().expect("has one") - (32.0_f64 / 7.0).sqrt()).abs() < 1e-12);
        assert_eq!(samples.at_rank(1), Some(Duration::from_nanos(2)));
        assert_eq!(samples.at_rank(5), Some(Duration::from_nanos(5)));
        assert_eq!(samples.at_rank(8), Some(Duration::from_nanos(9)));
        assert_eq!(samples.at_rank(9), None);
    }

    #[test]
    fn nothing_recorded_is_nothing_not_zero() {
        let none = Samples::default();
        assert_eq!(
            (none.range(), none.mean_ns(), none.std_dev_ns(), none.at_rank(1)),
            (None, None, None, None)
        );
        assert_eq!(of(&[7]).std_dev_ns(), Some(0.0));
    }

    #[test]
    fn quantiles_keep_three_digits_and_the_exact_range() {
        let samples = of(&[1_234_567, 7_654_321]);
        let first = samples.at_rank(1).expect("is there").as_nanos() as f64;
        assert!((first / 1_234_567.0 - 1.0).abs() <= 1e-3);
        // The last is the exact maximum, though the histogram's bucket reaches beyond it.
        assert_eq!(samples.at_rank(2), Some(Duration::from_nanos(7_654_321)));
    }

    #[test]
    fn two_put_together_are_as_one() {
        let mut merged = of(&[2, 4, 900_000]);
        let whole = of(&[2, 4, 900_000, 1, 77_777]);
        merged.merge(&of(&[]));
        merged.merge(&of(&[1, 77_777]));
        assert_eq!(merged.histogram(), whole.histogram());
        assert_eq!(
            (merged.range(), merged.mean_ns(), merged.std_dev_ns()),
            (whole.range(), whole.mean_ns(), whole.std_dev_ns())
        );
        merged.clear();
        assert_eq!((merged.count(), merged.range(), merged.std_dev_ns()), (0, None, None));
    }

    #[test]
    fn longer_than_an_hour_saturates_the_histogram_only() {
        let day = Duration::from_secs(86_400);
        let mut samples = Samples::default();
        samples.record(day);
        assert_eq!(samples.range(), Some((day, day)));
        assert_eq!(samples.count(), 1);
    }
}
