//! Where the time of a case's operations went, in pairs of processes: what is stored of a case that was explained.

use serde::{Deserialize, Serialize};

/// Version of the file. It rises when a field below changes its meaning.
pub const EXPLANATION_VERSION: u32 = 1;

/// What was measured to explain the cases of a session, whole: what is told of it follows from this and the verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplanationRecord {
    /// Version of these fields.
    pub schema_version: u32,
    /// Checksum of the session's record, so that no other session is explained by this. Empty until it is stored.
    #[serde(default)]
    pub session: String,
    /// The cases that were explained.
    pub cases: Vec<CaseTimes>,
    /// Reasons why a case, or all of them, could not be explained; a sentence each.
    pub problems: Vec<String>,
}

/// The times of one case, pair by pair.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseTimes {
    /// Its id.
    pub id: String,
    /// The operations of each pair of processes.
    pub pairs: Vec<PairTime>,
    /// Phases of the service, in the order in which they follow each other; none where nobody times them.
    pub phases: Vec<PartTimes>,
    /// Functions by the CPU time that is their own; none where no stacks were sampled.
    pub frames: Vec<PartTimes>,
}

/// The operations of one pair of processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairTime {
    /// Of the process of base.
    pub base: ArmTime,
    /// Of the process of head.
    pub head: ArmTime,
}

/// The operations of one process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmTime {
    /// How many.
    pub operations: u64,
    /// The sum of their latencies, as the client measured them.
    pub latency_ns: u64,
}

/// The time of one part in each pair of processes: that of all operations together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartTimes {
    /// Name of the phase, or of the thread and the function.
    pub name: String,
    /// In the process of base.
    pub base_ns: Vec<u64>,
    /// In the process of head.
    pub head_ns: Vec<u64>,
}

/// What one process tells of its operations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// The operations.
    pub time: ArmTime,
    /// Their time by phase.
    pub phases: Vec<PartTime>,
    /// Their CPU time by function.
    pub frames: Vec<PartTime>,
}

/// The time of one part in one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartTime {
    /// Name of the part.
    pub name: String,
    /// All of it.
    pub ns: u64,
}

/// What both processes of a pair tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PairTold {
    /// The process of base.
    pub base: Told,
    /// The process of head.
    pub head: Told,
}

