//! What a report says of itself. Of each kind only the keys are read that the index tells, so that reports of other versions
//! are in it, too.

use serde::Deserialize;

use crate::verdict::Verdict;

/// What a report is about, and what it came to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stored {
    /// What was measured.
    pub what: String,
    /// What it came to.
    pub verdict: Verdict,
    /// The same in a sentence; none where the report has none.
    pub conclusion: Option<String>,
    /// When it was made (RFC 3339, UTC), if it says so.
    pub made_at: Option<String>,
    /// Whether it is one of several that share a page.
    pub is_of_a_bench: bool,
}

/// The report of an operation: a case of a bench, or a load.
#[derive(Deserialize)]
struct OperationWire {
    operation: String,
    successful_requests: u64,
    partial: bool,
    targets: Vec<TargetWire>,
    environment: Option<EnvironmentWire>,
    load: Option<LoadWire>,
}

#[derive(Deserialize)]
struct TargetWire {
    held: bool,
}

#[derive(Deserialize)]
struct EnvironmentWire {
    ingester: String,
    made_at: String,
}

#[derive(Deserialize)]
struct LoadWire {
    /// Nothing in reports of earlier versions.
    verdict: Option<Verdict>,
    conclusion: Option<String>,
    health: HealthWire,
}

#[derive(Deserialize)]
struct HealthWire {
    problems: Vec<String>,
}

/// The report of a search for a leak.
#[derive(Deserialize)]
struct LeakWire {
    verdict: LeakVerdictWire,
    conclusion: String,
    partial: bool,
    record: LeakRecordWire,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum LeakVerdictWire {
    Leak,
    None,
    Undecided,
}

#[derive(Deserialize)]
struct LeakRecordWire {
    subject: String,
    environment: EnvironmentWire,
}

/// The verdict of a gate.
#[derive(Deserialize)]
struct GateWire {
    conclusion: GateVerdictWire,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum GateVerdictWire {
    Pass,
    Regression,
    Inconclusive,
}

impl Stored {
    /// Reads the report of an operation. `None` where the text is not one.
    pub(super) fn of_operation(text: &str) -> Option<Self> {
        let wire: OperationWire = serde_json::from_str(text).ok()?;
        let verdict = wire.verdict();
        let made_at = wire.environment.as_ref().map(|environment| environment.made_at.clone());
        // Only a load's report has this part.
        let Some(load) = wire.load else {
            return Some(Self {
                what: wire.operation,
                verdict,
                conclusion: None,
                made_at,
                is_of_a_bench: true,
            });
        };
        let mut what = format!("load \"{}\"", wire.operation);
        if let Some(environment) = &wire.environment {
            what += &format!(" against {}", environment.ingester);
        }
        Some(Self { what, verdict, conclusion: load.conclusion, made_at, is_of_a_bench: false })
    }

    /// Reads the report of a search for a leak.
    pub(super) fn of_leak(text: &str) -> Option<Self> {
        let wire: LeakWire = serde_json::from_str(text).ok()?;
        let verdict = match wire.verdict {
            LeakVerdictWire::Leak => Verdict::Missed,
            LeakVerdictWire::None => Verdict::Held,
            LeakVerdictWire::Undecided => Verdict::Untrusted,
        };
        Some(Self {
            what: format!("leak of {}", wire.record.subject),
            // A search that was stopped has found no more than it has found until then.
            verdict: of_part(verdict, wire.partial),
            conclusion: Some(wire.conclusion),
            made_at: Some(wire.record.environment.made_at),
            is_of_a_bench: false,
        })
    }

