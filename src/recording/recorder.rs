//! The cheap, mutable record of a worker, and the final recording that reports are made from.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::outcome::{Class, Finished};
use super::samples::Samples;
use crate::stats::Batches;

/// Counts operations by outcome, each with its latency. One worker owns it; nothing is shared.
#[derive(Debug, Default)]
pub struct Recorder {
    ok: Samples,
    latencies: Batches,
    rates: Batches,
    /// Number of successes when the last pass ended.
    ok_before: u64,
    failed: BTreeMap<Class, Failed>,
    failures_in_a_row: u64,
    last_failure: Option<String>,
    elapsed: Duration,
    passes: u64,
}

/// The failures of one class.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    /// Times that they took to fail.
    pub latency: Samples,
    /// How many had which status.
    pub statuses: BTreeMap<u16, u64>,
    /// Times that the service asked to wait (`Retry-After`).
    pub retry_after: Samples,
    /// Message of the first one.
    pub example: String,
}

impl Failed {
    fn merge(&mut self, other: &Self) {
        self.latency.merge(&other.latency);
        self.retry_after.merge(&other.retry_after);
        for (status, n) in &other.statuses {
            // Those of a file may be any number.
            let counted = self.statuses.entry(*status).or_default();
            *counted = counted.saturating_add(*n);
        }
    }
}

impl Recorder {
    /// Counts one operation.
    pub fn record(&mut self, Finished { latency, outcome }: Finished) {
        let Err(failure) = outcome else {
            self.failures_in_a_row = 0;
            self.latencies.add(latency.as_nanos() as f64, 1.0);
            self.ok.record(latency);
            return;
        };
        self.failures_in_a_row += 1;
        self.last_failure = Some(failure.message.clone());
        // Only the first message of a class is kept: a run may fail millions of times.
        let failed = self.failed.entry(failure.class).or_default();
        if failed.latency.count() == 0 {
            failed.example = failure.message;
        }
        failed.latency.record(latency);
        if let Some(wait) = failure.retry_after {
            failed.retry_after.record(wait);
        }
        if let Some(status) = failure.status {
            *failed.statuses.entry(status).or_default() += 1;
        }
    }

    /// Ends a pass: `elapsed` is the wall time in which the operations recorded since the last one ran.
    pub fn pass(&mut self, elapsed: Duration) {
        if !elapsed.is_zero() {
            self.rates.add((self.ok.count() - self.ok_before) as f64, elapsed.as_secs_f64());
        }
        self.ok_before = self.ok.count();
        self.elapsed += elapsed;
        self.passes += 1;
    }

    /// Operations so far, and how many of them were ok.
    pub fn counts(&self) -> (u64, u64) {
        let failed: u64 = self.failed.values().map(|failed| failed.latency.count()).sum();
        (self.ok.count() + failed, self.ok.count())
    }

    /// Failures since the last success.
    pub fn failures_in_a_row(&self) -> u64 {
        self.failures_in_a_row
    }

    /// What the last failure said.
    pub fn last_failure(&self) -> Option<&str> {
        self.last_failure.as_deref()
    }

    /// Ends the record.
    pub fn finish(self) -> Recording {
        Recording {
            ok: self.ok,
            latencies: self.latencies,
            rates: self.rates,
            failed: self.failed,
            elapsed: self.elapsed,
            passes: self.passes,
        }
    }
}

/// Everything that was recorded, final. `total = ok + the failures of every class`, by construction.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// Latencies of successes.
    pub ok: Samples,
    /// The same latencies in ns, in the order in which they came, for the interval of their mean. Empty after several workers
    /// were merged, because their operations overlap in time and have no common order.
    pub latencies: Batches,
    /// Successes over seconds of each pass, in order. Empty in the same cases.
    pub rates: Batches,
    /// Failures by class.
    pub failed: BTreeMap<Class, Failed>,
    /// Wall time of the measured passes, summed.
    pub elapsed: Duration,
    /// How many passes were measured.
    pub passes: u64,
}

