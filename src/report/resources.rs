//! What was used in a run, as its report has it: a pure function of what was recorded.

use std::time::Duration;

use serde::Serialize;

use crate::load::{ResourceSample, Resources, SideUse, WatchedService};

/// Shortest sample that tells shares and rates. Time on a core is counted in steps of 10 ms, which are 2 % of this.
const SHORT: Duration = Duration::from_millis(500);

/// What the generator, the service and the machine used. Shares of CPU are in percent of one core: two cores that are busy
/// all the time are 200. What is not known is `null`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResourceReport {
    /// Why nothing could be read, where nothing could.
    pub unread: Option<String>,
    /// Process of the service, where it is one that is watched.
    pub service_pid: Option<u32>,
    /// Cores that the service may use, where it is watched.
    pub service_cores: Option<usize>,
    /// The second in which the service's process ended, if it did.
    pub service_ended_in_second: Option<u64>,
    /// Cores of the machine.
    pub machine_cores: usize,
    /// The generator's own use.
    pub generator: Option<SideReport>,
    /// The service's.
    pub service: Option<SideReport>,
    /// What cannot be told apart, where both are in one process.
    pub both: Option<SideReport>,
    /// What all that runs on the machine used.
    pub machine: MachineReport,
    /// CPU that reading all this took.
    pub reading_cpu_pct: Option<f64>,
}

/// A figure over a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct MeanMax {
    /// Mean over time.
    pub mean: Option<f64>,
    /// That of the second in which it was largest.
    pub max: Option<f64>,
}

/// What one side used.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SideReport {
    /// CPU of all threads.
    pub cpu_pct: MeanMax,
    /// CPU of the thread that used the most of it in a second.
    pub busiest_thread_pct: MeanMax,
    /// Resident memory.
    pub memory_bytes: MeanMax,
    /// Open descriptors.
    pub descriptors: MeanMax,
    /// Context switches.
    pub switches_per_s: MeanMax,
    /// Read from disks.
    pub disk_read_bytes_per_s: MeanMax,
    /// Written to disks.
    pub disk_written_bytes_per_s: MeanMax,
}

/// What all that runs on the machine used, and for how much of the time something had to wait.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MachineReport {
    /// CPU, in percent of one core.
    pub cpu_pct: MeanMax,
    /// Time of its cores that the host gave to something else, in percent of all of it.
    pub steal_pct: MeanMax,
    /// Waiting for a core (pressure stall information, "some").
    pub cpu_pressure_pct: MeanMax,
    /// Waiting for memory.
    pub memory_pressure_pct: MeanMax,
    /// Waiting for a disk.
    pub io_pressure_pct: MeanMax,
    /// The busiest disk had something to do.
    pub disk_busy_pct: MeanMax,
    /// Over loopback, each byte counted once.
    pub loopback_bytes_per_s: MeanMax,
    /// From elsewhere.
    pub received_bytes_per_s: MeanMax,
    /// To elsewhere.
    pub sent_bytes_per_s: MeanMax,
}

/// What was used in one second, in the same units: a key here is a column of the CSV.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SecondUse {
    /// CPU of the generator.
    pub generator_cpu_pct: Option<f64>,
    /// Its context switches.
    pub generator_switches_per_s: Option<f64>,
    /// Its resident memory.
    pub generator_memory_bytes: Option<f64>,
    /// Its open descriptors.
    pub generator_descriptors: Option<f64>,
    /// CPU of the service.
    pub service_cpu_pct: Option<f64>,
    /// CPU of its busiest thread.
    pub service_busiest_thread_pct: Option<f64>,
    /// Its context switches.
    pub service_switches_per_s: Option<f64>,
    /// Its resident memory.
    pub service_memory_bytes: Option<f64>,
    /// Its open descriptors.
    pub service_descriptors: Option<f64>,
    /// What it read from disks and wrote to them.
    pub service_disk_bytes_per_s: Option<f64>,
    /// Resident memory of the process that both are in.
    pub both_memory_bytes: Option<f64>,
    /// Its open descriptors.
    pub both_descriptors: Option<f64>,
    /// What it read from disks and wrote to them.
    pub both_disk_bytes_per_s: Option<f64>,
    /// CPU of all that runs on the machine.
    pub machine_cpu_pct: Option<f64>,
    /// Time that the host gave to something else.
    pub steal_pct: Option<f64>,
    /// Waiting for a core.
    pub cpu_pressure_pct: Option<f64>,
    /// Waiting for memory.
    pub memory_pressure_pct: Option<f64>,
    /// Waiting for a disk.
    pub io_pressure_pct: Option<f64>,
    /// The busiest disk had something to do.
    pub disk_busy_pct: Option<f64>,
    /// Over loopback.
    pub loopback_bytes_per_s: Option<f64>,
    /// From elsewhere.
    pub received_bytes_per_s: Option<f64>,
    /// To elsewhere.
    pub sent_bytes_per_s: Option<f64>,
}

