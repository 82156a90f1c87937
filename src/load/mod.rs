//! Runs many operations at once.
//!
//! * What is to be done: `plan`, and its parts `profile` and `schedule`; `shard`, the part that one generator of several does.
//! * What is due now: `queue`, and `users` for the closed model.
//! * Doing it: `drive` on one thread by a `clock`, `pass` in one pass, `engine` on many threads, `pacer` to be on time.
//! * What is kept of it: `recorder`, `second`, `steps`, `health`, and what was used meanwhile (`usage`, read by `sampler`);
//!   all of a command in one `record`. A `shard_record` says which part of a run a record is of; `roll` finds out whether all parts
//!   are there, and `merge` adds them.
//! * What its seconds say: `window`; and `abort`, which ends a run by them.
//! * The highest rate that a service holds: `capacity`.

mod abort;
mod capacity;
mod clock;
mod drive;
mod engine;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod fixture_seconds;
mod health;
mod job;
mod merge;
mod pacer;
mod pass;
mod plan;
mod profile;
mod queue;
mod record;
mod recorder;
mod roll;
mod sampler;
#[cfg(test)]
mod scale;
mod schedule;
mod second;
mod shard;
mod shard_record;
mod steps;
mod usage;
mod users;
mod window;

pub use abort::{AbortRule, AbortWatch, Aborted, NotAnAbortRule};
pub use capacity::{
    CapacityAnswer, CapacityChange, CapacityEdge, CapacityFinding, CapacityLimit, CapacityPlan,
    CapacityRecord, CapacitySearch, CapacityStep, LevelVerdict, NextStep, NotSearchable, Recovery,
    StepEvidence, StepOutcome, StepWatch, usual_step,
};
pub use clock::Clock;
pub use drive::Operation;
#[cfg(test)]
pub use drive::Sink;
pub(crate) use engine::SETTLING;
pub use engine::{Run, Watch, run, run_at, run_watching};
pub use health::{Health, Readings};
pub(crate) use merge::{ShardSum, problems_of_shard};
pub use pacer::Pacer;
pub use pass::{Function, load_test_scenario, run_pass};
pub use plan::{Model, Plan};
pub use profile::{ENDLESS, NotAStage, Profile, Stage};
pub use record::{LoadRecord, LookBefore, RECORD, RecordedRun};
#[cfg(test)]
pub use recorder::LoadRecorder;
pub use recorder::{LoadRecording, Times};
pub(crate) use roll::{RunFile, call_roll};
pub use schedule::{Arrivals, Closed, Schedule};
pub(crate) use schedule::{Stream, random};
pub use second::Second;
pub use shard::{NotAShard, Shard};
pub use shard_record::{MergedRecord, MergedShard, ShardClock, ShardRecord};
pub(crate) use shard_record::{RunIdentity, run_hash};
pub use steps::StepRecording;
pub use usage::{MachineUse, ResourceSample, Resources, SideUse, WatchedService};
pub(crate) use window::worst_window;
