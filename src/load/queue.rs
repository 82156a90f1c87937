//! The request that is to begin next: an arrival on its own schedule, or one of a user who is ready again. Times run from
//! the start of the run. There is no clock in here.

use std::time::Duration;

use super::job::{Job, Share};
use super::profile::Profile;
use super::schedule::{Closed, Schedule};
use super::users::Users;

/// The requests that one worker is to begin.
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
    /// A queue of arrivals, which wait for nobody.
    pub fn open(schedule: Schedule, share: Share) -> Self {
        let until = schedule.lasting();
        let mut queue = Self { source: Source::Open { schedule, share, next: None }, until };
        queue.source.advance();
        queue
    }

    /// A queue of as many users as the level says, each of whom thinks after every answer; `requests` at most in all.
    pub fn closed(level: &Profile, think: Duration, requests: Option<u64>, share: Share) -> Self {
        let users = Users::new(level, think, requests.unwrap_or(u64::MAX), share);
        Self { source: Source::Closed(users), until: level.lasting() }
    }

    /// A queue of a fixed number of users and of requests.
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
        // A user who is ready only after the end does not begin again.
        due.filter(|due| *due <= self.until)
    }

    /// Takes the next request if it is due by `now`.
    pub fn take(&mut self, now: Duration) -> Option<Job> {
        if self.next_due()? > now {
            return None;
        }
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

    /// Closes the queue: nothing that is due after `now` will begin.
    pub fn close(&mut self, now: Duration) {
        self.until = self.until.min(now);
    }

    /// Empties the queue: nothing will begin any more, due or not.
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

    /// Most users that perform at once; `None` in the open model, where there is no such limit.
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
        // Every worker computes the whole schedule and keeps its own part of it, so nothing is shared between workers, or
        // between shards.
        if let Self::Open { schedule, share, next } = self {
            let arrivals = schedule.arrivals();
            let seed = schedule.seed();
            *next = schedule.find(|(index, _)| share.has_arrival(arrivals, seed, *index));
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

    /// Performs everything in these workers' queues, each request in 10 ms, and returns the indices in order.
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
            // 17 requests of 5 users, and 17 arrivals: 10 a second for 1.7 s. Neither 17 nor 5 can be shared out evenly among 2
            // or 3 workers.
            let level = Profile::constant(5.0, super::super::profile::ENDLESS);
            let schedule = Schedule::new(Profile::constant(10.0, MS(1700)), Arrivals::Constant, 1);
            let mut of_users = Vec::new();
            let mut of_arrivals = Vec::new();
            for worker in 0..workers {
                let share = Share { worker, workers, ..Share::WHOLE };
                of_users.push(Queue::closed(&level, MS(1), Some(17), share));
                of_arrivals.push(Queue::open(schedule.clone(), share));
            }
            assert_eq!(indices(of_users), (0..17).collect::<Vec<_>>());
            assert_eq!(indices(of_arrivals), (0..17).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_user_begins_again_when_its_last_request_has_ended_and_it_has_thought() {
        let level = Profile::constant(1.0, MS(100));
        let mut queue = Queue::closed(&level, MS(20), None, Share::WHOLE);
        let job = queue.take(MS(0)).expect("is due");
        assert_eq!(queue.next_due(), None);
        queue.ended(job, MS(30), Duration::ZERO);
        // Ended at 30, and thinks for 20.
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
        // User 0 is there from 0 to 4 s, user 1 while the level is above 1: from 1 to 3 s.
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
        // User 0 has the requests 0 and 2, user 1 has 1.
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
        // Due at 0, 100, 200, ... ms.
        queue.close(MS(250));
        let due: Vec<_> = std::iter::from_fn(|| queue.take(MS(900))).map(|job| job.due).collect();
        assert_eq!((due, queue.next_due()), (vec![MS(0), MS(100), MS(200)], None));
        let mut queue = closed(2, 100);
        let job = queue.take(MS(0)).expect("is due");
        queue.close(MS(5));
        // The other user was due at 0, before it was closed; this one is ready only after that.
        queue.ended(job, MS(6), Duration::ZERO);
        assert!(queue.take(MS(9)).is_some_and(|job| job.user == Some(1)));
        assert_eq!(queue.take(MS(9)), None);
    }
}
