//! What an upload costs, phase by phase. A stopwatch travels with the request and is always in exactly one phase, so that
//! nothing is counted twice and nothing is left out.
//!
//! ```text
//! head of the request                                                              answer
//!   | entry | token | multipart, receive, multipart, hash, multipart, ... | storage | answer |
//! ```
//!
//! Off unless it is asked for; then a change of phase costs one reading of the clock. There are four or five of them for
//! each piece of a body, however large it is, and none for a byte.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State as Shared};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;

use crate::phases::{PhaseTime, ServicePhases, SizePhases, size_class};

/// What the phase of the token check is called.
pub const TOKEN_PHASE: &str = "token";
/// Classes of sizes: the largest file that is taken, 1 GB, has 31 binary digits.
const CLASSES: usize = 32;
/// How many phases there are.
const PHASES: usize = UploadPhase::ALL.len();

/// What an upload is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UploadPhase {
    /// Until the token is looked at: finding the route, and delays of faults.
    Entry,
    /// The token check, until the handler has the request.
    Token,
    /// Waiting for the next piece of the body: for the client, the kernel and hyper.
    Receive,
    /// Finding boundaries and reading the heads and texts of parts.
    Multipart,
    /// The checksum.
    Hash,
    /// Beginning, writing and keeping the file.
    Storage,
    /// Making the answer; a handicap (`ci/gate-proof.sh`) is suffered in here.
    Answer,
}

impl UploadPhase {
    /// All of them, in the order in which they are told.
    const ALL: [Self; 7] =
        [Self::Entry, Self::Token, Self::Receive, Self::Multipart, Self::Hash, Self::Storage, Self::Answer];

    fn name(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::Token => TOKEN_PHASE,
            Self::Receive => "receive",
            Self::Multipart => "multipart",
            Self::Hash => "hash",
            Self::Storage => "storage",
            Self::Answer => "answer",
        }
    }
}

/// The time of one upload in each phase.
#[derive(Debug, Clone)]
struct PhaseClock {
    phase: UploadPhase,
    /// The last reading: since then it has been in this phase.
    since: Instant,
    spent: [Duration; PHASES],
    /// Bytes of the file, once it is stored.
    size: u64,
}

impl PhaseClock {
    fn start(now: Instant) -> Self {
        Self { phase: UploadPhase::Entry, since: now, spent: [Duration::ZERO; PHASES], size: 0 }
    }

    /// Ends the time of the phase before. One reading ends it and begins the next, so nothing lies in between.
    fn enter(&mut self, phase: UploadPhase, now: Instant) {
        self.spent[self.phase as usize] += now.saturating_duration_since(self.since);
        self.phase = phase;
        self.since = now;
    }
}

/// The clock of an upload, if phases are timed. It is handed from the middleware to the handler, to whoever reads, hashes and
/// stores, and back with the answer; each has it alone, so it needs no lock.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stopwatch(Option<Box<PhaseClock>>);

impl Stopwatch {
    fn start() -> Self {
        Self(Some(Box::new(PhaseClock::start(Instant::now()))))
    }

    /// From now on the upload is in this phase.
    pub fn enter(&mut self, phase: UploadPhase) {
        // Where nobody has asked for phases, this branch is all that it costs.
        if let Some(clock) = &mut self.0
            && clock.phase != phase
        {
            clock.enter(phase, Instant::now());
        }
    }

    /// The same for a request whose stopwatch is still with it.
    pub fn enter_with(request: &mut Request, phase: UploadPhase) {
        if let Some(stopwatch) = request.extensions_mut().get_mut::<Self>() {
            stopwatch.enter(phase);
        }
    }

    /// Takes it from its request.
    pub fn take_from(request: &mut Request) -> Self {
        request.extensions_mut().remove().unwrap_or_default()
    }

    /// Gives it back with the answer to an upload that was stored. Without that, an upload has no phases: what a refused
    /// one takes says nothing about the others.
    pub fn hand_back(mut self, size: u64, answer: &mut Response) {
        if let Some(clock) = &mut self.0 {
            clock.size = size;
            answer.extensions_mut().insert(self);
        }
    }