impl ExplanationRecord {
    /// One that explains nothing yet.
    pub fn empty() -> Self {
        Self {
            schema_version: EXPLANATION_VERSION,
            session: String::new(),
            cases: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// An error where it does not belong to the session with this checksum, or could not have been measured.
    pub fn check(&self, session: &str) -> Result<(), String> {
        if self.schema_version != EXPLANATION_VERSION {
            return Err(format!(
                "has version {}, and {EXPLANATION_VERSION} is understood",
                self.schema_version
            ));
        }
        if self.session != session {
            return Err("explains another session than the one whose slices lie beside it".to_owned());
        }
        for case in &self.cases {
            if !case.is_sound() {
                return Err(format!("{}: a pair has no operations, or a part is missing in a pair", case.id));
            }
        }
        Ok(())
    }
}

impl CaseTimes {
    /// Of this case, without pairs.
    pub fn of(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }

    /// Adds what the processes of a pair told.
    pub fn add(&mut self, told: &PairTold) {
        let PairTold { base, head } = told;
        self.pairs.push(PairTime { base: base.time, head: head.time });
        add_pair(&mut self.phases, self.pairs.len(), &base.phases, &head.phases);
        add_pair(&mut self.frames, self.pairs.len(), &base.frames, &head.frames);
    }

    /// Whether every pair has operations, and every part a time in every pair.
    fn is_sound(&self) -> bool {
        let pairs = self.pairs.len();
        let have_operations =
            self.pairs.iter().flat_map(|pair| [pair.base, pair.head]).all(ArmTime::has_operations);
        let mut parts = self.phases.iter().chain(&self.frames);
        have_operations && parts.all(|part| part.base_ns.len() == pairs && part.head_ns.len() == pairs)
    }
}

impl ArmTime {
    /// Whether there were any, and took something: means are divided by both.
    pub fn has_operations(self) -> bool {
        self.operations > 0 && self.latency_ns > 0
    }
}

/// Adds the last of so many pairs to each part. One that is not mentioned took no time.
fn add_pair(parts: &mut Vec<PartTimes>, pairs: usize, base: &[PartTime], head: &[PartTime]) {
    for part in parts.iter_mut() {
        part.base_ns.push(0);
        part.head_ns.push(0);
    }
    for time in base {
        let ns = &mut known_as(parts, &time.name, pairs).base_ns[pairs - 1];
        *ns = ns.saturating_add(time.ns);
    }
    for time in head {
        let ns = &mut known_as(parts, &time.name, pairs).head_ns[pairs - 1];
        *ns = ns.saturating_add(time.ns);
    }
}

/// The part of this name. One that was not seen before took no time in the pairs before.
fn known_as<'a>(parts: &'a mut Vec<PartTimes>, name: &str, pairs: usize) -> &'a mut PartTimes {
    let known = parts.iter().position(|part| part.name == name);
    let place = known.unwrap_or(parts.len());
    if known.is_none() {
        parts.push(PartTimes { name: name.to_owned(), base_ns: vec![0; pairs], head_ns: vec![0; pairs] });
    }
    &mut parts[place]
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What a process tells of operations that take so long each, with the time of an operation in each phase.
    pub fn told(operations: u64, latency_ns: u64, phases: &[(&str, u64)]) -> Told {
        let mut parts = Vec::new();
        for (name, ns) in phases {
            parts.push(PartTime { name: (*name).to_owned(), ns: operations * ns });
        }
        let time = ArmTime { operations, latency_ns: operations * latency_ns };
        Told { time, phases: parts, frames: Vec::new() }
    }

    /// Two pairs. Head has a phase more, which was not met in the first of them.
    fn times() -> CaseTimes {
        let mut times = CaseTimes::of("a");
        let base = told(10, 100, &[("hash", 30), ("token", 20)]);
        times.add(&PairTold { base: base.clone(), head: told(10, 110, &[("hash", 40)]) });
        times.add(&PairTold { base, head: told(20, 110, &[("hash", 40), ("new", 1)]) });
        times
    }

    #[test]
    fn every_part_has_a_time_in_every_pair() {
        let times = times();
        let rows: Vec<(&str, &[u64], &[u64])> = times
            .phases
            .iter()
            .map(|part| (part.name.as_str(), part.base_ns.as_slice(), part.head_ns.as_slice()))
            .collect();
        let expected: [(&str, &[u64], &[u64]); 3] =
            [("hash", &[300, 300], &[400, 800]), ("token", &[200, 200], &[0, 0]), ("new", &[0, 0], &[0, 20])];
        assert_eq!(rows, expected);
        assert_eq!(times.pairs[1].head, ArmTime { operations: 20, latency_ns: 2200 });
        assert!(times.frames.is_empty());
    }

    #[test]
    fn what_belongs_to_another_session_or_was_cut_is_refused() {
        let whole = ExplanationRecord {
            session: "ab".to_owned(),
            cases: vec![times()],
            ..ExplanationRecord::empty()
        };
        assert_eq!(whole.check("ab"), Ok(()));
        let error = whole.check("cd").expect_err("is of another session");
        assert!(error.contains("explains another session"), "{error}");
        let mut newer = whole.clone();
        newer.schema_version = 2;
        assert_eq!(newer.check("ab"), Err("has version 2, and 1 is understood".to_owned()));
        let mut cut = whole.clone();
        cut.cases[0].pairs.pop();
        let mut idle = whole;
        idle.cases[0].pairs[0].head.operations = 0;
        for record in [cut, idle] {
            let error = record.check("ab").expect_err("was changed");
            assert!(error.starts_with("a: a pair has no operations"), "{error}");
        }
    }
}
