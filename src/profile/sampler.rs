//! Samples the stacks of this process's threads.
//!
//! A process has one sampler, as the timers and the signal handler behind it are the process's. Threads that do the
//! work call `sample_this_thread` when they begin, and whoever knows when what is measured begins and ends calls `resume`
//! and `pause`: all three cost one look at a flag where nothing samples.

#[cfg(not(sampler))]
pub use elsewhere::CpuSampler;
#[cfg(not(sampler))]
pub(crate) use elsewhere::{pause, resume, sample_this_thread};
#[cfg(sampler)]
pub use linux::CpuSampler;
#[cfg(sampler)]
pub(crate) use linux::{pause, resume, sample_this_thread};

use std::fmt;

/// What interrupts threads to look at their stacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampledBy {
    /// The kernel's `perf_event_open`, which sees calls in the kernel too.
    PerfEvents,
    /// A timer of the CPU time of each thread, which needs no permission. Time in the kernel is that of the call into it.
    Timers,
}

impl fmt::Display for SampledBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PerfEvents => "perf_event_open",
            Self::Timers => "CPU timers",
        })
    }
}

#[cfg(sampler)]
mod linux {
    use std::collections::HashMap;
    use std::collections::hash_map::Entry;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::thread::{self, JoinHandle};
    use std::time::Duration;

    use dial9_perf_self_profile::{
        EventSource, PerfSampler, Sample, SamplerConfig, SamplingMode, is_ctimer_active,
        register_current_thread, unregister_current_thread,
    };

    use super::super::frame::{clean, role};
    use super::super::stacks::Stacks;
    use super::super::symbols::{Symbols, UNKNOWN};
    use super::SampledBy;
    use crate::error::Error;

    /// How often samples are taken over. The timers' buffer holds 4096 of them: at 999 Hz it is full after 100 ms where 41
    /// threads are busy. Perf's holds about 4000 for each core.
    const DRAIN: Duration = Duration::from_millis(50);
    /// Frames that are kept of a stack at most, counted from the innermost: perf keeps 127 unless told otherwise
    /// (`perf_event_max_stack`), and the timers keep 128.
    const DEEPEST: usize = 127;
    /// Stands for the outermost calls of a stack that was too deep.
    const CUT: &str = "[cut]";

    /// The sampler of this process, while there is one.
    static RUNNING: Mutex<Option<Running>> = Mutex::new(None);
    /// Whether there is one: read without a lock by every thread that begins.
    static STARTED: AtomicBool = AtomicBool::new(false);

    thread_local! {
        /// Dropped with the thread.
        static TIMER: Timer = const { Timer };
    }

    /// The timer of a thread that is sampled by one.
    struct Timer;

    impl Drop for Timer {
        fn drop(&mut self) {
            // The system would keep the timer until the process ends.
            unregister_current_thread();
        }
    }

    /// Samples this process's threads until it is dropped. It is paused at first.
    pub struct CpuSampler {
        sampled_by: SampledBy,
        frequency_hz: u32,
        /// Ends the thread that takes samples over, when it is dropped.
        stop: Option<Sender<()>>,
        drain: Option<JoinHandle<()>>,
    }

    /// A sampler with what it has seen.
    struct Running {
        sampler: PerfSampler,
        is_paused: bool,
        sampled: Sampled,
    }

    /// Samples as they were taken: addresses, and threads by number.
    #[derive(Default)]
    struct Sampled {
        stacks: HashMap<ThreadStack, Weight>,
        /// Names of threads, which may have ended by the time that their stacks are read.
        names: HashMap<u32, String>,
    }

    #[derive(PartialEq, Eq, Hash)]
    struct ThreadStack {
        thread: u32,
        /// The innermost call first.
        addresses: Vec<u64>,
    }

    /// What all samples of one stack come to.
    #[derive(Default)]
    struct Weight {
        samples: u64,
        time: Duration,
    }

