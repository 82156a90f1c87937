//! The slope of a series, which single wild points hardly move, with an exact interval.
//!
//! The estimate is the median of the slopes between all pairs of points (Theil, Proceedings of the Royal Netherlands Academy
//! of Sciences 53, 1950). The interval has all slopes that Kendall's test does not refute: a slope is refuted where too few
//! pairs of points, or too many, rise by less than it says (Sen, Journal of the American Statistical Association 63, 1968;
//! Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, 3rd ed., section 9.3). It is exact for points whose
//! deviations from a line do not depend on each other, whatever the deviations' distribution.

use serde::Serialize;

use super::paired::median;

/// A point of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// What is counted or set.
    pub x: f64,
    /// What is measured.
    pub y: f64,
}

/// A slope with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Slope {
    /// Median of the slopes of all pairs.
    pub estimate: f64,
    /// Lower end of the interval.
    pub lower: f64,
    /// Upper end of the interval.
    pub upper: f64,
    /// Probability that the interval covers the slope: at least what was asked for, as ranks are whole numbers.
    pub confidence: f64,
}

/// How many slopes lie outside of the interval at each end, and the confidence that this comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Excluded {
    slopes: usize,
    confidence: f64,
}

/// The slope of points in ascending order of x, with an interval of at least this confidence (between 0 and 1). `None` where
/// there are too few points for such an interval, or two with the same x.
pub fn theil_sen(points: &[Point], confidence: f64) -> Option<Slope> {
    let excluded = excluded(points.len(), confidence)?;
    let mut slopes = Vec::new();
    for (number, later) in points.iter().enumerate() {
        for earlier in &points[..number] {
            let run = later.x - earlier.x;
            if run <= 0.0 {
                return None;
            }
            slopes.push((later.y - earlier.y) / run);
        }
    }
    slopes.sort_by(f64::total_cmp);
    let lower = slopes[excluded.slopes];
    let upper = slopes[slopes.len() - 1 - excluded.slopes];
    Some(Slope { estimate: median(slopes)?, lower, upper, confidence: excluded.confidence })
}

/// The most slopes that can be left out at each end. `None` where not even the smallest and the largest slope are an interval
/// of this confidence.
fn excluded(points: usize, confidence: f64) -> Option<Excluded> {
    let tail = (1.0 - confidence) / 2.0;
    let mut beyond = 0.0;
    let mut found = None;
    for (slopes, share) in inversions(points).into_iter().enumerate() {
        beyond += share;
        if beyond > tail {
            break;
        }
        found = Some(Excluded { slopes, confidence: 1.0 - 2.0 * beyond });
    }
    found
}

/// For each number of inversions, the share of the orders of so many values that have it. An inversion is a pair of which
/// the later value is the smaller one.
fn inversions(values: usize) -> Vec<f64> {
    let mut shares: Vec<f64> = vec![1.0];
    for length in 2..=values {
        // Another value, behind those before, is smaller than 0, 1 and so on up to all of them, each as likely.
        let mut next = vec![0.0; shares.len() + length - 1];
        for (before, share) in shares.iter().enumerate() {
            for more in 0..length {
                next[before + more] += share / length as f64;
            }
        }
        shares = next;
    }
    shares
}

#[cfg(test)]
mod tests {
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt, SeedableRng};

    use super::*;

    /// Points at x of 0, 1, 2 and so on.
    fn points(values: &[f64]) -> Vec<Point> {
        values.iter().enumerate().map(|(x, y)| Point { x: x as f64, y: *y }).collect()
    }

    #[test]
    fn orders_of_four_by_their_inversions() {
        // Of 24 orders, one is ascending, and three have one pair exchanged (Kendall, Rank Correlation Methods, table 1).
        let expected = [1.0, 3.0, 5.0, 6.0, 5.0, 3.0, 1.0].map(|orders| orders / 24.0);
        let shares = inversions(4);
        assert_eq!(shares.len(), 7);
        assert!(shares.iter().zip(expected).all(|(share, expected)| (share - expected).abs() < 1e-12));
    }

    #[test]
    fn a_slope_by_hand() {
        // Ten slopes: six of 1; 14 / 4, 13 / 3, 12 / 2 and 11 to the last point. None is left out: one order of 120.
        let slope = theil_sen(&points(&[0.0, 1.0, 2.0, 3.0, 14.0]), 0.95).expect("has five points");
        assert_eq!((slope.estimate, slope.lower, slope.upper), (1.0, 1.0, 11.0));
        assert!((slope.confidence - (1.0 - 2.0 / 120.0)).abs() < 1e-12);
    }

    #[test]
    fn the_interval_of_eight_leaves_four_out_at_each_end() {
        // 1 + 7 + 27 + 76 + 174 of 40,320 orders have at most four inversions, which is 0.71 %; 343 more have five.
        let mut values = [0.0; 8];
        values[7] = 28.0;
        let slope = theil_sen(&points(&values), 0.98).expect("has enough");
        // 21 slopes of 0, and 28 / 7, / 6, / 5, / 4, / 3, / 2, / 1: without four at the end, 28 / 5.
        assert_eq!((slope.estimate, slope.lower, slope.upper), (0.0, 0.0, 5.6));
        assert!((slope.confidence - (1.0 - 2.0 * 285.0 / 40_320.0)).abs() < 1e-12);
    }

    #[test]
    fn what_has_no_interval_has_no_slope() {
        // One order of 24 is 4.2 %, more than the 2.5 % of one end.
        assert_eq!(theil_sen(&points(&[0.0, 1.0, 2.0, 3.0]), 0.95), None);
        assert_eq!(theil_sen(&[], 0.95), None);
        let mut twice = points(&[0.0, 1.0, 2.0, 3.0, 4.0]);
        twice[1].x = 0.0;
        assert_eq!(theil_sen(&twice, 0.95), None);
    }

    #[test]
    fn the_interval_covers_as_often_as_it_says() {
        // Skewed noise around a slope of 3: squares of uniform numbers.
        let mut missed = 0;
        for seed in 0..1000 {
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
            let mut values = Vec::new();
            for x in 0..8 {
                values.push(3.0 * f64::from(x) + rng.random::<f64>().powi(2));
            }
            let slope = theil_sen(&points(&values), 0.98).expect("has enough");
            missed += usize::from(slope.lower > 3.0 || slope.upper < 3.0);
        }
        // 1.41 % of 1000 is 14, with a standard deviation of 3.7.
        assert!((3..=27).contains(&missed), "{missed}");
    }
}
