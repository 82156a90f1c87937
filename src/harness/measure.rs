//! Criterion drives the cases; what each operation took is recorded on the side.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;
use std::time::{Duration, Instant};

use crate::case::{self, Case, Kind, Spec};
use crate::machine::Environment;
use crate::payload::DEFAULT_SEED;
use crate::recording::Recording;
use crate::report::{PerformanceReport, Plan};
use crate::targets::{Figures, Metric};
use crate::{Error, units};
use criterion::{Criterion, SamplingMode, Throughput};

use super::args::{Args, Mode};
use super::outcome::Stop;
use super::profiler::Hooks;
use super::sampling::{NOISE_THRESHOLD, Sampling};
use super::session::Session;
use super::turns::{Turn, Turns};

/// What was measured, and why it ended early if it did.
pub struct Run {
    pub reports: Vec<PerformanceReport>,
    pub stopped: Option<Stop>,
}

/// Measures the cases, taking turns sample by sample. A case in which nothing succeeds ends, and the others go on;
/// whatever else stops one stops all.
pub fn run(cases: &[Spec], args: &Args, session: &Session) -> Run {
    let turns = &Turns::new(cases.len());
    let mut reports: Vec<PerformanceReport> = Vec::new();
    let mut stops: Vec<Stop> = Vec::new();
    // A thread for each case, as Criterion samples a benchmark from beginning to end and cannot be told to pause. The turns
    // let one of them run at a time.
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for (who, spec) in cases.iter().enumerate() {
            let sampling = session.sampling[who];
            threads.push(scope.spawn(move || measure(spec, sampling, args, session, turns.join(who))));
        }
        for thread in threads {
            let ended = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            reports.extend(ended.report);
            stops.extend(ended.stopped);
        }
    });
    // Each case had a Criterion of its own; the index of all their pages is made once, when they are done.
    if args.mode == Mode::Measure {
        criterion().final_summary();
    }
    Run { reports, stopped: Stop::worst(stops.into_iter()) }
}

/// How one case ended.
struct Ended {
    report: Option<PerformanceReport>,
    stopped: Option<Stop>,
}

fn measure(spec: &Spec, sampling: Sampling, args: &Args, session: &Session, turn: Turn<'_>) -> Ended {
    let case = match spec.start(&session.ingester, &session.settings) {
        Ok(case) => case.slowed_by(args.slowdown_of(&spec.id())),
        Err(error) => return Ended { report: None, stopped: Some(error.into()) },
    };
    let phase = if args.warms_up() { Phase::WarmUp { left: sampling.warm_up } } else { Phase::Measuring };
    // With --quick Criterion may be done after any sample, so each of them counts as the last one.
    let left = if args.is_quick() { 1 } else { sampling.samples };
    let spread = args.mode == Mode::Measure;
    let mut sampler = Sampler { case, spec, sampling, session, turn, spread, phase, left };
    let stopped = bench(&mut sampler).and_then(|()| session.halt.check()).err();
    // Also of a case that stopped: what it measured until then is reported, as partial.
    let report = Some(sampler.report(stopped.is_some()));
    let stopped = stopped.map(|stop| match stop {
        Stop::Error(error @ (Error::NothingSucceeds { .. } | Error::Failed { .. })) => Stop::Barren(error),
        stop => {
            session.halt.halt();
            stop
        }
    });
    Ended { report, stopped }
}

/// Lets Criterion compare two saved baselines.
pub fn analyse(cases: &[Spec]) {
    let mut criterion = criterion();
    for spec in cases {
        // One bench may hold cases of several groups.
        let mut group = criterion.benchmark_group(&spec.group);
        group.throughput(throughput(spec));
        group.bench_function(&spec.name, |bencher| {
            bencher.iter_custom(|_| unreachable!("it loads its samples"))
        });
        group.finish();
    }
    criterion.final_summary();
}

fn criterion() -> Criterion {
    Criterion::default().noise_threshold(NOISE_THRESHOLD).configure_from_args()
}

fn throughput(spec: &Spec) -> Throughput {
    match spec.throughput() {
        case::Throughput::Bytes(n) => Throughput::Bytes(n),
        case::Throughput::Operations(n) => Throughput::Elements(n),
    }
}