/// One of the figures of a second, with the name that it has in the report.
pub(super) struct Column {
    pub name: &'static str,
    pub value: Option<f64>,
}

impl ResourceReport {
    /// The report of what was recorded.
    pub(super) fn of(resources: &Resources) -> Self {
        let samples = &resources.samples;
        let mut report = Self {
            unread: resources.unread.clone(),
            service_pid: None,
            service_cores: None,
            service_ended_in_second: resources.service_ended,
            machine_cores: resources.cores,
            generator: SideReport::of(samples, |sample| Some(&sample.generator)),
            service: SideReport::of(samples, |sample| sample.service.as_ref()),
            both: SideReport::of(samples, |sample| sample.both.as_ref()),
            machine: MachineReport::of(resources),
            reading_cpu_pct: resources.reading.map(|share| 100.0 * share),
        };
        match &resources.service {
            WatchedService::Unknown => {}
            WatchedService::Threads { cores, .. } => report.service_cores = Some(*cores),
            WatchedService::Process { id, cores } => {
                report.service_pid = Some(*id);
                report.service_cores = Some(*cores);
            }
        }
        report
    }

    /// Whether it has a share or a rate, as a run of some milliseconds has not.
    pub(super) fn says_something(&self) -> bool {
        self.generator.as_ref().is_some_and(|generator| generator.cpu_pct.mean.is_some())
    }
}

impl SideReport {
    /// What a side used in these samples; `None` where it was never read.
    fn of(samples: &[ResourceSample], side: impl Fn(&ResourceSample) -> Option<&SideUse>) -> Option<Self> {
        samples.iter().find_map(&side)?;
        Some(Self {
            cpu_pct: MeanMax::of(samples, |sample| pct(side(sample)?.cpu, sample)),
            busiest_thread_pct: MeanMax::of(samples, |sample| pct(side(sample)?.busiest_thread, sample)),
            memory_bytes: MeanMax::of(samples, |sample| number(side(sample)?.resident_bytes)),
            descriptors: MeanMax::of(samples, |sample| number(side(sample)?.descriptors)),
            switches_per_s: MeanMax::of(samples, |sample| per_second(side(sample)?.switches, sample)),
            disk_read_bytes_per_s: MeanMax::of(samples, |sample| {
                per_second(side(sample)?.disk_read_bytes, sample)
            }),
            disk_written_bytes_per_s: MeanMax::of(samples, |sample| {
                per_second(side(sample)?.disk_written_bytes, sample)
            }),
        })
    }
}

impl MachineReport {
    fn of(resources: &Resources) -> Self {
        let samples = &resources.samples;
        Self {
            cpu_pct: MeanMax::of(samples, |sample| pct(sample.machine.cpu, sample)),
            steal_pct: MeanMax::of(samples, |sample| steal_pct(sample, resources.cores)),
            cpu_pressure_pct: MeanMax::of(samples, |sample| pct(sample.machine.waited_for_cpu, sample)),
            memory_pressure_pct: MeanMax::of(samples, |sample| pct(sample.machine.waited_for_memory, sample)),
            io_pressure_pct: MeanMax::of(samples, |sample| pct(sample.machine.waited_for_disk, sample)),
            disk_busy_pct: MeanMax::of(samples, |sample| pct(sample.machine.disk_busy, sample)),
            loopback_bytes_per_s: MeanMax::of(samples, |sample| {
                per_second(sample.machine.loopback_bytes, sample)
            }),
            received_bytes_per_s: MeanMax::of(samples, |sample| {
                per_second(sample.machine.received_bytes, sample)
            }),
            sent_bytes_per_s: MeanMax::of(samples, |sample| per_second(sample.machine.sent_bytes, sample)),
        }
    }
}

