//! Makes a commit of the tree as it stands, with what is not committed yet, and without touching anything of the user's.

use std::path::Path;

use super::commit::Commit;
use super::error::BuildError;
use super::tree::Tree;
use crate::error::Error;

/// At most this many of the files left out are named.
const NAMED: usize = 10;

impl Tree {
    /// HEAD where nothing differs from it, else a commit that no branch and no stash knows, the same for the same files.
    pub(super) fn standing(&self) -> Result<Commit, Error> {
        // A repository without any commit has no HEAD yet.
        let Some(head) = self.resolve("HEAD")? else {
            return Err(BuildError::NoSuchRef { name: "HEAD".to_owned(), shallow: false }.into());
        };
        let files = self.files()?;
        // Equal trees have equal hashes: where HEAD has these files, it is taken, and a build that is kept with it.
        let mut commit = if files == self.git.run(&["rev-parse", &format!("{head}^{{tree}}")])? {
            Commit::new(head, "this tree")
        } else {
            let message = "This tree, with uncommitted changes";
            let id = self.git.run(&["commit-tree", &files, "-p", &head, "-m", message])?;
            Commit::new(id, "this tree, with uncommitted changes")
        };
        commit.notes.extend(self.left_out()?);
        Ok(commit)
    }

    /// The tracked files as they are on disk, as a tree object. `git stash create` would refresh the user's index,
    /// and name the same files differently according to which are staged.
    fn files(&self) -> Result<String, Error> {
        let index = self.git.folder().join(self.git.run(&["rev-parse", "--git-path", "index"])?);
        // A copy of the index with all tracked files added: the user's own is neither changed nor locked.
        std::fs::create_dir_all(&self.home).map_err(|e| Error::file(&self.home, "make", e))?;
        let scratch = tempfile::tempdir_in(&self.home).map_err(|e| Error::file(&self.home, "write to", e))?;
        let copy = scratch.path().join("index");
        copy_index(&index, &copy)?;
        let git = self.git.with_index(&copy);
        git.run(&["add", "--update"])?;
        Ok(git.run(&["write-tree"])?)
    }

    /// Note about files that git neither tracks nor ignores, as someone may have forgotten to add them; `None` without any.
    fn left_out(&self) -> Result<Option<String>, BuildError> {
        let files = self.git.names(&["ls-files", "--others", "--exclude-standard", "-z"])?;
        if files.is_empty() {
            return Ok(None);
        }
        let more = files.len().saturating_sub(NAMED);
        let named = files.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        let and_more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Ok(Some(format!("not part of what is built, as git does not track them: {named}{and_more}")))
    }
}

fn copy_index(from: &Path, to: &Path) -> Result<(), Error> {
    std::fs::copy(from, to).map(drop).map_err(|e| Error::file(from, "copy git's index", e))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Repository, said};

    #[test]
    fn uncommitted_changes_are_part_of_the_tree_and_nothing_of_the_users_is_touched() {
        let repository = Repository::new();
        let tree = repository.tree();
        // The same file staged and then changed again, a new file that is staged, and one that is not.
        repository.says("staged");
        repository.write("src/new.rs", "");
        repository.git(&["add", "--all"]);
        repository.says("changed");
        repository.write("forgotten.rs", "");
        let index = repository.root().join(".git/index");
        let before = (std::fs::read(&index).expect("reads"), repository.git(&["status", "--porcelain"]));

        // Someone else has the index locked: it is read and never written, so that does no harm.
        repository.write(".git/index.lock", "");
        let head = tree.head(None).expect("is there");
        assert_eq!(
            said(&tree.build(&head, &tree.lock().expect("free")).expect("builds").executable),
            "changed"
        );
        assert!(head.name.starts_with("this tree, with uncommitted changes ("), "{}", head.name);
        assert_eq!(head.notes, ["not part of what is built, as git does not track them: forgotten.rs"]);
        std::fs::remove_file(repository.root().join(".git/index.lock")).expect("removes");

        assert_eq!(
            before,
            (std::fs::read(&index).expect("reads"), repository.git(&["status", "--porcelain"]))
        );
        assert_eq!(repository.git(&["stash", "list"]), "");
        assert_eq!(repository.git(&["for-each-ref", "--format=%(refname)"]), "refs/heads/main");
        // The same files, staged or not, are the same commit: its build is kept.
        repository.git(&["add", "src"]);
        assert_eq!(tree.head(None).expect("is there").id, head.id);
        assert_eq!(repository.git(&["ls-tree", "--name-only", &head.id, "src/"]), "src/main.rs\nsrc/new.rs");
    }
}
