//! Where the run files of shards lie: in a folder, or in an object store.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

#[cfg(feature = "s3")]
use bucket_place::BucketPlace;
#[cfg(not(feature = "s3"))]
use url::Url;

use crate::Error;
use crate::bucket::is_bucket;
use crate::files::check_folder;
use crate::load::{LoadRecord, RECORD, Shard};
use crate::units::printable;

/// Stands in the names of run files between the operation and the shard.
const SHARD: &str = ".shard-";
/// Digits of the run's hash that stand in a name: files of different runs do not replace each other.
const DIGITS: usize = 8;

/// The name of a shard's run file.
pub fn run_file_name(name: &str, shard: Shard, plan_hash: &str) -> String {
    let digits = plan_hash.get(..DIGITS).unwrap_or(plan_hash);
    format!("{}{digits}{RECORD}", run_file_prefix(name, shard))
}

/// What the names of all run files of this shard begin with, whatever their plan.
pub fn run_file_prefix(name: &str, shard: Shard) -> String {
    // As wide as the largest, so that names sort as shards do.
    let width = shard.of().to_string().len();
    format!("{name}{SHARD}{:0width$}-of-{}.", shard.index(), shard.of())
}

/// Whether a run file of a shard is called like this.
fn is_run_file(name: &str) -> bool {
    name.contains(SHARD) && name.ends_with(RECORD)
}

/// A run file on this machine.
#[derive(Debug)]
pub struct LocalFile {
    /// Where it came from, for people.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// A place for run files.
pub enum Place {
    /// A folder.
    Folder(PathBuf),
    /// A part of an object store.
    #[cfg(feature = "s3")]
    Bucket(Box<BucketPlace>),
}

impl Place {
    /// The place in this text. `setting` is what it was given as.
    pub fn parse(setting: &'static str, text: &str) -> Result<Self, Error> {
        if is_bucket(text) { Self::bucket(setting, text) } else { Ok(Self::Folder(text.into())) }
    }

    #[cfg(feature = "s3")]
    fn bucket(setting: &'static str, text: &str) -> Result<Self, Error> {
        let opened = BucketPlace::open(text);
        opened.map(|place| Self::Bucket(Box::new(place))).map_err(|problem| wrong(setting, problem))
    }

    #[cfg(not(feature = "s3"))]
    fn bucket(setting: &'static str, text: &str) -> Result<Self, Error> {
        let url = Url::parse(text).map_err(|e| wrong(setting, format!("is not a URL ({e})")))?;
        Err(wrong(setting, crate::bucket::not_in_this_build(&url)))
    }

    /// The argument that names it.
    pub fn argument(&self) -> OsString {
        match self {
            Self::Folder(folder) => folder.clone().into(),
            #[cfg(feature = "s3")]
            Self::Bucket(place) => place.url().into(),
        }
    }

    /// An error where nothing could be written there: told before measuring, not after.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Self::Folder(folder) => check_folder(folder),
            #[cfg(feature = "s3")]
            Self::Bucket(place) => place.check(),
        }
    }

    /// The same for a shard, which makes the folder and leaves it: of several that begin at once, one would otherwise remove the
    /// folder while another looks whether it can be written to.
    pub fn prepare(&self) -> Result<(), Error> {
        match self {
            Self::Folder(folder) => {
                std::fs::create_dir_all(folder).map_err(|e| Error::file(folder, "make the folder", e))?;
                check_folder(folder)
            }
            #[cfg(feature = "s3")]
            Self::Bucket(place) => place.check(),
        }
    }

    /// Writes a record under this name. Returns where it is, for people.
    pub fn save(&self, name: &str, record: &LoadRecord) -> Result<String, Error> {
        match self {
            Self::Folder(folder) => {
                let path = folder.join(name);
                record.save(&path)?;
                Ok(path.display().to_string())
            }
            #[cfg(feature = "s3")]
            Self::Bucket(place) => place.save(name, record),
        }
    }

    /// All run files there whose names are wanted, in the order of their names. What does not lie on this machine is copied to
    /// the folder `scratch`.
    #[cfg_attr(not(feature = "s3"), expect(unused_variables, reason = "what lies in a folder is not copied"))]
    pub fn files(&self, scratch: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<LocalFile>, Error> {
        let mut names = self.names()?;
        names.retain(|name| is_run_file(name) && wanted(name));
        names.sort_unstable();
        match self {
            Self::Folder(folder) => Ok(names.iter().map(|name| LocalFile::at(folder.join(name))).collect()),
            #[cfg(feature = "s3")]
            Self::Bucket(place) => place.fetch(&names, scratch),
        }
    }

    /// Names of all files there.
    fn names(&self) -> Result<Vec<String>, Error> {
        match self {
            Self::Folder(folder) => {
                let mut names = Vec::new();
                for entry in folder.read_dir().map_err(|e| Error::file(folder, "read", e))? {
                    let entry = entry.map_err(|e| Error::file(folder, "read", e))?;
                    // No run file has a name that is not UTF-8.
                    names.extend(entry.file_name().into_string().ok());
                }
                Ok(names)
            }
            #[cfg(feature = "s3")]
            Self::Bucket(place) => place.names(),
        }
    }
}

