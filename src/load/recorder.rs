//! The record of one worker, and the recording that the records of all workers are merged into.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::drive::Sink;
use super::second::{Second, Seconds};
use super::steps::{self, StepRecording, StepsRecorder};
use crate::recording::{Class, Finished, Performed, Recorder, Recording, Samples};

/// Times that are measured beside the response time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// From the actual beginning of a request until its outcome.
    pub service: Samples,
    /// From the scheduled beginning to the actual one: the generator's own delay.
    pub send_delay: Samples,
    /// Until a new connection was open, TLS included; only of requests that opened one.
    pub connect: Samples,
    /// From the beginning, or the connection, until the head of the answer had come.
    pub first_byte: Samples,
    /// From the head of the answer to its end.
    pub last_byte: Samples,
}

/// Record of one worker, of a run that goes on.
#[derive(Debug)]
pub struct LoadRecorder<'a> {
    start: Instant,
    stop: &'a AtomicBool,
    seconds: Seconds,
    done: Sender<Second>,
    recorder: Recorder,
    times: Times,
    steps: StepsRecorder,
    scheduled: u64,
    unfinished: Samples,
    in_flight: InFlight,
}

/// Requests under way, and the integral of their number over time, for Little's law: its mean is rate times latency.
#[derive(Debug)]
struct InFlight {
    now: u64,
    since: Instant,
    area_ns: u128,
}

impl InFlight {
    fn change(&mut self, at: Instant, now: u64) {
        self.area_ns += u128::from(self.now) * at.saturating_duration_since(self.since).as_nanos();
        (self.since, self.now) = (at, now);
    }
}

impl<'a> LoadRecorder<'a> {
    /// A record of a run that begins at `start` and ends early once `stop` is set. Every second that is over goes to `done`.
    pub fn new(start: Instant, stop: &'a AtomicBool, done: Sender<Second>) -> Self {
        Self {
            start,
            stop,
            seconds: Seconds::default(),
            done,
            recorder: Recorder::default(),
            times: Times::default(),
            steps: StepsRecorder::default(),
            scheduled: 0,
            unfinished: Samples::default(),
            in_flight: InFlight { now: 0, since: start, area_ns: 0 },
        }
    }

    /// The same, of operations that consist of these steps.
    pub fn of_steps(mut self, names: &[String]) -> Self {
        self.steps = StepsRecorder::new(names);
        self
    }

    /// Ends the record of a run that lasts this long at least.
    pub fn finish(mut self, lasting: Duration) -> LoadRecording {
        // Until the last event, or the end of the schedule: a rate over less would be too high.
        let elapsed = self.in_flight.since.saturating_duration_since(self.start).max(lasting);
        if let Some(last) = self.seconds.finish(self.in_flight.now) {
            // Nobody receives it where the run was broken off.
            let _ = self.done.send(last);
        }
        self.recorder.pass(elapsed);
        LoadRecording {
            responses: self.recorder.finish(),
            times: self.times,
            steps: self.steps.finish(elapsed),
            scheduled: self.scheduled,
            unfinished: self.unfinished,
            in_flight_ns: self.in_flight.area_ns,
        }
    }

    /// Index of the second that `now` is in.
    fn second_of(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_secs()
    }
}

impl Sink for LoadRecorder<'_> {
    fn begins(&mut self, now: Instant) {
        self.scheduled += 1;
        self.seconds.begun();
        self.in_flight.change(now, self.in_flight.now + 1);
    }

    fn ended(&mut self, due: Instant, Performed { began, phases, finished, steps }: Performed) {
        // From the time at which the request was due, whether or not the generator was ready: a stall delays everybody who
        // comes during it, and each of them has to count (coordinated omission). Ends come in the order in which they are
        // noticed, and the clock of the requests under way must not run back.
        let send_delay = began.saturating_duration_since(due);
        let service = finished.latency;
        let response = send_delay + service;
        let end = began + service;
        self.in_flight.change(end.max(self.in_flight.since), self.in_flight.now - 1);
        // Seconds before this one go out first, or they would count it.
        self.turn(end);
        self.times.send_delay.record(send_delay);
        if finished.outcome.is_ok() {
            self.times.service.record(service);
            for (phase, took) in [
                (&mut self.times.connect, phases.connect),
                (&mut self.times.first_byte, phases.first_byte),
                (&mut self.times.last_byte, phases.last_byte),
            ] {
                if let Some(took) = took {
                    phase.record(took);
                }
            }
        }
        self.steps.record(steps, finished.outcome.is_ok());
        // Seconds are of whole operations, whatever their steps were.
        let failure = finished.outcome.as_ref().err().map(|failure| failure.class);
        self.seconds.ended(response, send_delay, failure);
        self.recorder.record(Finished { latency: response, outcome: finished.outcome });
    }

    fn unfinished(&mut self, due: Instant, now: Instant) {
        self.unfinished.record(now.saturating_duration_since(due));
        self.in_flight.change(now, self.in_flight.now - 1);
    }

    fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn turn(&mut self, now: Instant) {
        while let Some(second) = self.seconds.over(self.second_of(now), self.in_flight.now) {
            let _ = self.done.send(second);
        }
    }
}

