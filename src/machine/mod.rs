//! Describes where a measurement was made: the machine, the build, and which thread ran on which core.

mod allocation;
mod conditions;
mod counters;
mod descriptors;
mod environment;
mod heap_profile;
mod placement;
mod process_tree;
mod throttling;

pub use allocation::{Allocated, AllocationCounts, AllocationMeter, COUNTING, allocated};
pub use conditions::{Conditions, ConditionsMeter};
pub use counters::MachineCounters;
pub use descriptors::{possible_connections, reserve_descriptors};
pub use environment::Environment;
pub(crate) use heap_profile::with_heap_profile;
pub(crate) use placement::pin;
pub use placement::{NotAPlacement, Placement};
pub use process_tree::{ProcessTree, ProcessUsage, ThreadUsage, UsageByThread, this_process};
pub use throttling::throttled;
