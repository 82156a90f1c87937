//! The steps of operations that consist of several: how often each began, how it ended, and how long it took.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::recording::{Class, PerformedStep, Recorder, Recording, Samples};

/// Record of the steps of one worker's operations.
#[derive(Debug, Default)]
pub(super) struct StepsRecorder(Vec<StepRecorder>);

/// Record of one step.
#[derive(Debug)]
struct StepRecorder {
    name: String,
    recorder: Recorder,
    requests: u64,
    not_reached: u64,
    in_successes_ns: u128,
}

/// Everything that was recorded of one step. An operation that has ended was ok or failed in it, or did not reach it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepRecording {
    /// What reports and limits call it.
    pub name: String,
    /// Service times of successes; failures by class.
    pub outcomes: Recording,
    /// Requests that it took in all.
    pub requests: u64,
    /// Operations that failed before they came to it.
    pub not_reached: u64,
    /// Time that it took in operations that succeeded as a whole, summed, in ns. The sum over all steps is that of the
    /// operations' service times.
    pub in_successes_ns: u128,
}

impl StepsRecorder {
    /// A record of operations with these steps.
    pub fn new(names: &[String]) -> Self {
        let mut steps = Vec::with_capacity(names.len());
        for name in names {
            steps.push(StepRecorder {
                name: name.clone(),
                recorder: Recorder::default(),
                requests: 0,
                not_reached: 0,
                in_successes_ns: 0,
            });
        }
        Self(steps)
    }

    /// Counts an operation that has ended, by the steps that it performed.
    pub fn record(&mut self, performed: Vec<PerformedStep>, succeeded: bool) {
        let mut performed = performed.into_iter();
        for step in &mut self.0 {
            match performed.next() {
                Some(one) => step.record(one, succeeded),
                // A step before it failed, and ended the operation.
                None => step.not_reached += 1,
            }
        }
    }

    /// Ends the record of a run that took so long.
    pub fn finish(self, elapsed: Duration) -> Vec<StepRecording> {
        let mut recordings = Vec::with_capacity(self.0.len());
        for mut step in self.0 {
            step.recorder.pass(elapsed);
            recordings.push(StepRecording {
                name: step.name,
                outcomes: step.recorder.finish(),
                requests: step.requests,
                not_reached: step.not_reached,
                in_successes_ns: step.in_successes_ns,
            });
        }
        recordings
    }
}

impl StepRecorder {
    fn record(&mut self, PerformedStep { finished, requests }: PerformedStep, succeeded: bool) {
        self.requests += requests;
        if succeeded {
            self.in_successes_ns += finished.latency.as_nanos();
        }
        self.recorder.record(finished);
    }
}

impl StepRecording {
    /// How often it began, in operations that have ended.
    pub fn begun(&self) -> u64 {
        self.outcomes.total()
    }

    fn merge(&mut self, other: Self) {
        self.outcomes.merge(other.outcomes);
        // A file may hold any number.
        self.requests = self.requests.saturating_add(other.requests);
        self.not_reached = self.not_reached.saturating_add(other.not_reached);
        self.in_successes_ns = self.in_successes_ns.saturating_add(other.in_successes_ns);
    }
}

/// Whether these are recordings of the same steps, in the same order.
pub(super) fn are_alike(steps: &[StepRecording], others: &[StepRecording]) -> bool {
    let names = steps.iter().map(|step| &step.name);
    names.eq(others.iter().map(|step| &step.name))
}

/// The names of steps, for people.
pub(super) fn listed(steps: &[StepRecording]) -> String {
    if steps.is_empty() {
        return "no steps".to_owned();
    }
    let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
    format!("the steps {}", names.join(", "))
}

/// Adds what another worker has recorded of the same steps.
pub(super) fn merge(steps: &mut Vec<StepRecording>, other: Vec<StepRecording>) {
    for added in other {
        let known = steps.iter_mut().find(|known| known.name == added.name);
        match known {
            Some(known) => known.merge(added),
            // The first worker is merged into a recording of nothing.
            None => steps.push(added),
        }
    }
}