impl MeanMax {
    /// Mean and maximum of the samples that have this figure. A sample counts by how long it lasted, so that the mean of a
    /// rate is the sum over the time.
    fn of(samples: &[ResourceSample], figure: impl Fn(&ResourceSample) -> Option<f64>) -> Self {
        let mut sum = 0.0;
        let mut time = 0.0;
        let mut max: Option<f64> = None;
        for sample in samples {
            let Some(value) = figure(sample) else { continue };
            let lasting = sample.lasting.as_secs_f64();
            sum += value * lasting;
            time += lasting;
            max = Some(max.map_or(value, |max| max.max(value)));
        }
        // A sample of a file may have lasted no time, and a mean over none is not a number.
        Self { mean: if time > 0.0 { Some(sum / time) } else { None }, max }
    }
}

impl SecondUse {
    /// What was used in this second, where a sample began in it.
    pub(super) fn of(resources: Option<&Resources>, second: u64) -> Self {
        let Some(resources) = resources else { return Self::default() };
        let place = resources.samples.binary_search_by_key(&second, |sample| sample.second);
        let Ok(place) = place else { return Self::default() };
        let sample = &resources.samples[place];
        let generator = sample.generator;
        let service = sample.service.unwrap_or_default();
        let both = sample.both.unwrap_or_default();
        let machine = sample.machine;
        Self {
            generator_cpu_pct: pct(generator.cpu, sample),
            generator_switches_per_s: per_second(generator.switches, sample),
            generator_memory_bytes: number(generator.resident_bytes),
            generator_descriptors: number(generator.descriptors),
            service_cpu_pct: pct(service.cpu, sample),
            service_busiest_thread_pct: pct(service.busiest_thread, sample),
            service_switches_per_s: per_second(service.switches, sample),
            service_memory_bytes: number(service.resident_bytes),
            service_descriptors: number(service.descriptors),
            service_disk_bytes_per_s: per_second(disk_bytes(&service), sample),
            both_memory_bytes: number(both.resident_bytes),
            both_descriptors: number(both.descriptors),
            both_disk_bytes_per_s: per_second(disk_bytes(&both), sample),
            machine_cpu_pct: pct(machine.cpu, sample),
            steal_pct: steal_pct(sample, resources.cores),
            cpu_pressure_pct: pct(machine.waited_for_cpu, sample),
            memory_pressure_pct: pct(machine.waited_for_memory, sample),
            io_pressure_pct: pct(machine.waited_for_disk, sample),
            disk_busy_pct: pct(machine.disk_busy, sample),
            loopback_bytes_per_s: per_second(machine.loopback_bytes, sample),
            received_bytes_per_s: per_second(machine.received_bytes, sample),
            sent_bytes_per_s: per_second(machine.sent_bytes, sample),
        }
    }

    /// All of it by name, in the order of the report.
    pub(super) fn columns(&self) -> [Column; 22] {
        [
            column("generator_cpu_pct", self.generator_cpu_pct),
            column("generator_switches_per_s", self.generator_switches_per_s),
            column("generator_memory_bytes", self.generator_memory_bytes),
            column("generator_descriptors", self.generator_descriptors),
            column("service_cpu_pct", self.service_cpu_pct),
            column("service_busiest_thread_pct", self.service_busiest_thread_pct),
            column("service_switches_per_s", self.service_switches_per_s),
            column("service_memory_bytes", self.service_memory_bytes),
            column("service_descriptors", self.service_descriptors),
            column("service_disk_bytes_per_s", self.service_disk_bytes_per_s),
            column("both_memory_bytes", self.both_memory_bytes),
            column("both_descriptors", self.both_descriptors),
            column("both_disk_bytes_per_s", self.both_disk_bytes_per_s),
            column("machine_cpu_pct", self.machine_cpu_pct),
            column("steal_pct", self.steal_pct),
            column("cpu_pressure_pct", self.cpu_pressure_pct),
            column("memory_pressure_pct", self.memory_pressure_pct),
            column("io_pressure_pct", self.io_pressure_pct),
            column("disk_busy_pct", self.disk_busy_pct),
            column("loopback_bytes_per_s", self.loopback_bytes_per_s),
            column("received_bytes_per_s", self.received_bytes_per_s),
            column("sent_bytes_per_s", self.sent_bytes_per_s),
        ]
    }
}

fn column(name: &'static str, value: Option<f64>) -> Column {
    Column { name, value }
}

/// A time in percent of the sample's own.
fn pct(time: Option<Duration>, sample: &ResourceSample) -> Option<f64> {
    if sample.lasting < SHORT {
        return None;
    }
    Some(100.0 * time?.as_secs_f64() / sample.lasting.as_secs_f64())
}

