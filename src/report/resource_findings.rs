//! What ran short in a load run: cores, memory, descriptors, disks, or the machine itself.

use super::finding::Finding;
use super::load::LoadReport;
use super::resources::{ResourceReport, SideReport};
use super::series::SecondReport;
use crate::units::Bytes;

/// Whoever is busy for this share of the time makes others wait: of a single server's customers who come at random nine
/// are there on average, one served and eight waiting (M/M/1: r / (1 - r)). It holds for cores, threads and disks.
const BUSY_PCT: f64 = 90.0;
/// Where as much time was stolen, all requests beyond p95 may be slow for that alone.
const STOLEN_PCT: f64 = 5.0;
/// For half of the time something that could run had no core. Beside busy threads, short waits are usual.
const WAITED_FOR_CPU_PCT: f64 = 50.0;
/// A machine with enough memory has none of this; from here on it may be what p95 shows, as stolen time is.
const WAITED_FOR_MEMORY_PCT: f64 = 5.0;
/// Whoever stores files waits for disks now and then. From a fifth of the time on, p80 may show it.
const WAITED_FOR_DISK_PCT: f64 = 20.0;
/// Memory that has grown by this factor ...
const MEMORY_GROWN: f64 = 1.2;
/// ... and by this much: allocators and pools that warm up take some megabytes.
const MEMORY_GROWN_BY: Bytes = Bytes::mb(16);
/// Descriptors that have grown by this factor ...
const DESCRIPTORS_GROWN: f64 = 1.5;
/// ... and by so many: a log that is changed and a pool that opens one more take some.
const DESCRIPTORS_GROWN_BY: f64 = 20.0;
/// Growth goes on if its second half is at least this share of it. Steady growth has half of it there; what fills up, and
/// is full, nothing.
const GOES_ON: f64 = 0.25;
/// Requests under way that grow by more than this factor, and by some, are a load that grew.
const LOAD_GROWN: f64 = 1.5;
const LOAD_GROWN_BY: f64 = 5.0;
/// Seconds that a run needs for a beginning, a middle and an end.
const SECONDS: usize = 6;

/// What ran short. Nothing where it is not known what was used.
pub(super) fn resource_findings(load: &LoadReport) -> Vec<Finding> {
    let Some(resources) = &load.resources else { return Vec::new() };
    let mut found: Vec<Finding> = Vec::new();
    found.extend(ended(resources));
    let service = service_busy(resources);
    let generator = generator_busy(load);
    // Each says why the machine is busy, if it is.
    let is_explained = service.is_some() || generator.is_some() || load.health.is_saturated();
    found.extend(service);
    found.extend(generator);
    if !is_explained {
        found.extend(machine_busy(resources));
    }
    found.extend(stolen(resources));
    found.extend(memory_short(resources));
    found.extend(disk_busy(resources));
    // A load that grows takes more memory and more connections, and nothing is wrong with that.
    if load_stayed(&load.seconds) {
        found.extend(memory_grew(load));
        found.extend(descriptors_grew(load));
    }
    found
}

/// The service's process ended before the run did.
fn ended(resources: &ResourceReport) -> Option<Finding> {
    let second = resources.service_ended_in_second?;
    let id = resources.service_pid?;
    Some(Finding {
        what: format!("the service's process {id} ended in second {second}"),
        likely: "it broke down, was stopped or restarted, or was killed as the machine ran out of memory",
        look_at: "its log of that time, its exit code, and the kernel's log (dmesg) for \"Out of memory\"",
    })
}

