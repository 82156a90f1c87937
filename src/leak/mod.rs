//! Whether a service keeps memory for what it is asked to do.
//!
//! * What was measured, whole: `record`. What a service tells of its memory: `gauge`.
//! * What follows from it: `judge`, a pure function of the record; `checks` says what had to hold. `document` prints that,
//!   `report` writes it, and `page` shows it.

mod checks;
mod document;
#[cfg(test)]
mod fixture;
mod gauge;
mod judge;
mod page;
mod record;
mod report;

pub(crate) use document::leak_document;
pub(crate) use gauge::gauge_of;
pub(crate) use judge::judge;
pub(crate) use page::leak_page;
pub(crate) use record::{LeakRecord, MemoryKind, MemorySample};
pub(crate) use report::{REPORT, save};
