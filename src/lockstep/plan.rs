//! The plan of a session. All of it is fixed before the first slice.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::stats::{EXHAUSTIVE_PAIRS, smallest_p};
use crate::units::Share;

/// Fewest pairs of processes. From fewer, their spread cannot be estimated.
pub const MIN_PAIRS: usize = 10;
/// Most pairs of processes: ten minutes of measuring, at the three seconds a pair that are the default.
pub const MAX_PAIRS: usize = 200;
/// Least share by which the positive control is slowed.
const POSITIVE_CONTROL: f64 = 0.05;
/// Least share by which the positive control is slowed, as a multiple of the threshold of its case.
// Beyond twice the threshold, the slowdown with which no case may pass (`passes_below`).
const POSITIVE_CONTROL_PER_THRESHOLD: f64 = 2.5;

/// How a session runs and how it is judged. Shares are of 1: 0.02 is 2 %.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Pairs of processes, each started anew.
    pub pairs: usize,
    /// Most pairs, if a case could come out undecided after the planned ones.
    pub max_pairs: usize,
    /// Time of all slices of `pairs` pairs together, in ms. Further pairs take as long as these did, each.
    pub budget_ms: u64,
    /// A slowdown up to this counts as none: the test asks whether a case got slower by more.
    pub margin: f64,
    /// A slowdown fails a case from here on.
    pub threshold: f64,
    /// False-alarm rate: how often a run of two equal builds may call any case slower.
    pub alpha: f64,
    /// False-alarm rate of the comparison of tails, likewise.
    pub tail_alpha: f64,
    /// Seed of all orders.
    pub seed: u64,
    /// A known slowdown of the head, for trying the gate out.
    pub injected: Option<Injection>,
}

/// A share of its own time by which one case of the head is slowed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Injection {
    /// Id of the case.
    pub case: String,
    /// The share.
    pub share: f64,
}

/// A case to be run, with the limits of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct CasePlan {
    /// Its id.
    pub id: String,
    /// The slowdown from which on it fails.
    pub threshold: f64,
    /// Most iterations of it in one pair, of all arms together.
    pub max_iters: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            // The most for which all patterns of signs can be tried. Twenty short pairs decide more sessions than ten
            // of twice the length.
            pairs: 20,
            // At most twice the time.
            max_pairs: 40,
            budget_ms: 60_000,
            margin: 0.01,
            threshold: 0.02,
            alpha: 0.005,
            tail_alpha: 0.001,
            // The record keeps it, so that the order of the arms can be checked afterwards.
            seed: rand::random(),
            injected: None,
        }
    }
}

impl Plan {
    /// An error where such a session could not come to a verdict.
    pub fn check(&self) -> Result<(), Error> {
        if !(MIN_PAIRS..=MAX_PAIRS).contains(&self.pairs) {
            return wrong_setting(
                "--pairs",
                format!("{} is not from {MIN_PAIRS} to {MAX_PAIRS}", self.pairs),
            );
        }
        if !(self.pairs..=MAX_PAIRS).contains(&self.max_pairs) {
            let problem = format!("{} is not from {} (--pairs) to {MAX_PAIRS}", self.max_pairs, self.pairs);
            return wrong_setting("--max-pairs", problem);
        }
        // A command line has shares only, and a record that was changed by hand may have anything.
        let rates = [self.alpha, self.tail_alpha];
        if let Some(rate) = rates.iter().find(|rate| !(0.0..1.0).contains(*rate)) {
            return wrong_setting(
                "--alpha",
                format!("{} is not a false-alarm rate below 100 %", Share(*rate)),
            );
        }
        if self.margin < 0.0 {
            return wrong_setting("--margin", format!("{} is below 0", Share(self.margin)));
        }
        // Even if every pair showed the largest slowdown, p would not fall below this.
        if smallest_p(self.pairs) > self.alpha {
            let alpha = Share(self.alpha);
            let problem = format!(
                "{} pairs cannot reach a false-alarm rate (--alpha) of {alpha}; take more",
                self.pairs
            );
            return wrong_setting("--pairs", problem);
        }
        // A session that goes on must be able to reach it as well: with random patterns, p has another smallest
        // value.
        if self.max_pairs > EXHAUSTIVE_PAIRS && smallest_p(self.max_pairs) > self.alpha {
            let floor = Share(smallest_p(self.max_pairs));
            return wrong_setting(
                "--alpha",
                format!(
                    "{} is below {floor}, the least that more than {EXHAUSTIVE_PAIRS} pairs can show",
                    Share(self.alpha)
                ),
            );
        }
        // A slowdown between the two would be large enough to fail a case, and yet never be proved.
        if self.margin > self.threshold {
            let margin = Share(self.margin);
            let threshold = Share(self.threshold);
            return wrong_setting("--margin", format!("{margin} is above --threshold {threshold}"));
        }
        if self.budget_ms == 0 {
            return wrong_setting("--budget", "no time to measure in".to_owned());
        }
        Ok(())
    }

    /// The budget with which each of these cases can be judged, from what one block of each takes.
    pub fn needed(blocks: &[Duration], block_at_most: f64) -> Duration {
        let all: f64 = weights(blocks).iter().sum();
        let mut needed = Duration::ZERO;
        for (block, weight) in blocks.iter().zip(weights(blocks)) {
            // The case gets this share of all time, and its block may take only a part of that.
            let share = weight / all;
            needed = needed.max(block.div_f64(block_at_most * share));
        }
        needed
    }

