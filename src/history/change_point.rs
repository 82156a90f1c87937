//! Points at which a series changes its level: advice, and no verdict.
//!
//! A series is split where the ranks before and behind differ most, if chance alone would hardly make them differ as much
//! anywhere (the statistic is Pettitt's, A Non-Parametric Approach to the Change-Point Problem, Applied Statistics 28, 1979,
//! divided by its standard deviation, so that a change near an end counts as much as one in the middle). Both parts are then
//! looked at likewise (binary segmentation: Scott and Knott, Biometrics 30, 1974). How often chance does so is counted over
//! seeded random orders of the same values, the observed one among them (Phipson and Smyth, Permutation P-values Should Never
//! Be Zero, 2010): for values that do not depend on their order the test is exact, whatever their distribution, and ranks
//! keep a single wild value from looking like a change.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use crate::stats::median;

/// Fewest values on each side of a change: with ten values, 2 of the 252 ways to split them in halves are as clear as can be,
/// which is below one percent.
const FEWEST: usize = 5;
/// Random orders that are tried. With the observed one they are 2,000, so that p is known to a twentieth of a percent.
const ORDERS: usize = 1_999;
/// Statistics closer than this count as equal: sums of the same numbers in another order differ in their last digits.
const TIE: f64 = 1e-9;

/// A change of level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ChangePoint {
    /// The first value of the new level, counted from 0.
    pub at: usize,
    /// Median of the values from the change before to this one.
    pub before: f64,
    /// Median of the values from this one to the next.
    pub after: f64,
    /// How often chance alone makes a series look as changed.
    pub p: f64,
}

/// The place of a split, and how far apart both sides are.
#[derive(Debug, Clone, Copy)]
struct Split {
    at: usize,
    size: f64,
}

/// A split that chance hardly makes.
#[derive(Debug, Clone, Copy)]
struct FoundSplit {
    at: usize,
    p: f64,
}

/// The changes in a series, in their order. A series without any has one found with a probability of `alpha` at most.
pub(crate) fn change_points(values: &[f64], alpha: f64, seed: u64) -> Vec<ChangePoint> {
    with_orders(values, alpha, seed, ORDERS)
}

fn with_orders(values: &[f64], alpha: f64, seed: u64, orders: usize) -> Vec<ChangePoint> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut found: Vec<FoundSplit> = Vec::new();
    // Parts that have not been looked at yet: the whole series first, then what lies on both sides of a change.
    let whole = 0..values.len();
    let mut parts = vec![whole];
    while let Some(part) = parts.pop() {
        let Some(split) = significant_split(&values[part.clone()], alpha, orders, &mut rng) else { continue };
        let at = part.start + split.at;
        found.push(FoundSplit { at, p: split.p });
        parts.push(part.start..at);
        parts.push(at..part.end);
    }
    found.sort_by_key(|split| split.at);
    described(values, &found)
}

/// Adds the levels on both sides of each change.
fn described(values: &[f64], found: &[FoundSplit]) -> Vec<ChangePoint> {
    let mut changes = Vec::new();
    let mut begins = 0;
    for (number, FoundSplit { at, p }) in found.iter().enumerate() {
        let ends = found.get(number + 1).map_or(values.len(), |next| next.at);
        let before = median(values[begins..*at].to_vec()).expect("a part has values");
        let after = median(values[*at..ends].to_vec()).expect("a part has values");
        changes.push(ChangePoint { at: *at, before, after, p: *p });
        begins = *at;
    }
    changes
}

/// The clearest split of these values, if at most a share `alpha` of random orders has one as clear.
fn significant_split(
    values: &[f64],
    alpha: f64,
    orders: usize,
    rng: &mut Xoshiro256PlusPlus,
) -> Option<FoundSplit> {
    let mut ranks = ranks(values);
    let split = clearest_split(&ranks)?;
    // The observed order counts as one of them.
    let allowed = (alpha * (orders + 1) as f64 + TIE) as usize;
    let mut as_clear = 1;
    for _ in 0..orders {
        shuffle(&mut ranks, rng);
        let of_chance = clearest_split(&ranks).map_or(0.0, |split| split.size);
        if of_chance >= split.size - TIE {
            as_clear += 1;
        }
        // No further order can make it rare again.
        if as_clear > allowed {
            return None;
        }
    }
    Some(FoundSplit { at: split.at, p: as_clear as f64 / (orders + 1) as f64 })
}

