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
use super::protocol::{Begin, Explained, Hello, PROTOCOL, Reply, Request, read_line};
use crate::config;
use crate::error::Error;
use crate::files::open_plain;
use crate::ingester::{OF_A_REAL_INGESTER, ServiceCommand};
use crate::interrupt::Interrupt;
use crate::lockstep::{LARGEST_VALUE, Role, Timed, TimedSlice};
use crate::network::service_of;
use crate::process_group;
use crate::units::{hex, printable};

/// Grace period of a worker that was told to quit.
const GRACE: Duration = Duration::from_millis(500);
/// Grace period of a worker that ends a service with it, or removes what its uploads left there.
// More than the time in which the supervisor of a service ends it (`STOP_WITHIN` in src/ingester/service.rs).
const GRACE_OF_A_SERVICE: Duration = Duration::from_secs(20);
/// Variable for the folder in which the worker's service runs.
const SERVICE_DIR: &str = "INGESTER_SERVICE_DIR";
/// Variable for the file that the service's output goes to.
const SERVICE_LOG: &str = "INGESTER_SERVICE_LOG";
/// Interval at which a wait checks for an interrupt by the user.
const LOOK: Duration = Duration::from_millis(50);
/// Characters of an answer that is not understood that are shown.
const SHOWN: usize = 60;

/// What an arm runs and what it measures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// Name in messages: a commit, a file, a URL.
    pub name: String,
    /// The worker's executable.
    pub executable: PathBuf,
    /// SHA-256 of the executable, hex.
    pub sha256: String,
    /// URL of a running ingester. Without one, the worker starts what it measures.
    pub url: Option<String>,
    /// A service that the worker starts.
    pub service: Option<StartedService>,
    /// The configuration that the worker reads; the one that it finds if there is none.
    pub config: Option<PathBuf>,
    /// Hash of the commit that it was built from, if it was.
    pub commit: Option<String>,
}

/// A service that is started for a session, as the configuration says.
#[derive(Clone, PartialEq, Eq)]
pub struct StartedService {
    /// The command that starts it.
    pub command: ServiceCommand,
    /// Environment variables that describe the service to a worker. One may be a private key, so this type has no
    /// derived `Debug`.
    pub env: Vec<(&'static str, String)>,
    /// The folder that was built of a commit. Each process is started in a copy of it.
    pub built: Option<PathBuf>,
    /// Whether it is started once for the session, and not for every pair.
    pub once: bool,
    /// Whether uploads carry a token.
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
        let name = path.display().to_string();
        Ok(Self { name, executable, sha256, url: None, service: None, config: None, commit: None })
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

/// Path of this program's executable.
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
    role: Role,
    arm: String,
    problem: String,
}

impl ArmError {
    /// What is wrong with this role's arm, which runs `side`.
    pub(super) fn new(role: Role, side: &Side, problem: String) -> Self {
        Self { role, arm: name_of(role, side), problem }
    }
}

/// Whether this error is of head alone, so that another head may well be measured against the same base.
pub(crate) fn is_of_head(error: &Error) -> bool {
    match error {
        Error::InPair { problem, .. } => is_of_head(problem),
        Error::Unusable(source) => {
            source.downcast_ref::<ArmError>().is_some_and(|error| error.role == Role::Head)
        }
        _ => false,
    }
}

/// What people call the arm.
fn name_of(role: Role, side: &Side) -> String {
    format!("{} ({})", role.name(), printable(&side.name))
}

impl From<ArmError> for Error {
    fn from(error: ArmError) -> Self {
        Self::Unusable(error.into())
    }
}

/// A line of a worker, and the time of its arrival.
type Line = (Instant, Result<String, String>);

/// A running worker. Dropping it ends the process and all that it started.
pub struct Arm {
    role: Role,
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<Line>,
    patience: Duration,
    /// Grace period once it was told to quit.
    grace: Duration,
    /// Whether it measures a service that stays, from which what it uploaded may have to be removed.
    leaves_files: bool,
    interrupt: Interrupt,
    /// The folder of its service, removed after the worker has ended.
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
        let name = name_of(role, side);
        // Each process runs a file of its own: those of one file share its pages, and an arm that shares with none is
        // slower.
        let program = copies.of(&side.executable)?;
        // What was built of a service is copied for the same reason.
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
        let mut child = command.spawn().map_err(|e| {
            let problem = format!("cannot start {}: {e}", side.executable.display());
            ArmError::new(role, side, problem)
        })?;
        let input = child.stdin.take();
        let lines = read_in_background(child.stdout.take().expect("stdout is piped"));
        let grace = if side.is_a_service() { GRACE_OF_A_SERVICE } else { GRACE };
        let interrupt = interrupt.clone();
        let leaves_files = side.url.is_some() && side.service.is_none();
        let arm = Self {
            role,
            name,
            child,
            input,
            lines,
            patience,
            grace,
            leaves_files,
            interrupt,
            _folder: folder,
        };
        // The worker has hashed its own file by the time it greets. The copy is removed here, so that a gate that is
        // killed later leaves none behind.
        let hello = arm.hello(side)?;
        drop(program);
        Ok((arm, hello))
    }

