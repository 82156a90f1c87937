//! One side of a session against the base: an effect a case, and whether it is more than chance.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Normal};

use super::record::{CaseRecord, Compared};
use super::verdict::Finding;
use crate::stats::{SignFlip, median, median_effect, sign_flip_max};

/// How sure the smallest effect that a session could have seen is to be seen.
const POWER: f64 = 0.9;

/// A spread below this is a rounding error.
const NEGLIGIBLE: f64 = 1e-12;

/// A share with its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Effect {
    /// By what share slower than the base; below 0, faster. Median over pairs.
    pub share: f64,
    /// Lower end, an order statistic over pairs.
    pub lower: Option<f64>,
    /// Upper end.
    pub upper: Option<f64>,
}

/// Every case of one side.
pub struct Comparison {
    /// Log ratios: for each case, a value a pair.
    values: Vec<Vec<f64>>,
    margin: f64,
    rate: f64,
    slower: SignFlip,
    faster: SignFlip,
}

impl Comparison {
    /// Tests all cases together: whether any is slower, or faster, than by `margin`. Nothing where there are no
    /// cases, or not as many pairs of each.
    pub fn new(cases: &[&CaseRecord], of: Compared, margin: f64, rate: f64) -> Option<Self> {
        let values: Vec<Vec<f64>> = cases.iter().map(|case| pair_effects(case, of)).collect::<Option<_>>()?;
        let margin = margin.ln_1p();
        let beyond = |sign: f64| -> Vec<Vec<f64>> {
            values.iter().map(|case| case.iter().map(|value| sign * value - margin).collect()).collect()
        };
        let slower = sign_flip_max(&beyond(1.0), rate)?;
        let faster = sign_flip_max(&beyond(-1.0), rate)?;
        Some(Self { values, margin, rate, slower, faster })
    }

    /// The case of this index.
    pub fn case(&self, index: usize) -> OneCase<'_> {
        OneCase {
            values: &self.values[index],
            margin: self.margin,
            rate: self.rate,
            critical: self.slower.critical,
            p_slower: self.slower.p[index],
            p_faster: self.faster.p[index],
        }
    }
}

/// The value of each pair: the median of its blocks' log ratios.
fn pair_effects(case: &CaseRecord, of: Compared) -> Option<Vec<f64>> {
    let effect = |blocks: &Vec<_>| {
        median(blocks.iter().map(|block: &super::record::Block| block.log_ratio(of)).collect())
    };
    case.pairs.iter().map(effect).collect()
}

/// One case of one side.
pub struct OneCase<'a> {
    values: &'a [f64],
    margin: f64,
    rate: f64,
    critical: f64,
    /// How often chance alone makes any case look this much slower than by the margin.
    pub p_slower: f64,
    /// Likewise faster.
    pub p_faster: f64,
}

impl OneCase<'_> {
    /// The median over pairs.
    pub fn effect(&self) -> Effect {
        let logs = median_effect(self.values.to_vec()).expect("a case has pairs");
        Effect {
            share: logs.ratio.exp_m1(),
            lower: logs.lower.map(f64::exp_m1),
            upper: logs.upper.map(f64::exp_m1),
        }
    }

    /// Slower or faster, if it is by at least `fail_over` and by more than chance.
    pub fn found(&self, fail_over: f64) -> Option<Finding> {
        let (log, least) = (self.effect().share.ln_1p(), fail_over.ln_1p());
        if self.p_slower <= self.rate && log >= least {
            Some(Finding::Regressed)
        } else if self.p_faster <= self.rate && -log >= least {
            Some(Finding::Improved)
        } else {
            None
        }
    }

    /// Standard deviation from pair to pair.
    pub fn spread(&self) -> f64 {
        let n = self.values.len() as f64;
        let mean = self.values.iter().sum::<f64>() / n;
        (self.values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
    }

    /// The smallest slowdown that would have been found nine times in ten, given this spread and normal values. It
    /// has to pass the test (noncentral t by its normal approximation, Abramowitz and Stegun 26.7.10), and its
    /// estimate to reach `fail_over` (a median's standard error is sqrt(pi / 2) times a mean's).
    pub fn smallest(&self, fail_over: f64) -> f64 {
        let n = self.values.len() as f64;
        let z = Normal::standard().inverse_cdf(POWER);
        let standard_error = self.spread() / n.sqrt();
        if standard_error < NEGLIGIBLE {
            return fail_over;
        }
        let t = self.critical * ((n - 1.0) / (n - self.critical.powi(2))).sqrt();
        if !t.is_finite() {
            return f64::INFINITY;
        }
        let freedom = n - 1.0;
        let shift = t * (1.0 - 1.0 / (4.0 * freedom)) + z * (1.0 + t * t / (2.0 * freedom)).sqrt();
        let by_test = self.margin + shift * standard_error;
        let by_estimate = fail_over.ln_1p() + z * std::f64::consts::FRAC_PI_2.sqrt() * standard_error;
        by_test.max(by_estimate).exp_m1()
    }
}
