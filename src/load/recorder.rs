//! What one worker records of a run, and what comes of it when all are put together.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::drive::Sink;
use super::second::{Second, Seconds};
use crate::recording::{Class, Finished, Performed, Recorder, Recording, Samples};

/// Times of one kind of interval, besides the response times.
#[derive(Debug, Clone, Default)]
pub struct Times {
    /// From the actual beginning of a request until its outcome.
    pub service: Samples,
    /// From the scheduled beginning to the actual one: the generator's own delay.
    pub send_delay: Samples,
    /// Until a new connection stood, TLS included; only of requests that opened one.
    pub connect: Samples,
    /// From the beginning, or the connection, until the head of the answer had come.
    pub first_byte: Samples,
    /// From the head of the answer to its end.
    pub last_byte: Samples,
}

/// What one worker has recorded so far.
#[derive(Debug)]
pub struct LoadRecorder<'a> {
    start: Instant,
    stop: &'a AtomicBool,
    seconds: Seconds,
    done: Sender<Second>,
    recorder: Recorder,
    times: Times,
    scheduled: u64,
    unfinished: Samples,
    in_flight: InFlight,
}

/// Requests under way, and the integral of their number over time.
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
    /// Of a run that begins at `start` and ends early once `stop` is set. Every second that is over goes to `done`.
    pub fn new(start: Instant, stop: &'a AtomicBool, done: Sender<Second>) -> Self {
        Self {
            start,
            stop,
            seconds: Seconds::default(),
            done,
            recorder: Recorder::default(),
            times: Times::default(),
            scheduled: 0,
            unfinished: Samples::default(),
            in_flight: InFlight { now: 0, since: start, area_ns: 0 },
        }
    }

    /// Ends the record of a run that was to last this long at least.
    pub fn finish(mut self, lasting: Duration) -> LoadRecording {
        let elapsed = self.in_flight.since.saturating_duration_since(self.start).max(lasting);
        if let Some(last) = self.seconds.finish(self.in_flight.now) {
            // Nobody is there to hear it any more where the run was broken off.
            let _ = self.done.send(last);
        }
        self.recorder.pass(elapsed);
        LoadRecording {
            responses: self.recorder.finish(),
            times: self.times,
            scheduled: self.scheduled,
            unfinished: self.unfinished,
            in_flight_ns: self.in_flight.area_ns,
        }
    }

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

    fn ended(&mut self, due: Instant, Performed { began, phases, finished }: Performed) {
        let send_delay = began.saturating_duration_since(due);
        let service = finished.latency;
        let response = send_delay + service;
        let end = began + service;
        self.in_flight.change(end.max(self.in_flight.since), self.in_flight.now - 1);
        self.turn(end);
        self.times.send_delay.record(send_delay);
        if finished.outcome.is_ok() {
            self.times.service.record(service);
            for (phase, took) in [
                (&mut self.times.connect, phases.connect),
                (&mut self.times.first_byte, phases.first_byte),
                (&mut self.times.last_byte, phases.last_byte),
            ] {
                took.into_iter().for_each(|took| phase.record(took));
            }
        }
        self.seconds.ended(response, finished.outcome.is_ok());
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

/// What a run came to. `scheduled = ok + failures of every class + unfinished`.
#[derive(Debug, Clone, Default)]
pub struct LoadRecording {
    /// Response times of successes, from the scheduled beginning; failures by class; the time that all of it took.
    pub responses: Recording,
    /// What else was timed.
    pub times: Times,
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
        self.scheduled += other.scheduled;
        self.unfinished.merge(&other.unfinished);
        self.in_flight_ns += other.in_flight_ns;
    }

    /// Requests under way, on average over the run's time.
    pub fn mean_in_flight(&self) -> Option<f64> {
        let elapsed = self.responses.elapsed.as_nanos();
        (elapsed > 0).then(|| self.in_flight_ns as f64 / elapsed as f64)
    }

    /// Whether every request that was due is accounted for.
    pub fn adds_up(&self) -> bool {
        self.scheduled == self.responses.total() + self.unfinished.count()
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
    use crate::recording::{Failure, Phases};

    const MS: fn(u64) -> Duration = Duration::from_millis;
    static GO: AtomicBool = AtomicBool::new(false);

    fn performed(began: Instant, ms: u64, ok: bool) -> Performed {
        let outcome = if ok { Ok(()) } else { Err(Failure::new(Class::Reset, "gone")) };
        Performed { began, phases: Phases::default(), finished: Finished { latency: MS(ms), outcome } }
    }

    #[test]
    fn response_time_runs_from_the_scheduled_beginning() {
        let start = Instant::now();
        let mut log = LoadRecorder::new(start, &GO, mpsc::channel().0);
        log.begins(start + MS(30));
        log.ended(start + MS(10), performed(start + MS(30), 5, true));
        let load = log.finish(Duration::ZERO);
        let one = |samples: &Samples| samples.range().expect("has one").0;
        assert_eq!(
            (one(&load.responses.ok), one(&load.times.service), one(&load.times.send_delay)),
            (MS(25), MS(5), MS(20))
        );
        assert_eq!(load.responses.elapsed, MS(35));
    }

    #[test]
    fn what_is_due_is_ok_or_failed_or_unfinished() {
        let start = Instant::now();
        let mut log = LoadRecorder::new(start, &GO, mpsc::channel().0);
        (0..4).for_each(|_| log.begins(start));
        log.ended(start, performed(start, 5, true));
        log.ended(start, performed(start, 90, false));
        log.unfinished(start, start + MS(100));
        log.unfinished(start + MS(40), start + MS(100));
        let load = log.finish(Duration::ZERO);
        assert!(load.adds_up());
        assert_eq!((load.scheduled, load.responses.ok.count(), load.unfinished.count()), (4, 1, 2));
        // The time of a failure is no response time.
        assert_eq!(load.responses.ok.range(), Some((MS(5), MS(5))));
        assert_eq!(load.unfinished.range(), Some((MS(60), MS(100))));
        // 4 for 5 ms, 3 for 85, 2 for 10, over 100 ms.
        assert_eq!(load.mean_in_flight(), Some((20.0 + 255.0 + 20.0) / 100.0));
    }

    #[test]
    fn workers_put_together_are_as_one() {
        let start = Instant::now();
        let of = |latencies: &[u64]| {
            let mut log = LoadRecorder::new(start, &GO, mpsc::channel().0);
            for &ms in latencies {
                log.begins(start);
                log.ended(start, performed(start, ms, !ms.is_multiple_of(7)));
            }
            log.finish(Duration::ZERO)
        };
        let all: Vec<u64> = (1..500).map(|n| n * n % 1009).collect();
        let mut merged = of(&all[..100]);
        merged.merge(of(&all[100..350]));
        merged.merge(of(&all[350..]));
        let whole = of(&all);
        assert_eq!(merged.responses.ok.histogram(), whole.responses.ok.histogram());
        assert_eq!(merged.responses.ok.mean_ns(), whole.responses.ok.mean_ns());
        assert_eq!(merged.responses.ok.std_dev_ns(), whole.responses.ok.std_dev_ns());
        assert_eq!(merged.responses.ok.range(), whole.responses.ok.range());
        assert_eq!(merged.responses.failures(), whole.responses.failures());
        assert_eq!((merged.scheduled, merged.in_flight_ns), (whole.scheduled, whole.in_flight_ns));
    }
}
