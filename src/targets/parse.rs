//! `targets.toml`: a table an operation, a number a metric, and what fails it in the gate.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Metric;
use super::judge::{Figures, Judgement, Limit};

/// The limits of every operation that has some.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Targets {
    limits: BTreeMap<String, Vec<Limit>>,
    gate_thresholds: BTreeMap<String, f64>,
}

/// From which slowdown on the gate fails an operation, in percent.
const GATE_THRESHOLD: &str = "gate_threshold_pct";

/// Error for a text that is not a valid list of limits, with the line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct TargetError {
    /// Counted from 1.
    pub line: usize,
    /// Key and problem.
    pub problem: String,
}

impl Targets {
    /// Reads a text. Operations that are not in `known` are refused: a typing error must not switch a limit off.
    pub fn parse(text: &str, known: &[&str]) -> Result<Self, TargetError> {
        let root = DeTable::parse(text).map_err(|e| TargetError {
            line: line_of(text, e.span().map_or(0, |span| span.start)),
            problem: e.message().to_owned(),
        })?;
        Self::read(text, root.into_inner(), known)
    }

    /// Reads a table of operations that is a part of this text.
    pub fn read(text: &str, table: DeTable<'_>, known: &[&str]) -> Result<Self, TargetError> {
        let mut targets = Self::default();
        for (name, value) in table {
            // A part of a configuration file has spans in the whole of it, so lines are counted there.
            let line = line_of(text, name.span().start);
            let operation = name.get_ref().to_string();
            if !known.contains(&operation.as_str()) {
                let problem = format!("{operation}: no such operation; there are {}", known.join(", "));
                return Err(TargetError { line, problem });
            }
            let DeValue::Table(table) = value.into_inner() else {
                let problem = format!("{operation}: must be a table of limits, [{operation}]");
                return Err(TargetError { line, problem });
            };
            for (key, value) in table {
                targets.read_key(&operation, key.get_ref(), &value).map_err(|problem| TargetError {
                    line: line_of(text, key.span().start),
                    problem: format!("{operation}.{}: {problem}", key.get_ref()),
                })?;
            }
        }
        Ok(targets)
    }

    /// Reads one key of an operation's table.
    fn read_key(&mut self, operation: &str, key: &str, value: &Spanned<DeValue<'_>>) -> Result<(), String> {
        // In the same table as the limits, but not one: no run's figures are held against it, only the gate's effects.
        if key == GATE_THRESHOLD {
            let Some(percent) = number(value).filter(|n| *n <= 100.0) else {
                return Err("must be a number from 0 to 100".to_owned());
            };
            self.gate_thresholds.insert(operation.to_owned(), percent / 100.0);
        } else {
            let limit = limit(key, value)?;
            self.limits.entry(operation.to_owned()).or_default().push(limit);
        }
        Ok(())
    }

    /// Keeps the limits of these operations only.
    pub fn only(mut self, operations: &[&str]) -> Self {
        self.limits.retain(|operation, _| operations.contains(&operation.as_str()));
        self.gate_thresholds.retain(|operation, _| operations.contains(&operation.as_str()));
        self
    }

    /// Adds a limit, in place of one on the same metric.
    pub fn with(mut self, operation: &str, (metric, number): Limit) -> Self {
        let limits = self.limits.entry(operation.to_owned()).or_default();
        limits.retain(|(limited, _)| *limited != metric);
        limits.push((metric, number));
        self
    }

    /// Adds a limit, unless there is one on the same metric.
    pub fn or(self, operation: &str, limit: Limit) -> Self {
        let limits = self.limits.get(operation).map(Vec::as_slice).unwrap_or_default();
        let is_limited = limits.iter().any(|(metric, _)| *metric == limit.0);
        if is_limited { self } else { self.with(operation, limit) }
    }

    /// The share of its time by which an operation has to get slower to fail the gate, where it has one of its own.
    pub fn gate_threshold(&self, operation: &str) -> Option<f64> {
        self.gate_thresholds.get(operation).copied()
    }

    /// Holds the operation's limits against its figures; nothing where it has none.
    pub fn judge(&self, operation: &str, figures: &impl Figures) -> Vec<Judgement> {
        let limits = self.limits.get(operation).map(Vec::as_slice).unwrap_or_default();
        limits.iter().map(|&limit| Judgement::of(limit, figures)).collect()
    }
}

/// The line of an offset, counted from 1.
fn line_of(text: &str, offset: usize) -> usize {
    text[..offset.min(text.len())].matches('\n').count() + 1
}

