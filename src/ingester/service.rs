//! A service that a command starts, and that ends with whoever started it, however that ends.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use url::Url;
use uuid::Uuid;

use super::http::get_status;
use crate::api::Secret;
use crate::auth::{PublicKey, Redactor};
use crate::console::note;
use crate::error::Error;
use crate::files::write_text;
use crate::interrupt::Interrupt;
use crate::machine::pin;
use crate::process_group;
use crate::units::printable;

/// Starts the service's command line, tells its process id and when it ends, and ends it with its whole group when standard input does. The
/// kernel closes that for whoever is killed, so nothing outlives the one who started it. A shell, because this program may
/// be linked into a bench that is not ours, and could not start itself in another role there.
///
/// Arguments: the command line, the file for its output, a folder to be made, and removed at the end, the key to be written
/// there, and the variables of the service's environment. What the shell makes is removed even if this process is killed the
/// moment after. The variables are the service's alone: another `PATH` must not take the shell's own programs away.
const SUPERVISOR: &str = r#"
exec 3<&0
# Unlike an ignored signal, one that is caught is reset to its default in what is started.
trap : TERM INT HUP
serve=$1
log=$2
folder=$3
(umask 077 && mkdir -p "$folder/data")
printf '%s' "$4" >"$folder/public_key.pem"
shift 4
env "$@" /bin/sh -c "$serve" </dev/null >>"$log" 2>&1 3<&- &
service=$!
echo "$service"
{
  trap : TERM INT HUP
  cat <&3
  kill -TERM 0
  looks=0
  while kill -0 "$service" && [ "$looks" -lt 60 ]; do
    sleep 0.05
    looks=$((looks + 1))
  done
  # Something of the service may still be writing there.
  rm -rf "$folder" || rm -rf "$folder"
  kill -KILL 0
} >/dev/null 2>&1 &
watcher=$!
# A signal that is caught interrupts `wait`.
wait "$service"
code=$?
while kill -0 "$service" 2>/dev/null; do
  wait "$service"
  code=$?
done
echo "$code"
while kill -0 "$watcher" 2>/dev/null; do
  wait "$watcher"
done
"#;

/// How long the supervisor may take to end: its service has three seconds (60 looks of 50 ms) to end by itself, and the
/// removal of what it stored takes its time.
const STOP_WITHIN: Duration = Duration::from_secs(15);
/// Tells a process of ours that it is to run a group of benches. A service that is started with this program must not.
const NOT_FOR_SERVICES: &str = "INGESTER_PERF_BENCH_GROUP";
/// Pause between two looks whether the service is ready.
const LOOK: Duration = Duration::from_millis(20);
/// How long one look may take.
const LOOK_WITHIN: Duration = Duration::from_secs(2);
/// Lines of the service's output that are shown where it fails.
const LINES: usize = 20;
/// Bytes at the end of that output in which those lines are looked for.
const TAIL: u64 = 16 << 10;

/// How to start a service, and how to tell that it is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCommand {
    /// The command line, for `sh -c`. `{port}`, `{dir}` and `{public_key}` are replaced.
    pub serve: String,
    /// Variables of its environment, with the same places.
    pub env: Vec<(String, String)>,
    /// Where it runs.
    pub dir: PathBuf,
    /// What tells that it is ready.
    pub ready: Ready,
    /// How long it may take until then.
    pub ready_timeout: Duration,
    /// Where its output goes. A file of that name is overwritten.
    pub log: PathBuf,
    /// What must not be quoted of its output.
    pub secrets: Vec<Secret>,
}

/// What tells that a service is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ready {
    /// It accepts connections.
    Port,
    /// It answers this path with a success.
    Path(String),
}

/// The reason why a service could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Neither a shell nor a port or folder for it could be had.
    #[error("cannot start the service: {0}")]
    NotStarted(std::io::Error),
    /// It ended by itself.
    #[error("the service ended with code {code} before it was ready (service.serve); {output}")]
    Ended {
        /// As the shell has it: 127 for a command that was not found, 128 and the number of a signal.
        code: String,
        /// The end of its output.
        output: String,
    },
    /// It runs, and does not answer.
    #[error(
        "the service was not ready within {limit:?} (service.ready, service.ready_timeout): {reason}; {output}"
    )]
    NotReady {
        /// The time that it had.
        limit: Duration,
        /// What came of the last look.
        reason: String,
        /// The end of its output.
        output: String,
    },
}

impl From<ServiceError> for Error {
    fn from(error: ServiceError) -> Self {
        Self::Unusable(error.into())
    }
}

/// A running service. Dropping it ends it with all that it started, and removes its folder.
#[derive(Debug)]
pub struct Service {
    base: Url,
    log: PathBuf,
    supervisor: Child,
    /// The service's process id.
    process: Arc<OnceLock<u32>>,
    /// The service's exit code, once it has ended.
    ended: Arc<OnceLock<String>>,
    /// Whether its start succeeded; if not, what is wrong with it was told by the error.
    was_ready: bool,
    /// Its folder, which the supervisor removes: also where this process is killed.
    folder: PathBuf,
    /// Keeps secrets that it printed out of messages.
    redactor: Redactor,
}

