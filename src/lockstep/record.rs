//! The record of a session: every slice, and all that is needed to judge it again.

use serde::{Deserialize, Serialize};

use super::accepted::Accepted;
use super::counters::Counters;
use super::measure::Measure;
use super::plan::Plan;
use super::schedule::{Order, Role};
use crate::machine::Conditions;

/// Version of the record. It rises when a field below changes its meaning.
/// 3: what is measured has a name in place of a unit.
pub const SCHEMA_VERSION: u32 = 3;

/// Largest value of a slice: an hour in nanoseconds. With the limit no sum overflows.
// A u64 holds the sum of five million of them.
pub const LARGEST_VALUE: u64 = 3_600_000_000_000;

/// A whole session. The verdict follows from it alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Version of these fields.
    pub schema_version: u32,
    /// SHA-256 of the rest, hex, by which it is noticed if a part was cut or left out. Empty until the record is
    /// stored.
    #[serde(default)]
    pub checksum: String,
    /// Whether the session ended before its plan did; such a one is not judged.
    pub partial: bool,
    /// When it was made (RFC 3339, UTC).
    pub made_at: String,
    /// How the session was to run and is judged.
    pub plan: Plan,
    /// What the change was compared with.
    pub base: Measured,
    /// The change.
    pub head: Measured,
    /// What all values are.
    pub measure: Measure,
    /// The machine and the build, as in reports.
    pub environment: serde_json::Value,
    /// What a reader should know before the figures, a sentence each.
    pub notices: Vec<String>,
    /// Ids of cases that head lacks, and that were not allowed to be missing.
    pub missing: Vec<String>,
    /// Ids of cases that head lacks, as was allowed.
    pub allowed_missing: Vec<String>,
    /// Ids of cases that base lacks.
    pub only_in_head: Vec<String>,
    /// For each pair that counts, its number in the order of the seed. Numbers that are not here met a storm.
    pub numbers: Vec<usize>,
    /// Pairs that were measured and repeated.
    pub storms: Vec<Storm>,
    /// The cases that both have.
    pub cases: Vec<CaseRecord>,
    /// Exact counts of both sides, if they were made.
    // Left out where there are none, so that the checksum of an older record stays right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counters: Option<Counters>,
    /// Slowdowns that were accepted beforehand; none where no file accepts any.
    // Left out likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Accepted>,
}

/// A session that was not held, as both builds are the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IdenticalRecord {
    /// Version of these fields.
    pub schema_version: u32,
    /// When that was found (RFC 3339, UTC).
    pub made_at: String,
    /// Hash of the commit that the change was compared with, if it is one.
    pub base_commit: Option<String>,
    /// Hash of the change's commit, likewise.
    pub head_commit: Option<String>,
    /// The machine and the build, as in reports.
    pub environment: serde_json::Value,
}

/// One side of the comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Name in messages: a commit, a file, a URL.
    pub name: String,
    /// The build, as its worker's greeting described it.
    pub build: Build,
    /// URL of the running ingester, if it was one.
    pub url: Option<String>,
    /// Hash of the commit, if it was one.
    // Left out where there is none, so that the checksum of an older record stays right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// The build of one side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Version of the program.
    #[serde(default)]
    pub version: String,
    /// The compiler, or the interpreter.
    #[serde(default)]
    pub compiler: String,
    /// `debug` or `release`.
    #[serde(default)]
    pub profile: String,
    /// SHA-256 of the executable, hex.
    pub sha256: String,
}

/// A pair that does not count because the machine was disturbed during it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Storm {
    /// Number of the pair in the order of the seed.
    pub number: usize,
    /// What was wrong, in words.
    pub reason: String,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseRecord {
    /// Its id.
    pub id: String,
    /// The slowdown from which on it fails (a share of 1).
    pub threshold: f64,
    /// Iterations in every slice; the same for all arms and pairs.
    pub iters: u64,
    /// Time of its slices in one pair, in ns.
    pub slot_ns: u64,
    /// Duration of one block, as found before the first pair, in ns.
    pub block_ns: u64,
    /// Whether one block takes more than a tenth of the case's time.
    pub too_slow: bool,
    /// What each pair of processes measured.
    pub pairs: Vec<CasePair>,
}

/// One case in one pair of processes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CasePair {
    /// The blocks, in the order in which they ran.
    pub blocks: Vec<Block>,
    /// The latencies of all operations in these blocks, for each arm in the order of [`Role::ALL`]: nanoseconds to two
    /// digits, ascending, and how many there were. Empty where the worker keeps none.
    pub latencies: [Vec<(u64, u64)>; 3],
}

