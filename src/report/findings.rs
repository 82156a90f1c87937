//! What stands out in a run, with its likely cause and where to look, as the earlier suite's guide said to read results.

use super::finding::Finding;
use super::performance::PerformanceReport;
use super::resource_findings::resource_findings;
use super::series::SecondReport;
use crate::recording::Class;
use crate::targets::Metric;

/// A p99 that is this many times p95 is a tail of its own.
const FAR: f64 = 3.0;
/// A standard deviation above this share of the average is high.
const DEVIATION: f64 = 0.5;
/// Successes that a run needs, in percent of what was due, where no target says otherwise; fewer are a finding.
pub const LEAST_SUCCESS_PCT: f64 = 95.0;
/// A median this many times another has grown.
const GROWN: f64 = 1.5;
/// A service that answers less than this share of what is due has not kept up.
const KEPT_UP: f64 = 0.9;
/// Seconds without an answer that are a stop, ...
const STALL_SECONDS: usize = 2;
/// ... if they are also so many times what a request usually takes.
const STALL_TIMES: f64 = 3.0;
/// A look before that took longer than this, ...
const LONG_LOOK_MS: f64 = 100.0;
/// ... and so many times the run's p95, met a service in another state.
const SLOW_LOOK: f64 = 5.0;
/// Seconds that a run needs for a beginning and an end.
const SECONDS: usize = 6;

/// What stands out in a report and its seconds.
pub fn findings(report: &PerformanceReport, seconds: &[SecondReport]) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let overload = overload(report);
    // Under overload latencies are those of a queue that only grows: its tail, spread and growth say nothing new.
    let queued = overload.is_some();
    found.extend(overload);
    if !queued {
        found.extend(tail(report));
        found.extend(deviation(report));
    }
    found.extend(stall(report, seconds));
    found.extend(recovered(report));
    found.extend(success(report));
    found.extend(missed(
        report,
        Metric::ThroughputRps,
        "one part of the service is busy all the time: a core, the storage element, a lock, a pool of connections",
        "CPU and disk of the service while it is loaded; whether more users raise the throughput or only the latency",
    ));
    found.extend(missed(
        report,
        Metric::AvgMs,
        "every request is slow, not a few: storage, hashing, token checks, or too many users for the cores",
        "the phases below: first byte is the service's work, connect the network's; the same with one user",
    ));
    if !queued {
        found.extend(growth(seconds));
    }
    if let Some(load) = &report.load {
        found.extend(resource_findings(load));
    }
    found
}

/// Requests come faster than they are answered, and so wait for longer and longer.
fn overload(report: &PerformanceReport) -> Option<Finding> {
    // Users of a closed run wait for their answers, and so never send more than is answered.
    let load = report.load.as_ref().filter(|load| load.schedule.model == "open")?;
    let lost = load.unfinished as f64 / load.scheduled.max(1) as f64;
    if lost <= 1.0 - KEPT_UP {
        return None;
    }
    Some(Finding {
        what: format!(
            "overloaded: of {} requests that were due {} had no answer at the end",
            load.scheduled, load.unfinished
        ),
        likely: "this is more than the service holds",
        look_at: "a rate below that; `--find p99_ms=500` looks for the highest one that holds (docs/capacity.md)",
    })
}

fn tail(report: &PerformanceReport) -> Option<Finding> {
    let p95 = report.p95_latency_ms?;
    let p99 = report.p99_latency_ms?;
    if p99 <= FAR * p95 {
        return None;
    }
    Some(Finding {
        what: format!("p99 is {:.1} times p95 ({p99:.1} ms and {p95:.1} ms)", p99 / p95),
        likely: "rare pauses: garbage collection, a lock, a flush to disk, a lost packet, a pool that was empty",
        look_at: "the seconds in which it happened (the .csv beside the report), and the service's log of that time",
    })
}

fn deviation(report: &PerformanceReport) -> Option<Finding> {
    let avg = report.avg_latency_ms?;
    let deviation = report.std_dev_ms?;
    if deviation <= DEVIATION * avg {
        return None;
    }
    Some(Finding {
        what: format!("the standard deviation is {:.0} % of the average", 100.0 * deviation / avg),
        likely: "two kinds of request in one figure: different sizes, new and kept connections, or a queue that comes and goes",
        look_at: "the histogram (.hlog) for several peaks; runs of one file size each",
    })
}

