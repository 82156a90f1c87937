//! What was measured more than once: the later counts, and that is told.

use std::collections::BTreeMap;

use super::entry::{HistoryEntry, HistoryKind, decisive, short};

/// What one measurement stands in the place of.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Measurement {
    commit: String,
    /// The commit that it was compared with; none for a run.
    base: Option<String>,
    /// What of the machine decides whether runs can be compared; nothing for a session, which compares on its own one.
    machine: Vec<String>,
    case: String,
}

/// A sentence for each measurement that is there more than once.
pub(crate) fn doubled(entries: &[HistoryEntry]) -> Vec<String> {
    let mut counts: BTreeMap<Measurement, usize> = BTreeMap::new();
    for entry in entries {
        let mut cases = Vec::new();
        let mut base = None;
        let mut machine = Vec::new();
        match &entry.measured {
            HistoryKind::Gate(gate) => {
                base = Some(gate.base.clone());
                cases.extend(gate.cases.iter().map(|case| gate.name_of(&case.case)));
            }
            HistoryKind::Run(run) => {
                machine = decisive(entry);
                cases.extend(run.cases.iter().map(|case| case.case.clone()));
            }
        }
        for case in cases {
            let measurement = Measurement {
                commit: entry.commit.clone(),
                base: base.clone(),
                machine: machine.clone(),
                case,
            };
            *counts.entry(measurement).or_default() += 1;
        }
    }
    let mut said = Vec::new();
    for (Measurement { commit, base, case, .. }, count) in counts {
        if count > 1 {
            let against = base.map(|base| format!(" against {}", short(&base))).unwrap_or_default();
            let commit = short(&commit);
            said.push(format!("{case} of {commit}{against} is there {count} times: the last one counts"));
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::{changed, gate, run};
    use super::*;

    #[test]
    fn only_the_same_case_of_the_same_commits_is_doubled() {
        let entries = [
            gate(1, 2, vec![changed("a", 0.01), changed("b", 0.0)]),
            gate(0, 2, vec![changed("a", 0.02)]),
            gate(1, 2, vec![changed("a", 0.03)]),
            run(2, "a", 1.0),
            run(2, "a", 1.1),
            run(3, "a", 1.2),
        ];
        let says = [
            "a of 0000002 is there 2 times: the last one counts",
            "a of 0000002 against 0000001 is there 2 times: the last one counts",
        ];
        assert_eq!(doubled(&entries), says);
        assert_eq!(doubled(&entries[..2]), Vec::<String>::new());
    }
}