/// Where the ranks on both sides differ most, as a multiple of what they differ by chance (but for a factor that is the same
/// for every order of these ranks). Nothing where there are too few, or all are equal.
fn clearest_split(ranks: &[f64]) -> Option<Split> {
    let n = ranks.len();
    let mean = (n + 1) as f64 / 2.0;
    let mut sum = 0.0;
    let mut clearest: Option<Split> = None;
    for at in 1..n {
        // The sum of the ranks before the split, less what it is on average.
        sum += ranks[at - 1] - mean;
        if at < FEWEST || n - at < FEWEST {
            continue;
        }
        let size = sum.abs() / ((at * (n - at)) as f64).sqrt();
        if size > TIE && clearest.is_none_or(|known| size > known.size + TIE) {
            clearest = Some(Split { at, size });
        }
    }
    clearest
}

/// The rank of each value, counted from 1. Equal values share the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut ranks = Vec::with_capacity(values.len());
    for value in values {
        let smaller = sorted.partition_point(|other| other < value);
        let not_larger = sorted.partition_point(|other| other <= value);
        ranks.push((smaller + 1 + not_larger) as f64 / 2.0);
    }
    ranks
}

/// Puts values in a random order (Fisher and Yates).
fn shuffle(values: &mut [f64], rng: &mut Xoshiro256PlusPlus) {
    for last in (1..values.len()).rev() {
        values.swap(last, rng.random_range(0..=last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALPHA: f64 = 0.05;

    fn places(values: &[f64]) -> Vec<usize> {
        change_points(values, ALPHA, 1).iter().map(|change| change.at).collect()
    }

    /// Values of this level and up to 0.9 % above it, in an order that has no change: 0, 7, 4, 1, 8 tenths and so on.
    fn level(level: f64, count: usize) -> Vec<f64> {
        (0..count).map(|place| level * (1.0 + 0.001 * (7 * place % 10) as f64)).collect()
    }

    #[test]
    fn ranks_by_hand() {
        assert_eq!(ranks(&[5.0, 2.0, 9.0, 2.0]), [3.0, 1.5, 4.0, 1.5]);
    }

    #[test]
    fn a_split_by_hand() {
        // Ranks 1 to 10 in order: the first five add up to 15, where 27.5 is the mean. 12.5 over the root of 25 is 2.5.
        let ranks: Vec<f64> = (1..=10).map(f64::from).collect();
        let split = clearest_split(&ranks).expect("has one");
        assert_eq!((split.at, split.size), (5, 2.5));
        assert!(clearest_split(&ranks[..9]).is_none());
        assert!(clearest_split(&[5.5; 10]).is_none());
        // 2 of 252 ways to choose five of ten are as clear: p is 0.8 %.
        let change = change_points(&ranks, ALPHA, 1).remove(0);
        assert!((0.003..0.015).contains(&change.p), "{change:?}");
        assert_eq!((change.at, change.before, change.after), (5, 3.0, 8.0));
    }

    #[test]
    fn a_step_is_found_where_it_is() {
        let values = [level(1.0, 40), level(1.03, 40)].concat();
        let changes = change_points(&values, ALPHA, 1);
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert_eq!(changes[0].at, 40);
        assert!((changes[0].after / changes[0].before - 1.03).abs() < 1e-9, "{changes:?}");
        // Up, and down again.
        let values = [values, level(1.0, 40)].concat();
        assert_eq!(places(&values), [40, 80]);
    }

    #[test]
    fn a_single_wild_value_is_no_change() {
        let mut values = level(1.0, 30);
        assert_eq!(places(&values), Vec::<usize>::new());
        values[15] = 50.0;
        assert_eq!(places(&values), Vec::<usize>::new());
    }

    #[test]
    fn few_values_and_equal_ones_have_no_change() {
        assert_eq!(places(&[]), Vec::<usize>::new());
        assert_eq!(places(&[1.0, 1.0, 1.0, 1.0, 9.0, 9.0, 9.0, 9.0]), Vec::<usize>::new());
        assert_eq!(places(&[0.01; 50]), Vec::<usize>::new());
    }

    #[test]
    fn constant_noise_changes_in_one_series_of_twenty_at_most() {
        let mut false_alarms = 0;
        for seed in 0..400 {
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
            // Skewed, as times are: most values are short, and some are long.
            let values: Vec<f64> = (0..40).map(|_| (3.0 * rng.random::<f64>()).exp()).collect();
            false_alarms += usize::from(!with_orders(&values, ALPHA, seed, 199).is_empty());
        }
        // 20 expected, with a standard deviation of 4.4.
        assert!((7..=33).contains(&false_alarms), "{false_alarms} of 400");
    }

    #[test]
    fn the_seed_decides() {
        let values = [level(1.0, 20), level(1.005, 20)].concat();
        assert_eq!(change_points(&values, ALPHA, 1), change_points(&values, ALPHA, 1));
    }
}
