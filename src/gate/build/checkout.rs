//! The source of a commit in a folder of its own: a git worktree, made for one build and removed after it.

use std::ffi::OsStr;
use std::path::Path;

use super::git::Git;
use crate::error::Error;
use crate::files::remove;

/// A commit's source. Dropping it removes the folder and git's record of it.
#[derive(Debug)]
pub struct Checkout<'a> {
    git: &'a Git,
    path: &'a Path,
}

impl<'a> Checkout<'a> {
    /// Checks a commit out into an empty folder. What an earlier gate left behind when it was killed is thrown away
    /// and not repaired, be it half a folder, a stale `index.lock` or a record without a folder.
    pub fn of(git: &'a Git, commit: &str, path: &'a Path) -> Result<Self, Error> {
        remove(path)?;
        // --force once for a record without a folder, twice for one that was locked while it was being made.
        let force = ["worktree", "add", "--force", "--force", "--detach"].map(OsStr::new);
        // Made before git runs, so that half a checkout is removed too.
        let checkout = Self { git, path };
        git.run(&[&force[..], &[path.as_os_str(), OsStr::new(commit)]].concat())?;
        Ok(checkout)
    }
}

impl Drop for Checkout<'_> {
    fn drop(&mut self) {
        let command = ["worktree", "remove", "--force", "--force"].map(OsStr::new);
        // A failure can be ignored: the next checkout removes what is left.
        let _ = self.git.run(&[&command[..], &[self.path.as_os_str()]].concat());
    }
}
