//! Ends a run whose target is lost: a service that fell over is not kept under load for the rest of the plan.

use std::fmt;
use std::str::FromStr;

use super::plan::{Model, Plan};
use super::profile::ENDLESS;
use super::schedule::Arrivals;
use super::second::Second;
use super::window::Window;
use crate::targets::{Figures, Metric, holds, read_limit};
use crate::units::grouped;

/// Seconds in a row that miss a limit before the run is ended, unless told otherwise.
const AFTER: u64 = 10;
/// Most of them that can be asked for.
const LONGEST: u64 = 3600;
/// Standard deviations by which the number of random arrivals may exceed its mean: more come once in a billion runs.
const DEVIATIONS: f64 = 6.0;

/// A limit that ends the run when it is lost: `p99_ms=500`, or `p99_ms=500,after=30s`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AbortRule {
    metric: Metric,
    limit: f64,
    /// Seconds in a row that have to miss it.
    after: u64,
}

/// Error for a text that is not such a limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{text}\" is not a valid limit to end a run by; write METRIC=NUMBER, with the time that it has to be missed for if that is \
     not 10 s, in whole seconds, like p99_ms=500,after=30s; there are {}",
    Metric::ALL.map(Metric::key).join(", ")
)]
pub struct NotAnAbortRule {
    text: String,
}

impl FromStr for AbortRule {
    type Err = NotAnAbortRule;

    fn from_str(text: &str) -> Result<Self, NotAnAbortRule> {
        rule(text).ok_or_else(|| NotAnAbortRule { text: text.to_owned() })
    }
}

/// Reads a rule; `None` where the text is not a valid one.
fn rule(text: &str) -> Option<AbortRule> {
    let (limit, after) = match text.split_once(',') {
        Some((limit, after)) => (limit, Some(after)),
        None => (text, None),
    };
    let (metric, limit) = read_limit(limit)?;
    let Some(after) = after else { return Some(AbortRule { metric, limit, after: AFTER }) };
    let after = humantime::parse_duration(after.trim().strip_prefix("after=")?.trim()).ok()?;
    if after.subsec_nanos() > 0 || !(1..=LONGEST).contains(&after.as_secs()) {
        return None;
    }
    Some(AbortRule { metric, limit, after: after.as_secs() })
}

impl fmt::Display for AbortRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.metric.key(), self.limit)
    }
}

/// Why a run was ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Aborted {
    rule: AbortRule,
    /// The second after which it was ended.
    second: u64,
    cause: AbortCause,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum AbortCause {
    /// Every second of the rule's window missed the limit.
    Missed,
    /// So many have failed that the rest of the run cannot make up for them.
    Unreachable { failed: u64, planned: u64 },
}

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, second, cause } = self;
        match cause {
            AbortCause::Missed => {
                write!(f, "{rule} was missed in every second of {} s", rule.after)?;
            }
            AbortCause::Unreachable { failed, planned } => {
                write!(
                    f,
                    "{rule} cannot be reached any more, as {} of at most {} requests failed",
                    grouped(*failed),
                    grouped(*planned)
                )?;
            }
        }
        write!(f, "; ended after {} s", second + 1)
    }
}

/// A rule, and for how many seconds in a row it has been missed.
#[derive(Debug)]
struct WatchedRule {
    rule: AbortRule,
    missed: u64,
}

/// Watches a run by its seconds.
#[derive(Debug)]
pub struct AbortWatch {
    rules: Vec<WatchedRule>,
    /// Most requests that can be due, where that is known.
    planned: Option<u64>,
    /// Seconds of the schedule. What comes after it is the end of what was under way, and ends by itself.
    scheduled: u64,
    failed: u64,
    last: Window,
    aborted: Option<Aborted>,
}

impl AbortWatch {
    /// Watches a run of this plan.
    pub fn new(rules: &[AbortRule], plan: &Plan) -> Self {
        let mut watched = Vec::with_capacity(rules.len());
        for rule in rules {
            watched.push(WatchedRule { rule: *rule, missed: 0 });
        }
        let lasting = plan.lasting();
        Self {
            rules: watched,
            planned: most_requests(plan),
            scheduled: if lasting.is_zero() { ENDLESS.as_secs() } else { lasting.as_secs() },
            failed: 0,
            last: Window::default(),
            aborted: None,
        }
    }