/// The service had no CPU left, or one of its threads had none.
fn service_busy(resources: &ResourceReport) -> Option<Finding> {
    let service = resources.service.as_ref()?;
    let cores = resources.service_cores.unwrap_or(resources.machine_cores).max(1);
    let cpu_pct = service.cpu_pct.mean?;
    if cpu_pct >= BUSY_PCT * cores as f64 {
        return Some(Finding {
            what: format!("the service used {:.0} % of {}", cpu_pct / cores as f64, its_cores(cores)),
            likely: "its CPU is the limit: more requests only wait for each other",
            look_at: "where its CPU time goes (a profiler tells); whether more cores raise the throughput",
        });
    }
    let thread_pct = service.busiest_thread_pct.mean?;
    if thread_pct < BUSY_PCT {
        return None;
    }
    Some(Finding {
        what: format!(
            "one thread of the service was busy for {thread_pct:.0} % of the time; all of it used {:.0} % of {}",
            cpu_pct / cores as f64,
            its_cores(cores)
        ),
        likely: "that thread is the limit: an event loop, a lock that lets one work at a time (Python's GIL), a single worker",
        look_at: "more workers or processes; what that thread does that others could do",
    })
}

fn its_cores(cores: usize) -> String {
    if cores == 1 { "its core".to_owned() } else { format!("its {cores} cores") }
}

/// A thread of the generator had little time left. One that had none makes the run invalid, and is told there.
fn generator_busy(load: &LoadReport) -> Option<Finding> {
    if load.health.is_saturated() {
        return None;
    }
    let busiest_pct = 100.0 * load.health.busy.iter().copied().fold(0.0, f64::max);
    if busiest_pct < BUSY_PCT {
        return None;
    }
    Some(Finding {
        what: format!("a thread of the generator was busy for {busiest_pct:.0} % of the time"),
        likely: "the throughput is nearly the generator's own limit, and latencies have its queue in them",
        look_at: "more --threads, or the generator on a machine of its own; the latencies at a lower rate",
    })
}

/// The machine had no CPU left, though neither side is known to be the one that used it.
fn machine_busy(resources: &ResourceReport) -> Option<Finding> {
    let cores = resources.machine_cores.max(1);
    let used_pct = resources.machine.cpu_pct.mean.map(|pct| pct / cores as f64);
    let waited_pct = resources.machine.cpu_pressure_pct.mean;
    let what = match (used_pct, waited_pct) {
        (Some(used), _) if used >= BUSY_PCT => format!("{used:.0} % of the machine's CPU was used"),
        (_, Some(waited)) if waited >= WAITED_FOR_CPU_PCT => {
            format!("for {waited:.0} % of the time something that could run had to wait for a core")
        }
        _ => return None,
    };
    Some(Finding {
        what,
        likely: "generator, service and whatever else runs here share too few cores: the figures are of all of them",
        look_at: "what else runs on this machine; --pid, which tells what the service uses; the generator elsewhere",
    })
}

fn stolen(resources: &ResourceReport) -> Option<Finding> {
    let stolen_pct = resources.machine.steal_pct.mean.filter(|pct| *pct >= STOLEN_PCT)?;
    Some(Finding {
        what: format!("the machine lost {stolen_pct:.0} % of its time to its neighbours (steal)"),
        likely: "its host ran other virtual machines meanwhile, and requests stood still",
        look_at: "the seconds in which it happened (steal_pct in the .csv); the same run at another time, or elsewhere",
    })
}

fn memory_short(resources: &ResourceReport) -> Option<Finding> {
    let waited_pct = resources.machine.memory_pressure_pct.mean;
    let waited_pct = waited_pct.filter(|pct| *pct >= WAITED_FOR_MEMORY_PCT)?;
    Some(Finding {
        what: format!("for {waited_pct:.0} % of the time something had to wait for memory"),
        likely: "the machine, or a container on it, has too little memory: it swaps, or reads programs from disk again",
        look_at: "memory of the service and of what else runs here; the limit of its container",
    })
}

