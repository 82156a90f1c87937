//! Builds the service of one commit: what is kept is the folder that its build command leaves behind.

use std::path::{Path, PathBuf};
use std::time::Instant;

use aws_lc_rs::digest;

use super::cache::Cache;
use super::checkout::Checkout;
use super::commit::Commit;
use super::error::BuildError;
use super::tree::Tree;
use crate::config::Build as BuildCommand;
use crate::console::note;
use crate::error::Error;
use crate::files::copy_tree;
use crate::lockstep::Lock;
use crate::units::{Bytes, hex};

/// Most built folders that are kept: of at most 512 MB each, so 4 GB in all.
const KEPT: usize = 8;
/// Largest folder that is copied for every start of a service: about a second of copying, and three starts a pair.
const MOST: Bytes = Bytes::mb(512);
/// File that every virtual environment of Python has. The programs in one name the folder that it was made in.
const VIRTUAL_ENVIRONMENT: &str = "pyvenv.cfg";

impl Tree {
    /// The built folder of this commit's service: the one that is kept, or a new one. `folder` is where the service is, seen
    /// from the top of the repository. Says on standard error what takes long.
    pub fn build_service(
        &self,
        commit: &Commit,
        build: &BuildCommand,
        folder: &Path,
        _held: &Lock,
    ) -> Result<PathBuf, Error> {
        let cache = Cache::in_folder(self.home.join("services"), KEPT);
        let name = format!("{}-{}", commit.id, key(build, folder));
        if let Some(kept) = cache.get(&name)? {
            return Ok(kept);
        }
        let start = Instant::now();
        let _source = Checkout::of(&self.git, &commit.id, &self.cargo.source)?;
        let dir = self.cargo.source.join(folder);
        if !dir.is_dir() {
            let folder = folder.display().to_string();
            return Err(BuildError::NoFolder { commit: commit.name.clone(), folder }.into());
        }
        match build.run_commit_in(&dir, &commit.id, &self.cargo.interrupt) {
            Ok(()) => {}
            // An interrupt is not a failure of this commit's, and has an exit code of its own.
            Err(Error::Interrupted(signal)) => return Err(Error::Interrupted(signal)),
            Err(source) => {
                let commit = commit.name.clone();
                return Err(BuildError::Service { commit, source: Box::new(source) }.into());
            }
        }
        // Copied before the checkout is dropped, which removes the folder that it was built in.
        let kept = cache.put(&name, |path| keep(build, &dir, path, commit))?;
        if build.command.is_some() {
            note(format_args!("Built {} in {:.0} s", commit.name, start.elapsed().as_secs_f64()));
        }
        Ok(kept)
    }
}

/// Copies what the service needs of its built folder: what `keep` names, or all of it.
fn keep(build: &BuildCommand, dir: &Path, to: &Path, commit: &Commit) -> Result<(), Error> {
    let mut bytes = 0;
    if build.keep.is_empty() {
        bytes = copy_tree(dir, to)?;
    }
    for path in &build.keep {
        let from = dir.join(path);
        if !from.exists() {
            let path = path.display().to_string();
            return Err(BuildError::NotKept { commit: commit.name.clone(), path }.into());
        }
        let to = to.join(path);
        let parent = to.parent().expect("it is below a folder");
        std::fs::create_dir_all(parent).map_err(|e| Error::file(parent, "make", e))?;
        bytes += copy_tree(&from, &to)?;
    }
    // The size is known only once it is copied; after an error the cache throws the unfinished copy away.
    if bytes > MOST.0 {
        let commit = commit.name.clone();
        return Err(BuildError::TooLarge { commit, size: Bytes(bytes), most: MOST }.into());
    }
    Ok(())
}

/// The virtual environment in a service's folder, or in a folder directly below: both arms would run with the one that was
/// built last.
pub fn virtual_environment(dir: &Path) -> Option<PathBuf> {
    let folders = dir.read_dir().ok()?.flatten().map(|entry| entry.path());
    let mut candidates = std::iter::once(dir.to_owned()).chain(folders);
    candidates.find(|folder| folder.join(VIRTUAL_ENVIRONMENT).is_file())
}

/// Hash of everything that decides what is built, beside the commit.
fn key(build: &BuildCommand, folder: &Path) -> String {
    let mut hash = digest::Context::new(&digest::SHA256);
    let texts = build.keep.iter().map(|path| path.as_os_str()).chain([folder.as_os_str()]);
    for text in texts {
        hash.update(text.as_encoded_bytes());
        // Without an end, `a` and `bc` would be the same as `ab` and `c`.
        hash.update(&[0]);
    }
    hash.update(build.command.as_deref().unwrap_or_default().as_bytes());
    hex(&hash.finish().as_ref()[..8])
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Repository;
    use super::*;
    use crate::config::Restart;

    fn building(command: &str, keep: &[&str]) -> BuildCommand {
        BuildCommand {
            command: Some(command.to_owned()),
            dir: PathBuf::new(),
            keep: keep.iter().map(PathBuf::from).collect(),
            restart: Restart::Pair,
        }
    }

    fn read(folder: &Path, file: &str) -> String {
        std::fs::read_to_string(folder.join(file)).expect("reads")
    }

    fn build(repository: &Repository, command: &BuildCommand) -> Result<PathBuf, Error> {
        let tree = repository.tree();
        let commit = tree.head(Some("main"))?;
        tree.build_service(&commit, command, Path::new("src"), &tree.lock()?)
    }

    #[test]
    fn each_commit_has_a_folder_of_its_own_and_is_built_once() {
        let repository = Repository::new();
        // The nanosecond tells one build from another.
        let command = building("cp main.rs built; date +%N > when", &[]);
        let first = build(&repository, &command).expect("builds");
        assert_eq!(build(&repository, &command).expect("is kept"), first);
        let when = read(&first, "when");
        repository.says("second");
        repository.commit();
        let second = build(&repository, &command).expect("builds");
        assert!(read(&first, "built").contains("first") && read(&second, "built").contains("second"));
        assert_eq!(read(&first, "when"), when);
        assert_eq!(first.as_os_str().len(), second.as_os_str().len());
    }

    #[test]
    fn only_what_is_to_be_kept_is_kept() {
        let repository = Repository::new();
        let folder =
            build(&repository, &building("mkdir -p out/a; echo 1 > out/a/b", &["out/a"])).expect("builds");
        assert!(folder.join("out/a/b").is_file() && !folder.join("main.rs").exists());
        let error = build(&repository, &building("true", &["none"])).expect_err("lacks it").to_string();
        assert!(error.contains("leaves no none behind"), "{error}");
    }

    #[test]
    fn a_build_that_fails_names_the_commit_and_quotes_it() {
        let repository = Repository::new();
        let error =
            build(&repository, &building("echo no luck; exit 3", &[])).expect_err("fails").to_string();
        assert!(error.starts_with("main ("), "{error}");
        assert!(error.contains("exit status: 3") && error.ends_with("no luck"), "{error}");
    }

    #[test]
    fn a_virtual_environment_is_noticed() {
        let dir = tempfile::tempdir().expect("makes one");
        assert_eq!(virtual_environment(dir.path()), None);
        std::fs::create_dir(dir.path().join(".venv")).expect("makes it");
        std::fs::write(dir.path().join(".venv/pyvenv.cfg"), "").expect("writes");
        assert_eq!(virtual_environment(dir.path()), Some(dir.path().join(".venv")));
    }
}
