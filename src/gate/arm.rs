//! One arm of the comparison: a worker process, spoken to with a time limit.

use std::fmt;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use serde::de::DeserializeOwned;
use url::Url;

use super::protocol::{Begin, Hello, PROTOCOL, Reply, Request, read_line};
use super::record::LONGEST_NS;
use super::schedule::Role;
use super::session::Timed;
use crate::error::Error;
use crate::ingester::OF_A_REAL_INGESTER;
use crate::units::hex;

/// How long a worker that was told to quit may take.
const GRACE: Duration = Duration::from_secs(2);

/// What an arm runs and what it measures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// What people call it: a commit, a file, a URL.
    pub name: String,
    /// The worker's executable.
    pub executable: PathBuf,
    /// SHA-256 of the executable, hex.
    pub sha256: String,
    /// A running ingester; the stub in the worker's process if there is none.
    pub url: Option<String>,
}

impl Side {
    /// A build: its cases run against the stub in its own process.
    pub fn executable(path: &Path) -> Result<Self, Error> {
        // Without a folder in it, a name would be searched for among the system's commands.
        let executable = path.canonicalize().map_err(|e| Error::file(path, "run", e))?;
        let sha256 = sha256_of(&executable)?;
        Ok(Self { name: path.display().to_string(), executable, sha256, url: None })
    }

    /// A running ingester: the cases of `client` run against it.
    pub fn at_url(url: &Url, client: &Path) -> Result<Self, Error> {
        let name = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { url: Some(name.clone()), name, ..Self::executable(client)? })
    }
}

/// This program.
pub fn own_executable() -> Result<PathBuf, Error> {
    std::env::current_exe().map_err(|e| Error::file(Path::new("this program"), "find", e))
}

/// SHA-256 of a file, hex.
pub fn sha256_of(path: &Path) -> Result<String, Error> {
    let bytes = std::fs::read(path).map_err(|e| Error::file(path, "read", e))?;
    Ok(hex(digest::digest(&digest::SHA256, &bytes).as_ref()))
}

/// Why an arm cannot be measured.
#[derive(Debug, thiserror::Error)]
#[error("{arm}: {problem}")]
pub struct ArmError {
    arm: String,
    problem: String,
}

impl From<ArmError> for Error {
    fn from(error: ArmError) -> Self {
        Self::Unusable(error.into())
    }
}

/// A running worker. Dropping it ends the process.
pub struct Arm {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<Result<String, String>>,
    patience: Duration,
}

impl Arm {
    /// Starts the worker of `side`. `role` is base, head or copy; every answer has to come within `patience`.
    pub fn start(role: Role, side: &Side, patience: Duration) -> Result<Self, ArmError> {
        let name = format!("{} ({})", role.name(), side.name);
        let mut child = command(side).spawn().map_err(|e| ArmError {
            arm: name.clone(),
            problem: format!("cannot start {}: {e}", side.executable.display()),
        })?;
        let input = child.stdin.take();
        let lines = read_in_background(child.stdout.take().expect("is piped"));
        Ok(Self { name, child, input, lines, patience })
    }

    /// Reads its greeting, and makes sure that it is the build of `side`, which it was started with.
    pub fn hello(&self, side: &Side) -> Result<Hello, ArmError> {
        let line = self.line().map_err(|e| ArmError {
            problem: format!("{}; is it a build of ingester-perf that has the gate?", e.problem),
            ..e
        })?;
        let protocol = serde_json::from_str::<serde_json::Value>(&line).ok();
        let protocol = protocol.as_ref().and_then(|hello| hello.get("protocol")?.as_u64());
        if let Some(version) = protocol.filter(|version| *version != u64::from(PROTOCOL)) {
            return Err(self.error(format!(
                "its worker speaks version {version} of the protocol, this gate version {PROTOCOL}; run the gate of \
                 the newer build, or compare with a newer base"
            )));
        }
        let hello: Hello = self.parse(&line)?;
        if hello.build.sha256 != side.sha256 {
            return Err(self.error("another executable answers than the one that was started".to_owned()));
        }
        Ok(hello)
    }

