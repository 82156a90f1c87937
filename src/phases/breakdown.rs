//! Means and shares for people and programs: what an operation takes, split into phases.

use serde::Serialize;

use super::times::{PhaseMean, ServicePhases, SizePhases};
use crate::document::Table;
use crate::units::{Bytes, grouped, latency};

/// The mean time of an operation, split into phases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Breakdown {
    /// What the operations have in common: a size, or the name of a case.
    pub of: String,
    /// How many operations.
    pub operations: u64,
    /// Mean time of an operation.
    pub avg_ms: f64,
    /// What it consists of.
    pub phases: Vec<PhaseShare>,
    /// What the phases add up to, in percent of that mean. 100 but for what lies between the readings of the clock.
    pub sum_pct: f64,
}

/// One phase of an operation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhaseShare {
    /// Name of the phase.
    pub phase: String,
    /// Mean time of an operation in it.
    pub avg_ms: f64,
    /// The same in percent of the operation's whole time.
    pub share_pct: f64,
}

impl Breakdown {
    /// Splits an operation that takes `mean_ns` into these parts.
    pub fn new(of: String, operations: u64, mean_ns: f64, parts: &[PhaseMean]) -> Self {
        let mut phases = Vec::new();
        let mut sum_ns = 0.0;
        for part in parts {
            sum_ns += part.ns;
            phases.push(PhaseShare {
                phase: part.phase.clone(),
                avg_ms: part.ns / 1e6,
                share_pct: percent_of(part.ns, mean_ns),
            });
        }
        Self { of, operations, avg_ms: mean_ns / 1e6, phases, sum_pct: percent_of(sum_ns, mean_ns) }
    }

    /// The operations of one class of sizes.
    pub fn of_size(size: &SizePhases) -> Self {
        let mut of = Bytes(size.smallest_bytes).to_string();
        if size.largest_bytes != size.smallest_bytes {
            of += &format!(" to {}", Bytes(size.largest_bytes));
        }
        Self::new(of, size.operations, size.mean_ns(), &size.means())
    }

    /// The phase of this name.
    pub fn phase(&self, name: &str) -> Option<&PhaseShare> {
        self.phases.iter().find(|share| share.phase == name)
    }
}

impl ServicePhases {
    /// A breakdown for each class of sizes, the smallest first.
    pub fn breakdowns(&self) -> Vec<Breakdown> {
        self.sizes.iter().filter(|size| size.operations > 0).map(Breakdown::of_size).collect()
    }
}

fn percent_of(part: f64, whole: f64) -> f64 {
    // Where nothing took any time there are no shares: a report must not hold NaN.
    if whole > 0.0 { 100.0 * part / whole } else { 0.0 }
}

/// Breakdowns as a table under this heading: of each, a row of times and a row of shares.
// Both in one cell would make the table too wide for a terminal.
pub fn breakdown_table(heading: &str, breakdowns: &[Breakdown]) -> Table {
    let mut names: Vec<&str> = Vec::new();
    for share in breakdowns.iter().flat_map(|breakdown| &breakdown.phases) {
        if !names.contains(&share.phase.as_str()) {
            names.push(&share.phase);
        }
    }
    let mut header = vec![heading, "n", "avg"];
    header.extend(names.iter().copied());
    header.push("sum");
    let mut table = Table::new(header);
    for breakdown in breakdowns {
        let mut times = vec![breakdown.of.clone(), grouped(breakdown.operations), time(breakdown.avg_ms)];
        let mut shares = vec!["  share".to_owned(), String::new(), percent(100.0)];
        for name in &names {
            match breakdown.phase(name) {
                Some(share) => {
                    times.push(time(share.avg_ms));
                    shares.push(percent(share.share_pct));
                }
                None => {
                    times.push("-".to_owned());
                    shares.push("-".to_owned());
                }
            }
        }
        times.push(time(breakdown.avg_ms * breakdown.sum_pct / 100.0));
        shares.push(percent(breakdown.sum_pct));
        table.row(times);
        table.row(shares);
    }
    table
}

fn time(ms: f64) -> String {
    latency(Some(ms))
}

fn percent(share: f64) -> String {
    format!("{share:.1} %")
}

#[cfg(test)]
mod tests {
    use super::super::times::tests::size;
    use super::*;
    use crate::document::Document;

    #[test]
    fn a_mean_splits_into_shares_that_add_up() {
        // Four operations of 50 µs: 10, 30 and 9.5 µs of each are in a phase.
        let of_size = size(10_240, 4, 200_000, &[("token", 40_000), ("hash", 120_000), ("answer", 38_000)]);
        let breakdown = Breakdown::of_size(&of_size);
        assert_eq!((breakdown.of.as_str(), breakdown.operations, breakdown.avg_ms), ("10 KB", 4, 0.05));
        let shares: Vec<f64> = breakdown.phases.iter().map(|share| share.share_pct).collect();
        assert_eq!((shares, breakdown.sum_pct), (vec![20.0, 60.0, 19.0], 99.0));
        assert_eq!(breakdown.phase("hash").map(|share| share.avg_ms), Some(0.03));
        assert_eq!(breakdown.phase("storage"), None);
    }

    #[test]
    fn sizes_that_share_a_class_are_named_by_both_ends() {
        let mut both = size(10_240, 2, 10, &[]);
        both.largest_bytes = 12_288;
        assert_eq!(Breakdown::of_size(&both).of, "10 KB to 12 KB");
        // One without operations, as a broken file may have it, has no means.
        let phases = ServicePhases { sizes: vec![size(1, 0, 0, &[]), both] };
        assert_eq!(phases.breakdowns().len(), 1);
    }

    #[test]
    fn nothing_is_nan() {
        let empty = Breakdown::of_size(&size(0, 0, 0, &[("a", 0)]));
        assert_eq!((empty.avg_ms, empty.sum_pct, empty.phases[0].share_pct), (0.0, 0.0, 0.0));
    }

    #[test]
    fn times_and_shares_stand_below_each_other() {
        let small = size(10_240, 2000, 100_000_000, &[("token", 20_000_000), ("hash", 79_000_000)]);
        let large = size(1 << 20, 10, 10_000_000, &[("hash", 9_000_000), ("storage", 1_000_000)]);
        let phases = ServicePhases { sizes: vec![small, large] };
        let mut document = Document::new("Phases");
        document.table(breakdown_table("size", &phases.breakdowns()));
        let expected = concat!(
            " size         n      avg   token     hash  storage      sum \n",
            " 10 KB    2,000    50 µs   10 µs  39.5 µs        -  49.5 µs \n",
            "   share         100.0 %  20.0 %   79.0 %        -   99.0 % \n",
            " 1 MB        10     1 ms       -   900 µs   100 µs     1 ms \n",
            "   share         100.0 %       -   90.0 %   10.0 %  100.0 % \n",
        );
        assert_eq!(document.to_string(), expected);
    }
}