/// Six slices: each arm once, then each once more in the opposite order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Which arm ran when, in the first half.
    pub order: Order,
    /// The value of each slice, in the order in which they ran.
    pub values: [u64; 6],
    /// For how much the A/A control spun after its two slices: with it, it is the positive control.
    pub spun: u64,
    /// Nanoseconds from asking for each slice to its answer, by the gate's own clock; with the time of spinning.
    pub waited_ns: [u64; 6],
    /// The state of the machine since the block before.
    pub conditions: Conditions,
}

impl Block {
    /// Values of both slices of an arm, added.
    pub fn sum(&self, role: Role) -> u64 {
        self.slices(role).iter().sum()
    }

    /// Nanoseconds that the gate waited for both slices of an arm.
    pub fn waited(&self, role: Role) -> u64 {
        self.of(role, self.waited_ns).iter().sum()
    }

    /// The value of both slices of an arm.
    pub fn slices(&self, role: Role) -> [u64; 2] {
        self.of(role, self.values)
    }

    fn of(&self, role: Role, numbers: [u64; 6]) -> [u64; 2] {
        let first = self.order.iter().position(|of| *of == role).expect("an order has every role");
        // The second half is the mirror image of the first.
        [numbers[first], numbers[numbers.len() - 1 - first]]
    }

    /// Whether it has every arm, and values that a slice can have.
    pub fn is_sound(&self) -> bool {
        let allowed = 1..=LARGEST_VALUE;
        let mut roles = self.order;
        roles.sort_unstable();
        // A slice of 0 would make a ratio infinite, and a sum of larger values could overflow.
        roles == Role::ALL
            && self.values.iter().chain(&self.waited_ns).all(|number| allowed.contains(number))
            && self.spun <= LARGEST_VALUE
    }

    /// The logarithm of a value over the base's.
    pub fn log_ratio(&self, of: Compared) -> f64 {
        let value = match of {
            Compared::Head => self.sum(Role::Head),
            Compared::Control => self.sum(Role::Control),
            Compared::PositiveControl => self.sum(Role::Control) + self.spun,
        };
        (value as f64 / self.sum(Role::Base) as f64).ln()
    }
}

/// What is compared with the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// The change.
    Head,
    /// The A/A control: a second process of the base, which must show nothing.
    Control,
    /// The positive control: the same, slowed by a known share, which must be caught.
    PositiveControl,
}

#[cfg(test)]
mod tests {
    use super::*;
    use Role::{Base, Control, Head};

    fn block(order: Order, values: [u64; 6], spun: u64) -> Block {
        Block { order, values, spun, waited_ns: [1, 2, 3, 4, 5, 6], conditions: Conditions::default() }
    }

    #[test]
    fn a_block_by_hand() {
        // In the order H B C C B H: head took 11 and 33, base 10 and 30, the control 20 and 20, and 4 for spinning.
        // The gate waited 1 + 6 for head, 2 + 5 for base, 3 + 4 for the control.
        let block = block([Head, Base, Control], [11, 10, 20, 20, 30, 33], 4);
        assert_eq!((block.sum(Base), block.sum(Head), block.sum(Control)), (40, 44, 40));
        assert_eq!((block.waited(Base), block.waited(Head), block.waited(Control)), (7, 7, 7));
        assert!((block.log_ratio(Compared::Head) - 1.1_f64.ln()).abs() < 1e-12);
        assert_eq!(block.log_ratio(Compared::Control), 0.0);
        assert!((block.log_ratio(Compared::PositiveControl) - 1.1_f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn a_steady_drift_cancels_within_a_block() {
        // 10 ns more from slice to slice: each arm's two slices add up to 250.
        let block = block([Base, Control, Head], [100, 110, 120, 130, 140, 150], 0);
        assert_eq!((block.log_ratio(Compared::Head), block.log_ratio(Compared::Control)), (0.0, 0.0));
    }

    #[test]
    fn a_block_without_an_arm_or_with_a_slice_of_nothing_is_not_sound() {
        assert!(block([Base, Control, Head], [1; 6], 0).is_sound());
        assert!(!block([Base, Base, Head], [1; 6], 0).is_sound());
        assert!(!block([Base, Control, Head], [1, 1, 0, 1, 1, 1], 0).is_sound());
        assert!(!block([Base, Control, Head], [1; 6], LARGEST_VALUE + 1).is_sound());
    }
}
