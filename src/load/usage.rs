//! What the generator, the service and the machine used in each second of a run: differences of counters. There is no clock
//! in here.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::machine::{MachineCounters, ProcessUsage, ThreadUsage, UsageByThread};
use crate::units::Bytes;

/// Where the service runs, whose use of the machine is told beside the generator's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchedService {
    /// On another machine, or nobody said where.
    #[default]
    Unknown,
    /// In this process, on threads of its own.
    Threads {
        /// Their name.
        name: String,
        /// Cores that they may use.
        cores: usize,
    },
    /// In a process, with all that it starts.
    Process {
        /// Its id.
        id: u32,
        /// Cores that it may use.
        cores: usize,
    },
}

/// What was used in a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// Why nothing could be read, where nothing could.
    pub unread: Option<String>,
    /// Where the service runs.
    pub service: WatchedService,
    /// Cores of the machine.
    pub cores: usize,
    /// What was used between one reading and the next, in order: about a second each, and the rest at the end.
    pub samples: Vec<ResourceSample>,
    /// The second in which the service's process ended, if it did.
    pub service_ended: Option<u64>,
    /// Share of one core that the readings themselves took; unknown where the run was too short.
    pub reading: Option<f64>,
}

/// What was used between two readings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ResourceSample {
    /// The second of the run in which it began, counted from 0.
    pub second: u64,
    /// Time between the readings. More than a second where the second one was late.
    pub lasting: Duration,
    /// The generator's own use.
    pub generator: SideUse,
    /// The service's.
    pub service: Option<SideUse>,
    /// What generator and service used together, where both are in this process: only their threads can be told apart.
    pub both: Option<SideUse>,
    /// The use of everything on the machine.
    pub machine: MachineUse,
}

/// What one side used; a figure that could not be read, or not be told apart, is unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SideUse {
    /// Time on a core, of all threads.
    pub cpu: Option<Duration>,
    /// Time on a core of the thread that had the most.
    pub busiest_thread: Option<Duration>,
    /// Context switches.
    pub switches: Option<u64>,
    /// Resident memory at the end.
    pub resident_bytes: Option<u64>,
    /// Open descriptors at the end.
    pub descriptors: Option<u64>,
    /// Bytes that were read from disks.
    pub disk_read_bytes: Option<u64>,
    /// Bytes that were written to disks.
    pub disk_written_bytes: Option<u64>,
}

/// What everything on the machine used, and had to wait for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineUse {
    /// Time of all cores that was used.
    pub cpu: Option<Duration>,
    /// Time of all cores that the host gave to something else.
    pub stolen: Option<Duration>,
    /// For how long something that could run had to wait for a core.
    pub waited_for_cpu: Option<Duration>,
    /// For how long something had to wait for memory.
    pub waited_for_memory: Option<Duration>,
    /// For how long something had to wait for a disk.
    pub waited_for_disk: Option<Duration>,
    /// For how long the disk that was used most had something to do.
    pub disk_busy: Option<Duration>,
    /// Bytes over loopback.
    pub loopback_bytes: Option<u64>,
    /// Bytes from elsewhere.
    pub received_bytes: Option<u64>,
    /// Bytes to elsewhere.
    pub sent_bytes: Option<u64>,
}

/// Counters of all that is watched, at one instant.
#[derive(Debug, Clone, Default)]
pub(super) struct Counters {
    /// Those of this process.
    pub own: UsageByThread,
    /// Those of the service's process, where it is one and has not ended.
    pub service: Option<UsageByThread>,
    /// Those of the machine.
    pub machine: MachineCounters,
}

impl Resources {
    /// Whether the samples are in order, as those of a file need not be.
    pub(super) fn is_sound(&self) -> bool {
        self.samples.windows(2).all(|pair| pair[0].second < pair[1].second)
    }
}

