//! What a session sets out to do. All of it is fixed before the first slice.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::stats::MAX_PAIRS;
use crate::units::Share;

/// Fewest pairs of processes. Fewer are too few to know their spread by.
pub const MIN_PAIRS: usize = 10;
/// The control is slowed by this at least, ...
const CONTROL: f64 = 0.05;
/// ... and by so many times what fails a case.
const CONTROL_PER_FAIL_OVER: f64 = 2.5;

/// How a session runs and how it is judged. Shares are of 1: 0.02 is 2 %.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Pairs of processes, each started anew.
    pub pairs: usize,
    /// Time of all slices together, in ms.
    pub budget_ms: u64,
    /// A slowdown up to this is none: what is tested is whether a case got slower by more.
    pub margin: f64,
    /// A slowdown fails a case from here on.
    pub fail_over: f64,
    /// How often a run of two equal builds may call any case slower.
    pub rate: f64,
    /// Where all orders come from.
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

/// A case to be run, and what is special about it.
#[derive(Debug, Clone, PartialEq)]
pub struct CasePlan {
    /// Its id.
    pub id: String,
    /// A slowdown fails it from here on.
    pub fail_over: f64,
    /// Most iterations of it in one pair, of all arms together.
    pub max_iters: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            pairs: 10,
            budget_ms: 90_000,
            margin: 0.01,
            fail_over: 0.02,
            rate: 0.005,
            seed: rand::random(),
            injected: None,
        }
    }
}

impl Plan {
    /// An error where such a session could not come to a verdict.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |name, problem| Err(Error::Setting { name, problem });
        if !(MIN_PAIRS..=MAX_PAIRS).contains(&self.pairs) {
            return wrong("--pairs", format!("{} is not from {MIN_PAIRS} to {MAX_PAIRS}", self.pairs));
        }
        // All signs alike are one of 2^pairs patterns: no p is smaller than that.
        let least = 0.5_f64.powi(self.pairs as i32);
        if least > self.rate {
            let rate = Share(self.rate);
            let problem =
                format!("{} pairs cannot reach a false-alarm rate of {rate}; take more", self.pairs);
            return wrong("--pairs", problem);
        }
        if self.margin > self.fail_over {
            let (margin, fail_over) = (Share(self.margin), Share(self.fail_over));
            return wrong("--margin", format!("{margin} is above --fail-over {fail_over}"));
        }
        if self.budget_ms == 0 {
            return wrong("--budget", "no time to measure in".to_owned());
        }
        Ok(())
    }

    /// Shares the budget among pairs and cases: the time of each case's slices in one pair, from what one of its
    /// blocks takes. With equal shares a case of long blocks would have few of them, and a noisy median; with as
    /// many blocks for each, it would take nearly all of the time. This lies between, and made the spreads of the
    /// suite's cases about equal.
    pub fn slots(&self, blocks: &[Duration]) -> Vec<Duration> {
        let weights: Vec<f64> = blocks.iter().map(|block| block.as_secs_f64().powf(2.0 / 3.0)).collect();
        let pair = Duration::from_millis(self.budget_ms).div_f64(self.pairs as f64);
        let all: f64 = weights.iter().sum();
        weights.iter().map(|weight| pair.mul_f64(weight / all)).collect()
    }

    /// By how much of its own time the head's `case` is slowed on purpose.
    pub fn injected_into(&self, case: &str) -> f64 {
        self.injected.as_ref().filter(|injection| injection.case == case).map_or(0.0, |i| i.share)
    }
}

/// The share by which the control of a case is slowed: one that must be caught.
pub fn control(fail_over: f64) -> f64 {
    CONTROL.max(CONTROL_PER_FAIL_OVER * fail_over)
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
        assert!(problem(Plan { pairs: 9, ..Plan::default() }).contains("from 10 to 20"));
        assert!(problem(Plan { pairs: 21, ..Plan::default() }).contains("from 10 to 20"));
        // 2^-10 is 0.098 %.
        let strict = Plan { pairs: 10, rate: 0.0009, ..Plan::default() };
        assert_eq!(problem(strict), "--pairs: 10 pairs cannot reach a false-alarm rate of 0.09 %; take more");
        assert!(Plan { pairs: 10, rate: 0.001, ..Plan::default() }.check().is_ok());
        assert!(problem(Plan { margin: 0.03, ..Plan::default() }).contains("above --fail-over 2 %"));
    }

    #[test]
    fn the_budget_is_shared_among_pairs_and_cases() {
        let plan = Plan { pairs: 15, ..Plan::default() };
        let ms = Duration::from_millis;
        // 90 s / 15 = 6 s, and 10 to the 2/3 stands to 80 to the 2/3 as 1 to 4.
        let slots = plan.slots(&[ms(10), ms(80)]);
        assert_eq!(slots.iter().map(|slot| slot.as_millis()).collect::<Vec<_>>(), [1200, 4800]);
        assert_eq!(plan.slots(&[ms(7)]), [Duration::from_secs(6)]);
    }

    #[test]
    fn the_control_lies_well_above_what_fails() {
        assert_eq!((control(0.01), control(0.02), control(0.1)), (0.05, 0.05, 0.25));
    }
}
