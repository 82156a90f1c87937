//! Two arms compared in lock-step: base and head take turns of a few milliseconds, so that both see the same machine.
//!
//! A [`Session`] has a [`Host`] start the processes of both arms in pairs, and runs slices of them in turn, as the
//! [`Plan`] and its seed say; what it measured is a [`Record`], and the verdict is a pure function of that. What the arms
//! are and what they do is the host's affair.

mod clocks;
mod compared;
mod controls;
mod counter_table;
mod counters;
mod extension;
#[cfg(test)]
mod fake;
mod finding;
mod lock;
mod measure;
mod plan;
mod print;
mod proof;
mod record;
mod schedule;
mod session;
#[cfg(test)]
mod simulation;
mod store;
mod storm;
mod tail;
mod verdict;

pub use compared::Effect;
pub use counters::{CountFinding, CountRecord, CounterVerdict, Counters};
pub use finding::Finding;
pub use lock::Lock;
pub use measure::Measure;
pub use plan::{CasePlan, Injection, Plan};
pub use print::{identical_document, verdict_document};
pub use proof::prove;
pub use record::{
    Block, Build, CasePair, CaseRecord, LARGEST_VALUE, Measured, Record, SCHEMA_VERSION, Storm,
};
pub use schedule::Role;
pub use session::{Host, LEAST_SLICES, Measurements, Progress, Session, Timed, TimedSlice};
pub use store::{Report, load_record};
pub use tail::Tail;
pub use verdict::{CaseVerdict, Figures, SessionVerdict, judge};