/// Whether the steps come to what was recorded of their operations: each operation that has ended began a step if it was ok
/// in the one before, failed in one step at most and there as it failed as a whole, and took the time of its steps. `service`
/// has the service times of the operations that succeeded.
pub(super) fn add_up(steps: &[StepRecording], operations: &Recording, service: &Samples) -> bool {
    // An operation without steps has nothing to add up.
    if steps.is_empty() {
        return true;
    }
    let mut reached = operations.total();
    let mut failed: BTreeMap<Class, u64> = BTreeMap::new();
    // The numbers of a file may be any: neither these sums nor those below may overflow.
    let mut took_ns: u128 = 0;
    for step in steps {
        if step.begun() != reached || step.begun().checked_add(step.not_reached) != Some(operations.total()) {
            return false;
        }
        for (class, of_class) in &step.outcomes.failed {
            *failed.entry(*class).or_default() += of_class.latency.count();
        }
        took_ns = took_ns.saturating_add(step.in_successes_ns);
        reached = step.outcomes.ok.count();
    }
    let mut failed_as_a_whole: BTreeMap<Class, u64> = BTreeMap::new();
    for (class, of_class) in &operations.failed {
        failed_as_a_whole.insert(*class, of_class.latency.count());
    }
    reached == operations.ok.count() && failed == failed_as_a_whole && took_ns == service.sum_ns()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::{Failure, Finished, Outcome};

    fn names() -> Vec<String> {
        ["first", "second", "third"].map(str::to_owned).to_vec()
    }

    fn step(ms: u64, requests: u64, outcome: Outcome) -> PerformedStep {
        PerformedStep { finished: Finished { latency: Duration::from_millis(ms), outcome }, requests }
    }

    fn failed() -> Outcome {
        Err(Failure::status(503, "busy"))
    }

    /// Three operations: one that succeeds in 1 + 20 + 3 ms, and two that fail, in their second and in their first step.
    fn recorded() -> StepsRecorder {
        let mut recorder = StepsRecorder::new(&names());
        recorder.record(vec![step(1, 1, Ok(())), step(20, 4, Ok(())), step(3, 1, Ok(()))], true);
        recorder.record(vec![step(2, 1, Ok(())), step(50, 9, failed())], false);
        recorder.record(vec![step(7, 1, failed())], false);
        recorder
    }

    /// What a run records of the same operations as a whole, and their service times.
    fn whole() -> (Recording, Samples) {
        let mut recorder = Recorder::default();
        let mut service = Samples::default();
        for (ms, outcome) in [(24, Ok(())), (52, failed()), (7, failed())] {
            if outcome.is_ok() {
                service.record(Duration::from_millis(ms));
            }
            recorder.record(Finished { latency: Duration::from_millis(ms), outcome });
        }
        (recorder.finish(), service)
    }

    #[test]
    fn an_operation_is_ok_failed_or_not_there_in_each_step() {
        let steps = recorded().finish(Duration::from_secs(1));
        let mut counts = Vec::new();
        for step in &steps {
            counts.push([
                step.begun(),
                step.outcomes.ok.count(),
                step.outcomes.failures(),
                step.not_reached,
                step.requests,
            ]);
        }
        assert_eq!(counts, [[3, 2, 1, 0, 3], [2, 1, 1, 1, 13], [1, 1, 0, 2, 1]]);
        assert_eq!(steps[1].outcomes.failed[&Class::Http5xx].example, "busy");
        assert_eq!(steps[1].outcomes.elapsed, Duration::from_secs(1));
    }

    #[test]
    fn the_times_of_a_success_are_those_of_its_steps() {
        let steps = recorded().finish(Duration::ZERO);
        let ns: Vec<u128> = steps.iter().map(|step| step.in_successes_ns).collect();
        assert_eq!(ns, [1_000_000, 20_000_000, 3_000_000]);
        // The first step also has the 2 ms of an operation that failed later.
        assert_eq!(steps[0].outcomes.ok.sum_ns(), 3_000_000);
        let (operations, service) = whole();
        assert!(add_up(&steps, &operations, &service));
    }

    #[test]
    fn what_does_not_add_up_is_noticed() {
        let (operations, service) = whole();
        let mut later = recorded().finish(Duration::ZERO);
        later[2].not_reached += 1;
        assert!(!add_up(&later, &operations, &service), "an operation too many");
        let mut longer = recorded().finish(Duration::ZERO);
        longer[0].in_successes_ns += 1;
        assert!(!add_up(&longer, &operations, &service), "a nanosecond too many");
        let mut other = Recorder::default();
        other.record(Finished { latency: Duration::from_millis(24), outcome: Ok(()) });
        // As many failures, and one of them in another class.
        other.record(Finished { latency: Duration::from_millis(52), outcome: failed() });
        let outcome = Err(Failure::new(Class::Timeout, "late"));
        other.record(Finished { latency: Duration::from_millis(7), outcome });
        let steps = recorded().finish(Duration::ZERO);
        assert!(!add_up(&steps, &other.finish(), &service), "another class");
        assert!(add_up(&[], &operations, &service), "it has no steps");
    }

    #[test]
    fn workers_are_merged_step_by_step() {
        let mut merged = Vec::new();
        merge(&mut merged, recorded().finish(Duration::from_secs(1)));
        merge(&mut merged, StepsRecorder::new(&names()).finish(Duration::from_secs(2)));
        merge(&mut merged, recorded().finish(Duration::from_secs(1)));
        let twice: Vec<u64> = merged.iter().map(StepRecording::begun).collect();
        assert_eq!(twice, [6, 4, 2]);
        assert_eq!((merged[1].requests, merged[1].not_reached), (26, 2));
        assert_eq!(merged[1].in_successes_ns, 40_000_000);
    }
}
