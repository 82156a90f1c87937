//! How a subcommand ends when nothing broke: the exit codes of every subcommand and bench. What broke is 2.

use std::process::ExitCode;

/// Measured, and what that showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything held.
    Held,
    /// A target was missed, or a case got slower.
    Missed,
    /// The figures are not to be trusted.
    Untrusted,
    /// What should be compared is not comparable.
    NotComparable,
    /// Ended by this signal.
    Interrupted(u8),
}

/// For every error.
pub const COULD_NOT_MEASURE: u8 = 2;

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Held => 0,
            Exit::Missed => 1,
            Exit::Untrusted => 3,
            Exit::NotComparable => 4,
            Exit::Interrupted(signal) => 128 + signal,
        })
    }
}
