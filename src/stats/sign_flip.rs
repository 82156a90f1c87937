//! An exact test that several things measured in the same pairs are all at most 0.
//!
//! If a pair's values are symmetric about 0, their sign is a coin's, so every pattern of signs over the pairs is
//! equally likely. Up to 20 pairs all patterns are tried; beyond, 99,999 seeded random ones, with which the test is
//! exact too, as the observed signs are one more draw (Phipson and Smyth, Permutation P-values Should Never Be Zero,
//! 2010). Signs flip for all things of a pair at once, which keeps their dependence, and each thing is held against the
//! largest statistic of any, so that one error rate covers them together (Fisher, The Design of Experiments, section 21;
//! Westfall and Young, Resampling-Based Multiple Testing, section 2.3).

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

/// Most pairs that are tried exhaustively: 2^20 patterns take some tens of milliseconds.
pub const EXHAUSTIVE_PAIRS: usize = 20;
/// Random patterns beyond that: p is at least 1 in 100,000.
const RANDOM_PATTERNS: usize = 99_999;

/// Two statistics closer than this are the same: sums of the same numbers in another order differ in the last digits.
const TIE: f64 = 1e-9;

/// The largest statistic of any thing, for many patterns of signs.
#[derive(Debug, Clone, PartialEq)]
pub struct SignFlip {
    largest: Vec<f64>,
    /// Patterns that count as having been tried beside those in `largest`: the observed one, where patterns are random.
    beside: usize,
    /// For each thing, how often chance alone makes any thing's statistic as large as this thing's.
    pub p: Vec<f64>,
}

/// The smallest p that so many pairs can show.
pub fn smallest_p(pairs: usize) -> f64 {
    if pairs <= EXHAUSTIVE_PAIRS { 0.5_f64.powi(pairs as i32) } else { 1.0 / (1 + RANDOM_PATTERNS) as f64 }
}

/// Tests `things`, each a list of as many values as there are pairs. `seed` is that of random patterns. Nothing where
/// there are no values, or not as many for each thing.
pub fn sign_flip_max(things: &[Vec<f64>], seed: u64) -> Option<SignFlip> {
    let pairs = things.first()?.len();
    if pairs == 0 || things.iter().any(|values| values.len() != pairs) {
        return None;
    }
    let scaled: Vec<Vec<f64>> = things.iter().map(|values| scaled(values)).collect();
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

    /// The statistic that a thing must reach for p to be at most `alpha`; infinite where none does. See [`statistic`].
    pub fn critical(&self, alpha: f64) -> f64 {
        let all = self.largest.len() + self.beside;
        let allowed = (alpha * all as f64 + TIE) as usize;
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

/// Sum over root of the sum of squares: Student's t in a form whose divisor no flip changes.
/// With n values t = T * sqrt((n - 1) / (n - T^2)). At most sqrt(n); 0 where all values are 0.
pub fn statistic(values: &[f64]) -> f64 {
    scaled(values).iter().sum()
}

fn scaled(values: &[f64]) -> Vec<f64> {
    let norm = values.iter().map(|x| x * x).sum::<f64>().sqrt();
    if norm == 0.0 {
        return vec![0.0; values.len()];
    }
    values.iter().map(|x| x / norm).collect()
}

fn maximum(sums: &[f64]) -> f64 {
    sums.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// The largest statistic of each of the 2^pairs patterns, in the order of the Gray code: one sign changes at a time.
fn of_all_patterns(mut scaled: Vec<Vec<f64>>, pairs: usize) -> Vec<f64> {
    let mut sums: Vec<f64> = scaled.iter().map(|values| values.iter().sum()).collect();
    let mut all = Vec::with_capacity(1 << pairs);
    all.push(maximum(&sums));
    for pattern in 1_u64..1 << pairs {
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
        for chunk in signs.chunks_mut(u64::BITS as usize) {
            let mut bits = rng.next_u64();
            for sign in chunk {
                *sign = if bits & 1 == 0 { 1.0 } else { -1.0 };
                bits >>= 1;
            }
        }
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
    fn three_pairs_by_hand() {
        // Of the 8 patterns of +-1 +-2 +-3, those with a sum of 6: one; of 4 and more: two.
        assert_eq!(p(&[vec![1.0, 2.0, 3.0]]), [1.0 / 8.0]);
        assert_eq!(p(&[vec![-1.0, 2.0, 3.0]]), [2.0 / 8.0]);
        assert_eq!(p(&[vec![-1.0, -2.0, -3.0]]), [1.0]);
    }

    #[test]
    fn a_second_thing_costs_what_its_own_chance_is() {
        // All plus gives both sqrt(3) and 6 / sqrt(14); with the second thing's signs mirrored, the pattern that
        // makes it as large as the first is another one.
        let alone = p(&[vec![1.0, 1.0, 1.0]])[0];
        let together = p(&[vec![1.0, 1.0, 1.0], vec![-1.0, -1.0, -1.0]]);
        assert_eq!((alone, together[0], together[1]), (1.0 / 8.0, 2.0 / 8.0, 1.0));
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
        // The same ten values twice with ten zeros between: the zeros change no pattern's sum.
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
        use rand::rngs::Xoshiro256PlusPlus;
        use rand::{RngExt, SeedableRng};
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
