//! Tells of a run while it goes on: a page that renews itself, metrics for Prometheus to fetch, and the same metrics pushed.
//!
//! A run says once a second what is known of it, and never waits for anybody (`feed`). All else is done by one thread with an
//! event loop of its own (`service`), which the workers of the run know nothing of.
//!
//! * What is known: `board`, and its totals in `tally`.
//! * As metrics: `families`, which `exposition` writes as text and `remote_write` as a request.
//! * As a page: `view` says what stands on it, `page` how it is renewed.
//! * Towards others: `http` answers, `push` sends.

mod board;
mod exposition;
mod families;
mod feed;
#[cfg(test)]
mod fixture;
mod http;
mod page;
mod push;
mod remote_write;
mod service;
mod tally;
mod view;

pub(crate) use board::{BaselineLatency, RunAbout};
pub(crate) use feed::LiveFeed;
pub(crate) use push::PushTarget;
pub(crate) use service::{BoundLive, Live, LiveOptions};
