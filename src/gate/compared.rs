//! One side of a session against the base: an effect a case, and whether it is more than chance.

use std::cell::OnceCell;

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Normal};

use super::plan::Plan;
use super::record::{CaseRecord, Compared};
use super::verdict::Finding;
use crate::stats::{SignFlip, detectable_shift, median, median_effect, quantile_ranks, sign_flip_max};

/// How surely a slowdown of the minimum detectable effect is found.
const POWER: f64 = 0.9;

/// A spread below this is a rounding error.
const NEGLIGIBLE: f64 = 1e-12;

/// A share with its confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Effect {
    /// By what share slower than the base; below 0, faster. Median over pairs.
    pub share: f64,
    /// Lower end, an order statistic over pairs.
    pub lower: Option<f64>,
    /// Upper end.
    pub upper: Option<f64>,
    /// How often such an interval covers the true effect: 0.95 or more.
    pub coverage: Option<f64>,
}

/// Every case of one side.
pub struct Comparison {
    /// Log ratios: for each case, a value a pair.
    values: Vec<Vec<f64>>,
    margin: f64,
    alpha: f64,
    seed: u64,
    slower: OnceCell<SignFlip>,
    faster: OnceCell<SignFlip>,
    detectable_shift: OnceCell<f64>,
}

impl Comparison {
    /// Compares all cases together. Returns nothing if there are no cases, or if they differ in their number of pairs.
    pub fn new(cases: &[&CaseRecord], of: Compared, plan: &Plan) -> Option<Self> {
        let values: Vec<Vec<f64>> = cases.iter().map(|case| pair_effects(case, of)).collect::<Option<_>>()?;
        let pairs = values.first()?.len();
        if pairs == 0 || values.iter().any(|case| case.len() != pairs) {
            return None;
        }
        Some(Self {
            values,
            margin: plan.margin.ln_1p(),
            alpha: plan.alpha,
            seed: plan.seed,
            slower: OnceCell::new(),
            faster: OnceCell::new(),
            detectable_shift: OnceCell::new(),
        })
    }

    /// The case of this index.
    pub fn case(&self, index: usize) -> OneCase<'_> {
        OneCase { all: self, index }
    }

    /// Tests whether any case is slower by more than the margin. Made once, when first asked for: trying a million patterns
    /// of signs takes a moment.
    fn slower(&self) -> &SignFlip {
        self.slower.get_or_init(|| self.test(1.0))
    }

    /// Tests whether any case is faster by more than the margin.
    fn faster(&self) -> &SignFlip {
        self.faster.get_or_init(|| self.test(-1.0))
    }

    /// By how many standard deviations beyond the margin a case has to be slower to be found.
    fn detectable_shift(&self) -> f64 {
        *self.detectable_shift.get_or_init(|| {
            let critical = self.slower().critical(self.alpha);
            detectable_shift(self.values[0].len(), critical, POWER)
        })
    }

    fn test(&self, direction: f64) -> SignFlip {
        let mut beyond = Vec::new();
        for case in &self.values {
            beyond.push(case.iter().map(|value| direction * value - self.margin).collect());
        }
        sign_flip_max(&beyond, self.seed).expect("every case has as many values")
    }
}

/// The value of each pair: the median of its blocks' log ratios.
pub fn pair_effects(case: &CaseRecord, of: Compared) -> Option<Vec<f64>> {
    let mut values = Vec::new();
    for pair in &case.pairs {
        values.push(median(pair.blocks.iter().map(|block| block.log_ratio(of)).collect())?);
    }
    Some(values)
}

/// One case of one side.
pub struct OneCase<'a> {
    all: &'a Comparison,
    index: usize,
}

impl OneCase<'_> {
    fn values(&self) -> &[f64] {
        &self.all.values[self.index]
    }

    /// The median over pairs.
    pub fn effect(&self) -> Effect {
        let logs = median_effect(self.values().to_vec()).expect("a case has pairs");
        let ranks = quantile_ranks(logs.blocks, 0.5, 0.95);
        Effect {
            share: logs.ratio.exp_m1(),
            lower: logs.lower.map(f64::exp_m1),
            upper: logs.upper.map(f64::exp_m1),
            coverage: ranks.and_then(|ranks| ranks.coverage(logs.blocks, 0.5)),
        }
    }

    /// How often chance alone makes any case look this much slower than by the margin, or this much faster where it is
    /// faster. Nothing for an effect below the threshold: it is not tested.
    pub fn p(&self, threshold: f64) -> Option<f64> {
        let log = self.effect().share.ln_1p();
        if log >= threshold.ln_1p() {
            Some(self.all.slower().p[self.index])
        } else if -log >= threshold.ln_1p() {
            Some(self.all.faster().p[self.index])
        } else {
            None
        }
    }

    /// Slower or faster, if it is by at least the threshold and by more than chance.
    pub fn found(&self, threshold: f64) -> Option<Finding> {
        let beyond_chance = self.p(threshold)? <= self.all.alpha;
        match beyond_chance {
            true if self.effect().share > 0.0 => Some(Finding::Regressed),
            true => Some(Finding::Improved),
            false => None,
        }
    }

    /// Standard deviation from pair to pair.
    pub fn spread(&self) -> f64 {
        let values = self.values();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
    }

    /// The minimum detectable effect: the slowdown that would have been found nine times in ten, given this spread and
    /// normal values. It has to pass the test, and its estimate to reach the threshold (a median's standard error is
    /// sqrt(pi / 2) times a mean's).
    pub fn mde(&self, threshold: f64) -> f64 {
        let spread = self.spread();
        if spread < NEGLIGIBLE {
            return threshold;
        }
        let by_test = self.all.margin + self.all.detectable_shift() * spread;
        let standard_error =
            std::f64::consts::FRAC_PI_2.sqrt() * spread / (self.values().len() as f64).sqrt();
        let by_estimate = threshold.ln_1p() + Normal::standard().inverse_cdf(POWER) * standard_error;
        by_test.max(by_estimate).exp_m1()
    }
}
