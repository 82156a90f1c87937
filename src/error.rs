//! Errors for what could not be measured. Each says what is wrong, where, and what to do.

use std::io;
use std::path::{Path, PathBuf};

/// A missed target or an untrustworthy run is a verdict; this is for what never became a measurement.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A flag or environment variable has a value that cannot be used. Secrets are not quoted.
    #[error("{name}: {problem}")]
    Setting {
        /// The variable or flag.
        name: &'static str,
        /// What is wrong and what to write instead.
        problem: String,
    },
    /// A file could not be read or written.
    #[error("{}: cannot {action}: {source}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// `read`, `write`, ...
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A file was read but makes no sense.
    #[error("{}: {problem}", path.display())]
    Malformed {
        /// Which one.
        path: PathBuf,
        /// Where in it and why.
        problem: String,
    },
    /// Nothing can be sent to the ingester.
    #[error("cannot reach the ingester at {url}: {reason}; is it running, and is the URL right?")]
    Unreachable {
        /// Its URL, without credentials.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The ingester turned the token away.
    #[error(
        "the ingester at {url} refused the token ({reason}); it may have expired or be signed by another key: \
         check INGESTER_TOKEN_FILE, INGESTER_TOKEN or INGESTER_PRIVATE_KEY"
    )]
    TokenRefused {
        /// Its URL, without credentials.
        url: String,
        /// Its answer.
        reason: String,
    },
    /// Both uploads that are sent before measuring failed alike.
    #[error(
        "both uploads to {url} before measuring failed alike: {failure}. Measured would be failures; \
         INGESTER_EVEN_IF_FAILING=1 (--even-if-failing) does that"
    )]
    LookFailed {
        /// The route that was asked, without credentials.
        url: String,
        /// What was wanted and what came.
        failure: String,
    },
    /// Criterion has nothing saved under this name.
    #[error(
        "baseline \"{name}\" has no {id} in {}; save one first: cargo bench -- --save-baseline {name}; \
         CRITERION_HOME or CARGO_TARGET_DIR lead to another folder",
        home.display()
    )]
    NoBaseline {
        /// The baseline.
        name: String,
        /// The case that it lacks.
        id: String,
        /// Criterion's folder.
        home: PathBuf,
    },
    /// Criterion was to save this and did not.
    #[error("Criterion could not save baseline \"{name}\" of {id} in {}; what it printed above says why", home.display())]
    NotSaved {
        /// The baseline.
        name: String,
        /// The case.
        id: String,
        /// Criterion's folder.
        home: PathBuf,
    },
    /// The run would send more than was allowed.
    #[error("{0}")]
    TooMuch(String),
    /// The system allows too few open connections.
    #[error(
        "this needs {needed} open descriptors and the system allows {allowed}; raise the limit (ulimit -n {needed}), or ask \
         for fewer users"
    )]
    Descriptors {
        /// How many are needed.
        needed: u64,
        /// How many there can be.
        allowed: u64,
    },
    /// No token could be had.
    #[error(
        "cannot get a token from {url}: {reason}; check INGESTER_TOKEN_URL, INGESTER_CLIENT_ID and INGESTER_CLIENT_SECRET"
    )]
    NoToken {
        /// Where it was asked for.
        url: String,
        /// What happened. No secret is in it.
        reason: String,
    },
    /// A case stopped because nothing it did succeeded.
    #[error(
        "{case}: stopped after {operations} operations without one success; the last one said: {failure}"
    )]
    NothingSucceeds {
        /// Its id.
        case: String,
        /// How many were tried in a row.
        operations: u64,
        /// What went wrong.
        failure: String,
    },
    /// A thread of ours ended when it should not have. The panic was printed by that thread.
    #[error("{0}: its thread ended unexpectedly; this is a bug, please report it")]
    ThreadEnded(String),
    /// The operating system refused a thread or an event loop.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// The raw exchange that uploads are set against broke.
    #[error("the raw loopback connection broke: {0}")]
    Loopback(io::Error),
    /// A case that must succeed did not.
    #[error("{case}: {failures} of {total} operations failed, the last one said: {failure}")]
    Failed {
        /// Its id.
        case: String,
        /// How many failed.
        failures: u64,
        /// Of how many.
        total: u64,
        /// What went wrong.
        failure: String,
    },
    /// A table could not be printed.
    #[error("cannot print: {0}")]
    Output(io::Error),
    /// The gate's worker and the gate cannot talk.
    #[error("the pipe between gate and worker broke: {0}")]
    Pipe(io::Error),
    /// The gate asked its worker for something that it cannot do.
    #[error("the worker {0}")]
    Worker(String),
    /// An arm could not be measured in this place of the session.
    #[error("{case}, pair {pair}: {problem}")]
    InPair {
        /// Id of the case.
        case: String,
        /// The pair, counted from 1.
        pair: usize,
        /// The arm and what was wrong with it.
        problem: Box<Self>,
    },
    /// The gate's arms share no case.
    #[error("base and head have no case in common: there is nothing to compare")]
    NothingInCommon,
    /// A signal ended the run before there was anything to conclude.
    #[error("interrupted")]
    Interrupted(u8),
    /// A part that is needed failed; the message is its own.
    #[error(transparent)]
    Unusable(Box<dyn std::error::Error + Send + Sync>),
    /// The token cannot be sent.
    #[error("{0}")]
    Token(String),
}

impl Error {
    /// For a file operation that failed.
    pub fn file(path: &Path, action: &'static str, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), action, source }
    }

    /// For a file with wrong content.
    pub fn malformed(path: &Path, problem: impl ToString) -> Self {
        Self::Malformed { path: path.to_owned(), problem: problem.to_string() }
    }
}
