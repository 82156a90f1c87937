//! Running a plan: a thread a core, each with an event loop, users and a record of its own, put together at the end.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::Runtime;

use super::drive::{Limits, Operation, drive};
use super::health::{CpuShare, Health, Heartbeat};
use super::pacer::Pacer;
use super::plan::Plan;
use super::queue::Share;
use super::recorder::{LoadRecorder, LoadRecording};
use super::second::Second;
use crate::error::Error;
use crate::machine::pin;

/// Between "all threads are there" and the start.
const READY: Duration = Duration::from_millis(20);
/// How often the generator's own pulse is taken.
const PULSE: Duration = Duration::from_millis(10);

/// A run that has ended.
#[derive(Debug)]
pub struct Run {
    /// What was recorded.
    pub load: LoadRecording,
    /// Every second, in order.
    pub seconds: Vec<Second>,
    /// Whether the generator kept up.
    pub health: Health,
    /// Whether it ended before its plan did.
    pub partial: bool,
    /// Instant from which the schedule counts.
    pub start: Instant,
    /// The same by the wall clock.
    pub started_at: SystemTime,
}

/// Runs a plan, with a worker for each operation on the core beside it. `watch` is told about once every ten
/// milliseconds, with the seconds that are over since; where it returns false, nothing further begins.
pub fn run<O: Operation + Send>(
    plan: &Plan,
    operations: Vec<(O, Option<usize>)>,
    mut watch: impl FnMut(&[Second]) -> bool,
) -> Result<Run, Error> {
    let stop = AtomicBool::new(false);
    let workers = operations.len();
    // All that can fail does so before the first thread starts: nobody waits for one that never comes.
    let equipped: Vec<_> = operations
        .into_iter()
        .map(|(operation, core)| Ok((operation, core, Equipment::new()?)))
        .collect::<io::Result<_>>()
        .map_err(Error::Thread)?;
    thread::scope(|scope| {
        let (done, seconds) = mpsc::channel();
        let (ready, all_ready) = mpsc::channel();
        let mut threads = Vec::new();
        for (number, (operation, core, equipment)) in equipped.into_iter().enumerate() {
            let (begin, begins) = mpsc::channel();
            let worker = Worker {
                operation,
                plan,
                share: Share { worker: number, workers },
                stop: &stop,
                equipment,
                done: done.clone(),
            };
            let ready = ready.clone();
            let builder = thread::Builder::new().name(format!("load {number}"));
            let thread = builder.spawn_scoped(scope, move || {
                pin(core);
                worker.run(ready, &begins)
            });
            threads.push((thread.map_err(Error::Thread)?, begin));
        }
        drop((done, ready));
        let mut stops = |seconds: &[Second]| {
            if !watch(seconds) {
                stop.store(true, Ordering::Relaxed);
            }
        };
        // Warming up takes its time; a thread that broke has no sender any more.
        let mut waiting = workers;
        while waiting > 0 {
            match all_ready.recv_timeout(PULSE) {
                Ok(()) => waiting -= 1,
                Err(RecvTimeoutError::Timeout) => stops(&[]),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let (start, started_at) = (Instant::now() + READY, SystemTime::now() + READY);
        let mut pulse = Heartbeat::new();
        let threads: Vec<_> = threads
            .into_iter()
            .map(|(thread, begin)| {
                // A thread that is gone will be noticed when it is joined.
                let _ = begin.send(start);
                thread
            })
            .collect();
        let seconds = collect(&seconds, workers, &mut pulse, &mut stops);
        pulse.end();
        put_together(threads, seconds, (start, started_at), &pulse)
    })
}

/// What a worker needs from the system.
struct Equipment {
    runtime: Runtime,
    pacer: Pacer,
}

impl Equipment {
    fn new() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let pacer = {
            let _context = runtime.enter();
            Pacer::new()?
        };
        Ok(Self { runtime, pacer })
    }
}

struct Worker<'a, O> {
    operation: O,
    plan: &'a Plan,
    share: Share,
    stop: &'a AtomicBool,
    equipment: Equipment,
    done: Sender<Second>,
}

/// What a worker's thread brings home.
struct Worked {
    load: LoadRecording,
    busy: CpuShare,
    /// Whether the schedule was performed to its end.
    whole: bool,
}

impl<O: Operation> Worker<'_, O> {
    fn run(self, ready: Sender<()>, begins: &Receiver<Instant>) -> io::Result<Worked> {
        let Self { operation, plan, share, stop, equipment: Equipment { runtime, mut pacer }, done } = self;
        let mut users = Vec::new();
        runtime.block_on(async {
            if let Some(queue) = plan.warm_up(share) {
                let start = Instant::now();
                let mut log = LoadRecorder::new(start, stop, mpsc::channel().0);
                let terms = Limits { start, at_once: plan.at_once(share), grace: plan.grace };
                drive(&operation, &mut users, queue, &mut pacer, &mut log, terms).await?;
            }
            // Sent and dropped: one that panics before this must not be waited for.
            let _ = ready.send(());
            drop(ready);
            // The others may still be warming up.
            let start = begins.recv().map_err(io::Error::other)?;
            let mut log = LoadRecorder::new(start, stop, done);
            let busy = CpuShare::begin();
            pacer.until(start).await?;
            let terms = Limits { start, at_once: plan.at_once(share), grace: plan.grace };
            let ended = drive(&operation, &mut users, plan.queue(share), &mut pacer, &mut log, terms).await?;
            let whole = ended.whole;
            let lasting = if whole { plan.lasting() } else { Duration::ZERO };
            Ok(Worked { load: log.finish(lasting), busy: busy.end(), whole })
        })
    }
}

/// Puts together the seconds of all workers until they have all ended.
fn collect(
    done: &Receiver<Second>,
    workers: usize,
    pulse: &mut Heartbeat,
    stops: &mut impl FnMut(&[Second]),
) -> Vec<Second> {
    let mut seconds: Vec<Second> = Vec::new();
    let (mut told, mut heard) = (0, Vec::new());
    loop {
        match done.recv_timeout(pulse.left(PULSE)) {
            Ok(second) => {
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
                let whole = heard[told..].iter().take_while(|heard| **heard == workers).count();
                stops(&seconds[told..told + whole]);
                told += whole;
            }
            Err(RecvTimeoutError::Disconnected) => return seconds,
        }
    }
}

fn put_together(
    threads: Vec<ScopedJoinHandle<'_, io::Result<Worked>>>,
    seconds: Vec<Second>,
    (start, started_at): (Instant, SystemTime),
    pulse: &Heartbeat,
) -> Result<Run, Error> {
    let (mut load, mut busy, mut partial) = (LoadRecording::default(), Vec::new(), false);
    for thread in threads {
        let worked =
            thread.join().map_err(|_| Error::ThreadEnded("load".to_owned()))?.map_err(Error::Thread)?;
        load.merge(worked.load);
        busy.push(worked.busy);
        partial |= !worked.whole;
    }
    let health = Health::of(&load, &busy, pulse);
    Ok(Run { load, seconds, health, partial, start, started_at })
}
