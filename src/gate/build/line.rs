//! The line of commits that a branch went along: from each commit to its first parent. The search for the commit that made
//! a case slower goes along it, and so does the history.

use super::commit::Commit;
use super::error::BuildError;
use super::tree::Tree;
use crate::error::Error;
use crate::lockstep::LineCommit;

/// What git prints of each commit: its hash, those of its parents, and its subject, a line each.
const FORMAT: &str = "--format=%H%n%P%n%s";

/// Commits of one line, in the order in which they were made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FirstParents {
    /// Hash of the commit that the line goes on from, if there is one.
    pub start: Option<String>,
    /// The commits that follow it.
    pub after: Vec<LineCommit>,
}

impl Tree {
    /// The commit of this ref; an error where there is none.
    pub fn commit(&self, name: &str) -> Result<Commit, Error> {
        Ok(self.named(name)?)
    }

    /// The commits from `good` to `bad` along first parents, both included: what the branch was, one after the other. What
    /// came in by a merge is part of that merge.
    pub(crate) fn line(&self, good: &str, bad: &str) -> Result<Vec<LineCommit>, Error> {
        let good = self.named(good)?;
        let bad = self.named(bad)?;
        if good.id == bad.id {
            return Err(BuildError::OneCommit { good: good.name, bad: bad.name }.into());
        }
        if !self.is_part_of(&good, &bad)? {
            let common = self.git.ask(&["merge-base", &good.id, &bad.id])?;
            let instead = common.map(|id| called_by_hash(&id).name);
            let shallow = self.is_shallow()?;
            return Err(BuildError::NotAnAncestor { good: good.name, bad: bad.name, instead, shallow }.into());
        }
        let FirstParents { start, after } = self.line_since(&good, &bad)?;
        // The line has to begin at `good`. It does not where that came in by a merge: then the oldest of these commits has
        // another parent, and may lack what `good` has.
        if start.as_ref() != Some(&good.id) {
            let instead = start.map_or_else(|| bad.name.clone(), |id| called_by_hash(&id).name);
            return Err(BuildError::NotOnTheLine { good: good.name, bad: bad.name, instead }.into());
        }

        let mut line = self.first_parents(&["--max-count=1", &good.id])?.after;
        line.extend(after);
        // The ends keep the names that they were given by.
        for commit in &mut line {
            if commit.id == good.id {
                commit.name.clone_from(&good.name);
            } else if commit.id == bad.id {
                commit.name.clone_from(&bad.name);
            }
        }
        Ok(line)
    }

    /// The commits of head's own line that are not part of `since`. Its start is `since`, or where that left the line.
    pub(crate) fn line_since(&self, since: &Commit, head: &Commit) -> Result<FirstParents, Error> {
        let range = format!("{}..{}", since.id, head.id);
        let mut line = self.first_parents(&[range.as_str()])?;
        if line.after.is_empty() {
            line.start = Some(since.id.clone());
        }
        Ok(line)
    }

    /// All commits of head's own line.
    pub(crate) fn whole_line(&self, head: &Commit) -> Result<FirstParents, Error> {
        Ok(self.first_parents(&[head.id.as_str()])?)
    }

    /// Whether head was made with this commit in its past, or is the commit.
    pub fn is_part_of(&self, commit: &Commit, head: &Commit) -> Result<bool, Error> {
        Ok(self.git.ask(&["merge-base", "--is-ancestor", &commit.id, &head.id])?.is_some())
    }

    /// The commits that git logs along first parents with these arguments, the oldest first.
    fn first_parents(&self, args: &[&str]) -> Result<FirstParents, BuildError> {
        // Whatever the user has set for their own eyes would stand among the fields.
        let command = [
            "log",
            "--first-parent",
            "--reverse",
            "--no-show-signature",
            "--no-notes",
            "--no-patch",
            "--encoding=UTF-8",
            "-z",
            FORMAT,
        ];
        let mut line = FirstParents { start: None, after: Vec::new() };
        for entry in self.git.names(&[&command[..], args].concat())? {
            let mut fields = entry.splitn(3, '\n');
            let id = fields.next().unwrap_or_default().to_owned();
            let parents: Vec<&str> = fields.next().unwrap_or_default().split_whitespace().collect();
            let subject = fields.next().unwrap_or_default().to_owned();
            if line.after.is_empty() {
                line.start = parents.first().map(|parent| (*parent).to_owned());
            }
            let name = called_by_hash(&id).name;
            line.after.push(LineCommit { id, name, subject, parents: parents.len() });
        }
        Ok(line)
    }
}

