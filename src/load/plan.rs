//! The plan of a run. All of it is fixed before the first request.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::job::Share;
use super::profile::Profile;
use super::queue::Queue;
use super::schedule::{Arrivals, Schedule};
use super::shard::Shard;

/// Most requests under way at once in the open model, unless told otherwise.
const AT_ONCE: usize = 10_000;
/// How long requests may take to end once the last one is due, unless told otherwise.
const GRACE: Duration = Duration::from_secs(10);

/// Who begins requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// Users, each of whom waits for an answer, thinks, and begins again.
    Closed {
        /// How many there are.
        users: Profile,
        /// Requests in all; without a number it goes on until the users are gone.
        requests: Option<u64>,
        /// Time between an answer and the next request.
        think: Duration,
    },
    /// Arrivals that wait for nobody: what a service meets that has more users than it can slow down.
    Open {
        /// How many a second.
        rate: Profile,
        /// How they are spread.
        arrivals: Arrivals,
    },
}

/// A run of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Who begins requests.
    pub model: Model,
    /// Seed of arrivals and of the mix of files.
    pub seed: u64,
    /// How long the model runs at its first level before anything is recorded.
    pub warm_up: Duration,
    /// How long requests may take to end once the last one is due; those that do not are counted as unfinished.
    pub grace: Duration,
    /// Most requests under way at once in the open model. What is due beyond that waits, and begins late.
    pub at_once: usize,
    /// The part of the model that is performed here; all of it, unless others perform the rest.
    #[serde(default, skip_serializing_if = "Shard::is_whole")]
    pub shard: Shard,
}

impl Plan {
    /// A plan with seed 42, no warm-up, and ten seconds of grace.
    pub fn new(model: Model) -> Self {
        Self { model, seed: 42, warm_up: Duration::ZERO, grace: GRACE, at_once: AT_ONCE, shard: Shard::WHOLE }
    }

    /// How long the schedule lasts; zero where it ends with its requests.
    pub fn lasting(&self) -> Duration {
        match &self.model {
            Model::Closed { requests: Some(_), .. } => Duration::ZERO,
            Model::Closed { .. } | Model::Open { .. } => self.profile().lasting(),
        }
    }

    /// The level over time: of users, or of requests a second.
    pub fn profile(&self) -> &Profile {
        match &self.model {
            Model::Closed { users: profile, .. } | Model::Open { rate: profile, .. } => profile,
        }
    }

    /// The level at this time that is performed here: of a shard, its part on average.
    pub fn level_at(&self, at: Duration) -> f64 {
        self.profile().level_at(at) / f64::from(self.shard.of())
    }

    /// Whether the model is the open one.
    pub fn is_open(&self) -> bool {
        matches!(self.model, Model::Open { .. })
    }

    /// Most connections that it may need at once.
    pub fn connections(&self) -> usize {
        match &self.model {
            Model::Closed { users, .. } => self.shard.part_of(users.most().ceil() as u64) as usize,
            Model::Open { .. } => self.at_once,
        }
    }

    /// Requests of this shard, where that is known in advance: on average, if arrivals are random.
    pub fn requests(&self) -> Option<u64> {
        match &self.model {
            Model::Closed { users, requests, .. } => {
                let requests = (*requests)?;
                let in_all = users.most().ceil() as u64;
                let share = Share { shard: self.shard, ..Share::WHOLE };
                let mut sum: u64 = 0;
                // User k of n performs the requests k, k + n, k + 2 n and so on.
                for user in share.users(in_all) {
                    sum = sum.saturating_add(requests.saturating_sub(user).div_ceil(in_all));
                }
                Some(sum)
            }
            Model::Open { rate, .. } => Some((rate.area() / f64::from(self.shard.of())).ceil() as u64),
        }
    }

    /// Most requests that a worker may have under way at once.
    pub(super) fn at_once(&self, share: Share) -> usize {
        match self.model {
            // Its users limit that already.
            Model::Closed { .. } => usize::MAX,
            Model::Open { .. } => (self.at_once / share.workers).max(1),
        }
    }

    /// A worker's share of the schedule.
    pub(super) fn queue(&self, share: Share) -> Queue {
        match &self.model {
            Model::Closed { users, requests, think } => Queue::closed(users, *think, *requests, share),
            Model::Open { rate, arrivals } => {
                Queue::open(Schedule::new(rate.clone(), *arrivals, self.seed), share)
            }
        }
    }

    /// A worker's share of the warm-up: the model at its first level. `None` where there is no warm-up.
    pub(super) fn warm_up(&self, share: Share) -> Option<Queue> {
        if self.warm_up.is_zero() {
            return None;
        }
        let model = match &self.model {
            Model::Closed { users, think, .. } => {
                Model::Closed { users: self.steady(users), requests: None, think: *think }
            }
            Model::Open { rate, arrivals } => Model::Open { rate: self.steady(rate), arrivals: *arrivals },
        };
        // Other random numbers, or warming up would be a rehearsal of the run's first requests.
        Some(Self { model, seed: !self.seed, ..self.clone() }.queue(share))
    }

    /// The first level of this profile, for as long as the warm-up lasts.
    fn steady(&self, profile: &Profile) -> Profile {
        let first = profile.stages()[0];
        // A ramp from 0 would have nothing to do at its first level, so its end counts.
        let level = if first.from > 0.0 { first.from } else { first.to };
        Profile::constant(level, self.warm_up)
    }
}
