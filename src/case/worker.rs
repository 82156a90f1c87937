//! A case: a timed loop on a thread of its own.
//!
//! Criterion's thread must not be pinned (the helpers it starts would inherit that), so the loop runs elsewhere and
//! is asked for its slices through a channel. What that costs stays outside the measured time.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::machine::pin;
use crate::profile::sample_this_thread;
use crate::recording::{Recorder, Recording};

/// So many failures in a row end a case: the time of failures is not the time of uploads.
pub(super) const PATIENCE: u64 = 5;

/// The loop of a case. Runs `iters` iterations, records each operation and says how long the iterations took. It
/// stops early once it has lost patience.
pub trait Work: Send {
    /// Runs so many iterations, and returns the time that they took.
    fn time(&mut self, iters: u64, recorder: &mut Recorder) -> Result<Duration, Error>;

    /// Failures in a row that end the case.
    fn patience(&self) -> u64 {
        PATIENCE
    }
}

/// What the thread is asked for.
struct Order {
    iters: u64,
    /// Share of the slice's own time to spin afterwards.
    spin: f64,
}

/// How long some iterations took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// The iterations themselves.
    pub took: Duration,
    /// What was spent spinning after them.
    pub spun: Duration,
}

/// Something that can be timed. Dropping it ends its thread.
#[derive(Debug)]
pub struct Case {
    id: String,
    slowdown: f64,
    orders: Option<mpsc::Sender<Order>>,
    slices: mpsc::Receiver<Result<Slice, Error>>,
    recorder: Arc<Mutex<Recorder>>,
    thread: Option<JoinHandle<()>>,
}

impl Case {
    /// Starts the thread on `core`.
    pub fn start(id: &str, core: Option<usize>, mut work: impl Work + 'static) -> Result<Self, Error> {
        let (orders, asked) = mpsc::channel::<Order>();
        let (results, slices) = mpsc::channel();
        let recorder = Arc::new(Mutex::new(Recorder::default()));
        let shared = Arc::clone(&recorder);
        let name = id.to_owned();
        let thread = std::thread::Builder::new()
            .name(format!("client {id}"))
            .spawn(move || {
                // Here, as it is the calling thread that is bound to the core.
                pin(core);
                sample_this_thread();
                for Order { iters, spin: share } in asked {
                    let mut recorder = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    let slice = work.time(iters, &mut recorder).and_then(|took| {
                        let barren = recorder.failures_in_a_row() >= work.patience();
                        if barren { Err(nothing_succeeds(&name, &recorder)) } else { Ok(took) }
                    });
                    // Given back before the answer is sent, as whoever gets that may ask for the counts at once.
                    drop(recorder);
                    let slice = slice.map(|took| Slice { took, spun: spin(took.mul_f64(share)) });
                    if results.send(slice).is_err() {
                        break;
                    }
                }
            })
            .map_err(Error::Thread)?;
        Ok(Self {
            id: id.to_owned(),
            slowdown: 0.0,
            orders: Some(orders),
            slices,
            recorder,
            thread: Some(thread),
        })
    }

    /// Makes every slice longer by a share of its own time, spent spinning: a known regression, for trying out what
    /// notices one.
    pub fn slowed_by(mut self, share: f64) -> Self {
        self.slowdown = share;
        self
    }

    /// Runs `iters` iterations and returns the wall time that they took, failures included. An error where they
    /// cannot be run, or where several operations in a row brought no success.
    pub fn time(&mut self, iters: u64) -> Result<Duration, Error> {
        self.slice(iters, self.slowdown).map(|slice| slice.took + slice.spun)
    }

    /// As `time`, followed by spinning for this share of the time that the iterations took.
    pub fn slice(&mut self, iters: u64, spin: f64) -> Result<Slice, Error> {
        let Some(orders) = &self.orders else { return Err(self.ended()) };
        orders.send(Order { iters, spin }).map_err(|_| self.ended())?;
        // Either channel is closed only where the thread has ended, by a panic that it has printed.
        self.slices.recv().map_err(|_| self.ended())?
    }

    fn ended(&self) -> Error {
        Error::ThreadEnded(self.id.clone())
    }

