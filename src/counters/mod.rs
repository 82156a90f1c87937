//! Exact counts of what the stub does for a request: how often it asks the allocator, for how much, and how many
//! instructions it runs. One thread, in memory, without a socket or a clock, so that two runs of one build agree.
//!
//! A [`CountedCase`] is warmed up and then counted. Allocations are counted by the program itself, if its allocator
//! counts; instructions by [`Callgrind`], which runs the program.

mod callgrind;
mod case;
mod check;
mod count;
mod form;
mod run;
mod upload;
mod work;

pub(crate) use callgrind::Callgrind;
pub(crate) use case::{COUNTED_CASES, CountedCase, counted_case};
pub(crate) use count::Counted;
pub(crate) use run::{NotCounted, run};
