//! The report of a load run: a pure function of what was recorded.

use super::findings::findings;
use super::load::{LoadReport, RunReport, ScheduleReport};
use super::performance::{PerformanceReport, StepReport};
use super::quantile::{Interval, MS_PER_NS, Quantile, ms};
use super::resources::{ResourceReport, SecondUse};
use super::series::SecondReport;
use super::shards::ShardsReport;
use crate::load::{LoadRecord, Plan, RecordedRun, Run, Second, Times, worst_window};
use crate::phases::ServicePhases;
use crate::stats::Batches;
use crate::targets::{Metric, Targets};
use crate::verdict::Verdict;

impl PerformanceReport {
    /// The report of one run of a record, held against these limits, with what stands out in it.
    pub fn of_load(
        record: &LoadRecord,
        RecordedRun { plan, run, phases, .. }: &RecordedRun,
        targets: &Targets,
    ) -> Self {
        let mut health = run.health();
        if let Some(merged) = &record.merged {
            // Each shard was judged by itself, and its problems bear its name.
            health.problems.clone_from(&merged.problems);
        }
        let unfinished = run.load.unfinished.count();
        let lost = run.load.responses.failures() + unfinished;
        let mut report = Self::with_unfinished(&record.operation, &run.load.responses, unfinished);
        let Times { service, send_delay, connect, first_byte, last_byte } = &run.load.times;
        report.partial = run.partial;
        report.steps = steps(run);
        // Means by seconds, in which all workers stand together. Whole ones only: the last one may have been cut.
        let mut latencies = Batches::default();
        let mut rates = Batches::default();
        let whole = run.load.responses.elapsed.as_secs() as usize;
        for second in run.seconds.iter().take(whole) {
            latencies.add(second.ok_ns as f64, second.ok as f64);
            rates.add(second.ok as f64, 1.0);
        }
        report.intervals.throughput_rps = Interval::of_mean(&rates, 1.0);
        let by_second = Interval::of_mean(&latencies, MS_PER_NS);
        // With too few seconds the interval from batches of requests stays, which a run of a single worker has.
        if by_second.lower.is_some() {
            report.intervals.avg_latency_ms = by_second;
        }
        report.load = Some(LoadReport {
            schedule: ScheduleReport::of(plan, &record.sent, health.threads),
            scheduled: run.load.scheduled,
            unfinished,
            unfinished_oldest_ms: run.load.unfinished.range().map(|(_, oldest)| ms(oldest)),
            elapsed_s: run.load.responses.elapsed.as_secs_f64(),
            mean_in_flight: run.load.mean_in_flight(),
            p999_latency_ms: Quantile::of(&run.load.responses.ok, 0.999, lost).point,
            service_time: service.into(),
            send_delay: send_delay.into(),
            connect: connect.into(),
            first_byte: first_byte.into(),
            last_byte: last_byte.into(),
            health,
            look: record.look.clone(),
            findings: Vec::new(),
            verdict: None,
            conclusion: None,
            runs: Vec::new(),
            capacity: None,
            seconds: seconds(run),
            service_phases: phases.as_ref().map(ServicePhases::breakdowns).unwrap_or_default(),
            resources: run.resources.as_ref().map(ResourceReport::of),
            shards: record.merged.as_ref().map(ShardsReport::of),
        });
        let report = report.at(record.environment.clone()).unverified(record.unverified.as_deref());
        // Where the generator did not keep up, its figures miss or hold nothing.
        if report.verdict() == Verdict::Untrusted {
            return report.find();
        }
        let mut report = report.judge(targets);
        for limit in targets.window_limits(&record.operation) {
            report.targets.push(limit.judge(worst_window(judged_seconds(plan, run, limit.metric), limit)));
        }
        report.find()
    }

    /// Adds what stands out; after the limits were held against the figures.
    fn find(mut self) -> Self {
        let seconds = self.load.as_ref().map_or(&[][..], |load| &load.seconds);
        let found = findings(&self, seconds);
        if let Some(load) = &mut self.load {
            load.findings = found;
        }
        self
    }

    /// The report in one row, for a table of several runs.
    pub fn row(&self, name: String) -> RunReport {
        RunReport {
            name,
            throughput_rps: self.throughput_rps,
            p50_ms: self.median_latency_ms,
            p95_ms: self.p95_latency_ms,
            p99_ms: self.p99_latency_ms,
            success_rate_pct: self.success_rate_pct,
            held: self.verdict() == Verdict::Held,
            valid: self.verdict() != Verdict::Untrusted,
        }
    }
}

