//! Seconds of runs that never took place, for tests.

use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::drive::Sink;
use super::recorder::LoadRecorder;
use super::second::Second;
use crate::recording::{Class, Failure, Performed};

static GO: AtomicBool = AtomicBool::new(false);

/// A request of such a run.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// When it begins, in ms.
    at: u64,
    /// How long it takes, in ms. Without a number it never ends.
    took: Option<u64>,
    ok: bool,
}

impl Request {
    /// One that succeeds.
    pub fn ok(at: u64, took: u64) -> Self {
        Self { at, took: Some(took), ok: true }
    }

    /// One that fails.
    pub fn failed(at: u64, took: u64) -> Self {
        Self { at, took: Some(took), ok: false }
    }

    /// One that never ends.
    pub fn stuck(at: u64) -> Self {
        Self { at, took: None, ok: false }
    }
}

/// The first so many seconds of a run with these requests.
pub fn seconds(requests: &[Request], lasting: u64) -> Vec<Second> {
    let start = Instant::now();
    let (done, seconds) = mpsc::channel();
    let mut recorder = LoadRecorder::new(start, &GO, done);
    // Beginnings and ends by their times. Of those at the same time, ends come second: a request may take no time.
    let mut events = Vec::new();
    for request in requests {
        events.push((request.at, false, *request));
        if let Some(took) = request.took {
            events.push((request.at + took, true, *request));
        }
    }
    events.sort_by_key(|(at, is_end, _)| (*at, *is_end));
    for (at, is_end, request) in events {
        let began = start + Duration::from_millis(request.at);
        if is_end {
            let outcome = if request.ok { Ok(()) } else { Err(Failure::new(Class::Reset, "gone")) };
            let latency = Duration::from_millis(at - request.at);
            recorder.ended(began, Performed::new(began, latency, outcome));
        } else {
            recorder.turn(began);
            recorder.begins(began);
        }
    }
    recorder.turn(start + Duration::from_secs(lasting));
    // Its sender goes with it, and so the channel ends.
    drop(recorder);
    seconds.iter().take(lasting as usize).collect()
}