    /// Has it start its ingester.
    pub fn begin(&mut self, side: &Side, begin: &Begin) -> Result<(), ArmError> {
        let expected = side.url.as_deref().unwrap_or("stub");
        match self.ask(&Request::Begin(begin.clone()))? {
            Reply::Ready { ingester } if ingester == expected => Ok(()),
            Reply::Ready { ingester } => Err(self.error(format!("it measures {ingester}, not {expected}"))),
            reply => Err(self.unexpected(&reply)),
        }
    }

    fn ask(&mut self, request: &Request) -> Result<Reply, ArmError> {
        if self.lines.try_recv().is_ok() {
            return Err(self.error("its worker answered more than it was asked".to_owned()));
        }
        self.send(request)?;
        let line = self.line()?;
        match self.parse(&line)? {
            Reply::Failed { problem } => Err(self.error(problem)),
            reply => Ok(reply),
        }
    }

    fn send(&mut self, request: &Request) -> Result<(), ArmError> {
        let mut line = serde_json::to_string(request).expect("messages have no maps or other trouble");
        line.push('\n');
        let sent = self.input.as_mut().is_some_and(|input| input.write_all(line.as_bytes()).is_ok());
        if sent { Ok(()) } else { Err(self.ended()) }
    }

    fn line(&self) -> Result<String, ArmError> {
        match self.lines.recv_timeout(self.patience) {
            Ok(Ok(line)) => Ok(line),
            Ok(Err(problem)) => Err(self.error(problem)),
            Err(RecvTimeoutError::Timeout) => {
                let waited = humantime::format_duration(self.patience);
                Err(self.error(format!("its worker did not answer within {waited}")))
            }
            Err(RecvTimeoutError::Disconnected) => Err(self.ended()),
        }
    }

    fn parse<T: DeserializeOwned>(&self, line: &str) -> Result<T, ArmError> {
        serde_json::from_str(line).map_err(|_| {
            let start: String = line.chars().take(60).filter(|c| !c.is_control()).collect();
            self.error(format!("its worker's answer cannot be understood: \"{start}\""))
        })
    }

    fn ended(&self) -> ArmError {
        self.error("its worker ended unexpectedly; what it printed above may say why".to_owned())
    }

    fn unexpected(&self, reply: &Reply) -> ArmError {
        self.error(format!("its worker answered something else than was asked: {reply:?}"))
    }

    fn error(&self, problem: String) -> ArmError {
        ArmError { arm: self.name.clone(), problem }
    }
}

impl Timed for Arm {
    fn prepare(&mut self, case: &str) -> Result<(), Error> {
        match self.ask(&Request::Prepare { case: case.to_owned() })? {
            Reply::Prepared => Ok(()),
            reply => Err(self.unexpected(&reply).into()),
        }
    }

    fn slice(&mut self, iters: u64, spin: f64) -> Result<(u64, u64), Error> {
        match self.ask(&Request::Slice { iters, spin })? {
            Reply::Slice { ns, spun_ns } if (1..=LONGEST_NS).contains(&ns) && spun_ns <= LONGEST_NS => {
                Ok((ns, spun_ns))
            }
            reply => Err(self.unexpected(&reply).into()),
        }
    }
}

impl Drop for Arm {
    fn drop(&mut self) {
        let _ = self.send(&Request::Quit);
        drop(self.input.take());
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(side: &Side) -> Command {
    let mut command = Command::new(&side.executable);
    command.arg("worker").stdin(Stdio::piped()).stdout(Stdio::piped());
    // Ctrl-C at a terminal goes to the whole group: the gate gets it, and ends its workers in order.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    match &side.url {
        Some(url) => command.env("INGESTER_URL", url),
        None => {
            OF_A_REAL_INGESTER.iter().fold(&mut command, |command, variable| command.env_remove(variable))
        }
    };
    command
}

/// Reads lines on a thread of its own, so that waiting for one can have an end. It ends with the stream.
fn read_in_background(output: ChildStdout) -> mpsc::Receiver<Result<String, String>> {
    // One at a time: a worker that answers without end waits for us, not in our memory.
    let (lines, read) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut output = BufReader::new(output);
        while let Some(line) = read_line(&mut output).transpose() {
            let broken = line.is_err();
            let line = line.map_err(|e| format!("its worker's answer cannot be read: {e}"));
            if lines.send(line).is_err() || broken {
                break;
            }
        }
    });
    read
}

impl fmt::Debug for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arm").field("name", &self.name).finish_non_exhaustive()
    }
}