/// Stolen time, which is added up over the cores, in percent of the time of all of them.
fn steal_pct(sample: &ResourceSample, cores: usize) -> Option<f64> {
    // A file may say that there are none.
    Some(pct(sample.machine.stolen, sample)? / cores.max(1) as f64)
}

fn per_second(count: Option<u64>, sample: &ResourceSample) -> Option<f64> {
    if sample.lasting < SHORT {
        return None;
    }
    Some(count? as f64 / sample.lasting.as_secs_f64())
}

fn number(count: Option<u64>) -> Option<f64> {
    count.map(|count| count as f64)
}

/// What a side read from disks and wrote to them.
fn disk_bytes(side: &SideUse) -> Option<u64> {
    // Those of a file may be any numbers.
    Some(side.disk_read_bytes?.saturating_add(side.disk_written_bytes?))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::used;
    use super::*;

    #[test]
    fn shares_are_of_one_core_and_by_the_time_that_passed() {
        // 1 s with 900 ms of CPU, 2 s with 3000, and 0.4 s, which are too short to tell.
        let mut resources = used(&[(1_000, 900), (2_000, 3_000), (400, 400)]);
        resources.service = WatchedService::Process { id: 7, cores: 2 };
        let report = ResourceReport::of(&resources);
        let service = report.service.as_ref().expect("is watched");
        // 3.9 s of CPU in 3 s; 150 % in the larger one.
        assert_eq!(service.cpu_pct, MeanMax { mean: Some(130.0), max: Some(150.0) });
        assert_eq!((report.service_pid, report.service_cores), (Some(7), Some(2)));
        // Half a second of each second, over two cores.
        resources.samples[0].machine.stolen = Some(Duration::from_millis(500));
        resources.samples[1].machine.stolen = Some(Duration::from_millis(1_000));
        let machine = ResourceReport::of(&resources).machine;
        assert_eq!(machine.steal_pct, MeanMax { mean: Some(25.0), max: Some(25.0) });
        assert_eq!(machine.cpu_pressure_pct, MeanMax::default());
    }

    #[test]
    fn memory_is_known_of_a_short_sample_too() {
        let mut resources = used(&[(400, 100)]);
        resources.samples[0].both = Some(SideUse { resident_bytes: Some(4_096), ..SideUse::default() });
        let report = ResourceReport::of(&resources);
        let both = report.both.as_ref().expect("is there");
        assert_eq!(both.memory_bytes, MeanMax { mean: Some(4_096.0), max: Some(4_096.0) });
        assert!(!report.says_something() && both.cpu_pct == MeanMax::default());
    }

    #[test]
    fn a_second_has_the_figures_of_the_sample_that_began_in_it() {
        let mut resources = used(&[(1_000, 250), (2_000, 1_000), (1_000, 0)]);
        // The second one took the time of two.
        resources.samples[2].second = 3;
        let service = resources.samples[0].service.as_mut().expect("is there");
        service.disk_read_bytes = Some(300);
        service.disk_written_bytes = Some(200);
        let cpu = [0, 1, 2, 3].map(|second| SecondUse::of(Some(&resources), second).service_cpu_pct);
        assert_eq!(cpu, [Some(25.0), Some(50.0), None, Some(0.0)]);
        assert_eq!(SecondUse::of(Some(&resources), 0).service_disk_bytes_per_s, Some(500.0));
        assert_eq!(SecondUse::of(None, 0), SecondUse::default());
    }

    #[test]
    fn the_columns_are_the_keys_of_the_report_and_none_is_missing() {
        let json = serde_json::to_value(SecondUse::default()).expect("serialises");
        let keys = json.as_object().expect("is an object");
        let columns = SecondUse::default().columns();
        assert_eq!(keys.len(), columns.len());
        assert!(columns.iter().all(|column| keys.contains_key(column.name)));
    }

    #[test]
    fn a_record_with_impossible_figures_makes_no_nonsense() {
        let mut resources = used(&[(0, 5)]);
        resources.cores = 0;
        resources.samples[0].machine.stolen = Some(Duration::MAX);
        resources.samples[0].lasting = Duration::ZERO;
        let report = ResourceReport::of(&resources);
        assert_eq!(report.machine.steal_pct, MeanMax::default());
        assert_eq!(report.generator.expect("is there").memory_bytes.mean, None);
    }
}
