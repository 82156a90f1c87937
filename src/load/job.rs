//! A request that is due, and whose it is.

use std::time::Duration;

use super::schedule::Arrivals;
use super::shard::Shard;

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

/// A worker's share of the schedule: of what its shard performs, every request or user whose turn leaves `worker` when
/// divided by `workers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The part of the schedule that all workers of this process perform.
    pub shard: Shard,
    /// The worker's number, from 0.
    pub worker: usize,
    /// How many workers there are.
    pub workers: usize,
}

impl Share {
    /// The whole schedule.
    pub const WHOLE: Self = Self { shard: Shard::WHOLE, worker: 0, workers: 1 };

    /// Whether the arrival of this index belongs to the share.
    pub fn has_arrival(self, arrivals: Arrivals, seed: u64, index: u64) -> bool {
        if !self.shard.has_arrival(arrivals, seed, index) {
            return false;
        }
        let turn = match arrivals {
            // A shard has every so many of them. Counted by the index, all of these could be one worker's.
            Arrivals::Constant => index / u64::from(self.shard.of()),
            Arrivals::Poisson => index,
        };
        turn % self.workers as u64 == self.worker as u64
    }

    /// The numbers of its users, where there are so many in all.
    pub fn users(self, in_all: u64) -> impl Iterator<Item = u64> {
        let shards = self.shard.of() as usize;
        let first = self.shard.index() as usize + shards * self.worker;
        (first as u64..in_all).step_by(shards * self.workers)
    }
}
