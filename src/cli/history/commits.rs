//! The commits that a history is looked at along.

use crate::Error;
use crate::gate::build::{Commit, FirstParents, Tree};
use crate::history::CommitLine;
use crate::lockstep::LineCommit;

/// A line of commits, and what people call its start.
pub(super) struct Since {
    /// The commit that changes are told from.
    pub commit: Commit,
    /// The commits from there to the newest.
    pub line: CommitLine,
}

impl Since {
    /// The line from this commit to `head`. An error where it is later than `head`: nothing would be looked at, and all of
    /// that would hold.
    pub fn new(tree: &Tree, commit: Commit, head: &Commit) -> Result<Self, Error> {
        let FirstParents { start, after } = tree.line_since(&commit, head)?;
        if after.is_empty() && commit.id != head.id {
            let problem = format!("{} comes after {}; name a commit before it", commit.name, head.name);
            return Err(Error::Setting { name: "--since", problem });
        }
        let after = hashes(&after);
        // Two histories without a common commit: the oldest commit is as far as it goes.
        let start = start.unwrap_or_else(|| commit.id.clone());
        // A release may have been made on a branch of its own: sessions that begin there lead on from where it left.
        let line = CommitLine::new(&start, &after).starting_at(&commit.id);
        Ok(Self { commit, line })
    }
}

/// All commits that lead to `head`, along first parents.
pub(super) fn whole_line(tree: &Tree, head: &Commit) -> Result<CommitLine, Error> {
    let FirstParents { after, .. } = tree.whole_line(head)?;
    match hashes(&after).split_first() {
        Some((first, others)) => Ok(CommitLine::new(first, others)),
        None => Ok(CommitLine::new(&head.id, &[])),
    }
}

fn hashes(commits: &[LineCommit]) -> Vec<String> {
    commits.iter().map(|commit| commit.id.clone()).collect()
}
