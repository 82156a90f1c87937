//! Whether limits hold.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Better, Metric};

/// A limit on one figure.
pub type Limit = (Metric, f64);

/// A limit on one figure that has to hold in every stretch of a run of this length, and not only over the whole of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowLimit {
    /// What is limited.
    pub metric: Metric,
    /// The limit.
    pub limit: f64,
    /// Length of a stretch: whole seconds.
    pub window: Duration,
}

/// The stretch of a run in which a figure is worst.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WorstWindow {
    /// The figure; nothing where it is not known, as too much failed, or nothing ended in the stretch.
    pub value: Option<f64>,
    /// The second that it begins with.
    pub from: u64,
}

/// A limit as it is written on a command line, like `p95_ms=100`. `None` where the text is not a valid one.
pub fn read_limit(text: &str) -> Option<Limit> {
    let (key, number) = text.split_once('=')?;
    let metric = Metric::ALL.into_iter().find(|metric| metric.key() == key.trim())?;
    // Rust also reads `nan` and `inf` as numbers. The first would be missed by every figure, the second says nothing.
    let number: f64 = number.trim().parse().ok()?;
    if number.is_finite() && number >= 0.0 { Some((metric, number)) } else { None }
}

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
    /// The stretches that the limit is one of, where it is not one of the whole run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub window: Option<JudgedWindow>,
}

/// Stretches of a run, each of which had to hold a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgedWindow {
    /// Their length in seconds.
    pub seconds: u64,
    /// Second with which the worst of them begins; nothing where nothing could be judged.
    pub from: Option<u64>,
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
        Self { metric, limit, value, held, sure, window: None }
    }
}

impl WindowLimit {
    /// Judges the worst stretch of a run; nothing held where there was none.
    pub fn judge(&self, worst: Option<WorstWindow>) -> Judgement {
        let value = worst.and_then(|worst| worst.value);
        Judgement {
            metric: self.metric,
            limit: self.limit,
            value,
            held: value.is_some_and(|value| holds(self.metric, self.limit, value)),
            sure: None,
            window: Some(JudgedWindow {
                seconds: self.window.as_secs(),
                from: worst.map(|worst| worst.from),
            }),
        }
    }
}

/// Whether a figure holds its limit. Strictly: a latency that is its limit has missed it.
pub fn holds(metric: Metric, limit: f64, value: f64) -> bool {
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

    #[test]
    fn the_worst_stretch_of_a_run_is_judged() {
        let limit = WindowLimit { metric: Metric::P99Ms, limit: 500.0, window: Duration::from_secs(10) };
        for (value, held) in [(Some(499.0), true), (Some(500.0), false), (None, false)] {
            let judged = limit.judge(Some(WorstWindow { value, from: 12 }));
            assert_eq!((judged.value, judged.held), (value, held));
            assert_eq!(judged.window, Some(JudgedWindow { seconds: 10, from: Some(12) }));
        }
        assert!(!limit.judge(None).held);
    }

    #[test]
    fn a_limit_is_a_metric_and_a_number() {
        assert_eq!(read_limit("p99_ms = 5e2"), Some((Metric::P99Ms, 500.0)));
        for text in ["p99_ms", "p98_ms=5", "p99_ms=nan", "p99_ms=-1", "p99_ms="] {
            assert_eq!(read_limit(text), None, "{text}");
        }
    }
}
