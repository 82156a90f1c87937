//! A line of the history: what was measured of one commit, in one session of the gate or one run.

use serde::{Deserialize, Serialize};

use crate::baseline::Origin;
use crate::lockstep::{Finding, Measure};
use crate::units::Day;

/// Version of the fields below; it rises when one of them changes its meaning.
pub(crate) const SCHEMA_VERSION: u32 = 1;
/// Digits of a hash that git needs at least, and that people are shown.
const SHORT: usize = 7;

/// What was measured of a commit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct HistoryEntry {
    /// Version of these fields.
    pub schema_version: u32,
    /// Hash of the commit.
    pub commit: String,
    /// When it was measured (RFC 3339).
    pub made_at: String,
    /// Where it was measured, where that is known.
    pub machine: Option<Origin>,
    /// What was measured.
    #[serde(flatten)]
    pub measured: HistoryKind,
}

/// What an entry is of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum HistoryKind {
    /// A session of the gate, which compared the commit with one before it.
    Gate(GateEntry),
    /// A run, which has figures of the commit alone.
    Run(RunEntry),
}

/// A session of the gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct GateEntry {
    /// Hash of the commit that it was compared with.
    pub base: String,
    /// What was compared.
    #[serde(default)]
    pub measure: Measure,
    /// Whether both builds were the same bytes: no case can differ, and none was measured.
    pub identical: bool,
    /// The cases.
    pub cases: Vec<GateCase>,
    /// Ids of cases that the base lacks.
    #[serde(default)]
    pub new_cases: Vec<String>,
    /// Ids of cases that the commit lacks.
    #[serde(default)]
    pub gone_cases: Vec<String>,
}

/// A case of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct GateCase {
    /// Its id.
    pub case: String,
    /// By what share it differs from the base's; none where it has no figures.
    pub change: Option<Change>,
    /// The commit's value of one iteration, of what was compared.
    pub value: Option<f64>,
    /// What the gate found.
    pub finding: Finding,
    /// What was accepted, where that covered what the gate found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<AcceptedStep>,
}

/// A change as a share of 1, with the ends of its interval: 0.02 is 2 % slower.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// The share.
    pub share: f64,
    /// Lower end; none where there were too few pairs for one.
    pub lower: Option<f64>,
    /// Upper end, likewise.
    pub upper: Option<f64>,
}

/// A slowdown that was accepted beforehand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AcceptedStep {
    /// How much slower the case may be.
    pub up_to: f64,
    /// The last day on which that is accepted.
    pub until: Day,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunEntry {
    /// The cases, or operations that are not a case of the suite.
    pub cases: Vec<RunCase>,
}

/// A case of a run. Latencies of single operations, in ms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunCase {
    /// Its id.
    pub case: String,
    /// 5th percentile, which slow spells of a machine hardly move.
    pub low_ms: f64,
    /// Median.
    pub p50_ms: f64,
    /// The ends of the median's 95 % interval, where the report has both.
    pub p50_interval_ms: Option<[f64; 2]>,
    /// 95th percentile.
    pub p95_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// Whether all of its targets held; none where it had none.
    pub held: Option<bool>,
}

impl Change {
    /// That of two builds that are the same.
    pub const NONE: Self = Self { share: 0.0, lower: Some(0.0), upper: Some(0.0) };

    /// Whether logarithms can be taken of it.
    fn is_sound(&self) -> bool {
        let mut ends = [Some(self.share), self.lower, self.upper].into_iter().flatten();
        ends.all(|end| end.is_finite() && end > -1.0)
    }
}

impl HistoryEntry {
    /// The session, if the entry is of one.
    pub fn gate(&self) -> Option<&GateEntry> {
        match &self.measured {
            HistoryKind::Gate(gate) => Some(gate),
            HistoryKind::Run(_) => None,
        }
    }

    /// The run, if the entry is of one.
    pub fn run(&self) -> Option<&RunEntry> {
        match &self.measured {
            HistoryKind::Run(run) => Some(run),
            HistoryKind::Gate(_) => None,
        }
    }

    /// The reason why nothing can be computed from it, if there is one: whoever edits the file by hand may write anything.
    pub(super) fn problem(&self) -> Option<String> {
        if !is_hash(&self.commit) {
            return Some("commit is not the hash of one".to_owned());
        }
        match &self.measured {
            HistoryKind::Gate(gate) if !is_hash(&gate.base) => {
                Some("base is not the hash of a commit".to_owned())
            }
            HistoryKind::Gate(gate) => {
                let unsound =
                    gate.cases.iter().find(|case| case.change.is_some_and(|change| !change.is_sound()));
                unsound.map(|case| format!("{}: its change is not a share above -100 %", case.case))
            }
            HistoryKind::Run(run) => {
                let unsound = run.cases.iter().find(|case| {
                    [case.low_ms, case.p50_ms, case.p95_ms, case.p99_ms].iter().any(|ms| !is_latency(*ms))
                });
                unsound.map(|case| format!("{}: a latency of it is not above 0", case.case))
            }
        }
    }
}

