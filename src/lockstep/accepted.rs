//! Slowdowns that were accepted beforehand, for a time and with a reason, and what becomes of each in a session.
//!
//! An accepted slowdown must not hide more than it says. So it covers a case only if the whole interval of the effect lies
//! within it, as a pass is proved by the same upper end; what the base accepts already is taken off, as that slowdown is
//! part of the base; and it covers the median alone, never the tail or a counter.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::finding::Finding;
use crate::units::{Day, Share, change, printable};

/// A slowdown of a case that was accepted beforehand. Shares are of 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AcceptedSlowdown {
    /// Id of the case.
    pub case: String,
    /// How much slower it may be, as the file says.
    pub up_to: f64,
    /// How much of that the base does not accept already: the most that this session may find.
    pub left: f64,
    /// The last day on which it is accepted.
    pub until: Day,
    /// The reason.
    pub why: String,
}

/// What was accepted when a session was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    /// The day of the session. It is stored, so that a replay on another day says the same.
    pub on: Day,
    /// The slowdowns.
    pub slowdowns: Vec<AcceptedSlowdown>,
}

/// What became of an accepted slowdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AcceptedState {
    /// It covers what was found.
    Covers,
    /// The case may be slower than was accepted: it does not cover that.
    NotEnough,
    /// The case got slower in its tail, which it does not cover.
    TailOnly,
    /// The case did not get slower.
    NotNeeded,
    /// The case was not judged.
    NotJudged,
    /// The base accepts as much already.
    InBase,
    /// Its last day is past.
    Expired,
}

/// An accepted slowdown, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AcceptedVerdict {
    /// What was accepted.
    #[serde(flatten)]
    pub slowdown: AcceptedSlowdown,
    /// What became of it.
    pub state: AcceptedState,
    /// How much slower the case is at most: the upper end of the interval.
    pub at_most: Option<f64>,
}

/// What a session found of a case.
#[derive(Debug, Clone, Copy)]
pub(super) struct FoundOfCase {
    /// The finding.
    pub finding: Finding,
    /// The upper end of the effect's interval.
    pub at_most: Option<f64>,
}

impl Accepted {
    /// The reason why sessions cannot be judged by these, if there is one.
    pub(super) fn problem(&self) -> Option<String> {
        for slowdown in &self.slowdowns {
            let is_share = slowdown.up_to > 0.0 && slowdown.up_to <= 1.0;
            // Whatever is more than the file says would hide what nobody accepted.
            if !is_share || !(0.0..=slowdown.up_to).contains(&slowdown.left) {
                return Some(format!(
                    "accepted slowdown of {}: not a share, or more is left than was accepted",
                    printable(&slowdown.case)
                ));
            }
        }
        None
    }
}

impl AcceptedSlowdown {
    /// What becomes of it on this day, given what was found of its case.
    pub(super) fn judge(&self, on: &Day, found: Option<FoundOfCase>) -> AcceptedVerdict {
        AcceptedVerdict {
            slowdown: self.clone(),
            state: self.state(on, found),
            at_most: found.and_then(|found| found.at_most),
        }
    }

    fn state(&self, on: &Day, found: Option<FoundOfCase>) -> AcceptedState {
        if self.until < *on {
            return AcceptedState::Expired;
        }
        if self.left <= 0.0 {
            return AcceptedState::InBase;
        }
        let Some(FoundOfCase { finding, at_most }) = found else { return AcceptedState::NotJudged };
        let is_within = at_most.is_some_and(|at_most| at_most <= self.left);
        match finding {
            // An undecided case may be slower than its threshold: it is covered by the same proof.
            Finding::Regressed | Finding::Undecided | Finding::Accepted => {
                if is_within {
                    AcceptedState::Covers
                } else {
                    AcceptedState::NotEnough
                }
            }
            Finding::TailRegressed => AcceptedState::TailOnly,
            Finding::Same | Finding::Improved => AcceptedState::NotNeeded,
            Finding::TooSlow | Finding::Untrusted | Finding::Missing => AcceptedState::NotJudged,
        }
    }
}

impl fmt::Display for AcceptedVerdict {
    /// A sentence or two. What comes from the file is made safe to print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AcceptedSlowdown { case, up_to, left, until, why } = &self.slowdown;
        if self.state == AcceptedState::Expired {
            write!(f, "No longer accepted, as {until} is past: ")?;
        } else {
            write!(f, "Accepted until {until}: ")?;
        }
        let why = printable(why);
        write!(f, "{} up to +{}, because {}.", printable(case), Share(*up_to), why.trim_end_matches('.'))?;
        // Where a part of it is in the base, the rest is what counts here.
        if *left > 0.0 && left < up_to {
            write!(f, " Base accepts a part of it already, which leaves +{}.", Share(*left))?;
        }
        match (self.state, self.at_most) {
            (AcceptedState::Covers, Some(at_most)) => write!(f, " It is at most {}.", change(at_most)),
            (AcceptedState::NotEnough, Some(at_most)) => {
                write!(f, " That is not enough: the case may be {} slower.", change(at_most))
            }
            (AcceptedState::NotEnough, None) => f.write_str(" Whether that is enough is not known."),
            (AcceptedState::TailOnly, _) => {
                f.write_str(" It got slower in the tail, which this does not cover.")
            }
            (AcceptedState::NotNeeded, _) => f.write_str(" It did not get slower."),
            (AcceptedState::NotJudged, _) => f.write_str(" It was not judged here."),
            (AcceptedState::InBase, _) => {
                f.write_str(" Base accepts it already, so that it covers no further slowdown.")
            }
            (AcceptedState::Covers, None) | (AcceptedState::Expired, _) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().expect("is a day")
    }

