//! What the gate and a worker say to each other: one JSON value a line, a request and its answer in turn.
//!
//! A worker greets first. The gate begins, prepares a case, asks for slices of it, prepares the next, and quits.

use std::io::{self, BufRead, Read};

use serde::{Deserialize, Serialize};

/// Rises when a line below changes its meaning. Workers of another version are not measured.
pub const PROTOCOL: u32 = 1;
/// Longest line that is read, in bytes: more is no message of ours.
const MAX_LINE: u64 = 64 << 10;

/// A worker's first line: what it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// Version of this protocol.
    pub protocol: u32,
    /// The build.
    pub build: Build,
    /// Ids of the cases that it can run, in their order.
    pub cases: Vec<String>,
}

/// Which build a worker is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Version of the crate.
    pub version: String,
    /// The compiler.
    pub rustc: String,
    /// `debug` or `release`.
    pub profile: String,
    /// SHA-256 of the executable, hex.
    pub sha256: String,
}

/// What the gate asks for.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Start the ingester. Answered by `Ready`.
    Begin(Begin),
    /// Start this case, ending the one before. Answered by `Prepared`.
    Prepare {
        /// Its id.
        case: String,
    },
    /// Time a slice of the prepared case. Answered by `Slice`.
    Slice {
        /// How many iterations.
        iters: u64,
        /// Share of their time to spin for afterwards.
        spin: f64,
    },
    /// End. Not answered.
    Quit,
}

/// What both arms have to have in common. Holds a private key, so it has no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Begin {
    /// RSA private key (PEM) of the stub's tokens and of the token check.
    pub key: String,
    /// Core of the client.
    pub client: Option<usize>,
    /// Core of the stub.
    pub stub: Option<usize>,
}

/// What a worker answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Uploads can be sent.
    Ready {
        /// What they are sent to: `stub`, or a URL.
        ingester: String,
    },
    /// The case is running.
    Prepared,
    /// A slice was timed.
    Slice {
        /// Nanoseconds that its iterations took.
        ns: u64,
        /// Nanoseconds spent spinning after them.
        spun_ns: u64,
    },
    /// It cannot be done.
    Failed {
        /// Why.
        problem: String,
    },
}

/// Reads a line, without its end. `None` at the end of the stream; an error for a line that is too long or no UTF-8.
pub fn read_line(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    let read = from.by_ref().take(MAX_LINE).read_line(&mut line)?;
    if read == 0 {
        return Ok(None);
    }
    match line.strip_suffix('\n') {
        Some(text) => Ok(Some(text.to_owned())),
        None if read as u64 == MAX_LINE => Err(io::Error::other("a line is too long")),
        None => Ok(Some(line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_lines_that_a_person_can_read() {
        let text = serde_json::to_string(&Request::Slice { iters: 3, spin: 0.05 }).expect("serialises");
        assert_eq!(text, r#"{"slice":{"iters":3,"spin":0.05}}"#);
        let reply: Reply = serde_json::from_str(r#"{"slice":{"ns":5,"spun_ns":0}}"#).expect("is one");
        assert_eq!(reply, Reply::Slice { ns: 5, spun_ns: 0 });
        assert_eq!(serde_json::to_string(&Request::Quit).expect("serialises"), r#""quit""#);
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
