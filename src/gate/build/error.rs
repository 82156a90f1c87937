//! Errors of building an executable, or a service, from a git ref.

use std::io;
use std::path::PathBuf;

use crate::error::Error;
use crate::units::Bytes;

/// Error of git, cargo or a build command, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A program that is needed could not be started.
    #[error("cannot run {program}: {source}; comparing two refs needs git, cargo and rustc in PATH")]
    NotRun {
        /// Its name.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// The current folder is not in a checkout of this project.
    #[error(
        "{}: not a checkout of ingester-perf ({reason}); run the gate in one, or write how your service is started \
         (ingester-perf init), or give two executables or two URLs",
        path.display()
    )]
    NotACheckout {
        /// The folder in which the checkout was looked for.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A git command failed.
    #[error("git {command} failed: {said}")]
    Git {
        /// The command's first words.
        command: String,
        /// Its standard error.
        said: String,
    },
    /// The name is not that of a commit.
    #[error("\"{name}\" is not a commit of this repository{}", missing(*shallow))]
    NoSuchRef {
        /// The name as it was given.
        name: String,
        /// Whether history is cut short.
        shallow: bool,
    },
    /// None of the main branches exists.
    #[error("there is no {tried} to compare with{}; or name a commit with --base", missing(*shallow))]
    NoMain {
        /// The branches looked for.
        tried: String,
        /// Whether history is cut short.
        shallow: bool,
    },
    /// Head and main have no commit in common.
    #[error("{head} and {main} have no common commit{}; or name one with --base", missing(*shallow))]
    NoMergeBase {
        /// What people call the head.
        head: String,
        /// The branch.
        main: String,
        /// Whether history is cut short.
        shallow: bool,
    },
    /// The head has no parent.
    #[error("{head} has no commit before it{}; or name one with --base", missing(*shallow))]
    NoParent {
        /// What people call the head.
        head: String,
        /// Whether history is cut short.
        shallow: bool,
    },
    /// No release leads to the head.
    #[error(
        "{head} has no release before it: no tag that is named like a version (v1.2.3) and no annotated tag leads to it{}; \
         tag one (git tag -a v1.0.0), fetch the tags (git fetch --tags), or name a commit with {instead}",
        missing(*shallow)
    )]
    NoRelease {
        /// What people call the head.
        head: String,
        /// Whether history is cut short.
        shallow: bool,
        /// The flag that names a commit.
        instead: &'static str,
    },
    /// The current folder is in no repository, whose commits a history is of.
    #[error("{}: not in a git repository ({reason}); run this in the one whose commits were measured", path.display())]
    NoRepository {
        /// The folder.
        path: PathBuf,
        /// What git said.
        reason: String,
    },
    /// No line of commits leads from one to the other.
    #[error(
        "{good} is not an ancestor of {bad}, so no commits lie between them{}{}",
        missing(*shallow),
        instead.as_ref().map(|id| format!("; the last commit that both have is {id}: give that for GOOD")).unwrap_or_default()
    )]
    NotAnAncestor {
        /// What people call the first of them.
        good: String,
        /// What people call the last.
        bad: String,
        /// The last commit that they have in common.
        instead: Option<String>,
        /// Whether history is cut short.
        shallow: bool,
    },
    /// It is an ancestor, but by a merge.
    #[error(
        "{good} came into {bad} by a merge, and only first parents are searched; give a commit of that line for GOOD, like \
         {instead}, the last one before what {good} lacks"
    )]
    NotOnTheLine {
        /// What people call the first of them.
        good: String,
        /// What people call the last.
        bad: String,
        /// A commit that could be given.
        instead: String,
    },
    /// Both are one commit.
    #[error(
        "{good} and {bad} are one commit: there is nothing to search; give the last good commit and the first bad one"
    )]
    OneCommit {
        /// What people call it.
        good: String,
        /// The other name.
        bad: String,
    },
    /// A signal ended the build.
    #[error("interrupted")]
    Interrupted(u8),
    /// Cargo could not build this commit.
    #[error("{commit} does not build ({status}); the end of what cargo said:\n{output}")]
    Compile {
        /// What people call it.
        commit: String,
        /// How cargo ended: its exit code, or the signal that ended it.
        status: std::process::ExitStatus,
        /// Its last lines.
        output: String,
    },
    /// Cargo succeeded and named no executable.
    #[error("{commit} has no executable of the {target}; compare it with commits that have one")]
    NoExecutable {
        /// What people call the commit.
        commit: String,
        /// What was to be built.
        target: String,
    },
    /// The current folder holds no crate whose bench could be built.
    #[error("{}: not a cargo package ({reason}); run the gate in the folder of the crate whose bench it is", path.display())]
    NoCrate {
        /// The manifest that was looked for.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// The service's folder is not part of this commit.
    #[error("{commit} has no folder {folder} (service.dir); compare it with commits that have it")]
    NoFolder {
        /// What people call the commit.
        commit: String,
        /// Seen from the top of the repository.
        folder: String,
    },
    /// The build command failed.
    #[error("{commit}: {source}")]
    Service {
        /// What people call the commit.
        commit: String,
        /// What it said.
        source: Box<Error>,
    },
    /// The build did not make a file or folder that `service.keep` names.
    #[error("{commit}: the build leaves no {path} behind, which service.keep names")]
    NotKept {
        /// What people call the commit.
        commit: String,
        /// Seen from the service's folder.
        path: String,
    },
    /// The built folder is too large to be copied for every start.
    #[error(
        "{commit}: the service's folder has {size} once it is built, and is copied for every start of the service: at most \
         {most}; name what is needed to start it in service.keep"
    )]
    TooLarge {
        /// What people call the commit.
        commit: String,
        /// Size of all its files.
        size: Bytes,
        /// The largest size allowed.
        most: Bytes,
    },
}

impl BuildError {
    /// Whether it is of what the commit holds: another one may well build.
    fn is_of_the_commit(&self) -> bool {
        matches!(
            self,
            Self::Compile { .. }
                | Self::NoExecutable { .. }
                | Self::NoCrate { .. }
                | Self::NoFolder { .. }
                | Self::Service { .. }
                | Self::NotKept { .. }
                | Self::TooLarge { .. }
        )
    }
}

/// Whether this error says that a commit does not build, and not that nothing can be built.
pub(crate) fn does_not_build(error: &Error) -> bool {
    match error {
        Error::Unusable(source) => {
            source.downcast_ref::<BuildError>().is_some_and(BuildError::is_of_the_commit)
        }
        _ => false,
    }
}

/// Advice for a clone whose history is cut short, which is what CI makes by default.
fn missing(shallow: bool) -> &'static str {
    if shallow {
        ", but this clone is shallow: fetch more history (git fetch --unshallow; in GitHub Actions: \
         actions/checkout with fetch-depth: 0)"
    } else {
        ""
    }
}

impl From<BuildError> for Error {
    fn from(error: BuildError) -> Self {
        match error {
            // An interrupt has an exit code of its own.
            BuildError::Interrupted(signal) => Self::Interrupted(signal),
            error => Self::Unusable(error.into()),
        }
    }
}
