//! Whether limits hold.

use serde::{Deserialize, Serialize};

use super::{Better, Metric};

/// A limit on one figure.
pub type Limit = (Metric, f64);

/// The figures of one operation. `None` where nothing succeeded, and so nothing was measured.
pub trait Figures {
    /// The figure, in the metric's unit.
    fn figure(&self, metric: Metric) -> Option<f64>;

    /// The ends of its 95 % confidence interval, if it has both.
    fn interval(&self, _metric: Metric) -> Option<(f64, f64)> {
        None
    }
}

/// One limit, held against what was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// What is limited.
    pub metric: Metric,
    /// The limit.
    pub limit: f64,
    /// What was measured.
    pub value: Option<f64>,
    /// Whether the limit held. A figure that could not be measured does not hold.
    pub held: bool,
    /// Whether it is so anywhere in the figure's 95 % interval; nothing where the figure has none.
    pub sure: Option<bool>,
}

impl Judgement {
    pub(super) fn of((metric, limit): Limit, figures: &impl Figures) -> Self {
        let value = figures.figure(metric);
        let held = value.is_some_and(|value| holds(metric, limit, value));
        // A figure that is not known has no sure verdict, even where an end of its interval is known.
        let ends = figures.interval(metric).filter(|_| value.is_some());
        // What is so at both ends is so in between, as a limit holds on one side only.
        let sure = ends
            .map(|(lower, upper)| holds(metric, limit, lower) == held && holds(metric, limit, upper) == held);
        Self { metric, limit, value, held, sure }
    }
}

/// Strictly: a latency that is its limit has missed it.
fn holds(metric: Metric, limit: f64, value: f64) -> bool {
    match metric.better() {
        Better::Lower => value < limit,
        // Otherwise a limit of 100 % could never hold.
        Better::Higher { best } => value > limit || value >= best,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Only(Metric, f64);

    impl Figures for Only {
        fn figure(&self, metric: Metric) -> Option<f64> {
            if metric == self.0 { Some(self.1) } else { None }
        }
    }

    fn held(metric: Metric, limit: f64, value: f64) -> bool {
        Judgement::of((metric, limit), &Only(metric, value)).held
    }

    #[test]
    fn latency_stays_below_and_throughput_above() {
        assert!(held(Metric::AvgMs, 50.0, 49.9) && !held(Metric::AvgMs, 50.0, 50.0));
        assert!(held(Metric::ThroughputRps, 50.0, 50.1) && !held(Metric::ThroughputRps, 50.0, 50.0));
    }

    #[test]
    fn a_hundred_percent_can_be_held() {
        assert!(held(Metric::SuccessRatePct, 100.0, 100.0) && !held(Metric::SuccessRatePct, 100.0, 99.99));
        assert!(!held(Metric::SuccessRatePct, 99.0, 99.0));
    }

    #[test]
    fn what_was_not_measured_does_not_hold() {
        let judged = Judgement::of((Metric::P95Ms, 1e9), &Only(Metric::AvgMs, 1.0));
        assert_eq!((judged.value, judged.held), (None, false));
    }
}
