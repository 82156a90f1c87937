//! What is to begin next, and when: arrivals on their own schedule, or users who are ready again. Times run from the
//! start of the run. Knows no clock.

use std::time::Duration;

use super::profile::Profile;
use super::schedule::{Closed, Schedule};
use super::users::Users;

/// A request that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    /// The request's index in the whole run.
    pub index: u64,
    /// When it is to begin.
    pub due: Duration,
    /// Who performs it: in the open model, anybody who is idle.
    pub user: Option<usize>,
}

/// A worker's share of the schedule: every request whose index, or user, leaves `worker` when divided by `workers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Counted from 0.
    pub worker: usize,
    /// How many there are.
    pub workers: usize,
}

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self { worker: 0, workers: 1 };
}

/// What one worker is to begin.
#[derive(Debug)]
pub struct Queue {
    source: Source,
    /// Nothing that is due later begins.
    until: Duration,
}

#[derive(Debug)]
enum Source {
    Open { schedule: Schedule, share: Share, next: Option<(u64, Duration)> },
    Closed(Users),
}

impl Queue {
    /// Arrivals that wait for nobody.
    pub fn open(schedule: Schedule, share: Share) -> Self {
        let until = schedule.lasting();
        let mut queue = Self { source: Source::Open { schedule, share, next: None }, until };
        queue.source.advance();
        queue
    }

    /// As many users as the level says, each of whom thinks after every answer; `requests` at most in all.
    pub fn closed(level: &Profile, think: Duration, requests: Option<u64>, share: Share) -> Self {
        let users = Users::new(level, think, requests.unwrap_or(u64::MAX), share);
        Self { source: Source::Closed(users), until: level.lasting() }
    }

    /// A fixed number of users and of requests.
    pub fn of(Closed { users, requests }: Closed) -> Self {
        let level = Profile::constant(f64::from(users), super::profile::ENDLESS);
        Self::closed(&level, Duration::ZERO, Some(requests), Share::WHOLE)
    }

    /// When the next request is due, if there is one that does not wait for an answer first.
    pub fn next_due(&self) -> Option<Duration> {
        let due = match &self.source {
            Source::Open { next, .. } => next.map(|(_, due)| due),
            Source::Closed(users) => users.next_due(),
        };
        due.filter(|due| *due <= self.until)
    }

    /// Takes the next request if it is due by `now`.
    pub fn take(&mut self, now: Duration) -> Option<Job> {
        self.next_due().filter(|due| *due <= now)?;
        match &mut self.source {
            Source::Open { next, .. } => {
                let (index, due) = next.take()?;
                self.source.advance();
                Some(Job { index, due, user: None })
            }
            Source::Closed(users) => users.take(),
        }
    }

    /// The job has ended at `now`; its user is ready again no earlier than `pause` later.
    pub fn ended(&mut self, job: Job, now: Duration, pause: Duration) {
        if let (Source::Closed(users), Some(user)) = (&mut self.source, job.user) {
            users.ended(user, now, pause);
        }
    }

    /// Nothing that is due after `now` will begin.
    pub fn close(&mut self, now: Duration) {
        self.until = self.until.min(now);
    }

    /// Nothing will begin any more, due or not.
    pub fn clear(&mut self) {
        match &mut self.source {
            Source::Open { next, .. } => *next = None,
            Source::Closed(users) => users.clear(),
        }
        self.until = Duration::ZERO;
    }

    /// Whether nothing becomes due after `now`, whatever ends.
    pub fn is_over(&self, now: Duration) -> bool {
        let taken = match &self.source {
            Source::Open { next, .. } => next.is_none(),
            Source::Closed(users) => users.left() == 0,
        };
        taken || now >= self.until
    }

    /// Most users that perform at once; nothing where answers are not waited for.
    pub fn users(&self) -> Option<usize> {
        match &self.source {
            Source::Open { .. } => None,
            Source::Closed(users) => Some(users.number()),
        }
    }
}

