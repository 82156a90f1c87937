//! Whether the generator kept up. If not, it measured its own slowness and not the service's. The limits are those of
//! docs/load.md, "When not to believe it".

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::recorder::LoadRecording;
use crate::machine::throttled;
use crate::recording::Class;

/// Longest send delay at the 99th percentile.
const SEND_DELAY_P99: Duration = Duration::from_millis(10);
/// Longest send delay of any request.
const SEND_DELAY_MOST: Duration = Duration::from_millis(250);
/// Longest time between two looks of the thread that only looks at the clocks.
const PAUSE: Duration = Duration::from_millis(250);
/// Largest share of its time that a thread may be busy: beyond it there is no time left to begin requests when they are due.
const SATURATED: f64 = 0.95;
/// Shortest run that says something about how busy its threads are.
const SHORT: Duration = Duration::from_millis(500);
/// The wall clock may move away from the monotonic one by this, and by one part in a thousand of the run: a clock that
/// is slewed and not set moves by at most half of that (500 parts in a million, adjtimex(2)).
const STEP: Duration = Duration::from_millis(100);
/// Largest share of the run for which a CPU quota may hold the generator back.
const THROTTLED: f64 = 0.01;

/// What the generator measured of itself during a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Readings {
    /// Threads of the generator.
    pub threads: usize,
    /// Share of its time that each thread was busy; empty where the system does not tell, or the run was too short.
    pub busy: Vec<f64>,
    /// How long it was watched.
    pub watched: Duration,
    /// Longest time for which it did not run at all.
    pub longest_pause: Duration,
    /// By how much the wall clock was set while it ran.
    pub clock_step: Duration,
    /// For how long a CPU quota held it back, over all cores.
    pub throttled: Duration,
    /// Cores that it could use.
    pub cores: usize,
}

impl Readings {
    /// The readings of these threads and of the heartbeat.
    pub(super) fn of(threads: &[CpuShare], pulse: &Heartbeat) -> Self {
        Self {
            threads: threads.len(),
            busy: threads.iter().filter_map(CpuShare::share).collect(),
            watched: pulse.ran(),
            longest_pause: pulse.longest,
            clock_step: pulse.step,
            throttled: pulse.throttled,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

impl Readings {
    /// Adds those of a generator that ran at the same time: what each has is added up, and of what may happen to any of them
    /// the worst is kept.
    pub(super) fn merge(&mut self, other: &Self) {
        self.threads = self.threads.saturating_add(other.threads);
        self.busy.extend_from_slice(&other.busy);
        self.watched = self.watched.max(other.watched);
        self.longest_pause = self.longest_pause.max(other.longest_pause);
        self.clock_step = self.clock_step.max(other.clock_step);
        self.throttled = self.throttled.saturating_add(other.throttled);
        self.cores = self.cores.saturating_add(other.cores);
    }
}

/// How well the generator kept up.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Health {
    /// Reasons why the run is not to be trusted; empty if it is.
    pub problems: Vec<String>,
    /// Threads of the generator.
    pub threads: usize,
    /// 99th percentile of the delay between a request's scheduled beginning and the actual one, ms.
    pub send_delay_p99_ms: Option<f64>,
    /// Longest such delay, ms.
    pub send_delay_max_ms: Option<f64>,
    /// Share of its time that each thread was busy; empty where the system does not tell.
    pub busy: Vec<f64>,
    /// Longest time for which the generator did not run at all, ms.
    pub longest_pause_ms: f64,
    /// By how much the wall clock was set while it ran, ms.
    pub clock_step_ms: f64,
    /// For how long a CPU quota held it back, over all cores, ms.
    pub throttled_ms: f64,
    /// Requests that this machine could not send: no descriptor, no port, or a file that could not be read.
    pub local_failures: u64,
    /// Whether all that is wrong is that requests began late.
    #[serde(skip)]
    pub late_only: bool,
}

/// A reason not to trust a run. Prints what is wrong and what to do.
#[derive(Debug, Clone, PartialEq)]
enum Problem {
    Late { p99: Duration, most: Duration },
    Paused(Duration),
    Saturated(f64),
    Local { requests: u64, first: String },
    ClockSet(Duration),
    Throttled(Duration),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late { p99, most } => write!(
                f,
                "the generator was late: one request in a hundred began {p99:.1?} or more after its time, one {most:.1?} (allowed: \
                 {SEND_DELAY_P99:?} and {SEND_DELAY_MOST:?}); ask for a lower rate, or give it more cores"
            ),
            Self::Paused(pause) => write!(
                f,
                "the generator did not run for {pause:.1?}: it was stopped, or the machine was; run it again"
            ),
            Self::Saturated(share) => write!(
                f,
                "a thread of the generator was busy for {:.0} % of the time: the throughput may be its own limit and not the \
                 service's; ask for less, or give it more cores with --threads",
                100.0 * share
            ),
            Self::Local { requests, first } => {
                write!(f, "this machine could not send {requests} requests; of the first: {first}")
            }
            Self::Throttled(time) => write!(
                f,
                "the generator was held back for {time:.1?} by a CPU quota (cpu.stat of its control group): what it measured is \
                 the quota's; give its container more CPU"
            ),
            Self::ClockSet(step) => {
                write!(f, "the clock was set by {step:.1?} while it ran; run it again")
            }
        }
    }
}

