//! Chooses the two commits to compare.

use super::commit::Commit;
use super::error::BuildError;
use super::tree::Tree;
use crate::error::Error;

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
        match given {
            Some(name) => Ok(self.named(name)?),
            None => Ok(self.origin(head)?),
        }
    }

    /// The last release before `head`: of the tags that lead to it and not to `head` itself, the nearest that is a release.
    /// `instead` is the flag that names a commit where there is none.
    pub fn release_before(&self, head: &Commit, instead: &'static str) -> Result<Commit, Error> {
        match self.find_release_before(head)? {
            Some(release) => Ok(release),
            None => {
                let head = head.name.clone();
                Err(BuildError::NoRelease { head, shallow: self.is_shallow()?, instead }.into())
            }
        }
    }

    /// The same; `None` where there is none.
    pub fn find_release_before(&self, head: &Commit) -> Result<Option<Commit>, Error> {
        match self.git.release_before(&head.id)? {
            Some(release) => Ok(Some(Commit::new(release.commit, &release.tag))),
            None => Ok(None),
        }
    }

    /// Paths that differ between two commits.
    pub fn changed(&self, base: &Commit, head: &Commit) -> Result<Vec<String>, Error> {
        Ok(self.git.names(&["diff", "--name-only", "--no-renames", "-z", &base.id, &head.id])?)
    }

    /// The commit where `head` left main, or the one before `head` where that is part of main.
    fn origin(&self, head: &Commit) -> Result<Commit, BuildError> {
        let mains = self.existing_mains()?;
        // Of all mains the last commit in common with any: `main` here may lag behind that of `origin`, or lead.
        let mut command = vec!["merge-base", head.id.as_str()];
        command.extend(mains.iter().map(|(_, id)| id.as_str()));
        let main = mains[0].0.as_str();
        let Some(id) = self.git.ask(&command)? else {
            let head = head.name.clone();
            let main = main.to_owned();
            return Err(BuildError::NoMergeBase { head, main, shallow: self.is_shallow()? });
        };
        // Head is part of main: compared with itself it would always pass.
        if id == head.id {
            self.parent(head, main)
        } else {
            Ok(Commit::new(id, &format!("merge-base with {main}")))
        }
    }

    /// The main branches that exist, with their commits; at least one.
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

    /// The commit before `head`, with a note that says why it was chosen.
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

    /// The commit of this ref; an error where there is none.
    pub(super) fn named(&self, name: &str) -> Result<Commit, BuildError> {
        match self.resolve(name)? {
            Some(id) => Ok(Commit::new(id, name)),
            None => Err(BuildError::NoSuchRef { name: name.to_owned(), shallow: self.is_shallow()? }),
        }
    }

    /// Hash of the commit that this ref leads to, if there is one.
    pub(super) fn resolve(&self, name: &str) -> Result<Option<String>, BuildError> {
        self.git.commit_of(name)
    }

    pub(super) fn is_shallow(&self) -> Result<bool, BuildError> {
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

        // With uncommitted changes the tree is a commit after main, compared with main itself.
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
        // Unknown, options, empty, a range, a file, a parent that does not exist, and not a valid name at all.
        for name in ["nowhere", "--all", "-h", "", "main..main", "main:Cargo.toml", "HEAD^9", "a b"] {
            let error = tree.head(Some(name)).expect_err(name).to_string();
            assert_eq!(error, format!("\"{name}\" is not a commit of this repository"));
        }
        let id = repository.git(&["rev-parse", "HEAD"]);
        assert_eq!(tree.head(Some("main")).expect("is there").name, format!("main ({})", &id[..7]));
        assert_eq!(tree.head(Some(&id)).expect("is there").name, id[..7]);
    }

    #[test]
    fn the_last_release_is_the_nearest_tag_before_head() {
        let repository = Repository::new();
        let first = repository.git(&["rev-parse", "HEAD"]);
        let tree = repository.tree();
        let head = tree.head(None).expect("is there");
        let error = tree.release_before(&head, "--base").expect_err("there is none").to_string();
        assert!(error.contains("has no release before it"), "{error}");
        assert!(error.contains("git fetch --tags") && error.contains("a commit with --base"), "{error}");

        repository.git(&["tag", "v1.0.0"]);
        repository.says("second");
        let second = repository.commit();
        repository.says("third");
        repository.commit();
        let release = tree.release_before(&tree.head(None).expect("is there"), "--base").expect("is there");
        assert_eq!((&release.id, release.name), (&first, format!("v1.0.0 ({})", &first[..7])));
        // With uncommitted changes as well: the tree is then a commit that no tag knows.
        repository.says("fourth");
        assert_eq!(
            tree.release_before(&tree.head(None).expect("is there"), "--base").expect("is there").id,
            first
        );

        // Neither a candidate nor a mark of somebody's is a release; what has an annotation is.
        repository.git(&["tag", "v1.1.0-rc.1", &second]);
        repository.git(&["tag", "wip", &second]);
        let head = tree.head(Some("main")).expect("is there");
        assert_eq!(tree.release_before(&head, "--base").expect("is there").id, first);
        repository.git(&["tag", "--annotate", "--message", "out", "autumn", &second]);
        assert_eq!(tree.release_before(&head, "--base").expect("is there").id, second);
        // A release is compared with the one before it, and not with itself.
        repository.git(&["tag", "v1.1.0", "main"]);
        assert_eq!(tree.release_before(&head, "--base").expect("is there").id, second);
    }

    #[test]
    fn a_shallow_clone_is_told_to_fetch_more() {
        let repository = Repository::new();
        repository.says("second");
        repository.commit();
        let clone = tempfile::tempdir().expect("makes one");
        // By a URL: git ignores --depth where it clones from a path.
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