    /// Ends the time of the last phase.
    fn stop(self) -> Option<PhaseClock> {
        let mut clock = *self.0?;
        let last = clock.phase;
        clock.enter(last, Instant::now());
        Some(clock)
    }
}

/// The router with a stopwatch for every request.
pub(super) fn in_front_of(router: Router, log: &Arc<PhaseLog>) -> Router {
    router.layer(from_fn_with_state(Arc::clone(log), time_phases))
}

/// Starts the request's stopwatch, and adds what it shows to the log if it comes back with the answer.
async fn time_phases(Shared(log): Shared<Arc<PhaseLog>>, mut request: Request, next: Next) -> Response {
    // The whole has two readings of its own. That the phases add up to it is then a fact that can be checked.
    let began = Instant::now();
    request.extensions_mut().insert(Stopwatch::start());
    let mut response = next.run(request).await;
    let stopwatch = response.extensions_mut().remove::<Stopwatch>();
    if let Some(clock) = stopwatch.and_then(Stopwatch::stop) {
        log.add(&clock, began.elapsed());
    }
    response
}

/// The phases of all uploads that were stored.
#[derive(Debug, Default)]
pub(super) struct PhaseLog(Mutex<Logged>);

#[derive(Debug, Default)]
struct Logged {
    /// What nobody has taken yet, by class of size. Sums of a fixed size: nothing is allocated for an upload.
    fresh: [Sums; CLASSES],
    /// What was taken before.
    taken: ServicePhases,
}

/// Sums over the uploads of one class of sizes.
#[derive(Debug, Default)]
struct Sums {
    uploads: u64,
    bytes: u64,
    smallest: u64,
    largest: u64,
    whole: Duration,
    spent: [Duration; PHASES],
}

impl PhaseLog {
    /// Adds an upload: the only lock that it takes, when all its times are known.
    fn add(&self, clock: &PhaseClock, whole: Duration) {
        let mut logged = self.logged();
        let class = size_class(clock.size).min(CLASSES - 1);
        logged.fresh[class].add(clock, whole);
    }

    /// What was added since the start or the last call.
    pub fn take(&self) -> ServicePhases {
        let mut logged = self.logged();
        let fresh = phases_of(&std::mem::take(&mut logged.fresh));
        logged.taken.merge(&fresh);
        fresh
    }

    /// What was added since the start, whatever was taken.
    pub fn all(&self) -> ServicePhases {
        let logged = self.logged();
        let mut all = logged.taken.clone();
        all.merge(&phases_of(&logged.fresh));
        all
    }

    fn logged(&self) -> MutexGuard<'_, Logged> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sums {
    fn add(&mut self, clock: &PhaseClock, whole: Duration) {
        self.smallest = if self.uploads == 0 { clock.size } else { self.smallest.min(clock.size) };
        self.largest = self.largest.max(clock.size);
        self.uploads += 1;
        self.bytes += clock.size;
        self.whole += whole;
        for (sum, spent) in self.spent.iter_mut().zip(clock.spent) {
            *sum += spent;
        }
    }

    fn phases(&self) -> SizePhases {
        let mut phases = Vec::new();
        for phase in UploadPhase::ALL {
            let ns = nanos(self.spent[phase as usize]);
            phases.push(PhaseTime { phase: phase.name().to_owned(), ns });
        }
        SizePhases {
            smallest_bytes: self.smallest,
            largest_bytes: self.largest,
            operations: self.uploads,
            bytes: self.bytes,
            whole_ns: nanos(self.whole),
            phases,
        }
    }
}

fn phases_of(classes: &[Sums; CLASSES]) -> ServicePhases {
    let seen = classes.iter().filter(|sums| sums.uploads > 0);
    ServicePhases { sizes: seen.map(Sums::phases).collect() }
}

