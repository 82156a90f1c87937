//! Where the time of a service's operations goes: sums by phase and by size, and the table that they are read in. A phase is
//! a name and a time; what it stands for is known to whoever timed it.

mod breakdown;
mod times;

pub use breakdown::{Breakdown, PhaseShare, breakdown_table};
pub use times::{PhaseMean, PhaseTime, ServicePhases, SizePhases, size_class};