impl Source {
    /// Finds the next arrival of this share.
    fn advance(&mut self) {
        if let Self::Open { schedule, share, next } = self {
            *next = schedule.find(|(index, _)| index % share.workers as u64 == share.worker as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::schedule::Arrivals;
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn closed(users: u32, requests: u64) -> Queue {
        Queue::of(Closed { users, requests })
    }

    /// Performs everything, each request in 10 ms, on so many workers; the indices.
    fn indices(mut queues: Vec<Queue>) -> Vec<u64> {
        let mut seen = Vec::new();
        for queue in &mut queues {
            while let Some(due) = queue.next_due() {
                let job = queue.take(due).expect("is due");
                seen.push(job.index);
                queue.ended(job, due + MS(10), Duration::ZERO);
            }
        }
        seen.sort_unstable();
        seen
    }

    #[test]
    fn every_request_is_performed_exactly_once_by_any_number_of_workers() {
        for workers in 1..4 {
            let share = |worker| Share { worker, workers };
            let level = Profile::constant(5.0, super::super::profile::ENDLESS);
            let of_users = |worker| Queue::closed(&level, MS(1), Some(17), share(worker));
            assert_eq!(indices((0..workers).map(of_users).collect()), (0..17).collect::<Vec<_>>());
            let rate = Profile::constant(10.0, MS(1700));
            let schedule = Schedule::new(rate, Arrivals::Constant, 1);
            let of_arrivals = |worker| Queue::open(schedule.clone(), share(worker));
            assert_eq!(indices((0..workers).map(of_arrivals).collect()), (0..17).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_user_begins_again_when_its_last_request_has_ended_and_it_has_thought() {
        let level = Profile::constant(1.0, MS(100));
        let mut queue = Queue::closed(&level, MS(20), None, Share::WHOLE);
        let job = queue.take(MS(0)).expect("is due");
        assert_eq!(queue.next_due(), None);
        queue.ended(job, MS(30), Duration::ZERO);
        assert_eq!((queue.next_due(), queue.take(MS(49))), (Some(MS(50)), None));
        let job = queue.take(MS(51)).expect("is due");
        assert_eq!((job.index, job.due), (1, MS(50)));
        // It would begin at 100, when no one is there any more.
        queue.ended(job, MS(80), Duration::ZERO);
        assert_eq!(queue.next_due(), None);
    }

    #[test]
    fn a_pause_is_longer_than_thinking_or_nothing() {
        let mut queue = closed(1, 9);
        let job = queue.take(MS(0)).expect("is due");
        queue.ended(job, MS(10), MS(100));
        assert_eq!(queue.next_due(), Some(MS(110)));
    }

    #[test]
    fn users_come_and_go_with_the_level() {
        let stages = ["0..2:2s", "2..0:2s"].map(|text| text.parse().expect("is a stage"));
        let mut queue = Queue::closed(&Profile::new(stages.into()), Duration::ZERO, None, Share::WHOLE);
        assert_eq!((queue.users(), queue.next_due()), (Some(2), Some(MS(0))));
        let first = queue.take(MS(0)).expect("is due");
        assert_eq!(queue.next_due(), Some(MS(1000)));
        let second = queue.take(MS(1000)).expect("is due");
        assert_eq!((first.user, second.user), (Some(0), Some(1)));
        queue.ended(second, MS(3000), Duration::ZERO);
        assert_eq!(queue.next_due(), None);
        queue.ended(first, MS(3999), Duration::ZERO);
        assert_eq!(queue.next_due(), Some(MS(3999)));
    }

    #[test]
    fn it_is_over_when_all_requests_are_taken_or_its_time_is_up() {
        let mut queue = closed(2, 3);
        let jobs = [queue.take(MS(0)), queue.take(MS(0))].map(|job| job.expect("is due"));
        assert!(!queue.is_over(MS(5)) && queue.next_due().is_none());
        queue.ended(jobs[1], MS(5), Duration::ZERO);
        assert!(queue.next_due().is_none(), "the second user has none left");
        queue.ended(jobs[0], MS(6), Duration::ZERO);
        assert!(queue.take(MS(6)).is_some_and(|job| job.index == 2) && queue.is_over(MS(6)));
        let timed = Queue::closed(&Profile::constant(1.0, MS(10)), MS(0), None, Share::WHOLE);
        assert!(!timed.is_over(MS(9)) && timed.is_over(MS(10)));
        let mut cleared = closed(2, 3);
        cleared.clear();
        assert!(cleared.take(MS(0)).is_none() && cleared.is_over(MS(0)));
    }

    #[test]
    fn a_closed_queue_gives_what_was_due_and_nothing_more() {
        let schedule = Schedule::new(Profile::constant(10.0, MS(1000)), Arrivals::Constant, 1);
        let mut queue = Queue::open(schedule, Share::WHOLE);
        queue.close(MS(250));
        let due: Vec<_> = std::iter::from_fn(|| queue.take(MS(900))).map(|job| job.due).collect();
        assert_eq!((due, queue.next_due()), (vec![MS(0), MS(100), MS(200)], None));
        let mut queue = closed(2, 100);
        let job = queue.take(MS(0)).expect("is due");
        queue.close(MS(5));
        queue.ended(job, MS(6), Duration::ZERO);
        assert!(queue.take(MS(9)).is_some_and(|job| job.user == Some(1)));
        assert_eq!(queue.take(MS(9)), None);
    }
}
