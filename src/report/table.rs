//! Reports as tables.

use std::io::{self, Write};

use comfy_table::{CellAlignment, Table, presets};

use super::performance::PerformanceReport;
use super::quantile::Interval;
use crate::targets::{Better, Judgement, Metric};

/// Figures with their units, one row a report.
pub fn print_figures(out: &mut dyn Write, reports: &[PerformanceReport]) -> io::Result<()> {
    let mut table =
        table(&["operation", "n", "avg", "median", "p95 [95 % interval]", "p99", "throughput", "success"]);
    for report in reports {
        table.add_row([
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
    writeln!(out, "{table}")
}

/// Every limit with what was measured and whether it held.
pub fn print_targets(out: &mut dyn Write, reports: &[PerformanceReport]) -> io::Result<()> {
    let mut table = table(&["operation", "target", "measured", "verdict"]);
    for report in reports {
        for judged in &report.targets {
            table.add_row([
                report.operation.clone(),
                target(judged),
                judged.value.map_or_else(|| not_measured(report), |value| with_unit(judged.metric, value)),
                verdict(judged),
            ]);
        }
    }
    if table.is_empty() { Ok(()) } else { writeln!(out, "{table}") }
}

/// What failed, by class, with an example each; nothing where nothing did.
pub fn print_failures(out: &mut dyn Write, reports: &[PerformanceReport]) -> io::Result<()> {
    for report in reports {
        for (class, failed) in &report.failures {
            let name = class.name();
            let count = grouped(failed.count);
            let example = &failed.example;
            writeln!(out, "{}: {count} failed as {name}, the first: {example}", report.operation)?;
            if let Some(longest) = failed.retry_after_max_s {
                writeln!(
                    out,
                    "{}: {} of them asked to be tried again later (Retry-After, up to {longest:.0} s), which they were not",
                    report.operation,
                    grouped(failed.retry_after)
                )?;
            }
        }
        let known = [report.median_latency_ms, report.p95_latency_ms, report.p99_latency_ms];
        if report.successful_requests > 0 && known.contains(&None) {
            writeln!(
                out,
                "{}: {:.1} % failed or never ended; a percentile beyond that is not known",
                report.operation,
                100.0 - report.success_rate_pct
            )?;
        }
        if report.successful_requests == 0 {
            writeln!(out, "{}: nothing succeeded, so nothing was measured", report.operation)?;
        }
    }
    Ok(())
}

/// What was not verified of stored files, once for all reports that say the same.
pub fn print_unverified(out: &mut dyn Write, reports: &[PerformanceReport]) -> io::Result<()> {
    let mut said: Vec<&str> = reports.iter().filter_map(|report| report.unverified).collect();
    said.dedup();
    for unverified in said {
        writeln!(out, "{unverified}.")?;
    }
    Ok(())
}

/// A percentile; something succeeded and it is still not there where too many failed or never ended.
fn quantile(report: &PerformanceReport, ms: Option<f64>) -> String {
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

/// What stands in place of a figure that a limit was held against.
fn not_measured(report: &PerformanceReport) -> String {
    if report.successful_requests == 0 {
        return none();
    }
    format!("not known: {} failed or never ended", percent(100.0 - report.success_rate_pct))
}

/// A table without borders; all columns but the first are aligned right.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn target(judged: &Judgement) -> String {
    let (name, _) = judged.metric.label();
    let sign = match judged.metric.better() {
        Better::Lower => "<",
        // Nothing is above 100 %, so a limit of 100 % is held by just that.
        Better::Higher { best } if judged.limit >= best => "=",
        Better::Higher { .. } => ">",
    };
    format!("{name} {sign} {}", with_unit(judged.metric, judged.limit))
}

fn with_unit(metric: Metric, value: f64) -> String {
    match metric.label() {
        (_, "ms") => latency(Some(value)),
        (_, "%") => percent(value),
        (_, unit) => format!("{} {unit}", significant(value)),
    }
}

/// Cut off, not rounded: one failure in a million must not read as 100 %.
fn percent(value: f64) -> String {
    let text = format!("{:.4}", (value * 1e4).floor() / 1e4);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

fn with_interval(point: Option<f64>, Interval { lower, upper }: Interval) -> String {
    format!("{} [{}, {}]", latency(point), latency(lower), latency(upper))
}

/// Milliseconds in the unit that reads best.
pub fn latency(ms: Option<f64>) -> String {
    match ms {
        None => none(),
        Some(ms) if ms >= 1000.0 => format!("{} s", significant(ms / 1000.0)),
        Some(ms) if ms >= 1.0 || ms == 0.0 => format!("{} ms", significant(ms)),
        Some(ms) if ms >= 1e-3 => format!("{} µs", significant(ms * 1e3)),
        Some(ms) => format!("{} ns", significant(ms * 1e6)),
    }
}

/// Three significant digits at least, without an exponent.
pub(crate) fn significant(value: f64) -> String {
    let whole = value.fract() == 0.0;
    match value.abs() {
        // A limit of 50 ms is printed as it was written, and not as 50.0 ms.
        v if whole || v >= 100.0 => grouped(value.round() as u64),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A whole number with a comma every three digits.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn none() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::recording::{Failure, Finished, Recorder};
    use crate::targets::Targets;

    fn printed(print: impl Fn(&mut dyn Write, &[PerformanceReport]) -> io::Result<()>) -> String {
        let mut recorder = Recorder::default();
        let latency = Duration::from_millis(60);
        recorder.record(Finished { latency, outcome: Ok(()) });
        recorder.record(Finished { latency, outcome: Err(Failure::status(500, "500 oops")) });
        recorder.pass(Duration::from_secs(1));
        let targets = Targets::parse("[op]\navg_ms = 50\nsuccess_rate_pct = 100\np95_ms = 1000", &["op"]);
        let report = PerformanceReport::new("op", &recorder.finish()).judge(&targets.expect("is valid"));
        let mut out = Vec::new();
        print(&mut out, &[report]).expect("writes");
        String::from_utf8(out).expect("is text")
    }

    #[test]
    fn a_missed_target_is_a_row_with_limit_and_value() {
        let text = printed(print_targets);
        let row = text.lines().find(|line| line.contains("avg")).expect("has a row");
        let words: Vec<_> = row.split_whitespace().collect();
        assert_eq!(words, ["op", "avg", "<", "50", "ms", "60", "ms", "MISSED"]);
        assert!(text.contains("success = 100 %"), "{text}");
        assert!(text.contains("p95 < 1 s"), "{text}");
    }

    #[test]
    fn figures_carry_units_and_counts() {
        let text = printed(print_figures);
        assert!(text.contains("60 ms") && text.contains("1/s") && text.contains("50 %"), "{text}");
        // Half failed: the median is known, and nothing beyond it.
        let row = text.lines().nth(1).expect("has a row");
        assert_eq!(row.matches("not known").count(), 2, "{text}");
    }

    #[test]
    fn failures_are_named_with_an_example() {
        assert_eq!(
            printed(print_failures),
            "op: 1 failed as http_5xx, the first: 500 oops\n\
             op: 50.0 % failed or never ended; a percentile beyond that is not known\n"
        );
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(
            (latency(Some(0.0183)), latency(Some(1500.0))),
            ("18.3 µs".to_owned(), "1.50 s".to_owned())
        );
        assert_eq!(
            (latency(Some(0.000_033_4)), latency(Some(0.0))),
            ("33.4 ns".to_owned(), "0 ms".to_owned())
        );
        // 99.97 stays below 100, so it keeps its one digit.
        assert_eq!((latency(Some(0.13456)), significant(99.97)), ("135 µs".to_owned(), "100.0".to_owned()));
        assert_eq!((percent(99.999_98), percent(100.0)), ("99.9999 %".to_owned(), "100 %".to_owned()));
        assert_eq!((percent(91.25), percent(0.0)), ("91.25 %".to_owned(), "0 %".to_owned()));
    }
}
