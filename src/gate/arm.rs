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

use super::copies::{Copies, FolderCopy};
use super::protocol::{Begin, Hello, PROTOCOL, Reply, Request, read_line};
use super::record::LARGEST_VALUE;
use super::schedule::Role;
use super::session::{Timed, TimedSlice};
use crate::error::Error;
use crate::files::open_plain;
use crate::ingester::{OF_A_REAL_INGESTER, ServiceCommand};
use crate::interrupt::Interrupt;
use crate::process_group;
use crate::units::{hex, printable};

/// How long a worker that was told to quit may take.
const GRACE: Duration = Duration::from_millis(500);
/// The same for one that ends a service with it, or removes what it left there.
const GRACE_OF_A_SERVICE: Duration = Duration::from_secs(10);
/// Where the worker's service runs, and where its output goes.
const SERVICE_DIR: &str = "INGESTER_SERVICE_DIR";
const SERVICE_LOG: &str = "INGESTER_SERVICE_LOG";
/// How often a wait looks whether the user has interrupted it.
const LOOK: Duration = Duration::from_millis(50);
/// Characters of an unintelligible answer that are shown.
const SHOWN: usize = 60;

/// What an arm runs and what it measures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// What people call it: a commit, a file, a URL.
    pub name: String,
    /// The worker's executable.
    pub executable: PathBuf,
    /// SHA-256 of the executable, hex.
    pub sha256: String,
    /// A running ingester; what the worker starts for itself if there is none.
    pub url: Option<String>,
    /// A service that the worker starts.
    pub service: Option<StartedService>,
}

/// A service that is started for a session, as the configuration says.
#[derive(Clone, PartialEq, Eq)]
pub struct StartedService {
    /// How it is started.
    pub command: ServiceCommand,
    /// Variables that tell a worker the same. One may be a private key, so this has no derived `Debug`.
    pub env: Vec<(&'static str, String)>,
    /// What was built of a commit. Each process is started in a copy of it.
    pub built: Option<PathBuf>,
    /// Whether it is started once for the session, and not for every pair.
    pub once: bool,
    /// Whether it is shown a token.
    pub wants_token: bool,
}

impl fmt::Debug for StartedService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartedService")
            .field("command", &self.command)
            .field("built", &self.built)
            .finish_non_exhaustive()
    }
}

impl Side {
    /// A build: its cases run against the stub in its own process.
    pub fn executable(path: &Path) -> Result<Self, Error> {
        // Without a folder in it, a name would be searched for among the system's commands.
        let executable = path.canonicalize().map_err(|e| Error::file(path, "run", e))?;
        open_plain(&executable)?;
        let sha256 = sha256_of(&executable)?;
        Ok(Self { name: path.display().to_string(), executable, sha256, url: None, service: None })
    }

