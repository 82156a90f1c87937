//! What a step showed: of each limit what counted against it, second by second, and whether the step held.

use super::super::engine::Run;
use super::limit::{CapacityLimit, Ratio, SecondCounts, ratios_of};
use super::plan::{CapacityPlan, CapacityStep};
use crate::stats::Batches;

/// Share of the places for requests that are taken where a service does not answer them fast enough.
const FULL: f64 = 0.9;
/// Confidence with which a level is said to hold or to miss.
const CONFIDENCE: f64 = 0.95;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepOutcome {
    /// Every limit held.
    Held,
    /// One did not.
    Missed,
    /// It says nothing: the generator did not keep up, or the run was broken off.
    Invalid,
}

/// What a step showed.
#[derive(Debug, Clone, PartialEq)]
pub struct StepEvidence {
    /// The level of its rate.
    pub level: i32,
    /// Of each limit, its ratios second by second.
    ratios: Vec<Vec<Ratio>>,
    /// Whether it held.
    pub outcome: StepOutcome,
    /// Whether it was ended early, as it was clearly lost.
    lost: bool,
}

/// Whether the steps of a level, together, say that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LevelVerdict {
    /// Every limit holds, anywhere in its interval.
    Held,
    /// One misses, anywhere in its interval.
    Missed,
    /// Neither is sure.
    Undecided,
    /// The generator did not keep up in any of them.
    Invalid,
}

impl StepEvidence {
    /// What this run of a plan showed, in which at most so many requests could be under way at once.
    pub fn of_run(plan: &CapacityPlan, step: &CapacityStep, run: &Run, at_once: usize) -> Self {
        // A step that was ended early may not have come beyond the seconds that are left out otherwise. What it was ended for
        // is in those that follow its slow start.
        let settling = if step.lost { plan.unwatched() } else { plan.settling() };
        let mut ratios = vec![Vec::new(); plan.limits.len()];
        for second in run.seconds.iter().filter(|second| second.index >= settling) {
            for (ratios, ratio) in ratios.iter_mut().zip(ratios_of(&plan.limits, second)) {
                ratios.push(ratio);
            }
        }
        let unfinished = run.load.unfinished.count();
        if unfinished > 0 {
            let counts = SecondCounts { failed: unfinished, ..SecondCounts::default() };
            for (ratios, limit) in ratios.iter_mut().zip(&plan.limits) {
                ratios.push(limit.ratio(&counts));
            }
        }
        let is_valid =
            kept_up(run, at_once, under_way_at_limit(plan, step.level)) && (step.lost || !run.partial);
        Self::new(&plan.limits, step.level, ratios, is_valid, step.lost)
    }

    /// A step of which this was counted.
    pub(super) fn new(
        limits: &[CapacityLimit],
        level: i32,
        ratios: Vec<Vec<Ratio>>,
        is_valid: bool,
        lost: bool,
    ) -> Self {
        let mut evidence = Self { level, ratios, outcome: StepOutcome::Invalid, lost };
        if is_valid {
            let mut held = !lost;
            for (place, limit) in limits.iter().enumerate() {
                held &= limit.holds(evidence.sum(place));
            }
            evidence.outcome = if held { StepOutcome::Held } else { StepOutcome::Missed };
        }
        evidence
    }

    /// The ratio of a limit over the whole step.
    pub fn sum(&self, limit: usize) -> Ratio {
        let mut sum = Ratio::default();
        for ratio in &self.ratios[limit] {
            sum.add(*ratio);
        }
        sum
    }
}

/// Whether the generator kept up. A service that leaves so many requests unanswered that no further one finds a place makes
/// them begin late, which is its own doing and not the generator's. That is so where a limit is lost with as many under way:
/// with fewer places than that, it is the places that are too few.
fn kept_up(run: &Run, at_once: usize, under_way_at_limit: f64) -> bool {
    let health = run.health();
    let full = FULL * at_once as f64;
    let was_full = run.seconds.iter().any(|second| second.in_flight as f64 >= full);
    health.is_valid() || (was_full && full >= under_way_at_limit && health.late_only)
}

/// Requests under way at this level with which the mean latency is the shortest limit on one, by Little's law; none where no
/// latency is limited.
fn under_way_at_limit(plan: &CapacityPlan, level: i32) -> f64 {
    let shortest = plan.limits.iter().filter_map(CapacityLimit::latency).min().unwrap_or_default();
    plan.rate(f64::from(level)) * shortest.as_secs_f64()
}

