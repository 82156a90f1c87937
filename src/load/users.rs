//! Users of the closed model: who is ready, and for which request. Knows no clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::profile::Profile;
use super::queue::{Job, Share};

/// The users of one worker. The requests of a user are its number, and every further one as far as there are users.
#[derive(Debug)]
pub(super) struct Users {
    users: Vec<User>,
    /// Users that are not performing, by the time at which they begin.
    ready: BinaryHeap<Reverse<(Duration, usize)>>,
    /// Between two requests of one user.
    think: Duration,
    /// Users of all workers: what a user adds to an index for its next request.
    in_all: u64,
    requests: u64,
    /// Requests of these users that have not been taken.
    left: u64,
}

#[derive(Debug)]
struct User {
    next: u64,
    /// When the user is there, the current span last.
    spans: Vec<(Duration, Duration)>,
}

impl Users {
    /// The share of all users, as many as the level says, with `requests` in all.
    pub fn new(level: &Profile, think: Duration, requests: u64, share: Share) -> Self {
        let in_all = level.most().ceil() as u64;
        let user = |number: u64| User {
            next: number,
            spans: level.spans_above(number as f64).into_iter().rev().collect(),
        };
        let users: Vec<User> = (share.worker as u64..in_all).step_by(share.workers).map(user).collect();
        let of_user = |user: &User| requests.saturating_sub(user.next).div_ceil(in_all);
        let left = users.iter().map(of_user).fold(0, u64::saturating_add);
        let mut users = Self { users, ready: BinaryHeap::new(), think, in_all, requests, left };
        (0..users.users.len()).for_each(|user| users.is_ready(user, Duration::ZERO));
        users
    }

    /// How many there are.
    pub fn number(&self) -> usize {
        self.users.len()
    }

    /// Requests that have not been taken.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// When the first of those who are ready begins.
    pub fn next_due(&self) -> Option<Duration> {
        self.ready.peek().map(|Reverse((due, _))| *due)
    }

    /// The request of the first who is ready.
    pub fn take(&mut self) -> Option<Job> {
        let Reverse((due, user)) = self.ready.pop()?;
        self.left -= 1;
        Some(Job { index: self.users[user].next, due, user: Some(user) })
    }

    /// The user has ended its request, and begins the next when it has thought, or paused if that is longer.
    pub fn ended(&mut self, user: usize, now: Duration, pause: Duration) {
        self.users[user].next += self.in_all;
        self.is_ready(user, now + self.think.max(pause));
    }

    /// Nobody begins any more.
    pub fn clear(&mut self) {
        self.ready.clear();
        (self.requests, self.left) = (0, 0);
    }

    /// The user may begin at `from`, or as soon as it is there again.
    fn is_ready(&mut self, user: usize, from: Duration) {
        let User { next, spans } = &mut self.users[user];
        if *next >= self.requests {
            return;
        }
        while spans.last().is_some_and(|(_, end)| *end <= from) {
            spans.pop();
        }
        if let Some((begin, _)) = spans.last() {
            self.ready.push(Reverse((from.max(*begin), user)));
        }
    }
}
