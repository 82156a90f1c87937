//! The repository that the gate runs in, and executables made of its commits.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Instant;

use aws_lc_rs::digest;

use super::cache::Cache;
use super::cargo::{Built, Cargo, Wanted, package_in};
use super::checkout::Checkout;
use super::commit::Commit;
use super::error::BuildError;
use super::git::Git;
use super::{COUNTING_SOURCE, PACKAGE};
use crate::console::note;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::lockstep::Lock;
use crate::units::hex;

/// The repository that the gate runs in.
#[derive(Debug)]
pub struct Tree {
    pub(super) git: Git,
    /// `<target>/gate`, the folder for everything that the gate writes.
    pub(super) home: PathBuf,
    pub(super) cargo: Cargo,
    /// Names of the branch that changes start from.
    pub(super) mains: Vec<String>,
    /// Whether the program that counts is built too, of commits that have one.
    counting: bool,
}

/// The executable of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Path at which it is kept for as long as the lock is held.
    pub executable: PathBuf,
    /// Its checksum: builds with equal ones are not measured, as they are the same.
    pub sha256: String,
    /// The program that counts, if it was asked for and the commit has one; kept likewise.
    pub counting: Option<PathBuf>,
}

/// Most executables that are kept, of about 10 MB each.
const KEPT: usize = 20;

impl Tree {
    /// The checkout of this project around the current folder.
    pub fn find(interrupt: &Interrupt) -> Result<Self, Error> {
        let tree = Self::of_any(interrupt)?;
        check_own(tree.git.folder())?;
        Ok(tree)
    }

    /// The repository around the current folder, for a bench of the crate in it.
    pub fn of_bench(name: &str, interrupt: &Interrupt) -> Result<Self, Error> {
        let here = current_folder()?;
        package_in(&here)?;
        let tree = Self::of_any(interrupt)?;
        let folder = tree.below(&here)?;
        let cargo = tree.cargo.wanting(Wanted::Bench { name: name.to_owned(), folder });
        Ok(Self { cargo, ..tree })
    }

    /// The repository around the current folder, whatever it holds.
    pub fn of_any(interrupt: &Interrupt) -> Result<Self, Error> {
        // GITHUB_BASE_REF is what GitHub calls the branch that a pull request is to be merged into.
        let mains = match variable("GATE_BASE").or_else(|| variable("GITHUB_BASE_REF")) {
            Some(name) => vec![format!("origin/{name}"), name],
            None => ["main", "origin/main", "master", "origin/master"].map(str::to_owned).to_vec(),
        };
        let here = current_folder()?;
        let target = std::env::var_os("CARGO_TARGET_DIR").map(|dir| here.join(dir));
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Self::around(&here, target, cargo, mains, interrupt)
    }

    /// The same, for who builds nothing and asks for commits alone.
    pub fn of_history(interrupt: &Interrupt) -> Result<Self, Error> {
        let here = current_folder()?;
        match Git::at(&here, interrupt).run(&["rev-parse", "--git-dir"]) {
            Ok(_) => Self::of_any(interrupt),
            Err(BuildError::Git { said, .. }) => {
                Err(BuildError::NoRepository { path: here, reason: said }.into())
            }
            Err(other) => Err(other.into()),
        }
    }

    pub(super) fn around(
        here: &Path,
        target: Option<PathBuf>,
        cargo: OsString,
        mains: Vec<String>,
        interrupt: &Interrupt,
    ) -> Result<Self, Error> {
        let root = root(here, interrupt)?;
        let home = target.unwrap_or_else(|| root.join("target")).join("gate");
        let cargo = Cargo::new(cargo, &root, &home, interrupt);
        Ok(Self { git: Git::at(&root, interrupt), home, cargo, mains, counting: false })
    }

    /// The same, where the program that counts is built too, of commits that have one.
    pub fn counting(self) -> Self {
        Self { counting: true, ..self }
    }

    /// This folder as seen from the top of the repository.
    pub fn below(&self, folder: &Path) -> Result<PathBuf, Error> {
        // Git tells the root without links; the folder may be given with some, and would then not begin with the root.
        let folder = canonical(folder)?;
        let root = canonical(self.git.folder())?;
        match folder.strip_prefix(&root) {
            Ok(below) => Ok(below.to_owned()),
            Err(_) => {
                let reason = format!("it is not below {}", root.display());
                Err(BuildError::NotACheckout { path: folder, reason }.into())
            }
        }
    }

    /// Takes the lock, which is to be held from the first build to the last measurement; an error where another gate has it.
    pub fn lock(&self) -> Result<Lock, Error> {
        Lock::take(&self.home, "lock")
    }