fn limit(key: &str, value: &Spanned<DeValue<'_>>) -> Result<Limit, String> {
    let metric = Metric::ALL.into_iter().find(|metric| metric.key() == key).ok_or_else(|| {
        format!("no such metric; there are {} and {GATE_THRESHOLD}", Metric::ALL.map(Metric::key).join(", "))
    })?;
    let number = number(value).ok_or("must be a number, 0 or more")?;
    Ok((metric, number))
}

/// A decimal number, 0 or more.
fn number(value: &Spanned<DeValue<'_>>) -> Option<f64> {
    // TOML also has hexadecimal numbers, `inf` and `nan`. None of them is a limit that somebody meant.
    let number = match value.get_ref() {
        DeValue::Integer(n) if n.radix() == 10 => n.as_str().parse::<f64>().ok(),
        DeValue::Float(n) => n.as_str().parse::<f64>().ok(),
        _ => None,
    };
    number.filter(|n| n.is_finite() && *n >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 2] = ["upload_small_file", "jwt_validation"];

    fn error(text: &str) -> String {
        Targets::parse(text, &KNOWN).expect_err(text).to_string()
    }

    struct Flat(f64);

    impl Figures for Flat {
        fn figure(&self, _: Metric) -> Option<f64> {
            Some(self.0)
        }
    }

    #[test]
    fn limits_are_read_and_judged() {
        let text = "[upload_small_file]\navg_ms = 50\np95_ms = 1e2 # ms\n";
        let targets = Targets::parse(text, &KNOWN).expect("is valid");
        let judged = targets.judge("upload_small_file", &Flat(60.0));
        let summary: Vec<_> = judged.iter().map(|j| (j.metric, j.limit, j.held)).collect();
        assert_eq!(summary, [(Metric::AvgMs, 50.0, false), (Metric::P95Ms, 100.0, true)]);
        assert_eq!(targets.judge("jwt_validation", &Flat(1.0)), []);
    }

    #[test]
    fn a_limit_can_be_added_in_place_of_another() {
        let targets = Targets::parse("[jwt_validation]\navg_ms = 50\np95_ms = 9", &KNOWN).expect("is valid");
        let judged = targets.with("jwt_validation", (Metric::AvgMs, 1.0)).judge("jwt_validation", &Flat(5.0));
        let summary: Vec<_> = judged.iter().map(|j| (j.metric, j.limit, j.held)).collect();
        assert_eq!(summary, [(Metric::P95Ms, 9.0, true), (Metric::AvgMs, 1.0, false)]);
    }

    #[test]
    fn a_default_gives_way_to_a_limit_of_its_own() {
        let targets = Targets::parse("[jwt_validation]\navg_ms = 50", &KNOWN).expect("is valid");
        let targets =
            targets.or("jwt_validation", (Metric::AvgMs, 1.0)).or("upload_small_file", (Metric::AvgMs, 1.0));
        assert!(targets.judge("jwt_validation", &Flat(5.0))[0].held);
        assert!(!targets.judge("upload_small_file", &Flat(5.0))[0].held);
    }

    #[test]
    fn the_gate_may_have_a_threshold_of_its_own() {
        let text = "[jwt_validation]\ngate_threshold_pct = 3.5\n";
        let targets = Targets::parse(text, &KNOWN).expect("is valid");
        assert_eq!(targets.gate_threshold("jwt_validation"), Some(0.035));
        assert_eq!(targets.gate_threshold("upload_small_file"), None);
        assert_eq!(targets.judge("jwt_validation", &Flat(1.0)), []);
        assert!(error("[jwt_validation]\ngate_threshold_pct = 101").contains("from 0 to 100"));
    }

    #[test]
    fn mistakes_name_line_and_key() {
        assert_eq!(
            error("[upload_small_file]\navg_ms = \"50\""),
            "line 2: upload_small_file.avg_ms: must be a number, 0 or more"
        );
        assert!(
            error("[upload_small_file]\n\navg = 50")
                .starts_with("line 3: upload_small_file.avg: no such metric")
        );
        assert!(error("\n[upload_tiny]\n").starts_with("line 2: upload_tiny: no such operation"));
        assert!(error("jwt_validation = 3").starts_with("line 1: jwt_validation: must be a table"));
        assert!(error("[jwt_validation]\navg_ms = \n").starts_with("line 2:"));
        for number in ["nan", "inf", "-1", "true", "0x10"] {
            assert!(
                error(&format!("[jwt_validation]\navg_ms = {number}")).contains("must be a number"),
                "{number}"
            );
        }
    }
}
