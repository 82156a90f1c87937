//! Runs a plan on a thread a core. Each has an event loop, users and a record of its own; the records are put together at
//! the end.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use super::clock::Clock;
use super::drive::{Limits, Operation, drive};
use super::health::{CpuShare, Health, Heartbeat, Readings};
use super::job::Share;
use super::pacer::Pacer;
use super::plan::Plan;
use super::recorder::{LoadRecorder, LoadRecording};
use super::sampler;
use super::second::Second;
use super::usage::{ResourceSample, Resources, WatchedService};
use crate::error::Error;
use crate::machine::pin;
use crate::profile;

/// Time between the last thread being ready and the start, so that all threads have been told of it when it comes.
const READY: Duration = Duration::from_millis(20);
/// How often the heartbeat looks at the clocks.
const PULSE: Duration = Duration::from_millis(10);
/// Time between the end of warming up and an agreed start: for the requests that are still under way then.
pub const SETTLING: Duration = Duration::from_secs(1);

/// A run that has ended, with all that its report is made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// What was recorded.
    pub load: LoadRecording,
    /// Every second, in order.
    pub seconds: Vec<Second>,
    /// What the generator measured of itself.
    pub generator: Readings,
    /// What the generator, the service and the machine used. Nothing in records of earlier versions.
    #[serde(default)]
    pub resources: Option<Resources>,
    /// Whether it ended before its plan did.
    pub partial: bool,
    /// When it began, by the wall clock.
    pub started_at: SystemTime,
    /// Instant from which the schedule's times count. Nothing in a run that was read from a file: instants mean something
    /// in the process that measured only.
    #[serde(skip)]
    pub start: Option<Instant>,
}

impl Run {
    /// Whether the generator kept up.
    pub fn health(&self) -> Health {
        Health::of(&self.load, &self.generator)
    }
}

/// Receives what is known of a run while it goes on, on a thread that sends nothing.
pub trait Watch {
    /// The seconds that are over since the last call: about once every ten milliseconds, and mostly none. Where it returns
    /// false, nothing further begins.
    fn seconds(&mut self, seconds: &[Second]) -> bool;

    /// What was used since the last reading: about once a second.
    fn used(&mut self, _sample: &ResourceSample) {}
}

/// A closure that is told of the seconds only.
struct ToldOfSeconds<F>(F);

impl<F: FnMut(&[Second]) -> bool> Watch for ToldOfSeconds<F> {
    fn seconds(&mut self, seconds: &[Second]) -> bool {
        (self.0)(seconds)
    }
}

/// Runs a plan, with a worker for each operation on the core beside it. `watch` is told about once every ten
/// milliseconds, with the seconds that are over since; where it returns false, nothing further begins.
pub fn run<O: Operation + Send>(
    plan: &Plan,
    operations: Vec<(O, Option<usize>)>,
    watch: impl FnMut(&[Second]) -> bool,
) -> Result<Run, Error> {
    run_watching(plan, operations, &WatchedService::Unknown, watch)
}

/// The same, where it is known where the service runs: what it uses is told beside what the generator uses.
pub fn run_watching<O: Operation + Send>(
    plan: &Plan,
    operations: Vec<(O, Option<usize>)>,
    service: &WatchedService,
    watch: impl FnMut(&[Second]) -> bool,
) -> Result<Run, Error> {
    run_at(plan, operations, service, None, &mut ToldOfSeconds(watch))
}