    impl CpuSampler {
        /// Starts a sampler of the threads that the calling one starts from now on: before whatever is to be seen.
        pub fn start(frequency_hz: u32) -> Result<Self, Error> {
            let mut running = running();
            assert!(running.is_none(), "a process has one sampler");
            let (stop, stopped) = mpsc::channel();
            // Before the sampler, which so does not see this thread: it is no part of what is profiled.
            let drain = thread::Builder::new().name("profiler".to_owned());
            let drain = drain.spawn(move || drain_until(&stopped)).map_err(Error::Thread)?;
            let config = SamplerConfig::default()
                .event_source(EventSource::SwCpuClock)
                .sampling(SamplingMode::FrequencyHz(u64::from(frequency_hz)))
                // Without the kernel's calls perf would leave out all time that is spent in them: most of a socket's. Where
                // they are not allowed, the timers take its place.
                .include_kernel(true);
            let sampler = PerfSampler::start(config).map_err(|error| Error::Setting {
                name: "profile",
                problem: format!(
                    "cannot sample: {error}; another --frequency may do, and DIAL9_FORCE_CTIMER=1 samples by timers, which \
                     need no permission"
                ),
            })?;
            sampler.disable();
            let sampled_by = if is_ctimer_active() { SampledBy::Timers } else { SampledBy::PerfEvents };
            *running = Some(Running { sampler, is_paused: true, sampled: Sampled::default() });
            STARTED.store(true, Ordering::Release);
            Ok(Self { sampled_by, frequency_hz, stop: Some(stop), drain: Some(drain) })
        }

        /// What it samples by.
        pub fn sampled_by(&self) -> SampledBy {
            self.sampled_by
        }

        /// Samples in a second of CPU time.
        pub fn frequency_hz(&self) -> u32 {
            self.frequency_hz
        }

        /// What was sampled since the last call, but for what was sampled while it was paused.
        pub fn take(&self) -> Stacks {
            let sampled = match running().as_mut() {
                Some(running) => running.take(),
                None => Sampled::default(),
            };
            // Without the lock: looking up names takes a while, and samples have to be taken over meanwhile.
            sampled.with_names()
        }
    }

    impl Drop for CpuSampler {
        fn drop(&mut self) {
            STARTED.store(false, Ordering::Release);
            drop(self.stop.take());
            if let Some(drain) = self.drain.take() {
                // A panic there has been printed; there is nothing to add while dropping.
                let _ = drain.join();
            }
            *running() = None;
        }
    }

    /// Has the calling thread sampled from now on, if this process has a sampler.
    pub(crate) fn sample_this_thread() {
        if !STARTED.load(Ordering::Acquire) {
            return;
        }
        if let Some(running) = running().as_mut() {
            running.admit_this_thread();
        }
    }

    /// What is sampled from now on counts.
    pub(crate) fn resume() {
        if !STARTED.load(Ordering::Acquire) {
            return;
        }
        if let Some(running) = running().as_mut() {
            // What came before is dropped here, while it still counts as paused.
            running.drain();
            running.is_paused = false;
            running.sampler.enable();
        }
    }

    /// What is sampled from now on does not count.
    pub(crate) fn pause() {
        if !STARTED.load(Ordering::Acquire) {
            return;
        }
        if let Some(running) = running().as_mut() {
            running.sampler.disable();
            running.drain();
            running.is_paused = true;
        }
    }

    /// The process's sampler. A panic of whoever had it leaves it whole: samples are added one by one.
    fn running() -> MutexGuard<'static, Option<Running>> {
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes samples over until the sender is gone.
    fn drain_until(stopped: &Receiver<()>) {
        while stopped.recv_timeout(DRAIN) == Err(RecvTimeoutError::Timeout) {
            if let Some(running) = running().as_mut() {
                running.drain();
            }
        }
    }

    impl Running {
        /// Takes note of the calling thread's name, and gives it a timer where threads are sampled by timers: perf follows
        /// threads by itself.
        fn admit_this_thread(&mut self) {
            if let Some(name) = thread::current().name() {
                let number = rustix::thread::gettid().as_raw_nonzero().get() as u32;
                self.sampled.names.insert(number, name.to_owned());
            }
            if !is_ctimer_active() {
                return;
            }
            // Timers that are switched off take no thread on. What they see meanwhile is dropped, as it is while paused.
            self.sampler.enable();
            // A thread that the system gives no timer is missing in the picture, and harms nothing.
            if register_current_thread().is_ok() {
                TIMER.with(|_| ());
            }
            if self.is_paused {
                self.sampler.disable();
            }
        }

        /// Takes over what was sampled since the last call.
        fn drain(&mut self) {
            let own_process = std::process::id();
            let Self { sampler, is_paused, sampled } = self;
            sampler.for_each_sample(|sample| {
                // Perf follows processes that this one starts, too. Their addresses mean something in them only.
                if !*is_paused && sample.pid == own_process {
                    sampled.add(sample);
                }
            });
        }

        fn take(&mut self) -> Sampled {
            self.drain();
            let stacks = std::mem::take(&mut self.sampled.stacks);
            Sampled { stacks, names: self.sampled.names.clone() }
        }
    }

