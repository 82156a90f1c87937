//! What a load run says besides the figures that every report has, for people.

use std::io::{self, Write};

use super::load::{LoadReport, Summary};
use super::performance::PerformanceReport;
use super::table::{grouped, latency, significant, table};

/// A row a run, where there were several.
pub fn print_runs(out: &mut dyn Write, report: &PerformanceReport) -> io::Result<()> {
    let runs = report.load.as_ref().map_or(&[][..], |load| &load.runs);
    let mut table = table(&["run", "throughput", "p50", "p95", "p99", "success", "verdict"]);
    for run in runs {
        // A run in which the generator did not keep up has no verdict, whatever its figures are.
        let verdict = match (run.valid, run.held) {
            (false, _) => "not to be trusted",
            (true, true) => "held",
            (true, false) => "MISSED",
        };
        table.add_row([
            run.name.clone(),
            run.throughput_rps.map_or_else(|| "-".to_owned(), |rate| format!("{}/s", significant(rate))),
            known(run.p50_ms),
            known(run.p95_ms),
            known(run.p99_ms),
            format!("{:.2} %", run.success_rate_pct),
            verdict.to_owned(),
        ]);
    }
    if runs.is_empty() { Ok(()) } else { writeln!(out, "{table}\n") }
}

fn known(ms: Option<f64>) -> String {
    ms.map_or_else(|| "not known".to_owned(), |ms| latency(Some(ms)))
}

/// Where the time went, what was scheduled, and whether the generator kept up.
pub fn print_load(out: &mut dyn Write, report: &PerformanceReport) -> io::Result<()> {
    let Some(load) = &report.load else { return Ok(()) };
    let mut table = table(&["", "n", "avg", "p50", "p95", "p99", "p99.9", "max"]);
    for (name, summary) in phases(load) {
        table.add_row([
            name.to_owned(),
            grouped(summary.count),
            latency(summary.avg_ms),
            latency(summary.p50_ms),
            latency(summary.p95_ms),
            latency(summary.p99_ms),
            latency(summary.p999_ms),
            latency(summary.max_ms),
        ]);
    }
    writeln!(out, "\n{table}\n")?;
    // The sum is printed in full: whoever adds it up sees that nothing was lost.
    let ok = grouped(report.successful_requests);
    let failed = grouped(report.failed_requests);
    write!(out, "{} scheduled = {ok} ok + {failed} failed", grouped(load.scheduled))?;
    writeln!(out, " + {} unfinished, in {:.1} s", grouped(load.unfinished), load.elapsed_s)?;
    if let Some(oldest) = load.unfinished_oldest_ms {
        writeln!(out, "The oldest unfinished request had waited for {}", latency(Some(oldest)))?;
    }
    for problem in &load.health.problems {
        writeln!(out, "NOT TO BE TRUSTED: {problem}")?;
    }
    if !load.health.problems.is_empty() {
        writeln!(out, "So its targets are not judged.")?;
    }
    Ok(())
}

/// What stands out, with its likely cause and where to look.
pub fn print_findings(out: &mut dyn Write, report: &PerformanceReport) -> io::Result<()> {
    let findings = report.load.as_ref().map_or(&[][..], |load| &load.findings);
    for finding in findings {
        writeln!(out, "\nFinding: {}", finding.what)?;
        writeln!(out, "  likely: {}", finding.likely)?;
        writeln!(out, "  look at: {}", finding.look_at)?;
    }
    Ok(())
}

fn phases(load: &LoadReport) -> [(&'static str, &Summary); 5] {
    [
        ("service time", &load.service_time),
        ("  connect", &load.connect),
        ("  first byte", &load.first_byte),
        ("  last byte", &load.last_byte),
        ("send delay", &load.send_delay),
    ]
}
