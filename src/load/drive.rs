//! The loop of one worker: begins the requests that are due, and waits for those under way. It runs on one event loop
//! and shares nothing.

use std::io;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::clock::Clock;
use super::job::Job;
use super::queue::Queue;
use crate::recording::{Class, Performed};

/// Longest time between two looks at whether the worker is to stop.
const LOOK: Duration = Duration::from_millis(100);
/// How long a user waits after it could not connect. Without that, a second in which a service is gone would be counted as
/// tens of thousands of failures.
const RECONNECT: Duration = Duration::from_millis(100);

/// Something to be done many times, by many users at once. Each worker has one of its own: it need not be `Sync`.
pub trait Operation {
    /// What a user keeps from request to request, as a connection.
    type User;

    /// A user that has done nothing yet.
    fn user(&self) -> Self::User;

    /// Performs the request `index` of the run. Its service time is measured here.
    fn perform(&self, user: &mut Self::User, index: u64) -> impl Future<Output = Performed>;

    /// Names of the steps that each operation consists of, in their order; none where it is a single request. They are what
    /// reports and limits call the steps.
    fn steps(&self) -> &[String] {
        &[]
    }

    /// Whether this request may still be performed; the first that may not ends the schedule.
    fn allows(&self, _index: u64) -> bool {
        true
    }
}

/// Receives the events of every request.
pub trait Sink {
    /// A request is due and begins now.
    fn begins(&mut self, now: Instant);

    /// A request that was due at `due` has ended.
    fn ended(&mut self, due: Instant, performed: Performed);

    /// A request that was due at `due` has not ended by `now`, when the run is over.
    fn unfinished(&mut self, due: Instant, now: Instant);

    /// Whether nothing further should begin. Asked in every turn of the loop.
    fn stops(&self) -> bool;

    /// Called in every turn of the loop.
    fn turn(&mut self, _now: Instant) {}
}

/// When a run begins, and how much it may have under way for how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Instant from which the queue's times count.
    pub start: Instant,
    /// Most requests under way at once; what is due beyond that waits, and begins late.
    pub at_once: usize,
    /// How long requests may take to end once the last one is due.
    pub grace: Duration,
}

/// How a drive ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Whether everything that was scheduled began.
    pub whole: bool,
}

/// Performs all of the queue. `users` are kept from one call to the next; those whose request does not end are lost.
pub async fn drive<O: Operation>(
    operation: &O,
    users: &mut Vec<Option<O::User>>,
    mut queue: Queue,
    clock: &mut impl Clock,
    sink: &mut impl Sink,
    Limits { start, at_once, grace }: Limits,
) -> io::Result<Ended> {
    let mut slots = Slots::new(users, queue.users());
    let mut running = FuturesUnordered::new();
    // When the grace ends; not known before the schedule does.
    let mut deadline = None;
    let mut look = start;
    let mut whole = true;
    loop {
        let now = clock.now();
        let since = now.saturating_duration_since(start);
        sink.turn(now);
        // Stopped: what was due by now still counts, and begins if there is room.
        if sink.stops() {
            whole = false;
            queue.close(since);
        }
        while running.len() < at_once
            && let Some(job) = queue.take(since)
        {
            if !operation.allows(job.index) {
                whole = false;
                queue.clear();
                break;
            }
            sink.begins(now);
            let (slot, user) = slots.take(job.user, start + job.due, || operation.user());
            running.push(perform(operation, job, slot, user));
        }
        let next = queue.next_due().map(|due| start + due);
        if next.is_none() && running.is_empty() {
            break;
        }
        // The schedule is over: what is under way may take the grace, counted from the first turn that notices.
        if queue.is_over(since) {
            let deadline = *deadline.get_or_insert(now + grace);
            if now >= deadline {
                break;
            }
        }
        if now >= look {
            look = now + LOOK;
        }
        // While as many run as may, an arrival cannot begin, and waking up for it would be a busy loop.
        let wake = match next {
            Some(next) if running.len() < at_once => next.min(look),
            _ => look,
        };
        tokio::select! {
            // What has ended comes before the timer: it makes room for what is due.
            biased;
            Some((job, slot, user, performed)) = running.next(), if !running.is_empty() => {
                let due = slots.give(slot, user);
                let pause = pause_after(&performed);
                sink.ended(due, performed);
                queue.ended(job, clock.now().saturating_duration_since(start), pause);
            }
            waited = clock.until(wake) => waited?,
        }
    }
    // Dropping what is under way aborts it. It is told as unfinished, so that every request is accounted for.
    drop(running);
    let now = clock.now();
    slots.taken().for_each(|due| sink.unfinished(due, now));
    // What was due and found no place is no less unfinished.
    while let Some(job) = queue.take(now.saturating_duration_since(start)) {
        sink.begins(now);
        sink.unfinished(start + job.due, now);
    }
    Ok(Ended { whole })
}

