//! The steps of operations that consist of several, as a table.

use super::performance::{PerformanceReport, StepReport};
use super::table::quantile;
use crate::document::Table;
use crate::units::{grouped, latency};

/// A row a step, and one for all of them together; no rows where operations have no steps.
pub fn steps_table(report: &PerformanceReport) -> Table {
    let header =
        ["step", "n", "p50", "p95", "p99", "max", "avg", "share", "requests", "failed", "not reached"];
    let mut table = Table::new(header);
    if report.steps.is_empty() {
        return table;
    }
    for step in &report.steps {
        table.row(row(step));
    }
    // Percentiles do not add up. The mean is that of the operations that succeeded, as shares are.
    let mean = report.load.as_ref().and_then(|load| load.service_time.avg_ms);
    let share: f64 = report.steps.iter().filter_map(|step| step.share_pct).sum();
    // The counts of a record may be any.
    let requests = report.steps.iter().fold(0, |sum: u64, step| sum.saturating_add(step.requests));
    table.row([
        "together".to_owned(),
        grouped(report.total_requests),
        String::new(),
        String::new(),
        String::new(),
        String::new(),
        latency(mean),
        percent(mean.map(|_| share)),
        grouped(requests),
        grouped(report.failed_requests),
        String::new(),
    ]);
    table
}

fn row(StepReport { figures, not_reached, requests, share_pct }: &StepReport) -> [String; 11] {
    [
        figures.operation.clone(),
        grouped(figures.total_requests),
        quantile(figures, figures.median_latency_ms),
        quantile(figures, figures.p95_latency_ms),
        quantile(figures, figures.p99_latency_ms),
        latency(figures.max_latency_ms),
        latency(figures.avg_latency_ms),
        percent(*share_pct),
        grouped(*requests),
        grouped(figures.failed_requests),
        grouped(*not_reached),
    ]
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{share:.1} %"))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{record, run, run_of_steps};
    use super::*;
    use crate::document::Document;
    use crate::load::RecordedRun;
    use crate::targets::Targets;

    fn printed(run: &RecordedRun) -> String {
        let record = record(vec![run.clone()]);
        let report = PerformanceReport::of_load(&record, &record.runs[0], &Targets::default());
        let mut document = Document::new("Load");
        document.table(steps_table(&report));
        document.to_string()
    }

    #[test]
    fn shares_and_means_add_up_to_the_whole() {
        // Two operations of 3 + 5 ms: 3 of 8 ms are in the first step.
        let expected = concat!(
            " step      n   p50   p95   p99   max   avg    share  requests  failed  not reached \n",
            " op/1      2  3 ms  3 ms  3 ms  3 ms  3 ms   37.5 %         2       0            0 \n",
            " op/2      2  5 ms  5 ms  5 ms  5 ms  5 ms   62.5 %         2       0            0 \n",
            " together  2                          8 ms  100.0 %         4       0              \n",
        );
        assert_eq!(printed(&run_of_steps(&[&[3, 5], &[3, 5]])), expected);
    }

    #[test]
    fn an_operation_that_fails_has_no_later_steps() {
        // An operation with one step only has failed in it.
        let text = printed(&run_of_steps(&[&[2], &[1, 3]]));
        let mut rows = Vec::new();
        for line in text.lines().skip(1) {
            rows.push(line.split_whitespace().collect::<Vec<&str>>().join(" "));
        }
        // p95 of the first step lies among what failed.
        let expected = [
            "op/1 2 1 ms not known not known 1 ms 1 ms 25.0 % 2 1 0",
            "op/2 1 3 ms 3 ms 3 ms 3 ms 3 ms 75.0 % 1 0 1",
            "together 2 4 ms 100.0 % 3 1",
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn without_steps_there_is_no_table() {
        assert_eq!(printed(&run(&[(0, 1)], 1)), "");
    }
}
