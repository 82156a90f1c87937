//! `--preset stress`: more and more users, until a target breaks.

use std::time::Duration;

use ingester_perf::Error;
use ingester_perf::load::Plan;
use ingester_perf::report::{PerformanceReport, RunReport};

use super::schedule::ScheduleArgs;

/// Where a stress run begins and ends unless told otherwise. It begins low: a service that breaks at the first step has
/// told nothing.
const FROM: u32 = 1;
const TO: u32 = 1000;
/// How long a step lasts unless told otherwise.
const LASTING: Duration = Duration::from_secs(10);
/// Throughput that rises by less than this share from one step to the next has stopped growing.
const GROWTH: f64 = 0.05;

/// The steps: how many users, and what is to be done.
pub fn steps(args: &ScheduleArgs) -> Result<Vec<(u32, Plan)>, Error> {
    let lasting = args.duration.unwrap_or(LASTING);
    let from = args.from.unwrap_or(FROM);
    let to = args.to.unwrap_or(TO.max(from));
    if to < from {
        return Err(Error::Setting { name: "--to", problem: format!("{to} is below --from {from}") });
    }
    let users = users(from, to, args.step);
    Ok(users.into_iter().map(|users| (users, args.of_users(users, lasting))).collect())
}

/// Numbers of users from the first to the last: a step apart, or 1, 2 and 5 times the powers of ten between them.
fn users(from: u32, to: u32, step: Option<u32>) -> Vec<u32> {
    if let Some(step) = step {
        return (from..=to).step_by(step as usize).collect();
    }
    // Each step is about twice the last one, so a few steps span the whole range.
    let mut users = vec![from];
    let mut power = 1;
    while power <= to {
        users
            .extend([1, 2, 5].map(|digit| digit * power).into_iter().filter(|n| (from + 1..=to).contains(n)));
        power *= 10;
    }
    // The last number of the range may have been among these.
    users.push(to);
    users.dedup();
    users
}

/// Whether a step ends the run: a target was missed, or the generator did not keep up.
pub fn ends(report: &PerformanceReport) -> bool {
    !report.held() || !report.is_valid() || report.partial
}

/// What became of a step, for people.
pub fn outcome(report: &PerformanceReport) -> &'static str {
    if !report.is_valid() {
        "not to be trusted"
    } else if report.partial {
        "ended early"
    } else if report.held() {
        "held"
    } else {
        "broke"
    }
}

/// What the steps showed, in sentences: which one broke, and where throughput stopped growing.
pub fn conclusion(steps: &[(u32, PerformanceReport)]) -> Vec<String> {
    let mut said = Vec::new();
    match steps.last() {
        Some((users, report)) if !report.is_valid() => {
            said.push(format!(
                "At {} the generator did not keep up: what the service holds is not known.",
                people(*users)
            ));
        }
        Some((users, report)) if !report.held() => said.push(format!("It broke at {}.", people(*users))),
        Some((users, report)) if !report.partial => said.push(format!("It held up to {}.", people(*users))),
        _ => {}
    }
    // Told also where nothing broke: from there on more users only wait for each other.
    let rows: Vec<(u32, f64)> =
        steps.iter().filter_map(|(users, report)| Some((*users, report.throughput_rps?))).collect();
    let stopped = rows.windows(2).find(|pair| pair[1].1 < pair[0].1 * (1.0 + GROWTH));
    if let Some([(users, rate), _]) = stopped {
        let users = people(*users);
        said.push(format!("Throughput stopped growing at {users}, with {rate:.0} uploads a second."));
    }
    said
}

/// A number of users, for people.
pub fn people(users: u32) -> String {
    if users == 1 { "1 user".to_owned() } else { format!("{users} users") }
}

/// The steps as rows of a report.
pub fn rows(steps: &[(u32, PerformanceReport)]) -> Vec<RunReport> {
    steps.iter().map(|(users, report)| report.row(people(*users))).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ingester_perf::recording::{Finished, Recorder};
    use ingester_perf::targets::{Metric, Targets};

    use super::*;

    /// A step with so many uploads in a second, that took so long.
    fn step(users: u32, rate: u64, ms: u64) -> (u32, PerformanceReport) {
        let mut recorder = Recorder::default();
        let latency = Duration::from_millis(ms);
        for _ in 0..rate {
            recorder.record(Finished { latency, outcome: Ok(()) });
        }
        recorder.pass(Duration::from_secs(1));
        let targets = Targets::default().with("stress", (Metric::P95Ms, 100.0));
        (users, PerformanceReport::new("stress", &recorder.finish()).judge(&targets))
    }

    #[test]
    fn steps_begin_low_and_end_where_they_are_told_to() {
        assert_eq!(users(1, 1000, None), [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]);
        assert_eq!(users(3, 30, None), [3, 5, 10, 20, 30]);
        assert_eq!(users(100, 300, Some(100)), [100, 200, 300]);
        assert_eq!(users(7, 7, None), [7]);
        assert_eq!(users(100_000, 100_000, None), [100_000]);
    }

    #[test]
    fn the_step_that_broke_and_the_end_of_growth_are_said() {
        // Limits of 100 ms on p95, which the last step misses. From 900 to 910 uploads a second are 1 %, less than 5 %.
        let steps = [step(100, 500, 10), step(200, 900, 20), step(300, 910, 60), step(400, 905, 120)];
        assert_eq!(
            conclusion(&steps),
            ["It broke at 400 users.", "Throughput stopped growing at 200 users, with 900 uploads a second."]
        );
        assert!(ends(&steps[3].1) && !ends(&steps[2].1));
        assert_eq!(conclusion(&steps[..2]), ["It held up to 200 users."]);
    }
}
