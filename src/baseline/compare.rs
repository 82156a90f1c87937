//! Two sides, case by case: a look, not a verdict, as what was measured one after the other met different spells of the
//! machine.

use std::collections::BTreeSet;

use super::report::Origin;

/// The figures of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// Mean, ms: of an iteration where Criterion kept it, else of an operation.
    pub mean_ms: f64,
    /// 5th percentile, ms, of the same.
    pub low_ms: f64,
    /// Percentiles of operations, ms.
    pub p50_ms: f64,
    /// 95th.
    pub p95_ms: f64,
    /// 99th.
    pub p99_ms: f64,
    /// Where they were measured.
    pub origin: Origin,
}

/// A figure of both sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// Before, ms.
    pub old_ms: f64,
    /// After, ms.
    pub new_ms: f64,
}

/// A case of both sides.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its id, or the operation's name.
    pub case: String,
    /// Mean.
    pub mean: Figure,
    /// 5th percentile of the same.
    pub low: Figure,
    /// Percentiles of operations: 50th, 95th, 99th.
    pub percentiles: [Figure; 3],
}

/// Two sides next to each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// A row a case.
    pub rows: Vec<Row>,
    /// Differences that make the figures incomparable, as `CPU: a, b`.
    pub incomparable: Vec<String>,
    /// Other differences.
    pub differences: Vec<String>,
}

impl Figure {
    /// By what share the second is larger.
    pub fn change(&self) -> f64 {
        self.new_ms / self.old_ms - 1.0
    }
}

/// Compares cases by name. An error names a case that one side lacks.
pub fn compare(old: &[(String, Figures)], new: &[(String, Figures)]) -> Result<Comparison, String> {
    // A case that only one side has is an error on either side, and not a row less: a table of fewer cases looks complete.
    if let Some((case, _)) = new.iter().find(|(case, _)| find(old, case).is_none()) {
        return Err(format!("{case} is missing from the first, and is in the second"));
    }
    let mut rows = Vec::new();
    // Sets, as most cases differ in the same things, and each is told once.
    let mut incomparable = BTreeSet::new();
    let mut differences = BTreeSet::new();
    for (case, before) in old {
        let after = find(new, case)
            .ok_or_else(|| format!("{case} is missing from the second, and is in the first"))?;
        rows.push(row(case, before, after));
        for ((name, a), (_, b)) in before.origin.decisive().into_iter().zip(after.origin.decisive()) {
            if a != b {
                incomparable.insert(format!("{name}: {a}, {b}"));
            }
        }
        for ((name, a), (_, b)) in before.origin.telling().into_iter().zip(after.origin.telling()) {
            if a != b {
                differences.insert(format!("{name}: {a}, {b}"));
            }
        }
    }
    let incomparable = incomparable.into_iter().collect();
    let differences = differences.into_iter().collect();
    Ok(Comparison { rows, incomparable, differences })
}

/// The figures of the case of this name.
fn find<'a>(side: &'a [(String, Figures)], case: &str) -> Option<&'a Figures> {
    side.iter().find(|(id, _)| id == case).map(|(_, figures)| figures)
}

fn row(case: &str, before: &Figures, after: &Figures) -> Row {
    Row {
        case: case.to_owned(),
        mean: Figure { old_ms: before.mean_ms, new_ms: after.mean_ms },
        low: Figure { old_ms: before.low_ms, new_ms: after.low_ms },
        percentiles: [
            Figure { old_ms: before.p50_ms, new_ms: after.p50_ms },
            Figure { old_ms: before.p95_ms, new_ms: after.p95_ms },
            Figure { old_ms: before.p99_ms, new_ms: after.p99_ms },
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(ms: f64, cores: usize, os: &str) -> Figures {
        let origin = Origin {
            cpu: "Z80".to_owned(),
            cores,
            os: os.to_owned(),
            rustc: "rustc".to_owned(),
            profile: "release".to_owned(),
            version: "0".to_owned(),
            source: "00".to_owned(),
            placement: "none".to_owned(),
            ingester: "stub".to_owned(),
        };
        Figures { mean_ms: ms, low_ms: ms, p50_ms: ms, p95_ms: ms, p99_ms: ms, origin }
    }

    fn side(cases: &[&str], figures: &Figures) -> Vec<(String, Figures)> {
        cases.iter().map(|case| ((*case).to_owned(), figures.clone())).collect()
    }

    #[test]
    fn changes_are_shares_of_the_first() {
        let old = side(&["a", "b"], &figures(2.0, 2, "x"));
        let new = side(&["b", "a"], &figures(3.0, 2, "x"));
        let compared = compare(&old, &new).expect("have the same cases");
        // In the order of the first side; from 2 ms to 3 ms is half as much again.
        assert_eq!(compared.rows.len(), 2);
        assert_eq!((compared.rows[0].case.as_str(), compared.rows[0].mean.change()), ("a", 0.5));
        assert_eq!((compared.incomparable, compared.differences), (vec![], vec![]));
    }

    #[test]
    fn another_machine_is_incomparable_and_another_system_is_told() {
        let compared = compare(&side(&["a"], &figures(1.0, 2, "x")), &side(&["a"], &figures(1.0, 4, "y")));
        let compared = compared.expect("have the same cases");
        assert_eq!(compared.incomparable, ["cores: 2, 4"]);
        assert_eq!(compared.differences, ["system: x, y"]);
    }

    #[test]
    fn a_missing_case_is_named() {
        let one = side(&["a"], &figures(1.0, 2, "x"));
        let two = side(&["a", "b"], &figures(1.0, 2, "x"));
        assert!(compare(&one, &two).expect_err("lacks one").contains("b is missing from the first"));
        assert!(compare(&two, &one).expect_err("lacks one").contains("b is missing from the second"));
    }
}