    /// A running ingester: the cases of `client` run against it.
    pub fn at_url(url: &Url, client: &Path) -> Result<Self, Error> {
        let name = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { url: Some(name.clone()), name, ..Self::executable(client)? })
    }

    /// A service that `client` starts and uploads to, called `name`.
    pub fn service(name: &str, service: StartedService, client: &Path) -> Result<Self, Error> {
        Ok(Self { name: name.to_owned(), service: Some(service), ..Self::executable(client)? })
    }

    /// Whether what is measured is another program than the worker.
    pub fn is_a_service(&self) -> bool {
        self.url.is_some() || self.service.is_some()
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

/// The reason why an arm cannot be measured.
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

/// A line of a worker, and when it was there.
type Line = (Instant, Result<String, String>);

/// A running worker. Dropping it ends the process and all that it started.
pub struct Arm {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<Line>,
    patience: Duration,
    /// How long it may take to end once it was told to.
    grace: Duration,
    interrupt: Interrupt,
    /// The folder of its service, which goes after it.
    _folder: Option<FolderCopy>,
}

impl Arm {
    /// Starts the worker of `side` from a copy of its executable, reads its greeting, and makes sure that it is the build
    /// that was meant. Every answer has to come within `patience`.
    pub fn start(
        role: Role,
        side: &Side,
        copies: &mut Copies,
        patience: Duration,
        interrupt: &Interrupt,
    ) -> Result<(Self, Hello), Error> {
        let name = format!("{} ({})", role.name(), printable(&side.name));
        let program = copies.of(&side.executable)?;
        let built = side.service.as_ref().and_then(|service| service.built.as_ref());
        let folder = match built {
            Some(built) => Some(copies.of_folder(built)?),
            None => None,
        };
        let mut command = command(side, &program.path);
        if let Some(folder) = &folder {
            command.env(SERVICE_DIR, &folder.path);
        }
        if side.service.is_some() {
            command.env(SERVICE_LOG, copies.log_of(role));
        }
        let mut child = command.spawn().map_err(|e| ArmError {
            arm: name.clone(),
            problem: format!("cannot start {}: {e}", side.executable.display()),
        })?;
        let input = child.stdin.take();
        let lines = read_in_background(child.stdout.take().expect("stdout is piped"));
        let grace = if side.is_a_service() { GRACE_OF_A_SERVICE } else { GRACE };
        let interrupt = interrupt.clone();
        let arm = Self { name, child, input, lines, patience, grace, interrupt, _folder: folder };
        // It has read its own file by the time it greets: the copy may go, and cannot be left behind.
        let hello = arm.hello(side)?;
        drop(program);
        Ok((arm, hello))
    }

    fn hello(&self, side: &Side) -> Result<Hello, Error> {
        let (_, line) = self.line("; is it a build of ingester-perf that has the gate?")?;
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
    pub fn begin(&mut self, side: &Side, begin: &Begin) -> Result<(), Error> {
        let usual = self.patience;
        if let Some(service) = &side.service {
            self.patience += service.command.ready_timeout;
        }
        let asked = self.ask(&Request::Begin(begin.clone()));
        self.patience = usual;
        let (_, reply) = asked?;
        let Reply::Ready { subject } = reply else { return Err(self.unexpected(&reply)) };
        let is_right = match &side.url {
            Some(url) => subject == *url,
            // A URL that nobody asked for must not be measured in place of the build.
            None => !subject.contains("://"),
        };
        if is_right {
            return Ok(());
        }
        let expected = side.url.as_deref().unwrap_or("its own service");
        Err(self.error(format!("it measures {}, not {expected}", printable(&subject))))
    }

    /// Sends a request and waits for the answer; how long that took.
    fn ask(&mut self, request: &Request) -> Result<(Duration, Reply), Error> {
        if self.lines.try_recv().is_ok() {
            return Err(self.error(
                "its worker answered more than it was asked; its standard output is for answers alone, so print \
                 everything else to standard error"
                    .to_owned(),
            ));
        }
        let asked = Instant::now();
        self.send(request)?;
        let (answered, line) = self.line("")?;
        match self.parse(&line)? {
            Reply::Failed { problem } => Err(self.error(printable(&problem))),
            reply => Ok((answered - asked, reply)),
        }
    }

    fn send(&mut self, request: &Request) -> Result<(), Error> {
        let mut line = serde_json::to_string(request).expect("messages have no maps or other trouble");
        line.push('\n');
        let sent = self.input.as_mut().is_some_and(|input| input.write_all(line.as_bytes()).is_ok());
        if sent { Ok(()) } else { Err(self.ended("")) }
    }

    /// The next line, and when it came. `advice` is added to the message if there is none.
    fn line(&self, advice: &str) -> Result<(Instant, String), Error> {
        let deadline = Instant::now() + self.patience;
        loop {
            self.interrupt.check()?;
            let wait = deadline.saturating_duration_since(Instant::now()).min(LOOK);
            match self.lines.recv_timeout(wait) {
                Ok((at, Ok(line))) => return Ok((at, line)),
                Ok((_, Err(problem))) => return Err(self.error(problem)),
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                Err(RecvTimeoutError::Timeout) => {
                    let waited = humantime::format_duration(self.patience);
                    return Err(self.error(format!("its worker did not answer within {waited}{advice}")));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended(advice)),
            }
        }
    }

    fn parse<T: DeserializeOwned>(&self, line: &str) -> Result<T, Error> {
        serde_json::from_str(line).map_err(|_| {
            let start: String = line.chars().take(SHOWN).collect();
            self.error(format!(
                "its worker's answer is not one of the protocol's: \"{}\"; its standard output is for answers alone, so \
                 print everything else to standard error",
                printable(&start)
            ))
        })
    }

    fn ended(&self, advice: &str) -> Error {
        self.error(format!("its worker ended unexpectedly; what it printed above may say why{advice}"))
    }

    fn unexpected(&self, reply: &Reply) -> Error {
        let shown: String = format!("{reply:?}").chars().take(SHOWN).collect();
        self.error(format!("its worker answered something else than was asked: {}", printable(&shown)))
    }

    fn error(&self, problem: String) -> Error {
        ArmError { arm: self.name.clone(), problem }.into()
    }
}

impl Timed for Arm {
    fn prepare(&mut self, case: &str) -> Result<(), Error> {
        match self.ask(&Request::Prepare { case: case.to_owned() })? {
            (_, Reply::Prepared) => Ok(()),
            (_, reply) => Err(self.unexpected(&reply)),
        }
    }

    fn slice(&mut self, iters: u64, spin: f64) -> Result<TimedSlice, Error> {
        let (waited, reply) = self.ask(&Request::Slice { iters, spin })?;
        match reply {
            Reply::Slice { value, spun } if is_possible(value, spun, spin) => {
                Ok(TimedSlice { value, spun, waited })
            }
            reply => Err(self.unexpected(&reply)),
        }
    }

    fn latencies(&mut self) -> Result<Vec<(u64, u64)>, Error> {
        match self.ask(&Request::Latencies)? {
            (_, Reply::Latencies(latencies)) if are_ascending(&latencies) => Ok(latencies),
            (_, reply) => Err(self.unexpected(&reply)),
        }
    }
}

/// Whether a slice took something, and spun only where it was asked to.
fn is_possible(value: u64, spun: u64, spin: f64) -> bool {
    (1..=LARGEST_VALUE).contains(&value) && spun <= LARGEST_VALUE && (spin > 0.0 || spun == 0)
}

/// Whether latencies are such as a histogram has: each value once, with a count that sums up.
fn are_ascending(latencies: &[(u64, u64)]) -> bool {
    let in_order = latencies.windows(2).all(|pair| pair[0].0 < pair[1].0);
    let allowed = 1..=LARGEST_VALUE;
    in_order && latencies.iter().all(|(value, count)| allowed.contains(value) && *count <= LARGEST_VALUE)
}

impl Drop for Arm {
    fn drop(&mut self) {
        let _ = self.send(&Request::Quit);
        drop(self.input.take());
        // Who wants to leave does not wait for an arm that hangs.
        let grace = if self.interrupt.signal().is_some() { Duration::ZERO } else { self.grace };
        process_group::end(&mut self.child, grace);
    }
}

fn command(side: &Side, program: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("worker").stdin(Stdio::piped()).stdout(Stdio::piped());
    // Ctrl-C at a terminal goes to the whole group: the gate gets it, and ends its workers in order.
    process_group::of_its_own(&mut command);
    // Of a service that is started here, nothing may lead elsewhere.
    if side.url.is_none() || side.service.is_some() {
        for variable in OF_A_REAL_INGESTER {
            command.env_remove(variable);
        }
    }
    if let Some(url) = &side.url {
        command.env("INGESTER_URL", url);
    }
    if let Some(service) = &side.service {
        command.envs(service.env.iter().map(|(name, value)| (name, value)));
    }
    command
}

/// Reads lines on a thread of its own, so that waiting for one can have an end. It ends with the stream.
fn read_in_background(output: ChildStdout) -> mpsc::Receiver<Line> {
    // One at a time: a worker that answers without end waits for us, not in our memory.
    let (lines, read) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut output = BufReader::new(output);
        while let Some(line) = read_line(&mut output).transpose() {
            let broken = line.is_err();
            let line = line.map_err(|e| format!("its worker's answer cannot be read: {e}"));
            if lines.send((Instant::now(), line)).is_err() || broken {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_a_histogram_or_refused() {
        assert!(are_ascending(&[]) && are_ascending(&[(1, 5), (2, 1)]));
        assert!(!are_ascending(&[(2, 1), (1, 5)]) && !are_ascending(&[(1, 1), (1, 1)]));
        assert!(!are_ascending(&[(1, u64::MAX)]) && !are_ascending(&[(0, 1)]));
    }

    #[test]
    fn a_slice_takes_something_and_spins_only_when_it_is_asked_to() {
        assert!(is_possible(1, 0, 0.0) && is_possible(1, 5, 0.05) && is_possible(1, 0, 0.05));
        assert!(!is_possible(0, 0, 0.0) && !is_possible(1, 5, 0.0) && !is_possible(u64::MAX, 0, 0.0));
    }
}
