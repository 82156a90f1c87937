//! Which two commits are compared.

use super::error::BuildError;
use super::tree::Tree;
use crate::error::Error;

/// A commit, by git's name for it and by people's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// All of its hash.
    pub id: String,
    /// What people call it: `main (1a2b3c4)`.
    pub name: String,
    /// What they should know about it: why it was chosen, what is not part of it. Mostly none.
    pub notes: Vec<String>,
}

impl Commit {
    pub(super) fn new(id: String, called: &str) -> Self {
        let short = id.get(..7).unwrap_or(&id);
        let name = if called.len() >= 7 && id.starts_with(called) {
            short.to_owned()
        } else {
            format!("{called} ({short})")
        };
        Self { id, name, notes: Vec::new() }
    }
}

impl Tree {
    /// The commit of this ref; without one, the tree as it stands, with uncommitted changes of tracked files.
    pub fn head(&self, given: Option<&str>) -> Result<Commit, Error> {
        match given {
            Some(name) => Ok(self.named(name)?),
            None => self.standing(),
        }
    }

    /// The commit of this ref; without one, where `head` left main, or the commit before it where head is main.
    ///
    /// Main is `GATE_BASE`, else `GITHUB_BASE_REF`, else `main` or `master`, here or at `origin`.
    pub fn base(&self, given: Option<&str>, head: &Commit) -> Result<Commit, Error> {
        let Some(name) = given else { return Ok(self.origin(head)?) };
        Ok(self.named(name)?)
    }

    /// Paths that differ between two commits.
    pub fn changed(&self, base: &Commit, head: &Commit) -> Result<Vec<String>, Error> {
        Ok(self.git.names(&["diff", "--name-only", "--no-renames", "-z", &base.id, &head.id])?)
    }

    fn origin(&self, head: &Commit) -> Result<Commit, BuildError> {
        let main = self.existing_mains()?;
        // Of all of them: the last commit in common, should `main` here lag behind that of `origin`, or lead.
        let ids =
            [&["merge-base", &head.id], &main.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>()[..]];
        let main = main[0].0.as_str();
        let Some(id) = self.git.ask(&ids.concat())? else {
            let (head, main) = (head.name.clone(), main.to_owned());
            return Err(BuildError::NoMergeBase { head, main, shallow: self.is_shallow()? });
        };
        if id == head.id {
            self.parent(head, main)
        } else {
            Ok(Commit::new(id, &format!("merge-base with {main}")))
        }
    }

    /// Those that exist, with their commits; at least one.
    fn existing_mains(&self) -> Result<Vec<(String, String)>, BuildError> {
        let mut found = Vec::new();
        for name in &self.mains {
            if let Some(id) = self.resolve(name)? {
                found.push((name.clone(), id));
            }
        }
        if found.is_empty() {
            return Err(BuildError::NoMain { tried: self.mains.join(" or "), shallow: self.is_shallow()? });
        }
        Ok(found)
    }

    fn parent(&self, head: &Commit, main: &str) -> Result<Commit, BuildError> {
        let Some(id) = self.resolve(&format!("{}^1", head.id))? else {
            return Err(BuildError::NoParent { head: head.name.clone(), shallow: self.is_shallow()? });
        };
        let mut parent = Commit::new(id, "the commit before");
        parent.notes.push(format!(
            "{} is part of {main} and has no uncommitted changes: it is compared with the commit before it",
            head.name
        ));
        Ok(parent)
    }

    fn named(&self, name: &str) -> Result<Commit, BuildError> {
        match self.resolve(name)? {
            Some(id) => Ok(Commit::new(id, name)),
            None => Err(BuildError::NoSuchRef { name: name.to_owned(), shallow: self.is_shallow()? }),
        }
    }

    pub(super) fn resolve(&self, name: &str) -> Result<Option<String>, BuildError> {
        // Git would take the first for an option.
        if name.starts_with('-') || name.is_empty() {
            return Ok(None);
        }
        self.git.ask(&["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")])
    }

    fn is_shallow(&self) -> Result<bool, BuildError> {
        Ok(self.git.run(&["rev-parse", "--is-shallow-repository"])? == "true")
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Repository, tree_in};

    #[test]
    fn a_change_is_compared_with_where_it_left_main() {
        let repository = Repository::new();
        let left = repository.git(&["rev-parse", "HEAD"]);
        repository.git(&["checkout", "--quiet", "-b", "change"]);
        repository.says("changed");
        let changed = repository.commit();
        repository.git(&["checkout", "--quiet", "main"]);
        repository.says("meanwhile");
        repository.commit();
        repository.git(&["checkout", "--quiet", "change"]);

        let tree = repository.tree();
        let head = tree.head(None).expect("is there");
        let base = tree.base(None, &head).expect("is there");
        assert_eq!((&head.id, &base.id), (&changed, &left));
        assert_eq!(base.name, format!("merge-base with main ({})", &left[..7]));
        assert_eq!(tree.changed(&base, &head).expect("differ"), ["src/main.rs"]);
        assert_eq!((head.notes, base.notes), (vec![], vec![]));
    }

    #[test]
    fn main_itself_is_compared_with_the_commit_before_and_says_so() {
        let repository = Repository::new();
        let tree = repository.tree();
        let first = tree.head(None).expect("is there");
        let error = tree.base(None, &first).expect_err("nothing before").to_string();
        assert!(error.contains("has no commit before it; or name one with --base"), "{error}");

        repository.says("second");
        let uncommitted = tree.head(None).expect("is there");
        assert_eq!(tree.base(None, &uncommitted).expect("is there").id, first.id);

        repository.commit();
        let second = tree.head(None).expect("is there");
        let base = tree.base(None, &second).expect("is there");
        assert_eq!(base.id, first.id);
        assert!(base.notes[0].contains("compared with the commit before it"), "{:?}", base.notes);
    }

    #[test]
    fn what_is_no_ref_is_refused_by_name() {
        let repository = Repository::new();
        let tree = repository.tree();
        for name in ["nowhere", "--all", "-h", "", "main..main", "main:Cargo.toml", "HEAD^9", "a b"] {
            let error = tree.head(Some(name)).expect_err(name).to_string();
            assert_eq!(error, format!("\"{name}\" is no commit of this repository"));
        }
        let id = repository.git(&["rev-parse", "HEAD"]);
        assert_eq!(tree.head(Some("main")).expect("is there").name, format!("main ({})", &id[..7]));
        assert_eq!(tree.head(Some(&id)).expect("is there").name, id[..7]);
    }

    #[test]
    fn a_shallow_clone_is_told_to_fetch_more() {
        let repository = Repository::new();
        repository.says("second");
        repository.commit();
        let clone = tempfile::tempdir().expect("makes one");
        let url = format!("file://{}", repository.root().display());
        let into = clone.path().to_str().expect("is text");
        repository.git(&["clone", "--quiet", "--depth=1", &url, into]);
        let tree = tree_in(clone.path(), "cargo".into());
        let head = tree.head(None).expect("is there");
        let errors =
            [tree.base(None, &head).expect_err("cut off"), tree.head(Some("main~1")).expect_err("cut off")];
        for error in errors.map(|error| error.to_string()) {
            assert!(error.contains("shallow: fetch more history (git fetch --unshallow"), "{error}");
            assert!(error.contains("fetch-depth: 0"), "{error}");
        }
    }
}
