//! The messages between the gate and a worker: one JSON value per line, requests and answers in turn.
//!
//! A worker greets first. The gate begins, prepares a case, asks for slices of it, asks for their latencies, prepares the
//! next case, and quits. `docs/worker.md` describes the protocol for those who write a worker of their own.

use std::io::{self, BufRead, Read};

use serde::{Deserialize, Serialize};

use crate::lockstep::{Build, Measure};

/// Version of the protocol. It rises when a line below changes its meaning; workers of another version are not
/// measured.
pub const PROTOCOL: u32 = 2;
/// Maximum length of a line in bytes. The longest message of ours, a histogram of latencies, has about 30 KB.
const MAX_LINE: u64 = 256 << 10;

/// A worker's first line: what it is and what it can run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// Version of this protocol.
    pub protocol: u32,
    /// The build.
    pub build: Build,
    /// What a slice's value is: `wall_time` in nanoseconds, or a count, by any word, like `instructions`.
    // Optional, like all of the build but its checksum: a worker of one's own is to be short. Workers of earlier builds
    // call it by its unit.
    #[serde(default, alias = "unit")]
    pub measure: Measure,
    /// Ids of the cases that it can run, in their order.
    pub cases: Vec<String>,
}

/// A request of the gate.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Start the service that is measured. Answered by `Ready`.
    Begin(Begin),
    /// Start this case, ending the one before. Answered by `Prepared`.
    Prepare {
        /// Id of the case.
        case: String,
    },
    /// Time a slice of the prepared case. Answered by `Slice`.
    Slice {
        /// How many iterations.
        iters: u64,
        /// Share of the slice's value to spend once more after it, doing nothing: the positive control.
        spin: f64,
    },
    /// Tell the latencies of all operations since the last such request, or since the case was prepared. Answered by
    /// `Latencies`.
    Latencies,
    /// End. Not answered.
    Quit,
}

/// Settings that all arms share. Holds a private key, so it has no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Begin {
    /// RSA private key (PEM) of the stub's tokens and of the token check.
    pub key: String,
    /// Core of the client.
    pub client: Option<usize>,
    /// Core of the stub.
    pub stub: Option<usize>,
}

/// An answer of a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The cases can be prepared.
    Ready {
        /// What is measured: the URL of the service that the gate named, else a word like `stub`.
        subject: String,
    },
    /// The case is running.
    Prepared,
    /// A slice was timed.
    Slice {
        /// Value of its iterations, in the measure of the greeting.
        value: u64,
        /// What was spent spinning after them.
        spun: u64,
    },
    /// The latencies of operations, as pairs of nanoseconds and a count; none where the worker keeps none.
    Latencies(Vec<(u64, u64)>),
    /// The request cannot be fulfilled.
    Failed {
        /// The reason.
        problem: String,
    },
}

/// Reads a line, without its end. `None` at the end of the stream; an error for a line that is too long or not UTF-8.
pub fn read_line(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    // Limited while reading: a line without end must not fill the memory.
    let read = from.by_ref().take(MAX_LINE).read_line(&mut line)?;
    if read == 0 {
        return Ok(None);
    }
    match line.strip_suffix('\n') {
        Some(text) => Ok(Some(text.to_owned())),
        None if read as u64 == MAX_LINE => Err(io::Error::other("a line is too long")),
        // The stream ended within a line.
        None => Ok(Some(line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_lines_that_a_person_can_read() {
        // As docs/worker.md has them: workers that others wrote depend on these texts.
        let text = serde_json::to_string(&Request::Slice { iters: 3, spin: 0.05 }).expect("serialises");
        assert_eq!(text, r#"{"slice":{"iters":3,"spin":0.05}}"#);
        let reply: Reply = serde_json::from_str(r#"{"slice":{"value":5,"spun":0}}"#).expect("is one");
        assert_eq!(reply, Reply::Slice { value: 5, spun: 0 });
        let reply: Reply = serde_json::from_str(r#"{"latencies":[[100,2],[300,1]]}"#).expect("is one");
        assert_eq!(reply, Reply::Latencies(vec![(100, 2), (300, 1)]));
        assert_eq!(serde_json::to_string(&Request::Latencies).expect("serialises"), r#""latencies""#);
        assert_eq!(serde_json::to_string(&Request::Quit).expect("serialises"), r#""quit""#);
    }

    #[test]
    fn a_greeting_needs_no_more_than_its_version_cases_and_checksum() {
        let text = r#"{"protocol":2,"build":{"sha256":"00"},"cases":["a"]}"#;
        let hello: Hello = serde_json::from_str(text).expect("is one");
        assert_eq!((hello.measure, hello.build.version.as_str()), (Measure::WallTime, ""));
        let older = text.replace("\"cases\"", "\"unit\":\"allocations\",\"cases\"");
        let hello: Hello = serde_json::from_str(&older).expect("is one");
        assert_eq!(hello.measure, Measure::Count("allocations".to_owned()));
    }

    #[test]
    fn lines_have_a_limit() {
        assert_eq!(read_line(&mut "a\nb".as_bytes()).expect("reads").as_deref(), Some("a"));
        assert_eq!(read_line(&mut "b".as_bytes()).expect("reads").as_deref(), Some("b"));
        assert_eq!(read_line(&mut "".as_bytes()).expect("reads"), None);
        let long = vec![b'x'; MAX_LINE as usize + 1];
        assert!(read_line(&mut long.as_slice()).is_err());
    }
}
