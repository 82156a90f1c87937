//! Two sides of a comparison as a table.

use std::io::{self, Write};

use super::table::{latency, table};
use crate::baseline::{Comparison, Figure};

/// A row a case: mean and low quantile on both sides, and by what share each figure is larger on the second.
pub fn print_changes(out: &mut dyn Write, names: [&str; 2], comparison: &Comparison) -> io::Result<()> {
    let [old, new] = names;
    let means = [format!("mean, {old}"), format!("mean, {new}")];
    let mut table = table(&["case", &means[0], &means[1], "mean", "5 %", "p50", "p95", "p99"]);
    for row in &comparison.rows {
        let mut cells =
            vec![row.case.clone(), latency(Some(row.mean.old_ms)), latency(Some(row.mean.new_ms))];
        cells.extend([row.mean, row.low].iter().chain(&row.percentiles).map(change));
        table.add_row(cells);
    }
    stamp(out, comparison)?;
    for difference in &comparison.differences {
        writeln!(out, "They differ in {difference}")?;
    }
    writeln!(out, "{table}")?;
    stamp(out, comparison)
}

/// Says at the top and at the bottom that the figures must not be compared, so that neither is quoted without it.
fn stamp(out: &mut dyn Write, comparison: &Comparison) -> io::Result<()> {
    if comparison.incomparable.is_empty() {
        return Ok(());
    }
    writeln!(out, "NOT COMPARABLE: {}", comparison.incomparable.join("; "))
}

fn change(figure: &Figure) -> String {
    format!("{:+.1} %", 100.0 * figure.change())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::Row;

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
        let mut out = Vec::new();
        print_changes(&mut out, ["main", "new"], &comparison).expect("writes");
        let text = String::from_utf8(out).expect("is text");
        assert_eq!(text.matches("NOT COMPARABLE: cores: 2, 4").count(), 2, "{text}");
        assert!(text.contains("They differ in system: a, b"), "{text}");
        let row = text.lines().find(|line| line.contains("upload/10KB")).expect("has a row");
        let words: Vec<_> = row.split_whitespace().collect();
        let changes = ["+25.0", "%", "+0.0", "%", "-50.0", "%", "+100.0", "%", "+5.0", "%"];
        assert_eq!(words[..5], ["upload/10KB", "2", "ms", "2.50", "ms"]);
        assert_eq!(words[5..], changes);
    }
}