/// The same, for somebody who is told what is used as well. Where a time is agreed on, the run begins when the wall clock shows
/// it, or as soon as it can where that is past. Warming up comes before it.
pub fn run_at<O: Operation + Send>(
    plan: &Plan,
    operations: Vec<(O, Option<usize>)>,
    service: &WatchedService,
    agreed: Option<SystemTime>,
    watch: &mut impl Watch,
) -> Result<Run, Error> {
    let stop = AtomicBool::new(false);
    // Not earlier: connections that were opened long before the start may be closed by then.
    if !plan.warm_up.is_zero()
        && let Some(begin) = agreed.and_then(|at| at.checked_sub(plan.warm_up + SETTLING))
    {
        wait_for(begin, watch, &stop);
    }
    let workers = operations.len();
    // Made before the first thread starts: where the system refuses one, no thread waits for a start that never comes.
    let mut equipped = Vec::with_capacity(workers);
    for (operation, core) in operations {
        let equipment = Equipment::new().map_err(Error::Thread)?;
        equipped.push((operation, core, equipment));
    }
    thread::scope(|scope| {
        let (done, seconds) = mpsc::channel();
        let (ready, all_ready) = mpsc::channel();
        let mut threads = Vec::new();
        for (number, (operation, core, equipment)) in equipped.into_iter().enumerate() {
            let (begin, begins) = mpsc::channel();
            let worker = Worker {
                operation,
                plan,
                share: Share { shard: plan.shard, worker: number, workers },
                stop: &stop,
                equipment,
                done: done.clone(),
            };
            let ready = ready.clone();
            let builder = thread::Builder::new().name(format!("load {number}"));
            let thread = builder.spawn_scoped(scope, move || {
                // Where the system refuses, the scheduler places the thread.
                pin(core);
                profile::sample_this_thread();
                worker.run(ready, &begins)
            });
            threads.push((thread.map_err(Error::Thread)?, begin));
        }
        // Only the workers have senders now, so each channel ends when the last of them is done with it.
        drop(done);
        drop(ready);
        // Warming up takes its time, and `watch` may end that too. A thread that failed has no sender any more.
        let mut waiting = workers;
        while waiting > 0 {
            match all_ready.recv_timeout(PULSE) {
                Ok(()) => waiting -= 1,
                Err(RecvTimeoutError::Timeout) => tell(watch, &stop, &[]),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if let Some(at) = agreed {
            wait_for(at, watch, &stop);
        }
        // Warming up is over.
        profile::resume();
        let left = begins_in(agreed, &stop);
        let start = Instant::now() + left;
        let started_at = SystemTime::now() + left;
        let (running, ended) = mpsc::channel();
        let (tell_used, used) = mpsc::channel();
        let sampler = thread::Builder::new().name("resources".to_owned());
        let sampler =
            sampler.spawn_scoped(scope, move || sampler::sample(service, start, &ended, &tell_used));
        let sampler = sampler.map_err(Error::Thread)?;
        let mut pulse = Heartbeat::new();
        let mut begun = Vec::with_capacity(workers);
        for (thread, begin) in threads {
            // A thread that is gone will be noticed when it is joined.
            let _ = begin.send(start);
            begun.push(thread);
        }
        let seconds = collect(&seconds, &used, workers, &mut pulse, watch, &stop);
        pulse.end();
        profile::pause();
        // The sampler waits for this.
        drop(running);
        let resources = sampler.join().map_err(|_| Error::ThreadEnded("resources".to_owned()))?;
        let run = put_together(begun, seconds, start, started_at, &pulse)?;
        Ok(Run { resources: Some(resources), ..run })
    })
}

/// Waits until shortly before the wall clock shows this, or until `watch` ends the run.
fn wait_for(at: SystemTime, watch: &mut impl Watch, stop: &AtomicBool) {
    loop {
        let left = left_until(at);
        if left <= READY || stop.load(Ordering::Relaxed) {
            return;
        }
        tell(watch, stop, &[]);
        thread::sleep(PULSE.min(left - READY));
    }
}

/// Time from now to the start: what is left until the agreed one, if that leaves the threads enough time.
fn begins_in(agreed: Option<SystemTime>, stop: &AtomicBool) -> Duration {
    match agreed.map(left_until) {
        Some(left) if left > READY / 2 && !stop.load(Ordering::Relaxed) => left,
        _ => READY,
    }
}

/// Time until the wall clock shows this; none where it is past.
fn left_until(at: SystemTime) -> Duration {
    at.duration_since(SystemTime::now()).unwrap_or_default()
}

/// Tells `watch` of these seconds, and all workers to stop where it returns false.
fn tell(watch: &mut impl Watch, stop: &AtomicBool, seconds: &[Second]) {
    if !watch.seconds(seconds) {
        stop.store(true, Ordering::Relaxed);
    }
}

/// Parts of a worker that the system may refuse.
struct Equipment {
    runtime: Runtime,
    pacer: Pacer,
}

impl Equipment {
    fn new() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let pacer = {
            // A timer belongs to the event loop in whose context it is made.
            let _context = runtime.enter();
            Pacer::new()?
        };
        Ok(Self { runtime, pacer })
    }
}

/// A worker before its thread starts.
struct Worker<'a, O> {
    operation: O,
    plan: &'a Plan,
    share: Share,
    stop: &'a AtomicBool,
    equipment: Equipment,
    done: Sender<Second>,
}

