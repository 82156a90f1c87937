//! What stands out in a run, with its likely cause and where to look: how the earlier suite's guide said to read results.

use serde::Serialize;

use super::performance::PerformanceReport;
use super::series::SecondReport;
use crate::targets::Metric;

/// p99 this many times p95 is a tail of its own.
const FAR: f64 = 3.0;
/// A standard deviation above this share of the average is high.
const DEVIATION: f64 = 0.5;
/// Successes below this share, in percent, are a finding whatever the target.
const SUCCESS: f64 = 95.0;
/// A median this many times another has grown.
const GROWN: f64 = 1.5;
/// A service that answers less than this share of what is due has not kept up.
const KEPT_UP: f64 = 0.9;
/// Seconds that a run needs for a beginning and an end.
const SECONDS: usize = 6;

/// Something that stands out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What, with its figures.
    pub what: String,
    /// Why it may be so.
    pub likely: &'static str,
    /// Where to look.
    pub look_at: &'static str,
}

/// What stands out in a report and its seconds.
pub fn findings(report: &PerformanceReport, seconds: &[SecondReport]) -> Vec<Finding> {
    let overload = overload(report);
    // Latencies of a queue that only grows say nothing else.
    let queued = overload.is_some();
    let found = [
        overload,
        tail(report).filter(|_| !queued),
        deviation(report).filter(|_| !queued),
        success(report),
        missed(
            report,
            Metric::ThroughputRps,
            "one part of the service is busy all the time: a core, the storage element, a lock, a pool of connections",
            "CPU and disk of the service while it is loaded; whether more users raise the throughput or only the latency",
        ),
        missed(
            report,
            Metric::AvgMs,
            "every upload is slow, not a few: storage, hashing, token checks, or too many users for the cores",
            "the phases below: first byte is the service's work, connect the network's; the same with one user",
        ),
        growth(seconds).filter(|_| !queued),
    ];
    found.into_iter().flatten().collect()
}

/// Requests come faster than they are answered, and so wait for longer and longer.
fn overload(report: &PerformanceReport) -> Option<Finding> {
    let load = report.load.as_ref().filter(|load| load.schedule.model == "open")?;
    let lost = load.unfinished as f64 / load.scheduled.max(1) as f64;
    (lost > 1.0 - KEPT_UP).then(|| Finding {
        what: format!(
            "overloaded: of {} requests that were due {} had no answer at the end",
            load.scheduled, load.unfinished
        ),
        likely: "this is more than the service holds",
        look_at: "a rate below that; `--preset stress` finds where it breaks",
    })
}

fn tail(report: &PerformanceReport) -> Option<Finding> {
    let (p95, p99) =
        report.p95_latency_ms.zip(report.p99_latency_ms).filter(|(p95, p99)| p99 > &(FAR * p95))?;
    Some(Finding {
        what: format!("p99 is {:.1} times p95 ({p99:.1} ms and {p95:.1} ms)", p99 / p95),
        likely: "rare pauses: garbage collection, a lock, a flush to disk, a lost packet, a pool that was empty",
        look_at: "the seconds in which it happened (the .csv beside the report), and the service's log of that time",
    })
}

fn deviation(report: &PerformanceReport) -> Option<Finding> {
    let (avg, deviation) = report.avg_latency_ms.zip(report.std_dev_ms)?;
    (deviation > DEVIATION * avg).then(|| Finding {
        what: format!("the standard deviation is {:.0} % of the average", 100.0 * deviation / avg),
        likely: "two kinds of upload in one figure: different sizes, new and kept connections, or a queue that comes and goes",
        look_at: "the histogram (.hlog) for several peaks; runs of one file size each",
    })
}

fn success(report: &PerformanceReport) -> Option<Finding> {
    let failed =
        (report.success_rate_pct < SUCCESS && report.total_requests > 0).then_some(&report.failures)?;
    let worst = failed.iter().max_by_key(|(_, failed)| failed.count);
    let worst = worst.map(|(class, failed)| format!(", most of them {} ({})", class.name(), failed.example));
    Some(Finding {
        what: format!(
            "{:.2} % succeeded, less than {SUCCESS} %{}",
            report.success_rate_pct,
            worst.unwrap_or_default()
        ),
        likely: "the service sheds load (429, 503), runs out of something (500, reset), or is too slow (timeout)",
        look_at: "the classes of failure in the report, each with an example; the service's log for the first of them",
    })
}

fn missed(
    report: &PerformanceReport,
    metric: Metric,
    likely: &'static str,
    look_at: &'static str,
) -> Option<Finding> {
    let judged = report.targets.iter().find(|judged| judged.metric == metric && !judged.held)?;
    let (name, unit) = metric.label();
    let value = judged.value.map_or_else(|| "nothing".to_owned(), |value| format!("{value:.1} {unit}"));
    Some(Finding { what: format!("{name} is {value}, the target {} {unit}", judged.limit), likely, look_at })
}