impl LocalFile {
    /// A file that was always here.
    pub fn at(path: PathBuf) -> Self {
        Self { name: printable(&path.display().to_string()), path }
    }
}

fn wrong(name: &'static str, problem: String) -> Error {
    Error::Setting { name, problem }
}

/// Places in object stores, which are spoken to between runs only: each call waits for its end.
#[cfg(feature = "s3")]
mod bucket_place {
    use std::fs::File;
    use std::io::{self, Write};
    use std::path::Path;

    use futures_util::{StreamExt, TryStreamExt};
    use object_store::path::Path as Location;
    use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
    use tokio::runtime::Runtime;
    use url::Url;

    use super::LocalFile;
    use crate::Error;
    use crate::bucket::{Bucket, told, without_secret};
    use crate::load::LoadRecord;
    use crate::units::printable;

    /// A place, and what it is spoken to with.
    pub struct BucketPlace {
        url: Url,
        bucket: Bucket,
        runtime: Runtime,
    }

    impl BucketPlace {
        /// The place at this URL. The error quotes nothing of it.
        pub fn open(text: &str) -> Result<Self, String> {
            let url = Url::parse(text).map_err(|e| format!("is not a URL ({e})"))?;
            let url = without_secret(url)?;
            let bucket = Bucket::open(&url)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|e| format!("cannot start an event loop: {e}"))?;
            Ok(Self { url, bucket, runtime })
        }

        pub fn url(&self) -> String {
            self.url.to_string()
        }

        pub fn check(&self) -> Result<(), Error> {
            let Bucket { store, prefix } = &self.bucket;
            let first = self.runtime.block_on(async { store.list(Some(prefix)).next().await });
            match first {
                None | Some(Ok(_)) => Ok(()),
                Some(Err(e)) => Err(self.failed("", "list", told(&e))),
            }
        }

        pub fn save(&self, name: &str, record: &LoadRecord) -> Result<String, Error> {
            let text = record.to_text().map_err(|e| self.failed(name, "write", e.to_string()))?;
            let location = self.location(name);
            let put = self.bucket.store.put(&location, text.into());
            self.runtime.block_on(put).map_err(|e| self.failed(name, "write", told(&e)))?;
            Ok(self.name_of(name))
        }

        pub fn names(&self) -> Result<Vec<String>, Error> {
            let listed = self.bucket.store.list(Some(&self.bucket.prefix)).try_collect();
            let listed: Vec<ObjectMeta> =
                self.runtime.block_on(listed).map_err(|e| self.failed("", "list", told(&e)))?;
            let mut names = Vec::new();
            for object in listed {
                // What lies in a folder below is of something else.
                let name = object.location.filename().unwrap_or_default();
                if object.location == self.location(name) {
                    names.push(name.to_owned());
                }
            }
            Ok(names)
        }

        pub fn fetch(&self, names: &[String], scratch: &Path) -> Result<Vec<LocalFile>, Error> {
            let mut files = Vec::new();
            for name in names {
                let path = scratch.join(name);
                let fetched = self.runtime.block_on(copy(&*self.bucket.store, &self.location(name), &path));
                fetched.map_err(|problem| self.failed(name, "read", problem))?;
                files.push(LocalFile { name: printable(&self.name_of(name)), path });
            }
            Ok(files)
        }

        fn location(&self, name: &str) -> Location {
            self.bucket.prefix.clone().join(name)
        }

        fn name_of(&self, name: &str) -> String {
            format!("{}/{name}", self.url.as_str().trim_end_matches('/'))
        }