    fn hello(&self, side: &Side) -> Result<Hello, Error> {
        let (_, line) = self.line("; is it a build of ingester-perf that has the gate?")?;
        // The version is looked at first: a greeting of another version may lack fields of this one, and would be
        // refused as nonsense.
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

    /// Tells the worker to start its ingester, and checks that it measures the one that was meant; what it calls that.
    pub fn begin(&mut self, side: &Side, begin: &Begin) -> Result<String, Error> {
        // The service may use all of its own time limit before the worker can answer.
        let usual = self.patience;
        if let Some(service) = &side.service {
            self.patience += service.command.ready_timeout;
        }
        let asked = self.ask(&Request::Begin(begin.clone()));
        self.patience = usual;
        let (_, reply) = asked?;
        let Reply::Ready { subject } = reply else { return Err(self.unexpected(&reply)) };
        let is_right = match &side.url {
            Some(url) => service_of(&subject) == url,
            // A URL that nobody asked for must not be measured in place of the build.
            None => !subject.contains("://"),
        };
        if is_right {
            return Ok(subject);
        }
        let expected = side.url.as_deref().unwrap_or("its own service");
        Err(self.error(format!("it measures {}, not {expected}", printable(&subject))))
    }

    /// Asks where the time of all operations since the last such request went. Stacks are written to this file, if there is
    /// one.
    pub fn explain(&mut self, stacks: Option<&Path>) -> Result<Explained, Error> {
        // A path that is not UTF-8 cannot be told in JSON. Then there are no stacks.
        let stacks = stacks.and_then(Path::to_str).map(str::to_owned);
        match self.ask(&Request::Explain { stacks })? {
            (_, Reply::Explained(explained)) => Ok(explained),
            (_, reply) => Err(self.unexpected(&reply)),
        }
    }

    /// Sends a request and waits for the answer. Returns how long that took, too.
    fn ask(&mut self, request: &Request) -> Result<(Duration, Reply), Error> {
        // A line that is there before the request cannot answer it, and would be taken for its answer.
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
            Reply::Failed { problem } => {
                // Line by line: a service's output is quoted in several.
                let lines: Vec<String> = problem.lines().map(printable).collect();
                Err(self.error(lines.join("\n")))
            }
            reply => Ok((answered - asked, reply)),
        }
    }

    fn send(&mut self, request: &Request) -> Result<(), Error> {
        let mut line = serde_json::to_string(request).expect("messages have no maps or other trouble");
        line.push('\n');
        // Writing fails where nobody reads any more: the worker has ended.
        let sent = self.input.as_mut().is_some_and(|input| input.write_all(line.as_bytes()).is_ok());
        if sent { Ok(()) } else { Err(self.ended("")) }
    }

    /// Waits for the next line. `advice` is added to the message if none comes.
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
        // Only the start of the line is shown: it may have 256 KB.
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
        ArmError { role: self.role, arm: self.name.clone(), problem }.into()
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
    // A worker that does not spin although it was asked to is left to the positive control.
    (1..=LARGEST_VALUE).contains(&value) && spun <= LARGEST_VALUE && (spin > 0.0 || spun == 0)
}

/// Whether latencies can be those of a histogram: each value once, in ascending order, with counts whose sum does not
/// overflow.
fn are_ascending(latencies: &[(u64, u64)]) -> bool {
    let in_order = latencies.windows(2).all(|pair| pair[0].0 < pair[1].0);
    let allowed = 1..=LARGEST_VALUE;
    in_order && latencies.iter().all(|(value, count)| allowed.contains(value) && *count <= LARGEST_VALUE)
}

impl Drop for Arm {
    fn drop(&mut self) {
        let _ = self.send(&Request::Quit);
        drop(self.input.take());
        // After an interrupt nobody waits for an arm that hangs. One that removes its uploads first has its time: a second
        // Ctrl-C ends the gate at once.
        let interrupted = self.interrupt.signal().is_some();
        let grace = if interrupted && !self.leaves_files { Duration::ZERO } else { self.grace };
        process_group::end(&mut self.child, grace);
    }
}

fn command(side: &Side, program: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("worker").stdin(Stdio::piped()).stdout(Stdio::piped());
    // Ctrl-C at a terminal goes to the whole group: the gate gets it, and ends its workers in order.
    process_group::of_its_own(&mut command);
    // What the user has set for a running ingester must not lead the worker there instead of to its own service. A service
    // that is started here may take the user's token, as it does with `load`.
    if side.service.is_some() {
        command.env_remove("INGESTER_URL");
    } else if side.url.is_none() {
        for variable in OF_A_REAL_INGESTER {
            command.env_remove(variable);
        }
        // Nor may the configured service be measured in place of a build: both sides would be that.
        command.env(config::SERVICE, config::NONE);
    }
    if let Some(path) = &side.config {
        command.env(config::VARIABLE, path);
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
            // Reading stops at an error: after a line that is too long, its rest would be taken for the next line.
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
