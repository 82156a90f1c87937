//! What had to hold, and how it came out.

use serde::Serialize;

/// Something that had to hold: a target of an operation, a case of the gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What it belongs to: the operation, or the session.
    pub group: String,
    /// What had to hold.
    pub name: String,
    /// How it came out.
    pub outcome: CheckOutcome,
    /// What was measured, in a few words.
    pub measured: String,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// It held.
    Held,
    /// It did not.
    Missed,
    /// What was measured does not tell.
    Undecided,
}