fn disk_busy(resources: &ResourceReport) -> Option<Finding> {
    let busy_pct = resources.machine.disk_busy_pct.mean;
    let waited_pct = resources.machine.io_pressure_pct.mean;
    let what = match (busy_pct, waited_pct) {
        (Some(busy), _) if busy >= BUSY_PCT => format!("a disk was busy for {busy:.0} % of the time"),
        (_, Some(waited)) if waited >= WAITED_FOR_DISK_PCT => {
            format!("for {waited:.0} % of the time something had to wait for a disk")
        }
        _ => return None,
    };
    Some(Finding {
        what,
        likely: "the storage is the limit, or somebody else uses it",
        look_at: "who reads and writes (the table above, iotop); how often the service flushes; a faster disk. An SSD that is \
                  busy may still take more at once",
    })
}

/// Resident memory grew, and did not stop growing.
fn memory_grew(load: &LoadReport) -> Option<Finding> {
    let thirds =
        grown(&load.seconds, |second| second.used.service_memory_bytes.or(second.used.both_memory_bytes))?;
    if thirds.last < MEMORY_GROWN * thirds.first || thirds.last - thirds.first < MEMORY_GROWN_BY.0 as f64 {
        return None;
    }
    Some(Finding {
        what: format!(
            "resident memory of {} grew from {} to {}",
            owner(load, |service| service.memory_bytes.mean.is_some()),
            Bytes(thirds.first as u64),
            Bytes(thirds.last as u64)
        ),
        likely: "something is kept of every request: a leak, or a cache that is not full yet",
        look_at: "`ingester-perf leak`, which tells how much each request leaves behind; a longer run",
    })
}

/// Open descriptors grew, and did not stop growing.
fn descriptors_grew(load: &LoadReport) -> Option<Finding> {
    let thirds =
        grown(&load.seconds, |second| second.used.service_descriptors.or(second.used.both_descriptors))?;
    let more = thirds.last - thirds.first;
    if thirds.last < DESCRIPTORS_GROWN * thirds.first || more < DESCRIPTORS_GROWN_BY {
        return None;
    }
    Some(Finding {
        what: format!(
            "open descriptors of {} grew from {:.0} to {:.0}, with as many requests under way",
            owner(load, |service| service.descriptors.mean.is_some()),
            thirds.first,
            thirds.last
        ),
        likely: "connections or files are opened and not closed",
        look_at: "which they are (`ls -l /proc/PID/fd`); sooner or later the limit of descriptors is reached",
    })
}

/// Whose figure it is: the service's, or that of the process that it shares with the generator.
fn owner(load: &LoadReport, is_known: impl Fn(&SideReport) -> bool) -> &'static str {
    let resources = load.resources.as_ref();
    let service = resources.and_then(|resources| resources.service.as_ref());
    if service.is_some_and(is_known) { "the service" } else { "this process (generator and service)" }
}

/// Means over the thirds of a run.
struct Thirds {
    first: f64,
    middle: f64,
    last: f64,
}

impl Thirds {
    /// Nothing where the figure is known in too few seconds.
    fn of(seconds: &[SecondReport], figure: impl Fn(&SecondReport) -> Option<f64>) -> Option<Self> {
        let values: Vec<f64> = seconds.iter().filter_map(figure).collect();
        if values.len() < SECONDS {
            return None;
        }
        let third = values.len() / 3;
        let rest = values.len() - third;
        Some(Self {
            first: mean(&values[..third]),
            middle: mean(&values[third..rest]),
            last: mean(&values[rest..]),
        })
    }
}

/// The thirds of a figure that grew, and did so until the end.
fn grown(seconds: &[SecondReport], figure: impl Fn(&SecondReport) -> Option<f64>) -> Option<Thirds> {
    let thirds = Thirds::of(seconds, figure)?;
    let goes_on = thirds.last - thirds.middle >= GOES_ON * (thirds.last - thirds.first);
    if thirds.last > thirds.first && goes_on { Some(thirds) } else { None }
}

