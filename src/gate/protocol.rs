//! The messages between the gate and a worker: one JSON value per line, requests and answers in turn.
//!
//! A worker greets first. The gate begins, prepares a case, asks for slices of it, asks for their latencies, prepares the
//! next case, and quits. To explain a case, it asks where the time of the slices went in place of their latencies.
//! `docs/worker.md` describes the protocol for those who write a worker of their own.

use std::io::{self, BufRead, Read};

use serde::{Deserialize, Serialize};

use crate::lockstep::{Build, Measure};
use crate::phases::PhaseTime;

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
    /// Whether it can tell where the time of operations goes. Workers of earlier builds cannot, and do not say so.
    #[serde(default)]
    pub explains: bool,
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
    /// Tell where the time of all operations since the last such request went, or since the case was prepared. Answered by
    /// `Explained`.
    Explain {
        /// File that the sampled stacks are written to, from the first such request on. They may have many times a line's
        /// length. None where nobody wants them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stacks: Option<String>,
    },
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
    /// Whether requests to explain will come: only then phases are timed and stacks sampled. Left out where they will not, so
    /// that the text is that of earlier builds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub explain: bool,
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
    /// Where the time of operations went.
    Explained(Explained),
    /// The request cannot be fulfilled.
    Failed {
        /// The reason.
        problem: String,
    },
}

/// Where the time of operations went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// How many there were.
    pub operations: u64,
    /// The sum of their latencies.
    pub latency_ns: u64,
    /// The time of all of them in each phase of the service; none where nobody times phases.
    #[serde(default)]
    pub phases: Vec<PhaseTime>,
    /// The reason why no stacks were written, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_stacks: Option<String>,
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
    fn what_explains_is_as_the_documentation_has_it() {
        let text = serde_json::to_string(&Request::Explain { stacks: None }).expect("serialises");
        assert_eq!(text, r#"{"explain":{}}"#);
        let request = Request::Explain { stacks: Some("/out/arms/00000003".to_owned()) };
        let text = serde_json::to_string(&request).expect("serialises");
        assert_eq!(text, r#"{"explain":{"stacks":"/out/arms/00000003"}}"#);
        let text = r#"{"explained":{"operations":2,"latency_ns":90,"phases":[{"phase":"hash","ns":40}]}}"#;
        let reply: Reply = serde_json::from_str(text).expect("is one");
        let phases = vec![PhaseTime { phase: "hash".to_owned(), ns: 40 }];
        let explained = Explained { operations: 2, latency_ns: 90, phases, without_stacks: None };
        assert_eq!(reply, Reply::Explained(explained));
        assert_eq!(serde_json::to_string(&reply).expect("serialises"), text);
    }

    #[test]
    fn a_session_that_explains_nothing_speaks_as_earlier_builds_do() {
        let begin = Begin { key: "PEM".to_owned(), client: Some(0), stub: None, explain: false };
        let text = serde_json::to_string(&Request::Begin(begin)).expect("serialises");
        assert_eq!(text, r#"{"begin":{"key":"PEM","client":0,"stub":null}}"#);
        let Ok(Request::Begin(begin)) = serde_json::from_str(&text) else { panic!("is one") };
        assert!(!begin.explain);
    }

    #[test]
    fn a_greeting_needs_no_more_than_its_version_cases_and_checksum() {
        let text = r#"{"protocol":2,"build":{"sha256":"00"},"cases":["a"]}"#;
        let hello: Hello = serde_json::from_str(text).expect("is one");
        assert_eq!((hello.measure, hello.build.version.as_str()), (Measure::WallTime, ""));
        assert!(!hello.explains);
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
