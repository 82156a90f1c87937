//! Two cases of one process, alternating in short slices: the machine's speed changes from second to second, but both
//! see the same of it, and so their ratio stands still where their times do not.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::case::Case;
use crate::error::Error;
use crate::stats::{Effect, median_effect};

/// What a slice should last: long enough for the clock, short against the machine's changes of speed.
const SLICE: Duration = Duration::from_millis(2);
/// Fewest blocks that make an interval.
const MIN_BLOCKS: usize = 10;

/// How a case compares with its lower bound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Time of the case / time of the lower bound, an iteration each.
    #[serde(flatten)]
    pub effect: Effect,
    /// Nanoseconds of an iteration of the case, median of its slices.
    pub case_ns: f64,
    /// Nanoseconds of an iteration of the lower bound, likewise.
    pub lower_bound_ns: f64,
}

/// Runs both in blocks ABBA for `budget`, or ten blocks if that takes longer.
pub fn compare(case: &mut Case, bound: &mut Case, budget: Duration) -> Result<Comparison, Error> {
    // A slice of each arm lasts as long as the other's, however many iterations that takes.
    let mut arms = [Arm::calibrated(bound)?, Arm::calibrated(case)?];
    let mut ratios = Vec::new();
    let started = Instant::now();
    while ratios.len() < MIN_BLOCKS || started.elapsed() < budget {
        // Bound, case, case, bound: a machine that gets steadily slower or faster slows both arms alike.
        let mut block = [0.0; 2];
        for arm in [0, 1, 1, 0] {
            block[arm] += arms[arm].slice()?;
        }
        ratios.push(block[1] / block[0]);
    }
    let effect = median_effect(ratios).expect("there are blocks");
    let [lower_bound_ns, case_ns] =
        arms.map(|arm| median_effect(arm.slices_ns).expect("there are slices").ratio);
    Ok(Comparison { effect, case_ns, lower_bound_ns })
}

struct Arm<'a> {
    case: &'a mut Case,
    iters: u64,
    slices_ns: Vec<f64>,
}

impl<'a> Arm<'a> {
    /// Doubles the iterations until they fill a slice; warms up on the way.
    fn calibrated(case: &'a mut Case) -> Result<Self, Error> {
        let mut iters = 1;
        loop {
            let took = case.time(iters)?;
            if took >= SLICE {
                let fitting = iters as f64 * SLICE.as_secs_f64() / took.as_secs_f64();
                return Ok(Self { case, iters: (fitting as u64).max(1), slices_ns: Vec::new() });
            }
            iters *= 2;
        }
    }

    /// Nanoseconds an iteration in one slice.
    fn slice(&mut self) -> Result<f64, Error> {
        let ns = self.case.time(self.iters)?.as_nanos() as f64 / self.iters as f64;
        self.slices_ns.push(ns);
        Ok(ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Work;
    use crate::recording::Recorder;

    /// Says that an iteration takes so long.
    struct Takes(Duration);

    impl Work for Takes {
        fn time(&mut self, iters: u64, _: &mut Recorder) -> Result<Duration, Error> {
            Ok(self.0 * u32::try_from(iters).expect("is small"))
        }
    }

    fn case(micros: u64) -> Case {
        Case::start("takes", None, Takes(Duration::from_micros(micros))).expect("starts")
    }

    #[test]
    fn the_ratio_is_case_over_lower_bound_for_an_iteration_each() {
        let compared = compare(&mut case(300), &mut case(100), Duration::ZERO).expect("compares");
        assert_eq!((compared.case_ns, compared.lower_bound_ns), (300e3, 100e3));
        assert!((compared.effect.ratio - 3.0).abs() < 1e-12, "{compared:?}");
        assert_eq!(compared.effect.blocks, MIN_BLOCKS as u64);
    }

    #[test]
    fn a_slice_holds_as_many_iterations_as_fit_and_at_least_one() {
        // In 2 ms fit 20 iterations of 100 µs, and not one of 50 ms.
        assert_eq!(Arm::calibrated(&mut case(100)).expect("runs").iters, 20);
        assert_eq!(Arm::calibrated(&mut case(50_000)).expect("runs").iters, 1);
    }
}