impl Health {
    /// Judges what was recorded, and what the generator measured of itself.
    pub fn of(load: &LoadRecording, readings: &Readings) -> Self {
        let send_delay = &load.times.send_delay;
        let p99 = send_delay.at_rank((0.99 * send_delay.count() as f64).ceil() as u64);
        let most = send_delay.range().map(|(_, most)| most);
        // A run without any request was not late.
        let p99_or_none = p99.unwrap_or_default();
        let most_or_none = most.unwrap_or_default();
        let was_late = p99_or_none > SEND_DELAY_P99 || most_or_none > SEND_DELAY_MOST;
        let late = Problem::Late { p99: p99_or_none, most: most_or_none };
        let busiest = readings.busy.iter().copied().fold(0.0, f64::max);
        let local = load
            .responses
            .failed
            .get(&Class::Local)
            .map(|failed| Problem::Local { requests: load.local_failures(), first: failed.example.clone() });
        // The system adds up the time of all cores.
        let allowed_throttling_s = THROTTLED * readings.cores as f64 * readings.watched.as_secs_f64();
        let Readings { longest_pause, clock_step, throttled, .. } = *readings;
        let problems = [
            was_late.then_some(late),
            (longest_pause > PAUSE).then_some(Problem::Paused(longest_pause)),
            (busiest > SATURATED).then_some(Problem::Saturated(busiest)),
            local,
            (clock_step > STEP + readings.watched / 1000).then_some(Problem::ClockSet(clock_step)),
            (throttled.as_secs_f64() > allowed_throttling_s).then_some(Problem::Throttled(throttled)),
        ];
        let ms = |duration: Duration| 1e3 * duration.as_secs_f64();
        Self {
            problems: problems.iter().flatten().map(Problem::to_string).collect(),
            threads: readings.threads,
            send_delay_p99_ms: p99.map(ms),
            send_delay_max_ms: most.map(ms),
            busy: readings.busy.clone(),
            longest_pause_ms: ms(longest_pause),
            clock_step_ms: ms(clock_step),
            throttled_ms: ms(throttled),
            local_failures: load.local_failures(),
            late_only: was_late && problems.iter().flatten().count() == 1,
        }
    }

    /// Whether a thread of the generator had no time left, which is one of the problems.
    pub fn is_saturated(&self) -> bool {
        self.busy.iter().any(|share| *share > SATURATED)
    }

    /// Whether the run is to be trusted.
    pub fn is_valid(&self) -> bool {
        self.problems.is_empty()
    }
}

/// For how long a thread was watched, and for how much of that it was on a core.
#[derive(Debug, Clone, Copy)]
pub(super) struct CpuShare {
    wall: Duration,
    cpu: Option<Duration>,
    since: Instant,
}

impl CpuShare {
    /// Watches the calling thread from now on.
    pub fn begin() -> Self {
        Self { wall: Duration::ZERO, cpu: thread_time(), since: Instant::now() }
    }

    /// Ends now; to be called on the same thread.
    pub fn end(self) -> Self {
        let cpu = self.cpu.zip(thread_time()).map(|(then, now)| now.saturating_sub(then));
        Self { wall: self.since.elapsed(), cpu, ..self }
    }

    /// Share of its time that the thread was busy; `None` where the system does not tell, or the run was too short.
    pub fn share(&self) -> Option<f64> {
        let cpu = self.cpu.filter(|_| self.wall >= SHORT)?;
        Some(cpu.as_secs_f64() / self.wall.as_secs_f64())
    }
}

/// Time for which the calling thread has been on a core.
#[cfg(unix)]
fn thread_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
}

#[cfg(not(unix))]
fn thread_time() -> Option<Duration> {
    None
}

/// Looks at the clocks again and again, on a thread with nothing else to do. What holds it up holds up the generator's
/// threads too: the process was stopped, or the machine was.
#[derive(Debug)]
pub(super) struct Heartbeat {
    started: Instant,
    started_at: SystemTime,
    last: Instant,
    longest: Duration,
    step: Duration,
    /// For how long a quota had held this process back before the run.
    throttled_before: Duration,
    /// For how long one has held it back during the run.
    throttled: Duration,
}

