//! Records of shards that never ran, for tests.

use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use super::drive::Sink;
use super::engine::Run;
use super::health::Readings;
use super::plan::{Model, Plan};
use super::profile::Profile;
use super::record::{LoadRecord, RecordedRun};
use super::recorder::LoadRecorder;
use super::schedule::Arrivals;
use super::shard::Shard;
use super::shard_record::{ShardClock, ShardRecord};
use crate::machine::{Environment, Placement};
use crate::recording::{Class, Failure, Finished, Outcome, Performed, PerformedStep};

static GO: AtomicBool = AtomicBool::new(false);

/// How long a request takes that fails.
const FAILS: Duration = Duration::from_millis(13);

/// A request that began when it was due.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// When that was, since the start.
    pub at: Duration,
    /// How long it took.
    pub took: Duration,
}

/// The record of a shard that began so long after a certain time, in which these requests were made; those that took 13 ms
/// failed.
pub fn record(index: u32, of: u32, after: Duration, requests: &[Request]) -> LoadRecord {
    record_of_steps(index, of, after, requests, &[])
}

/// The same of requests that consist of two steps with these names, or of none.
pub fn record_of_steps(
    index: u32,
    of: u32,
    after: Duration,
    requests: &[Request],
    names: &[String],
) -> LoadRecord {
    let shard = Shard::new(index, of).expect("is one");
    let start = Instant::now();
    let (done, seconds) = mpsc::channel();
    let mut recorder = LoadRecorder::new(start, &GO, done).of_steps(names);
    // In the order of their ends: a request is counted in the second in which its end is noticed.
    let mut requests = requests.to_vec();
    requests.sort_by_key(|request| request.at + request.took);
    for request in requests {
        let began = start + request.at;
        let failure = Failure::new(Class::Other, "it took 13 ms");
        let outcome = if request.took == FAILS { Err(failure) } else { Ok(()) };
        let steps = if names.is_empty() { Vec::new() } else { steps_of(request.took, &outcome) };
        recorder.begins(began);
        recorder.ended(began, Performed { steps, ..Performed::new(began, request.took, outcome) });
    }
    let load = recorder.finish(Duration::ZERO);
    let started = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000) + after;
    let lasted = load.responses.elapsed;
    let clock = ShardClock { agreed: None, started, ended: started + lasted, lasted };
    let run = Run {
        load,
        seconds: seconds.iter().collect(),
        generator: Readings { threads: 1, cores: 1, ..Readings::default() },
        resources: None,
        partial: false,
        started_at: started,
        start: None,
    };
    let rate = Profile::constant(100.0, Duration::from_secs(10));
    let plan = Plan { shard, ..Plan::new(Model::Open { rate, arrivals: Arrivals::Constant }) };
    let environment = Environment::read(&Placement::none(), "stub");
    LoadRecord {
        shard: Some(ShardRecord { shard, plan_hash: "of the test".to_owned(), clock }),
        runs: vec![RecordedRun { step: None, plan, run, phases: None }],
        ..LoadRecord::new("op", "100 KB".to_owned(), environment)
    }
}

/// The steps of a request: a third of its time and the rest, or all of it where it fails in its first step.
fn steps_of(took: Duration, outcome: &Outcome) -> Vec<PerformedStep> {
    if outcome.is_err() {
        return vec![step(took, outcome.clone())];
    }
    let first = took / 3;
    vec![step(first, Ok(())), step(took - first, Ok(()))]
}

fn step(latency: Duration, outcome: Outcome) -> PerformedStep {
    PerformedStep { finished: Finished { latency, outcome }, requests: 1 }
}
