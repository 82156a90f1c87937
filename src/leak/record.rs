//! The record of a search for a leak. Its verdict is a pure function of this.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::files::read_limited;
use crate::machine::Environment;
use crate::units::{Bytes, printable};

/// Version of the record. It rises when a field below changes its meaning.
const SCHEMA_VERSION: u32 = 1;
/// Largest report that is read, in bytes. A sample takes some 90, and there are 20,000 at most.
const MAX_BYTES: u64 = 64 << 20;
/// Growth for each operation from which memory that is counted to the byte is called leaking.
// Less than one small object for each operation; in 10 million operations, a gigabyte.
const THRESHOLD_OF_LIVE_BYTES: Bytes = Bytes(100);
/// The same for all other memory: it grows in pages, arenas and generations, and a heap that is not compact looks larger than
/// what lives in it.
const THRESHOLD_OF_OTHERS: Bytes = Bytes::kb(1);

/// One reading of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MemorySample {
    /// Time since the first reading, ms.
    pub at_ms: u64,
    /// Operations that had ended by then, however they had.
    pub operations: u64,
    /// Memory in use.
    pub bytes: u64,
}

/// What was read as memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MemoryKind {
    /// Bytes in use by the stub, as its allocator counts them.
    LiveBytes,
    /// Resident memory of a process and all that it started.
    Resident,
    /// What the service itself tells under this name.
    Gauge(String),
}

impl MemoryKind {
    /// Growth for each operation from which it is called a leak unless told otherwise.
    pub fn default_threshold(&self) -> Bytes {
        match self {
            Self::LiveBytes => THRESHOLD_OF_LIVE_BYTES,
            Self::Resident | Self::Gauge(_) => THRESHOLD_OF_OTHERS,
        }
    }
}

impl fmt::Display for MemoryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LiveBytes => f.write_str("live bytes"),
            Self::Resident => f.write_str("resident memory"),
            Self::Gauge(name) => f.write_str(name),
        }
    }
}

/// All that was measured by one command.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LeakRecord {
    /// Version of these fields.
    pub schema_version: u32,
    /// Whose memory was read.
    pub subject: String,
    /// What was read as memory.
    pub memory: MemoryKind,
    /// Growth for each operation from which it is called a leak, in bytes.
    pub threshold_bytes: u64,
    /// Users of the load, each of whom waits for an answer before asking again.
    pub users: u32,
    /// What was sent, for people.
    pub sent: String,
    /// Seed of the files.
    pub seed: u64,
    /// How long the load was to last, s.
    pub planned_s: f64,
    /// Where it was done.
    pub environment: Environment,
    /// Operations that ended.
    pub ended: u64,
    /// Those of them that succeeded.
    pub succeeded: u64,
    /// Why the load ended before its time, where nothing went wrong.
    pub ended_early: Option<String>,
    /// What ended the command before its time: a signal, or an error.
    pub stopped: Option<String>,
    /// The command that repeats it, for a shell, without secrets. Nothing in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Memory over time.
    pub samples: Vec<MemorySample>,
}

/// The part of a report that the verdict follows from.
#[derive(Deserialize)]
struct Reported {
    record: LeakRecord,
}

impl LeakRecord {
    /// A record in which nothing is measured yet.
    pub fn new(subject: String, memory: MemoryKind, environment: Environment) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            subject,
            threshold_bytes: memory.default_threshold().0,
            memory,
            users: 0,
            sent: String::new(),
            seed: 0,
            planned_s: 0.0,
            environment,
            ended: 0,
            succeeded: 0,
            ended_early: None,
            stopped: None,
            command: None,
            samples: Vec::new(),
        }
    }

    /// Successes in percent of all operations that ended; 0 where none did.
    pub fn success_rate_pct(&self) -> f64 {
        if self.ended == 0 {
            return 0.0;
        }
        100.0 * self.succeeded as f64 / self.ended as f64
    }

    /// Reads the record of a report.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = read_limited(path, MAX_BYTES)?;
        // The message may quote the file, which may hold control characters.
        let reported: Reported =
            serde_json::from_str(&text).map_err(|e| Error::malformed(path, printable(&e.to_string())))?;
        let mut record = reported.record;
        record.check().map_err(|problem| Error::malformed(path, problem))?;
        record.make_printable();
        Ok(record)
    }

    /// An error where the record cannot be judged.
    fn check(&self) -> Result<(), String> {
        if self.schema_version != SCHEMA_VERSION {
            return Err(format!("has version {}, and {SCHEMA_VERSION} is understood", self.schema_version));
        }
        if self.threshold_bytes == 0 || !self.planned_s.is_finite() || self.planned_s <= 0.0 {
            return Err("its threshold, or the time that it was to last, is not above 0".to_owned());
        }
        if self.succeeded > self.ended {
            return Err("more operations succeeded than ended".to_owned());
        }
        // The slope is computed from samples in order.
        for pair in self.samples.windows(2) {
            if pair[1].at_ms < pair[0].at_ms || pair[1].operations < pair[0].operations {
                return Err(format!("its samples are not in order at {} ms", pair[1].at_ms));
            }
        }
        Ok(())
    }

    /// Makes texts that came from a service, or with the file, safe to print.
    fn make_printable(&mut self) {
        for text in [&mut self.ended_early, &mut self.stopped, &mut self.command].into_iter().flatten() {
            *text = printable(text);
        }
        self.subject = printable(&self.subject);
        self.sent = printable(&self.sent);
        if let MemoryKind::Gauge(name) = &mut self.memory {
            *name = printable(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::record;
    use super::*;

    /// Why a record that was changed cannot be judged.
    fn refused(change: impl FnOnce(&mut LeakRecord)) -> String {
        let sample = MemorySample { at_ms: 5, operations: 5, bytes: 5 };
        let mut changed = record(vec![sample, sample]);
        assert_eq!(changed.check(), Ok(()));
        change(&mut changed);
        changed.check().expect_err("was changed")
    }

    #[test]
    fn what_could_not_have_been_measured_is_refused_by_name() {
        assert_eq!(refused(|r| r.schema_version = 7), "has version 7, and 1 is understood");
        assert!(refused(|r| r.threshold_bytes = 0).contains("its threshold"));
        assert!(refused(|r| r.planned_s = f64::NAN).contains("is not above 0"));
        assert_eq!(refused(|r| r.succeeded = 6), "more operations succeeded than ended");
        assert_eq!(refused(|r| r.samples[0].operations = 6), "its samples are not in order at 5 ms");
        assert_eq!(refused(|r| r.samples[0].at_ms = 6), "its samples are not in order at 5 ms");
    }

    #[test]
    fn each_kind_of_memory_has_a_threshold_of_its_own() {
        let gauge = MemoryKind::Gauge("heap_bytes".to_owned());
        assert_eq!(MemoryKind::LiveBytes.default_threshold(), Bytes(100));
        assert_eq!(MemoryKind::Resident.default_threshold(), Bytes(1024));
        assert_eq!((gauge.default_threshold(), gauge.to_string().as_str()), (Bytes(1024), "heap_bytes"));
    }
}
