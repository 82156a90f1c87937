//! Two cases of one process, alternating in short slices: the machine's speed changes from second to second, but both
//! see the same of it, and so their ratio stands still where their times do not.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::worker::Case;
use crate::error::Error;
use crate::stats::{Effect, median_effect};

/// What a slice should last: long enough for the clock, short against the machine's changes of speed.
const SLICE: Duration = Duration::from_millis(2);
/// Fewest blocks that make an interval.
const MIN_BLOCKS: usize = 10;

/// How a case compares with its limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Comparison {
    /// Time of the case / time of the limit, an iteration each.
    #[serde(flatten)]
    pub effect: Effect,
    /// Nanoseconds of an iteration of the case, on average over all blocks.
    pub case_ns: f64,
    /// Nanoseconds of an iteration of the limit.
    pub limit_ns: f64,
}

/// Runs both in blocks ABBA for `budget`, or ten blocks if that takes longer.
pub fn compare(case: &mut Case, limit: &mut Case, budget: Duration) -> Result<Comparison, Error> {
    let mut arms = [Arm::calibrated(limit)?, Arm::calibrated(case)?];
    let mut ratios = Vec::new();
    let started = Instant::now();
    while ratios.len() < MIN_BLOCKS || started.elapsed() < budget {
        let mut block = [0.0; 2];
        for arm in [0, 1, 1, 0] {
            block[arm] += arms[arm].slice()?;
        }
        ratios.push(block[1] / block[0]);
    }
    let effect = median_effect(ratios).expect("there are blocks");
    Ok(Comparison { effect, limit_ns: arms[0].mean_ns(), case_ns: arms[1].mean_ns() })
}

struct Arm<'a> {
    case: &'a mut Case,
    iters: u64,
    total_ns: f64,
    slices: u64,
}

impl<'a> Arm<'a> {
    /// Doubles the iterations until they fill a slice; warms up on the way.
    fn calibrated(case: &'a mut Case) -> Result<Self, Error> {
        let mut iters = 1;
        loop {
            let took = case.time(iters)?;
            if took >= SLICE {
                let fitting = iters as f64 * SLICE.as_secs_f64() / took.as_secs_f64();
                return Ok(Self { case, iters: (fitting as u64).max(1), total_ns: 0.0, slices: 0 });
            }
            iters *= 2;
        }
    }

    /// Nanoseconds an iteration in one slice.
    fn slice(&mut self) -> Result<f64, Error> {
        let ns = self.case.time(self.iters)?.as_nanos() as f64 / self.iters as f64;
        self.total_ns += ns;
        self.slices += 1;
        Ok(ns)
    }

    fn mean_ns(&self) -> f64 {
        self.total_ns / self.slices as f64
    }
}
