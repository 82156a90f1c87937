//! Run files of shards that never ran, as many as are asked for: what `ci/scale.sh` merges, to see how far a merge goes.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rand::RngExt;

use super::fixture::{Request, record};
use super::plan::{Model, Plan};
use super::profile::Profile;
use super::schedule::{Arrivals, Schedule, Stream, random};
use super::shard::Shard;

/// Mean latency of a request, in seconds.
const MEAN_S: f64 = 0.005;
/// Shortest latency of a request, in seconds.
const LEAST_S: f64 = 0.000_1;

/// A number from the environment.
fn asked(name: &str) -> u32 {
    let text = std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; ci/scale.sh sets it"));
    text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}"))
}

/// The requests of a shard of an even schedule with this rate a second, each with a latency from the exponential
/// distribution.
fn requests(shard: Shard, rate: u64, seconds: u64) -> Vec<Request> {
    let mut rng = random(7, Stream::Mix, u64::from(shard.index()));
    let gap = 1e9 / rate as f64;
    let mut requests = Vec::new();
    for index in (u64::from(shard.index())..rate * seconds).step_by(shard.of() as usize) {
        let latency = LEAST_S - MEAN_S * (1.0 - rng.random::<f64>()).ln();
        let at = Duration::from_nanos((index as f64 * gap) as u64);
        requests.push(Request { at, took: Duration::from_secs_f64(latency) });
    }
    requests
}

#[test]
#[ignore = "writes hundreds of MB and takes minutes: for ci/scale.sh, in a release build"]
fn run_files_of_shards_that_never_ran() {
    let folder = PathBuf::from(std::env::var_os("SCALE_FOLDER").expect("SCALE_FOLDER is set"));
    let of = asked("SCALE_SHARDS");
    let rate = u64::from(asked("SCALE_RATE"));
    let seconds = u64::from(asked("SCALE_SECONDS"));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let folder = &folder;
            scope.spawn(move || {
                for index in (worker as u32..of).step_by(workers) {
                    let shard = Shard::new(index, of).expect("is one");
                    let mut record = record(index, of, Duration::ZERO, &requests(shard, rate, seconds));
                    let level = Profile::constant(rate as f64, Duration::from_secs(seconds));
                    let model = Model::Open { rate: level, arrivals: Arrivals::Constant };
                    record.operation = "load".to_owned();
                    record.runs[0].plan = Plan { shard, ..Plan::new(model) };
                    let name = format!("load.shard-{index:06}-of-{of}.run.json");
                    record.save(&folder.join(name)).expect("writes");
                }
            });
        }
    });
}

/// Requests of the schedule that is walked through.
const WALKED: u32 = 5_000_000;

#[test]
#[ignore = "measures: for ci/scale.sh, in a release build"]
fn time_of_finding_a_request() {
    let shard = Shard::new(3, 1_000).expect("is one");
    for arrivals in [Arrivals::Constant, Arrivals::Poisson] {
        let rate = Profile::constant(f64::from(WALKED), Duration::from_secs(2));
        let schedule = Schedule::new(rate, arrivals, 7).take(WALKED as usize);
        let begun = Instant::now();
        let own = schedule.filter(|(index, _)| shard.has_arrival(arrivals, 7, *index)).count();
        let each = begun.elapsed() / WALKED;
        // One in a thousand is this shard's.
        assert!(own.abs_diff(WALKED as usize / 1_000) < 500, "{own}");
        println!("| finding requests, {arrivals} | {each:?} for each request of the whole run |");
    }
}
