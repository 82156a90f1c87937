//! What a run is to do. All of it is fixed before the first request.

use std::time::Duration;

use super::profile::Profile;
use super::queue::{Queue, Share};
use super::schedule::{Arrivals, Schedule};

/// Requests under way at once in the open model, unless told otherwise.
const AT_ONCE: usize = 10_000;
/// How long requests under way may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// Who begins requests.
#[derive(Debug, Clone, PartialEq)]
pub enum Model {
    /// Users, each of whom waits for an answer, thinks, and begins again.
    Closed {
        /// How many there are.
        users: Profile,
        /// Requests in all; until the users are gone if there is no number.
        requests: Option<u64>,
        /// Between an answer and the next request.
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
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Who begins requests.
    pub model: Model,
    /// Where arrivals and the mix of files come from.
    pub seed: u64,
    /// The model runs for so long at its first level before anything is recorded.
    pub warm_up: Duration,
    /// How long requests may take to end once the last one is due; those that do not are counted as unfinished.
    pub grace: Duration,
    /// Requests under way at once, at most, in the open model. What is due beyond that waits, and counts as late.
    pub at_once: usize,
}

impl Plan {
    /// Seed 42, no warm-up, ten seconds of grace.
    pub fn new(model: Model) -> Self {
        Self { model, seed: 42, warm_up: Duration::ZERO, grace: GRACE, at_once: AT_ONCE }
    }

    /// How long the schedule lasts; nothing where it ends with its requests.
    pub fn lasting(&self) -> Duration {
        match &self.model {
            Model::Closed { requests: Some(_), .. } => Duration::ZERO,
            Model::Closed { users: profile, .. } | Model::Open { rate: profile, .. } => profile.lasting(),
        }
    }

    /// Whether arrivals wait for nobody.
    pub fn is_open(&self) -> bool {
        matches!(self.model, Model::Open { .. })
    }

    /// Connections that it may need at once.
    pub fn connections(&self) -> usize {
        match &self.model {
            Model::Closed { users, .. } => users.most().ceil() as usize,
            Model::Open { .. } => self.at_once,
        }
    }

    /// Requests in all, where that is known before: on average, if arrivals are random.
    pub fn requests(&self) -> Option<u64> {
        match &self.model {
            Model::Closed { requests, .. } => *requests,
            Model::Open { rate, .. } => Some(rate.area().ceil() as u64),
        }
    }

    pub(super) fn at_once(&self, share: Share) -> usize {
        match self.model {
            Model::Closed { .. } => usize::MAX,
            Model::Open { .. } => (self.at_once / share.workers).max(1),
        }
    }

    pub(super) fn queue(&self, share: Share) -> Queue {
        match &self.model {
            Model::Closed { users, requests, think } => Queue::closed(users, *think, *requests, share),
            Model::Open { rate, arrivals } => {
                Queue::open(Schedule::new(rate.clone(), *arrivals, self.seed), share)
            }
        }
    }

    /// The model at its first level, with other random numbers.
    pub(super) fn warm_up(&self, share: Share) -> Option<Queue> {
        if self.warm_up.is_zero() {
            return None;
        }
        let steady = |profile: &Profile| {
            let first = profile.stages()[0];
            Profile::constant(if first.from > 0.0 { first.from } else { first.to }, self.warm_up)
        };
        let model = match &self.model {
            Model::Closed { users, think, .. } => {
                Model::Closed { users: steady(users), requests: None, think: *think }
            }
            Model::Open { rate, arrivals } => Model::Open { rate: steady(rate), arrivals: *arrivals },
        };
        Some(Self { model, seed: !self.seed, ..self.clone() }.queue(share))
    }
}
