//! Two arms compared in lock-step: base and head take turns of a few milliseconds, so that both see the same machine.
//!
//! A [`Session`] has a [`Host`] start the processes of both arms in pairs, and runs slices of them in turn, as the
//! [`Plan`] and its seed say; what it measured is a [`Record`], and the verdict is a pure function of that. What the arms
//! are and what they do is the host's affair. A case that got slower is explained by further pairs, whose workers tell
//! where their time goes: [`explain_case`] measures, an [`Explanation`] is what follows. `bisect` is the search for
//! the commit with which it got slower.

mod accepted;
mod bisect;
mod bisect_document;
mod checks;
mod clocks;
mod compared;
mod controls;
mod counter_table;
mod counters;
mod difference;
mod explaining;
mod explanation;
mod extension;
#[cfg(test)]
mod fake;
mod finding;
mod lock;
mod measure;
mod page;
mod parts;
mod plan;
mod print;
mod proof;
mod record;
mod schedule;
mod search;
mod session;
#[cfg(test)]
mod simulation;
mod store;
mod storm;
mod tail;
mod verdict;
mod why;

pub use accepted::{Accepted, AcceptedSlowdown, AcceptedState, AcceptedVerdict};
pub(crate) use bisect::{
    BisectComparison, BisectPlan, BisectRecord, BisectState, BisectStep, LineCommit, SessionKind, StepOutcome,
};
pub(crate) use bisect_document::{bisect_document, step_line};
pub use compared::Effect;
pub use counters::{CountFinding, CountRecord, CounterVerdict, Counters};
pub use difference::{Difference, SampledArm};
pub use explaining::{ExplainHost, Explains, explain_case, takes_too_long};
pub use explanation::{Explanation, PartChange};
pub use finding::Finding;
pub use lock::Lock;
pub use measure::Measure;
pub(crate) use page::{GateLinks, gate_page};
pub use parts::{ArmTime, CaseTimes, ExplanationRecord, PairTime, PairTold, PartTime, PartTimes, Told};
pub use plan::{CasePlan, Injection, Plan};
pub use print::{identical_document, verdict_document};
pub use proof::prove;
pub use record::{
    Block, Build, CasePair, CaseRecord, IdenticalRecord, LARGEST_VALUE, Measured, Record, SCHEMA_VERSION,
    Storm,
};
pub use schedule::Role;
pub use session::{Host, LEAST_SLICES, Measurements, Progress, Session, Timed, TimedSlice};
pub use store::{DifferenceFiles, Report, has_session, load_explanation, load_identical, load_record};
pub(crate) use store::{GATE_PAGE, VERDICT};
pub use tail::Tail;
pub use verdict::{CaseVerdict, Figures, SessionVerdict, judge};
pub use why::Why;
