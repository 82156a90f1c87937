//! The cases: what can be timed, by id, each as a loop that Criterion, the floor and the tests drive alike.

mod jwt;
mod load;
mod lower_bound;
mod operation;
mod probe;
mod spec;
mod suite;
mod upload;
mod worker;

pub use lower_bound::{LowerBound, recording};
pub use operation::{Shared, UploadOperation};
pub use probe::{Look, PROBES, clean_up, clean_up_and_tell, probe};
pub use spec::{Kind, Spec, Throughput};
pub(crate) use suite::step_operations;
pub use suite::{FLOW_OPERATION, LOAD_OPERATIONS, Suite};
pub use upload::user;
pub use worker::{Case, Slice, Work};
