//! `targets.toml`: a table an operation, a number a metric, and what fails it in the gate.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Metric;
use super::judge::{Figures, Judgement, Limit, WindowLimit};

/// The limits of every operation that has some.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Targets {
    limits: BTreeMap<String, Vec<Limit>>,
    window_limits: BTreeMap<String, Vec<WindowLimit>>,
    gate_thresholds: BTreeMap<String, f64>,
}

/// From which slowdown on the gate fails an operation, in percent.
const GATE_THRESHOLD: &str = "gate_threshold_pct";
/// Longest stretch of a run that can have a limit of its own.
const LONGEST_WINDOW: Duration = Duration::from_secs(3600);

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
        } else if let DeValue::Table(table) = value.get_ref() {
            let limit = window_limit(metric(key)?, table)?;
            if is_step(operation) {
                let problem = "a step cannot have a limit on every stretch of a run, as its seconds are not kept; limit the whole \
                               operation so, or write a number";
                return Err(problem.to_owned());
            }
            self.window_limits.entry(operation.to_owned()).or_default().push(limit);
        } else {
            let limit = limit(key, value)?;
            self.limits.entry(operation.to_owned()).or_default().push(limit);
        }
        Ok(())
    }

    /// Keeps the limits of these operations only.
    pub fn only(mut self, operations: &[&str]) -> Self {
        self.limits.retain(|operation, _| operations.contains(&operation.as_str()));
        self.window_limits.retain(|operation, _| operations.contains(&operation.as_str()));
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
        let is_limited = self.limits(operation).iter().any(|(metric, _)| *metric == limit.0);
        if is_limited { self } else { self.with(operation, limit) }
    }

    /// The share of its time by which an operation has to get slower to fail the gate, where it has one of its own.
    pub fn gate_threshold(&self, operation: &str) -> Option<f64> {
        self.gate_thresholds.get(operation).copied()
    }

    /// The operation's limits on figures of a whole run.
    pub fn limits(&self, operation: &str) -> &[Limit] {
        self.limits.get(operation).map(Vec::as_slice).unwrap_or_default()
    }

    /// Its limits on every stretch of a run.
    pub fn window_limits(&self, operation: &str) -> &[WindowLimit] {
        self.window_limits.get(operation).map(Vec::as_slice).unwrap_or_default()
    }

    /// Holds the operation's limits against its figures; nothing where it has none. Limits on stretches of a run need its
    /// seconds: see [`WindowLimit::judge`].
    pub fn judge(&self, operation: &str, figures: &impl Figures) -> Vec<Judgement> {
        self.limits(operation).iter().map(|&limit| Judgement::of(limit, figures)).collect()
    }
}

/// The line of an offset, counted from 1.
fn line_of(text: &str, offset: usize) -> usize {
    text[..offset.min(text.len())].matches('\n').count() + 1
}

fn limit(key: &str, value: &Spanned<DeValue<'_>>) -> Result<Limit, String> {
    let metric = metric(key)?;
    let number = number(value).ok_or(
        "must be a number, 0 or more, or a limit on every stretch of a run, like { limit = 500, window = \"10s\" }",
    )?;
    Ok((metric, number))
}

fn metric(key: &str) -> Result<Metric, String> {
    Metric::ALL.into_iter().find(|metric| metric.key() == key).ok_or_else(|| {
        format!("no such metric; there are {} and {GATE_THRESHOLD}", Metric::ALL.map(Metric::key).join(", "))
    })
}

/// Whether it is a step of an operation, like `op/2`. Reports of operations are files, whose names have no slash.
fn is_step(operation: &str) -> bool {
    operation.contains('/')
}

/// A limit on every stretch of a run: `{ limit = 500, window = "10s" }`.
fn window_limit(metric: Metric, table: &DeTable<'_>) -> Result<WindowLimit, String> {
    for key in table.keys() {
        let key: &str = key.get_ref();
        if key != "limit" && key != "window" {
            return Err(format!("no such key: {key}; there are limit and window"));
        }
    }
    let limit = table.get("limit").and_then(number).ok_or("limit: must be a number, 0 or more")?;
    let window = table.get("window").and_then(window).ok_or(
        "window: must be a time of whole seconds, from \"1s\" to \"1h\", in which the limit has to hold",
    )?;
    Ok(WindowLimit { metric, limit, window })
}

/// A time of whole seconds.
fn window(value: &Spanned<DeValue<'_>>) -> Option<Duration> {
    let DeValue::String(text) = value.get_ref() else { return None };
    let window = humantime::parse_duration(text).ok()?;
    let is_whole = window.subsec_nanos() == 0 && !window.is_zero();
    if is_whole && window <= LONGEST_WINDOW { Some(window) } else { None }
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
    fn a_limit_may_be_one_of_every_stretch() {
        let text = "[jwt_validation]\navg_ms = 50\np99_ms = { limit = 500, window = \"10s\" }\n";
        let targets = Targets::parse(text, &KNOWN).expect("is valid");
        let window = Duration::from_secs(10);
        let limit = WindowLimit { metric: Metric::P99Ms, limit: 500.0, window };
        assert_eq!(targets.window_limits("jwt_validation"), [limit]);
        assert_eq!(targets.limits("jwt_validation"), [(Metric::AvgMs, 50.0)]);
        assert_eq!(targets.only(&["upload_small_file"]).window_limits("jwt_validation"), []);
        for (limit, says) in [
            ("{ limit = 5 }", "p99_ms: window: must be"),
            ("{ window = \"10s\" }", "p99_ms: limit: must be"),
            ("{ limit = 5, window = \"500ms\" }", "window: must be a time of whole seconds"),
            ("{ limit = 5, window = \"2h\" }", "window: must be"),
            ("{ limit = 5, window = 10 }", "window: must be"),
            ("{ limit = 5, windows = \"10s\" }", "no such key: windows"),
        ] {
            let error = error(&format!("[jwt_validation]\np99_ms = {limit}"));
            assert!(error.starts_with("line 2: jwt_validation.p99_ms: ") && error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_step_has_limits_on_the_whole_run_only() {
        let known = ["op", "op/2"];
        assert!(Targets::parse("[\"op/2\"]\np99_ms = 5", &known).is_ok());
        let window = "p99_ms = { limit = 5, window = \"10s\" }";
        assert!(Targets::parse(&format!("[op]\n{window}"), &known).is_ok());
        let refused = Targets::parse(&format!("[\"op/2\"]\n{window}"), &known);
        let refused = refused.expect_err("has no seconds").to_string();
        assert!(refused.starts_with("line 2: op/2.p99_ms: a step cannot have"), "{refused}");
    }

    #[test]
    fn mistakes_name_line_and_key() {
        assert_eq!(
            error("[upload_small_file]\navg_ms = \"50\""),
            "line 2: upload_small_file.avg_ms: must be a number, 0 or more, or a limit on every stretch of a run, like \
             { limit = 500, window = \"10s\" }"
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
