//! Counters of the whole machine: its cores, network and disks, and for how long something had to wait for one of them.
//! What a system does not tell stays unknown.

use std::collections::BTreeMap;
use std::fs::read_to_string;
use std::time::Duration;

use super::conditions::{TICK_MS, cores, stolen_ticks, waiting_us};
use crate::units::Bytes;

/// Counters since the machine started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MachineCounters {
    /// Its cores, over which the next two times are added up.
    pub cores: usize,
    /// For how long they were busy.
    pub busy: Option<Duration>,
    /// For how long the host ran something else than this virtual machine.
    pub stolen: Option<Duration>,
    /// For how long something that could run had to wait for a core (pressure stall information, "some").
    pub waited_for_cpu: Option<Duration>,
    /// For how long something had to wait for memory.
    pub waited_for_memory: Option<Duration>,
    /// For how long something had to wait for a disk.
    pub waited_for_disk: Option<Duration>,
    /// Bytes that went over loopback; each is counted once.
    pub loopback: Option<Bytes>,
    /// Bytes that came from elsewhere, over all devices: with containers, one may pass through several.
    pub received: Option<Bytes>,
    /// Bytes that went elsewhere.
    pub sent: Option<Bytes>,
    /// For how long each disk had something to do, by its name.
    pub disks: BTreeMap<String, Duration>,
}

impl MachineCounters {
    /// Reads them now.
    pub fn read() -> Self {
        let stat = read_to_string("/proc/stat").unwrap_or_default();
        let mut counters = Self {
            cores: cores(&stat),
            busy: busy_ticks(&stat).map(time),
            stolen: stolen_ticks(&stat).map(time),
            waited_for_cpu: waited_for("cpu"),
            waited_for_memory: waited_for("memory"),
            waited_for_disk: waited_for("io"),
            ..Self::default()
        };
        add_devices(&mut counters);
        counters
    }
}

fn time(ticks: u64) -> Duration {
    Duration::from_millis(ticks * TICK_MS)
}

/// For how long something had to wait for this: `cpu`, `memory` or `io`.
fn waited_for(resource: &str) -> Option<Duration> {
    // Kernels may be built, or started, without these files.
    let pressure = read_to_string(format!("/proc/pressure/{resource}")).ok()?;
    waiting_us(&pressure).map(Duration::from_micros)
}

/// Time of all cores that was spent on anything but being idle, waiting for disks, or being stolen.
fn busy_ticks(stat: &str) -> Option<u64> {
    let numbers = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = numbers.split_whitespace().map_while(|number| number.parse().ok()).collect();
    // In the order of proc(5); the time of guests, further on, is in that of users already.
    let [user, nice, system, _idle, _iowait, irq, softirq, ..] = ticks[..] else { return None };
    Some(user + nice + system + irq + softirq)
}

/// Adds what network devices and disks have done.
#[cfg(target_os = "linux")]
fn add_devices(counters: &mut MachineCounters) {
    if let Ok(devices) = procfs::net::dev_status() {
        let mut loopback = 0;
        let mut received = 0;
        let mut sent = 0;
        for device in devices.into_values() {
            if device.name == "lo" {
                // What is sent there is received there.
                loopback += device.sent_bytes;
            } else {
                received += device.recv_bytes;
                sent += device.sent_bytes;
            }
        }
        counters.loopback = Some(Bytes(loopback));
        counters.received = Some(Bytes(received));
        counters.sent = Some(Bytes(sent));
    }
    for disk in procfs::diskstats().unwrap_or_default() {
        counters.disks.insert(disk.name, Duration::from_millis(disk.time_in_progress));
    }
}

#[cfg(not(target_os = "linux"))]
fn add_devices(_: &mut MachineCounters) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_is_all_but_idle_waiting_and_stolen() {
        // 10 + 20 + 30 + 6 + 7; neither 400 and 50 (idle, waiting), nor 8 (stolen), nor 9 and 1 (guests).
        let stat = "cpu  10 20 30 400 50 6 7 8 9 1\ncpu0 10 20 30 400 50 6 7 8 9 1\n";
        assert_eq!(busy_ticks(stat), Some(73));
        // A kernel of before 2.6 tells less.
        assert_eq!((busy_ticks("cpu  10 20 30 400\n"), busy_ticks("")), (None, None));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_has_counters_and_they_grow() {
        let before = MachineCounters::read();
        assert!(before.cores >= 1 && before.busy > Some(Duration::ZERO), "{before:?}");
        let after = MachineCounters::read();
        assert!(after.busy >= before.busy && after.loopback >= before.loopback, "{after:?}");
    }
}
