//! The gate: did this change make a case slower? Two builds, or two running ingesters, in lock-step on the same cores.
//!
//! A [`Session`] starts pairs of [`worker`] processes and has them run slices in turn, as the [`Plan`] and its seed say;
//! what it measured is a [`Record`], and the [`Verdict`] is a pure function of that.

mod arm;
pub mod build;
mod clocks;
mod compared;
mod controls;
mod copies;
mod extension;
#[cfg(test)]
mod fake;
mod finding;
mod lock;
mod measure;
mod plan;
mod print;
mod proof;
mod protocol;
mod record;
mod running;
mod schedule;
mod session;
#[cfg(test)]
mod simulation;
mod store;
mod storm;
mod tail;
mod verdict;
pub mod worker;

pub use arm::{Arm, ArmError, Side, StartedService, own_executable};
pub use compared::Effect;
pub use copies::is_script;
pub use finding::Finding;
pub use lock::Lock;
pub use measure::Gate;
pub use plan::{CasePlan, Injection, Plan};
pub use print::{markdown, print_verdict};
pub use proof::prove;
pub use protocol::{Begin, Build, Hello};
pub use record::{Block, CasePair, CaseRecord, Measured, Record, SCHEMA_VERSION, Storm};
pub use running::Running;
pub use schedule::Role;
pub use session::{Host, Measurements, Progress, Session, Timed, TimedSlice};
pub use store::{Report, load_record};
pub use tail::Tail;
pub use verdict::{CaseVerdict, Conclusion, Figures, Verdict, judge};