impl Service {
    /// Starts the command on `core` and waits until it is ready. Tokens signed by the private half of `key` are what it
    /// should take.
    pub fn start(
        command: &ServiceCommand,
        key: &PublicKey,
        core: Option<usize>,
        interrupt: &Interrupt,
    ) -> Result<Self, Error> {
        let port = free_port().map_err(ServiceError::NotStarted)?;
        let folder = std::env::temp_dir().join(format!("ingester-perf-{}", Uuid::new_v4()));
        // The last service's output must not be taken for this one's.
        write_text(&command.log, "")?;
        // The supervisor runs in the service's folder, where a relative path would lead elsewhere.
        let log = command.log.canonicalize().map_err(|e| Error::file(&command.log, "find", e))?;

        let dir = folder.join("data");
        let public_key = folder.join("public_key.pem");
        let places = Places { port, dir: &dir, public_key: &public_key };
        let mut shell = Command::new("sh");
        // Standard input is a pipe that nothing is written to: the supervisor ends the service when it closes. Standard
        // output carries the service's process id and its exit code alone, as the service writes to its log.
        shell
            .args(["-c", SUPERVISOR, "supervisor", &places.fill(&command.serve)])
            .arg(&log)
            .arg(&folder)
            .arg(key.to_pem()?)
            .current_dir(&command.dir)
            .args(command.env.iter().map(|(name, value)| format!("{name}={}", places.fill(value))))
            .env("PORT", port.to_string())
            .env_remove(NOT_FOR_SERVICES)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        process_group::of_its_own(&mut shell);
        // What a pinned thread starts is pinned like it, and all that follows from that.
        let spawned = std::thread::scope(|scope| {
            let starter = scope.spawn(|| {
                pin(core);
                shell.spawn()
            });
            starter.join().expect("starting a process does not panic")
        });
        let mut supervisor = spawned.map_err(ServiceError::NotStarted)?;
        let Announced { process, ended } = listen_to(&mut supervisor);
        let base = Url::parse(&format!("http://127.0.0.1:{port}")).expect("an address makes a URL");
        // From here on, whatever fails ends the service: it is dropped.
        let redactor = Redactor::of_all(command.secrets.iter().map(Secret::as_str));
        let mut service = Self { base, log, supervisor, process, ended, was_ready: false, folder, redactor };
        service.wait_until_ready(command, port, interrupt)?;
        service.was_ready = true;
        Ok(service)
    }

    /// Where it listens.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// Its process, which may have started others.
    pub(super) fn process(&self) -> u32 {
        // The supervisor tells it before the service can be ready; its own tree has the service's in it.
        self.process.get().copied().unwrap_or_else(|| self.supervisor.id())
    }

    /// The end of its output, without what must not be quoted.
    fn last_lines(&self) -> String {
        last_lines(&self.log, &self.redactor)
    }

