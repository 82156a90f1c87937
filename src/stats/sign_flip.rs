//! An exact test that several things measured in the same pairs are all at most 0.
//!
//! If a pair's values are symmetric about 0, their sign is a coin's, so every pattern of signs over the pairs is
//! equally likely. Up to 20 pairs all patterns are tried; beyond, 99,999 seeded random ones, with which the test is
//! exact too, as the observed signs are one more draw (Phipson and Smyth, Permutation P-values Should Never Be Zero,
//! 2010). Signs flip for all things of a pair at once, which keeps their dependence, and each thing is held against the
//! largest statistic of any, so that one error rate covers them together (Fisher, The Design of Experiments, section 21;
//! Westfall and Young, Resampling-Based Multiple Testing, section 2.3).

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, RngExt, SeedableRng};
use statrs::distribution::{ContinuousCDF, Normal};

/// Most pairs that are tried exhaustively: 2^20 patterns take some tens of milliseconds.
pub const EXHAUSTIVE_PAIRS: usize = 20;
/// Number of random patterns beyond that. With the observed one they are 100,000, so that the smallest p is 1 in 100,000.
const RANDOM_PATTERNS: usize = 99_999;

/// Tests that are simulated to find the power: a power of 90 % then has a standard error of 2 %.
const POWER_DRAWS: usize = 200;
/// Standard deviations beyond which all normal values are positive, to all intents: one in 10^15 is not.
const LARGEST_SHIFT: f64 = 8.0;
/// How often the range of shifts, 16 standard deviations, is halved: down to a thousandth of one.
const HALVINGS: usize = 14;

/// Statistics closer than this count as equal: sums of the same numbers in another order differ in their last digits.
const TIE: f64 = 1e-9;

/// The largest statistic of any thing, for many patterns of signs.
#[derive(Debug, Clone, PartialEq)]
pub struct SignFlip {
    largest: Vec<f64>,
    /// Number of patterns that count beside those in `largest`: the observed one, where patterns are random.
    beside: usize,
    /// For each thing, how often chance alone makes any thing's statistic as large as this thing's.
    pub p: Vec<f64>,
}

/// The smallest p that so many pairs can show.
pub fn smallest_p(pairs: usize) -> f64 {
    if pairs <= EXHAUSTIVE_PAIRS { 0.5_f64.powi(pairs as i32) } else { 1.0 / (1 + RANDOM_PATTERNS) as f64 }
}

/// Tests `things`, each a list of as many values as there are pairs. `seed` is that of random patterns. `None` where
/// there are no values, or not as many for each thing.
pub fn sign_flip_max(things: &[Vec<f64>], seed: u64) -> Option<SignFlip> {
    let pairs = things.first()?.len();
    if pairs == 0 || things.iter().any(|values| values.len() != pairs) {
        return None;
    }
    let scaled: Vec<Vec<f64>> = things.iter().map(|values| scaled(values)).collect();
    // All patterns include the observed one; random ones do not, so it is counted beside them.
    let (largest, beside) = if pairs <= EXHAUSTIVE_PAIRS {
        (of_all_patterns(scaled, pairs), 0)
    } else {
        (of_random_patterns(&scaled, pairs, seed), 1)
    };
    let mut tested = SignFlip { largest, beside, p: Vec::new() };
    tested.p = things.iter().map(|values| tested.share_reaching(statistic(values))).collect();
    Some(tested)
}

impl SignFlip {
    /// The share of patterns in which some thing's statistic reaches `least`.
    fn share_reaching(&self, least: f64) -> f64 {
        let reaching = self.largest.iter().filter(|largest| **largest >= least - TIE).count();
        (reaching + self.beside) as f64 / (self.largest.len() + self.beside) as f64
    }

