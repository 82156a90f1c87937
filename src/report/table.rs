//! Reports as tables, and what is to be said beside them.

use super::performance::PerformanceReport;
use super::quantile::Interval;
use crate::document::Table;
use crate::network::network_of;
use crate::targets::{Better, Judgement, Metric};
use crate::units::{grouped, latency, percent, printable, significant};

/// Figures with their units, one row a report.
pub fn figures(reports: &[PerformanceReport]) -> Table {
    let header = ["operation", "n", "avg", "median", "p95 [95 % interval]", "p99", "throughput", "success"];
    let mut table = Table::new(header);
    for report in reports {
        table.row([
            report.operation.clone(),
            grouped(report.total_requests),
            latency(report.avg_latency_ms),
            quantile(report, report.median_latency_ms),
            // The interval of a percentile that is not known would read as if it were.
            match report.p95_latency_ms {
                Some(_) => with_interval(report.p95_latency_ms, report.intervals.p95_latency_ms),
                None => quantile(report, None),
            },
            quantile(report, report.p99_latency_ms),
            report.throughput_rps.map_or_else(none, |rps| format!("{}/s", significant(rps))),
            percent(report.success_rate_pct),
        ]);
    }
    table
}

/// Every limit with what was measured and whether it held.
pub fn targets(reports: &[PerformanceReport]) -> Table {
    let mut table = Table::new(["operation", "target", "measured", "verdict"]);
    for report in reports {
        for part in report.with_steps() {
            for judged in &part.targets {
                table.row([part.operation.clone(), target(judged), measured(part, judged), verdict(judged)]);
            }
        }
    }
    table
}

/// What failed, by class, with an example each, a line each; nothing where nothing did.
pub fn failures(reports: &[PerformanceReport]) -> Vec<String> {
    let mut said = Vec::new();
    for report in reports {
        // Each failure of an operation with steps is one of a step, which says more about it.
        if report.steps.is_empty() {
            said.extend(failures_by_class(report));
        }
        for step in &report.steps {
            said.extend(failures_by_class(&step.figures));
        }
        let known = [report.median_latency_ms, report.p95_latency_ms, report.p99_latency_ms];
        if report.successful_requests > 0 && known.contains(&None) {
            said.push(format!(
                "{}: {:.1} % failed or never ended; a percentile beyond that is not known",
                report.operation,
                100.0 - report.success_rate_pct
            ));
        }
        if report.successful_requests == 0 {
            said.push(format!("{}: nothing succeeded, so nothing was measured", report.operation));
        }
    }
    said
}

fn failures_by_class(report: &PerformanceReport) -> Vec<String> {
    let mut said = Vec::new();
    for (class, failed) in &report.failures {
        let name = class.name();
        let count = grouped(failed.count);
        let example = &failed.example;
        said.push(format!("{}: {count} failed as {name}, the first: {example}", report.operation));
        if let Some(longest) = failed.retry_after_max_s {
            said.push(format!(
                "{}: {} of them asked to be tried again later (Retry-After, up to {longest:.0} s), which they were not",
                report.operation,
                grouped(failed.retry_after)
            ));
        }
    }
    said
}

/// What was not verified of stored files, once for all reports that say the same.
pub fn unverified(reports: &[PerformanceReport]) -> Vec<String> {
    let mut said: Vec<String> =
        reports.iter().filter_map(|report| Some(format!("{}.", report.unverified.as_ref()?))).collect();
    said.dedup();
    said
}

/// The simulated network over which was measured, once for all reports that name the same.
pub fn simulated(reports: &[PerformanceReport]) -> Vec<String> {
    let mut said = Vec::new();
    for report in reports {
        let Some(environment) = &report.environment else { continue };
        if let Some(network) = network_of(&environment.ingester) {
            // The name may come with a stored record.
            said.push(format!("Measured over a simulated network: {}.", printable(network)));
        }
    }
    said.dedup();
    said
}

/// A percentile; something succeeded and it is still not there where too many failed or never ended.
pub(super) fn quantile(report: &PerformanceReport, ms: Option<f64>) -> String {
    match ms {
        None if report.successful_requests > 0 => "not known".to_owned(),
        ms => latency(ms),
    }
}

fn verdict(judged: &Judgement) -> String {
    let verdict = if judged.held { "held" } else { "MISSED" };
    // The same run again may well say the opposite.
    if judged.sure == Some(false) { format!("{verdict} (within interval)") } else { verdict.to_owned() }
}

/// The figure that a limit was held against; of one on windows, that of the worst.
pub(super) fn measured(report: &PerformanceReport, judged: &Judgement) -> String {
    let Some(window) = judged.window else {
        return judged.value.map_or_else(|| not_measured(report), |value| with_unit(judged.metric, value));
    };
    match (window.from, judged.value) {
        (None, _) => none(),
        (Some(from), None) => format!("not known from second {from} on"),
        (Some(from), Some(value)) => format!("{} from second {from} on", with_unit(judged.metric, value)),
    }
}