/// The seconds whose windows a limit is held against. Those after the schedule are among them, as requests that were due before
/// its end come back in them; in those nothing begins, which is not a loss of throughput. A rate needs whole seconds, and the
/// last one was cut, unless there is only that one.
fn judged_seconds<'a>(plan: &Plan, run: &'a Run, metric: Metric) -> &'a [Second] {
    let mut whole = run.load.responses.elapsed.as_secs();
    let lasting = plan.lasting();
    if metric == Metric::ThroughputRps && !lasting.is_zero() {
        whole = whole.min(lasting.as_secs());
    }
    let mut judged = run.seconds.iter().take_while(|second| second.index < whole.max(1)).count();
    if metric != Metric::ThroughputRps {
        // A cut makes no latency shorter and no share smaller, and what came back last may have taken longest. In a cut second
        // that has nothing, nobody is known to have waited for as long as a second.
        let last = run.seconds.iter().rposition(|second| second.ok + second.failed > 0);
        judged = judged.max(last.map_or(0, |last| last + 1));
    }
    &run.seconds[..judged]
}

/// Every second, with what was used in it.
fn seconds(run: &Run) -> Vec<SecondReport> {
    let mut seconds = Vec::with_capacity(run.seconds.len());
    for second in &run.seconds {
        let used = SecondUse::of(run.resources.as_ref(), second.index);
        seconds.push(SecondReport { used, ..SecondReport::from(second) });
    }
    seconds
}