    /// Looks at the seconds that are over since the last call. False where the run is to end.
    pub fn see(&mut self, seconds: &[Second]) -> bool {
        // Nothing is unpacked where nobody asked for it.
        if self.rules.is_empty() {
            return true;
        }
        for second in seconds {
            if self.aborted.is_none() && second.index < self.scheduled {
                self.aborted = self.judge(second);
            }
        }
        self.aborted.is_none()
    }

    /// Why the run was ended, if it was.
    pub fn aborted(&self) -> Option<Aborted> {
        self.aborted
    }

    /// Why this second ends the run, if it does.
    fn judge(&mut self, second: &Second) -> Option<Aborted> {
        self.failed += second.failed;
        // The window is that one second, and remembers for how long nothing has ended.
        self.last.pop();
        self.last.push(second);
        let mut aborted = None;
        for watched in &mut self.rules {
            let AbortRule { metric, limit, after } = watched.rule;
            // A second that says nothing neither ends a row of misses nor makes it longer.
            if self.last.judges(metric, limit) {
                let held = self.last.figure(metric).is_some_and(|figure| holds(metric, limit, figure));
                watched.missed = if held { 0 } else { watched.missed + 1 };
            }
            let cause = if watched.missed >= after {
                Some(AbortCause::Missed)
            } else {
                unreachable_rate(metric, limit, self.failed, self.planned)
            };
            if aborted.is_none()
                && let Some(cause) = cause
            {
                aborted = Some(Aborted { rule: watched.rule, second: second.index, cause });
            }
        }
        aborted
    }
}

/// Whether a success rate is lost whatever comes: so many failed that even if all others succeed it is missed.
fn unreachable_rate(metric: Metric, limit: f64, failed: u64, planned: Option<u64>) -> Option<AbortCause> {
    let planned = planned.filter(|_| metric == Metric::SuccessRatePct)?;
    let best = 100.0 * planned.saturating_sub(failed) as f64 / planned.max(1) as f64;
    if failed == 0 || holds(metric, limit, best) {
        return None;
    }
    Some(AbortCause::Unreachable { failed, planned })
}