    fn wait_until_ready(
        &self,
        command: &ServiceCommand,
        port: u16,
        interrupt: &Interrupt,
    ) -> Result<(), Error> {
        let started = Instant::now();
        loop {
            interrupt.check()?;
            // Before it is asked: whoever has ended will not answer, and its output says why.
            if let Some(code) = self.ended.get().cloned() {
                return Err(ServiceError::Ended { code, output: self.last_lines() }.into());
            }
            let problem = match &command.ready {
                Ready::Port => {
                    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                    TcpStream::connect_timeout(&address, LOOK_WITHIN).err().map(|e| e.to_string())
                }
                Ready::Path(path) => not_ready(&self.base, path),
            };
            let Some(reason) = problem else { return Ok(()) };
            // After a look, so that there is at least one.
            if started.elapsed() >= command.ready_timeout {
                let limit = command.ready_timeout;
                return Err(ServiceError::NotReady { limit, reason, output: self.last_lines() }.into());
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.was_ready
            && let Some(code) = self.ended.get()
        {
            let output = self.last_lines();
            note(format_args!("The service ended by itself with code {code}; {output}"));
        }
        // The supervisor ends the service when its input closes; if that takes too long, all of them are killed.
        drop(self.supervisor.stdin.take());
        process_group::end(&mut self.supervisor, STOP_WITHIN);
        // What was still written while the supervisor removed the folder is left; now nobody writes any more.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What is filled into a command line and into variables.
struct Places<'a> {
    port: u16,
    dir: &'a Path,
    public_key: &'a Path,
}

impl Places<'_> {
    fn fill(&self, text: &str) -> String {
        text.replace("{port}", &self.port.to_string())
            .replace("{dir}", &self.dir.display().to_string())
            .replace("{public_key}", &self.public_key.display().to_string())
    }
}

/// A port that was free a moment ago.
fn free_port() -> std::io::Result<u16> {
    // It is free again when the listener is dropped, and could be taken until the service binds it.
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Why the service's answer at this path is not a success.
fn not_ready(base: &Url, path: &str) -> Option<String> {
    // A path may have a query.
    let url = match base.join(path) {
        Ok(url) => url,
        Err(e) => return Some(format!("{path}: {e}")),
    };
    match get_status(&url, LOOK_WITHIN) {
        Ok(status) if status.is_success() => None,
        Ok(status) => Some(format!("{path} answered {status}")),
        Err(reason) => Some(format!("{path}: {reason}")),
    }
}

/// What the supervisor has announced so far.
#[derive(Debug, Clone, Default)]
struct Announced {
    process: Arc<OnceLock<u32>>,
    ended: Arc<OnceLock<String>>,
}

/// Reads the supervisor's two lines on a thread of its own.
fn listen_to(supervisor: &mut Child) -> Announced {
    let told = Announced::default();
    let tell = told.clone();
    let output = supervisor.stdout.take().expect("stdout is piped");
    std::thread::spawn(move || {
        let mut lines = BufReader::new(output).lines();
        if let Some(Ok(line)) = lines.next()
            && let Ok(id) = line.trim().parse()
        {
            let _ = tell.process.set(id);
        }
        // It is killed before it says anything further where it is told to end.
        if let Some(Ok(line)) = lines.next() {
            let _ = tell.ended.set(line.trim().to_owned());
        }
    });
    told
}

/// The last lines of a service's output, for people.
fn last_lines(log: &Path, redactor: &Redactor) -> String {
    let name = log.display();
    let text = tail_of(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    if lines.is_empty() {
        return format!("it printed nothing ({name})");
    }
    let mut shown = format!("the end of what it printed ({name}):");
    for line in &lines[lines.len().saturating_sub(LINES)..] {
        shown += "\n  ";
        shown += &printable(&redactor.clean(line));
    }
    shown
}

fn tail_of(log: &Path) -> std::io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    // The service may be writing still: no more is read than was meant to be.
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(all(test, unix))]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::auth::KeyPair;

    /// Serves the current folder's files.
    const PYTHON: &str = "exec python3 -m http.server --bind 127.0.0.1 {port}";

    fn command(dir: &TempDir, serve: &str) -> ServiceCommand {
        ServiceCommand {
            serve: serve.to_owned(),
            env: Vec::new(),
            dir: dir.path().to_owned(),
            ready: Ready::Port,
            ready_timeout: Duration::from_secs(20),
            log: dir.path().join("service.log"),
            secrets: Vec::new(),
        }
    }

    fn start(command: &ServiceCommand) -> Result<Service, Error> {
        let key = KeyPair::generate().expect("makes one");
        Service::start(command, key.public(), None, &Interrupt::default())
    }

    fn listens(url: &Url) -> bool {
        TcpStream::connect(("127.0.0.1", url.port().expect("has one"))).is_ok()
    }

    #[test]
    fn a_service_runs_until_it_is_dropped() {
        let dir = tempfile::tempdir().expect("makes one");
        let mut command = command(&dir, PYTHON);
        command.ready = Ready::Path("/service.log".to_owned());
        let service = start(&command).expect("starts");
        let base = service.base().clone();
        let folder = service.folder.clone();
        assert!(listens(&base) && folder.join("data").is_dir());
        assert!(service.process() != service.supervisor.id(), "the service's own process is told");
        drop(service);
        assert!(!listens(&base), "it is still there");
        assert!(!folder.exists(), "its folder is still there");
    }

    #[test]
    fn the_places_of_command_and_variables_are_filled() {
        let dir = tempfile::tempdir().expect("makes one");
        let serve = format!("echo $PORT {{port}} {{dir}} $KEY; cat {{public_key}}; cd {{dir}} && {PYTHON}");
        let mut command = command(&dir, &serve);
        command.env.push(("KEY".to_owned(), "{public_key}".to_owned()));
        let service = start(&command).expect("starts");
        let port = service.base().port().expect("has one");
        let folder = service.folder.display().to_string();
        let said = std::fs::read_to_string(&command.log).expect("reads");
        let first =
            format!("{port} {port} {folder}/data {folder}/public_key.pem\n-----BEGIN PUBLIC KEY-----\n");
        assert!(said.starts_with(&first), "{said}");
    }

    #[test]
    fn a_service_that_ends_is_quoted() {
        let dir = tempfile::tempdir().expect("makes one");
        let serve = "for n in $(seq 30); do echo line $n; done; exit 3";
        let error = start(&command(&dir, serve)).expect_err("ends").to_string();
        assert!(error.contains("the service ended with code 3 before it was ready"), "{error}");
        // The last 20 lines of 30.
        assert!(error.contains("\n  line 11\n") && error.ends_with("line 30"), "{error}");
        assert!(!error.contains("line 10\n"), "{error}");
        let missing = start(&command(&dir, "no-such-program")).expect_err("is none").to_string();
        assert!(missing.contains("ended with code 127"), "{missing}");
    }

    #[test]
    fn a_service_that_never_answers_is_given_up() {
        let dir = tempfile::tempdir().expect("makes one");
        let mut command = command(&dir, "echo starting; exec sleep 100");
        command.ready_timeout = Duration::from_millis(200);
        let error = start(&command).expect_err("never listens").to_string();
        assert!(error.contains("was not ready within 200ms"), "{error}");
        assert!(error.ends_with("  starting"), "{error}");
    }
}
