//! Latencies of operations that ended alike: an HDR histogram beside exact sums.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::histogram::{empty_histogram, from_text, pack, to_text, unpack};

/// Latencies in nanoseconds. Count, sum, minimum and maximum are exact; quantiles have three digits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Stored", try_from = "Stored")]
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
        Self { histogram: empty_histogram(), sum_ns: 0, sum_squares: 0, min_ns: u64::MAX, max_ns: 0 }
    }
}

/// Latencies in a file.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// HDR histogram (V2) in base64; nothing where there are no latencies.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    histogram: String,
    sum_ns: u128,
    sum_squares: u128,
    min_ns: u64,
    max_ns: u64,
}

impl From<Samples> for Stored {
    fn from(samples: Samples) -> Self {
        let Samples { histogram, sum_ns, sum_squares, min_ns, max_ns } = samples;
        let histogram = if histogram.is_empty() { String::new() } else { to_text(&pack(&histogram)) };
        Self { histogram, sum_ns, sum_squares, min_ns, max_ns }
    }
}

impl TryFrom<Stored> for Samples {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        if stored.histogram.is_empty() {
            let nothing = Self::default();
            let is_nothing = (stored.sum_ns, stored.sum_squares, stored.min_ns, stored.max_ns)
                == (nothing.sum_ns, nothing.sum_squares, nothing.min_ns, nothing.max_ns);
            return if is_nothing {
                Ok(nothing)
            } else {
                Err("a sum of latencies without a histogram".to_owned())
            };
        }
        let histogram = unpack(&from_text(&stored.histogram)?)?;
        let Stored { sum_ns, sum_squares, min_ns, max_ns, .. } = stored;
        // What is computed from these would be nonsense, or overflow.
        let sum_range = u128::from(min_ns)..=u128::from(max_ns);
        if histogram.is_empty() || !sum_range.contains(&(sum_ns / u128::from(histogram.len()))) {
            return Err("latencies whose sum, minimum and maximum do not fit together".to_owned());
        }
        Ok(Self { histogram, sum_ns, sum_squares, min_ns, max_ns })
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
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
        // Of a file, which may hold any number.
        self.sum_squares = self.sum_squares.saturating_add(other.sum_squares);
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
            (Some(a), Some(b)) => a.saturating_sub(b) as f64,
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
    fn what_is_stored_is_read_as_it_was() {
        for samples in [of(&[]), of(&[2, 4, 900_000, 77_777_777_777])] {
            let text = serde_json::to_string(&samples).expect("serialises");
            assert_eq!(serde_json::from_str::<Samples>(&text).expect("is one"), samples, "{text}");
        }
        let text = serde_json::to_string(&of(&[5, 7])).expect("serialises");
        for (from, to) in
            [("\"sum_ns\":12", "\"sum_ns\":120"), ("\"min_ns\":5", "\"min_ns\":9"), ("HI", "!!")]
        {
            let broken = text.replace(from, to);
            assert!(broken == text || serde_json::from_str::<Samples>(&broken).is_err(), "{broken}");
        }
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
