//! What the record of a shard says besides its figures: which part of which run it is, and what the clock showed.

use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::plan::{Model, Plan};
use super::shard::Shard;
use crate::units::{hex, printable};

/// How much later than agreed a shard may begin. A part of a Poisson schedule that is late by a constant time leaves the whole
/// one Poisson; but what is put together second by second has to be of the same second.
pub(super) const LATE: Duration = Duration::from_secs(1);

/// Which part of a run a record is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardRecord {
    /// The part.
    pub shard: Shard,
    /// SHA-256 of what all shards of a run have in common (schedule, seed, files, protocol, number of shards, build), hex.
    pub plan_hash: String,
    /// What the clock showed.
    pub clock: ShardClock,
}

/// Readings of a shard's clocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardClock {
    /// The start that was agreed on, if one was.
    pub agreed: Option<SystemTime>,
    /// The start, by the wall clock.
    pub started: SystemTime,
    /// The end, by the wall clock.
    pub ended: SystemTime,
    /// Time from start to end, by the monotonic clock.
    pub lasted: Duration,
}

/// What a record was put together from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergedRecord {
    /// How many shards the run had.
    pub of: u32,
    /// What they had in common.
    pub plan_hash: String,
    /// Those that were counted, in order.
    pub shards: Vec<MergedShard>,
    /// The command that repeats one of them, for a shell, without secrets. Nothing where one command started all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard_command: Option<String>,
    /// Reasons why the whole is not to be trusted; empty if it is.
    pub problems: Vec<String>,
}

/// A shard in the record that it was put into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergedShard {
    /// Its index.
    pub index: u32,
    /// Time from the first shard's start to its own, by their wall clocks.
    pub after_first: Duration,
    /// How much later than agreed it began, if a start was agreed on.
    pub late: Option<Duration>,
    /// By how much its wall clock moved away from its monotonic one.
    pub drift: Duration,
    /// Requests that were due.
    pub scheduled: u64,
    /// Successes.
    pub ok: u64,
    /// Failures.
    pub failed: u64,
    /// Requests that had not ended when it did.
    pub unfinished: u64,
}

impl ShardRecord {
    /// Makes texts that came with a file safe to print.
    pub(super) fn make_printable(&mut self) {
        self.plan_hash = printable(&self.plan_hash);
    }
}

impl ShardClock {
    /// How much later than agreed it began, if a start was agreed on.
    pub fn late(&self) -> Option<Duration> {
        self.agreed.map(|agreed| self.started.duration_since(agreed).unwrap_or_default())
    }

    /// By how much the wall clock moved away from the monotonic one during the run.
    pub fn drift(&self) -> Duration {
        let by_wall = self.ended.duration_since(self.started).unwrap_or_default();
        by_wall.abs_diff(self.lasted)
    }
}

impl MergedRecord {
    /// Makes texts that came with a file safe to print.
    pub(super) fn make_printable(&mut self) {
        self.plan_hash = printable(&self.plan_hash);
        if let Some(command) = &mut self.shard_command {
            *command = printable(command);
        }
        for problem in &mut self.problems {
            *problem = printable(problem);
        }
    }
}

/// What makes a run this run and no other, besides its plan.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct RunIdentity<'a> {
    /// What reports call it.
    pub operation: &'a str,
    /// What is sent.
    pub sent: &'a str,
    /// The steps that each request consists of, if it has some.
    pub steps: &'a [String],
    /// The simulated network.
    pub network: Option<&'a str>,
    /// The protocol that is spoken.
    pub protocol: &'a str,
    /// Hash of the source that this program was built from.
    pub source: &'a str,
    /// How many shards there are.
    pub shards: u32,
}

/// SHA-256 of what all shards of a run have in common, hex.
pub(crate) fn run_hash(plan: &Plan, identity: RunIdentity<'_>) -> String {
    /// In this order, as the text is hashed.
    #[derive(Serialize)]
    struct Common<'a> {
        identity: RunIdentity<'a>,
        model: &'a Model,
        seed: u64,
        warm_up: Duration,
        grace: Duration,
    }
    // Not the most requests at once, which follows from the limits of each machine, and not the shard itself.
    let Plan { model, seed, warm_up, grace, .. } = plan;
    let common = Common { identity, model, seed: *seed, warm_up: *warm_up, grace: *grace };
    let text = serde_json::to_string(&common).expect("a plan has only numbers and texts");
    hex(digest(&SHA256, text.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::super::profile::Profile;
    use super::super::schedule::Arrivals;
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn plan() -> Plan {
        let rate = Profile::constant(100.0, MS(10_000));
        Plan::new(Model::Open { rate, arrivals: Arrivals::Poisson })
    }

    fn identity() -> RunIdentity<'static> {
        RunIdentity {
            operation: "load",
            sent: "100 KB",
            steps: &[],
            network: None,
            protocol: "HTTP/1.1",
            source: "abc",
            shards: 4,
        }
    }

    #[test]
    fn every_shard_of_a_run_has_its_hash_and_no_other_run_has() {
        let hash = run_hash(&plan(), identity());
        assert_eq!(hash.len(), 64);
        let shard = Shard::new(3, 4).expect("is one");
        assert_eq!(run_hash(&Plan { shard, at_once: 7, ..plan() }, identity()), hash);
        let steps = ["flow/upload".to_owned()];
        let others = [
            run_hash(&Plan { seed: 43, ..plan() }, identity()),
            run_hash(&Plan { warm_up: MS(1), ..plan() }, identity()),
            run_hash(&Plan { grace: MS(1), ..plan() }, identity()),
            run_hash(&plan(), RunIdentity { operation: "other", ..identity() }),
            run_hash(&plan(), RunIdentity { sent: "1 MB", ..identity() }),
            run_hash(&plan(), RunIdentity { steps: &steps, ..identity() }),
            run_hash(&plan(), RunIdentity { network: Some("lte"), ..identity() }),
            run_hash(&plan(), RunIdentity { protocol: "HTTP/2", ..identity() }),
            run_hash(&plan(), RunIdentity { source: "abd", ..identity() }),
            run_hash(&plan(), RunIdentity { shards: 5, ..identity() }),
        ];
        assert!(!others.contains(&hash), "{others:?}");
    }

    #[test]
    fn a_clock_tells_how_late_it_was_and_how_far_it_drifted() {
        let agreed = SystemTime::UNIX_EPOCH + MS(1_000_000);
        let clock = ShardClock {
            agreed: Some(agreed),
            started: agreed + MS(250),
            ended: agreed + MS(10_251),
            lasted: MS(10_004),
        };
        // 10.001 s by the wall clock, 10.004 s by the other.
        assert_eq!((clock.late(), clock.drift()), (Some(MS(250)), MS(3)));
        assert_eq!(ShardClock { agreed: None, ..clock.clone() }.late(), None);
        assert_eq!(ShardClock { started: agreed - MS(1), ..clock }.late(), Some(MS(0)));
    }
}
