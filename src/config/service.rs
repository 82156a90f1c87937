//! `[service]`: where the service is, or how it is built and started.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use url::Url;

use super::file::{Problem, ServiceTable};
use crate::console::note;
use crate::error::Error;
use crate::ingester::{Ready, ServiceCommand, base_url};
use crate::interrupt::Interrupt;
use crate::process_group;
use crate::units::printable;

/// The commit that the gate builds or starts, in the environment of `build` and `serve`.
pub const COMMIT_VARIABLE: &str = "INGESTER_COMMIT";
/// How long a service may take to start, unless told otherwise.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest such time that is allowed.
const LONGEST_READY_TIMEOUT: Duration = Duration::from_secs(600);
/// Lines of a failed build's output that are shown: enough for an error or two.
const LINES: usize = 40;
/// Where the service's output goes, seen from the folder of the file.
const LOG: &str = "target/performance_reports/service.log";

/// How a service is built, and how often the gate starts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// The command line that builds it, for `sh -c`; `None` where nothing has to be built.
    pub command: Option<String>,
    /// The folder in which it is built and started.
    pub dir: PathBuf,
    /// What of that folder is needed to start it, seen from there; all of it where this is empty.
    pub keep: Vec<PathBuf>,
    /// How often the gate starts it.
    pub restart: Restart,
}

/// How often the gate starts a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Restart {
    /// For every pair of processes: each is a sample.
    #[default]
    Pair,
    /// Once for the session: the answer is then of one process each.
    Session,
}

/// The reason why a service was not built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No shell could be started.
    #[error("cannot build the service: {0}")]
    NotStarted(std::io::Error),
    /// The command failed.
    #[error(
        "the service does not build (service.build, `{command}`: {status}); the end of its output:\n{output}"
    )]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The last lines.
        output: String,
    },
}

impl From<BuildError> for Error {
    fn from(error: BuildError) -> Self {
        Self::Unusable(error.into())
    }
}

impl Build {
    /// Builds the service in its folder, if there is something to build. Says on standard error what takes long.
    pub fn run(&self, interrupt: &Interrupt) -> Result<(), Error> {
        let Some(line) = &self.command else { return Ok(()) };
        build(line, shell(line, &self.dir), interrupt)
    }

    /// The same in another folder, with the source of this commit.
    pub fn run_commit_in(&self, dir: &Path, commit: &str, interrupt: &Interrupt) -> Result<(), Error> {
        let Some(line) = &self.command else { return Ok(()) };
        let mut command = shell(line, dir);
        // For what is built elsewhere than in the folder, as an image is: two commits must not overwrite each other.
        command.env(COMMIT_VARIABLE, commit);
        // Else both commits would build into one folder that is not theirs.
        command.env_remove("CARGO_TARGET_DIR");
        build(line, command, interrupt)
    }
}

/// Runs the command that builds the service from this line.
fn build(line: &str, command: Command, interrupt: &Interrupt) -> Result<(), Error> {
    note(format_args!("Building the service: {line}"));
    let output = process_group::output(command, interrupt).map_err(BuildError::NotStarted)?;
    // What an interrupted build printed, and how it ended, says nothing about the build.
    interrupt.check()?;
    if output.status.success() {
        return Ok(());
    }
    let printed = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&printed);
    let lines: Vec<&str> = text.lines().collect();
    let last: Vec<String> =
        lines[lines.len().saturating_sub(LINES)..].iter().map(|line| printable(line)).collect();
    let command = line.to_owned();
    Err(BuildError::Failed { command, status: output.status, output: last.join("\n") }.into())
}

/// A command line in a folder.
fn shell(line: &str, dir: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(dir);
    command
}

/// Where the service is running.
pub fn url(table: &ServiceTable) -> Result<Option<Url>, Problem> {
    let Some(text) = &table.url else { return Ok(None) };
    if table.serve.is_some() {
        return Err(wrong("url", "is set together with serve; keep one of them"));
    }
    // The message begins with the name of what was given.
    let url = base_url("url", text).map_err(|e| wrong("url", e.to_string().trim_start_matches("url: ")))?;
    Ok(Some(url))
}