/// Result of a worker's thread.
struct Worked {
    load: LoadRecording,
    busy: CpuShare,
    /// Whether the schedule was performed to its end.
    whole: bool,
}

impl<O: Operation> Worker<'_, O> {
    /// Warms up, waits until all workers are ready, and performs its share of the schedule.
    fn run(self, ready: Sender<()>, begins: &Receiver<Instant>) -> io::Result<Worked> {
        let Self { operation, plan, share, stop, equipment: Equipment { runtime, mut pacer }, done } = self;
        // Kept from warming up to the run, with their connections.
        let mut users = Vec::new();
        runtime.block_on(async {
            if let Some(queue) = plan.warm_up(share) {
                let start = Instant::now();
                // Nothing of it is kept: its seconds go to a channel that nobody reads.
                let mut log = LoadRecorder::new(start, stop, mpsc::channel().0);
                let terms = Limits { start, at_once: plan.at_once(share), grace: plan.grace };
                drive(&operation, &mut users, queue, &mut pacer, &mut log, terms).await?;
            }
            // Sent and dropped: a worker that fails before this drops it too, and so is not waited for.
            let _ = ready.send(());
            drop(ready);
            // The others may still be warming up.
            let start = begins.recv().map_err(io::Error::other)?;
            let mut log = LoadRecorder::new(start, stop, done).of_steps(operation.steps());
            // From here on, as what comes before is warming up, which may take all of the thread's time.
            let busy = CpuShare::begin();
            pacer.until(start).await?;
            let terms = Limits { start, at_once: plan.at_once(share), grace: plan.grace };
            let ended = drive(&operation, &mut users, plan.queue(share), &mut pacer, &mut log, terms).await?;
            let whole = ended.whole;
            // A run that was broken off lasted until then, and not as long as was planned.
            let lasting = if whole { plan.lasting() } else { Duration::ZERO };
            Ok(Worked { load: log.finish(lasting), busy: busy.end(), whole })
        })
    }
}

/// Puts together the seconds of all workers until they have all ended.
fn collect(
    done: &Receiver<Second>,
    used: &Receiver<ResourceSample>,
    workers: usize,
    pulse: &mut Heartbeat,
    watch: &mut impl Watch,
    stop: &AtomicBool,
) -> Vec<Second> {
    let mut seconds: Vec<Second> = Vec::new();
    // How many workers have sent each second.
    let mut heard: Vec<usize> = Vec::new();
    // How many seconds `watch` knows.
    let mut told = 0;
    loop {
        match done.recv_timeout(pulse.left(PULSE)) {
            Ok(second) => {
                // Each worker sends all of its seconds, in order: the first to send one sends the next that is missing.
                let index = second.index as usize;
                if index < seconds.len() {
                    seconds[index].merge(&second);
                } else {
                    seconds.push(second);
                    heard.push(0);
                }
                heard[index] += 1;
            }
            Err(RecvTimeoutError::Timeout) => {
                pulse.beat();
                for sample in used.try_iter() {
                    watch.used(&sample);
                }
                // Only seconds that all workers have sent: the others are not whole yet.
                let whole = heard[told..].iter().take_while(|heard| **heard == workers).count();
                tell(watch, stop, &seconds[told..told + whole]);
                told += whole;
            }
            Err(RecvTimeoutError::Disconnected) => return seconds,
        }
    }
}

/// Waits for all workers and puts their records together.
fn put_together(
    threads: Vec<ScopedJoinHandle<'_, io::Result<Worked>>>,
    seconds: Vec<Second>,
    start: Instant,
    started_at: SystemTime,
    pulse: &Heartbeat,
) -> Result<Run, Error> {
    let mut load = LoadRecording::default();
    let mut busy = Vec::new();
    let mut partial = false;
    for thread in threads {
        // The outer error is a panic; the inner one is of the timer, or of a start that never came.
        let worked =
            thread.join().map_err(|_| Error::ThreadEnded("load".to_owned()))?.map_err(Error::Thread)?;
        load.merge(worked.load);
        busy.push(worked.busy);
        partial |= !worked.whole;
    }
    let generator = Readings::of(&busy, pulse);
    Ok(Run { load, seconds, generator, resources: None, partial, started_at, start: Some(start) })
}
