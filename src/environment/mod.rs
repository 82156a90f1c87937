//! Where a measurement was made: the machine, the build, and which thread ran on which core.

mod machine;
mod placement;

pub use machine::Environment;
pub(crate) use placement::pin;
pub use placement::{NotAPlacement, Placement};
