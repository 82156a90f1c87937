//! Intervals of means by resampling: the values that a mean is taken of are drawn anew, with replacement, again and again
//! (Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13).
//!
//! The same draws serve all that was measured together. A mean of sums is the sum of means, so what holds for a whole and its
//! parts holds for their intervals too, which no interval of medians could promise.
//!
//! The plain percentile interval is too narrow for few values: resampled means vary by less than the standard error, by the
//! root of (n - 1) / n, and the normal distribution has thinner tails than Student's. With ten values it covers 90 % of
//! means and not 95: the chance that Student's t of 9 degrees is below 1.96 times the root of 0.9. So the percentiles are
//! taken further out, to where normal values have Student's interval (Hesterberg, What Teachers Should Know About the
//! Bootstrap, The American Statistician, 2015). A test below draws how often such intervals cover.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// Samples that are drawn. With ten values, 85 of them lie beyond each end, and another seed moves an end by about a hundredth
/// of the interval's length.
const DRAWS: usize = 10_000;
/// How often an interval covers what the mean would be of infinitely many values.
const CONFIDENCE: f64 = 0.95;
/// A single value does not say how much values vary.
const FEWEST: usize = 2;

/// A mean with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MeanInterval {
    /// The mean.
    pub mean: f64,
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

/// Samples of so many values, drawn once for all that is resampled together.
#[derive(Debug, Clone)]
pub struct Resamples {
    /// Number of values in a sample.
    values: usize,
    /// Which values were drawn, one sample after the other.
    drawn: Vec<usize>,
    /// Share of the resampled means that lies beyond each end.
    tail: f64,
}

impl Resamples {
    /// Draws samples of so many values. `None` where there are fewer than two.
    pub fn new(values: usize, seed: u64) -> Option<Self> {
        Self::with_draws(values, seed, DRAWS)
    }

    fn with_draws(values: usize, seed: u64, draws: usize) -> Option<Self> {
        if values < FEWEST {
            return None;
        }
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut drawn = Vec::with_capacity(draws * values);
        for _ in 0..draws * values {
            drawn.push(rng.random_range(0..values));
        }
        Some(Self { values, drawn, tail: tail(values) })
    }

    /// The mean of these values and its interval.
    pub fn interval(&self, values: &[f64]) -> MeanInterval {
        assert_eq!(values.len(), self.values, "samples are drawn for a number of values");
        let n = self.values as f64;
        let mut means = Vec::with_capacity(self.drawn.len() / self.values);
        for sample in self.drawn.chunks_exact(self.values) {
            let sum: f64 = sample.iter().map(|&value| values[value]).sum();
            means.push(sum / n);
        }
        means.sort_by(f64::total_cmp);
        // Rounded down, so the interval is never the narrower for it.
        let beyond = (self.tail * means.len() as f64) as usize;
        MeanInterval {
            mean: values.iter().sum::<f64>() / n,
            lower: means[beyond],
            upper: means[means.len() - 1 - beyond],
        }
    }
}

/// The share of resampled means beyond each end with which the interval of so many normal values is Student's.
fn tail(values: usize) -> f64 {
    let n = values as f64;
    let student = StudentsT::new(0.0, 1.0, n - 1.0).expect("is a distribution");
    let reach = student.inverse_cdf(f64::midpoint(1.0, CONFIDENCE));
    // Resampled means have this much less spread than the standard error, which Student's interval is a multiple of.
    let shrunk = ((n - 1.0) / n).sqrt();
    Normal::standard().cdf(-reach / shrunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How values are drawn whose true mean is 0.
    type Draw = fn(&mut Xoshiro256PlusPlus) -> f64;

    /// Nearly normal, with a standard deviation of 1: twelve uniform numbers.
    fn normal(rng: &mut Xoshiro256PlusPlus) -> f64 {
        (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
    }

    /// The difference of two waits, each of which is mostly short and sometimes long.
    fn of_two_waits(rng: &mut Xoshiro256PlusPlus) -> f64 {
        // 1 - x, as the logarithm of 0 is infinite.
        let wait = -(1.0 - rng.random::<f64>()).ln();
        let other = -(1.0 - rng.random::<f64>()).ln();
        wait - other
    }

    /// One value in eight goes wrong.
    fn outliers(rng: &mut Xoshiro256PlusPlus) -> f64 {
        let wild = rng.random_range(0..8) == 0;
        normal(rng) * if wild { 30.0 } else { 1.0 }
    }

    /// Of a thousand intervals from ten values each, how many cover the true mean.
    fn covering(draw: Draw) -> u32 {
        let resamples = Resamples::with_draws(10, 1, 500).expect("has ten");
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
        let mut found = 0;
        for _ in 0..1000 {
            let values: Vec<f64> = (0..10).map(|_| draw(&mut rng)).collect();
            let MeanInterval { lower, upper, .. } = resamples.interval(&values);
            found += u32::from(lower <= 0.0 && 0.0 <= upper);
        }
        found
    }

    #[test]
    fn intervals_from_ten_values_cover_what_they_claim() {
        // 950 expected, standard deviation 6.9. The plain percentile interval would cover 904.
        let kinds: [(&str, Draw); 2] = [("normal", normal), ("of two waits", of_two_waits)];
        for (name, draw) in kinds {
            let found = covering(draw);
            assert!((925..=980).contains(&found), "{name}: {found}");
        }
        // Where a wild value makes the interval wide, more of them cover.
        let found = covering(outliers);
        assert!(found >= 925, "outliers: {found}");
    }

    #[test]
    fn ends_lie_where_students_interval_has_them() {
        // t of 9 degrees at 97.5 % is 2.2622; over the root of 0.9 that is 2.3845, below which lies 0.855 % of the normal.
        assert!((tail(10) - 0.00855).abs() < 1e-4, "{}", tail(10));
        // 1 to 12: mean 6.5, variance 13, and t of 11 degrees is 2.201.
        let values: Vec<f64> = (1..=12).map(f64::from).collect();
        let interval = Resamples::new(12, 1).expect("has twelve").interval(&values);
        let reach = 2.201 * (13.0_f64 / 12.0).sqrt();
        assert!((interval.mean - 6.5).abs() < 1e-12, "{interval:?}");
        assert!((interval.lower - (6.5 - reach)).abs() < 0.2, "{interval:?}");
        assert!((interval.upper - (6.5 + reach)).abs() < 0.2, "{interval:?}");
    }

    #[test]
    fn few_values_reach_from_the_least_to_the_most() {
        // Of two values, a quarter of all samples has the smaller one twice.
        let both = Resamples::new(2, 1).expect("has two").interval(&[1.0, 3.0]);
        assert_eq!(both, MeanInterval { mean: 2.0, lower: 1.0, upper: 3.0 });
        let same = Resamples::new(10, 1).expect("has ten").interval(&[0.5; 10]);
        assert_eq!(same, MeanInterval { mean: 0.5, lower: 0.5, upper: 0.5 });
        assert!(Resamples::new(1, 1).is_none() && Resamples::new(0, 1).is_none());
    }

    #[test]
    fn the_seed_decides() {
        let values: Vec<f64> = (0..10).map(|i| f64::from(i).sqrt()).collect();
        let intervals = [5, 5, 6].map(|seed| Resamples::new(10, seed).expect("has ten").interval(&values));
        assert_eq!(intervals[0], intervals[1]);
        assert_ne!(intervals[0], intervals[2]);
    }
}
