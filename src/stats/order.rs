//! Ranks of quantiles in the ordered sample, with distribution-free confidence intervals.
//!
//! The number of observations below the q-quantile is binomial (n, q), so order statistics bound it exactly
//! (David and Nagaraja, Order Statistics, 3rd ed., section 7.1).

use statrs::distribution::{Binomial, DiscreteCDF};

/// 1-based ranks of a quantile and of its interval's ends. An end is `None` where the sample is too small for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ranks {
    /// Rank of the quantile: the smallest value with at least a share `q` at or below it.
    pub point: u64,
    /// Rank of the lower end.
    pub lower: Option<u64>,
    /// Rank of the upper end.
    pub upper: Option<u64>,
}

impl Ranks {
    /// Probability that the interval covers the `q`-quantile of what `n` observations were drawn from: at least the
    /// confidence asked for, as ranks are whole numbers. `None` where an end is missing.
    pub fn coverage(&self, n: u64, q: f64) -> Option<f64> {
        let below = Binomial::new(q, n).ok()?;
        Some(below.cdf(self.upper? - 1) - below.cdf(self.lower? - 1))
    }
}

/// Ranks of the `q`-quantile of `n` observations, its interval covering at least `confidence`.
/// Both shares lie strictly between 0 and 1. `None` where `n` is 0.
pub fn quantile_ranks(n: u64, q: f64, confidence: f64) -> Option<Ranks> {
    if n == 0 {
        return None;
    }
    let below = Binomial::new(q, n).ok()?;
    let tail = (1.0 - confidence) / 2.0;
    // P(X_(r) > quantile) = P(Bin < r) must stay within the tail, and P(X_(s) < quantile) = 1 - P(Bin < s) too.
    let lower = Some(below.inverse_cdf(tail)).filter(|&rank| rank >= 1);
    let upper = Some(below.inverse_cdf(1.0 - tail) + 1).filter(|&rank| rank <= n);
    let point = ((q * n as f64).ceil() as u64).clamp(1, n);
    Some(Ranks { point, lower, upper })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Coverage of the interval of the median of `n` values.
    fn coverage(n: u64) -> Option<f64> {
        quantile_ranks(n, 0.5, 0.95).expect("has ranks").coverage(n, 0.5)
    }

    /// P(Bin(n, q) <= k), summed term by term in logarithms.
    fn cdf(n: u64, q: f64, k: u64) -> f64 {
        let mut ln_term = n as f64 * (1.0 - q).ln();
        let mut sum = ln_term.exp();
        for i in 0..k {
            ln_term += ((n - i) as f64 / (i + 1) as f64 * q / (1.0 - q)).ln();
            sum += ln_term.exp();
        }
        sum
    }

    #[test]
    fn median_of_ten_lies_between_second_and_ninth() {
        // P(Bin(10, 1/2) <= 1) = 11 / 1024 = 1.07 %, <= 2: 5.5 %. So ranks 2 and 9 cover 97.9 %.
        let ranks = quantile_ranks(10, 0.5, 0.95);
        assert_eq!(ranks, Some(Ranks { point: 5, lower: Some(2), upper: Some(9) }));
    }

    #[test]
    fn an_interval_says_how_often_it_covers() {
        // 1 - 2 * 11 / 1024, and 1 - 2 * 21700 / 2^20.
        assert!((coverage(10).expect("has both ends") - 0.978_515_625).abs() < 1e-9);
        assert!((coverage(20).expect("has both ends") - 0.958_610_534).abs() < 1e-9);
        // All three lie above the median in one case of 8: not even the smallest is a lower end at 2.5 %.
        assert_eq!(coverage(3), None);
    }

    #[test]
    fn small_samples_have_no_upper_bound_for_p99() {
        let ranks = quantile_ranks(100, 0.99, 0.95).expect("has ranks");
        assert_eq!((ranks.point, ranks.upper), (99, None));
        // All n values lie below p99 with a probability of 0.99^n, which is at most 2.5 % from n = 368 on.
        assert_eq!(quantile_ranks(367, 0.99, 0.95).expect("has ranks").upper, None);
        assert_eq!(quantile_ranks(368, 0.99, 0.95).expect("has ranks").upper, Some(368));
    }

    #[test]
    fn intervals_cover_what_they_claim() {
        for (n, q) in [(5, 0.5), (20, 0.95), (60, 0.9), (100, 0.5), (500, 0.99), (999, 0.95)] {
            let ranks = quantile_ranks(n, q, 0.95).expect("has ranks");
            // Each end may miss in 2.5 % of samples.
            if let Some(lower) = ranks.lower {
                assert!(cdf(n, q, lower - 1) <= 0.025, "n {n}, q {q}");
            }
            if let Some(upper) = ranks.upper {
                assert!(1.0 - cdf(n, q, upper - 1) <= 0.025 + 1e-12, "n {n}, q {q}");
            }
        }
    }

    #[test]
    fn no_observations_no_ranks() {
        assert_eq!(quantile_ranks(0, 0.5, 0.95), None);
        assert_eq!(quantile_ranks(1, 0.5, 0.95), Some(Ranks { point: 1, lower: None, upper: None }));
    }
}