    /// The executable of this commit: the one that is kept, or a new one. Says on standard error what takes long.
    pub fn build(&self, commit: &Commit, _held: &Lock) -> Result<Build, Error> {
        let programs = Cache::in_folder(self.home.join("builds"), KEPT);
        let counting_programs = Cache::in_folder(self.home.join("counting"), KEPT);
        let name = format!("{}-{}", commit.id, self.cargo.key()?);
        let has_counting = self.counting && self.file(commit, COUNTING_SOURCE)?.is_some();
        let mut executable = programs.get(&name)?;
        let mut counting = if has_counting { counting_programs.get(&name)? } else { None };
        // A gate that counted nothing has kept only the first of the two.
        let lacks_counting = has_counting && counting.is_none();
        if executable.is_none() || lacks_counting {
            let built = self.compile(commit, has_counting)?;
            executable = Some(kept(&programs, &name, &built.program)?);
            if let Some(program) = built.counting {
                counting = Some(kept(&counting_programs, &name, &program)?);
            }
        }
        let executable = executable.expect("it was kept, or has been built just now");
        let bytes = std::fs::read(&executable).map_err(|e| Error::file(&executable, "read", e))?;
        let sha256 = hex(digest::digest(&digest::SHA256, &bytes).as_ref());
        Ok(Build { executable, sha256, counting })
    }

    /// Text of a file as it is in this commit; `None` where the commit lacks it.
    pub fn file(&self, commit: &Commit, path: &str) -> Result<Option<String>, Error> {
        // `git show` has one exit code for a file that is missing and for everything else, so this is asked before.
        let found = self.git.names(&["ls-tree", "--name-only", "-z", &commit.id, path])?;
        if found.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.git.run(&["show", &format!("{}:{path}", commit.id)])?))
    }

    /// Checks the commit out and builds it. The executables lie in cargo's folder until the next build.
    fn compile(&self, commit: &Commit, with_counting: bool) -> Result<Built, Error> {
        note(format_args!("Building {}; the first build of a checkout takes minutes", commit.name));
        let start = Instant::now();
        // Removed again at the end of this function, whether the build succeeds or not.
        let _source = Checkout::of(&self.git, &commit.id, &self.cargo.source)?;
        let built = self.cargo.build(commit, with_counting)?;
        note(format_args!("Built {} in {:.0} s", commit.name, start.elapsed().as_secs_f64()));
        Ok(built)
    }
}

/// Keeps a copy of this executable; its path there.
fn kept(cache: &Cache, name: &str, built: &Path) -> Result<PathBuf, Error> {
    cache.put(name, |path| std::fs::copy(built, path).map(drop).map_err(|e| Error::file(path, "write", e)))
}

fn current_folder() -> Result<PathBuf, Error> {
    std::env::current_dir().map_err(|e| Error::file(Path::new("."), "find", e))
}

/// The path without links.
fn canonical(path: &Path) -> Result<PathBuf, Error> {
    path.canonicalize().map_err(|e| Error::file(path, "find", e))
}

/// Value of an environment variable; an empty one counts as not set.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The top of the checkout that this folder belongs to.
fn root(here: &Path, interrupt: &Interrupt) -> Result<PathBuf, Error> {
    match Git::at(here, interrupt).run(&["rev-parse", "--show-toplevel"]) {
        Ok(root) => Ok(root.into()),
        Err(BuildError::Git { said, .. }) => {
            Err(BuildError::NotACheckout { path: here.to_owned(), reason: said }.into())
        }
        Err(other) => Err(other.into()),
    }
}

/// Returns an error where this is not a checkout of this project.
fn check_own(root: &Path) -> Result<(), Error> {
    match package_in(root) {
        Ok(name) if name == PACKAGE => Ok(()),
        Ok(_) | Err(BuildError::NoCrate { .. }) => {
            let reason = "its Cargo.toml is not this package's".to_owned();
            Err(BuildError::NotACheckout { path: root.to_owned(), reason }.into())
        }
        Err(other) => Err(other.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elsewhere_than_in_a_checkout_of_this_project_is_an_error() {
        let folder = tempfile::tempdir().expect("makes one");
        let around = Tree::around(folder.path(), None, "cargo".into(), vec![], &Interrupt::default())
            .expect_err("none");
        assert!(around.to_string().contains("not a git repository"), "{around}");
        let other = check_own(folder.path()).expect_err("is none").to_string();
        assert!(other.contains("its Cargo.toml is not this package's"), "{other}");
    }
}
