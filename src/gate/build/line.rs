//! The line of commits between two, for the search for the one that made a case slower.

use super::commit::Commit;
use super::error::BuildError;
use super::tree::Tree;
use crate::error::Error;
use crate::lockstep::LineCommit;

/// What git prints of each commit: its hash, those of its parents, and its subject, a line each.
const FORMAT: &str = "--format=%H%n%P%n%s";

/// A commit as git logs it.
#[derive(Debug)]
struct Logged {
    id: String,
    /// Hashes of its parents, the first one first.
    parents: Vec<String>,
    subject: String,
}

impl Tree {
    /// The commits from `good` to `bad` along first parents, both included: what the branch was, one after the other. What
    /// came in by a merge is part of that merge.
    pub(crate) fn line(&self, good: &str, bad: &str) -> Result<Vec<LineCommit>, Error> {
        let good = self.named(good)?;
        let bad = self.named(bad)?;
        if good.id == bad.id {
            return Err(BuildError::OneCommit { good: good.name, bad: bad.name }.into());
        }
        if self.git.ask(&["merge-base", "--is-ancestor", &good.id, &bad.id])?.is_none() {
            let common = self.git.ask(&["merge-base", &good.id, &bad.id])?;
            let instead = common.map(|id| called_by_hash(&id).name);
            let shallow = self.is_shallow()?;
            return Err(BuildError::NotAnAncestor { good: good.name, bad: bad.name, instead, shallow }.into());
        }
        let first = self.logged(&["--max-count=1", &good.id])?;
        let after = self.logged(&["--first-parent", "--reverse", &format!("{}..{}", good.id, bad.id)])?;
        // The line has to begin at `good`. It does not where that came in by a merge: then the oldest of these commits has
        // another parent, and may lack what `good` has.
        let begins_at = after.first().and_then(|commit| commit.parents.first());
        if begins_at != Some(&good.id) {
            let instead = begins_at.map_or_else(|| bad.name.clone(), |id| called_by_hash(id).name);
            return Err(BuildError::NotOnTheLine { good: good.name, bad: bad.name, instead }.into());
        }

        let mut line = Vec::new();
        for Logged { id, parents, subject } in first.into_iter().chain(after) {
            // The ends keep the names that they were given by.
            let name = if id == good.id {
                good.name.clone()
            } else if id == bad.id {
                bad.name.clone()
            } else {
                called_by_hash(&id).name
            };
            line.push(LineCommit { id, name, subject, parents: parents.len() });
        }
        Ok(line)
    }

    /// The commits that git logs with these arguments.
    fn logged(&self, args: &[&str]) -> Result<Vec<Logged>, BuildError> {
        // Whatever the user has set for their own eyes would stand among the fields.
        let command =
            ["log", "--no-show-signature", "--no-notes", "--no-patch", "--encoding=UTF-8", "-z", FORMAT];
        let mut commits = Vec::new();
        for entry in self.git.names(&[&command[..], args].concat())? {
            let mut fields = entry.splitn(3, '\n');
            let id = fields.next().unwrap_or_default().to_owned();
            let parents = fields.next().unwrap_or_default();
            let parents = parents.split_whitespace().map(str::to_owned).collect();
            let subject = fields.next().unwrap_or_default().to_owned();
            commits.push(Logged { id, parents, subject });
        }
        Ok(commits)
    }
}

/// A commit that nobody gave a name.
fn called_by_hash(id: &str) -> Commit {
    Commit::new(id.to_owned(), id)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Repository;

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

    fn error(repository: &Repository, good: &str, bad: &str) -> String {
        repository.tree().line(good, bad).expect_err("is wrong").to_string()
    }

    #[test]
    fn the_line_is_that_of_first_parents() {
        let repository = merged();
        let line = repository.tree().line("good", "main").expect("is one");
        let subjects: Vec<&str> = line.iter().map(|commit| commit.subject.as_str()).collect();
        assert_eq!(subjects, ["first", "second", "Merge side", "last"]);
        assert_eq!(line.iter().map(|commit| commit.parents).collect::<Vec<_>>(), [1, 1, 2, 1]);
        let id = repository.git(&["rev-parse", "main~2"]);
        assert_eq!((&line[1].id, line[1].name.as_str()), (&id, &id[..7]));
        assert!(line[0].name.starts_with("good (") && line[3].name.starts_with("main ("), "{line:?}");
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
        assert_eq!(error(&repository, "nowhere", "main"), "\"nowhere\" is no commit of this repository");
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
