//! Limits on what is measured, and whether they hold. No file is read here: `parse` takes a text and says where it is wrong.

mod judge;
mod parse;

pub use judge::{Figures, JudgedWindow, Judgement, Limit, WindowLimit, WorstWindow, holds, read_limit};
pub use parse::{TargetError, Targets};

use serde::{Deserialize, Serialize};

/// A figure that can have a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Mean latency of successes, ms.
    AvgMs,
    /// Median latency, ms.
    MedianMs,
    /// 95th percentile of latency, ms.
    P95Ms,
    /// 99th percentile of latency, ms.
    P99Ms,
    /// Longest latency, ms.
    MaxMs,
    /// Successes a second.
    ThroughputRps,
    /// Successes, in percent of all operations.
    SuccessRatePct,
}

/// In which direction a figure improves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Better {
    /// A value has to stay below its limit.
    Lower,
    /// A value has to exceed its limit, or to reach this, the highest there is.
    Higher {
        /// The best value possible.
        best: f64,
    },
}

impl Metric {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 7] = [
        Self::AvgMs,
        Self::MedianMs,
        Self::P95Ms,
        Self::P99Ms,
        Self::MaxMs,
        Self::ThroughputRps,
        Self::SuccessRatePct,
    ];

    /// The key in `targets.toml`.
    pub fn key(self) -> &'static str {
        match self {
            Self::AvgMs => "avg_ms",
            Self::MedianMs => "median_ms",
            Self::P95Ms => "p95_ms",
            Self::P99Ms => "p99_ms",
            Self::MaxMs => "max_ms",
            Self::ThroughputRps => "throughput_rps",
            Self::SuccessRatePct => "success_rate_pct",
        }
    }

    /// Name and unit, for people.
    pub fn label(self) -> (&'static str, &'static str) {
        match self {
            Self::AvgMs => ("avg", "ms"),
            Self::MedianMs => ("median", "ms"),
            Self::P95Ms => ("p95", "ms"),
            Self::P99Ms => ("p99", "ms"),
            Self::MaxMs => ("max", "ms"),
            Self::ThroughputRps => ("throughput", "RPS"),
            Self::SuccessRatePct => ("success", "%"),
        }
    }

    /// Whether it is a time that requests take, in ms.
    pub fn is_latency(self) -> bool {
        match self {
            Self::AvgMs | Self::MedianMs | Self::P95Ms | Self::P99Ms | Self::MaxMs => true,
            Self::ThroughputRps | Self::SuccessRatePct => false,
        }
    }

    /// In which direction the figure improves.
    pub fn better(self) -> Better {
        match self {
            Self::ThroughputRps => Better::Higher { best: f64::INFINITY },
            Self::SuccessRatePct => Better::Higher { best: 100.0 },
            _ => Better::Lower,
        }
    }
}
