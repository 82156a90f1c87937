//! Quantiles of latency with their confidence intervals, in ms as reports have them.

use std::time::Duration;

use serde::Serialize;

use crate::recording::Samples;
use crate::stats::quantile_ranks;

/// Confidence of every interval.
const CONFIDENCE: f64 = 0.95;

/// Intervals of the quantiles, from order statistics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Intervals {
    /// Of `median_latency_ms`.
    pub median_latency_ms: Interval,
    /// Of `p95_latency_ms`.
    pub p95_latency_ms: Interval,
    /// Of `p99_latency_ms`.
    pub p99_latency_ms: Interval,
}

/// A 95 % confidence interval; an end is `null` where the sample is too small to have one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end, ms.
    pub lower: Option<f64>,
    /// Upper end, ms.
    pub upper: Option<f64>,
}

/// A quantile with its interval, ms.
#[derive(Default)]
pub(super) struct Quantile {
    pub point: Option<f64>,
    pub interval: Interval,
}

impl Quantile {
    /// The `q`-quantile of successes, beside which `lost` operations failed or never ended; nothing where so many were lost
    /// that it is not known.
    pub fn of(samples: &Samples, q: f64, lost: u64) -> Self {
        if !is_known(samples, q, lost) {
            return Self::default();
        }
        let Some(ranks) = quantile_ranks(samples.count(), q, CONFIDENCE) else { return Self::default() };
        let at = |rank| samples.at_rank(rank).map(ms);
        let interval = Interval { lower: ranks.lower.and_then(at), upper: ranks.upper.and_then(at) };
        Self { point: at(ranks.point), interval }
    }
}

/// Whether the quantile would be the same however long the lost operations had taken: as many lie beyond it at least.
pub(super) fn is_known(samples: &Samples, q: f64, lost: u64) -> bool {
    let all = samples.count() + lost;
    lost as f64 <= (1.0 - q) * all as f64
}

pub(super) fn ms(duration: Duration) -> f64 {
    ns_to_ms(duration.as_nanos() as f64)
}

pub(super) fn ns_to_ms(ns: f64) -> f64 {
    ns / 1e6
}
