//! Performance tests for file-upload services.
//!
//! One upload, from the top down: a [`case`] asks its [`client`] for uploads and times them; the client sends a
//! [`payload`] with a token of [`auth`] to an [`ingester`], as its [`api`] says: the [`stub`], or a service of your own that
//! [`config`] describes, if need be over a simulated [`network`]; what came of it is kept by [`recording`], made into a
//! [`report`] with the help of [`stats`], and held against [`targets`].
//!
//! [`load`] does many operations at once, of any kind, from one generator or as one of several, whose run files may lie
//! in a `bucket`; `live` tells of a run while it goes on, and `leak` tells from one whether memory is kept. The
//! `harness` (behind the feature `criterion`) drives the cases through Criterion, the [`gate`] drives those of two
//! builds in turn and has them judged by [`lockstep`]; [`baseline`] reads what Criterion saved, and `history` keeps what
//! was measured of commit after commit. [`phases`] is where the time of uploads went in the stub, [`profile`] samples
//! where CPU time goes, and `counters` counts allocations and instructions. All output is a [`document`], and `index`
//! leads to those that were written as pages.

pub mod api;
pub mod auth;
pub mod baseline;
mod bucket;
pub mod case;
pub mod cli;
pub mod client;
pub mod config;
pub mod console;
mod counters;
pub mod document;
mod error;
mod exit;
pub mod files;
pub mod gate;
#[cfg(feature = "criterion")]
pub mod harness;
mod history;
mod index;
pub mod ingester;
pub mod interrupt;
mod leak;
mod live;
pub mod load;
pub mod lockstep;
pub mod machine;
pub mod network;
pub mod payload;
pub mod phases;
mod process_group;
pub mod profile;
pub mod recording;
pub mod report;
pub mod stats;
pub mod stub;
pub mod targets;
pub mod units;
mod verdict;

pub use error::Error;
pub use exit::Exit;
pub use verdict::Verdict;
