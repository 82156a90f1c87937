//! The result of all runs of a command: the report that stands for them, and remarks. A pure function of the record.

use super::capacity::CapacityReport;
use super::checks::{abort_verdict, load_checks, load_conclusion, load_verdict};
use super::load::{RunReport, people};
use super::performance::PerformanceReport;
use crate::document::Check;
use crate::load::{CapacityRecord, LoadRecord, Model, RecordedRun, StepEvidence, StepOutcome};
use crate::targets::Targets;
use crate::units::significant;
use crate::verdict::Verdict;

/// Throughput that rises by less than this share from one step to the next has stopped growing.
const GROWTH: f64 = 0.05;

/// The outcome of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadOutcome {
    /// The report of the run that stands for all: the median one of several alike, the last step of a stress run, the one that
    /// confirmed a capacity, or else the last one that counts.
    pub report: PerformanceReport,
    /// Its place among the runs.
    pub run: usize,
    /// What is to be said of all of them, a sentence each.
    pub said: Vec<String>,
    /// What it comes to.
    pub verdict: Verdict,
    /// The same in a sentence.
    pub conclusion: String,
    /// What had to hold.
    pub checks: Vec<Check>,
}

/// The run that stands for all, with what is to be said of them.
struct Representative {
    report: PerformanceReport,
    run: usize,
    said: Vec<String>,
}

impl LoadOutcome {
    /// The outcome of a record, which has a run at least, held against these limits.
    pub fn of(record: &LoadRecord, targets: &Targets) -> Self {
        // The steps of a search are held against what was looked for.
        let searched = record.capacity.as_ref().map(|capacity| searched_targets(record, capacity));
        let targets = searched.as_ref().unwrap_or(targets);
        let reports: Vec<PerformanceReport> =
            record.runs.iter().map(|run| PerformanceReport::of_load(record, run, targets)).collect();
        let is_stress = record.runs[0].step.is_some();
        let chosen = match &record.capacity {
            Some(capacity) => of_search(record, capacity, reports),
            None if is_stress => of_steps(record, reports),
            None => of_repeated(reports),
        };
        let Representative { mut report, run, mut said } = chosen;
        let which = match &record.capacity {
            // What ends a search early may come between two of its runs.
            Some(_) => "The search",
            None if record.runs.len() > 1 => "The last run",
            None => "It",
        };
        if let Some(why) = &record.ended_early {
            said.insert(0, format!("{which} ended early: {why}."));
        }
        if let Some(why) = &record.aborted {
            if abort_verdict(record) == Verdict::Untrusted {
                let doubt = "The generator did not keep up in it: the service need not have lost that limit.";
                said.insert(0, doubt.to_owned());
            }
            said.insert(0, format!("{which} was ended by --abort-on: {why}."));
        }
        if let Some(why) = &record.stopped {
            said.insert(0, format!("Only a part of what was to be measured: {why}."));
        }
        let verdict = load_verdict(record, &report);
        let conclusion = load_conclusion(record, &report);
        let checks = load_checks(record, &report, targets);
        if let Some(load) = &mut report.load {
            load.verdict = Some(verdict);
            load.conclusion = Some(conclusion.clone());
        }
        Self { report, run, said, verdict, conclusion, checks }
    }
}

/// The limits of a search.
fn searched_targets(record: &LoadRecord, capacity: &CapacityRecord) -> Targets {
    let mut targets = Targets::default();
    for limit in &capacity.plan.limits {
        targets = targets.with(&record.operation, (limit.metric(), limit.limit()));
    }
    targets
}