/// Whole seconds in which nothing ended, though requests were under way from their beginning on, and for longer than they
/// usually take.
fn stall(report: &PerformanceReport, seconds: &[SecondReport]) -> Option<Finding> {
    let mut longest: &[SecondReport] = &[];
    let mut silent = 0;
    for (index, second) in seconds.iter().enumerate() {
        // Whoever was under way at the end of the second before waited through all of this one, or was answered in it.
        let waited = index > 0 && seconds[index - 1].in_flight > 0;
        silent = if waited && second.ok + second.failed == 0 { silent + 1 } else { 0 };
        if silent > longest.len() {
            longest = &seconds[index + 1 - silent..=index];
        }
    }
    let first = longest.first()?;
    // One user with requests of 4 s has an answer every fourth second, and nothing stopped.
    let usual_ms = report.p95_latency_ms.or(report.median_latency_ms)?;
    if longest.len() < STALL_SECONDS || 1e3 * (longest.len() as f64) < STALL_TIMES * usual_ms {
        return None;
    }
    // Before the first answer and after the last one there is a run that is slow, not one that stopped.
    let after = first.second + longest.len() as u64;
    let answered_before = seconds.iter().any(|second| second.second < first.second && second.ok > 0);
    let answered_after = seconds.iter().any(|second| second.second >= after && second.ok > 0);
    if !answered_before || !answered_after {
        return None;
    }
    Some(Finding {
        what: format!(
            "nothing ended in {} whole seconds from second {} on, with {} under way",
            longest.len(),
            first.second,
            first.in_flight
        ),
        likely: "the service, or the network to it, stood still: a restart, a full disk, a lock, a collection of garbage",
        look_at: "the service's log of that time, and whether it was on a core at all (a pause of its machine or container)",
    })
}

/// The look before was much slower than what followed.
fn recovered(report: &PerformanceReport) -> Option<Finding> {
    let look = report.load.as_ref()?.look.as_ref()?;
    let p95 = report.p95_latency_ms?;
    // The second request of the look, as the first one has the connection in it.
    if look.second_ms <= LONG_LOOK_MS || look.second_ms <= SLOW_LOOK * p95 {
        return None;
    }
    Some(Finding {
        what: format!("the look before took {:.0} ms, p95 of the run is {p95:.1} ms", look.second_ms),
        likely: "the service was still busy with what came before this run, or had to wake up",
        look_at: "the same run after a pause: the service may hold more than it did just now",
    })
}

fn success(report: &PerformanceReport) -> Option<Finding> {
    if report.success_rate_pct >= LEAST_SUCCESS_PCT || report.total_requests == 0 {
        return None;
    }
    let mut what = format!("{:.2} % succeeded, less than {LEAST_SUCCESS_PCT} %", report.success_rate_pct);
    // Requests that never ended have no class. Where there are more of them than of any class, they are what went wrong.
    let unfinished = report.load.as_ref().map_or(0, |load| load.unfinished);
    let most = report.failures.iter().max_by_key(|(_, failed)| failed.count);
    let worst = most.filter(|(_, failed)| failed.count >= unfinished);
    if worst.is_none() {
        what += ", and most of the others never ended";
    }
    if let Some((class, failed)) = worst {
        what += &format!(", most of them {} ({})", class.name(), failed.example);
    }
    let status = worst.and_then(|(_, failed)| failed.statuses.iter().max_by_key(|(_, count)| **count));
    let (likely, look_at) = cause(worst.map(|(class, _)| *class), status.map(|(status, _)| *status));
    Some(Finding { what, likely, look_at })
}