/// Performs a job, and returns the user who did it and the user's slot.
async fn perform<O: Operation>(
    operation: &O,
    job: Job,
    slot: usize,
    mut user: O::User,
) -> (Job, usize, O::User, Performed) {
    let performed = operation.perform(&mut user, job.index).await;
    (job, slot, user, performed)
}

/// The users, each in a slot; empty while its user performs, or before there is one.
struct Slots<'a, U> {
    users: &'a mut Vec<Option<U>>,
    /// When the request that its user performs was due.
    due: Vec<Option<Instant>>,
    /// Slots of users who are idle, for requests that anybody may perform; empty where every request has its user.
    idle: Vec<usize>,
    /// Whether every request has its user.
    fixed: bool,
}

impl<'a, U> Slots<'a, U> {
    /// This many slots, or as many as are needed where there is no number.
    fn new(users: &'a mut Vec<Option<U>>, number: Option<usize>) -> Self {
        users.resize_with(number.unwrap_or(users.len()), || None);
        let fixed = number.is_some();
        // In reverse, as `pop` takes the last: slots are taken from the first on.
        let idle = if fixed { Vec::new() } else { (0..users.len()).rev().collect() };
        Self { due: vec![None; users.len()], users, idle, fixed }
    }

    /// Takes this user, or one that is idle, or a new one.
    fn take(&mut self, user: Option<usize>, due: Instant, new: impl FnOnce() -> U) -> (usize, U) {
        let slot = match user.or_else(|| self.idle.pop()) {
            Some(slot) => slot,
            None => {
                self.users.push(None);
                self.due.push(None);
                self.users.len() - 1
            }
        };
        self.due[slot] = Some(due);
        (slot, self.users[slot].take().unwrap_or_else(new))
    }

    /// Puts a user back, and returns when the request that it performed was due.
    fn give(&mut self, slot: usize, user: U) -> Instant {
        self.users[slot] = Some(user);
        if !self.fixed {
            self.idle.push(slot);
        }
        self.due[slot].take().expect("was set when it was taken")
    }

    /// When each request that is still under way was due.
    fn taken(self) -> impl Iterator<Item = Instant> {
        self.due.into_iter().flatten()
    }
}

