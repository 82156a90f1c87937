//! The gate: did this change make a case slower? Two builds, or two running ingesters, in lock-step on the same cores.
//!
//! A [`Session`] starts pairs of [`worker`] processes and has them run slices in turn, as the [`Plan`] and its seed say;
//! what it measured is a [`Record`], and the [`Verdict`] is a pure function of that.

mod arm;
pub mod build;
mod compared;
mod controls;
#[cfg(test)]
mod fake;
mod measure;
mod plan;
mod print;
mod proof;
mod protocol;
mod record;
mod schedule;
mod session;
mod store;
mod verdict;
pub mod worker;

pub use arm::{Arm, ArmError, Side, own_executable};
pub use compared::Effect;
pub use measure::Gate;
pub use plan::{CasePlan, Injection, Plan};
pub use print::{markdown, print_verdict};
pub use proof::prove;
pub use protocol::{Begin, Build, Hello};
pub use record::{Block, CaseRecord, Measured, Record, SCHEMA_VERSION};
pub use schedule::Role;
pub use session::{Progress, Session, Timed};
pub use store::{clear, load_record, save_identical, save_record, save_verdict};
pub use verdict::{CaseVerdict, Conclusion, Figures, Finding, Verdict, judge};
