//! Two sides of a comparison as a table.

use super::compare::{Comparison, Figure};
use crate::document::{Document, Table};
use crate::units::latency;

/// A row a case: mean and low quantile on both sides, and by what share each figure is larger on the second.
pub fn changes_document([old, new]: [&str; 2], comparison: &Comparison) -> Document {
    let means = [format!("mean, {old}"), format!("mean, {new}")];
    let mut table = Table::new(["case", &means[0], &means[1], "mean", "5 %", "p50", "p95", "p99"]);
    for row in &comparison.rows {
        let mut cells =
            vec![row.case.clone(), latency(Some(row.mean.old_ms)), latency(Some(row.mean.new_ms))];
        cells.extend([row.mean, row.low].iter().chain(&row.percentiles).map(change));
        table.row(cells);
    }
    let mut document = Document::new("Comparison");
    // At the top and at the bottom, so that neither is quoted without it.
    let mut stamp = Vec::new();
    if !comparison.incomparable.is_empty() {
        stamp.push(format!("NOT COMPARABLE: {}", comparison.incomparable.join("; ")));
    }
    document.lines(stamp.clone());
    document.lines(comparison.differences.iter().map(|difference| format!("They differ in {difference}")));
    document.table(table);
    document.lines(stamp);
    document
}

fn change(figure: &Figure) -> String {
    format!("{:+.1} %", 100.0 * figure.change())
}

#[cfg(test)]
mod tests {
    use super::super::compare::Row;
    use super::*;

    #[test]
    fn changes_are_signed_and_a_difference_of_machines_is_stamped_twice() {
        // Each was 2 ms before, so 2.5 ms are +25 %, and 2.1 ms are +5 %.
        fn figure(new_ms: f64) -> Figure {
            Figure { old_ms: 2.0, new_ms }
        }
        let row = Row {
            case: "upload/10KB".to_owned(),
            mean: figure(2.5),
            low: figure(2.0),
            percentiles: [figure(1.0), figure(4.0), figure(2.1)],
        };
        let comparison = Comparison {
            rows: vec![row],
            incomparable: vec!["cores: 2, 4".to_owned()],
            differences: vec!["system: a, b".to_owned()],
        };
        let text = changes_document(["main", "new"], &comparison).to_string();
        assert_eq!(text.matches("NOT COMPARABLE: cores: 2, 4").count(), 2, "{text}");
        assert!(text.contains("They differ in system: a, b"), "{text}");
        let row = text.lines().find(|line| line.contains("upload/10KB")).expect("has a row");
        let words: Vec<_> = row.split_whitespace().collect();
        let changes = ["+25.0", "%", "+0.0", "%", "-50.0", "%", "+100.0", "%", "+5.0", "%"];
        assert_eq!(words[..5], ["upload/10KB", "2", "ms", "2.50", "ms"]);
        assert_eq!(words[5..], changes);
    }
}
