//! The record of a `load`: every run of it, whole. Its report is a pure function of this.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::capacity::CapacityRecord;
use super::engine::Run;
use super::plan::Plan;
use super::second::Second;
use super::shard_record::{MergedRecord, ShardRecord};
use crate::error::Error;
use crate::files::{read_limited, write_text};
use crate::machine::Environment;
use crate::phases::ServicePhases;
use crate::units::printable;

/// Version of the record. It rises when a field below changes its meaning.
const SCHEMA_VERSION: u32 = 1;
/// What the name of a record's file ends in.
pub const RECORD: &str = ".run.json";
/// Most runs in a record, as each takes some MB in memory.
const MAX_RUNS: usize = 1000;

/// All that was measured by one command.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoadRecord {
    /// Version of these fields.
    pub schema_version: u32,
    /// What reports and targets call it.
    pub operation: String,
    /// What was sent, for people.
    pub sent: String,
    /// What nobody verified of what was sent, if the service's answers do not tell it.
    pub unverified: Option<String>,
    /// What the look before found.
    pub look: Option<LookBefore>,
    /// Where it was done.
    pub environment: Environment,
    /// Why the last run ended before its plan did, where nothing went wrong.
    pub ended_early: Option<String>,
    /// Which limit ended the last run (`--abort-on`), and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted: Option<String>,
    /// What ended the command before all that it was to run: a signal, or an error.
    pub stopped: Option<String>,
    /// The command that repeats it, for a shell, without secrets. Nothing in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Which part of a run it is, if others performed the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardRecord>,
    /// The parts that it was put together from, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<MergedRecord>,
    /// The search for a capacity that the runs are the steps of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<CapacityRecord>,
    /// The runs in their order: one, or each of several alike, or the steps of a stress run or of a search.
    pub runs: Vec<RecordedRun>,
}

/// One of the runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordedRun {
    /// Users of this step, where the runs are those of a stress run.
    pub step: Option<u32>,
    /// What was to be done.
    pub plan: Plan,
    /// What was measured.
    pub run: Run,
    /// Where the time went in the service, if it was asked to tell; that of warming up included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phases: Option<ServicePhases>,
}

/// Two requests before the run, which are not counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LookBefore {
    /// How long the first one took, with the connection, ms.
    pub first_ms: f64,
    /// How long the second one took, ms.
    pub second_ms: f64,
    /// What the service said that ailed it (`/health/ready`).
    pub ails: Option<String>,
}

/// What is read of a record before its figures.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    shard: Option<ShardRecord>,
}

impl LoadRecord {
    /// Largest record that is read, in bytes. A second takes 2 KB at most of times, and so an hour some MB.
    pub const LARGEST: u64 = 512 << 20;

    /// A record without runs.
    pub fn new(operation: &str, sent: String, environment: Environment) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            operation: operation.to_owned(),
            sent,
            unverified: None,
            look: None,
            environment,
            ended_early: None,
            aborted: None,
            stopped: None,
            command: None,
            shard: None,
            merged: None,
            capacity: None,
            runs: Vec::new(),
        }
    }

    /// Writes it; an older one is replaced, never half-written.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        write_text(path, &self.to_text().map_err(|e| Error::malformed(path, e))?)
    }

    /// The text of its file. It fails for a clock that stood before 1970.
    pub(crate) fn to_text(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string(self)? + "\n")
    }

    /// Which part of a run the record in this file is; all else in it is passed over. An error where it is not one.
    pub(crate) fn shard_in(path: &Path) -> Result<ShardRecord, Error> {
        let text = read_limited(path, Self::LARGEST)?;
        let head: Head =
            serde_json::from_str(&text).map_err(|e| Error::malformed(path, printable(&e.to_string())))?;
        let Some(mut shard) = head.shard else {
            let problem = "is not the record of a shard; `load --replay` reports it as it is";
            return Err(Error::malformed(path, problem));
        };
        shard.make_printable();
        Ok(shard)
    }

    /// Reads one that can be reported.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = read_limited(path, Self::LARGEST)?;
        // The message may quote the file, which may hold control characters.
        let mut record: Self =
            serde_json::from_str(&text).map_err(|e| Error::malformed(path, printable(&e.to_string())))?;
        record.check().map_err(|problem| Error::malformed(path, problem))?;
        record.make_printable();
        Ok(record)
    }

    /// An error where the record cannot be reported.
    fn check(&self) -> Result<(), String> {
        if self.schema_version != SCHEMA_VERSION {
            return Err(format!("has version {}, and {SCHEMA_VERSION} is understood", self.schema_version));
        }
        if self.runs.is_empty() {
            return Err("has no runs".to_owned());
        }
        if self.runs.len() > MAX_RUNS {
            return Err(format!("has {} runs, and at most {MAX_RUNS} are read", self.runs.len()));
        }
        if let Some(capacity) = &self.capacity {
            capacity.check(self.runs.len())?;
        }
        for (run, number) in self.runs.iter().zip(1..) {
            let load = &run.run.load;
            if !load.adds_up() {
                return Err(format!(
                    "run {number}: {} requests were due, and {} are accounted for",
                    load.scheduled,
                    load.responses.total() + load.unfinished.count()
                ));
            }
            if !load.steps_add_up() {
                return Err(format!("run {number}: its steps do not add up to its operations"));
            }
            // Without its send delays, a generator that was late would seem to have kept up.
            if load.times.send_delay.count() != load.responses.total() {
                return Err(format!("run {number}: has no send delay for each request that ended"));
            }
            let in_order = run.run.seconds.iter().zip(0..).all(|(second, index)| second.index == index);
            if !in_order || !run.run.seconds.iter().all(Second::is_sound) {
                return Err(format!("run {number}: its seconds are not in order, or do not add up"));
            }
            if run.run.resources.as_ref().is_some_and(|resources| !resources.is_sound()) {
                return Err(format!("run {number}: what was used is not in the order of the seconds"));
            }
            // What is read of a plan assumes that it has a stage.
            if run.plan.profile().stages().is_empty() {
                return Err(format!("run {number}: its plan has no stage"));
            }
        }
        Ok(())
    }

    /// Makes texts that came from a service, or with the file, safe to print.
    fn make_printable(&mut self) {
        let texts = [
            &mut self.unverified,
            &mut self.ended_early,
            &mut self.aborted,
            &mut self.stopped,
            &mut self.command,
        ];
        for text in texts.into_iter().flatten() {
            *text = printable(text);
        }
        self.operation = printable(&self.operation);
        self.sent = printable(&self.sent);
        if let Some(shard) = &mut self.shard {
            shard.make_printable();
        }
        if let Some(merged) = &mut self.merged {
            merged.make_printable();
        }
        if let Some(capacity) = &mut self.capacity {
            capacity.make_printable();
        }
        for run in &mut self.runs {
            for failed in run.run.load.responses.failed.values_mut() {
                failed.example = printable(&failed.example);
            }
            for step in &mut run.run.load.steps {
                step.name = printable(&step.name);
                for failed in step.outcomes.failed.values_mut() {
                    failed.example = printable(&failed.example);
                }
            }
            for size in run.phases.iter_mut().flat_map(|phases| &mut phases.sizes) {
                for time in &mut size.phases {
                    time.phase = printable(&time.phase);
                }
            }
            let resources = run.run.resources.as_mut();
            if let Some(unread) = resources.and_then(|resources| resources.unread.as_mut()) {
                *unread = printable(unread);
            }
        }
    }
}