/// Whether as many requests were under way in the last third as in the first.
fn load_stayed(seconds: &[SecondReport]) -> bool {
    let Some(thirds) = Thirds::of(seconds, |second| Some(second.in_flight as f64)) else { return false };
    thirds.last <= LOAD_GROWN * thirds.first + LOAD_GROWN_BY
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fixture::{record, run, used};
    use super::super::performance::PerformanceReport;
    use super::*;
    use crate::load::{ResourceSample, Resources, WatchedService};
    use crate::targets::Targets;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// Nine seconds, in each of which the service had 100 ms of its core, changed like this.
    fn changed(change: impl Fn(&mut ResourceSample)) -> Resources {
        let mut resources = used(&[(1_000, 100); 9]);
        for sample in &mut resources.samples {
            change(sample);
        }
        resources
    }

    /// The report of a run of nine seconds in which this was used, and the generator's thread was busy for that share.
    fn report(resources: Resources, busy: f64) -> LoadReport {
        let requests: Vec<(u64, u64)> = (0..9).map(|second| (1_000 * second, 1)).collect();
        let mut record = record(vec![run(&requests, 1)]);
        record.runs[0].run.resources = Some(resources);
        record.runs[0].run.generator.busy = vec![busy];
        let report = PerformanceReport::of_load(&record, &record.runs[0], &Targets::default());
        report.load.expect("is a load's")
    }

    fn found(resources: Resources) -> Vec<String> {
        told(&report(resources, 0.5))
    }

    fn told(report: &LoadReport) -> Vec<String> {
        resource_findings(report).into_iter().map(|finding| finding.what).collect()
    }

    /// So much resident memory and so many descriptors in each second.
    fn growing(mb: [u64; 9], descriptors: [u64; 9]) -> Resources {
        let mut resources = used(&[(1_000, 100); 9]);
        for ((sample, mb), descriptors) in resources.samples.iter_mut().zip(mb).zip(descriptors) {
            let service = sample.service.as_mut().expect("is there");
            service.resident_bytes = Some(mb << 20);
            service.descriptors = Some(descriptors);
        }
        resources
    }

    const NONE: Vec<String> = Vec::new();
    const EVEN: [u64; 9] = [40; 9];

    #[test]
    fn a_run_in_which_nothing_ran_short_has_none() {
        assert_eq!(found(changed(|_| ())), NONE);
        // Everything a little below its limit, of one core for the service and of two for the machine.
        let resources = changed(|sample| {
            let service = sample.service.as_mut().expect("is there");
            service.cpu = Some(MS(899));
            service.busiest_thread = Some(MS(899));
            sample.machine.cpu = Some(MS(1_798));
            sample.machine.stolen = Some(MS(99));
            sample.machine.waited_for_cpu = Some(MS(499));
            sample.machine.waited_for_memory = Some(MS(49));
            sample.machine.waited_for_disk = Some(MS(199));
            sample.machine.disk_busy = Some(MS(899));
        });
        assert_eq!(told(&report(resources, 0.89)), NONE);
        // A run of an earlier version.
        let mut old = report(changed(|_| ()), 0.92);
        old.resources = None;
        assert_eq!(told(&old), NONE);
    }

    #[test]
    fn a_service_without_cpu_left_is_found() {
        let resources = changed(|sample| sample.service.as_mut().expect("is there").cpu = Some(MS(900)));
        assert_eq!(found(resources), ["the service used 90 % of its core"]);
        // One of two cores: half of what it may use, and all that one thread can.
        let mut resources = changed(|sample| {
            let service = sample.service.as_mut().expect("is there");
            service.cpu = Some(MS(1_000));
            service.busiest_thread = Some(MS(980));
        });
        resources.service = WatchedService::Process { id: 1, cores: 2 };
        let says =
            "one thread of the service was busy for 98 % of the time; all of it used 50 % of its 2 cores";
        assert_eq!(found(resources), [says]);
    }

    #[test]
    fn a_busy_generator_is_told_once() {
        let calm = changed(|_| ());
        let says = "a thread of the generator was busy for 92 % of the time";
        assert_eq!(told(&report(calm.clone(), 0.92)), [says]);
        // Beyond 95 % the run is invalid for that.
        let invalid = report(calm, 0.96);
        assert_eq!((told(&invalid), invalid.health.problems.len()), (NONE, 1));
    }

    #[test]
    fn a_busy_machine_is_told_where_no_side_explains_it() {
        let busy = changed(|sample| sample.machine.cpu = Some(MS(1_800)));
        assert_eq!(found(busy.clone()), ["90 % of the machine's CPU was used"]);
        let waiting = changed(|sample| sample.machine.waited_for_cpu = Some(MS(500)));
        let says = "for 50 % of the time something that could run had to wait for a core";
        assert_eq!(found(waiting), [says]);
        let generator = told(&report(busy.clone(), 0.91));
        assert!(generator.len() == 1 && generator[0].contains("of the generator"), "{generator:?}");
        assert_eq!(told(&report(busy, 0.96)), NONE);
    }

    #[test]
    fn what_the_machine_lacks_is_found() {
        let stolen = changed(|sample| sample.machine.stolen = Some(MS(240)));
        assert_eq!(found(stolen), ["the machine lost 12 % of its time to its neighbours (steal)"]);
        let memory = changed(|sample| sample.machine.waited_for_memory = Some(MS(50)));
        assert_eq!(found(memory), ["for 5 % of the time something had to wait for memory"]);
        let disk = changed(|sample| sample.machine.disk_busy = Some(MS(900)));
        assert_eq!(found(disk), ["a disk was busy for 90 % of the time"]);
        let disk = changed(|sample| sample.machine.waited_for_disk = Some(MS(200)));
        assert_eq!(found(disk), ["for 20 % of the time something had to wait for a disk"]);
    }

    #[test]
    fn a_process_that_ended_is_found() {
        let mut resources = changed(|_| ());
        resources.service_ended = Some(3);
        assert_eq!(found(resources), ["the service's process 1 ended in second 3"]);
    }

    #[test]
    fn memory_that_grows_to_the_end_is_found() {
        // Thirds of 110, 140 and 170 MB.
        let steady = growing([100, 110, 120, 130, 140, 150, 160, 170, 180], EVEN);
        assert_eq!(found(steady.clone()), ["resident memory of the service grew from 110 MB to 170 MB"]);
        // Full after a third; 9 MB in all.
        assert_eq!(found(growing([100, 110, 120, 170, 170, 170, 170, 170, 170], EVEN)), NONE);
        assert_eq!(found(growing([20, 21, 22, 23, 24, 25, 26, 27, 28], EVEN)), NONE);
        // With more and more requests under way it has a reason.
        let mut ramp = report(steady, 0.5);
        for second in &mut ramp.seconds {
            second.in_flight = 10 * second.second;
        }
        assert_eq!(told(&ramp), NONE);
    }

    #[test]
    fn descriptors_that_grow_to_the_end_are_found() {
        // Thirds of 50, 80 and 110.
        let more = growing(EVEN, [40, 50, 60, 70, 80, 90, 100, 110, 120]);
        let says = "open descriptors of the service grew from 50 to 110, with as many requests under way";
        assert_eq!(found(more), [says]);
        // 43 to 61: not half as many again.
        assert_eq!(found(growing(EVEN, [40, 43, 46, 49, 52, 55, 58, 61, 64])), NONE);
    }

    #[test]
    fn what_both_sides_share_is_not_put_down_to_one() {
        let mut resources = growing([100, 110, 120, 130, 140, 150, 160, 170, 180], EVEN);
        for sample in &mut resources.samples {
            sample.both = sample.service;
            let service = sample.service.as_mut().expect("is there");
            service.resident_bytes = None;
            service.descriptors = None;
        }
        let says = "resident memory of this process (generator and service) grew from 110 MB to 170 MB";
        assert_eq!(found(resources), [says]);
    }
}
