//! Users of the closed model: who is ready, and for which request. There is no clock in here.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::job::{Job, Share};
use super::profile::Profile;

/// The users of one worker. Of `n` users in all, user `k` performs the requests `k`, `k + n`, `k + 2 n` and so on.
#[derive(Debug)]
pub(super) struct Users {
    users: Vec<User>,
    /// Users that are not performing, by the time at which they begin.
    ready: BinaryHeap<Reverse<(Duration, usize)>>,
    /// Time between an answer and the user's next request.
    think: Duration,
    /// Number of users of all workers, by which the index grows from one request of a user to the next.
    in_all: u64,
    requests: u64,
    /// Requests of these users that have not been taken.
    left: u64,
}

#[derive(Debug)]
struct User {
    /// Index of its next request.
    next: u64,
    /// Spans of time in which the user is there, the current one last.
    spans: Vec<(Duration, Duration)>,
}

impl Users {
    /// A worker's share of as many users as the level says, with `requests` in all.
    pub fn new(level: &Profile, think: Duration, requests: u64, share: Share) -> Self {
        let in_all = level.most().ceil() as u64;
        let mut users = Vec::new();
        let mut left: u64 = 0;
        for number in share.users(in_all) {
            // In reverse: spans that are over are popped off the end.
            let spans = level.spans_above(number as f64).into_iter().rev().collect();
            users.push(User { next: number, spans });
            // As many as there are of number, number + in_all, number + 2 in_all and so on below `requests`.
            left = left.saturating_add(requests.saturating_sub(number).div_ceil(in_all));
        }
        let mut users = Self { users, ready: BinaryHeap::new(), think, in_all, requests, left };
        for user in 0..users.users.len() {
            users.is_ready(user, Duration::ZERO);
        }
        users
    }

    /// Number of users.
    pub fn number(&self) -> usize {
        self.users.len()
    }

    /// Requests that have not been taken.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Time at which the first of those who are ready begins.
    pub fn next_due(&self) -> Option<Duration> {
        self.ready.peek().map(|Reverse((due, _))| *due)
    }

    /// Takes the request of the first who is ready.
    pub fn take(&mut self) -> Option<Job> {
        let Reverse((due, user)) = self.ready.pop()?;
        self.left -= 1;
        Some(Job { index: self.users[user].next, due, user: Some(user) })
    }

    /// Ends a user's request at `now`. The user begins the next one when it has thought, or paused if that is longer.
    pub fn ended(&mut self, user: usize, now: Duration, pause: Duration) {
        self.users[user].next += self.in_all;
        self.is_ready(user, now + self.think.max(pause));
    }

    /// Nobody begins any more, now or later.
    pub fn clear(&mut self) {
        self.ready.clear();
        // A user whose request ends later finds no further one.
        self.requests = 0;
        self.left = 0;
    }

    /// Makes a user ready to begin at `from`, or as soon as it is there again after that.
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
