//! How a subcommand or a bench ends: the one table of exit codes.

use std::process::ExitCode;

use crate::error::Error;

/// Measured, and what that showed; or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything held.
    Held,
    /// A target was missed, or a case got slower.
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
            Exit::Interrupted(signal) => 128 + signal,
        })
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
