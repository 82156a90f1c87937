//! The gate: did this change make a case slower? Two builds, two services, or two running ones, on the same cores.
//!
//! Builds both sides where they have to be built, starts pairs of [`worker`] processes and services, and has
//! [`lockstep`](crate::lockstep) run and judge them in turn. What got slower is explained by further pairs.

mod arm;
pub mod build;
mod copies;
mod counting;
mod explain;
mod protocol;
mod run;
mod running;
mod stacks;
pub mod worker;

pub(crate) use arm::is_of_head;
pub use arm::{Arm, ArmError, Side, StartedService, own_executable};
pub use copies::is_script;
pub use counting::{CountedSides, Counting, CountingPrograms};
pub use explain::Explaining;
pub use protocol::{Begin, Explained, Hello};
pub use run::Gate;
pub use running::Running;
