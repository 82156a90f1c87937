//! What was built, kept by commit and by what else decides its bytes. Written whole or not at all.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::BUILT;
use crate::error::Error;
use crate::files::remove;

/// A folder of builds, each a folder with what was built. Used under the gate's lock only.
#[derive(Debug)]
pub struct Cache {
    dir: PathBuf,
    kept: usize,
}

impl Cache {
    /// Of this many builds at most.
    pub fn in_folder(dir: PathBuf, kept: usize) -> Self {
        Self { dir, kept }
    }

    /// What is kept under this name, marked as used.
    pub fn get(&self, name: &str) -> Result<Option<PathBuf>, Error> {
        let path = self.dir.join(name).join(BUILT);
        if !path.exists() {
            return Ok(None);
        }
        // The other arm's build removes what was used longest ago: never this one.
        File::open(&path)
            .and_then(|file| file.set_modified(SystemTime::now()))
            .map_err(|e| Error::file(&path, "mark as used", e))?;
        Ok(Some(path))
    }

    /// Keeps under this name what `fill` writes to the path that it is given: a file or a folder.
    pub fn put(&self, name: &str, fill: impl FnOnce(&Path) -> Result<(), Error>) -> Result<PathBuf, Error> {
        let kept = self.dir.join(name);
        let failed = |e| Error::file(&kept, "write", e);
        std::fs::create_dir_all(&self.dir).map_err(failed)?;
        // A folder that begins with a dot is one that was never finished.
        let half = tempfile::Builder::new().prefix(".").tempdir_in(&self.dir).map_err(failed)?;
        let copy = half.path().join(BUILT);
        fill(&copy)?;
        // On disk before it gets its name: after a power cut a name must not stand for half a file.
        File::open(&copy)
            .and_then(|file| file.set_modified(SystemTime::now()).and_then(|()| file.sync_all()))
            .map_err(failed)?;
        remove(&kept)?;
        std::fs::rename(half.keep(), &kept).map_err(failed)?;
        self.tidy()?;
        Ok(kept.join(BUILT))
    }

    /// Removes unfinished builds and all but those used last.
    fn tidy(&self) -> Result<(), Error> {
        let listed = std::fs::read_dir(&self.dir).map_err(|e| Error::file(&self.dir, "list", e))?;
        let mut builds: Vec<_> = listed.flatten().map(|entry| (used(&entry.path()), entry.path())).collect();
        builds.sort_unstable_by(|a, b| b.cmp(a));
        let finished = builds.iter().take_while(|(used, _)| used.is_some()).count();
        builds[finished.min(self.kept)..].iter().try_for_each(|(_, path)| remove(path))
    }
}

/// When a build was used last; nothing if it was never finished.
fn used(build: &Path) -> Option<SystemTime> {
    let unfinished = build.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    if unfinished {
        return None;
    }
    build.join(BUILT).metadata().ok()?.modified().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: usize = 20;

    fn put(cache: &Cache, name: &str, built: &Path) -> PathBuf {
        let kept = cache.put(name, |path| {
            std::fs::copy(built, path).map(drop).map_err(|e| Error::file(path, "write", e))
        });
        kept.expect("keeps")
    }

    fn names(cache: &Cache) -> Vec<String> {
        let mut names: Vec<_> = cache
            .dir
            .read_dir()
            .expect("is there")
            .map(|entry| entry.expect("reads").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_was_used_longest_ago_makes_room_and_never_the_other_arm() {
        let home = tempfile::tempdir().expect("makes one");
        let built = home.path().join("built");
        std::fs::write(&built, "elf").expect("writes");
        let cache = Cache::in_folder(home.path().join("builds"), KEPT);
        for n in 0..KEPT {
            put(&cache, &format!("{n:02}"), &built);
        }
        cache.get("00").expect("reads").expect("is there");
        put(&cache, "new", &built);
        let names = names(&cache);
        assert_eq!(names.len(), KEPT);
        assert!(names.contains(&"00".to_owned()) && !names.contains(&"01".to_owned()), "{names:?}");
    }

    #[test]
    fn a_copy_that_was_cut_short_is_not_taken_for_a_build_and_goes() {
        let home = tempfile::tempdir().expect("makes one");
        let built = home.path().join("built");
        std::fs::write(&built, "elf").expect("writes");
        let cache = Cache::in_folder(home.path().join("builds"), KEPT);
        for junk in [".half", "new", "empty"] {
            std::fs::create_dir_all(cache.dir.join(junk)).expect("makes it");
        }
        std::fs::write(cache.dir.join(".half").join(BUILT), "e").expect("writes");
        assert_eq!(cache.get("new").expect("reads"), None);
        let kept = put(&cache, "new", &built);
        assert_eq!(std::fs::read_to_string(kept).expect("reads"), "elf");
        assert_eq!(names(&cache), ["new"]);
    }
}
