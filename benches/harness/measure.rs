//! Criterion drives the cases; what each operation took is recorded on the side.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput};
use ingester_perf::case::{self, Case, Kind, Spec};
use ingester_perf::environment::Environment;
use ingester_perf::payload::DEFAULT_SEED;
use ingester_perf::recording::Recording;
use ingester_perf::report::{PerformanceReport, Plan};
use ingester_perf::{Error, units};

use super::args::{Args, Mode};
use super::outcome::Stop;
use super::sampling::{NOISE_THRESHOLD, Sampling};
use super::session::Session;

/// What was measured, and why it ended early if it did.
pub struct Run {
    pub reports: Vec<PerformanceReport>,
    pub stopped: Option<Stop>,
}

/// Measures the cases one after the other. A case in which nothing succeeds ends, and the next one begins.
pub fn run(cases: &[Spec], args: &Args, session: &Session) -> Result<Run, Stop> {
    let mut criterion = criterion();
    let mut run = Run { reports: Vec::new(), stopped: None };
    let mut group = criterion.benchmark_group(cases[0].group);
    group.sampling_mode(SamplingMode::Flat);
    for (spec, &sampling) in cases.iter().zip(&session.sampling) {
        let case = spec.start(&session.ingester, &session.settings)?.slowed_by(args.slowdown_of(&spec.id()));
        let phase = if args.warms_up() { Phase::WarmUp { left: sampling.warm_up } } else { Phase::Measuring };
        let mut sampler = Sampler { case, spec, session, phase };
        let ended = bench(&mut group, sampling, &mut sampler).and_then(|()| session.interrupt.check());
        let stopped = ended.err();
        run.reports.push(sampler.report(stopped.is_some()));
        match stopped {
            None => {}
            Some(Stop::Error(barren @ Error::NothingSucceeds { .. })) => {
                run.stopped = Some(Stop::Barren(barren))
            }
            Some(other) => {
                run.stopped = Some(other);
                break;
            }
        }
    }
    group.finish();
    if args.mode == Mode::Measure {
        criterion.final_summary();
    }
    Ok(run)
}

/// Lets Criterion compare two saved baselines.
pub fn analyse(cases: &[Spec]) {
    let mut criterion = criterion();
    let mut group = criterion.benchmark_group(cases[0].group);
    for spec in cases {
        group.throughput(throughput(spec));
        group.bench_function(spec.name, |bencher| {
            bencher.iter_custom(|_| unreachable!("it loads its samples"))
        });
    }
    group.finish();
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

fn bench(
    group: &mut BenchmarkGroup<'_, WallTime>,
    sampling: Sampling,
    sampler: &mut Sampler<'_>,
) -> Result<(), Stop> {
    let spec = *sampler.spec;
    group.sample_size(sampling.samples);
    group.warm_up_time(sampling.warm_up);
    group.measurement_time(sampling.measurement);
    group.throughput(throughput(&spec));
    // Criterion offers no way to end a benchmark but to unwind from it.
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        group.bench_function(spec.name, |bencher| {
            bencher.iter_custom(|iters| {
                sampler.slice(iters).unwrap_or_else(|stop| resume_unwind(Box::new(stop)))
            });
        });
    }));
    match unwound {
        Ok(()) => Ok(()),
        Err(payload) => Err(*payload.downcast::<Stop>().unwrap_or_else(|panic| resume_unwind(panic))),
    }
}

/// Hands Criterion the measured wall time and nothing else, and keeps the record of what is not warm-up.
struct Sampler<'a> {
    case: Case,
    spec: &'a Spec,
    session: &'a Session,
    phase: Phase,
}

/// Criterion warms up through the same closure that it measures through, until its calls have lasted long enough.
enum Phase {
    WarmUp { left: Duration },
    WarmedUp,
    Measuring,
}

impl Sampler<'_> {
    fn slice(&mut self, iters: u64) -> Result<Duration, Stop> {
        self.session.interrupt.check()?;
        self.session.spend(self.spec, iters)?;
        if matches!(self.phase, Phase::WarmedUp) {
            self.phase = Phase::Measuring;
            self.case.take_recording();
        }
        let called = Instant::now();
        let took = self.case.time(iters)?;
        if let Phase::WarmUp { left } = self.phase {
            let rest = left.checked_sub(called.elapsed()).filter(|rest| !rest.is_zero());
            self.phase = rest.map_or(Phase::WarmedUp, |left| Phase::WarmUp { left });
        }
        Ok(took)
    }

    fn report(&mut self, stopped: bool) -> PerformanceReport {
        let recording = self.case.take_recording();
        let plan = plan(self.spec, &recording);
        let environment =
            Environment::read(&self.session.settings.placement, self.session.measured(self.spec));
        let report = PerformanceReport::new(self.spec.operation, &recording).describe(plan, environment);
        let report = if stopped { report.partial() } else { report };
        report.judge(&self.session.targets)
    }
}

fn plan(spec: &Spec, recording: &Recording) -> Plan {
    let (users, requests_per_pass) = match spec.kind {
        Kind::Load { plan, .. } => (plan.users, Some(plan.requests)),
        Kind::Upload { .. } | Kind::Jwt => (1, None),
    };
    Plan {
        case: spec.id(),
        schedule: "closed",
        users,
        passes: recording.passes,
        requests_per_pass,
        file_size_bytes: spec.uploads().map(|(_, units::Bytes(size))| size),
        seed: DEFAULT_SEED,
    }
}