/// Everything that was recorded of a run. `scheduled = ok + failures of every class + unfinished`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadRecording {
    /// Response times of successes, from the scheduled beginning; failures by class; the time that all of it took.
    pub responses: Recording,
    /// The other times.
    pub times: Times,
    /// The steps of the operations that have ended, in their order. Empty where operations have none, and in records of
    /// earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepRecording>,
    /// Requests that were due.
    pub scheduled: u64,
    /// Requests that had not ended when the run did, by their age.
    pub unfinished: Samples,
    /// Integral of the requests under way over time, in ns.
    pub in_flight_ns: u128,
}

impl LoadRecording {
    /// Adds what another worker has recorded at the same time.
    pub fn merge(&mut self, other: Self) {
        self.responses.merge(other.responses);
        self.times.service.merge(&other.times.service);
        self.times.send_delay.merge(&other.times.send_delay);
        self.times.connect.merge(&other.times.connect);
        self.times.first_byte.merge(&other.times.first_byte);
        self.times.last_byte.merge(&other.times.last_byte);
        steps::merge(&mut self.steps, other.steps);
        self.scheduled += other.scheduled;
        self.unfinished.merge(&other.unfinished);
        // A file may hold any number.
        self.in_flight_ns = self.in_flight_ns.saturating_add(other.in_flight_ns);
    }

    /// Mean number of requests under way, over the run's time.
    pub fn mean_in_flight(&self) -> Option<f64> {
        let elapsed = self.responses.elapsed.as_nanos();
        if elapsed == 0 {
            return None;
        }
        Some(self.in_flight_ns as f64 / elapsed as f64)
    }

    /// Whether every request that was due is accounted for.
    pub fn adds_up(&self) -> bool {
        self.scheduled == self.responses.total() + self.unfinished.count()
    }

    /// Whether the steps come to the operations that they are of.
    pub fn steps_add_up(&self) -> bool {
        steps::add_up(&self.steps, &self.responses, &self.times.service)
    }

