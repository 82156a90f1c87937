//! Batch means: the confidence interval of a ratio whose values depend on those before them.
//!
//! What is measured one after the other is alike: a slow second slows every operation in it. So a mean is less certain than the
//! deviation of single values says. Long batches hardly depend on each other (Law, Simulation Modeling and Analysis, 5th
//! ed., section 9.5.3). What is told here is a sum over a sum, as latency over operations, or operations over time: the
//! ratio estimator (Cochran, Sampling Techniques, 3rd ed., section 6.4).

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Number of batches at which they are put together two by two.
const MOST: usize = 40;
/// Fewest batches for an interval.
const FEWEST: usize = 10;

/// Pairs of values in the order in which they came, in 20 to 39 batches of one length; fewer where there are fewer pairs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batches {
    length: u64,
    whole: Vec<Batch>,
    last: Batch,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Batch {
    above: f64,
    below: f64,
    count: u64,
}

impl Batch {
    fn add(&mut self, other: Self) {
        self.above += other.above;
        self.below += other.below;
        self.count += other.count;
    }
}

impl Default for Batches {
    fn default() -> Self {
        Self { length: 1, whole: Vec::with_capacity(MOST), last: Batch::default() }
    }
}

impl Batches {
    /// Adds the next pair: what stands above the line, and what below it. Does not allocate.
    pub fn add(&mut self, above: f64, below: f64) {
        // Only whole batches count: a value in the last one counts once it is full.
        self.last.add(Batch { above, below, count: 1 });
        if self.last.count < self.length {
            return;
        }
        self.whole.push(std::mem::take(&mut self.last));
        if self.whole.len() == MOST {
            self.double();
        }
    }

    /// Puts neighbours together to batches of twice the length.
    fn double(&mut self) {
        let pairs = self.whole.len() / 2;
        for pair in 0..pairs {
            let second = self.whole[2 * pair + 1];
            self.whole[pair] = self.whole[2 * pair];
            self.whole[pair].add(second);
        }
        self.whole.truncate(pairs);
        self.length *= 2;
    }

    /// Interval of the sum above over the sum below with this confidence (between 0 and 1): lower end and upper end. `None`
    /// where there are too few batches.
    pub fn interval(&self, confidence: f64) -> Option<(f64, f64)> {
        let n = self.whole.len();
        if n < FEWEST {
            return None;
        }
        let mut all = Batch::default();
        for batch in &self.whole {
            all.add(*batch);
        }
        let ratio = all.above / all.below;
        // Squares of how far each batch is from what it would have, were its ratio that of all.
        let squares: f64 = self.whole.iter().map(|batch| (batch.above - ratio * batch.below).powi(2)).sum();
        let variance = squares / (n - 1) as f64;
        let standard_error = (variance / n as f64).sqrt() / (all.below / n as f64);
        // Student's t and not the normal distribution, as the variance is estimated from the same few batches.
        let t = StudentsT::new(0.0, 1.0, (n - 1) as f64).expect("is a distribution");
        let reach = t.inverse_cdf(f64::midpoint(1.0, confidence)) * standard_error;
        // Where the sum below is 0 there is no ratio.
        if !reach.is_finite() {
            return None;
        }
        Some((ratio - reach, ratio + reach))
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt, SeedableRng};

    use super::*;

    /// Values of equal weight.
    fn of(values: impl IntoIterator<Item = f64>) -> Batches {
        let mut batches = Batches::default();
        for value in values {
            batches.add(value, 1.0);
        }
        batches
    }

    #[test]
    fn an_interval_by_hand() {
        // 1 to 10: mean 5.5, variance 55 / 6, and t of 9 degrees at 97.5 % is 2.262.
        let (lower, upper) = of((1..=10).map(f64::from)).interval(0.95).expect("has ten");
        let reach = 2.262_157 * (55.0_f64 / 6.0 / 10.0).sqrt();
        assert!((lower - (5.5 - reach)).abs() < 1e-4 && (upper - (5.5 + reach)).abs() < 1e-4);
        assert_eq!(of((1..=9).map(f64::from)).interval(0.95), None);
        assert_eq!(Batches::default().interval(0.95), None);
    }

    #[test]
    fn the_middle_is_the_sum_over_the_sum() {
        // Passes of one upload each, of 1 to 40 s: 40 in 820 s. The mean of their rates would be 0.107.
        let mut rates = Batches::default();
        for seconds in 1..=40 {
            rates.add(1.0, f64::from(seconds));
        }
        let (lower, upper) = rates.interval(0.95).expect("has enough");
        assert!((f64::midpoint(lower, upper) - 40.0 / 820.0).abs() < 1e-12);
        // What is the same in every batch is certain.
        let mut steady = Batches::default();
        for n in 1..=40 {
            steady.add(3.0 * f64::from(n), f64::from(n));
        }
        let (lower, upper) = steady.interval(0.95).expect("has enough");
        assert!(upper - lower < 1e-9 && (lower - 3.0).abs() < 1e-9);
    }

    #[test]
    fn batches_grow_with_the_values() {
        let batches = of((0..1000).map(f64::from));
        assert!((20..40).contains(&batches.whole.len()), "{}", batches.whole.len());
        assert_eq!(batches.whole[0].count, batches.length);
        // The first batch holds the first values.
        let first: f64 = (0..batches.length).map(|value| value as f64).sum();
        assert_eq!(batches.whole[0].above, first);
    }

    #[test]
    fn what_depends_on_what_came_before_is_covered() {
        // Every value is nine tenths of the one before, and noise: the deviation of single values covers 35 % of the time.
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let covered = (0..300)
            .filter(|_| {
                let mut value = 0.0;
                let values = (0..4000).map(|_| {
                    value = 0.9 * value + rng.random_range(-1.0..1.0);
                    value
                });
                let (lower, upper) = of(values).interval(0.95).expect("has enough");
                lower < 0.0 && 0.0 < upper
            })
            .count();
        // 285 of 300 expected, somewhat fewer as batches of 100 to 200 still depend on each other a little.
        assert!((265..=297).contains(&covered), "{covered}");
    }
}
