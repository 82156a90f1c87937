//! Cases set against their lower bounds, as `floor` reports them.

use serde::{Deserialize, Serialize};

use super::alternate::Comparison;
use crate::document::Table;
use crate::units::{grouped, latency};

/// One case and how many times its lower bound it takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Id of the case.
    pub case: String,
    /// What was measured.
    #[serde(flatten)]
    pub comparison: Comparison,
}

/// One row a case: the median ratio of the blocks with its 95 % interval, and both times.
pub fn table(ratios: &[Ratio]) -> Table {
    let header = ["case", "times its lower bound [95 % interval]", "blocks", "case", "lower bound"];
    let mut table = Table::new(header);
    for Ratio { case, comparison } in ratios {
        let effect = comparison.effect;
        // Recording takes about 0.0019 of a token check, which two digits would print as 0.00.
        let digits = if effect.ratio < 0.1 { 4 } else { 2 };
        let lower = end(effect.lower, digits);
        let upper = end(effect.upper, digits);
        table.row([
            case.clone(),
            format!("{:.digits$} [{lower}, {upper}]", effect.ratio),
            grouped(effect.blocks),
            latency(Some(comparison.case_ns / 1e6)),
            latency(Some(comparison.lower_bound_ns / 1e6)),
        ]);
    }
    table
}

/// An end of an interval, if there is one.
fn end(bound: Option<f64>, digits: usize) -> String {
    match bound {
        Some(bound) => format!("{bound:.digits$}"),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Effect;

    #[test]
    fn a_ratio_prints_with_its_interval_and_both_times() {
        let effect = Effect { ratio: 1.623, lower: Some(1.615), upper: None, blocks: 340 };
        let comparison = Comparison { effect, case_ns: 132_200.0, lower_bound_ns: 81_100.0 };
        let table = table(&[Ratio { case: "upload/10KB".to_owned(), comparison }]);
        assert_eq!(table.rows, [["upload/10KB", "1.62 [1.61, -]", "340", "132 µs", "81.1 µs"]]);
    }
}
