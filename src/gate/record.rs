//! What a session measured: every slice, and all that is needed to judge it again.

use serde::{Deserialize, Serialize};

use super::plan::Plan;
use super::protocol::Build;
use super::schedule::{Order, Role};

/// Rises when a field below changes its meaning.
pub const SCHEMA_VERSION: u32 = 1;

/// Longest slice, an hour: so that no sum overflows.
pub const LONGEST_NS: u64 = 3_600_000_000_000;

/// A whole session. The verdict follows from it alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Version of these fields.
    pub schema_version: u32,
    /// Whether the session ended before its plan did; such a one is not judged.
    pub partial: bool,
    /// When it was made (RFC 3339, UTC).
    pub made_at: String,
    /// What was to be done.
    pub plan: Plan,
    /// What was compared with.
    pub base: Measured,
    /// What was compared.
    pub head: Measured,
    /// The machine, as reports have it.
    pub environment: serde_json::Value,
    /// What a reader should know before the figures, a sentence each.
    pub notices: Vec<String>,
    /// Ids of cases that one arm lacks.
    pub only_in_base: Vec<String>,
    /// Likewise.
    pub only_in_head: Vec<String>,
    /// The cases that both have.
    pub cases: Vec<CaseRecord>,
}

/// One arm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// What people call it.
    pub name: String,
    /// What its worker said of itself.
    pub build: Build,
    /// The ingester's URL; the stub if there is none.
    pub url: Option<String>,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseRecord {
    /// Its id.
    pub id: String,
    /// A slowdown from here on fails it (a share of 1).
    pub fail_over: f64,
    /// Iterations in every slice; the same for all arms and pairs.
    pub iters: u64,
    /// Time of its slices in one pair, in ns.
    pub slot_ns: u64,
    /// Whether one block takes more than a tenth of the case's time.
    pub too_slow: bool,
    /// The blocks of each pair of processes.
    pub pairs: Vec<Vec<Block>>,
}

/// Six slices: each arm once, then once more in the opposite order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Which arm ran when, in the first half.
    pub order: Order,
    /// Nanoseconds of each slice, in the order in which they ran.
    pub ns: [u64; 6],
    /// Nanoseconds for which the copy of base spun after its two slices: the slowed control.
    pub spun_ns: u64,
}

impl Block {
    /// Nanoseconds of all that was timed.
    pub fn total_ns(&self) -> u64 {
        self.ns.iter().sum::<u64>() + self.spun_ns
    }

    /// Nanoseconds of both slices of an arm.
    pub fn sum(&self, role: Role) -> u64 {
        let mirrored = self.order.iter().chain(self.order.iter().rev());
        mirrored.zip(self.ns).filter(|(of, _)| **of == role).map(|(_, ns)| ns).sum()
    }

    /// Whether it has every arm, and every slice took time.
    pub fn is_sound(&self) -> bool {
        let hour = LONGEST_NS;
        let mut roles = self.order;
        roles.sort_unstable();
        roles == Role::ALL && self.ns.iter().all(|ns| (1..=hour).contains(ns)) && self.spun_ns <= hour
    }

    /// The logarithm of a time over the base's.
    pub fn log_ratio(&self, of: Compared) -> f64 {
        let time = match of {
            Compared::Head => self.sum(Role::Head),
            Compared::Copy => self.sum(Role::Copy),
            Compared::Slowed => self.sum(Role::Copy) + self.spun_ns,
        };
        (time as f64 / self.sum(Role::Base) as f64).ln()
    }
}

/// What is set against the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// The change.
    Head,
    /// A second process of the base, which must show nothing.
    Copy,
    /// The same, slowed by a known share, which must be caught.
    Slowed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use Role::{Base, Copy, Head};

    #[test]
    fn a_block_by_hand() {
        let block = Block { order: [Head, Base, Copy], ns: [11, 10, 20, 20, 30, 33], spun_ns: 4 };
        assert_eq!((block.sum(Base), block.sum(Head), block.sum(Copy)), (40, 44, 40));
        assert!((block.log_ratio(Compared::Head) - 1.1_f64.ln()).abs() < 1e-12);
        assert_eq!(block.log_ratio(Compared::Copy), 0.0);
        assert!((block.log_ratio(Compared::Slowed) - 1.1_f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn a_steady_drift_cancels_within_a_block() {
        // 10 ns more from slice to slice.
        let block = Block { order: [Base, Copy, Head], ns: [100, 110, 120, 130, 140, 150], spun_ns: 0 };
        assert_eq!((block.log_ratio(Compared::Head), block.log_ratio(Compared::Copy)), (0.0, 0.0));
    }
}