    /// The statistic that a thing must reach for p to be at most `alpha`; infinite where none does.
    pub fn critical(&self, alpha: f64) -> f64 {
        let all = self.largest.len() + self.beside;
        // The product may come out just below the whole number that it is.
        let allowed = (alpha * all as f64 + TIE) as usize;
        // The observed pattern alone is more than `alpha` of all.
        if allowed <= self.beside {
            return f64::INFINITY;
        }
        let mut largest = self.largest.clone();
        let rank = allowed - self.beside;
        let (_, critical, _) = largest.select_nth_unstable_by(rank - 1, |a, b| b.total_cmp(a));
        let critical = *critical;
        if self.share_reaching(critical) <= alpha {
            return critical;
        }
        // Several patterns share this value: only what lies above it is rare enough.
        let above = self.largest.iter().copied().filter(|value| *value > critical + TIE);
        above.fold(f64::INFINITY, f64::min)
    }
}

/// Sum of the signed ranks over the root of the sum of their squares: at most sqrt(n), and 0 where all values are 0.
///
/// A value counts by the rank of its size among the sizes, not by its size (Wilcoxon, Individual Comparisons by Ranking
/// Methods, 1945): a single pair that went wrong by a factor of ten counts as the largest, not as ten. With normal values
/// that costs a twentieth of the pairs.
fn statistic(values: &[f64]) -> f64 {
    scaled(values).iter().sum()
}

fn scaled(values: &[f64]) -> Vec<f64> {
    let ranks = signed_ranks(values);
    // Scaled, so that things with ties and zeros can be compared with others.
    let norm = ranks.iter().map(|x| x * x).sum::<f64>().sqrt();
    if norm == 0.0 {
        return ranks;
    }
    ranks.iter().map(|x| x / norm).collect()
}

/// For each value the rank of its size among those that are not 0, with its sign. Values of one size share the mean of
/// their ranks; 0 stays 0.
fn signed_ranks(values: &[f64]) -> Vec<f64> {
    let mut sizes: Vec<f64> = values.iter().map(|x| x.abs()).filter(|size| *size > 0.0).collect();
    sizes.sort_by(f64::total_cmp);
    let mut ranks = Vec::with_capacity(values.len());
    for value in values {
        let smaller = sizes.partition_point(|size| *size < value.abs());
        let not_larger = sizes.partition_point(|size| *size <= value.abs());
        let mean_rank = (smaller + 1 + not_larger) as f64 / 2.0;
        ranks.push(if *value == 0.0 { 0.0 } else { mean_rank.copysign(*value) });
    }
    ranks
}

/// By how many standard deviations normal values have to lie above 0 so that their statistic reaches `critical` with a
/// probability of `power`. Infinite where no values reach it.
///
/// Simulated, as formulas for the power of a test on ranks are far off with ten pairs.
pub fn detectable_shift(pairs: usize, critical: f64, power: f64) -> f64 {
    if statistic(&vec![1.0; pairs]) < critical - TIE {
        return f64::INFINITY;
    }
    let normal = Normal::standard();
    // Seeded, so that a report computed again is the same.
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(pairs as u64);
    // One simulation gives the power for every shift: the share of samples that need no larger one.
    let mut shifts = Vec::with_capacity(POWER_DRAWS);
    for _ in 0..POWER_DRAWS {
        let noise: Vec<f64> = (0..pairs).map(|_| normal.inverse_cdf(rng.random())).collect();
        shifts.push(shift_reaching(critical, &noise));
    }
    shifts.sort_by(f64::total_cmp);
    let enough = (power * POWER_DRAWS as f64).ceil() as usize;
    shifts[enough.clamp(1, POWER_DRAWS) - 1]
}

/// The smallest shift with which these values reach the statistic `critical`: found by halving, as the statistic never
/// falls when all values rise.
fn shift_reaching(critical: f64, noise: &[f64]) -> f64 {
    let mut too_small = -LARGEST_SHIFT;
    let mut enough = LARGEST_SHIFT;
    for _ in 0..HALVINGS {
        let shift = f64::midpoint(too_small, enough);
        let shifted: Vec<f64> = noise.iter().map(|value| value + shift).collect();
        if statistic(&shifted) >= critical - TIE {
            enough = shift;
        } else {
            too_small = shift;
        }
    }
    enough
}

