//! Describes where a measurement was made: the machine, the build, and which thread ran on which core.

mod conditions;
mod descriptors;
mod environment;
mod placement;
mod throttling;

pub use conditions::{Conditions, ConditionsMeter};
pub use descriptors::{possible_connections, reserve_descriptors};
pub use environment::Environment;
pub(crate) use placement::pin;
pub use placement::{NotAPlacement, Placement};
pub use throttling::throttled;
