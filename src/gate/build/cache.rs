//! Cache of builds, by commit and by everything else that decides their bytes. A build is written whole or not at all.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::BUILT;
use crate::error::Error;
use crate::files::remove;

/// Folder of builds: each is a folder with what was built. Used only while the gate's lock is held.
#[derive(Debug)]
pub struct Cache {
    dir: PathBuf,
    kept: usize,
}

impl Cache {
    /// A cache of at most `kept` builds.
    pub fn in_folder(dir: PathBuf, kept: usize) -> Self {
        Self { dir, kept }
    }

    /// The build that is kept under this name, marked as used.
    pub fn get(&self, name: &str) -> Result<Option<PathBuf>, Error> {
        let path = self.dir.join(name).join(BUILT);
        if !path.exists() {
            return Ok(None);
        }
        // Building the other arm removes the build that was used longest ago, which must not be this one.
        File::open(&path)
            .and_then(|file| file.set_modified(SystemTime::now()))
            .map_err(|e| Error::file(&path, "mark as used", e))?;
        Ok(Some(path))
    }

    /// Keeps under this name the file or folder that `fill` writes to the path that it is given.
    pub fn put(&self, name: &str, fill: impl FnOnce(&Path) -> Result<(), Error>) -> Result<PathBuf, Error> {
        let kept = self.dir.join(name);
        std::fs::create_dir_all(&self.dir).map_err(|e| Error::file(&kept, "write", e))?;
        // The dot marks the folder as unfinished until it gets its name: if the gate is killed before, `tidy` removes it.
        let half = tempfile::Builder::new()
            .prefix(".")
            .tempdir_in(&self.dir)
            .map_err(|e| Error::file(&kept, "write", e))?;
        let copy = half.path().join(BUILT);
        fill(&copy)?;
        // On disk before it gets its name: after a power cut a name must not stand for half a file.
        File::open(&copy)
            .and_then(|file| file.set_modified(SystemTime::now()).and_then(|()| file.sync_all()))
            .map_err(|e| Error::file(&kept, "write", e))?;
        // A folder of this name that holds no build may be in the way: a rename replaces empty folders only.
        remove(&kept)?;
        std::fs::rename(half.keep(), &kept).map_err(|e| Error::file(&kept, "write", e))?;
        self.tidy()?;
        Ok(kept.join(BUILT))
    }

    /// Removes unfinished builds, and of the others all but those used last.
    fn tidy(&self) -> Result<(), Error> {
        let listed = std::fs::read_dir(&self.dir).map_err(|e| Error::file(&self.dir, "list", e))?;
        let mut builds: Vec<_> = listed.flatten().map(|entry| (used(&entry.path()), entry.path())).collect();
        // The one used last comes first. Unfinished ones have no time and come after all others.
        builds.sort_unstable_by(|a, b| b.cmp(a));
        let finished = builds.iter().take_while(|(used, _)| used.is_some()).count();
        for (_, path) in &builds[finished.min(self.kept)..] {
            remove(path)?;
        }
        Ok(())
    }
}

/// Time at which a build was used last; `None` if it was never finished.
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
        // Used again, the oldest build outlives the second oldest.
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
        // One that was being written, and two folders that have a build's name and no build in them.
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