impl GateEntry {
    /// What a case of this session is called in a history, where sessions may compare different things of one case.
    pub fn name_of(&self, case: &str) -> String {
        match &self.measure {
            Measure::WallTime => case.to_owned(),
            measure @ Measure::Count(_) => format!("{case} ({measure})"),
        }
    }
}

/// What of an entry's machine decides whether its figures can be compared with those of another run.
pub(super) fn decisive(entry: &HistoryEntry) -> Vec<String> {
    let mut texts = Vec::new();
    if let Some(machine) = &entry.machine {
        for (_, text) in machine.decisive() {
            texts.push(text);
        }
    }
    texts
}

fn is_hash(text: &str) -> bool {
    text.len() >= SHORT && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

fn is_latency(ms: f64) -> bool {
    ms.is_finite() && ms > 0.0
}

/// A hash as people are shown it.
pub(crate) fn short(hash: &str) -> &str {
    hash.get(..SHORT).unwrap_or(hash)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The hash of commit number so-and-so, of which people are shown the number.
    pub fn hash(number: usize) -> String {
        format!("{number:07}{}", "0".repeat(33))
    }

    /// An entry of a session that compared commit `head` with commit `base`, by their numbers.
    pub fn gate(base: usize, head: usize, cases: Vec<GateCase>) -> HistoryEntry {
        HistoryEntry {
            schema_version: SCHEMA_VERSION,
            commit: hash(head),
            made_at: "2026-11-26T14:00:00+00:00".to_owned(),
            machine: None,
            measured: HistoryKind::Gate(GateEntry {
                base: hash(base),
                measure: Measure::WallTime,
                identical: false,
                cases,
                new_cases: Vec::new(),
                gone_cases: Vec::new(),
            }),
        }
    }

    /// A case that differs by this share, and as surely by half a percent.
    pub fn changed(case: &str, share: f64) -> GateCase {
        let change = Change { share, lower: Some(share - 0.005), upper: Some(share + 0.005) };
        GateCase {
            case: case.to_owned(),
            change: Some(change),
            value: Some(1e6),
            finding: Finding::Same,
            accepted: None,
        }
    }

    /// An entry of a run in which this case had this median, and four fifths of it as its 5th percentile.
    pub fn run(commit: usize, case: &str, p50_ms: f64) -> HistoryEntry {
        let case = RunCase {
            case: case.to_owned(),
            low_ms: 0.8 * p50_ms,
            p50_ms,
            p50_interval_ms: None,
            p95_ms: 2.0 * p50_ms,
            p99_ms: 3.0 * p50_ms,
            held: None,
        };
        HistoryEntry {
            measured: HistoryKind::Run(RunEntry { cases: vec![case] }),
            ..gate(0, commit, Vec::new())
        }
    }

    #[test]
    fn an_entry_is_one_line_that_is_read_back() {
        for entry in [gate(1, 2, vec![changed("a", 0.01)]), run(2, "a", 0.5)] {
            let line = serde_json::to_string(&entry).expect("serialises");
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<HistoryEntry>(&line).expect("is one"), entry);
        }
        let line = serde_json::to_string(&gate(1, 2, Vec::new())).expect("serialises");
        assert!(line.contains(r#""kind":"gate""#) && line.contains(r#""measure":"wall_time""#), "{line}");
    }

    #[test]
    fn what_nothing_can_be_computed_from_is_refused() {
        assert_eq!(gate(1, 2, vec![changed("a", 0.01)]).problem(), None);
        assert_eq!(run(2, "a", 0.5).problem(), None);
        let says = gate(1, 2, vec![changed("a", -1.0)]).problem();
        assert_eq!(says.as_deref(), Some("a: its change is not a share above -100 %"));
        let says = run(2, "a", 0.0).problem();
        assert_eq!(says.as_deref(), Some("a: a latency of it is not above 0"));
        for commit in ["", "main", "12345", "1234567é"] {
            let entry = HistoryEntry { commit: commit.to_owned(), ..run(2, "a", 0.5) };
            assert_eq!(entry.problem().as_deref(), Some("commit is not the hash of one"), "{commit}");
        }
    }

    #[test]
    fn counts_have_a_name_of_their_own() {
        let mut entry = gate(1, 2, Vec::new());
        let HistoryKind::Gate(session) = &mut entry.measured else { panic!("is a session") };
        assert_eq!(session.name_of("a"), "a");
        session.measure = Measure::Count("allocations".to_owned());
        assert_eq!(session.name_of("a"), "a (allocations)");
    }
}
