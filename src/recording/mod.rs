//! Records what was measured: the outcome of one operation, and the cheap record of many.

mod outcome;
mod recorder;
mod samples;
mod sent;

pub use outcome::{Class, Failure, Finished, Outcome, Performed, Phases};
pub use recorder::{Failed, Recorder, Recording};
pub use samples::Samples;
pub use sent::Sent;
