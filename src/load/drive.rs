//! The loop of one worker: begins the requests that are due, and waits for those under way. It runs on one event loop
//! and shares nothing.

use std::io;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::job::Job;
use super::pacer::Pacer;
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
    pacer: &mut Pacer,
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
        let now = Instant::now();
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
                queue.ended(job, start.elapsed(), pause);
            }
            waited = pacer.until(wake) => waited?,
        }
    }
    // Dropping what is under way aborts it. It is told as unfinished, so that every request is accounted for.
    drop(running);
    let now = Instant::now();
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
