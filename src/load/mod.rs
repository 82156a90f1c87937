//! Runs many operations at once.
//!
//! * What is to be done: `plan`, and its parts `profile` and `schedule`.
//! * What is due now: `queue`, and `users` for the closed model.
//! * Doing it: `drive` on one thread by a `clock`, `pass` in one pass, `engine` on many threads, `pacer` to be on time.
//! * What is kept of it: `recorder`, `second`, `health`, and what was used meanwhile (`usage`, read by `sampler`); all of a
//!   command in one `record`.

mod clock;
mod drive;
mod engine;
mod health;
mod job;
mod pacer;
mod pass;
mod plan;
mod profile;
mod queue;
mod record;
mod recorder;
mod sampler;
mod schedule;
mod second;
mod usage;
mod users;

pub use clock::Clock;
pub use drive::Operation;
#[cfg(test)]
pub use drive::Sink;
pub use engine::{Run, Watch, run, run_watched_by, run_watching};
pub use health::{Health, Readings};
pub use pacer::Pacer;
pub use pass::{Function, load_test_scenario, run_pass};
pub use plan::{Model, Plan};
pub use profile::{ENDLESS, NotAStage, Profile, Stage};
pub use record::{LoadRecord, LookBefore, RECORD, RecordedRun};
#[cfg(test)]
pub use recorder::LoadRecorder;
pub use recorder::{LoadRecording, Times};
pub use schedule::{Arrivals, Closed, Schedule};
pub(crate) use schedule::{Stream, random};
pub use second::Second;
pub use usage::{MachineUse, ResourceSample, Resources, SideUse, WatchedService};
