//! What can be found of one case.

use serde::{Deserialize, Serialize};

/// The finding about a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// It got slower.
    Regressed,
    /// Its slowest operations got slower.
    TailRegressed,
    /// It got slower, or may have, and surely by no more than was accepted beforehand.
    Accepted,
    /// It got faster.
    Improved,
    /// It did not get slower by twice its threshold, and was not found to be slower.
    Same,
    /// Its effect may be as large as twice its threshold, or none.
    Undecided,
    /// Its blocks take too long for the budget.
    TooSlow,
    /// A control, a clock or the latencies of this case were not as they must be.
    Untrusted,
    /// Head lacks it.
    Missing,
}

impl Finding {
    /// It, for people.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Regressed => "SLOWER",
            Self::TailRegressed => "SLOWER in the tail",
            Self::Accepted => "accepted",
            Self::Improved => "faster",
            Self::Same => "same",
            Self::Undecided => "undecided",
            Self::TooSlow => "too slow to judge",
            Self::Untrusted => "not to be trusted",
            Self::Missing => "missing in head",
        }
    }
}