    /// Shares the budget among pairs and cases: the time of each case's slices in one pair, from what one of its
    /// blocks takes. With equal shares a case of long blocks would have few of them, and a noisy median; with as
    /// many blocks for each, it would take nearly all of the time. This lies between, and made the spreads of the
    /// suite's cases about equal.
    pub fn slots(&self, blocks: &[Duration]) -> Vec<Duration> {
        let weights = weights(blocks);
        let pair = Duration::from_millis(self.budget_ms).div_f64(self.pairs as f64);
        let all: f64 = weights.iter().sum();
        weights.iter().map(|weight| pair.mul_f64(weight / all)).collect()
    }

    /// By how much of its own time the head's `case` is slowed on purpose.
    pub fn injected_into(&self, case: &str) -> f64 {
        self.injected.as_ref().filter(|injection| injection.case == case).map_or(0.0, |i| i.share)
    }
}

/// Weights by which cases share the time, from what a block of each takes.
fn weights(blocks: &[Duration]) -> Vec<f64> {
    // 0 would give all cases the same time, 1 the same number of blocks; `Plan::slots` says why neither.
    blocks.iter().map(|block| block.as_secs_f64().powf(2.0 / 3.0)).collect()
}

fn wrong_setting(name: &'static str, problem: String) -> Result<(), Error> {
    Err(Error::Setting { name, problem })
}

/// The slowdown of a case that is too large to pass unseen: a case passes only if its effect surely lies below.
pub fn passes_below(threshold: f64) -> f64 {
    2.0 * threshold
}

/// The share by which the positive control of a case is slowed: one that must be caught.
pub fn positive_control(threshold: f64) -> f64 {
    POSITIVE_CONTROL.max(POSITIVE_CONTROL_PER_THRESHOLD * threshold)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(plan: Plan) -> String {
        plan.check().expect_err("is wrong").to_string()
    }

    #[test]
    fn a_session_that_could_not_judge_is_refused() {
        assert!(Plan::default().check().is_ok());
        assert!(problem(Plan { pairs: 9, ..Plan::default() }).contains("from 10 to 200"));
        assert!(problem(Plan { pairs: 201, ..Plan::default() }).contains("from 10 to 200"));
        assert!(problem(Plan { max_pairs: 19, ..Plan::default() }).contains("from 20 (--pairs) to 200"));
        // 2^-10 is 0.098 %.
        let strict = Plan { pairs: 10, alpha: 0.0009, ..Plan::default() };
        assert_eq!(
            problem(strict),
            "--pairs: 10 pairs cannot reach a false-alarm rate (--alpha) of 0.09 %; take more"
        );
        assert!(Plan { pairs: 10, alpha: 0.001, ..Plan::default() }.check().is_ok());
        assert!(problem(Plan { alpha: 0.000_005, ..Plan::default() }).contains("--alpha"));
        assert!(problem(Plan { alpha: 1.05, ..Plan::default() }).contains("105 % is not a false-alarm rate"));
        assert!(problem(Plan { tail_alpha: -0.1, ..Plan::default() }).contains("is not a false-alarm rate"));
        assert!(problem(Plan { margin: -0.01, ..Plan::default() }).contains("--margin"));
        assert!(problem(Plan { margin: 0.03, ..Plan::default() }).contains("above --threshold 2 %"));
    }

    #[test]
    fn the_budget_is_shared_among_pairs_and_cases() {
        let plan = Plan { pairs: 15, budget_ms: 90_000, ..Plan::default() };
        let ms = Duration::from_millis;
        // 90 s / 15 = 6 s, and 10 to the 2/3 stands to 80 to the 2/3 as 1 to 4.
        let slots = plan.slots(&[ms(10), ms(80)]);
        assert_eq!(slots.iter().map(|slot| slot.as_millis()).collect::<Vec<_>>(), [1200, 4800]);
        assert_eq!(plan.slots(&[ms(7)]), [Duration::from_secs(6)]);
    }

    /// Whether each block fits twice into the time that its case has in one pair.
    fn fit(blocks: &[Duration], slots: &[Duration]) -> bool {
        blocks.iter().zip(slots).all(|(block, slot)| *block <= 2 * *slot)
    }

    #[test]
    fn the_budget_that_slow_cases_need_makes_room_for_their_blocks() {
        let ms = Duration::from_millis;
        let blocks = [ms(10), ms(80), ms(600)];
        let needed = Plan::needed(&blocks, 0.1);
        let plan = Plan { pairs: 20, budget_ms: needed.as_millis() as u64 + 1, ..Plan::default() };
        // A tenth of the time of 20 pairs is that of two.
        assert!(fit(&blocks, &plan.slots(&blocks)));
        let less = Plan { budget_ms: plan.budget_ms * 9 / 10, ..plan };
        assert!(!fit(&blocks, &less.slots(&blocks)));
        // Alone, a case has all of the time: ten times its block.
        assert_eq!(Plan::needed(&[ms(500)], 0.1), Duration::from_secs(5));
    }

    #[test]
    fn the_positive_control_lies_well_above_the_threshold() {
        // 5 % at least, else 2.5 times the threshold.
        assert_eq!([0.01, 0.02, 0.1].map(positive_control), [0.05, 0.05, 0.25]);
    }
}
