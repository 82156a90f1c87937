//! Figures with their confidence intervals: quantiles of latency, and means.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::recording::Samples;
use crate::stats::{Batches, quantile_ranks};

/// Milliseconds in a nanosecond.
pub(super) const MS_PER_NS: f64 = 1e-6;
/// Confidence of every interval.
const CONFIDENCE: f64 = 0.95;

/// Intervals: of quantiles from order statistics, of means from batch means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
// Reports of earlier versions have fewer.
#[serde(default)]
pub struct Intervals {
    /// Of `median_latency_ms`.
    pub median_latency_ms: Interval,
    /// Of `p95_latency_ms`.
    pub p95_latency_ms: Interval,
    /// Of `p99_latency_ms`.
    pub p99_latency_ms: Interval,
    /// Of `avg_latency_ms`.
    pub avg_latency_ms: Interval,
    /// Of `throughput_rps`.
    pub throughput_rps: Interval,
}

/// A 95 % confidence interval in the figure's own unit; an end is `null` where the sample is too small to have one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub lower: Option<f64>,
    /// Upper end.
    pub upper: Option<f64>,
}

impl Interval {
    /// Of the mean of these values, times `unit`.
    pub(super) fn of_mean(values: &Batches, unit: f64) -> Self {
        match values.interval(CONFIDENCE) {
            Some((lower, upper)) => Self { lower: Some(lower * unit), upper: Some(upper * unit) },
            None => Self::default(),
        }
    }
}

/// A quantile with its interval, ms.
#[derive(Default)]
pub(super) struct Quantile {
    pub point: Option<f64>,
    pub interval: Interval,
}

impl Quantile {
    /// The `q`-quantile of all operations that were due: of these successes, and of `lost` ones that failed or never ended,
    /// which count as slower than any success. So a shorter time limit makes no quantile better. Nothing where the rank
    /// falls among the lost ones, and an end of the interval likewise.
    pub fn of(samples: &Samples, q: f64, lost: u64) -> Self {
        // Ranks count from the fastest on, and the lost ones stand behind all samples: a rank among them has no sample.
        let Some(ranks) = quantile_ranks(samples.count() + lost, q, CONFIDENCE) else {
            return Self::default();
        };
        let Some(point) = samples.at_rank(ranks.point).map(ms) else { return Self::default() };
        let lower = ranks.lower.and_then(|rank| samples.at_rank(rank)).map(ms);
        let upper = ranks.upper.and_then(|rank| samples.at_rank(rank)).map(ms);
        Self { point: Some(point), interval: Interval { lower, upper } }
    }
}

pub(super) fn ms(duration: Duration) -> f64 {
    ns_to_ms(duration.as_nanos() as f64)
}

pub(super) fn ns_to_ms(ns: f64) -> f64 {
    ns * MS_PER_NS
}
