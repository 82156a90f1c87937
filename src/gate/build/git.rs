//! Runs git so that the result does not depend on the user's settings or environment, from within a git hook too.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::error::BuildError;
use crate::interrupt::Interrupt;
use crate::process_group;

/// Settings given to every command, above the user's own. Those could run someone's code (hooks, file-system monitor),
/// refuse a file for its line ends, leave files out (sparse checkout), enter submodules, or start to collect garbage.
const SETTINGS: [&str; 6] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.safecrlf=false",
    "core.sparseCheckout=false",
    "submodule.recurse=false",
    "gc.auto=0",
];

/// Commits made here bear this name and time, never the user's: the same files give the same commit, hence a cached
/// build, and a machine without `user.email` can make one.
const IDENTITY: [(&str, &str); 6] = [
    ("GIT_AUTHOR_NAME", "ingester-perf gate"),
    ("GIT_AUTHOR_EMAIL", "gate@localhost"),
    ("GIT_AUTHOR_DATE", "2000-01-01T00:00:00Z"),
    ("GIT_COMMITTER_NAME", "ingester-perf gate"),
    ("GIT_COMMITTER_EMAIL", "gate@localhost"),
    ("GIT_COMMITTER_DATE", "2000-01-01T00:00:00Z"),
];

/// Git in one folder.
#[derive(Debug, Clone)]
pub struct Git {
    at: PathBuf,
    index: Option<PathBuf>,
    interrupt: Interrupt,
}

impl Git {
    pub fn at(folder: &Path, interrupt: &Interrupt) -> Self {
        Self { at: folder.to_owned(), index: None, interrupt: interrupt.clone() }
    }

    /// Git with another index than the user's, which is then neither written nor locked.
    pub fn with_index(&self, index: &Path) -> Self {
        Self { index: Some(index.to_owned()), ..self.clone() }
    }

    pub fn folder(&self) -> &Path {
        &self.at
    }

    /// Standard output of a command that must succeed, without the last line's end.
    pub fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<String, BuildError> {
        let output = self.output(args)?;
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(failed(args, &output)) }
    }

    /// Standard output of a command that asks a question; `None` where the answer is no, which git tells by exit code 1.
    pub fn ask<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Option<String>, BuildError> {
        let output = self.output(args)?;
        match output.status.code() {
            Some(0) => Ok(Some(text(&output.stdout))),
            Some(1) => Ok(None),
            _ => Err(failed(args, &output)),
        }
    }

    /// Hash of the commit that this ref leads to, if there is one.
    pub fn commit_of(&self, name: &str) -> Result<Option<String>, BuildError> {
        // Git would take a name with a leading dash for an option.
        if name.starts_with('-') || name.is_empty() {
            return Ok(None);
        }
        // `^{commit}` follows a tag to its commit, and is an error for a file or a folder.
        self.ask(&["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")])
    }

    /// File names that a command prints with `-z`.
    pub fn names<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Vec<String>, BuildError> {
        Ok(self.run(args)?.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    fn output<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Output, BuildError> {
        let mut command = Command::new("git");
        // Where the gate runs in a hook, git has set GIT_DIR, GIT_INDEX_FILE and the like: they would lead elsewhere
        // than the folder.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GIT_")) {
            command.env_remove(name);
        }
        command.current_dir(&self.at).env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").envs(IDENTITY);
        if let Some(index) = &self.index {
            command.env("GIT_INDEX_FILE", index);
        }
        // With optional locks even `git diff` would write the index, to refresh it.
        command.args(["--no-pager", "--no-optional-locks"]);
        command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        command.args(args);
        let output = process_group::output(command, &self.interrupt)
            .map_err(|source| BuildError::NotRun { program: "git".to_owned(), source })?;
        // A command that was interrupted looks like one that failed, and its output is not all of it.
        match self.interrupt.signal() {
            Some(signal) => Err(BuildError::Interrupted(signal)),
            None => Ok(output),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\n').to_owned()
}

fn failed<S: AsRef<OsStr>>(args: &[S], output: &Output) -> BuildError {
    // The command and its first argument: the others may be hashes and long paths.
    let words: Vec<_> = args.iter().take(2).map(|word| word.as_ref().to_string_lossy()).collect();
    BuildError::Git { command: words.join(" "), said: text(&output.stderr) }
}
