//! `--preset stress`: more and more users, until a target breaks.

use std::time::Duration;

use crate::load::Plan;
use crate::report::PerformanceReport;
use crate::{Error, Verdict};

use super::schedule::ScheduleArgs;

/// Where a stress run begins and ends unless told otherwise. It begins low: a service that breaks at the first step has
/// told nothing.
const FROM: u32 = 1;
const TO: u32 = 1000;
/// How long a step lasts unless told otherwise.
const LASTING: Duration = Duration::from_secs(10);

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
    report.verdict() != Verdict::Held || report.partial
}

/// What became of a step, for people.
pub fn outcome(report: &PerformanceReport) -> &'static str {
    match report.verdict() {
        Verdict::Untrusted => "not to be trusted",
        _ if report.partial => "ended early",
        Verdict::Held => "held",
        Verdict::Missed => "broke",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_begin_low_and_end_where_they_are_told_to() {
        assert_eq!(users(1, 1000, None), [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]);
        assert_eq!(users(3, 30, None), [3, 5, 10, 20, 30]);
        assert_eq!(users(100, 300, Some(100)), [100, 200, 300]);
        assert_eq!(users(7, 7, None), [7]);
        assert_eq!(users(100_000, 100_000, None), [100_000]);
    }
}
