//! Times at which requests are to begin: pure functions of the request's index and the seed.

use std::fmt;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

use super::profile::Profile;

/// The closed model: each of `users` begins its next request when its last has ended, `requests` in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// Requests under way at once.
    pub users: u32,
    /// Requests in all.
    pub requests: u64,
}

/// How arrivals are spread in the open model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Evenly: each follows the last by as much as the rate says.
    #[default]
    Constant,
    /// As independent users would come: gaps are exponential.
    Poisson,
}

impl fmt::Display for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Constant => "constant",
            Self::Poisson => "poisson",
        })
    }
}

/// Use of a random number. No two uses share one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    /// The gap before an arrival.
    Gap = 1,
    /// Which of several things is sent.
    Mix = 2,
    /// Which shard performs it.
    Shard = 3,
}

/// The random numbers that belong to one request and one use.
pub(crate) fn random(seed: u64, stream: Stream, index: u64) -> Xoshiro256PlusPlus {
    // An odd factor spreads the indices over all 64 bits, one to one (Steele and Vigna, 2021, table 7).
    let spread = index.wrapping_mul(0xd134_2543_de82_ef95).rotate_left(32);
    Xoshiro256PlusPlus::seed_from_u64(seed ^ spread ^ ((stream as u64) << 56))
}

/// The times at which requests arrive, with their indices: an inhomogeneous process by inversion of the rate's integral
/// (Cinlar, Introduction to Stochastic Processes, 1975, chapter 4).
#[derive(Debug, Clone)]
pub struct Schedule {
    rate: Profile,
    arrivals: Arrivals,
    seed: u64,
    next: u64,
    area: f64,
}

impl Schedule {
    /// A schedule at this rate a second, with random numbers from the seed.
    pub fn new(rate: Profile, arrivals: Arrivals, seed: u64) -> Self {
        Self { rate, arrivals, seed, next: 0, area: 0.0 }
    }

    /// How its arrivals are spread.
    pub(super) fn arrivals(&self) -> Arrivals {
        self.arrivals
    }

    /// Seed of its random numbers.
    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// Time after which nothing arrives.
    pub fn lasting(&self) -> Duration {
        self.rate.lasting()
    }
}

impl Iterator for Schedule {
    type Item = (u64, Duration);

    fn next(&mut self) -> Option<(u64, Duration)> {
        let index = self.next;
        // The area is how many arrivals are expected until then. It is computed from the index where that is possible, as
        // a sum of gaps would drift.
        self.area = match self.arrivals {
            Arrivals::Constant => index as f64,
            Arrivals::Poisson => self.area + exponential(self.seed, index),
        };
        self.next += 1;
        Some((index, self.rate.time_of_area(self.area)?))
    }
}

/// A number from the exponential distribution with mean 1, by inversion. `random` may return 0 and never 1, so that the
/// logarithm of 1 - u is always finite.
fn exponential(seed: u64, index: u64) -> f64 {
    -(1.0 - random(seed, Stream::Gap, index).random::<f64>()).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(rate: f64, seconds: u64, arrivals: Arrivals, seed: u64) -> Vec<f64> {
        let rate = Profile::constant(rate, Duration::from_secs(seconds));
        Schedule::new(rate, arrivals, seed).map(|(_, at)| at.as_secs_f64()).collect()
    }

    #[test]
    fn a_constant_schedule_never_drifts() {
        let at = arrivals(1000.0, 600, Arrivals::Constant, 1);
        assert_eq!(at.len(), 600_000);
        assert!(at.iter().zip(0..).all(|(at, index)| (at - f64::from(index) / 1000.0).abs() < 2e-9));
    }

    #[test]
    fn poisson_gaps_are_exponential() {
        let at = arrivals(1000.0, 20, Arrivals::Poisson, 1);
        // 20,000 expected, with a standard deviation of their root, 141.
        assert!((at.len() as f64 - 20_000.0).abs() < 600.0, "{}", at.len());
        let mut gaps: Vec<f64> = at.windows(2).map(|pair| 1000.0 * (pair[1] - pair[0])).collect();
        gaps.sort_by(f64::total_cmp);
        // Kolmogorov-Smirnov against 1 - exp(-x): 1.63 / sqrt(n) is exceeded once in a hundred.
        let n = gaps.len() as f64;
        let distance =
            gaps.iter().zip(1..).map(|(gap, rank)| (1.0 - (-gap).exp() - f64::from(rank) / n).abs());
        assert!(distance.fold(0.0, f64::max) < 1.63 / n.sqrt());
    }

    #[test]
    fn poisson_gaps_do_not_depend_on_each_other() {
        let at = arrivals(1000.0, 20, Arrivals::Poisson, 3);
        let gaps: Vec<f64> = at.windows(2).map(|pair| 1000.0 * (pair[1] - pair[0]) - 1.0).collect();
        for lag in 1..6 {
            let products = gaps.iter().zip(&gaps[lag..]).map(|(a, b)| a * b);
            let correlation = products.sum::<f64>() / gaps.len() as f64;
            // Standard deviation 1 / sqrt(20,000) = 0.007.
            assert!(correlation.abs() < 0.03, "{lag}: {correlation}");
        }
    }

    #[test]
    fn the_seed_decides() {
        let first = arrivals(100.0, 5, Arrivals::Poisson, 1);
        assert_eq!(first, arrivals(100.0, 5, Arrivals::Poisson, 1));
        assert_ne!(first, arrivals(100.0, 5, Arrivals::Poisson, 2));
    }

    #[test]
    fn a_ramp_brings_more_and_more() {
        let rate = Profile::new(vec!["0..100:10s".parse().expect("is a stage")]);
        let at: Vec<f64> =
            Schedule::new(rate, Arrivals::Constant, 1).map(|(_, at)| at.as_secs_f64()).collect();
        // The rate is 10 x at second x, so 5 x^2 have come by then: 125 by 5 s, 500 by 10 s.
        assert_eq!(at.len(), 500);
        assert_eq!(at.iter().filter(|at| **at < 5.0).count(), 125);
    }
}
