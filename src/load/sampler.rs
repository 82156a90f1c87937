//! Reads once a second what is used, on the run's own axis of time and on a thread that does nothing else.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::health::CpuShare;
use super::usage::{Counters, ResourceSample, Resources, WatchedService};
use crate::machine::{MachineCounters, ProcessTree, this_process};

/// Reads at the start, at the end of every second, and once more when the run ends: when the sender of `ended` is gone. Each
/// sample goes to `told` too.
pub(super) fn sample(
    service: &WatchedService,
    start: Instant,
    ended: &Receiver<()>,
    told: &Sender<ResourceSample>,
) -> Resources {
    let own = CpuShare::begin();
    let mut resources = Resources { service: service.clone(), ..Resources::default() };
    wait(ended, start);
    match samples(&mut resources, start, ended, told) {
        Ok(()) => resources.reading = own.end().share(),
        Err(error) => resources.unread = Some(error.to_string()),
    }
    resources
}

/// Adds a sample for each second. An error where not even this process can be read.
fn samples(
    resources: &mut Resources,
    start: Instant,
    ended: &Receiver<()>,
    told: &Sender<ResourceSample>,
) -> io::Result<()> {
    let mut second = 0;
    let mut read_at = Instant::now();
    let mut before = read(resources, second)?;
    resources.cores = before.machine.cores;
    loop {
        let is_over = wait(ended, start + Duration::from_secs(second + 1));
        let now = Instant::now();
        let after = read(resources, second)?;
        let lasting = now - read_at;
        let sample = ResourceSample::between(&before, &after, second, lasting, &resources.service);
        resources.samples.push(sample);
        // Nobody listens any more once the run is over.
        let _ = told.send(sample);
        if is_over {
            return Ok(());
        }
        second = following(second, now - start);
        read_at = now;
        before = after;
    }
}

/// The second that begins with a reading at this time of the run. Due times are counted from the start, so that being late
/// once does not move the later ones. Where the thread was held up for seconds, their use is in the sample before, and they
/// have none of their own.
fn following(second: u64, since_start: Duration) -> u64 {
    since_start.as_secs().max(second + 1)
}

/// Reads all counters. Notes the second in which the service's process is not found any more.
fn read(resources: &mut Resources, second: u64) -> io::Result<Counters> {
    let own = this_process()?;
    let mut service = None;
    // Once it has ended, another process may get its id.
    if let WatchedService::Process { id, .. } = resources.service
        && resources.service_ended.is_none()
    {
        service = ProcessTree::of(id).usage_by_thread().ok();
        if service.is_none() {
            resources.service_ended = Some(second);
        }
    }
    Ok(Counters { own, service, machine: MachineCounters::read() })
}

/// Waits until then. True where the run ended before.
fn wait(ended: &Receiver<()>, until: Instant) -> bool {
    let left = until.saturating_duration_since(Instant::now());
    // Nothing is ever sent.
    ended.recv_timeout(left) == Err(RecvTimeoutError::Disconnected)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn seconds_follow_each_other_and_those_missed_are_left_out() {
        assert_eq!(following(0, Duration::from_micros(1_000_200)), 1);
        // A clock of another resolution may be read a little early.
        assert_eq!(following(0, Duration::from_micros(999_999)), 1);
        assert_eq!(following(1, Duration::from_millis(5_300)), 5);
    }

    #[test]
    fn a_process_is_watched_until_it_ends() {
        let mut sleep = Command::new("sleep").arg("60").spawn().expect("exists");
        let service = WatchedService::Process { id: sleep.id(), cores: 1 };
        let alive = sampled(&service, || ());
        assert_eq!((alive.unread, alive.service_ended, alive.samples.len()), (None, None, 1));
        let used = alive.samples[0].service.expect("is told");
        assert!(used.cpu.is_some() && used.resident_bytes > Some(0), "{used:?}");
        // Neither its memory nor anything else of it is this process's.
        assert_ne!(alive.samples[0].generator.resident_bytes, used.resident_bytes);
        let ended = sampled(&service, || {
            sleep.kill().expect("is there");
            sleep.wait().expect("was not waited for");
        });
        assert_eq!((ended.service_ended, ended.samples[0].service), (Some(0), None));
    }

    /// Samples while this is done, which takes less than a second.
    fn sampled(service: &WatchedService, meanwhile: impl FnOnce()) -> Resources {
        let (running, ended) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let start = Instant::now();
        let resources = std::thread::scope(|scope| {
            let sampler = scope.spawn(move || sample(service, start, &ended, &tell));
            std::thread::sleep(Duration::from_millis(50));
            meanwhile();
            drop(running);
            sampler.join().expect("does not panic")
        });
        // Whoever listens hears of the same samples.
        assert_eq!(told.iter().collect::<Vec<_>>(), resources.samples);
        resources
    }
}