fn nanos(time: Duration) -> u64 {
    // 584 years fit.
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;
    use crate::stub::limits::MAX_FILE;

    const US: fn(u64) -> Duration = Duration::from_micros;

    /// An upload of so many bytes: 1 µs until the token, 20 µs of it, two pieces received for 5 µs each and hashed for 7 µs
    /// each, 3 µs of answer.
    fn upload(size: u64) -> PhaseClock {
        let start = Instant::now();
        let mut clock = PhaseClock::start(start);
        clock.enter(UploadPhase::Token, start + US(1));
        clock.enter(UploadPhase::Receive, start + US(21));
        clock.enter(UploadPhase::Hash, start + US(26));
        clock.enter(UploadPhase::Receive, start + US(33));
        clock.enter(UploadPhase::Hash, start + US(38));
        clock.enter(UploadPhase::Answer, start + US(45));
        clock.enter(UploadPhase::Answer, start + US(48));
        clock.size = size;
        clock
    }

    /// The time in each phase, in ns, by hand from `upload`.
    const EXPECTED: [(&str, u64); PHASES] = [
        ("entry", 1_000),
        ("token", 20_000),
        ("receive", 10_000),
        ("multipart", 0),
        ("hash", 14_000),
        ("storage", 0),
        ("answer", 3_000),
    ];

    /// Phases with their times, so many times each.
    fn times(factor: u64) -> Vec<PhaseTime> {
        EXPECTED.map(|(phase, ns)| PhaseTime { phase: phase.to_owned(), ns: factor * ns }).to_vec()
    }

    #[test]
    fn every_phase_has_its_time_and_the_sum_is_the_whole() {
        let clock = upload(1);
        assert_eq!(clock.spent.map(nanos), EXPECTED.map(|(_, ns)| ns));
        assert_eq!(clock.spent.iter().sum::<Duration>(), US(48));
    }

    #[test]
    fn the_log_sums_by_class_of_size() {
        let log = PhaseLog::default();
        log.add(&upload(10_240), US(49));
        log.add(&upload(12_288), US(49));
        log.add(&upload(MAX_FILE.0), US(50));
        let sizes = log.take().sizes;
        assert_eq!(sizes.len(), 2);
        let small = SizePhases {
            smallest_bytes: 10_240,
            largest_bytes: 12_288,
            operations: 2,
            bytes: 22_528,
            whole_ns: 98_000,
            phases: times(2),
        };
        assert_eq!(sizes[0], small);
        assert_eq!((sizes[1].largest_bytes, sizes[1].whole_ns), (1 << 30, 50_000));
    }

    #[test]
    fn what_was_taken_is_not_taken_again_and_not_forgotten() {
        let log = PhaseLog::default();
        log.add(&upload(10), US(48));
        assert_eq!(log.take().total().map(|total| total.operations), Some(1));
        assert_eq!(log.take(), ServicePhases::default());
        log.add(&upload(10), US(48));
        let all = log.all().total().expect("has two");
        assert_eq!((all.operations, all.phases), (2, times(2)));
        assert_eq!(log.take().total().map(|total| total.operations), Some(1));
    }

    #[test]
    fn a_stopwatch_that_is_off_stays_off() {
        let mut request = Request::new(Body::empty());
        let mut stopwatch = Stopwatch::take_from(&mut request);
        stopwatch.enter(UploadPhase::Hash);
        let mut answer = Response::new(Body::empty());
        stopwatch.hand_back(10, &mut answer);
        assert!(answer.extensions_mut().remove::<Stopwatch>().is_none());
        assert!(Stopwatch::default().stop().is_none());
    }

    #[test]
    fn a_stopwatch_goes_with_the_request_and_comes_with_the_answer() {
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(Stopwatch::start());
        Stopwatch::enter_with(&mut request, UploadPhase::Token);
        let mut stopwatch = Stopwatch::take_from(&mut request);
        stopwatch.enter(UploadPhase::Storage);
        std::thread::sleep(Duration::from_millis(2));
        let mut answer = Response::new(Body::empty());
        stopwatch.hand_back(10, &mut answer);
        let clock =
            answer.extensions_mut().remove::<Stopwatch>().and_then(Stopwatch::stop).expect("came back");
        assert_eq!((clock.phase, clock.size), (UploadPhase::Storage, 10));
        assert!(clock.spent[UploadPhase::Storage as usize] >= Duration::from_millis(2));
    }
}