/// From the first third of the run to its last, and from the emptiest third to the fullest.
fn growth(seconds: &[SecondReport]) -> Option<Finding> {
    let mut known: Vec<(f64, f64)> =
        seconds.iter().filter_map(|second| Some((second.in_flight as f64, second.p50_ms?))).collect();
    if known.len() < SECONDS {
        return None;
    }
    let third = known.len() / 3;
    let [early, late] = [&known[..third], &known[known.len() - third..]].map(|part| mean(part, |p| p.1));
    known.sort_by(|a, b| a.0.total_cmp(&b.0));
    let ends = [&known[..third], &known[known.len() - third..]];
    let [few, many] = ends.map(|part| mean(part, |p| p.0));
    let [empty, full] = ends.map(|part| mean(part, |p| p.1));
    if many > 2.0 * few && full > GROWN * empty {
        return Some(Finding {
            what: format!(
                "latency grows with load: median {empty:.1} ms with {few:.0} under way, {full:.1} ms with {many:.0}"
            ),
            likely: "requests wait for each other: the service works on fewer at once than it is sent",
            look_at: "the stage from which throughput stops growing while latency goes on; that is its capacity",
        });
    }
    (late > GROWN * early).then(|| Finding {
        what: format!("latency grew while the load stayed: median {early:.1} ms at first, {late:.1} ms at last"),
        likely: "something fills up or wears out: a queue, a cache, memory, a disk, an index that grows with every file",
        look_at: "a longer run, to see whether it goes on; memory and disk of the service",
    })
}

fn mean(part: &[(f64, f64)], of: impl Fn(&(f64, f64)) -> f64) -> f64 {
    part.iter().map(of).sum::<f64>() / part.len() as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::recording::{Failure, Finished, Recorder};
    use crate::targets::Targets;

    fn report(ok_ms: &[(u64, u64)], failures: u64) -> PerformanceReport {
        let mut recorder = Recorder::default();
        let mut record =
            |ms, outcome| recorder.record(Finished { latency: Duration::from_millis(ms), outcome });
        ok_ms.iter().for_each(|&(n, ms)| (0..n).for_each(|_| record(ms, Ok(()))));
        (0..failures).for_each(|_| record(1, Err(Failure::status(503, "503 busy"))));
        recorder.pass(Duration::from_secs(1));
        PerformanceReport::new("op", &recorder.finish())
    }

    fn seconds(of: &[(u64, f64)]) -> Vec<SecondReport> {
        let second = |&(in_flight, p50): &(u64, f64)| SecondReport {
            in_flight,
            p50_ms: Some(p50),
            ..Default::default()
        };
        of.iter().map(second).collect()
    }

    fn one(found: &[Finding], says: &str) {
        assert!(matches!(found, [finding] if finding.what.contains(says)), "{found:?}");
    }

    #[test]
    fn an_even_run_has_none() {
        let steady = seconds(&[(10, 5.0); 9]);
        assert_eq!(findings(&report(&[(900, 10), (100, 12)], 0), &steady), []);
        assert_eq!(findings(&report(&[], 0), &[]), []);
    }

    #[test]
    fn each_is_found() {
        one(&findings(&report(&[(980, 10), (20, 35)], 0), &[]), "p99 is 3.5 times p95");
        one(&findings(&report(&[(60, 10), (40, 60)], 0), &[]), "standard deviation is 82 %");
        one(
            &findings(&report(&[(90, 10)], 10), &[]),
            "90.00 % succeeded, less than 95 %, most of them http_5xx (503 busy)",
        );
        let targets = Targets::parse("[op]\nthroughput_rps = 200\navg_ms = 5", &["op"]).expect("is valid");
        let missed = findings(&report(&[(100, 10)], 0).judge(&targets), &[]);
        let said: Vec<_> = missed.iter().map(|finding| finding.what.as_str()).collect();
        assert_eq!(said, ["throughput is 100.0 RPS, the target 200 RPS", "avg is 10.0 ms, the target 5 ms"]);
    }

    #[test]
    fn latency_that_grows_with_load_is_told_from_latency_that_grows_with_time() {
        let ramp: Vec<_> = (1..10).map(|n| (10 * n, 2.0 * n as f64)).collect();
        one(
            &findings(&report(&[(1, 1)], 0), &seconds(&ramp)),
            "grows with load: median 4.0 ms with 20 under way, 16.0 ms with 80",
        );
        let wear: Vec<_> = (1..10).map(|n| (50, 2.0 * n as f64)).collect();
        one(&findings(&report(&[(1, 1)], 0), &seconds(&wear)), "grew while the load stayed: median 4.0 ms");
        assert_eq!(findings(&report(&[(1, 1)], 0), &seconds(&ramp[..5])), []);
    }
}
