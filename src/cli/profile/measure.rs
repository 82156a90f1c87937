//! Measures what a case costs, slice by slice: the client's latencies, what the stub tells of the same uploads, and where the
//! CPU time of both goes meanwhile.

use std::sync::Arc;
use std::time::Duration;

use crate::Error;
use crate::case::{Case, Spec};
use crate::ingester::{Ingester, Settings};
use crate::interrupt::Interrupt;
use crate::machine::Environment;
use crate::profile::{self, CpuSampler, FlameGraph};
use crate::units::Bytes;

use super::cost::{CaseCost, SliceCost};

/// Longest slice: a signal is noticed between two of them.
const LONGEST: Duration = Duration::from_millis(500);
/// Fewest slices of a case, so that their range says something about how sure a share is.
const FEWEST: u32 = 10;

/// What cases are measured with.
pub struct Profiler<'a> {
    ingester: &'a Arc<Ingester>,
    settings: &'a Settings,
    interrupt: &'a Interrupt,
    /// What samples the threads of this process, where that can be had.
    sampler: Option<&'a CpuSampler>,
    /// Bytes that may still be sent.
    left: u64,
}

/// What was measured of a case.
pub struct ProfiledCase {
    pub cost: CaseCost,
    /// Where the CPU time went, if it was sampled.
    pub graph: Option<FlameGraph>,
    /// What ended it before its time.
    pub stopped: Option<Error>,
}

impl<'a> Profiler<'a> {
    pub fn new(
        ingester: &'a Arc<Ingester>,
        settings: &'a Settings,
        interrupt: &'a Interrupt,
        sampler: Option<&'a CpuSampler>,
    ) -> Self {
        // A service that keeps files would fill its disk.
        let left = if settings.keeps_nothing() { u64::MAX } else { settings.max_bytes.0 };
        Self { ingester, settings, interrupt, sampler, left }
    }

    /// Measures one case for so long, after warming up.
    pub fn measure(
        &mut self,
        spec: &Spec,
        warm_up: Duration,
        duration: Duration,
    ) -> Result<ProfiledCase, Error> {
        let mut case = spec.start(self.ingester, self.settings)?;
        let iteration = self.warm_up(spec, &mut case, warm_up)?;
        // What was recorded until now is no part of the figures, on either side.
        case.take_recording();
        self.ingester.take_phases();
        let slices = slices_in(duration);
        let iters = iterations_in(duration / slices, iteration);
        let mut cost = CaseCost::of(spec);
        let mut stopped = None;
        profile::resume();
        for _ in 0..slices {
            if let Err(error) = self.run(spec, &mut case, iters) {
                stopped = Some(error);
                break;
            }
            let latencies = case.take_recording().ok;
            // An upload is in the stub's log before its answer is sent, so both sides tell of the same ones.
            cost.add(SliceCost {
                operations: latencies.count(),
                latency_ns: latencies.sum_ns() as f64,
                phases: self.ingester.take_phases().unwrap_or_default(),
            });
        }
        profile::pause();
        let graph =
            self.sampler.map(|sampler| FlameGraph::taken(sampler, &spec.id(), self.environment(spec)));
        Ok(ProfiledCase { cost, graph, stopped })
    }

    /// Where a case was measured, and against what.
    fn environment(&self, spec: &Spec) -> Environment {
        let measured = match spec.sends() {
            Some(_) => self.ingester.name(),
            None => "none: this machine".to_owned(),
        };
        Environment::read(&self.settings.placed(), measured)
    }

    /// Runs the case for so long, in slices that double. Returns what an iteration took in the last one.
    fn warm_up(&mut self, spec: &Spec, case: &mut Case, warm_up: Duration) -> Result<Duration, Error> {
        let mut left = warm_up;
        let mut iters = 1_u32;
        loop {
            let took = self.run(spec, case, iters.into())?;
            left = left.saturating_sub(took);
            if left.is_zero() {
                return Ok(took / iters);
            }
            iters = iters.saturating_mul(2);
        }
    }

    /// Runs some iterations. A failure ends the case: the time of failures is not the time of uploads.
    fn run(&mut self, spec: &Spec, case: &mut Case, iters: u64) -> Result<Duration, Error> {
        self.interrupt.check()?;
        self.spend(spec, iters)?;
        let took = case.time(iters)?;
        case.check_success()?;
        Ok(took)
    }

    /// Takes the bytes of so many iterations from what may be sent.
    fn spend(&mut self, spec: &Spec, iters: u64) -> Result<(), Error> {
        let Some((uploads, size)) = spec.sends() else { return Ok(()) };
        let bytes = iters.saturating_mul(uploads).saturating_mul(size.0);
        let rest = self.left.checked_sub(bytes);
        self.left = rest.ok_or_else(|| {
            Error::TooMuch(format!(
                "{}: what it is sent is kept, and {} more would exceed INGESTER_MAX_BYTES ({}); raise that, or \
                 profile fewer cases, or for a shorter --duration",
                spec.id(),
                Bytes(bytes),
                self.settings.max_bytes
            ))
        })?;
        Ok(())
    }
}

/// How many slices a case is measured in.
fn slices_in(duration: Duration) -> u32 {
    let needed = duration.as_secs_f64() / LONGEST.as_secs_f64();
    (needed.ceil() as u32).max(FEWEST)
}

/// How many iterations fill a slice; one at least.
fn iterations_in(slice: Duration, iteration: Duration) -> u64 {
    let iteration = iteration.max(Duration::from_nanos(1));
    let fit = slice.as_secs_f64() / iteration.as_secs_f64();
    (fit.ceil() as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_has_ten_slices_of_half_a_second_at_most() {
        let seconds = [0.0, 0.3, 5.0, 5.1, 60.0].map(Duration::from_secs_f64);
        assert_eq!(seconds.map(slices_in), [10, 10, 10, 11, 120]);
    }

    #[test]
    fn a_slice_is_filled_with_whole_iterations() {
        let slice = Duration::from_millis(500);
        let iterations = [1, 300, 500, 700].map(|ms| iterations_in(slice, Duration::from_millis(ms)));
        assert_eq!(iterations, [500, 2, 1, 1]);
        // Nothing may be divided by zero, and something has to run.
        assert_eq!(iterations_in(Duration::ZERO, Duration::ZERO), 1);
    }
}