/// Most requests that can be due in a plan; `None` where nobody knows.
fn most_requests(plan: &Plan) -> Option<u64> {
    let requests = plan.requests()?;
    match &plan.model {
        Model::Open { arrivals: Arrivals::Poisson, .. } => {
            let spread = DEVIATIONS * (requests as f64).sqrt();
            Some(requests + spread.ceil() as u64)
        }
        Model::Open { .. } | Model::Closed { .. } => Some(requests),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fixture_seconds::{Request, seconds};
    use super::super::profile::Profile;
    use super::*;

    /// A plan of so many requests a second for a minute.
    fn open(rate: f64, arrivals: Arrivals) -> Plan {
        Plan::new(Model::Open { rate: Profile::constant(rate, Duration::from_secs(60)), arrivals })
    }

    fn watch(rules: &[&str]) -> AbortWatch {
        let rules: Vec<AbortRule> = rules.iter().map(|text| text.parse().expect("is valid")).collect();
        AbortWatch::new(&rules, &open(2.0, Arrivals::Constant))
    }

    /// Two requests in each second: one succeeds, and the other one as well, or fails.
    fn run(second_fails: &[bool]) -> Vec<Second> {
        let mut requests = Vec::new();
        for (second, fails) in (0..).zip(second_fails) {
            let at = 1000 * second;
            requests.push(Request::ok(at, 10));
            requests.push(if *fails { Request::failed(at, 10) } else { Request::ok(at, 10) });
        }
        seconds(&requests, second_fails.len() as u64)
    }

    /// What ended the run, and the seconds that were seen until then.
    fn ended(watch: &mut AbortWatch, seconds: &[Second]) -> Option<(String, usize)> {
        for (number, second) in (1..).zip(seconds) {
            if !watch.see(std::slice::from_ref(second)) {
                return Some((watch.aborted().expect("has ended it").to_string(), number));
            }
        }
        None
    }

    #[test]
    fn rules_are_read_as_they_are_written() {
        let rule: AbortRule = "p99_ms=500,after=30s".parse().expect("is valid");
        assert_eq!(rule, AbortRule { metric: Metric::P99Ms, limit: 500.0, after: 30 });
        assert_eq!("avg_ms=5".parse(), Ok(AbortRule { metric: Metric::AvgMs, limit: 5.0, after: 10 }));
        for text in [
            "p99_ms",
            "p99=5",
            "p99_ms=5,30s",
            "p99_ms=5,after=500ms",
            "p99_ms=5,after=2h",
            "p99_ms=5,after=",
        ] {
            let refused = text.parse::<AbortRule>().expect_err(text).to_string();
            assert!(refused.contains(text) && refused.contains("p99_ms=500,after=30s"), "{refused}");
        }
    }

    #[test]
    fn every_second_of_a_window_has_to_miss() {
        // Three misses, one second that holds, and five misses.
        let seconds = run(&[true, true, true, false, true, true, true, true, true, true]);
        let found = ended(&mut watch(&["success_rate_pct=80,after=5s"]), &seconds);
        let says = "success_rate_pct=80 was missed in every second of 5 s; ended after 9 s";
        assert_eq!(found, Some((says.to_owned(), 9)));
        assert_eq!(ended(&mut watch(&["success_rate_pct=80"]), &seconds), None);
        // Without rules nothing ends a run.
        assert_eq!(ended(&mut watch(&[]), &seconds), None);
    }

    #[test]
    fn the_first_of_several_rules_ends_it() {
        let seconds = run(&[true; 9]);
        let mut watch = watch(&["max_ms=1000,after=2s", "success_rate_pct=80,after=4s", "p95_ms=5,after=3s"]);
        let (says, seen) = ended(&mut watch, &seconds).expect("ends");
        assert!(says.starts_with("p95_ms=5 was missed in every second of 3 s") && seen == 3, "{says}");
        // Once it has ended it stays so.
        assert!(!watch.see(&[]));
    }

    #[test]
    fn a_rate_that_cannot_be_reached_any_more_ends_it_at_once() {
        // 120 requests in a minute: with 2 failures 98.3 % can be reached, with 3 only 97.5 %.
        let seconds = run(&[false, true, true, true, false]);
        let found = ended(&mut watch(&["success_rate_pct=98"]), &seconds);
        let says = "success_rate_pct=98 cannot be reached any more, as 3 of at most 120 requests failed; ended after 4 s";
        assert_eq!(found, Some((says.to_owned(), 4)));
    }

    #[test]
    fn a_service_that_answers_nothing_has_missed_after_the_limit() {
        let mut requests = vec![Request::ok(0, 10), Request::stuck(500)];
        requests.push(Request::ok(20_500, 10));
        let stuck = seconds(&requests, 21);
        // Nothing ends in the seconds from 1 on: the third of them is the first after more than two seconds of waiting.
        let (_, seen) = ended(&mut watch(&["p99_ms=2500,after=4s"]), &stuck).expect("ends");
        assert_eq!(seen, 1 + 2 + 4);
        // Slow is not silent: with a limit of 30 s it may take that long.
        assert_eq!(ended(&mut watch(&["p99_ms=30000,after=4s"]), &stuck), None);
        assert_eq!(ended(&mut watch(&["success_rate_pct=99,after=4s"]), &stuck), None);
    }

    #[test]
    fn what_ends_after_the_schedule_ends_nothing() {
        let plan = Plan::new(Model::Open {
            rate: Profile::constant(2.0, Duration::from_secs(3)),
            arrivals: Arrivals::Constant,
        });
        let rules = ["throughput_rps=5,after=4s".parse().expect("is valid")];
        assert_eq!(ended(&mut AbortWatch::new(&rules, &plan), &run(&[false; 9])), None);
    }

    #[test]
    fn random_arrivals_may_be_more_than_planned() {
        // 120 expected, and six times their root more.
        assert_eq!(most_requests(&open(2.0, Arrivals::Constant)), Some(120));
        assert_eq!(most_requests(&open(2.0, Arrivals::Poisson)), Some(120 + 66));
    }
}