    /// Requests that failed because this machine could not send them.
    pub fn local_failures(&self) -> u64 {
        self.responses.failed.get(&Class::Local).map_or(0, |failed| failed.latency.count())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::recording::{Failure, PerformedStep};

    const MS: fn(u64) -> Duration = Duration::from_millis;
    static GO: AtomicBool = AtomicBool::new(false);

    fn performed(began: Instant, ms: u64, ok: bool) -> Performed {
        let outcome = if ok { Ok(()) } else { Err(Failure::new(Class::Reset, "gone")) };
        Performed::new(began, MS(ms), outcome)
    }

    /// Records requests that were all due and begun at `start`; one whose milliseconds are a multiple of 7 fails.
    fn recorded(start: Instant, latencies: &[u64]) -> LoadRecording {
        let mut log = LoadRecorder::new(start, &GO, mpsc::channel().0);
        for &ms in latencies {
            log.begins(start);
            log.ended(start, performed(start, ms, !ms.is_multiple_of(7)));
        }
        log.finish(Duration::ZERO)
    }

    fn shortest(samples: &Samples) -> Duration {
        samples.range().expect("has one").0
    }

    #[test]
    fn response_time_runs_from_the_scheduled_beginning() {
        let start = Instant::now();
        let mut log = LoadRecorder::new(start, &GO, mpsc::channel().0);
        // Due at 9.9 ms, begun at 30, and answered at 35.
        log.begins(start + MS(30));
        let due = start + Duration::from_micros(9_900);
        log.ended(due, performed(start + MS(30), 5, true));
        let load = log.finish(Duration::ZERO);
        // To the microsecond, and not in whole milliseconds.
        assert_eq!(shortest(&load.responses.ok), Duration::from_micros(25_100));
        assert_eq!(shortest(&load.times.service), MS(5));
        assert_eq!(shortest(&load.times.send_delay), Duration::from_micros(20_100));
        assert_eq!(load.responses.elapsed, MS(35));
    }

    #[test]
    fn what_is_due_is_ok_or_failed_or_unfinished() {
        let start = Instant::now();
        let mut log = LoadRecorder::new(start, &GO, mpsc::channel().0);
        for _ in 0..4 {
            log.begins(start);
        }
        log.ended(start, performed(start, 5, true));
        log.ended(start, performed(start, 90, false));
        log.unfinished(start, start + MS(100));
        log.unfinished(start + MS(40), start + MS(100));
        let load = log.finish(Duration::ZERO);
        assert!(load.adds_up());
        assert_eq!((load.scheduled, load.responses.ok.count(), load.unfinished.count()), (4, 1, 2));
        // The time of a failure is not a response time.
        assert_eq!(load.responses.ok.range(), Some((MS(5), MS(5))));
        assert_eq!(load.unfinished.range(), Some((MS(60), MS(100))));
        // 4 under way for 5 ms, 3 for 85 ms, and 2 for 10 ms, over 100 ms.
        assert_eq!(load.mean_in_flight(), Some((20.0 + 255.0 + 20.0) / 100.0));
    }

    #[test]
    fn steps_add_up_to_their_operations() {
        let start = Instant::now();
        let names = ["one".to_owned(), "two".to_owned()];
        let mut log = LoadRecorder::new(start, &GO, mpsc::channel().0).of_steps(&names);
        // 3 + 5 ms, begun 2 ms after it was due; then one that fails at once, and has no second step.
        for ms in [&[3, 5][..], &[7]] {
            let failed = ms.len() < names.len();
            let mut steps = Vec::new();
            for &one in ms {
                let outcome = if failed { Err(Failure::new(Class::Reset, "gone")) } else { Ok(()) };
                steps.push(PerformedStep { finished: Finished { latency: MS(one), outcome }, requests: 1 });
            }
            log.begins(start);
            let whole = performed(start + MS(2), ms.iter().sum(), !failed);
            log.ended(start, Performed { steps, ..whole });
        }
        let load = log.finish(Duration::ZERO);
        assert!(load.adds_up() && load.steps_add_up());
        let counts: Vec<(u64, u64)> =
            load.steps.iter().map(|step| (step.begun(), step.not_reached)).collect();
        assert_eq!(counts, [(2, 0), (1, 1)]);
        // The send delay is of the whole, and of no step.
        assert_eq!(shortest(&load.responses.ok), MS(10));
        assert_eq!(shortest(&load.steps[1].outcomes.ok), MS(5));
    }

    #[test]
    fn workers_put_together_are_as_one() {
        let start = Instant::now();
        // Squares modulo a prime: neither in order nor evenly spread.
        let all: Vec<u64> = (1..500).map(|n| n * n % 1009).collect();
        let mut merged = recorded(start, &all[..100]);
        merged.merge(recorded(start, &all[100..350]));
        merged.merge(recorded(start, &all[350..]));
        let whole = recorded(start, &all);
        assert_eq!(merged.responses.ok.histogram(), whole.responses.ok.histogram());
        assert_eq!(merged.responses.ok.mean_ns(), whole.responses.ok.mean_ns());
        assert_eq!(merged.responses.ok.std_dev_ns(), whole.responses.ok.std_dev_ns());
        assert_eq!(merged.responses.ok.range(), whole.responses.ok.range());
        assert_eq!(merged.responses.failures(), whole.responses.failures());
        assert_eq!((merged.scheduled, merged.in_flight_ns), (whole.scheduled, whole.in_flight_ns));
    }
}