    /// Up to +4 %, until Christmas Eve.
    fn slowdown() -> AcceptedSlowdown {
        AcceptedSlowdown {
            case: "a".to_owned(),
            up_to: 0.04,
            left: 0.04,
            until: day("2026-12-24"),
            why: "checksums are now verified.".to_owned(),
        }
    }

    fn judged(slowdown: &AcceptedSlowdown, finding: Finding, at_most: f64) -> AcceptedVerdict {
        slowdown.judge(&day("2026-12-24"), Some(FoundOfCase { finding, at_most: Some(at_most) }))
    }

    #[test]
    fn it_covers_what_surely_lies_within_it() {
        for finding in [Finding::Regressed, Finding::Undecided] {
            assert_eq!(judged(&slowdown(), finding, 0.04).state, AcceptedState::Covers);
            // The estimate may well be 3 %: what counts is what the case may be.
            assert_eq!(judged(&slowdown(), finding, 0.0401).state, AcceptedState::NotEnough);
        }
        let unknown = FoundOfCase { finding: Finding::Regressed, at_most: None };
        assert_eq!(slowdown().judge(&day("2026-12-01"), Some(unknown)).state, AcceptedState::NotEnough);
    }

    #[test]
    fn tails_and_what_was_not_judged_are_not_covered() {
        assert_eq!(judged(&slowdown(), Finding::TailRegressed, 0.01).state, AcceptedState::TailOnly);
        for finding in [Finding::TooSlow, Finding::Untrusted, Finding::Missing] {
            assert_eq!(judged(&slowdown(), finding, 0.01).state, AcceptedState::NotJudged);
        }
        assert_eq!(judged(&slowdown(), Finding::Same, 0.01).state, AcceptedState::NotNeeded);
        assert_eq!(slowdown().judge(&day("2026-12-01"), None).state, AcceptedState::NotJudged);
    }

    #[test]
    fn its_last_day_counts_and_the_next_does_not() {
        let found = FoundOfCase { finding: Finding::Regressed, at_most: Some(0.03) };
        assert_eq!(slowdown().judge(&day("2026-12-24"), Some(found)).state, AcceptedState::Covers);
        assert_eq!(slowdown().judge(&day("2026-12-25"), Some(found)).state, AcceptedState::Expired);
    }

    #[test]
    fn what_the_base_accepts_is_not_accepted_twice() {
        let landed = AcceptedSlowdown { left: 0.0, ..slowdown() };
        assert_eq!(judged(&landed, Finding::Regressed, 0.03).state, AcceptedState::InBase);
        let part = AcceptedSlowdown { left: 0.01, ..slowdown() };
        assert_eq!(judged(&part, Finding::Regressed, 0.03).state, AcceptedState::NotEnough);
    }

    #[test]
    fn sentences_say_until_when_what_and_why() {
        let said = judged(&slowdown(), Finding::Regressed, 0.035).to_string();
        let expected = "Accepted until 2026-12-24: a up to +4 %, because checksums are now verified. It is at most +3.5 %.";
        assert_eq!(said, expected);
        let part = AcceptedSlowdown { left: 0.01, ..slowdown() };
        let said = judged(&part, Finding::Regressed, 0.035).to_string();
        assert!(
            said.contains("which leaves +1 %. That is not enough: the case may be +3.5 % slower."),
            "{said}"
        );
        let rude = AcceptedSlowdown { why: "\u{1b}[2J".to_owned(), ..slowdown() };
        assert!(!judged(&rude, Finding::Same, 0.0).to_string().contains('\u{1b}'));
        let expired = slowdown().judge(&day("2027-01-01"), None).to_string();
        assert!(expired.starts_with("No longer accepted, as 2026-12-24 is past: a up to +4 %"), "{expired}");
    }

    #[test]
    fn shares_that_nobody_could_have_accepted_are_refused() {
        let on = day("2026-12-01");
        let sound = Accepted { on: on.clone(), slowdowns: vec![slowdown()] };
        assert_eq!(sound.problem(), None);
        for (up_to, left) in [(0.0, 0.0), (1.5, 0.1), (0.04, 0.05), (0.04, -0.01), (f64::NAN, 0.0)] {
            let slowdowns = vec![AcceptedSlowdown { up_to, left, ..slowdown() }];
            let wrong = Accepted { on: on.clone(), slowdowns };
            assert!(wrong.problem().is_some(), "{up_to} {left}");
        }
    }
}
