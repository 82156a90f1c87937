//! Whether two services hold the same: the ratio of their rates.
//!
//! The interval is made of those of both, whose ends lie so far from the answer as if both errors were at once as large as
//! they may be, and independent of each other (MOVER: Zou and Donner, Statistics in Medicine 27, 2008).

use serde::Serialize;

use super::edge::CapacityEdge;
use super::plan::LEVELS_PER_DOUBLING;

/// By what share the second service holds more than the first, with a 95 % interval: -0.17 is 17 % less.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CapacityChange {
    /// The change itself.
    pub share: f64,
    /// Lower end of the interval.
    pub lower: f64,
    /// Upper end of the interval.
    pub upper: f64,
}

impl CapacityChange {
    /// Between these two.
    pub fn between(first: &CapacityEdge, second: &CapacityEdge) -> Self {
        let levels = second.level - first.level;
        // The second one lower than found and the first one higher; then the other way round.
        let below = (second.level - second.lower).hypot(first.upper - first.level);
        let above = (second.upper - second.level).hypot(first.level - first.lower);
        Self { share: share(levels), lower: share(levels - below), upper: share(levels + above) }
    }

    /// Whether the second holds more or less than the first, beyond chance.
    pub fn is_sure(&self) -> bool {
        self.lower > 0.0 || self.is_less()
    }

    /// Whether the second holds less, beyond chance.
    pub fn is_less(&self) -> bool {
        self.upper < 0.0
    }
}

/// The change of a rate by so many levels.
fn share(levels: f64) -> f64 {
    2_f64.powf(levels / f64::from(LEVELS_PER_DOUBLING)) - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(level: f64, reach: f64) -> CapacityEdge {
        CapacityEdge { level, lower: level - reach, upper: level + reach, first: 0 }
    }

    #[test]
    fn a_change_has_the_errors_of_both() {
        // Half as much: a doubling down. Reaches of 3 and 4 levels come to 5.
        let change = CapacityChange::between(&edge(40.0, 3.0), &edge(24.0, 4.0));
        assert!((change.share + 0.5).abs() < 1e-12, "{change:?}");
        assert!((change.lower - (2_f64.powf(-21.0 / 16.0) - 1.0)).abs() < 1e-12, "{change:?}");
        assert!((change.upper - (2_f64.powf(-11.0 / 16.0) - 1.0)).abs() < 1e-12, "{change:?}");
        assert!(change.is_sure());
    }

    #[test]
    fn what_lies_within_the_interval_is_no_difference() {
        assert!(!CapacityChange::between(&edge(40.0, 1.0), &edge(41.0, 1.0)).is_sure());
        assert!(CapacityChange::between(&edge(40.0, 1.0), &edge(42.0, 1.0)).is_sure());
    }
}