/// The largest of these statistics.
fn maximum(sums: &[f64]) -> f64 {
    sums.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// The largest statistic of each of the 2^pairs patterns, in the order of the Gray code: one sign changes at a time.
fn of_all_patterns(mut scaled: Vec<Vec<f64>>, pairs: usize) -> Vec<f64> {
    let mut sums: Vec<f64> = scaled.iter().map(|values| values.iter().sum()).collect();
    let mut all = Vec::with_capacity(1 << pairs);
    all.push(maximum(&sums));
    for pattern in 1_u64..1 << pairs {
        // The bit in which one number of the Gray code differs from the last. The value itself is turned round, so that
        // the next flip of it goes the other way.
        let flipped = pattern.trailing_zeros() as usize;
        for (sum, values) in sums.iter_mut().zip(&mut scaled) {
            *sum -= 2.0 * values[flipped];
            values[flipped] = -values[flipped];
        }
        all.push(maximum(&sums));
    }
    all
}

/// The largest statistic of each of many random patterns.
fn of_random_patterns(scaled: &[Vec<f64>], pairs: usize, seed: u64) -> Vec<f64> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut all = Vec::with_capacity(RANDOM_PATTERNS);
    let mut signs = vec![1.0; pairs];
    for _ in 0..RANDOM_PATTERNS {
        // A random number has signs for 64 pairs.
        for chunk in signs.chunks_mut(u64::BITS as usize) {
            let mut bits = rng.next_u64();
            for sign in chunk {
                *sign = if bits & 1 == 0 { 1.0 } else { -1.0 };
                bits >>= 1;
            }
        }
        // The same signs for all things: what happened to a pair happened to all of them.
        let mut largest = f64::NEG_INFINITY;
        for values in scaled {
            let sum: f64 = values.iter().zip(&signs).map(|(value, sign)| value * sign).sum();
            largest = largest.max(sum);
        }
        all.push(largest);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(things: &[Vec<f64>]) -> Vec<f64> {
        sign_flip_max(things, 1).expect("has a shape").p
    }

    #[test]
    fn ranks_by_hand() {
        // Sizes 0.5, 2, 2 and 70: the two of size 2 share the ranks 2 and 3.
        assert_eq!(signed_ranks(&[0.5, -2.0, 0.0, 2.0, 70.0]), [1.0, -2.5, 0.0, 2.5, 4.0]);
    }

    #[test]
    fn one_value_that_went_wrong_spoils_nothing() {
        let mut values = vec![1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9];
        values[0] = -100.0;
        // It has rank 10 of 10. What its sign alone takes away can be had by the other ranks, too: of the 1,024 sets of
        // ranks that may be negative those with a sum of at most 10, of which there are 43 (partitions into distinct parts).
        assert_eq!(p(&[values]), [43.0 / 1024.0]);
    }

    #[test]
    fn three_pairs_by_hand() {
        // Of the 8 patterns of +-1 +-2 +-3, those with a sum of 6: one; of 4 and more: two.
        assert_eq!(p(&[vec![1.0, 2.0, 3.0]]), [1.0 / 8.0]);
        assert_eq!(p(&[vec![-1.0, 2.0, 3.0]]), [2.0 / 8.0]);
        assert_eq!(p(&[vec![-1.0, -2.0, -3.0]]), [1.0]);
    }

    #[test]
    fn a_second_thing_costs_what_its_own_chance_is() {
        // The first reaches sqrt(3) with all signs as they are, one pattern of 8. The second is its mirror image and
        // reaches that with all signs flipped, so together it is two patterns of 8.
        let alone = p(&[vec![1.0, 1.0, 1.0]])[0];
        let together = p(&[vec![1.0, 1.0, 1.0], vec![-1.0, -1.0, -1.0]]);
        assert_eq!((alone, together[0], together[1]), (1.0 / 8.0, 2.0 / 8.0, 1.0));
    }

    #[test]
    fn a_shift_that_is_detectable_is_detected_as_often_as_it_says() {
        for pairs in [10, 20] {
            let critical = sign_flip_max(&[(1..=pairs).map(f64::from).collect()], 1)
                .expect("has a shape")
                .critical(0.005);
            let shift = detectable_shift(pairs as usize, critical, 0.9);
            let normal = Normal::standard();
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(99);
            let mut detected = 0;
            for _ in 0..1_000 {
                let values: Vec<f64> = (0..pairs).map(|_| shift + normal.inverse_cdf(rng.random())).collect();
                detected += usize::from(statistic(&values) >= critical - TIE);
            }
            // 900 expected; the shift is known to 2 % of power, and so is what it detects.
            assert!((840..=960).contains(&detected), "{pairs} pairs, a shift of {shift}: {detected}");
        }
        assert_eq!(detectable_shift(5, f64::INFINITY, 0.9), f64::INFINITY);
    }

    #[test]
    fn nothing_measured_is_nothing_found() {
        assert_eq!(p(&[vec![0.0; 10]]), [1.0]);
        assert_eq!(sign_flip_max(&[], 1), None);
        assert_eq!(sign_flip_max(&[vec![]], 1), None);
        assert_eq!(sign_flip_max(&[vec![1.0], vec![1.0, 2.0]], 1), None);
    }

    #[test]
    fn beyond_twenty_pairs_random_patterns_say_the_same() {
        // The same ten values, followed by fifteen zeros in the second: those change no pattern's sum.
        let values: Vec<f64> = (0..10).map(|i| f64::from(i) - 3.0).collect();
        let exact = p(std::slice::from_ref(&values))[0];
        let padded = [values, vec![0.0; 15]].concat();
        let random = p(std::slice::from_ref(&padded))[0];
        // 99,999 draws: the standard error of a p of 8 % is 0.09 %.
        assert!((exact - random).abs() < 0.004, "{exact} {random}");
        assert_eq!(random, p(&[padded])[0], "the seed decides");
        assert_eq!(p(&[vec![1.0; 40]])[0], 1.0 / 100_000.0);
        assert_eq!((smallest_p(10), smallest_p(40)), (1.0 / 1024.0, 1.0 / 100_000.0));
    }

    #[test]
    fn the_critical_value_is_where_p_meets_the_rate() {
        let mut values: Vec<f64> = (0..10).map(|i| 1.0 + f64::from(i) / 10.0).collect();
        for negative in 0..6 {
            let tested = sign_flip_max(&[values.clone()], 1).expect("has a shape");
            let reached = statistic(&values) >= tested.critical(0.05) - TIE;
            assert_eq!(reached, tested.p[0] <= 0.05, "{negative} negative: {tested:?}");
            values[negative] *= -1.0;
        }
        // All of one size: 1 pattern of 8 reaches 3, and 4 of 8 reach 1; in between lies nothing.
        let alike = sign_flip_max(&[vec![1.0; 3]], 1).expect("has a shape");
        assert_eq!(alike.critical(0.05), f64::INFINITY);
        assert!((alike.critical(0.3) - 3.0_f64.sqrt()).abs() < 1e-9);
    }

    #[test]
    fn noise_alone_reaches_the_rate_as_often_as_it_says() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let found = (0..2000)
            .filter(|_| {
                // Three things that share half of their noise.
                let shared: Vec<f64> = (0..10).map(|_| rng.random_range(-1.0..1.0)).collect();
                let things: Vec<Vec<f64>> = (0..3)
                    .map(|_| shared.iter().map(|s| s + rng.random_range(-1.0..1.0)).collect())
                    .collect();
                p(&things).iter().any(|p| *p <= 0.05)
            })
            .count();
        // 100 expected, standard deviation 9.7.
        assert!((70..=130).contains(&found), "{found}");
    }
}