fn bench(sampler: &mut Sampler<'_>) -> Result<(), Stop> {
    let spec = sampler.spec;
    let sampling = sampler.sampling;
    let hooks = Hooks::default();
    let mut criterion = criterion();
    if sampler.session.cpu_sampler.is_some() {
        criterion = criterion.with_profiler(hooks.clone());
    }
    let mut group = criterion.benchmark_group(&spec.group);
    // Flat: every sample has the same number of iterations, which `Sampling::iterations` counts on when it says how much
    // will be sent.
    group
        .sampling_mode(SamplingMode::Flat)
        .sample_size(sampling.samples)
        .warm_up_time(sampling.warm_up)
        .measurement_time(sampling.measurement)
        .throughput(throughput(spec));
    // Criterion offers no way to end a benchmark but to unwind from it.
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        group.bench_function(&spec.name, |bencher| {
            bencher.iter_custom(|iters| {
                sampler.slice(iters).unwrap_or_else(|stop| resume_unwind(Box::new(stop)))
            });
        });
    }));
    let ended = match unwound {
        Ok(()) => Ok(()),
        // Anything else that unwinds is a panic, and goes on as one.
        Err(payload) => Err(*payload.downcast::<Stop>().unwrap_or_else(|panic| resume_unwind(panic))),
    };
    // Also of a case that was stopped: what was sampled until then is drawn. Why it stopped counts more than a picture that
    // could not be drawn.
    let drawn = match &sampler.session.cpu_sampler {
        Some(cpu_sampler) => hooks.draw(cpu_sampler, &spec.id(), sampler.environment()),
        None => Ok(()),
    };
    ended.and(drawn)
}

/// Hands Criterion the measured wall time and nothing else, and keeps the record of everything but the warm-up.
struct Sampler<'a> {
    case: Case,
    spec: &'a Spec,
    sampling: Sampling,
    session: &'a Session,
    turn: Turn<'a>,
    /// Whether others' samples come between its own: for figures, not for a test or a profile.
    spread: bool,
    phase: Phase,
    /// Samples until Criterion may be done.
    left: usize,
}

/// Criterion warms up through the same closure that it measures through, until its calls have lasted long enough.
enum Phase {
    WarmUp { left: Duration },
    WarmedUp,
    Measuring,
}

impl Sampler<'_> {
    fn slice(&mut self, iters: u64) -> Result<Duration, Stop> {
        // While it warms up, Criterion counts the time of this call, turns of others included; so only samples wait.
        if self.spread && !matches!(self.phase, Phase::WarmUp { .. }) {
            self.turn.pass();
            thread::sleep(self.sampling.pause);
        }
        self.session.halt.check()?;
        // Before the slice runs: what has been sent cannot be taken back.
        self.session.spend(self.spec, iters)?;
        // The record of the warm-up is dropped: a report counts what Criterion measures.
        if matches!(self.phase, Phase::WarmedUp) {
            self.phase = Phase::Measuring;
            self.case.take_recording();
        }
        let called = Instant::now();
        let took = self.case.time(iters)?;
        match self.phase {
            // Criterion takes the time around its call, which is longer than what the slice returns; so does this.
            Phase::WarmUp { left } => {
                let rest = left.checked_sub(called.elapsed()).filter(|rest| !rest.is_zero());
                self.phase = rest.map_or(Phase::WarmedUp, |left| Phase::WarmUp { left });
            }
            _ => self.check_before_saving()?,
        }
        Ok(took)
    }

    /// After its last sample Criterion saves. The times of a case that failed too often are no baseline.
    fn check_before_saving(&mut self) -> Result<(), Stop> {
        self.left = self.left.saturating_sub(1);
        let (total, ok) = self.case.counts();
        let rate = SuccessRate(100.0 * ok as f64 / total.max(1) as f64);
        let judged = self.session.targets.judge(&self.spec.operation, &rate);
        let missed = judged.iter().any(|j| j.metric == Metric::SuccessRatePct && !j.held);
        if self.left == 0 && missed {
            self.case.check_success()?;
        }
        Ok(())
    }

    /// Where the case ran, and against what.
    fn environment(&self) -> Environment {
        Environment::read(&self.session.settings.placed(), self.session.measured(self.spec))
    }

    fn report(&mut self, stopped: bool) -> PerformanceReport {
        let recording = self.case.take_recording();
        let plan = plan(self.spec, &recording);
        let report = PerformanceReport::new(&self.spec.operation, &recording).describe(plan);
        let report = report.at(self.environment());
        // A case that uploads nothing leaves nothing unverified.
        let unverified = match self.spec.sends() {
            Some(_) => self.session.ingester.api().unverified(),
            None => None,
        };
        let report = report.unverified(unverified);
        let report = if stopped { report.partial() } else { report };
        report.judge(&self.session.targets)
    }
}

fn plan(spec: &Spec, recording: &Recording) -> Plan {
    let requests_per_pass = match &spec.kind {
        Kind::Load { plan, .. } => Some(plan.requests),
        Kind::Upload { .. } | Kind::Jwt => None,
    };
    Plan {
        case: spec.id(),
        schedule: "closed",
        users: spec.users(),
        passes: recording.passes,
        requests_per_pass,
        file_size_bytes: spec.sends().map(|(_, units::Bytes(size))| size),
        seed: DEFAULT_SEED,
    }
}

/// The one figure that is known while a case is being measured, in percent.
struct SuccessRate(f64);

impl Figures for SuccessRate {
    fn figure(&self, metric: Metric) -> Option<f64> {
        if metric == Metric::SuccessRatePct { Some(self.0) } else { None }
    }
}