/// What stands in place of a figure that a limit was held against.
fn not_measured(report: &PerformanceReport) -> String {
    if report.successful_requests == 0 {
        return none();
    }
    format!("not known: {} failed or never ended", percent(100.0 - report.success_rate_pct))
}

/// A limit that was held against something, as people write it.
pub(super) fn target(judged: &Judgement) -> String {
    let limit = limit_in_words(judged.metric, judged.limit);
    match judged.window {
        Some(window) => format!("{limit} in every {} s", window.seconds),
        None => limit,
    }
}

/// A limit for people: `p99 < 500 ms`.
pub(super) fn limit_in_words(metric: Metric, limit: f64) -> String {
    let (name, _) = metric.label();
    let sign = match metric.better() {
        Better::Lower => "<",
        // Nothing is above 100 %, so a limit of 100 % is held by just that.
        Better::Higher { best } if limit >= best => "=",
        Better::Higher { .. } => ">",
    };
    format!("{name} {sign} {}", with_unit(metric, limit))
}

fn with_unit(metric: Metric, value: f64) -> String {
    match metric.label() {
        (_, "ms") => latency(Some(value)),
        (_, "%") => percent(value),
        (_, unit) => format!("{} {unit}", significant(value)),
    }
}

fn with_interval(point: Option<f64>, Interval { lower, upper }: Interval) -> String {
    format!("{} [{}, {}]", latency(point), latency(lower), latency(upper))
}

fn none() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::machine::{Environment, Placement};
    use crate::recording::{Failure, Finished, Recorder};
    use crate::targets::{Targets, WindowLimit, WorstWindow};

    /// A report of a success and a failure, of which one target was missed.
    fn report() -> [PerformanceReport; 1] {
        let mut recorder = Recorder::default();
        let latency = Duration::from_millis(60);
        recorder.record(Finished { latency, outcome: Ok(()) });
        recorder.record(Finished { latency, outcome: Err(Failure::status(500, "500 oops")) });
        recorder.pass(Duration::from_secs(1));
        let targets = Targets::parse("[op]\navg_ms = 50\nsuccess_rate_pct = 100\np95_ms = 1000", &["op"]);
        [PerformanceReport::new("op", &recorder.finish()).judge(&targets.expect("is valid"))]
    }

    #[test]
    fn a_missed_target_is_a_row_with_limit_and_value() {
        let table = targets(&report());
        assert_eq!(table.rows[0], ["op", "avg < 50 ms", "60 ms", "MISSED"]);
        let targets: Vec<&str> = table.rows.iter().map(|row| row[1].as_str()).collect();
        assert_eq!(targets, ["avg < 50 ms", "p95 < 1 s", "success = 100 %"]);
    }

    #[test]
    fn a_limit_on_windows_says_where_the_worst_is() {
        let limit = WindowLimit { metric: Metric::P99Ms, limit: 500.0, window: Duration::from_secs(10) };
        let [mut report] = report();
        report.targets = vec![
            limit.judge(Some(WorstWindow { value: Some(612.0), from: 12 })),
            limit.judge(Some(WorstWindow { value: None, from: 3 })),
            limit.judge(None),
        ];
        let rows = targets(&[report]).rows;
        assert_eq!(rows[0], ["op", "p99 < 500 ms in every 10 s", "612 ms from second 12 on", "MISSED"]);
        assert_eq!([&rows[1][2], &rows[2][2]], ["not known from second 3 on", "-"]);
    }

    #[test]
    fn figures_carry_units_and_counts() {
        // Half failed: the median is known, and nothing beyond it.
        let row = ["op", "2", "60 ms", "60 ms", "not known", "not known", "1/s", "50 %"];
        assert_eq!(figures(&report()).rows, [row]);
    }

    #[test]
    fn a_simulated_network_is_said_once() {
        let [report] = report();
        assert_eq!(simulated(std::slice::from_ref(&report)), Vec::<String>::new());
        let placement = Placement::none();
        let lte = "stub over lte (70 ms, 12 Mbit/s up, 12 Mbit/s down)";
        let slow = report.clone().at(Environment::read(&placement, lte));
        let plain = report.at(Environment::read(&placement, "stub"));
        assert_eq!(
            simulated(&[slow.clone(), plain, slow]),
            ["Measured over a simulated network: lte (70 ms, 12 Mbit/s up, 12 Mbit/s down)."]
        );
    }

    #[test]
    fn failures_are_named_with_an_example() {
        assert_eq!(
            failures(&report()),
            [
                "op: 1 failed as http_5xx, the first: 500 oops",
                "op: 50.0 % failed or never ended; a percentile beyond that is not known"
            ]
        );
    }
}
