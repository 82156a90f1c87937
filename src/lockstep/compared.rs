//! One arm of a session against the base: an effect for each case, and whether it is more than chance.

use std::cell::OnceCell;

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

use super::finding::Finding;
use super::plan::Plan;
use super::record::{CaseRecord, Compared};
use crate::stats::{SignFlip, detectable_shift, median, median_effect, quantile_ranks, sign_flip_max};
use crate::units::change;

/// Probability with which a slowdown of the minimum detectable effect is found.
// The output (print.rs) says it in words: nine times in ten.
const POWER: f64 = 0.9;

/// A spread below this is a rounding error.
const NEGLIGIBLE: f64 = 1e-12;

/// A share with its confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// By what share slower than the base; below 0, faster. Median over pairs.
    pub share: f64,
    /// Lower end, an order statistic over pairs.
    pub lower: Option<f64>,
    /// Upper end, likewise.
    pub upper: Option<f64>,
    /// How often such an interval covers the true effect: 0.95 or more.
    pub coverage: Option<f64>,
}

impl Effect {
    /// It, for people.
    pub(super) fn with_interval(self) -> String {
        let lower = end_of_interval(self.lower);
        let upper = end_of_interval(self.upper);
        format!("{} [{lower}, {upper}]", change(self.share))
    }

    /// Both ends, where there are enough pairs for them.
    pub(super) fn interval(self) -> Option<[f64; 2]> {
        Some([self.lower?, self.upper?])
    }
}

/// One end of an interval, which is missing where there are too few pairs for one.
pub(super) fn end_of_interval(end: Option<f64>) -> String {
    end.map_or_else(|| "-".to_owned(), change)
}

/// One arm against the base, in every case.
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
        // The signs of a pair are flipped for all cases at once, so each case needs a value of every pair.
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
            // The critical value is that of all cases together, so one case needs a larger shift where there are more
            // of them.
            let critical = self.slower().critical(self.alpha);
            detectable_shift(self.values[0].len(), critical, POWER)
        })
    }

    fn test(&self, direction: f64) -> SignFlip {
        // The margin is taken off after mirroring: the test for "faster" asks for more than the margin, too.
        let mut beyond = Vec::new();
        for case in &self.values {
            beyond.push(case.iter().map(|value| direction * value - self.margin).collect());
        }
        sign_flip_max(&beyond, self.seed).expect("every case has as many values")
    }
}

/// The value of each pair: the median of its blocks' log ratios. Nothing where a pair has no blocks.
pub fn pair_effects(case: &CaseRecord, of: Compared) -> Option<Vec<f64>> {
    let mut values = Vec::new();
    for pair in &case.pairs {
        values.push(median(pair.blocks.iter().map(|block| block.log_ratio(of)).collect())?);
    }
    Some(values)
}

/// One case of a comparison.
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
        // The same ranks as in `median_effect`, for the coverage alone: ranks are whole numbers, so it is above 95 %.
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
        if !beyond_chance {
            return None;
        }
        if self.effect().share > 0.0 { Some(Finding::Regressed) } else { Some(Finding::Improved) }
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
        // Values that are counts may not vary at all. Then every slowdown of at least the threshold is found.
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

/// One case in all three comparisons with the base.
pub struct OneCaseArms<'a> {
    /// The change.
    pub head: OneCase<'a>,
    /// The A/A control.
    pub control: OneCase<'a>,
    /// The positive control.
    pub positive: OneCase<'a>,
}