impl ResourceSample {
    /// What was used from one reading to the next.
    pub(super) fn between(
        before: &Counters,
        after: &Counters,
        second: u64,
        lasting: Duration,
        service: &WatchedService,
    ) -> Self {
        let machine = MachineUse::between(&before.machine, &after.machine);
        let generator = SideUse::of_process(&before.own, &after.own);
        let mut sample = Self { second, lasting, generator, service: None, both: None, machine };
        match service {
            WatchedService::Unknown => {}
            WatchedService::Threads { name, .. } => sample.tell_apart(&before.own, &after.own, name),
            WatchedService::Process { .. } => {
                if let (Some(earlier), Some(now)) = (&before.service, &after.service) {
                    let mut service = SideUse::of_process(earlier, now);
                    service.cpu = possible(service.cpu, lasting, after.machine.cores);
                    sample.service = Some(service);
                }
            }
        }
        sample
    }

    /// Splits what this process used between the generator and a service on the threads of this name.
    fn tell_apart(&mut self, before: &UsageByThread, after: &UsageByThread, name: &str) {
        let whole = SideUse::of_whole(&before.whole, &after.whole);
        let service = SideUse::of_threads(before, after, |thread| thread.name == name);
        let mut generator = SideUse::of_threads(before, after, |thread| thread.name != name);
        // Not the sum over its threads: the time of one that has ended is in the whole only.
        generator.cpu = whole.cpu.map(|cpu| cpu.saturating_sub(service.cpu.unwrap_or_default()));
        self.generator = generator;
        self.service = Some(service);
        self.both = Some(SideUse { cpu: None, ..whole });
    }
}

impl SideUse {
    /// What a process, or a tree of them, used.
    fn of_process(before: &UsageByThread, after: &UsageByThread) -> Self {
        let threads = Self::of_threads(before, after, |_| true);
        Self {
            busiest_thread: threads.busiest_thread,
            switches: threads.switches,
            ..Self::of_whole(&before.whole, &after.whole)
        }
    }

    /// The figures that are not of single threads. A counter that ran back has lost what an ended process had counted: how
    /// much was used is not known then.
    fn of_whole(before: &ProcessUsage, after: &ProcessUsage) -> Self {
        Self {
            cpu: after.cpu.checked_sub(before.cpu),
            resident_bytes: Some(after.resident.0),
            descriptors: Some(after.descriptors),
            disk_read_bytes: after.disk_read.0.checked_sub(before.disk_read.0),
            disk_written_bytes: after.disk_written.0.checked_sub(before.disk_written.0),
            ..Self::default()
        }
    }

    /// The figures of these threads.
    fn of_threads(
        before: &UsageByThread,
        after: &UsageByThread,
        belongs: impl Fn(&ThreadUsage) -> bool,
    ) -> Self {
        let mut earlier: BTreeMap<u32, &ThreadUsage> = BTreeMap::new();
        for thread in &before.threads {
            earlier.insert(thread.id, thread);
        }
        let mut cpu = Duration::ZERO;
        let mut busiest = Duration::ZERO;
        let mut switches = 0;
        for thread in &after.threads {
            if !belongs(thread) {
                continue;
            }
            // One that is new has used all that it used since the reading before.
            let mut used = thread.cpu;
            let mut switched = thread.switches;
            if let Some(earlier) = earlier.get(&thread.id) {
                used = used.saturating_sub(earlier.cpu);
                switched = switched.saturating_sub(earlier.switches);
            }
            cpu += used;
            busiest = busiest.max(used);
            switches += switched;
        }
        Self { cpu: Some(cpu), busiest_thread: Some(busiest), switches: Some(switches), ..Self::default() }
    }
}

