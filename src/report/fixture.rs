//! Records of runs that never took place, for tests.

use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use crate::load::{
    LoadRecord, LoadRecorder, MachineUse, Model, Plan, Profile, Readings, RecordedRun, ResourceSample,
    Resources, Run, SideUse, Sink, WatchedService,
};
use crate::machine::{Environment, Placement};
use crate::recording::{Failure, Finished, Performed, PerformedStep};

static GO: AtomicBool = AtomicBool::new(false);

/// A run of so many users in which requests began at these times and took so long, both in ms.
pub fn run(requests: &[(u64, u64)], users: u32) -> RecordedRun {
    let start = Instant::now();
    let (done, seconds) = mpsc::channel();
    let mut recorder = LoadRecorder::new(start, &GO, done);
    for &(at, took) in requests {
        let began = start + Duration::from_millis(at);
        let latency = Duration::from_millis(took);
        recorder.begins(began);
        recorder.ended(began, Performed::new(began, latency, Ok(())));
    }
    let load = recorder.finish(Duration::ZERO);
    let seconds = seconds.iter().collect();
    let generator = Readings { threads: 1, cores: 1, ..Readings::default() };
    let started_at = SystemTime::UNIX_EPOCH;
    let profile = Profile::constant(f64::from(users), Duration::from_secs(1));
    let plan = Plan::new(Model::Closed { users: profile, requests: None, think: Duration::ZERO });
    RecordedRun {
        step: None,
        plan,
        run: Run { load, seconds, generator, resources: None, partial: false, started_at, start: None },
        phases: None,
    }
}

/// A run of operations with two steps, `op/1` and `op/2`, which take so many ms. One with a time for its first step only has
/// failed in it.
pub fn run_of_steps(operations: &[&[u64]]) -> RecordedRun {
    let mut recorded = run(&[], 1);
    let start = Instant::now();
    let (done, seconds) = mpsc::channel();
    let names = ["op/1", "op/2"].map(str::to_owned);
    let mut recorder = LoadRecorder::new(start, &GO, done).of_steps(&names);
    for &times in operations {
        let failed = times.len() < names.len();
        let mut steps = Vec::new();
        for &ms in times {
            let latency = Duration::from_millis(ms);
            let outcome = if failed { Err(Failure::status(503, "busy")) } else { Ok(()) };
            steps.push(PerformedStep { finished: Finished { latency, outcome }, requests: 1 });
        }
        let latency = Duration::from_millis(times.iter().sum());
        let outcome = if failed { Err(Failure::status(503, "busy")) } else { Ok(()) };
        recorder.begins(start);
        recorder.ended(start, Performed { steps, ..Performed::new(start, latency, outcome) });
    }
    recorded.run.load = recorder.finish(Duration::ZERO);
    recorded.run.seconds = seconds.iter().collect();
    recorded
}

/// A record of the operation `op`.
pub fn record(runs: Vec<RecordedRun>) -> LoadRecord {
    let environment = Environment::read(&Placement::none(), "stub");
    LoadRecord { runs, ..LoadRecord::new("op", "100 KB".to_owned(), environment) }
}

/// What a service in a process of its own used on a machine with two cores, in samples that lasted so long and had so much
/// CPU, both in ms.
pub fn used(samples: &[(u64, u64)]) -> Resources {
    let mut resources =
        Resources { service: WatchedService::Process { id: 1, cores: 1 }, cores: 2, ..Resources::default() };
    for (second, &(lasting, cpu)) in (0..).zip(samples) {
        let service = SideUse { cpu: Some(Duration::from_millis(cpu)), ..SideUse::default() };
        resources.samples.push(ResourceSample {
            second,
            lasting: Duration::from_millis(lasting),
            generator: SideUse { resident_bytes: Some(1 << 20), ..service },
            service: Some(service),
            both: None,
            machine: MachineUse::default(),
        });
    }
    resources
}