/// How long the user waits before its next request: only where it could not even send this one.
fn pause_after(performed: &Performed) -> Duration {
    match &performed.finished.outcome {
        Err(failure) if matches!(failure.class, Class::Connect | Class::Local) => RECONNECT,
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::super::job::Share;
    use super::super::profile::Profile;
    use super::super::schedule::{Arrivals, Schedule};
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// tokio's clock while it is paused: it stands still while anything can be done, and then jumps to what is waited for.
    struct Paused;

    impl Clock for Paused {
        fn now(&self) -> Instant {
            tokio::time::Instant::now().into_std()
        }

        async fn until(&mut self, at: Instant) -> io::Result<()> {
            tokio::time::sleep_until(at.into()).await;
            Ok(())
        }
    }

    /// Takes so long by that clock.
    struct Takes(Duration);

    impl Operation for Takes {
        type User = ();

        fn user(&self) {}

        async fn perform(&self, (): &mut (), _: u64) -> Performed {
            let began = Paused.now();
            tokio::time::sleep(self.0).await;
            let latency = Paused.now() - began;
            Performed::new(began, latency, Ok(()))
        }
    }

    /// What a run told, in ms from its start.
    #[derive(Debug, Default, PartialEq)]
    struct Told {
        begun: u64,
        /// When each was due, and when it ended.
        ended: Vec<(u128, u128)>,
        /// When each was due, and when the run was over.
        unfinished: Vec<(u128, u128)>,
    }

    struct Seen {
        start: Instant,
        told: Told,
        stops_after: usize,
    }

    impl Seen {
        fn ms(&self, at: Instant) -> u128 {
            (at - self.start).as_millis()
        }
    }

    impl Sink for Seen {
        fn begins(&mut self, _: Instant) {
            self.told.begun += 1;
        }

        fn ended(&mut self, due: Instant, performed: Performed) {
            let end = performed.began + performed.finished.latency;
            self.told.ended.push((self.ms(due), self.ms(end)));
        }

        fn unfinished(&mut self, due: Instant, now: Instant) {
            self.told.unfinished.push((self.ms(due), self.ms(now)));
        }

        fn stops(&self) -> bool {
            self.told.ended.len() >= self.stops_after
        }
    }

    /// Performs this queue, and stops after so many requests have ended.
    fn driven(
        queue: Queue,
        takes: Duration,
        at_once: usize,
        grace: Duration,
        stops_after: usize,
    ) -> (Told, Ended) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("starts").block_on(async {
            let start = Paused.now();
            let limits = Limits { start, at_once, grace };
            let mut seen = Seen { start, told: Told::default(), stops_after };
            let ended = drive(&Takes(takes), &mut Vec::new(), queue, &mut Paused, &mut seen, limits).await;
            (seen.told, ended.expect("the clock does not fail"))
        })
    }

    /// Arrivals every 100 ms for so long.
    fn every_100_ms(lasting: Duration) -> Queue {
        Queue::open(Schedule::new(Profile::constant(10.0, lasting), Arrivals::Constant, 1), Share::WHOLE)
    }

    #[test]
    fn arrivals_wait_for_nobody() {
        let (told, ended) = driven(every_100_ms(MS(500)), MS(250), 100, MS(1000), 100);
        let expected = vec![(0, 250), (100, 350), (200, 450), (300, 550), (400, 650)];
        assert_eq!(told, Told { begun: 5, ended: expected, unfinished: vec![] });
        assert!(ended.whole);
    }

    #[test]
    fn what_finds_no_place_begins_late_and_was_due_when_it_was_due() {
        // One at a time, each for 250 ms.
        let (told, _) = driven(every_100_ms(MS(500)), MS(250), 1, MS(2000), 100);
        let expected = vec![(0, 250), (100, 500), (200, 750), (300, 1000), (400, 1250)];
        assert_eq!(told, Told { begun: 5, ended: expected, unfinished: vec![] });
    }

    #[test]
    fn what_has_not_ended_with_the_grace_is_told_as_unfinished() {
        // The schedule is over when its last arrival has begun, at 400; two of three places are taken by then, and the
        // third of all is under way until 1050.
        let (told, _) = driven(every_100_ms(MS(500)), MS(350), 2, MS(300), 100);
        // Due at 0 and 100, begun at once; due at 200 and 300, begun at 350 and 450; due at 400, begun at 700.
        assert_eq!(told.begun, 5);
        assert_eq!(told.ended, [(0, 350), (100, 450), (200, 700), (300, 800)]);
        assert_eq!(told.unfinished.len(), 1, "{told:?}");
        assert_eq!(told.unfinished[0].0, 400);
    }

    #[test]
    fn what_was_due_and_never_began_is_unfinished_too() {
        // Ten are due, and each takes longer than the run.
        let (told, ended) = driven(every_100_ms(MS(1000)), MS(60_000), 3, MS(500), 100);
        assert_eq!((told.begun, told.ended.len()), (10, 0));
        let mut due: Vec<u128> = told.unfinished.iter().map(|(due, _)| *due).collect();
        due.sort_unstable();
        assert_eq!(due, (0..10).map(|n| 100 * n).collect::<Vec<u128>>());
        assert!(ended.whole);
    }

    #[test]
    fn a_user_begins_again_when_its_last_request_has_ended() {
        let hour = Duration::from_secs(3600);
        let queue = Queue::closed(&Profile::constant(2.0, hour), MS(500), None, Share::WHOLE);
        let (told, _) = driven(queue, MS(1500), usize::MAX, hour, usize::MAX);
        // Two users, each with a request every 2 s: 1.5 s for the answer, half a second to think.
        assert_eq!(told.ended[..4], [(0, 1500), (0, 1500), (2000, 3500), (2000, 3500)]);
        assert_eq!((told.ended.len() as u64, told.begun), (2 * 1800, 2 * 1800));
    }

    #[test]
    fn one_that_is_stopped_performs_what_was_due_and_no_more() {
        let (told, ended) = driven(every_100_ms(MS(60_000)), MS(150), 100, MS(1000), 3);
        // The third ends at 350, when the one of 300 is under way.
        assert_eq!(told.ended, [(0, 150), (100, 250), (200, 350), (300, 450)]);
        assert!(!ended.whole);
    }
}
