//! How one operation ended, and how long it took.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// One operation that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Time from its beginning until its outcome was known.
    pub latency: Duration,
    /// Success, or the failure.
    pub outcome: Outcome,
}

/// A finished operation with the times within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Performed {
    /// Instant at which it actually began.
    pub began: Instant,
    /// Times of its phases, as far as it got.
    pub phases: Phases,
    /// Its outcome, and the time that all of it took.
    pub finished: Finished,
    /// Its steps in their order, as far as it got. Empty where it has no steps.
    pub steps: Vec<PerformedStep>,
}

impl Performed {
    /// An operation of which nothing is known but the time that it took, and its outcome.
    pub fn new(began: Instant, latency: Duration, outcome: Outcome) -> Self {
        let finished = Finished { latency, outcome };
        Self { began, phases: Phases::default(), finished, steps: Vec::new() }
    }
}

/// One step of an operation that consists of several. A step begins where the one before it ends, so that the times of all
/// steps add up to that of the operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerformedStep {
    /// Its outcome, and the time that it took.
    pub finished: Finished,
    /// How many requests it took: more than one where it asked until it got the answer that it waited for.
    pub requests: u64,
}

/// Times of the phases of a request, one after the other. A phase that did not take place has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Phases {
    /// Until a new connection was open, TLS included; none where a kept one was used.
    pub connect: Option<Duration>,
    /// From then until the head of the answer had come.
    pub first_byte: Option<Duration>,
    /// From then until the answer's end.
    pub last_byte: Option<Duration>,
}

/// Success, or the failure.
pub type Outcome = Result<(), Failure>;

/// The classes of failure. Every failed operation is counted in exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// This machine could not send the request: no descriptor or port was left. The service has nothing to do with it.
    Local,
    /// No connection: refused, unreachable, unknown host, TLS handshake.
    Connect,
    /// No complete answer within the time limit.
    Timeout,
    /// The peer closed or reset the connection before the answer was complete.
    Reset,
    /// The service refused: status 400 to 499.
    #[serde(rename = "http_4xx")]
    Http4xx,
    /// The service failed: status 500 to 599.
    #[serde(rename = "http_5xx")]
    Http5xx,
    /// The answer is not HTTP, or not this API's: not JSON, an unexpected status, too long.
    Protocol,
    /// A success whose size or checksum is not the file's.
    Corrupt,
    /// What was read back is not what was sent.
    ContentDiffers,
    /// The operation itself says that it failed.
    Other,
}

impl Class {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 10] = [
        Self::Local,
        Self::Connect,
        Self::Timeout,
        Self::Reset,
        Self::Http4xx,
        Self::Http5xx,
        Self::Protocol,
        Self::Corrupt,
        Self::ContentDiffers,
        Self::Other,
    ];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Http4xx => "http_4xx",
            Self::Http5xx => "http_5xx",
            Self::Protocol => "protocol",
            Self::Corrupt => "corrupt",
            Self::ContentDiffers => "content_differs",
            Self::Other => "other",
        }
    }
}

/// A failed operation: its class, the status if there was one, and a message for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Class that it is counted in.
    pub class: Class,
    /// The HTTP status, for `http_4xx` and `http_5xx`.
    pub status: Option<u16>,
    /// Time after which the service asked to be tried again (`Retry-After` in seconds).
    pub retry_after: Option<Duration>,
    /// What happened, in plain words.
    pub message: String,
}

impl Failure {
    /// A failure without a status.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, status: None, retry_after: None, message: message.into() }
    }

    /// A failure that the service answered with a status.
    pub fn status(status: u16, message: impl Into<String>) -> Self {
        let class = match status {
            400..=499 => Class::Http4xx,
            500..=599 => Class::Http5xx,
            _ => Class::Protocol,
        };
        Self { class, status: Some(status), retry_after: None, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(status: u16) -> Class {
        Failure::status(status, "").class
    }

    #[test]
    fn a_status_decides_the_class() {
        assert_eq!(class(404), Class::Http4xx);
        assert_eq!(class(503), Class::Http5xx);
        assert_eq!(class(302), Class::Protocol);
    }

    #[test]
    fn names_are_the_serialised_ones() {
        for class in Class::ALL {
            assert_eq!(serde_json::to_value(class).expect("serialises"), class.name());
        }
    }
}