        fn failed(&self, name: &str, action: &'static str, problem: String) -> Error {
            Error::file(Path::new(&self.name_of(name)), action, io::Error::other(problem))
        }
    }

    /// Copies an object to a file, piece by piece.
    async fn copy(store: &dyn ObjectStore, from: &Location, to: &Path) -> Result<(), String> {
        let found = store.get(from).await.map_err(|e| told(&e))?;
        // It would not be read, and may fill the disk.
        if found.meta.size > LoadRecord::LARGEST {
            return Err(format!(
                "it is larger than {} bytes, the most that is read of it",
                LoadRecord::LARGEST
            ));
        }
        let mut pieces = found.into_stream();
        let mut file = File::create(to).map_err(|e| e.to_string())?;
        while let Some(piece) = pieces.try_next().await.map_err(|e| told(&e))? {
            file.write_all(&piece).map_err(|e| e.to_string())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(text: &str) -> Shard {
        text.parse().expect("is one")
    }

    #[test]
    fn names_sort_as_shards_do_and_differ_by_run() {
        let name = run_file_name("load", shard("3/16"), "0123456789abcdef");
        assert_eq!(name, "load.shard-03-of-16.01234567.run.json");
        assert!(is_run_file(&name) && name < run_file_name("load", shard("10/16"), "0123456789abcdef"));
        assert_ne!(name, run_file_name("load", shard("3/16"), "fedcba9876543210"));
        assert!(!is_run_file("load.run.json") && !is_run_file("load.shard-03-of-16.json"));
    }

    #[test]
    fn a_shard_leaves_the_folder_that_another_may_look_at() {
        let dir = tempfile::tempdir().expect("makes one");
        let folder = dir.path().join("runs").join("7");
        let place = Place::Folder(folder.clone());
        place.check().expect("can be written");
        assert!(!folder.exists(), "nothing was measured yet");
        place.prepare().expect("can be written");
        assert!(folder.exists());
    }

    #[test]
    fn a_folder_gives_the_run_files_of_shards_that_are_wanted() {
        let dir = tempfile::tempdir().expect("makes one");
        let place = Place::parse("--out", dir.path().to_str().expect("is UTF-8")).expect("is a folder");
        place.check().expect("can be written");
        for name in
            ["load.shard-1-of-2.a.run.json", "load.shard-0-of-2.a.run.json", "load.run.json", "x.shard-1.csv"]
        {
            std::fs::write(dir.path().join(name), "{}").expect("writes");
        }
        let files = place.files(dir.path(), |_| true).expect("can be listed");
        let names: Vec<_> = files.iter().filter_map(|file| file.path.file_name()).collect();
        assert_eq!(names, ["load.shard-0-of-2.a.run.json", "load.shard-1-of-2.a.run.json"]);
        let second = place.files(dir.path(), |name| name.contains("-1-of-")).expect("can be listed");
        assert_eq!(second.len(), 1);
    }

    #[test]
    #[cfg(feature = "s3")]
    fn an_object_store_gives_back_what_was_written_to_it() {
        use crate::machine::{Environment, Placement};

        let dir = tempfile::tempdir().expect("makes one");
        let scratch = tempfile::tempdir().expect("makes one");
        let url = format!("file://{}/prefix", dir.path().display());
        let place = Place::parse("--out", &url).expect("is a URL");
        place.check().expect("answers");
        let name = run_file_name("load", shard("0/2"), "0123456789abcdef");
        let environment = Environment::read(&Placement::none(), "stub");
        let record = LoadRecord::new("load", "100 KB".to_owned(), environment);
        let said = place.save(&name, &record).expect("writes");
        assert_eq!(said, format!("{url}/{name}"));
        let files = place.files(scratch.path(), |_| true).expect("can be listed");
        let text = std::fs::read_to_string(&files[0].path).expect("was copied");
        assert_eq!((files.len(), text), (1, record.to_text().expect("serialises")));
    }

    #[test]
    #[cfg(feature = "s3")]
    fn an_object_that_is_too_large_is_not_copied() {
        let dir = tempfile::tempdir().expect("makes one");
        let scratch = tempfile::tempdir().expect("makes one");
        let name = "load.shard-0-of-2.a.run.json";
        let file = std::fs::File::create(dir.path().join(name)).expect("makes one");
        // Takes no room on the disk, as nothing is written to it.
        file.set_len(LoadRecord::LARGEST + 1).expect("grows");
        let place = Place::parse("--out", &format!("file://{}", dir.path().display())).expect("is a URL");
        let error = place.files(scratch.path(), |_| true).expect_err("is too large").to_string();
        assert!(error.contains("it is larger than 536870912 bytes"), "{error}");
        assert!(!scratch.path().join(name).exists(), "nothing was copied");
    }

    #[test]
    #[cfg(not(feature = "s3"))]
    fn a_build_without_object_stores_says_how_to_get_them() {
        let error = Place::parse("--out", "s3://bucket/prefix").err().expect("is refused").to_string();
        let says = "--out: s3: object stores are not in this build; build it with --features s3";
        assert_eq!(error, says);
    }
}
