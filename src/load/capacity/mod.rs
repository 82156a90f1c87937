//! How much a service holds: the highest rate of an open schedule at which its limits hold.
//!
//! * What is asked: `limit`; what is to be done and was done: `plan`.
//! * What a step showed: `evidence`; ended early by `watch`.
//! * Which step is next: `staircase`, driven by `search`.
//! * What all steps come to: `edge`, and `change` between two services.
//!
//! Nothing here runs anything, reads a clock or knows a file: a search is a function of what its steps showed. `simulation` has
//! its proof, docs/capacity.md the figures.

mod change;
mod edge;
mod evidence;
mod limit;
mod plan;
mod search;
mod staircase;
mod watch;

pub use change::CapacityChange;
pub use edge::CapacityEdge;
pub use evidence::{LevelVerdict, StepEvidence, StepOutcome};
pub use limit::{CapacityLimit, NotSearchable};
pub use plan::{CapacityPlan, CapacityRecord, CapacityStep, Recovery, usual_step};
pub use search::{CapacityAnswer, CapacityFinding, CapacitySearch, NextStep};
pub use watch::StepWatch;

#[cfg(test)]
mod simulation;
