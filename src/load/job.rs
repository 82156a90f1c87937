//! A request that is due, and whose it is.

use std::time::Duration;

/// A request that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    /// The request's index in the whole run.
    pub index: u64,
    /// Time at which it is to begin.
    pub due: Duration,
    /// The user who performs it; in the open model, where there is none, anybody who is idle.
    pub user: Option<usize>,
}

/// A worker's share of the schedule: every request whose index, or user, leaves `worker` when divided by `workers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The worker's number, from 0.
    pub worker: usize,
    /// How many workers there are.
    pub workers: usize,
}

impl Share {
    /// The whole schedule.
    pub const WHOLE: Self = Self { worker: 0, workers: 1 };
}