/// Whether a level holds, by all of its steps.
pub fn verdict_of_level(limits: &[CapacityLimit], steps: &[&StepEvidence]) -> LevelVerdict {
    let mut valid = Vec::new();
    for step in steps {
        if step.outcome != StepOutcome::Invalid {
            valid.push(*step);
        }
    }
    if valid.is_empty() {
        return LevelVerdict::Invalid;
    }
    // A step is ended early where it has missed by far; it has too few seconds for an interval.
    if valid.iter().any(|step| step.lost) {
        return LevelVerdict::Missed;
    }
    let mut verdict = LevelVerdict::Held;
    for (place, limit) in limits.iter().enumerate() {
        let mut batches = Batches::default();
        for step in &valid {
            for ratio in &step.ratios[place] {
                batches.add(ratio.above, ratio.below);
            }
        }
        match batches.interval(CONFIDENCE) {
            Some((lower, _)) if lower > limit.allowed() => return LevelVerdict::Missed,
            Some((_, upper)) if upper <= limit.allowed() => {}
            _ => verdict = LevelVerdict::Undecided,
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::fixture::{Request, record};
    use super::super::plan::Recovery;
    use super::*;
    use crate::targets::Metric;

    fn limits() -> Vec<CapacityLimit> {
        let p95 = CapacityLimit::new((Metric::P95Ms, 100.0));
        vec![p95.expect("can be looked for")]
    }

    /// A step with so many of a hundred slow in each second.
    fn step(slow: &[u32], is_valid: bool, lost: bool) -> StepEvidence {
        let mut ratios = Vec::new();
        for slow in slow {
            ratios.push(Ratio { above: f64::from(*slow), below: 100.0 });
        }
        StepEvidence::new(&limits(), 7, vec![ratios], is_valid, lost)
    }

    #[test]
    fn a_step_holds_by_all_of_its_seconds_together() {
        // 10 of 200 are the 5 % that are allowed, 11 are not.
        assert_eq!(step(&[0, 10], true, false).outcome, StepOutcome::Held);
        assert_eq!(step(&[0, 11], true, false).outcome, StepOutcome::Missed);
        assert_eq!(step(&[0, 11], false, false).outcome, StepOutcome::Invalid);
        // One that was given up has missed, whatever was counted until then.
        assert_eq!(step(&[0], true, true).outcome, StepOutcome::Missed);
    }

    #[test]
    fn too_few_places_are_not_the_limit_of_the_service() {
        // With 100 requests a second and a limit of 100 ms, ten are under way when the mean latency is the limit.
        let plan = CapacityPlan {
            limits: limits(),
            from: 100.0,
            highest: None,
            lasting: Duration::from_secs(1),
            fine_steps: 24,
            seed: 1,
        };
        assert_eq!(under_way_at_limit(&plan, 16), 20.0);
        let recovery = Recovery { took: Duration::ZERO, complete: true };
        let step = CapacityStep { service: 0, level: 0, confirms: false, lost: false, recovery };
        let request = Request { at: Duration::ZERO, took: Duration::from_millis(5) };
        let mut run = record(0, 1, Duration::ZERO, &[request]).runs.remove(0).run;
        // One that began late, and nothing else is wrong.
        run.load.times.send_delay.record(Duration::from_millis(300));
        for (in_flight, at_once, outcome) in [
            (11, 12, StepOutcome::Held),
            // Nine of ten places are fewer than the ten that the limit allows.
            (11, 10, StepOutcome::Invalid),
            (10, 12, StepOutcome::Invalid),
        ] {
            run.seconds[0].in_flight = in_flight;
            let evidence = StepEvidence::of_run(&plan, &step, &run, at_once);
            assert_eq!(evidence.outcome, outcome, "{in_flight} of {at_once}");
        }
    }

    fn verdict(steps: &[&StepEvidence]) -> LevelVerdict {
        verdict_of_level(&limits(), steps)
    }

    #[test]
    fn a_level_is_decided_where_its_interval_says_so() {
        let quiet = step(&[1, 2, 1, 2, 1, 2, 1, 2, 1, 2], true, false);
        let slow = step(&[9, 8, 9, 8, 9, 8, 9, 8, 9, 8], true, false);
        // A mean of 5 with a standard error above 1.
        let edge = step(&[0, 10, 1, 9, 0, 10, 1, 9, 0, 10], true, false);
        assert_eq!(verdict(&[&quiet]), LevelVerdict::Held);
        assert_eq!(verdict(&[&slow]), LevelVerdict::Missed);
        assert_eq!(verdict(&[&edge]), LevelVerdict::Undecided);
        // Three seconds have no interval.
        assert_eq!(verdict(&[&step(&[0, 0, 0], true, false)]), LevelVerdict::Undecided);
        assert_eq!(verdict(&[&step(&[9], true, true)]), LevelVerdict::Missed);
        assert_eq!(verdict(&[&step(&[9], false, false)]), LevelVerdict::Invalid);
        // One that says nothing changes nothing.
        assert_eq!(verdict(&[&quiet, &step(&[90], false, false)]), LevelVerdict::Held);
    }
}