/// The run that confirmed the answer of the first service stands for all, or else its last one that counts.
fn of_search(
    record: &LoadRecord,
    capacity: &CapacityRecord,
    mut reports: Vec<PerformanceReport>,
) -> Representative {
    let mut rows = Vec::new();
    for (number, step) in capacity.steps.iter().enumerate() {
        let mut name = rate_of(&record.runs[number]);
        if capacity.services.len() > 1 {
            name += &format!(" to {}", capacity.services[step.service]);
        }
        rows.push(reports[number].row(name));
    }
    let run = run_of_search(record, capacity);
    let mut report = reports.swap_remove(run);
    // Whether the search is a part of what it was to be: a step that was ended early, as it was lost, is a whole one.
    report.partial = record.stopped.is_some() || record.ended_early.is_some();
    if let Some(load) = &mut report.load {
        load.runs = rows;
        load.capacity = Some(CapacityReport::of(record, capacity));
    }
    Representative { report, run, said: Vec::new() }
}

/// The last step with the first service that counts; where none does, the last one. Runs that confirm come last, and the last
/// of them is the one that held, if one did. A run that a signal cut, or in which the generator was late, says less than the
/// ones before it.
fn run_of_search(record: &LoadRecord, capacity: &CapacityRecord) -> usize {
    let mut last = 0;
    let mut last_that_counts = None;
    for (number, step) in capacity.steps.iter().enumerate() {
        if step.service != 0 {
            continue;
        }
        last = number;
        let RecordedRun { plan, run, .. } = &record.runs[number];
        let evidence = StepEvidence::of_run(&capacity.plan, step, run, plan.at_once);
        if evidence.outcome != StepOutcome::Invalid {
            last_that_counts = Some(number);
        }
    }
    last_that_counts.unwrap_or(last)
}

/// The rate of a run with one level, for people.
pub(super) fn rate_of(run: &RecordedRun) -> String {
    match &run.plan.model {
        Model::Open { rate, .. } => format!("{}/s", significant(rate.most())),
        Model::Closed { users, .. } => people(users.most() as u32),
    }
}

/// The run with the median p95 stands for all.
fn of_repeated(reports: Vec<PerformanceReport>) -> Representative {
    let mut order: Vec<usize> = (0..reports.len()).collect();
    // Of several runs, one that ended before its first request would only add an empty row.
    if reports.iter().any(|report| scheduled(report) > 0) {
        order.retain(|&run| scheduled(&reports[run]) > 0);
    }
    let rows: Vec<RunReport> =
        order.iter().zip(1..).map(|(&run, number)| reports[run].row(format!("run {number}"))).collect();
    // Those that are no evidence last: the median is one of the others, if there is one.
    order.sort_by(|&a, &b| {
        let (a, b) = (&reports[a], &reports[b]);
        is_valid(b).cmp(&is_valid(a)).then(p95_or_worst(a).total_cmp(&p95_or_worst(b)))
    });
    let valid = order.iter().filter(|&&run| is_valid(&reports[run])).count();
    // Of an even number the lower one of the two in the middle: it is a run that took place.
    let run = order[valid.saturating_sub(1) / 2];
    let p95: Vec<f64> = order[..valid].iter().filter_map(|&run| reports[run].p95_latency_ms).collect();
    let mut report = reports[run].clone();
    let mut said = Vec::new();
    if rows.len() > 1 {
        if let (Some(least), Some(most)) = (p95.first(), p95.last()) {
            said.push(format!(
                "p95 of {valid} runs: {least:.2} to {most:.2} ms; reported is the median run."
            ));
        }
        set_runs(&mut report, rows);
    }
    Representative { report, run, said }
}

/// The last step stands for all: it is the one that broke, if one did.
fn of_steps(record: &LoadRecord, reports: Vec<PerformanceReport>) -> Representative {
    let mut steps = Vec::new();
    for (run, report) in record.runs.iter().zip(reports) {
        steps.push((users(run), report));
    }
    let rows = steps.iter().map(|(users, report)| report.row(people(*users))).collect();
    let said = conclusion(&steps);
    let run = steps.len() - 1;
    let (_, mut report) = steps.swap_remove(run);
    set_runs(&mut report, rows);
    Representative { report, run, said }
}

fn users(run: &RecordedRun) -> u32 {
    run.step.unwrap_or_default()
}

fn set_runs(report: &mut PerformanceReport, rows: Vec<RunReport>) {
    if let Some(load) = &mut report.load {
        load.runs = rows;
    }
}

