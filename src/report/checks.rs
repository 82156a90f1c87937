//! What had to hold in a run, and what became of it in a sentence: the tests of a JUnit file, and the head of a page.

use super::capacity_document::{answers, capacity_checks};
use super::load::people;
use super::performance::PerformanceReport;
use super::table::{measured, target};
use crate::document::{Check, CheckOutcome};
use crate::load::LoadRecord;
use crate::targets::{Judgement, Targets};
use crate::units::grouped;
use crate::verdict::Verdict;

/// Missed targets that a sentence names.
const MOST_NAMED: usize = 6;

/// What had to hold in the run that stands for a record.
pub(super) fn load_checks(record: &LoadRecord, report: &PerformanceReport, targets: &Targets) -> Vec<Check> {
    let mut checks = match report.capacity() {
        // Its steps are there to miss: what counts is what all of them come to.
        Some(capacity) => capacity_checks(&report.operation, capacity),
        None => run_checks(record, report, targets),
    };
    if let Some(why) = &record.stopped {
        let why = format!("only a part of what was to be measured: {why}");
        checks.push(check(report, "the run was not cut short", CheckOutcome::Undecided, &why));
    }
    checks
}

/// What had to hold in a run.
fn run_checks(record: &LoadRecord, report: &PerformanceReport, targets: &Targets) -> Vec<Check> {
    // First what needs no limit: a run in which everything failed must not look like one without targets.
    let mut checks = vec![success_check(report)];
    let problems = problems(report);
    if problems.is_empty() {
        checks.extend(target_checks(report));
    } else {
        let why = problems.join("; ");
        // Of a run in shards, one may also be missing, late, or of another run.
        let is_merged = record.merged.is_some();
        let name = if is_merged { "every shard can be trusted" } else { "the generator kept up" };
        checks.push(check(report, name, CheckOutcome::Undecided, &why));
        let why = if is_merged {
            "not judged: not every shard can be trusted"
        } else {
            "not judged: the generator did not keep up"
        };
        // They are not judged, and a file without them would look as if there were none.
        for part in report.with_steps() {
            for judged in targets.judge(&part.operation, part) {
                checks.push(check(part, &target(&judged), CheckOutcome::Undecided, why));
            }
            for limit in targets.window_limits(&part.operation) {
                checks.push(check(part, &target(&limit.judge(None)), CheckOutcome::Undecided, why));
            }
        }
    }
    if let Some(why) = &record.aborted {
        let outcome = match abort_verdict(record) {
            Verdict::Missed if problems.is_empty() => CheckOutcome::Missed,
            _ => CheckOutcome::Undecided,
        };
        checks.push(check(report, "no limit of --abort-on was lost", outcome, why));
    }
    checks
}

/// The targets of a report and of its steps, as checks.
pub(crate) fn target_checks(report: &PerformanceReport) -> Vec<Check> {
    let mut checks = Vec::new();
    for part in report.with_steps() {
        for judged in &part.targets {
            let outcome = if judged.held { CheckOutcome::Held } else { CheckOutcome::Missed };
            checks.push(check(part, &target(judged), outcome, &measured(part, judged)));
        }
    }
    checks
}

/// Whether anything succeeded, which has to hold in every run.
pub(crate) fn success_check(report: &PerformanceReport) -> Check {
    let ok = report.successful_requests;
    let outcome = if ok > 0 { CheckOutcome::Held } else { CheckOutcome::Missed };
    check(report, "something succeeded", outcome, &format!("{} succeeded", grouped(ok)))
}

fn check(report: &PerformanceReport, name: &str, outcome: CheckOutcome, measured: &str) -> Check {
    Check { group: report.operation.clone(), name: name.to_owned(), outcome, measured: measured.to_owned() }
}

/// The verdict on a record: of a search, whether it has an answer. A run that a limit ended has missed that limit. A part of what
/// was to be measured is no evidence that all of it would have held.
pub(super) fn load_verdict(record: &LoadRecord, report: &PerformanceReport) -> Verdict {
    let verdict = match report.capacity() {
        Some(capacity) => capacity.verdict(),
        None => Verdict::worst([report.verdict(), abort_verdict(record)]),
    };
    match verdict {
        Verdict::Held if record.stopped.is_some() => Verdict::Untrusted,
        verdict => verdict,
    }
}

