//! A record to test with.

use super::record::{LeakRecord, MemoryKind, MemorySample};
use crate::machine::{Environment, Placement};

/// A minute of the stub with these samples, in which every operation succeeded.
pub(super) fn record(samples: Vec<MemorySample>) -> LeakRecord {
    let ended = samples.last().map_or(0, |last| last.operations);
    let environment = Environment::read(&Placement::none(), "stub");
    LeakRecord {
        users: 4,
        sent: "10 KB".to_owned(),
        seed: 42,
        planned_s: 60.0,
        ended,
        succeeded: ended,
        samples,
        ..LeakRecord::new("stub".to_owned(), MemoryKind::LiveBytes, environment)
    }
}

/// Samples at every 100th operation and every 100 ms, with these bytes.
pub(super) fn samples(bytes: impl IntoIterator<Item = u64>) -> Vec<MemorySample> {
    let mut samples = Vec::new();
    for (number, bytes) in (1..).zip(bytes) {
        samples.push(MemorySample { at_ms: 100 * number, operations: 100 * number, bytes });
    }
    samples
}
