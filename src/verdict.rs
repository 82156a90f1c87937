//! The verdict of a measurement, for every command and bench.

use serde::{Deserialize, Serialize};

/// The verdict of a measurement. Whatever could not be measured at all is an error, and no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything held: no target was missed, no case got slower.
    Held,
    /// A target was missed, or a case got slower.
    Missed,
    /// The figures are not to be trusted, or say too little to decide.
    Untrusted,
}

impl Verdict {
    /// Held or missed, by whether all held.
    pub fn of(held: bool) -> Self {
        if held { Self::Held } else { Self::Missed }
    }

    /// The verdict on several things that were measured: one that cannot be trusted outranks one that missed.
    pub fn worst(verdicts: impl IntoIterator<Item = Self>) -> Self {
        let mut worst = Self::Held;
        for verdict in verdicts {
            worst = match (worst, verdict) {
                (Self::Untrusted, _) | (_, Self::Untrusted) => Self::Untrusted,
                (Self::Missed, _) | (_, Self::Missed) => Self::Missed,
                (Self::Held, Self::Held) => Self::Held,
            };
        }
        worst
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Held, Missed, Untrusted};

    #[test]
    fn the_worst_decides() {
        assert_eq!(Verdict::worst([]), Held);
        assert_eq!(Verdict::worst([Held, Missed, Held]), Missed);
        assert_eq!(Verdict::worst([Untrusted, Missed, Held]), Untrusted);
        assert_eq!([Verdict::of(true), Verdict::of(false)], [Held, Missed]);
    }
}
