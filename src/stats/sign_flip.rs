//! An exact test that several things measured in the same pairs are all at most 0.
//!
//! If a pair's values are symmetric about 0, their sign is a coin's, so every pattern of signs over the pairs is
//! equally likely; all of them are tried. Signs flip for all things of a pair at once, which keeps their dependence,
//! and each thing is held against the largest statistic of any, so that one error rate covers them together (Fisher,
//! The Design of Experiments, section 21; Westfall and Young, Resampling-Based Multiple Testing, section 2.3).

/// Most pairs that are tried exhaustively: 2^20 patterns take some tens of milliseconds.
pub const MAX_PAIRS: usize = 20;

/// Two statistics closer than this are the same: sums of the same numbers in another order differ in the last digits.
const TIE: f64 = 1e-9;

/// What the test says.
#[derive(Debug, Clone, PartialEq)]
pub struct SignFlip {
    /// For each thing, the share of sign patterns whose largest statistic reaches this thing's.
    pub p: Vec<f64>,
    /// The statistic that a thing must reach for `p` to be at most the rate asked for; see [`statistic`].
    pub critical: f64,
}

/// Tests `things`, each a list of as many values as there are pairs (the same number, from 1 to [`MAX_PAIRS`]), at
/// `rate`. Nothing for another shape.
pub fn sign_flip_max(things: &[Vec<f64>], rate: f64) -> Option<SignFlip> {
    let pairs = things.first()?.len();
    if pairs == 0 || pairs > MAX_PAIRS || things.iter().any(|values| values.len() != pairs) {
        return None;
    }
    let observed: Vec<f64> = things.iter().map(|values| statistic(values)).collect();
    let mut largest = largest_statistics(things, pairs);
    largest.sort_by(f64::total_cmp);
    let share = |least: f64| {
        let below = largest.partition_point(|value| *value < least - TIE);
        (largest.len() - below) as f64 / largest.len() as f64
    };
    let p = observed.iter().map(|&value| share(value)).collect();
    let critical = largest.iter().copied().find(|&value| share(value) <= rate).unwrap_or(f64::INFINITY);
    Some(SignFlip { p, critical })
}

/// Sum over root of the sum of squares: Student's t in a form whose divisor no flip changes.
/// With n values t = T * sqrt((n - 1) / (n - T^2)). At most sqrt(n); 0 where all values are 0.
pub fn statistic(values: &[f64]) -> f64 {
    let norm = norm(values);
    if norm == 0.0 { 0.0 } else { values.iter().sum::<f64>() / norm }
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// The largest statistic of each of the 2^pairs patterns, in the order of the Gray code: one sign changes at a time.
fn largest_statistics(things: &[Vec<f64>], pairs: usize) -> Vec<f64> {
    let mut scaled: Vec<Vec<f64>> = things
        .iter()
        .map(|values| {
            let norm = norm(values);
            values.iter().map(|x| if norm == 0.0 { 0.0 } else { x / norm }).collect()
        })
        .collect();
    let mut sums: Vec<f64> = scaled.iter().map(|values| values.iter().sum()).collect();
    let largest = |sums: &[f64]| sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut all = Vec::with_capacity(1 << pairs);
    all.push(largest(&sums));
    for pattern in 1_u64..1 << pairs {
        let flipped = pattern.trailing_zeros() as usize;
        for (sum, values) in sums.iter_mut().zip(&mut scaled) {
            *sum -= 2.0 * values[flipped];
            values[flipped] = -values[flipped];
        }
        all.push(largest(&sums));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(things: &[Vec<f64>]) -> Vec<f64> {
        sign_flip_max(things, 0.005).expect("has a shape").p
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
        assert_eq!(sign_flip_max(&[], 0.005), None);
        assert_eq!(sign_flip_max(&[vec![]], 0.005), None);
        assert_eq!(sign_flip_max(&[vec![1.0], vec![1.0, 2.0]], 0.005), None);
        assert_eq!(sign_flip_max(&[vec![1.0; MAX_PAIRS + 1]], 0.005), None);
    }

    #[test]
    fn the_critical_value_is_where_p_meets_the_rate() {
        let mut values: Vec<f64> = (0..10).map(|i| 1.0 + f64::from(i) / 10.0).collect();
        for negative in 0..6 {
            let tested = sign_flip_max(&[values.clone()], 0.05).expect("has a shape");
            let reached = statistic(&values) >= tested.critical - TIE;
            assert_eq!(reached, tested.p[0] <= 0.05, "{negative} negative: {tested:?}");
            values[negative] *= -1.0;
        }
        assert_eq!(sign_flip_max(&[vec![1.0; 3]], 0.05).expect("has a shape").critical, f64::INFINITY);
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