/// Every step of the operations that have ended.
fn steps(run: &Run) -> Vec<StepReport> {
    let whole_ns = run.load.times.service.sum_ns();
    let mut steps = Vec::with_capacity(run.load.steps.len());
    for step in &run.load.steps {
        // Where nothing succeeded, there is no time to be a part of.
        let share_pct =
            if whole_ns > 0 { Some(100.0 * step.in_successes_ns as f64 / whole_ns as f64) } else { None };
        steps.push(StepReport {
            figures: PerformanceReport::new(step.name.as_str(), &step.outcomes),
            not_reached: step.not_reached,
            requests: step.requests,
            share_pct,
        });
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{record, run, run_of_steps};
    use super::*;
    use crate::phases::{PhaseTime, SizePhases};

    #[test]
    fn a_percentile_is_of_all_requests_and_no_average_of_seconds() {
        // 99 requests of 1 ms in the first second and one of 900 ms in the second: the 99th of 100 is one of 1 ms. The
        // seconds' own p99 are 1 and 900 ms.
        let mut latencies = vec![(0, 1); 99];
        latencies.push((1000, 900));
        let record = record(vec![run(&latencies, 100)]);
        let report = PerformanceReport::of_load(&record, &record.runs[0], &Targets::default());
        let p99 = report.p99_latency_ms.expect("is known");
        assert!((p99 - 1.0).abs() < 0.002, "{p99}");
        let load = report.load.expect("is a load's");
        assert_eq!((load.scheduled, load.seconds.len()), (100, 2));
        assert!(load.seconds[1].p99_ms > Some(899.0), "{:?}", load.seconds);
    }

    #[test]
    fn a_step_that_misses_its_limit_fails_the_run() {
        let mut record = record(vec![run_of_steps(&[&[3, 5], &[1, 1]])]);
        let known = ["op", "op/1", "op/2"];
        for (limits, verdict) in [
            ("[op]\nmax_ms = 9\n[\"op/2\"]\nmax_ms = 6", Verdict::Held),
            ("[op]\nmax_ms = 9\n[\"op/2\"]\nmax_ms = 5", Verdict::Missed),
            ("[\"op/1\"]\np95_ms = 2", Verdict::Missed),
        ] {
            let targets = Targets::parse(limits, &known).expect("is valid");
            let report = PerformanceReport::of_load(&record, &record.runs[0], &targets);
            assert_eq!(report.verdict(), verdict, "{limits}");
        }
        record.runs[0].run.generator.longest_pause = std::time::Duration::from_secs(1);
        let targets = Targets::parse("[\"op/1\"]\np95_ms = 2", &known).expect("is valid");
        let untrusted = PerformanceReport::of_load(&record, &record.runs[0], &targets);
        assert!(untrusted.steps.iter().all(|step| step.figures.targets.is_empty()));
    }

    #[test]
    fn what_the_service_tells_of_itself_is_reported_by_size() {
        let mut record = record(vec![run(&[(0, 1)], 1)]);
        let silent = PerformanceReport::of_load(&record, &record.runs[0], &Targets::default());
        assert!(silent.load.expect("is a load's").service_phases.is_empty());
        // Four operations of 50 ns, 45 of them in the one phase.
        let size = SizePhases {
            smallest_bytes: 1024,
            largest_bytes: 1024,
            operations: 4,
            bytes: 4096,
            whole_ns: 200,
            phases: vec![PhaseTime { phase: "hash".to_owned(), ns: 180 }],
        };
        record.runs[0].phases = Some(ServicePhases { sizes: vec![size] });
        let told = PerformanceReport::of_load(&record, &record.runs[0], &Targets::default());
        let told = told.load.expect("is a load's").service_phases;
        assert_eq!((told.len(), told[0].of.as_str(), told[0].operations), (1, "1 KB", 4));
        assert_eq!((told[0].phases[0].share_pct, told[0].sum_pct), (90.0, 90.0));
    }

    #[test]
    fn a_limit_on_windows_is_held_against_the_worst_one() {
        // 99 of 1 ms in the first second, and one of 900 ms in the second, which is cut.
        let mut latencies = vec![(0, 1); 99];
        latencies.push((1000, 900));
        let record = record(vec![run(&latencies, 100)]);
        let text =
            "[op]\np99_ms = { limit = 500, window = \"1s\" }\navg_ms = { limit = 500, window = \"2s\" }";
        let targets = Targets::parse(text, &["op"]).expect("is valid");
        let report = PerformanceReport::of_load(&record, &record.runs[0], &targets);
        let judged: Vec<_> =
            report.targets.iter().map(|judged| (judged.held, judged.window.and_then(|at| at.from))).collect();
        // The whole run holds a p99 of 500 ms; its second second does not. An average of both is 10 ms.
        assert_eq!(judged, [(true, Some(0)), (false, Some(1))]);
        assert_eq!(report.verdict(), Verdict::Missed);
    }

    #[test]
    fn what_came_back_last_is_judged_but_for_throughput() {
        // Ten in the first second, and one that was due in it and came back in the third, of which there is a tenth.
        let mut latencies = vec![(0, 20); 10];
        latencies.push((900, 1200));
        let record = record(vec![run(&latencies, 10)]);
        let text = "[op]\np99_ms = { limit = 500, window = \"1s\" }\n\
                    throughput_rps = { limit = 0, window = \"1s\" }";
        let targets = Targets::parse(text, &["op"]).expect("is valid");
        let report = PerformanceReport::of_load(&record, &record.runs[0], &targets);
        let latency = report.targets[0];
        assert_eq!((latency.held, latency.window.and_then(|at| at.from)), (false, Some(2)));
        // The schedule lasted for a second, in which ten came back.
        let throughput = report.targets[1];
        assert_eq!((throughput.held, throughput.value), (true, Some(10.0)));
    }

    #[test]
    fn a_cut_second_without_an_end_is_not_one_of_waiting() {
        let mut record = record(vec![run(&[(0, 20), (0, 1010)], 2)]);
        // As if the second request had never ended: nothing ends in the 10 ms after the first second.
        let [first, cut] = record.runs[0].run.seconds.as_mut_slice() else { panic!("has two: {record:?}") };
        first.in_flight = 1;
        cut.in_flight = 1;
        cut.ok = 0;
        let text = "[op]\np99_ms = { limit = 500, window = \"1s\" }";
        let targets = Targets::parse(text, &["op"]).expect("is valid");
        let report = PerformanceReport::of_load(&record, &record.runs[0], &targets);
        assert!(report.targets[0].held, "{:?}", report.targets);
    }

    #[test]
    fn a_run_of_less_than_a_second_is_one_window() {
        let record = record(vec![run(&[(0, 20), (10, 30)], 1)]);
        for (limit, held) in [(31, true), (29, false)] {
            let text = format!("[op]\nmax_ms = {{ limit = {limit}, window = \"10s\" }}");
            let targets = Targets::parse(&text, &["op"]).expect("is valid");
            let report = PerformanceReport::of_load(&record, &record.runs[0], &targets);
            assert_eq!(report.targets[0].held, held, "{:?}", report.targets);
        }
    }

    #[test]
    fn a_run_in_which_the_generator_did_not_keep_up_is_held_against_nothing() {
        let mut record = record(vec![run(&[(0, 1)], 1)]);
        let targets = Targets::parse("[op]\navg_ms = 0.5", &["op"]).expect("is valid");
        let judged = PerformanceReport::of_load(&record, &record.runs[0], &targets);
        assert_eq!((judged.verdict(), judged.targets.len()), (Verdict::Missed, 1));
        record.runs[0].run.generator.longest_pause = std::time::Duration::from_secs(1);
        let untrusted = PerformanceReport::of_load(&record, &record.runs[0], &targets);
        assert_eq!((untrusted.verdict(), untrusted.targets.len()), (Verdict::Untrusted, 0));
    }
}