    impl Sampled {
        fn add(&mut self, sample: &Sample) {
            // A thread that has not told its name itself.
            if let Entry::Vacant(unnamed) = self.names.entry(sample.tid)
                && let Ok(name) = std::fs::read_to_string(format!("/proc/self/task/{}/comm", sample.tid))
            {
                unnamed.insert(name.trim().to_owned());
            }
            let stack = ThreadStack { thread: sample.tid, addresses: sample.callchain.clone() };
            let weight = self.stacks.entry(stack).or_default();
            weight.samples += 1;
            // Of the thread's CPU time, so much belongs to this sample: more where the system was late with it.
            weight.time += Duration::from_nanos(sample.period);
        }

        /// The same with names of functions, and roles of threads.
        fn with_names(self) -> Stacks {
            let Self { stacks: sampled, names } = self;
            let mut symbols = Symbols::of_this_process();
            // The process has the name of its main thread.
            let main = std::fs::read_to_string("/proc/self/comm").unwrap_or_default();
            let mut stacks = Stacks::default();
            for (ThreadStack { thread, addresses }, Weight { samples, time }) in sampled {
                let name = names.get(&thread).map_or("ended", String::as_str);
                let mut frames = vec![clean(role(name, main.trim()))];
                if addresses.len() >= DEEPEST {
                    frames.push(CUT.to_owned());
                }
                if addresses.is_empty() {
                    frames.push(UNKNOWN.to_owned());
                }
                for address in addresses.into_iter().rev() {
                    frames.extend_from_slice(symbols.at(address));
                }
                stacks.add(&frames, samples, time);
            }
            stacks
        }
    }

    #[cfg(test)]
    mod tests {
        use std::time::Instant;

        use super::*;

        /// Keeps its core busy for so long.
        #[inline(never)]
        fn burn(time: Duration) {
            let started = Instant::now();
            while started.elapsed() < time {
                std::hint::spin_loop();
            }
        }

        /// Runs a thread of this name that is busy for so long.
        fn busy(name: &str, time: Duration) {
            let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
                sample_this_thread();
                burn(time);
            });
            thread.expect("starts").join().expect("does not panic");
        }

        /// The one test that samples: a process has one sampler, and tests share the process.
        #[test]
        fn what_counts_is_sampled_and_what_is_paused_is_not() {
            let sampler = CpuSampler::start(999).expect("starts");
            busy("before it counts", Duration::from_millis(100));
            resume();
            busy("load 7", Duration::from_millis(300));
            pause();
            busy("afterwards", Duration::from_millis(100));
            let stacks = sampler.take();
            let folded = stacks.folded();
            // Other tests have threads of that name too, but none of them burns.
            assert!(folded.contains("tests::burn"), "{folded}");
            let roles: Vec<String> = stacks.roles().into_iter().map(|role| role.role).collect();
            assert!(roles.iter().any(|role| role == "generator"), "{roles:?}");
            // The first words of the names of the other two, which would be their roles.
            assert!(!roles.iter().any(|role| role == "before" || role == "afterwards"), "{roles:?}");
            // Up to 300 ms of CPU time, and much less where other things run beside.
            assert!(stacks.samples() >= 3 && stacks.time() > Duration::from_millis(10), "{folded}");
            assert!(sampler.take().is_empty(), "told once");
            drop(sampler);
            // Without one nothing happens, and another one can be started.
            resume();
            busy("nobody looks", Duration::ZERO);
            drop(CpuSampler::start(100).expect("starts again"));
        }
    }
}

#[cfg(not(sampler))]
mod elsewhere {
    use std::convert::Infallible;

    use super::super::stacks::Stacks;
    use super::SampledBy;
    use crate::error::Error;

    /// No sampler: there is none for this system.
    pub struct CpuSampler(Infallible);

    impl CpuSampler {
        /// An error that says so.
        pub fn start(_frequency_hz: u32) -> Result<Self, Error> {
            let problem = "stacks can be sampled on Linux on x86-64 and ARM64 only".to_owned();
            Err(Error::Setting { name: "profile", problem })
        }

        /// What it samples by.
        pub fn sampled_by(&self) -> SampledBy {
            match self.0 {}
        }

        /// Samples in a second of CPU time.
        pub fn frequency_hz(&self) -> u32 {
            match self.0 {}
        }

        /// What was sampled.
        pub fn take(&self) -> Stacks {
            match self.0 {}
        }
    }

    /// Does nothing.
    pub(crate) fn sample_this_thread() {}

    /// Does nothing.
    pub(crate) fn resume() {}

    /// Does nothing.
    pub(crate) fn pause() {}
}
