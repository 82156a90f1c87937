//! The cases: what can be timed, by id, each as a loop that Criterion, the floor and the tests drive alike.

mod alternate;
mod jwt;
mod limit;
mod load;
mod probe;
mod spec;
mod suite;
mod upload;
mod worker;

pub use alternate::{Comparison, compare};
pub use limit::{Limit, recording};
pub use probe::{Look, PROBES, probe};
pub use spec::{Kind, Spec, Throughput};
pub use suite::{LOAD_OPERATIONS, Suite};
pub use worker::{Case, Slice};