/// Why most requests failed, and where to look, by their class and status.
fn cause(class: Option<Class>, status: Option<u16>) -> (&'static str, &'static str) {
    match (class, status) {
        // Statuses first, as they say more than the class that they are in.
        (_, Some(401 | 403)) => (
            "the token expired while the run lasted, or has not the right to write",
            "the token's claims (exp, role); with a key or client credentials it is renewed in time",
        ),
        (_, Some(404 | 405)) => (
            "the service has no such route",
            "--url: it is the base, in front of the API's path, with the prefix that a proxy may add",
        ),
        (_, Some(413)) => {
            ("the files are larger than it takes", "--file-size, and the limit of each proxy in between")
        }
        (_, Some(429 | 503)) => (
            "the service sheds load: this is more than it lets in",
            "its limit of requests or of connections; a rate below that",
        ),
        (Some(Class::Http5xx), _) => (
            "the service fails: it ran out of something, or the storage element behind it did",
            "the service's log for the first of them; its disk, memory, and pool of connections",
        ),
        (Some(Class::Local), _) => (
            "this machine could not send: no port or descriptor was left, or the file could not be read",
            "the message above; nothing is known of the service",
        ),
        (Some(Class::Connect), _) => (
            "nobody listens any more, the queue of new connections is full, or a certificate does not fit",
            "whether the service still runs, and its limit of connections",
        ),
        (Some(Class::Reset), _) => (
            "the service closed connections without an answer: it broke down, was restarted, or closes what it has no room for",
            "its log for that time; the limits of connections and of time of each proxy in between",
        ),
        (Some(Class::Timeout), _) => (
            "the service is too slow for the time limit, or has stopped answering",
            "the seconds in which it began (the .csv beside the report); a longer --timeout tells how long it would take",
        ),
        (Some(Class::Protocol | Class::Corrupt), _) => (
            "what answers is not this API, or did not store what was sent",
            "the message above: what was wanted, and what came",
        ),
        (Some(Class::ContentDiffers), _) => (
            "what is read back is not what was sent: it was stored or read wrongly, or is another file",
            "the message above; the file in the storage behind the service, and the path that it is read from",
        ),
        (Some(Class::Http4xx), _) => (
            "the service refuses what is sent to it",
            "the message above, and the service's log for the first of them",
        ),
        (Some(Class::Other), _) => ("the operation itself says that it failed", "the message above"),
        (None, _) => (
            "requests were due and never ended: the service is too slow for what it was sent",
            "a rate or a number of users below that",
        ),
    }
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
    // Seconds without a success have no median.
    let mut known: Vec<(f64, f64)> =
        seconds.iter().filter_map(|second| Some((second.in_flight as f64, second.p50_ms?))).collect();
    if known.len() < SECONDS {
        return None;
    }
    let third = known.len() / 3;
    let early = mean(&known[..third], |(_, p50)| *p50);
    let late = mean(&known[known.len() - third..], |(_, p50)| *p50);

    // The same seconds once more, now by how many requests were under way.
    known.sort_by(|a, b| a.0.total_cmp(&b.0));
    let emptiest = &known[..third];
    let fullest = &known[known.len() - third..];
    let few = mean(emptiest, |(in_flight, _)| *in_flight);
    let many = mean(fullest, |(in_flight, _)| *in_flight);
    let empty = mean(emptiest, |(_, p50)| *p50);
    let full = mean(fullest, |(_, p50)| *p50);
    // Load comes first: in a ramp latency grows with time, too, and time is not why.
    if many > 2.0 * few && full > GROWN * empty {
        return Some(Finding {
            what: format!(
                "latency grows with load: median {empty:.1} ms with {few:.0} under way, {full:.1} ms with {many:.0}"
            ),
            likely: "requests wait for each other: the service works on fewer at once than it is sent",
            look_at: "the stage from which throughput stops growing while latency goes on; that is its capacity",
        });
    }
    if late <= GROWN * early {
        return None;
    }
    Some(Finding {
        what: format!(
            "latency grew while the load stayed: median {early:.1} ms at first, {late:.1} ms at last"
        ),
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

    /// A run of 1 s, with so many successes of so many ms each.
    fn report(ok_ms: &[(u64, u64)], failures: u64) -> PerformanceReport {
        let mut recorder = Recorder::default();
        for &(n, ms) in ok_ms {
            for _ in 0..n {
                recorder.record(Finished { latency: Duration::from_millis(ms), outcome: Ok(()) });
            }
        }
        for _ in 0..failures {
            let outcome = Err(Failure::status(503, "503 busy"));
            recorder.record(Finished { latency: Duration::from_millis(1), outcome });
        }
        recorder.pass(Duration::from_secs(1));
        PerformanceReport::new("op", &recorder.finish())
    }

    /// Seconds with so many requests under way, and such a median in ms.
    fn seconds(of: &[(u64, f64)]) -> Vec<SecondReport> {
        let mut seconds = Vec::new();
        for &(in_flight, p50) in of {
            seconds.push(SecondReport { in_flight, p50_ms: Some(p50), ..Default::default() });
        }
        seconds
    }

    /// Seconds with so many successes, and as many requests under way in each.
    fn answers(ok: &[u64], in_flight: u64) -> Vec<SecondReport> {
        let mut seconds = Vec::new();
        for (second, ok) in (0..).zip(ok) {
            seconds.push(SecondReport { second, ok: *ok, in_flight, ..Default::default() });
        }
        seconds
    }

    /// The cause that is told where all of ten requests fail like this.
    fn likely(failure: &Failure) -> &'static str {
        let mut recorder = Recorder::default();
        for _ in 0..10 {
            let outcome = Err(failure.clone());
            recorder.record(Finished { latency: Duration::from_millis(1), outcome });
        }
        findings(&PerformanceReport::new("op", &recorder.finish()), &[])[0].likely
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
        // The average is 30 ms; the squares sum to 60 * 20^2 + 40 * 30^2 = 60,000, over 99 is 24.6^2.
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
    fn a_stop_of_whole_seconds_is_found_with_answers_before_and_after_it() {
        let quick = report(&[(100, 10)], 0);
        let found = stall(&quick, &answers(&[9, 0, 0, 9, 0, 9], 4)).expect("is found");
        assert_eq!(found.what, "nothing ended in 2 whole seconds from second 1 on, with 4 under way");
        // No silence; silence at the beginning; at the end; of single seconds only.
        for quiet in [[9; 6], [0, 0, 0, 9, 9, 9], [9, 9, 0, 0, 0, 0], [9, 0, 9, 0, 9, 9]] {
            assert_eq!(stall(&quick, &answers(&quiet, 4)), None, "{quiet:?}");
        }
        assert_eq!(stall(&quick, &answers(&[5, 0, 0, 0, 5], 0)), None, "nobody was waiting");
        // Requests of 4 s each by one user: that is how long they take.
        let slow = report(&[(10, 4_000)], 0);
        assert_eq!(stall(&slow, &answers(&[0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1], 1)), None);
    }

    #[test]
    fn each_class_of_failure_has_a_cause_of_its_own() {
        let classes = [
            Class::Local,
            Class::Connect,
            Class::Timeout,
            Class::Reset,
            Class::Protocol,
            Class::ContentDiffers,
        ];
        let mut causes: Vec<&str> = classes.map(|class| likely(&Failure::new(class, "it failed"))).to_vec();
        causes.extend([401, 404, 413, 422, 429, 500].map(|status| likely(&Failure::status(status, "no"))));
        let distinct: std::collections::BTreeSet<&str> = causes.iter().copied().collect();
        assert_eq!(distinct.len(), causes.len(), "{causes:?}");
        assert!(likely(&Failure::status(404, "no")).contains("no such route"));
    }

    #[test]
    fn latency_that_grows_with_load_is_told_from_latency_that_grows_with_time() {
        // 10 to 90 under way with medians of 2 to 18 ms: the thirds have means of 20 and 80, and of 4 and 16 ms.
        let ramp: Vec<_> = (1..10).map(|n| (10 * n, 2.0 * n as f64)).collect();
        one(
            &findings(&report(&[(1, 1)], 0), &seconds(&ramp)),
            "grows with load: median 4.0 ms with 20 under way, 16.0 ms with 80",
        );
        // The same medians, and 50 under way all the time.
        let wear: Vec<_> = (1..10).map(|n| (50, 2.0 * n as f64)).collect();
        one(&findings(&report(&[(1, 1)], 0), &seconds(&wear)), "grew while the load stayed: median 4.0 ms");
        assert_eq!(findings(&report(&[(1, 1)], 0), &seconds(&ramp[..5])), []);
    }
}
