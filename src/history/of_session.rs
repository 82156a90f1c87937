//! A session of the gate as an entry.

use super::entry::{AcceptedStep, Change, GateCase, GateEntry, HistoryEntry, HistoryKind, SCHEMA_VERSION};
use crate::baseline::Origin;
use crate::lockstep::{
    AcceptedState, CaseVerdict, Finding, IdenticalRecord, Measure, Record, SessionVerdict,
};

/// Hashes of the two commits that a session compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ComparedCommits {
    /// The change.
    pub commit: String,
    /// What it was compared with.
    pub base: String,
}

/// The entry of a session and the verdict on it.
pub(crate) fn entry_of_session(
    record: &Record,
    verdict: &SessionVerdict,
    commits: ComparedCommits,
) -> HistoryEntry {
    let mut cases = Vec::new();
    for case in &verdict.cases {
        // A case that is missing is listed below, and has no figures.
        if case.finding != Finding::Missing {
            cases.push(gate_case(case, verdict));
        }
    }
    let gate = GateEntry {
        base: commits.base,
        measure: record.measure.clone(),
        identical: false,
        cases,
        new_cases: record.only_in_head.clone(),
        gone_cases: [record.missing.clone(), record.allowed_missing.clone()].concat(),
    };
    entry(gate, commits.commit, &record.made_at, &record.environment)
}

/// The entry of two builds that are the same.
pub(crate) fn entry_of_identical(identical: &IdenticalRecord, commits: ComparedCommits) -> HistoryEntry {
    let gate = GateEntry {
        base: commits.base,
        measure: Measure::WallTime,
        identical: true,
        cases: Vec::new(),
        new_cases: Vec::new(),
        gone_cases: Vec::new(),
    };
    entry(gate, commits.commit, &identical.made_at, &identical.environment)
}

fn entry(gate: GateEntry, commit: String, made_at: &str, environment: &serde_json::Value) -> HistoryEntry {
    HistoryEntry {
        schema_version: SCHEMA_VERSION,
        commit,
        made_at: made_at.to_owned(),
        // A session compares on one machine whichever it is: where this is not known, nothing is lost.
        machine: serde_json::from_value::<Origin>(environment.clone()).ok(),
        measured: HistoryKind::Gate(gate),
    }
}

fn gate_case(case: &CaseVerdict, verdict: &SessionVerdict) -> GateCase {
    // Where the whole session is worthless, so is each of its figures.
    let finding = if verdict.distrust.is_empty() { case.finding } else { Finding::Untrusted };
    let figures = case.figures.as_ref();
    let change = figures.map(|figures| Change {
        share: figures.effect.share,
        lower: figures.effect.lower,
        upper: figures.effect.upper,
    });
    let mut accepted = None;
    for one in &verdict.accepted {
        if finding == Finding::Accepted && one.state == AcceptedState::Covers && one.slowdown.case == case.id
        {
            accepted = Some(AcceptedStep { up_to: one.slowdown.up_to, until: one.slowdown.until.clone() });
        }
    }
    GateCase {
        case: case.id.clone(),
        change,
        value: figures.map(|figures| figures.head).filter(|value| value.is_finite()),
        finding,
        accepted,
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::hash;
    use super::*;
    use crate::lockstep::{AcceptedSlowdown, AcceptedVerdict, Effect, Figures};
    use crate::verdict::Verdict;

    fn case(id: &str, finding: Finding, share: f64) -> CaseVerdict {
        let effect =
            Effect { share, lower: Some(share - 0.01), upper: Some(share + 0.01), coverage: Some(0.95) };
        let figures = Figures {
            base: 100.0,
            head: 103.0,
            effect,
            p: None,
            mde: 0.02,
            spread: 0.01,
            aa_control: effect,
            positive_control: effect,
            positive_control_share: 0.05,
            tail: None,
            pairs: 20,
            blocks: 400,
        };
        let figures = Some(figures);
        CaseVerdict { id: id.to_owned(), finding, threshold: 0.02, distrust: Vec::new(), figures }
    }

    #[test]
    fn a_case_keeps_its_change_its_value_and_what_was_accepted() {
        let until = "2026-12-24".parse().expect("is a day");
        let slowdown = AcceptedSlowdown {
            case: "a".to_owned(),
            up_to: 0.04,
            left: 0.04,
            until,
            why: "it verifies checksums".to_owned(),
        };
        let verdict = SessionVerdict {
            conclusion: Verdict::Held,
            accepted: vec![AcceptedVerdict { slowdown, state: AcceptedState::Covers, at_most: Some(0.04) }],
            ..SessionVerdict::identical()
        };
        let kept = gate_case(&case("a", Finding::Accepted, 0.03), &verdict);
        assert_eq!(kept.value, Some(103.0));
        assert!(kept.change.is_some_and(|change| change.share == 0.03 && change.upper == Some(0.04)));
        assert_eq!(kept.accepted.expect("was accepted").up_to, 0.04);
        // Another case is not covered by it.
        assert_eq!(gate_case(&case("b", Finding::Same, 0.0), &verdict).accepted, None);
    }

    #[test]
    fn in_a_worthless_session_no_case_is_to_be_trusted() {
        let verdict = SessionVerdict {
            distrust: vec!["no coin decided that".to_owned()],
            ..SessionVerdict::identical()
        };
        assert_eq!(gate_case(&case("a", Finding::Same, 0.0), &verdict).finding, Finding::Untrusted);
    }

    #[test]
    fn identical_builds_are_an_entry_without_cases() {
        let identical = IdenticalRecord {
            schema_version: 3,
            made_at: "2026-11-26T14:00:00+00:00".to_owned(),
            base_commit: None,
            head_commit: None,
            environment: serde_json::Value::Null,
        };
        let entry = entry_of_identical(&identical, ComparedCommits { commit: hash(2), base: hash(1) });
        assert_eq!((entry.commit.clone(), entry.machine.clone(), entry.problem()), (hash(2), None, None));
        let gate = entry.gate().expect("is a session");
        assert!(gate.identical && gate.cases.is_empty() && gate.base == hash(1));
    }
}