/// A commit that nobody gave a name.
fn called_by_hash(id: &str) -> Commit {
    Commit::new(id.to_owned(), id)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Repository;
    use crate::lockstep::LineCommit;

    /// A commit with this subject, and its hash.
    fn commit(repository: &Repository, subject: &str) -> String {
        repository.write("subject", subject);
        repository.git(&["add", "--all"]);
        repository.git(&["commit", "--quiet", "--message", subject]);
        repository.git(&["rev-parse", "HEAD"])
    }

    /// Main with `first`, `second`, a merge of the branch `side` with one commit, and `last`.
    fn merged() -> Repository {
        let repository = Repository::new();
        commit(&repository, "first");
        repository.git(&["tag", "good"]);
        repository.git(&["checkout", "--quiet", "-b", "side"]);
        repository.write("side", "1");
        repository.commit();
        repository.git(&["checkout", "--quiet", "main"]);
        commit(&repository, "second");
        repository.git(&["merge", "--quiet", "--no-ff", "--message", "Merge side", "side"]);
        commit(&repository, "last");
        repository
    }

    fn subjects(line: &[LineCommit]) -> Vec<&str> {
        line.iter().map(|commit| commit.subject.as_str()).collect()
    }

    fn error(repository: &Repository, good: &str, bad: &str) -> String {
        repository.tree().line(good, bad).expect_err("is wrong").to_string()
    }

    #[test]
    fn the_line_is_that_of_first_parents() {
        let repository = merged();
        let line = repository.tree().line("good", "main").expect("is one");
        assert_eq!(subjects(&line), ["first", "second", "Merge side", "last"]);
        assert_eq!(line.iter().map(|commit| commit.parents).collect::<Vec<_>>(), [1, 1, 2, 1]);
        let id = repository.git(&["rev-parse", "main~2"]);
        assert_eq!((&line[1].id, line[1].name.as_str()), (&id, &id[..7]));
        assert!(line[0].name.starts_with("good (") && line[3].name.starts_with("main ("), "{line:?}");
    }

    #[test]
    fn a_line_leaves_out_what_was_merged_into_it() {
        let repository = merged();
        let tree = repository.tree();
        let head = tree.commit("main").expect("is there");
        let good = tree.commit("good").expect("is there");
        let side = tree.commit("side").expect("is there");
        let first = repository.git(&["rev-parse", "good~1"]);

        let line = tree.line_since(&good, &head).expect("is a line");
        assert_eq!(line.start.as_deref(), Some(good.id.as_str()));
        assert_eq!(subjects(&line.after), ["second", "Merge side", "last"]);
        let whole = tree.whole_line(&head).expect("is a line");
        assert_eq!(subjects(&whole.after), ["a change", "first", "second", "Merge side", "last"]);
        assert_eq!((&whole.start, &whole.after[0].id), (&None, &first));
        // A branch that was merged is not on the line: its start is where the branch left it.
        let line = tree.line_since(&side, &head).expect("is a line");
        assert_eq!(line.start.as_deref(), Some(good.id.as_str()));
        let line = tree.line_since(&head, &head).expect("is a line");
        assert_eq!((line.start, line.after), (Some(head.id.clone()), vec![]));

        assert!(tree.is_part_of(&side, &head).expect("tells"));
        let before = tree.commit("main~2").expect("is there");
        assert!(!tree.is_part_of(&side, &before).expect("tells"));
    }

    #[test]
    fn without_a_line_a_commit_is_named_that_has_one() {
        let repository = merged();
        let good = repository.git(&["rev-parse", "good"]);
        let message = error(&repository, "main~2", "side");
        assert!(message.contains("is not an ancestor of side ("), "{message}");
        assert!(message.ends_with(&format!("is {}: give that for GOOD", &good[..7])), "{message}");
        // It came in by the merge: the first commit that it lacks is `second`, whose parent is `good`.
        let message = error(&repository, "side", "main");
        assert!(message.contains("came into main (") && message.contains(" by a merge"), "{message}");
        assert!(message.contains(&format!("like {}, the last one", &good[..7])), "{message}");
        let message = error(&repository, "main", "HEAD");
        assert!(message.contains("are one commit: there is nothing to search"), "{message}");
        assert_eq!(error(&repository, "nowhere", "main"), "\"nowhere\" is not a commit of this repository");
    }

    #[test]
    fn settings_for_the_eye_do_not_change_what_is_read() {
        let repository = merged();
        let plain = repository.tree().line("good", "main").expect("is one");
        for setting in ["log.showSignature", "log.decorate", "log.follow"] {
            repository.git(&["config", setting, "true"]);
        }
        repository.git(&["notes", "add", "--message", "a note", "main"]);
        assert_eq!(repository.tree().line("good", "main").expect("is one"), plain);
    }
}