impl MachineUse {
    fn between(before: &MachineCounters, after: &MachineCounters) -> Self {
        Self {
            cpu: time_since(before.busy, after.busy),
            stolen: time_since(before.stolen, after.stolen),
            waited_for_cpu: time_since(before.waited_for_cpu, after.waited_for_cpu),
            waited_for_memory: time_since(before.waited_for_memory, after.waited_for_memory),
            waited_for_disk: time_since(before.waited_for_disk, after.waited_for_disk),
            disk_busy: busiest_disk(before, after),
            loopback_bytes: bytes_since(before.loopback, after.loopback),
            received_bytes: bytes_since(before.received, after.received),
            sent_bytes: bytes_since(before.sent, after.sent),
        }
    }
}

/// A time on a core, unless it is more than all cores could give. Then a process was left out of the reading before, as may
/// happen while others end, and all that it has ever used would count as used now.
fn possible(cpu: Option<Duration>, lasting: Duration, cores: usize) -> Option<Duration> {
    // One core more, as this time is counted in steps.
    let most = (cores + 1) as f64 * lasting.as_secs_f64();
    cpu.filter(|cpu| cpu.as_secs_f64() <= most)
}

fn time_since(before: Option<Duration>, after: Option<Duration>) -> Option<Duration> {
    after?.checked_sub(before?)
}

fn bytes_since(before: Option<Bytes>, after: Option<Bytes>) -> Option<u64> {
    after?.0.checked_sub(before?.0)
}