/// How to start the service. The file lies in `folder`.
pub fn command(table: &ServiceTable, folder: &Path) -> Result<Option<(ServiceCommand, Build)>, Problem> {
    let Some(serve) = &table.serve else {
        // These keys mean nothing without a command: it was forgotten.
        let of_a_command = [
            ("build", table.build.is_some()),
            ("env", table.env.is_some()),
            ("keep", table.keep.is_some()),
            ("restart", table.restart.is_some()),
            ("ready_timeout", table.ready_timeout.is_some()),
        ];
        for (key, is_given) in of_a_command {
            if is_given {
                return Err(wrong(key, "is set without serve, the command that starts the service"));
            }
        }
        return Ok(None);
    };
    if serve.trim().is_empty() {
        return Err(wrong("serve", "is empty; write the command that starts the service"));
    }
    let dir = folder.join(table.dir.as_deref().unwrap_or("."));
    // Told here, as a process that cannot be started in a folder fails without naming it.
    if !dir.is_dir() {
        return Err(wrong("dir", format!("{} is not a folder", dir.display())));
    }
    let command = ServiceCommand {
        serve: serve.clone(),
        env: table.env.clone().unwrap_or_default().into_iter().collect(),
        dir: dir.clone(),
        ready: ready(table)?,
        ready_timeout: ready_timeout(table)?,
        log: folder.join(table.log.as_deref().unwrap_or(LOG)),
        // Those of the API, which is read apart from this table.
        secrets: Vec::new(),
    };
    let build = Build { command: table.build.clone(), dir, keep: keep(table)?, restart: restart(table)? };
    Ok(Some((command, build)))
}

/// The path that tells whether the service is ready, below its base.
pub fn ready_path(table: &ServiceTable) -> Option<String> {
    table.ready.as_deref()?.strip_prefix('/').map(str::to_owned)
}

fn ready(table: &ServiceTable) -> Result<Ready, Problem> {
    match table.ready.as_deref() {
        None | Some("port") => Ok(Ready::Port),
        Some(path) if path.starts_with('/') => Ok(Ready::Path(path.to_owned())),
        Some(other) => {
            Err(wrong("ready", format!("\"{other}\" is not a path, like \"/health\", or \"port\"")))
        }
    }
}

fn ready_timeout(table: &ServiceTable) -> Result<Duration, Problem> {
    let Some(text) = &table.ready_timeout else { return Ok(READY_TIMEOUT) };
    match humantime::parse_duration(text) {
        Ok(time) if !time.is_zero() && time <= LONGEST_READY_TIMEOUT => Ok(time),
        _ => Err(wrong("ready_timeout", format!("\"{text}\" is not a time of up to 10m, like 30s"))),
    }
}

fn keep(table: &ServiceTable) -> Result<Vec<PathBuf>, Problem> {
    let mut keep = Vec::new();
    for text in table.keep.iter().flatten() {
        let path = PathBuf::from(text);
        // Neither absolute nor through `..`: only what lies in the folder is copied along.
        let stays_inside = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        if text.is_empty() || !stays_inside {
            return Err(wrong("keep", format!("\"{text}\" is not a path below the service's folder")));
        }
        keep.push(path);
    }
    Ok(keep)
}

fn restart(table: &ServiceTable) -> Result<Restart, Problem> {
    match table.restart.as_deref() {
        None | Some("pair") => Ok(Restart::Pair),
        Some("session") => Ok(Restart::Session),
        Some(other) => Err(wrong("restart", format!("\"{other}\" is not \"pair\" or \"session\""))),
    }
}

fn wrong(key: &'static str, what: impl std::fmt::Display) -> Problem {
    Problem::new("service", key, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(serve: &str) -> ServiceTable {
        ServiceTable { serve: Some(serve.to_owned()), ..ServiceTable::default() }
    }

    /// What is wrong with this table.
    fn error(table: &ServiceTable) -> String {
        let folder = tempfile::tempdir().expect("makes one");
        command(table, folder.path()).expect_err("is wrong").to_string()
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_command_has_defaults_for_all_else() {
        let folder = tempfile::tempdir().expect("makes one");
        let (command, build) = command(&served("run"), folder.path()).expect("is fine").expect("is one");
        assert_eq!((command.ready, command.ready_timeout), (Ready::Port, READY_TIMEOUT));
        assert_eq!((build.command, build.restart), (None, Restart::Pair));
        assert_eq!(command.log, folder.path().join(LOG));
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        assert!(error(&served(" ")).starts_with("service.serve: is empty"));
        assert!(error(&ServiceTable { dir: some("none"), ..served("run") }).contains("is not a folder"));
        assert!(error(&ServiceTable { ready: some("health"), ..served("run") }).contains("is not a path"));
        assert!(error(&ServiceTable { ready_timeout: some("1h"), ..served("run") }).contains("up to 10m"));
        assert!(error(&ServiceTable { restart: some("never"), ..served("run") }).contains("\"session\""));
        let keep = Some(vec!["../other".to_owned()]);
        assert!(error(&ServiceTable { keep, ..served("run") }).contains("below the service's folder"));
        assert!(
            error(&ServiceTable { build: some("make"), ..ServiceTable::default() }).contains("without serve")
        );
        let both = ServiceTable { url: some("http://h"), ..served("run") };
        assert!(url(&both).expect_err("is wrong").to_string().contains("together with serve"));
        let bad = ServiceTable { url: some("ftp://h"), ..ServiceTable::default() };
        assert_eq!(
            url(&bad).expect_err("is wrong").to_string(),
            "service.url: must begin with http:// or https:// and name a host"
        );
    }
}