/// Whether the run that `--abort-on` ended has lost the limit; held where none was ended. It is the last run, and of several
/// another one may stand for all. Where the generator did not keep up in it, the service need not have lost anything.
pub(super) fn abort_verdict(record: &LoadRecord) -> Verdict {
    match record.runs.last() {
        Some(last) if record.aborted.is_some() => {
            if last.run.health().is_valid() {
                Verdict::Missed
            } else {
                Verdict::Untrusted
            }
        }
        _ => Verdict::Held,
    }
}

/// What came of a record, in a sentence.
pub(super) fn load_conclusion(record: &LoadRecord, report: &PerformanceReport) -> String {
    let mut said = match report.capacity() {
        Some(capacity) => answers(capacity).join(" "),
        None => judged(report),
    };
    // The last step of a stress run stands for all of it.
    if let Some(users) = record.runs.last().and_then(|run| run.step) {
        said += &format!(" (at {})", people(users));
    }
    if let Some(why) = &record.stopped {
        format!("PARTIAL ({why}): {said}")
    } else if let Some(why) = &record.aborted {
        // Where the report is of that run, its own problems are said anyway.
        let is_in_doubt = abort_verdict(record) == Verdict::Untrusted && problems(report).is_empty();
        let doubt = if is_in_doubt { ", in a run that is not to be trusted" } else { "" };
        format!("ENDED BY --abort-on ({why}){doubt}: {said}")
    } else if let Some(why) = &record.ended_early {
        format!("ENDED EARLY ({why}): {said}")
    } else {
        said
    }
}

fn judged(report: &PerformanceReport) -> String {
    let problems = problems(report);
    let Some(first) = problems.first() else {
        return conclusion_of(std::slice::from_ref(report));
    };
    // The first is enough for a headline; all of them stand among the figures.
    let others = match problems.len() {
        1 => String::new(),
        n => format!(" ({} more)", n - 1),
    };
    format!("NOT TO BE TRUSTED, so its targets are not judged: {first}{others}")
}

/// Reasons why a run's figures are no evidence.
fn problems(report: &PerformanceReport) -> &[String] {
    match &report.load {
        Some(load) => &load.health.problems,
        None => &[],
    }
}

/// What became of the targets of all these reports, in a sentence.
pub(crate) fn conclusion_of(reports: &[PerformanceReport]) -> String {
    // The operation of a single report is known to whoever reads about it.
    let names_operations = reports.len() > 1;
    let mut barren = Vec::new();
    let mut missed = Vec::new();
    let mut targets = 0;
    for report in reports {
        if report.successful_requests == 0 {
            barren.push(report.operation.as_str());
        }
        for part in report.with_steps() {
            targets += part.targets.len();
            // Which step it is has to be said, however few operations there are.
            let names_operation = names_operations || part.operation != report.operation;
            for judged in part.targets.iter().filter(|judged| !judged.held) {
                missed.push(named(part, judged, names_operation));
            }
        }
    }
    if barren.is_empty() && missed.is_empty() {
        return held(targets);
    }
    // What never succeeded comes first: its targets are missed for that alone.
    let mut failed = Vec::new();
    if !barren.is_empty() {
        let of = if names_operations { format!(" in {}", barren.join(", ")) } else { String::new() };
        failed.push(format!("nothing succeeded{of}"));
    }
    if !missed.is_empty() {
        failed.push(missed_sentence(&missed, targets));
    }
    format!("FAILED: {}", failed.join("; "))
}

fn named(report: &PerformanceReport, judged: &Judgement, names_operation: bool) -> String {
    if names_operation { format!("{} {}", report.operation, target(judged)) } else { target(judged) }
}

fn held(targets: usize) -> String {
    match targets {
        0 => "Measured; no target was set".to_owned(),
        1 => "The target held".to_owned(),
        n => format!("All {n} targets held"),
    }
}