impl Recording {
    /// Every operation, however it ended.
    pub fn total(&self) -> u64 {
        self.ok.count() + self.failures()
    }

    /// Adds what another worker recorded at the same time.
    pub fn merge(&mut self, other: Self) {
        if self.total() == 0 {
            // The first worker is merged into a recording of nothing, and alone keeps its order.
            self.latencies = other.latencies;
            self.rates = other.rates;
        } else if other.total() > 0 {
            self.latencies = Batches::default();
            self.rates = Batches::default();
        }
        self.ok.merge(&other.ok);
        for (class, failed) in other.failed {
            match self.failed.entry(class) {
                Entry::Vacant(entry) => drop(entry.insert(failed)),
                Entry::Occupied(mut entry) => entry.get_mut().merge(&failed),
            }
        }
        // The workers ran at the same time, so the longest time is that of all.
        self.elapsed = self.elapsed.max(other.elapsed);
        self.passes = self.passes.max(other.passes);
    }

    /// Operations that failed.
    pub fn failures(&self) -> u64 {
        self.failed.values().map(|failed| failed.latency.count()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::outcome::{Failure, Outcome};
    use super::*;

    fn finished(ms: u64, outcome: Outcome) -> Finished {
        Finished { latency: Duration::from_millis(ms), outcome }
    }

    /// One success, and a failure with each of these statuses, in a pass of a second for each failure.
    fn recorded(failures: &[u16]) -> Recording {
        let mut recorder = Recorder::default();
        recorder.record(finished(1, Ok(())));
        for &status in failures {
            recorder.record(finished(1, Err(Failure::status(status, status.to_string()))));
        }
        recorder.pass(Duration::from_secs(failures.len() as u64));
        recorder.finish()
    }

    #[test]
    fn every_operation_is_in_exactly_one_class() {
        let mut recorder = Recorder::default();
        recorder.record(finished(1, Ok(())));
        recorder.record(finished(2, Err(Failure::status(503, "busy"))));
        recorder.record(finished(3, Err(Failure::status(500, "broken"))));
        recorder.record(finished(4, Err(Failure::new(Class::Reset, "gone"))));
        recorder.pass(Duration::from_millis(10));
        assert_eq!((recorder.counts(), recorder.failures_in_a_row()), ((4, 1), 3));
        assert_eq!(recorder.last_failure(), Some("gone"));

        let recording = recorder.finish();
        assert_eq!((recording.total(), recording.failures()), (4, 3));
        let server = &recording.failed[&Class::Http5xx];
        assert_eq!((server.latency.count(), server.example.as_str()), (2, "busy"));
        assert_eq!(server.statuses, BTreeMap::from([(500, 1), (503, 1)]));
        assert_eq!((recording.elapsed, recording.passes), (Duration::from_millis(10), 1));
    }

    #[test]
    fn workers_put_together_count_everything_once() {
        // A pass of 1 s and one of 3 s at the same time.
        let mut merged = recorded(&[503]);
        merged.merge(recorded(&[500, 503, 404]));
        assert_eq!((merged.total(), merged.ok.count(), merged.elapsed), (6, 2, Duration::from_secs(3)));
        let server = &merged.failed[&Class::Http5xx];
        assert_eq!(server.statuses, BTreeMap::from([(500, 1), (503, 2)]));
        assert_eq!((server.latency.count(), server.example.as_str()), (3, "503"));
        assert_eq!(merged.failed[&Class::Http4xx].example, "404");
    }

    #[test]
    fn latency_of_failures_stays_apart() {
        let mut recorder = Recorder::default();
        recorder.record(finished(30_000, Err(Failure::new(Class::Timeout, ""))));
        recorder.record(finished(1, Ok(())));
        let one_ms = Duration::from_millis(1);
        assert_eq!(recorder.finish().ok.range(), Some((one_ms, one_ms)));
    }
}
