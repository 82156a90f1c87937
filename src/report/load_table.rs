//! What a load run says besides the figures that every report has, for people.

use super::capacity_document::{curve_tables, whose_figures};
use super::load::{LoadReport, Summary};
use super::of_record::LoadOutcome;
use super::performance::PerformanceReport;
use super::resource_table::{machine, remarks, sides};
use super::shards::{shards_line, shards_table};
use super::step_table::steps_table;
use super::table::{failures, figures, simulated, targets, unverified};
use crate::document::{Document, Table};
use crate::phases::breakdown_table;
use crate::units::{grouped, latency, significant};

/// All that is to be said of a load: its runs, the figures of the one that stands for them, where the time went, and what
/// stands out.
pub fn outcome_document(
    LoadOutcome { report, said, verdict, conclusion, checks, .. }: &LoadOutcome,
) -> Document {
    let mut document = Document::new("Load");
    document.verdict = Some(*verdict);
    document.checks.clone_from(checks);
    let reports = std::slice::from_ref(report);
    if let Some(load) = &report.load {
        match &load.capacity {
            // The answer is read last, below all that was tried for it.
            Some(capacity) => {
                document.conclusion = Some(conclusion.clone());
                document.parts.extend(curve_tables(capacity));
                document.line(whose_figures(capacity));
            }
            None => {
                document.table(runs(load));
                document.gap();
            }
        }
        document.table(figures(reports));
        document.gap();
        document.table(steps_table(report));
        document.gap();
        document.table(phases(report, load));
        document.gap();
        if !load.service_phases.is_empty() {
            document.line("In the service, by size (successes, those of warming up included):");
            document.table(breakdown_table("size", &load.service_phases));
            document.gap();
        }
        if let Some(resources) = &load.resources {
            document.table(sides(resources));
            document.table(machine(resources));
            document.gap();
            document.lines(remarks(resources));
        }
        if let Some(shards) = &load.shards {
            document.table(shards_table(shards));
            document.line(shards_line(shards));
        }
        document.lines(account(report, load));
    }
    document.lines(failures(reports));
    document.table(targets(reports));
    document.lines(unverified(reports));
    document.lines(simulated(reports));
    for finding in report.load.iter().flat_map(|load| &load.findings) {
        document.gap();
        document.line(format!("Finding: {}", finding.what));
        document.line(format!("  likely: {}", finding.likely));
        document.line(format!("  look at: {}", finding.look_at));
    }
    document.lines(said.iter().cloned());
    document
}

/// A row a run, where there were several.
pub(super) fn runs(load: &LoadReport) -> Table {
    let mut table = Table::new(["run", "throughput", "p50", "p95", "p99", "success", "verdict"]);
    for run in &load.runs {
        // A run in which the generator did not keep up has no verdict, whatever its figures are.
        let verdict = match (run.valid, run.held) {
            (false, _) => "not to be trusted",
            (true, true) => "held",
            (true, false) => "MISSED",
        };
        table.row([
            run.name.clone(),
            run.throughput_rps.map_or_else(|| "-".to_owned(), |rate| format!("{}/s", significant(rate))),
            known(run.p50_ms),
            known(run.p95_ms),
            known(run.p99_ms),
            format!("{:.2} %", run.success_rate_pct),
            verdict.to_owned(),
        ]);
    }
    table
}

fn known(ms: Option<f64>) -> String {
    ms.map_or_else(|| "not known".to_owned(), |ms| latency(Some(ms)))
}

/// Where the time of a request went.
pub(super) fn phases(report: &PerformanceReport, load: &LoadReport) -> Table {
    let mut table = Table::new(["", "n", "avg", "p50", "p95", "p99", "p99.9", "max"]);
    for (name, summary) in times(load) {
        // The phases of several requests, one after the other, are not those of one.
        if !report.steps.is_empty() && summary.count == 0 {
            continue;
        }
        table.row([
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
    table
}

/// What was scheduled and what became of it, and whether the generator kept up.
pub(super) fn account(report: &PerformanceReport, load: &LoadReport) -> Vec<String> {
    // The sum is printed in full: whoever adds it up sees that nothing was lost.
    let mut said = vec![format!(
        "{} scheduled = {} ok + {} failed + {} unfinished, in {:.1} s",
        grouped(load.scheduled),
        grouped(report.successful_requests),
        grouped(report.failed_requests),
        grouped(load.unfinished),
        load.elapsed_s
    )];
    if let Some(oldest) = load.unfinished_oldest_ms {
        said.push(format!("The oldest unfinished request had waited for {}", latency(Some(oldest))));
    }
    for problem in &load.health.problems {
        said.push(format!("NOT TO BE TRUSTED: {problem}"));
    }
    if !load.health.problems.is_empty() {
        said.push("So its targets are not judged.".to_owned());
    }
    said
}

fn times(load: &LoadReport) -> [(&'static str, &Summary); 5] {
    [
        ("service time", &load.service_time),
        ("  connect", &load.connect),
        ("  first byte", &load.first_byte),
        ("  last byte", &load.last_byte),
        ("send delay", &load.send_delay),
    ]
}
