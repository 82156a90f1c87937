//! Seconds of runs that never took place, for tests.

use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::board::{BaselineLatency, RunAbout};
use crate::load::{
    Arrivals, ENDLESS, LoadRecorder, MachineUse, Model, Plan, Profile, ResourceSample, Second, SideUse, Sink,
};
use crate::recording::{Class, Failure, Performed};

static GO: AtomicBool = AtomicBool::new(false);

/// The seconds of a run in which requests were due at these times, began 1 ms late and took so long, all in ms. One that took a
/// multiple of 7 ms was reset; one that took no time never ended.
pub(super) fn seconds(requests: &[(u64, u64)]) -> Vec<Second> {
    let start = Instant::now();
    let (done, seconds) = mpsc::channel();
    let mut recorder = LoadRecorder::new(start, &GO, done);
    for &(at, took) in requests {
        let due = start + Duration::from_millis(at);
        let began = due + Duration::from_millis(1);
        recorder.begins(began);
        if took == 0 {
            continue;
        }
        let failure = Failure::new(Class::Reset, "gone");
        let outcome = if took.is_multiple_of(7) { Err(failure) } else { Ok(()) };
        recorder.ended(due, Performed::new(began, Duration::from_millis(took), outcome));
    }
    recorder.finish(Duration::ZERO);
    seconds.iter().collect()
}

/// A run of the operation `op` that is held beside an earlier one.
pub(super) fn about() -> RunAbout {
    let baseline = BaselineLatency { name: "main.json".to_owned(), p50_ms: 2.0, p95_ms: 20.0, p99_ms: 50.0 };
    RunAbout {
        operation: "op".to_owned(),
        title: "Loading stub".to_owned(),
        version: "0.1.0".to_owned(),
        seed: 42,
        shard: None,
        baseline: Some(baseline),
    }
}

/// A plan of so many users, and of so many requests.
pub(super) fn closed(users: u32, requests: Option<u64>) -> Plan {
    let users = Profile::constant(f64::from(users), ENDLESS);
    Plan::new(Model::Closed { users, requests, think: Duration::ZERO })
}

/// A plan of arrivals at the rate of this stage.
pub(super) fn open(stage: &str) -> Plan {
    let rate = Profile::new(vec![stage.parse().expect("is a stage")]);
    Plan::new(Model::Open { rate, arrivals: Arrivals::Constant })
}

/// Half a second in which the generator had 300 ms of CPU, beside a service in the same process.
pub(super) fn used() -> ResourceSample {
    let cpu = Some(Duration::from_millis(300));
    ResourceSample {
        second: 0,
        lasting: Duration::from_millis(500),
        generator: SideUse { cpu, ..SideUse::default() },
        service: None,
        both: Some(SideUse { resident_bytes: Some(4_096), ..SideUse::default() }),
        machine: MachineUse::default(),
    }
}