    /// Reads the verdict of a gate.
    pub(super) fn of_gate(text: &str) -> Option<Self> {
        let wire: GateWire = serde_json::from_str(text).ok()?;
        let verdict = match wire.conclusion {
            GateVerdictWire::Pass => Verdict::Held,
            GateVerdictWire::Regression => Verdict::Missed,
            GateVerdictWire::Inconclusive => Verdict::Untrusted,
        };
        Some(Self { what: "gate".to_owned(), verdict, conclusion: None, made_at: None, is_of_a_bench: false })
    }
}

impl OperationWire {
    fn verdict(&self) -> Verdict {
        if let Some(load) = &self.load {
            // It knows of all runs of the command, and of what ended them.
            if let Some(verdict) = load.verdict {
                return verdict;
            }
            // Targets were not judged then, and so none was missed.
            if !load.health.problems.is_empty() {
                return Verdict::Untrusted;
            }
        }
        let held = self.successful_requests > 0 && self.targets.iter().all(|target| target.held);
        of_part(Verdict::of(held), self.partial)
    }
}

/// The verdict on a part of what was to be measured, which is no evidence that all of it would have held.
fn of_part(verdict: Verdict, is_part: bool) -> Verdict {
    if is_part && verdict == Verdict::Held { Verdict::Untrusted } else { verdict }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A report of a case of a bench, as `change` leaves it.
    fn operation(change: impl FnOnce(&mut Value)) -> Option<Stored> {
        let mut report = json!({
            "operation": "op", "successful_requests": 3, "partial": false, "targets": [{"held": true}],
            "environment": {"ingester": "stub", "made_at": "2026-11-26T17:24:11.000000+00:00"},
        });
        change(&mut report);
        Stored::of_operation(&report.to_string())
    }

    fn verdict(change: impl FnOnce(&mut Value)) -> Verdict {
        operation(change).expect("is a report").verdict
    }

    #[test]
    fn a_case_has_held_where_it_succeeded_and_all_targets_did() {
        let stored = operation(|_| ()).expect("is a report");
        assert_eq!((stored.what.as_str(), stored.verdict, stored.is_of_a_bench), ("op", Verdict::Held, true));
        assert_eq!(stored.made_at.as_deref(), Some("2026-11-26T17:24:11.000000+00:00"));
        assert_eq!(verdict(|report| report["targets"][0]["held"] = json!(false)), Verdict::Missed);
        assert_eq!(verdict(|report| report["successful_requests"] = json!(0)), Verdict::Missed);
        assert_eq!(verdict(|report| report["partial"] = json!(true)), Verdict::Untrusted);
    }

    #[test]
    fn a_load_tells_its_own_verdict_and_an_older_one_its_health() {
        let told = json!({"verdict": "held", "conclusion": "ENDED EARLY", "health": {"problems": []}});
        let stored = operation(|report| {
            report["load"] = told;
            report["partial"] = json!(true);
        });
        let stored = stored.expect("is a report");
        assert_eq!((stored.what.as_str(), stored.verdict), ("load \"op\" against stub", Verdict::Held));
        assert_eq!((stored.conclusion.as_deref(), stored.is_of_a_bench), (Some("ENDED EARLY"), false));
        let older = json!({"health": {"problems": ["was late"]}});
        assert_eq!(verdict(|report| report["load"] = older), Verdict::Untrusted);
    }

    #[test]
    fn leaks_and_gates_have_words_of_their_own() {
        let environment = json!({"ingester": "stub", "made_at": "2026"});
        let leak = json!({
            "verdict": "none", "conclusion": "No leak", "partial": false,
            "record": {"subject": "stub", "environment": environment},
        });
        let stored = Stored::of_leak(&leak.to_string()).expect("is one");
        assert_eq!((stored.what.as_str(), stored.verdict), ("leak of stub", Verdict::Held));
        let gate = Stored::of_gate(r#"{"conclusion": "inconclusive"}"#).expect("is one");
        assert_eq!((gate.verdict, gate.made_at), (Verdict::Untrusted, None));
    }

    #[test]
    fn what_is_something_else_is_no_report() {
        for text in ["", "{", "{}", "[]", "null", r#"{"operation": 3}"#] {
            assert_eq!(Stored::of_operation(text), None, "{text}");
            assert_eq!(Stored::of_leak(text), None, "{text}");
            assert_eq!(Stored::of_gate(text), None, "{text}");
        }
        assert_eq!(Stored::of_gate(r#"{"conclusion": "FAILED, slower: a"}"#), None);
    }
}