fn missed_sentence(missed: &[String], targets: usize) -> String {
    let mut names = missed.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
    if missed.len() > MOST_NAMED {
        names += &format!(", and {} more", missed.len() - MOST_NAMED);
    }
    if missed.len() == targets {
        return format!("every target was missed: {names}");
    }
    format!("{} of {targets} targets missed: {names}", missed.len())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fixture::{record, run, run_of_steps};
    use super::super::of_record::LoadOutcome;
    use super::*;
    use crate::load::MergedRecord;
    use crate::recording::{Class, Failed};
    use crate::targets::Targets;

    /// Limits on p95 and average, in ms.
    fn limits(p95: f64, avg: f64) -> Targets {
        Targets::parse(&format!("[op]\np95_ms = {p95}\navg_ms = {avg}"), &["op"]).expect("is valid")
    }

    /// Verdict, conclusion and checks of a record of requests that took 10 ms, after `change`.
    fn outcome(limits: &Targets, change: impl FnOnce(&mut LoadRecord)) -> LoadOutcome {
        let mut record = record(vec![run(&[(0, 10), (5, 10)], 2)]);
        change(&mut record);
        LoadOutcome::of(&record, limits)
    }

    fn outcomes(outcome: &LoadOutcome) -> Vec<CheckOutcome> {
        outcome.checks.iter().map(|check| check.outcome).collect()
    }

    #[test]
    fn a_run_that_held_says_how_many_targets_did() {
        let held = outcome(&limits(100.0, 50.0), |_| ());
        assert_eq!((held.verdict, held.conclusion.as_str()), (Verdict::Held, "All 2 targets held"));
        assert_eq!(outcomes(&held), [CheckOutcome::Held; 3]);
        assert_eq!(held.checks[1].name, "avg < 50 ms");
        assert_eq!((held.checks[1].group.as_str(), held.checks[1].measured.as_str()), ("op", "10 ms"));
        let free = outcome(&Targets::default(), |_| ());
        assert_eq!((free.verdict, free.conclusion.as_str()), (Verdict::Held, "Measured; no target was set"));
        assert_eq!(outcomes(&free), [CheckOutcome::Held]);
    }

    #[test]
    fn missed_targets_are_named() {
        let one = outcome(&limits(100.0, 5.0), |_| ());
        assert_eq!(one.conclusion, "FAILED: 1 of 2 targets missed: avg < 5 ms");
        assert_eq!(one.verdict, Verdict::Missed);
        assert_eq!(outcomes(&one), [CheckOutcome::Held, CheckOutcome::Missed, CheckOutcome::Held]);
        let all = outcome(&limits(1.0, 5.0), |_| ());
        assert_eq!(all.conclusion, "FAILED: every target was missed: avg < 5 ms, p95 < 1 ms");
    }

    /// Makes failures of all that succeeded.
    fn fail(record: &mut LoadRecord) {
        let responses = &mut record.runs[0].run.load.responses;
        let latency = std::mem::take(&mut responses.ok);
        let failed = Failed { latency, example: "503 busy".to_owned(), ..Failed::default() };
        responses.failed.insert(Class::Http5xx, failed);
    }

    #[test]
    fn a_run_without_a_success_says_so_first() {
        let barren = outcome(&limits(100.0, 50.0), fail);
        let says = "FAILED: nothing succeeded; every target was missed: avg < 50 ms, p95 < 100 ms";
        assert_eq!((barren.verdict, barren.conclusion.as_str()), (Verdict::Missed, says));
        assert_eq!(outcomes(&barren), [CheckOutcome::Missed; 3]);
        let free = outcome(&Targets::default(), fail);
        assert_eq!((free.verdict, free.conclusion.as_str()), (Verdict::Missed, "FAILED: nothing succeeded"));
    }

    #[test]
    fn a_run_that_is_not_to_be_trusted_judges_nothing() {
        let late = outcome(&limits(100.0, 5.0), |record| {
            record.runs[0].run.generator.longest_pause = Duration::from_secs(1);
        });
        assert_eq!(late.verdict, Verdict::Untrusted);
        let says = "NOT TO BE TRUSTED, so its targets are not judged: the generator did not run for 1.0s";
        assert!(late.conclusion.starts_with(says), "{}", late.conclusion);
        // Its success is a fact; that it kept up, and both targets, are undecided.
        let undecided = CheckOutcome::Undecided;
        assert_eq!(outcomes(&late), [CheckOutcome::Held, undecided, undecided, undecided]);
    }

    #[test]
    fn a_run_without_one_of_its_shards_judges_nothing() {
        let problems = vec!["shard 1/2 is missing".to_owned()];
        let part = outcome(&limits(100.0, 5.0), |record| {
            record.merged = Some(MergedRecord {
                of: 2,
                plan_hash: String::new(),
                shards: Vec::new(),
                shard_command: None,
                problems,
            });
        });
        assert_eq!(part.verdict, Verdict::Untrusted);
        assert_eq!(part.checks[1].name, "every shard can be trusted");
        assert_eq!(part.checks[1].measured, "shard 1/2 is missing");
        let undecided = CheckOutcome::Undecided;
        assert_eq!(outcomes(&part), [CheckOutcome::Held, undecided, undecided, undecided]);
    }

    fn stop(record: &mut LoadRecord) {
        record.stopped = Some("interrupted".to_owned());
    }

    #[test]
    fn a_part_of_a_run_has_not_held() {
        let held = outcome(&limits(100.0, 50.0), stop);
        let says = "PARTIAL (interrupted): All 2 targets held";
        assert_eq!((held.verdict, held.conclusion.as_str()), (Verdict::Untrusted, says));
        assert_eq!(outcomes(&held).last(), Some(&CheckOutcome::Undecided));
        // What was missed until then is missed.
        assert_eq!(outcome(&limits(100.0, 5.0), stop).verdict, Verdict::Missed);
        let early = outcome(&limits(100.0, 50.0), |record| {
            record.ended_early = Some("all bytes were sent".to_owned());
        });
        let says = "ENDED EARLY (all bytes were sent): All 2 targets held";
        assert_eq!((early.verdict, early.conclusion.as_str()), (Verdict::Held, says));
    }

    #[test]
    fn a_run_that_a_limit_ended_has_failed() {
        let ended = outcome(&limits(100.0, 50.0), |record| {
            record.aborted = Some("p99_ms=5 was missed".to_owned());
        });
        let says = "ENDED BY --abort-on (p99_ms=5 was missed): All 2 targets held";
        assert_eq!((ended.verdict, ended.conclusion.as_str()), (Verdict::Missed, says));
        let last = ended.checks.last().expect("has some");
        assert_eq!((last.outcome, last.measured.as_str()), (CheckOutcome::Missed, "p99_ms=5 was missed"));
    }

    #[test]
    fn a_limit_on_windows_that_is_not_judged_is_undecided() {
        let text = "[op]\np99_ms = { limit = 500, window = \"10s\" }";
        let windows = Targets::parse(text, &["op"]).expect("is valid");
        let late = outcome(&windows, |record| {
            record.runs[0].run.generator.longest_pause = Duration::from_secs(1);
        });
        let last = late.checks.last().expect("has some");
        assert_eq!(
            (last.name.as_str(), last.outcome),
            ("p99 < 500 ms in every 10 s", CheckOutcome::Undecided)
        );
    }

    #[test]
    fn a_step_is_named_by_its_users() {
        let broke = outcome(&limits(1.0, 50.0), |record| record.runs[0].step = Some(400));
        assert_eq!(broke.conclusion, "FAILED: 1 of 2 targets missed: p95 < 1 ms (at 400 users)");
    }

    #[test]
    fn a_target_of_a_step_is_named_with_it() {
        let limits = "[op]\nmax_ms = 9\n[\"op/2\"]\nmax_ms = 5";
        let limits = Targets::parse(limits, &["op", "op/1", "op/2"]).expect("is valid");
        let mut record = record(vec![run_of_steps(&[&[3, 5], &[1, 1]])]);
        let missed = LoadOutcome::of(&record, &limits);
        assert_eq!(missed.conclusion, "FAILED: 1 of 2 targets missed: op/2 max < 5 ms");
        assert_eq!(outcomes(&missed), [CheckOutcome::Held, CheckOutcome::Held, CheckOutcome::Missed]);
        assert_eq!(missed.checks[2].group, "op/2");
        // Where the generator was late, no step is judged either.
        record.runs[0].run.generator.longest_pause = Duration::from_secs(1);
        let late = LoadOutcome::of(&record, &limits);
        let undecided = CheckOutcome::Undecided;
        assert_eq!(outcomes(&late), [CheckOutcome::Held, undecided, undecided, undecided]);
    }

    #[test]
    fn of_several_operations_each_is_named_and_many_are_counted() {
        let report = outcome(&limits(1.0, 5.0), |_| ()).report;
        let two = [report.clone(), PerformanceReport { operation: "other".to_owned(), ..report.clone() }];
        let says = "FAILED: every target was missed: op avg < 5 ms, op p95 < 1 ms, other avg < 5 ms, other p95 < 1 ms";
        assert_eq!(conclusion_of(&two), says);
        let many = [&two[..], &two].concat();
        assert!(conclusion_of(&many).ends_with("other p95 < 1 ms, op avg < 5 ms, op p95 < 1 ms, and 2 more"));
    }
}