    /// An error if anything that was recorded failed.
    pub fn check_success(&self) -> Result<(), Error> {
        let recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        let (total, ok) = recorder.counts();
        let failure = recorder.last_failure().unwrap_or_default().to_owned();
        if ok == total {
            return Ok(());
        }
        Err(Error::Failed { case: self.id.clone(), failures: total - ok, total, failure })
    }

    /// Operations since the start or the last `take_recording`, and how many of them were ok.
    pub fn counts(&self) -> (u64, u64) {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner).counts()
    }

    /// What was recorded since the start or the last call.
    pub fn take_recording(&mut self) -> Recording {
        std::mem::take(&mut *self.recorder.lock().unwrap_or_else(PoisonError::into_inner)).finish()
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        // Without anybody to give orders the thread's loop ends. Joining it before that would wait for ever.
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed, and `time` has reported it.
            let _ = thread.join();
        }
    }
}

fn nothing_succeeds(case: &str, recorder: &Recorder) -> Error {
    Error::NothingSucceeds {
        case: case.to_owned(),
        operations: recorder.failures_in_a_row(),
        failure: recorder.last_failure().unwrap_or_default().to_owned(),
    }
}

/// Keeps the core busy for `time` and returns how long that took.
fn spin(time: Duration) -> Duration {
    let started = Instant::now();
    while !time.is_zero() && started.elapsed() < time {
        std::hint::spin_loop();
    }
    if time.is_zero() { time } else { started.elapsed() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::{Class, Failure, Finished};

    /// Asks the fake for one failure.
    const FAIL: u64 = 99;

    struct Fake;

    fn five_ns() -> Finished {
        Finished { latency: Duration::from_nanos(5), outcome: Ok(()) }
    }

    impl Work for Fake {
        fn time(&mut self, iters: u64, recorder: &mut Recorder) -> Result<Duration, Error> {
            assert!(iters < 100, "told to panic");
            if iters == FAIL {
                let outcome = Err(Failure::new(Class::Reset, "gone"));
                recorder.record(Finished { latency: Duration::ZERO, outcome });
                return Ok(Duration::ZERO);
            }
            for _ in 0..iters {
                recorder.record(five_ns());
            }
            Ok(Duration::from_nanos(5 * iters))
        }
    }

    #[test]
    fn slices_are_timed_and_recorded() {
        let mut case = Case::start("fake", None, Fake).expect("starts");
        assert_eq!(case.time(3).expect("runs"), Duration::from_nanos(15));
        assert_eq!(case.time(0).expect("runs"), Duration::ZERO);
        assert_eq!(case.take_recording().total(), 3);
        assert_eq!(case.take_recording().total(), 0);
    }

    #[test]
    fn a_panic_is_an_error_not_a_hang() {
        let mut case = Case::start("fake", None, Fake).expect("starts");
        assert!(matches!(case.time(100), Err(Error::ThreadEnded(_))));
        assert!(matches!(case.time(1), Err(Error::ThreadEnded(_))));
    }

    #[test]
    fn failures_in_a_row_end_it_but_a_success_between_them_does_not() {
        let mut case = Case::start("fake", None, Fake).expect("starts");
        for iters in [FAIL, FAIL, FAIL, FAIL, 1, FAIL, FAIL, FAIL, FAIL] {
            assert!(case.time(iters).is_ok());
        }
        let error = case.time(FAIL).expect_err("is the fifth in a row");
        assert_eq!(
            error.to_string(),
            "fake: stopped after 5 operations without one success; the last one said: gone"
        );
        assert_eq!(case.counts(), (10, 1));
        assert!(matches!(case.check_success(), Err(Error::Failed { failures: 9, total: 10, .. })));
    }

    #[test]
    fn a_slowdown_is_a_share_of_the_slice() {
        struct Nap;
        impl Work for Nap {
            fn time(&mut self, _: u64, _: &mut Recorder) -> Result<Duration, Error> {
                Ok(Duration::from_millis(10))
            }
        }
        // Half of 10 ms on top; spinning may take longer, but not less.
        let mut case = Case::start("nap", None, Nap).expect("starts").slowed_by(0.5);
        assert!(case.time(1).expect("runs") >= Duration::from_millis(15));
    }
}
