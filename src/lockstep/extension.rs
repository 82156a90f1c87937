//! Whether a session needs more pairs, by a rule that does not know which arm was slower.
//!
//! A rule that looked at the direction of effects would stop at lucky moments and double the false alarms. This one sees
//! only how far each pair's value lies from the margin, |x - margin|. The test flips the signs of exactly these distances,
//! so whatever is decided by them leaves the test exact (Kieser and Friede, Statistics in Medicine 22, 2003, on blinded
//! sample size reestimation; here for a sign-flip test, where it holds without any approximation).

use statrs::distribution::{Binomial, DiscreteCDF};

use super::compared::pair_effects;
use super::plan::passes_below;
use super::record::{CaseRecord, Compared};
use crate::stats::quantile_ranks;

/// A case needs more pairs if it would be undecided with a higher probability than this, were its signs tossed by a
/// coin.
const UNDECIDED: f64 = 0.10;
/// A case whose distances have a mean of so many standard deviations is clearly on one side of the margin, whichever
/// that is.
// Distances of normal noise around the margin itself have 1.3: sqrt(2 / pi) over sqrt(1 - 2 / pi), the mean over the
// standard deviation of the half-normal distribution.
const CLEAR: f64 = 2.0;

/// Whether any case could come out undecided, seen blindly. `margin` is a share of 1.
pub fn needs_more_pairs(cases: &[CaseRecord], margin: f64) -> bool {
    for case in cases.iter().filter(|case| !case.too_slow) {
        let values = pair_effects(case, Compared::Head).expect("every pair has a block");
        if is_undecided(&values, case.threshold, margin) {
            return true;
        }
    }
    false
}

/// Whether a case with these values could come out undecided. Only their distances from the margin are used.
fn is_undecided(values: &[f64], threshold: f64, margin: f64) -> bool {
    // From here on nothing may depend on the side of the margin on which a value lies.
    let center = margin.ln_1p();
    let distances: Vec<f64> = values.iter().map(|value| (value - center).abs()).collect();

    // The upper end of the effect's interval is the value of this rank. So many values may lie beyond what cannot pass,
    // and the case still passes.
    let n = distances.len() as u64;
    let Some(rank) = quantile_ranks(n, 0.5, 0.95).and_then(|ranks| ranks.upper) else { return true };
    let allowed = n - rank;

    // Which of the far values lie above the margin is not looked at: a coin decides it for each.
    let reach = passes_below(threshold).ln_1p() - center;
    let far = distances.iter().filter(|distance| **distance >= reach).count() as u64;
    let upwards = Binomial::new(0.5, far).expect("a coin has a binomial distribution");
    // A large effect, of a slower or a faster head, leaves all values far away, and yet needs no more pairs.
    1.0 - upwards.cdf(allowed) > UNDECIDED && !is_clear(&distances)
}

/// Whether the distances are large against their own spread.
fn is_clear(distances: &[f64]) -> bool {
    let n = distances.len() as f64;
    let mean = distances.iter().sum::<f64>() / n;
    let squares: f64 = distances.iter().map(|distance| (distance - mean).powi(2)).sum();
    mean > CLEAR * (squares / (n - 1.0)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undecided(values: Vec<f64>) -> bool {
        is_undecided(&values, 0.02, 0.01)
    }

    /// Twenty values, from ten steps below 0 to nine above.
    fn noise(step: f64) -> Vec<f64> {
        (0..20).map(|i| step * f64::from(i - 10)).collect()
    }

    /// `n` values, so many of which are 10 % and the others 0.
    fn with_outliers(count: usize, n: usize) -> Vec<f64> {
        let mut values = vec![0.0; n];
        values[..count].fill(0.1);
        values
    }

    /// Twenty values from an effect to 0.8 % above it.
    fn around(effect: f64) -> Vec<f64> {
        (0..20).map(|i| effect + f64::from(i % 5) * 0.002).collect()
    }

    #[test]
    fn a_quiet_case_needs_no_more_and_a_noisy_one_does() {
        // From -2 to +2 %, and from -10 to +9 %.
        assert!(!undecided(noise(0.002)));
        assert!(undecided(noise(0.01)));
    }

    #[test]
    fn seven_of_twenty_values_may_lie_beyond_what_cannot_pass() {
        // The upper end of the interval of a median of 20 is the 15th value, so five may lie beyond. Of seven coins six
        // or seven come up heads in 8 of 128 throws, of eight at least six in 37 of 256.
        assert!(!undecided(with_outliers(7, 20)));
        assert!(undecided(with_outliers(8, 20)));
        // Of 40 it is the 27th, and 14 of 22 coins are heads in 14.3 % of throws, of 21 in 9.5 %.
        assert!(!undecided(with_outliers(21, 40)));
        assert!(undecided(with_outliers(22, 40)));
    }

    #[test]
    fn a_case_that_is_clearly_slower_or_faster_needs_no_more() {
        // The mean distance from the margin is large against its spread of 0.3 %.
        assert!(!undecided(around(0.10)));
        assert!(!undecided(around(-0.10)));
    }

    #[test]
    fn it_makes_no_difference_on_which_side_of_the_margin_values_lie() {
        let values: Vec<f64> = (0..20).map(|i| 0.003 * f64::from(i)).collect();
        let center = 0.01_f64.ln_1p();
        for flipped in 0..20 {
            let mut mirrored = values.clone();
            mirrored[flipped] = 2.0 * center - mirrored[flipped];
            assert_eq!(undecided(values.clone()), undecided(mirrored), "{flipped}");
        }
    }
}
