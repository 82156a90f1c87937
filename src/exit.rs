//! The one table of exit codes, for every subcommand and bench.

use std::process::ExitCode;

use crate::error::Error;
use crate::verdict::Verdict;

/// How a subcommand or a bench ended: with what was measured, or why nothing was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything held.
    Held,
    /// A target was missed, a case got slower or crept, or memory leaks.
    Missed,
    /// Nothing could be measured, or what was measured could not be told.
    CouldNotMeasure,
    /// The figures are not to be trusted.
    Untrusted,
    /// What should be compared is not comparable.
    NotComparable,
    /// Ended by this signal.
    Interrupted(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Held => 0,
            Exit::Missed => 1,
            Exit::CouldNotMeasure => 2,
            Exit::Untrusted => 3,
            Exit::NotComparable => 4,
            // As shells report a process that a signal ended.
            Exit::Interrupted(signal) => 128 + signal,
        })
    }
}

impl Exit {
    /// What a code of this table means; what is not in it could not be measured.
    pub fn of_code(code: u8) -> Self {
        match code {
            0 => Self::Held,
            1 => Self::Missed,
            3 => Self::Untrusted,
            4 => Self::NotComparable,
            // Signals have the numbers 1 to 31.
            129..=159 => Self::Interrupted(code - 128),
            _ => Self::CouldNotMeasure,
        }
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Held => Self::Held,
            Verdict::Missed => Self::Missed,
            Verdict::Untrusted => Self::Untrusted,
        }
    }
}

impl From<&Error> for Exit {
    fn from(error: &Error) -> Self {
        match error {
            Error::Interrupted(signal) => Self::Interrupted(*signal),
            _ => Self::CouldNotMeasure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_means_what_it_was_made_from() {
        for (code, exit) in [
            (0, Exit::Held),
            (1, Exit::Missed),
            (2, Exit::CouldNotMeasure),
            (3, Exit::Untrusted),
            (4, Exit::NotComparable),
            (130, Exit::Interrupted(2)),
            (143, Exit::Interrupted(15)),
            // A panic of Rust's ends a process with 101.
            (101, Exit::CouldNotMeasure),
        ] {
            assert_eq!(Exit::of_code(code), exit, "{code}");
        }
    }
}
