//! Paired comparison of two arms that alternate in blocks. Each block gives one ratio.

use serde::{Deserialize, Serialize};

use super::order::quantile_ranks;

/// A ratio of two arms with a 95 % interval. An end is `None` where there were too few blocks for one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// Median over blocks of measured time / reference time.
    pub ratio: f64,
    /// Lower end of the interval.
    pub lower: Option<f64>,
    /// Upper end of the interval.
    pub upper: Option<f64>,
    /// Number of blocks.
    pub blocks: u64,
}

/// The median of the blocks' ratios with an interval from order statistics. `None` where there are no blocks.
pub fn median_effect(mut ratios: Vec<f64>) -> Option<Effect> {
    ratios.sort_by(f64::total_cmp);
    let n = ratios.len();
    let ranks = quantile_ranks(n as u64, 0.5, 0.95)?;
    Some(Effect {
        ratio: middle(&ratios),
        lower: ranks.lower.map(|rank| at_rank(&ratios, rank)),
        upper: ranks.upper.map(|rank| at_rank(&ratios, rank)),
        blocks: n as u64,
    })
}

/// The median; `None` where there are no values.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    values.sort_by(f64::total_cmp);
    Some(middle(&values))
}

/// The value of 1-based `rank` in ascending order.
fn at_rank(sorted: &[f64], rank: u64) -> f64 {
    sorted[rank as usize - 1]
}

/// The median of values in ascending order, of which there is at least one.
fn middle(sorted: &[f64]) -> f64 {
    // Where their number is odd, both are the same value.
    let n = sorted.len();
    f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_its_interval_by_hand() {
        // Ten blocks: ranks 2 and 9 (see `order`), median midway between the fifth and the sixth.
        let ratios = [1.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8].to_vec();
        let effect = median_effect(ratios).expect("has blocks");
        assert!((effect.ratio - 1.45).abs() < 1e-12);
        assert_eq!((effect.lower, effect.upper, effect.blocks), (Some(1.1), Some(1.8), 10));
    }

    #[test]
    fn few_blocks_have_no_interval() {
        assert_eq!(median_effect(vec![]), None);
        let one = Effect { ratio: 2.0, lower: None, upper: None, blocks: 1 };
        assert_eq!(median_effect(vec![2.0]), Some(one));
    }

    #[test]
    fn a_single_wild_block_moves_nothing() {
        let mut ratios = vec![1.0; 20];
        ratios.push(100.0);
        assert_eq!(median_effect(ratios).map(|e| e.ratio), Some(1.0));
    }
}
