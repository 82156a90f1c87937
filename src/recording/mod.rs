//! Records what was measured: the outcome of one operation, and the cheap record of many.

mod histogram;
mod outcome;
mod packed;
mod recorder;
mod samples;

pub(crate) use histogram::{MOST, from_text, pack, to_text, unpack, unpack_sum};
pub use outcome::{Class, Failure, Finished, Outcome, Performed, PerformedStep, Phases};
pub(crate) use packed::{add_packed, count_packed};
pub use recorder::{Failed, Recorder, Recording};
pub use samples::Samples;