/// The longest time for which one of the disks had something to do.
fn busiest_disk(before: &MachineCounters, after: &MachineCounters) -> Option<Duration> {
    let mut longest: Option<Duration> = None;
    for (name, busy) in &after.disks {
        let Some(earlier) = before.disks.get(name) else { continue };
        longest = longest.max(busy.checked_sub(*earlier));
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn thread(id: u32, name: &str, cpu_ms: u64, switches: u64) -> ThreadUsage {
        ThreadUsage { id, name: name.to_owned(), cpu: MS(cpu_ms), switches }
    }

    /// A process that has used so much CPU in all, in these threads.
    fn process(cpu_ms: u64, threads: Vec<ThreadUsage>) -> UsageByThread {
        let whole = ProcessUsage {
            processes: 1,
            cpu: MS(cpu_ms),
            resident: Bytes::mb(30),
            descriptors: 12,
            disk_written: Bytes(100 * cpu_ms),
            ..ProcessUsage::default()
        };
        UsageByThread { whole, threads }
    }

    fn own(usage: UsageByThread) -> Counters {
        Counters { own: usage, ..Counters::default() }
    }

    #[test]
    fn threads_of_one_process_are_told_apart_by_name() {
        let before = own(process(1_000, vec![thread(1, "load 0", 400, 40), thread(2, "stub", 500, 50)]));
        // One more of the service's has begun, and one of the generator's, with 30 ms, has begun and ended.
        let threads =
            vec![thread(1, "load 0", 600, 90), thread(2, "stub", 950, 80), thread(3, "stub", 20, 5)];
        let after = own(process(1_700, threads));
        let service = WatchedService::Threads { name: "stub".to_owned(), cores: 1 };
        let sample = ResourceSample::between(&before, &after, 4, MS(1_001), &service);
        let served = sample.service.expect("is told");
        // 450 of the one, 20 of the other; 30 and 5 switches.
        assert_eq!((served.cpu, served.busiest_thread), (Some(MS(470)), Some(MS(450))));
        assert_eq!((served.switches, served.resident_bytes), (Some(35), None));
        // 700 in all, 470 of them the service's; the thread that is left used 200.
        let generator = sample.generator;
        assert_eq!((generator.cpu, generator.busiest_thread), (Some(MS(230)), Some(MS(200))));
        assert_eq!((generator.switches, generator.descriptors), (Some(50), None));
        let both = sample.both.expect("is told");
        assert_eq!((both.cpu, both.resident_bytes, both.descriptors), (None, Some(30 << 20), Some(12)));
        assert_eq!((both.disk_read_bytes, both.disk_written_bytes), (Some(0), Some(70_000)));
        assert_eq!((sample.second, sample.lasting), (4, MS(1_001)));
    }

    #[test]
    fn a_service_in_a_process_of_its_own_has_all_figures() {
        let mut before = own(process(50, vec![thread(1, "load 0", 50, 1)]));
        let mut after = own(process(80, vec![thread(1, "load 0", 80, 3)]));
        before.service = Some(process(2_000, vec![thread(7, "a", 1_500, 10), thread(8, "b", 500, 10)]));
        after.service = Some(process(2_900, vec![thread(7, "a", 2_300, 14), thread(8, "b", 600, 16)]));
        before.machine.cores = 2;
        after.machine.cores = 2;
        let service = WatchedService::Process { id: 7, cores: 2 };
        let sample = ResourceSample::between(&before, &after, 0, MS(1_000), &service);
        let expected = SideUse {
            cpu: Some(MS(900)),
            busiest_thread: Some(MS(800)),
            switches: Some(10),
            resident_bytes: Some(30 << 20),
            descriptors: Some(12),
            disk_read_bytes: Some(0),
            disk_written_bytes: Some(90_000),
        };
        assert_eq!((sample.service, sample.both), (Some(expected), None));
        assert_eq!((sample.generator.cpu, sample.generator.switches), (Some(MS(30)), Some(2)));
        // It has ended: nothing is known, and nothing is 0.
        after.service = None;
        assert_eq!(ResourceSample::between(&before, &after, 1, MS(1_000), &service).service, None);
    }

    #[test]
    fn what_cannot_be_is_not_known() {
        let mut before = own(process(50, Vec::new()));
        let mut after = own(process(60, Vec::new()));
        before.service = Some(process(9_000, Vec::new()));
        after.service = Some(process(1_000, Vec::new()));
        after.machine.cores = 2;
        let service = WatchedService::Process { id: 7, cores: 2 };
        let ran_back = ResourceSample::between(&before, &after, 0, MS(1_000), &service).service;
        let ran_back = ran_back.expect("is there");
        assert_eq!((ran_back.cpu, ran_back.disk_written_bytes), (None, None));
        // 2 s on two cores in a second, and a tick: possible; 8 s: not.
        before.service = Some(process(1_000, Vec::new()));
        for (later, cpu) in [(3_010, Some(MS(2_010))), (9_000, None)] {
            after.service = Some(process(later, Vec::new()));
            let sample = ResourceSample::between(&before, &after, 0, MS(1_000), &service);
            assert_eq!(sample.service.expect("is there").cpu, cpu, "{later}");
        }
    }

    #[test]
    fn the_machine_is_told_by_its_busiest_disk() {
        let mut before =
            MachineCounters { stolen: Some(MS(100)), received: Some(Bytes(5)), ..Default::default() };
        let mut after =
            MachineCounters { stolen: Some(MS(350)), received: Some(Bytes(9)), ..Default::default() };
        for (name, earlier, later) in [("sda", 10, 30), ("sdb", 0, 700)] {
            before.disks.insert(name.to_owned(), MS(earlier));
            after.disks.insert(name.to_owned(), MS(later));
        }
        // A disk that is new has no reading to compare with.
        after.disks.insert("sdc".to_owned(), MS(9_000));
        let used = MachineUse::between(&before, &after);
        assert_eq!(
            (used.stolen, used.received_bytes, used.disk_busy),
            (Some(MS(250)), Some(4), Some(MS(700)))
        );
        assert_eq!((used.cpu, used.waited_for_cpu, used.loopback_bytes), (None, None, None));
    }

    #[test]
    fn samples_of_a_file_have_to_be_in_order() {
        let service = WatchedService::default();
        let reading = Counters::default();
        let mut resources = Resources::default();
        for second in [0, 1, 4] {
            resources.samples.push(ResourceSample::between(&reading, &reading, second, MS(1_000), &service));
        }
        assert!(resources.is_sound());
        resources.samples.swap(0, 2);
        assert!(!resources.is_sound());
    }
}