fn scheduled(report: &PerformanceReport) -> u64 {
    report.load.as_ref().map_or(0, |load| load.scheduled)
}

fn is_valid(report: &PerformanceReport) -> bool {
    report.verdict() != Verdict::Untrusted
}

/// The p95; one that is not known, since too much was lost, is worse than any other.
fn p95_or_worst(report: &PerformanceReport) -> f64 {
    report.p95_latency_ms.unwrap_or(f64::INFINITY)
}

/// What the steps showed, in sentences: which one broke, and where throughput stopped growing.
fn conclusion(steps: &[(u32, PerformanceReport)]) -> Vec<String> {
    let mut said = Vec::new();
    if let Some((users, report)) = steps.last() {
        let users = people(*users);
        match report.verdict() {
            Verdict::Untrusted => said.push(format!(
                "At {users} the generator did not keep up: what the service holds is not known."
            )),
            Verdict::Missed => said.push(format!("It broke at {users}.")),
            Verdict::Held if !report.partial => said.push(format!("It held up to {users}.")),
            Verdict::Held => {}
        }
    }
    // Told also where nothing broke: from there on more users only wait for each other.
    let rows: Vec<(u32, f64)> =
        steps.iter().filter_map(|(users, report)| Some((*users, report.throughput_rps?))).collect();
    let stopped = rows.windows(2).find(|pair| pair[1].1 < pair[0].1 * (1.0 + GROWTH));
    if let Some([(users, rate), _]) = stopped {
        let users = people(*users);
        said.push(format!("Throughput stopped growing at {users}, with {rate:.0} requests a second."));
    }
    said
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fixture::{record, run, run_of_steps};
    use super::*;
    use crate::document::CheckOutcome;
    use crate::load::{CapacityLimit, CapacityPlan, CapacityStep, Recovery};
    use crate::recording::{Finished, Recorder};
    use crate::targets::Metric;

    /// A step with so many requests in a second, that took so long.
    fn step(users: u32, rate: u64, ms: u64) -> (u32, PerformanceReport) {
        let mut recorder = Recorder::default();
        let latency = Duration::from_millis(ms);
        for _ in 0..rate {
            recorder.record(Finished { latency, outcome: Ok(()) });
        }
        recorder.pass(Duration::from_secs(1));
        let targets = Targets::default().with("stress", (Metric::P95Ms, 100.0));
        (users, PerformanceReport::new("stress", &recorder.finish()).judge(&targets))
    }

    #[test]
    fn the_step_that_broke_and_the_end_of_growth_are_said() {
        // Limits of 100 ms on p95, which the last step misses. From 900 to 910 requests a second are 1 %, less than 5 %.
        let steps = [step(100, 500, 10), step(200, 900, 20), step(300, 910, 60), step(400, 905, 120)];
        assert_eq!(
            conclusion(&steps),
            [
                "It broke at 400 users.",
                "Throughput stopped growing at 200 users, with 900 requests a second."
            ]
        );
        assert_eq!(conclusion(&steps[..2]), ["It held up to 200 users."]);
    }

    #[test]
    fn the_median_of_the_runs_that_are_evidence_is_reported() {
        let mut record = record([30, 10, 20, 5].map(|ms| run(&[(0, ms)], 1)).into());
        // The quickest is no evidence; of 10, 20 and 30 ms the median is 20.
        record.runs[3].run.generator.longest_pause = Duration::from_secs(1);
        record.ended_early = Some("the bytes were sent".to_owned());
        let outcome = LoadOutcome::of(&record, &Targets::default());
        assert_eq!(outcome.run, 2);
        assert_eq!(
            outcome.said,
            [
                "The last run ended early: the bytes were sent.",
                "p95 of 3 runs: 10.00 to 30.00 ms; reported is the median run."
            ]
        );
        let rows: Vec<_> = outcome.report.load.expect("is a load's").runs;
        assert_eq!(rows.iter().map(|row| row.valid).collect::<Vec<_>>(), [true, true, true, false]);
    }

    #[test]
    fn a_run_in_which_nothing_was_due_is_left_out_unless_all_are_so() {
        let outcome = LoadOutcome::of(&record(vec![run(&[], 1), run(&[(0, 7)], 1)]), &Targets::default());
        assert_eq!((outcome.run, outcome.report.total_requests), (1, 1));
        let empty = LoadOutcome::of(&record(vec![run(&[], 1), run(&[], 1)]), &Targets::default());
        assert_eq!(empty.report.total_requests, 0);
    }

    #[test]
    fn a_run_that_a_limit_ended_has_missed_it() {
        let mut record = record(vec![run(&[(0, 7)], 1)]);
        assert_eq!(LoadOutcome::of(&record, &Targets::default()).verdict, Verdict::Held);
        record.aborted = Some("p99_ms=5 was missed in every second of 10 s; ended after 12 s".to_owned());
        let outcome = LoadOutcome::of(&record, &Targets::default());
        assert_eq!(outcome.verdict, Verdict::Missed);
        assert_eq!(
            outcome.said,
            ["It was ended by --abort-on: p99_ms=5 was missed in every second of 10 s; ended after 12 s."]
        );
        // Figures that are no evidence are none of a limit either.
        record.runs[0].run.generator.longest_pause = Duration::from_secs(1);
        assert_eq!(LoadOutcome::of(&record, &Targets::default()).verdict, Verdict::Untrusted);
    }

    #[test]
    fn a_late_run_that_a_limit_ended_says_nothing() {
        let mut record = record(vec![run(&[(0, 7)], 1), run(&[(0, 7)], 1)]);
        record.aborted = Some("p99_ms=5 was missed".to_owned());
        // The second run was ended, and the first one can be trusted: it stands for both.
        record.runs[1].run.generator.longest_pause = Duration::from_secs(1);
        let outcome = LoadOutcome::of(&record, &Targets::default());
        assert_eq!((outcome.run, outcome.verdict), (0, Verdict::Untrusted));
        assert_eq!(
            outcome.said[..2],
            [
                "The last run was ended by --abort-on: p99_ms=5 was missed.",
                "The generator did not keep up in it: the service need not have lost that limit."
            ]
        );
        let says = "ENDED BY --abort-on (p99_ms=5 was missed), in a run that is not to be trusted: ";
        assert!(outcome.conclusion.starts_with(says), "{}", outcome.conclusion);
        let last = outcome.checks.last().expect("has some");
        assert_eq!(last.outcome, CheckOutcome::Undecided);
        // Where it was the first one that was late, the second has lost its limit.
        record.runs.swap(0, 1);
        assert_eq!(LoadOutcome::of(&record, &Targets::default()).verdict, Verdict::Missed);
    }

    /// A search for a p99 below 100 ms with steps at these levels, of ten requests each, which took so many ms.
    fn search(steps: &[(i32, u64)]) -> LoadRecord {
        let plan = CapacityPlan {
            limits: vec![CapacityLimit::new((Metric::P99Ms, 100.0)).expect("can be looked for")],
            from: 10.0,
            highest: None,
            lasting: Duration::from_secs(1),
            fine_steps: 4,
            seed: 1,
        };
        let recovery = Recovery { took: Duration::ZERO, complete: true };
        let mut runs = Vec::new();
        let mut made = Vec::new();
        for &(level, ms) in steps {
            runs.push(run(&[(0, ms); 10], 1));
            made.push(CapacityStep { service: 0, level, confirms: false, lost: false, recovery });
        }
        let mut record = record(runs);
        record.capacity = Some(CapacityRecord { plan, services: vec!["stub".to_owned()], steps: made });
        record
    }

    #[test]
    fn the_last_run_of_a_search_that_counts_stands_for_it() {
        let mut record = search(&[(0, 20), (16, 30), (32, 50), (32, 60)]);
        assert_eq!(LoadOutcome::of(&record, &Targets::default()).run, 3);
        // The third says nothing, as the generator was late, and the fourth was cut.
        record.runs[2].run.generator.longest_pause = Duration::from_secs(1);
        record.runs[3].run.partial = true;
        record.stopped = Some("interrupted".to_owned());
        let outcome = LoadOutcome::of(&record, &Targets::default());
        assert_eq!(outcome.run, 1);
        // Its run is whole, and the search is not.
        assert!(outcome.report.partial);
        // Where no run counts, the last one is better than none.
        for run in &mut record.runs {
            run.run.partial = true;
        }
        assert_eq!(LoadOutcome::of(&record, &Targets::default()).run, 3);
    }

    #[test]
    fn a_search_whose_last_step_was_lost_is_whole() {
        // Ten are due in a second at the first rate, which is the lowest.
        let mut record = search(&[(0, 120), (0, 130)]);
        record.runs[1].run.partial = true;
        record.capacity.as_mut().expect("is a search").steps[1].lost = true;
        let outcome = LoadOutcome::of(&record, &Targets::default());
        assert_eq!((outcome.run, outcome.verdict), (1, Verdict::Missed));
        assert!(!outcome.report.partial);
    }

    #[test]
    fn a_record_that_was_stored_comes_to_the_same() {
        let dir = tempfile::tempdir().expect("makes one");
        let path = dir.path().join("load.run.json");
        let record = record(vec![run(&[(0, 3), (5, 1200), (900, 70)], 3)]);
        record.save(&path).expect("writes");
        let read = LoadRecord::load(&path).expect("is one");
        let targets = Targets::parse("[op]\navg_ms = 50", &["op"]).expect("is valid");
        assert_eq!(LoadOutcome::of(&read, &targets), LoadOutcome::of(&record, &targets));
    }

    #[test]
    fn steps_are_stored_and_have_to_add_up() {
        let dir = tempfile::tempdir().expect("makes one");
        let path = dir.path().join("load.run.json");
        let record = record(vec![run_of_steps(&[&[3, 5], &[2]])]);
        record.save(&path).expect("writes");
        let read = LoadRecord::load(&path).expect("is one");
        assert_eq!(read.runs[0].run.load.steps, record.runs[0].run.load.steps);
        let targets = Targets::default();
        assert_eq!(LoadOutcome::of(&read, &targets), LoadOutcome::of(&record, &targets));
        let text = serde_json::to_string(&record).expect("serialises");
        let fewer = text.replace("\"not_reached\":1", "\"not_reached\":0");
        assert_ne!(fewer, text);
        std::fs::write(&path, fewer).expect("writes");
        let error = LoadRecord::load(&path).expect_err("is refused").to_string();
        assert!(error.contains("run 1: its steps do not add up to its operations"), "{error}");
        // A record of an earlier version says nothing of steps.
        let plain = serde_json::to_string(&super::super::fixture::record(vec![run(&[(0, 3)], 1)]));
        let plain = plain.expect("serialises");
        assert!(!plain.contains("steps"));
        std::fs::write(&path, plain).expect("writes");
        assert!(LoadRecord::load(&path).expect("is one").runs[0].run.load.steps.is_empty());
    }

    #[test]
    fn a_record_that_does_not_add_up_is_refused() {
        let dir = tempfile::tempdir().expect("makes one");
        let path = dir.path().join("load.run.json");
        let refused = |text: &str| {
            std::fs::write(&path, text).expect("writes");
            LoadRecord::load(&path).expect_err("is refused").to_string()
        };
        assert!(refused("{").contains("load.run.json"));
        let record = record(vec![run(&[(0, 3)], 1)]);
        let text = serde_json::to_string(&record).expect("serialises");
        assert!(
            refused(&text.replace("\"scheduled\":1", "\"scheduled\":2"))
                .contains("run 1: 2 requests were due")
        );
        assert!(
            refused(&text.replace("\"schema_version\":1", "\"schema_version\":9")).contains("has version 9")
        );
        let without = LoadRecord { runs: Vec::new(), ..record };
        assert!(refused(&serde_json::to_string(&without).expect("serialises")).contains("has no runs"));
    }
}