impl Heartbeat {
    pub fn new() -> Self {
        let started = Instant::now();
        Self {
            started,
            started_at: SystemTime::now(),
            last: started,
            longest: Duration::ZERO,
            step: Duration::ZERO,
            throttled_before: throttled().unwrap_or_default(),
            throttled: Duration::ZERO,
        }
    }

    /// Ends the watch with the run.
    pub fn end(&mut self) {
        self.throttled = throttled().unwrap_or_default().saturating_sub(self.throttled_before);
    }

    /// Time until the next beat, where there is one every `step`.
    pub fn left(&self, step: Duration) -> Duration {
        (self.last + step).saturating_duration_since(Instant::now())
    }

    /// Looks at the clocks.
    pub fn beat(&mut self) {
        let now = Instant::now();
        self.longest = self.longest.max(now - self.last);
        self.last = now;
        let ran = now - self.started;
        // A clock that was set back to before the start counts as standing there.
        let wall = SystemTime::now().duration_since(self.started_at).unwrap_or_default();
        self.step = self.step.max(wall.abs_diff(ran));
    }

    /// Time from the start to the last beat.
    fn ran(&self) -> Duration {
        self.last - self.started
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// The problems of a run of 10 s with these send delays, on one thread that was busy for so long.
    fn problems(
        delays: &[(u64, Duration)],
        cpu: Duration,
        change: impl FnOnce(&mut Readings),
    ) -> Vec<String> {
        let mut load = LoadRecording::default();
        for &(requests, send_delay) in delays {
            for _ in 0..requests {
                load.times.send_delay.record(send_delay);
            }
        }
        let busy = CpuShare { wall: Duration::from_secs(10), cpu: Some(cpu), since: Instant::now() };
        let mut readings = Readings::of(&[busy], &Heartbeat::new());
        change(&mut readings);
        Health::of(&load, &readings).problems
    }

    fn one(problems: &[String], says: &str) {
        assert!(matches!(problems, [problem] if problem.contains(says)), "{problems:?}");
    }

    #[test]
    fn a_generator_that_kept_up_has_no_problems() {
        // The longest send delay is below its limit of 250 ms, and the thread was busy for 9 s of its 10.
        let quiet = problems(&[(999, MS(1)), (1, MS(200))], MS(9_000), |_| ());
        assert_eq!(quiet, Vec::<String>::new());
        assert_eq!(problems(&[], MS(0), |_| ()), Vec::<String>::new());
    }

    #[test]
    fn each_way_of_falling_behind_is_said() {
        // The 99th of 100 is the first of the two that took 11 ms; of 1000 it would be 1 ms.
        one(&problems(&[(98, MS(1)), (2, MS(11))], MS(0), |_| ()), "was late");
        one(&problems(&[(999, MS(1)), (1, MS(300))], MS(0), |_| ()), "one 300.0ms");
        // 9.6 s of 10.
        one(&problems(&[], MS(9_600), |_| ()), "busy for 96 %");
        one(&problems(&[], MS(0), |readings| readings.longest_pause = MS(500)), "did not run for 500.0ms");
        one(&problems(&[], MS(0), |readings| readings.clock_step = MS(3_600_000)), "the clock was set");
        one(
            &problems(&[], MS(0), |readings| readings.throttled = MS(300)),
            "held back for 300.0ms by a CPU quota",
        );
    }

    #[test]
    fn late_beginnings_alone_are_told_from_other_problems() {
        let mut load = LoadRecording::default();
        load.times.send_delay.record(MS(300));
        let readings = Readings::default();
        assert!(Health::of(&load, &readings).late_only);
        let paused = Readings { longest_pause: MS(500), ..Readings::default() };
        assert!(!Health::of(&load, &paused).late_only);
        assert!(!Health::of(&LoadRecording::default(), &readings).late_only);
    }

    #[test]
    fn a_pause_is_noticed() {
        let mut pulse = Heartbeat::new();
        pulse.last -= MS(300);
        pulse.beat();
        assert!(pulse.longest >= MS(300) && pulse.left(MS(10)) <= MS(10));
    }

    #[test]
    fn a_busy_thread_is_told_from_a_sleeping_one() {
        let busy = CpuShare::begin();
        std::thread::sleep(MS(50));
        let CpuShare { wall, cpu, .. } = busy.end();
        // Not `share`, which is silent about 50 ms. Where the system tells nothing, there is nothing to compare.
        let sleeping = cpu.map_or(0.5, |cpu| cpu.as_secs_f64() / wall.as_secs_f64());
        assert!(sleeping < 0.6, "{sleeping}");
    }
}
