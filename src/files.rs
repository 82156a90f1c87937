//! Files, whole or not at all: what is written appears under its name at once, what is read has a limit.

use std::fs::{File, FileType};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::Error;

/// Writes a value as JSON; see [`write_text`].
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::file(path, "write", e.into()))?;
    write_text(path, &(text + "\n"))
}

/// Writes to a temporary file beside `path` and renames it; makes the folder if need be. An older file is replaced.
pub fn write_text(path: &Path, text: &str) -> Result<(), Error> {
    // A name without a folder has an empty parent, which is the current folder.
    let dir = path.parent().filter(|dir| *dir != Path::new("")).unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(dir).map_err(|e| not_written(path, e))?;
    // In the same folder, as a file can be renamed within one file system only.
    let mut file = temporary(0o666).tempfile_in(dir).map_err(|e| not_written(path, e))?;
    file.write_all(text.as_bytes()).map_err(|e| not_written(path, e))?;
    file.persist(path).map_err(|e| not_written(path, e.error))?;
    Ok(())
}

fn not_written(path: &Path, source: io::Error) -> Error {
    Error::file(path, "write", source)
}

/// An error where this folder cannot be made, or no file written to it: told before measuring, not after. Leaves nothing
/// behind.
pub fn check_folder(dir: &Path) -> Result<(), Error> {
    let there = dir.ancestors().find(|folder| folder.exists());
    std::fs::create_dir_all(dir).map_err(|e| Error::file(dir, "make the folder", e))?;
    let written = tempfile::tempfile_in(dir).map(drop).map_err(|e| Error::file(dir, "write to", e));
    // Nothing has been measured yet, and so there is to be no folder of reports.
    for made in dir.ancestors().take_while(|folder| Some(*folder) != there) {
        let _ = std::fs::remove_dir(made);
    }
    written
}

/// A folder that is written, but not yet under its name. Dropping it removes it.
#[derive(Debug)]
pub struct StagedFolder {
    written: tempfile::TempDir,
    path: PathBuf,
}

impl StagedFolder {
    /// Writes these files, by name and text, to a folder beside `path`.
    pub fn write<'a>(
        path: &Path,
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Error> {
        let parent = path.parent().unwrap_or_else(|| Path::new("."));
        std::fs::create_dir_all(parent).map_err(|e| not_written(path, e))?;
        let written = temporary(0o777).tempdir_in(parent).map_err(|e| not_written(path, e))?;
        for (name, text) in files {
            std::fs::write(written.path().join(name), text).map_err(|e| not_written(path, e))?;
        }
        Ok(Self { written, path: path.to_owned() })
    }

    /// Gives it its name, which no other folder may have.
    pub fn publish(self) -> Result<(), Error> {
        // Dropping the staged folder afterwards removes nothing: its own name is free by then.
        std::fs::rename(self.written.path(), &self.path).map_err(|e| Error::file(&self.path, "write", e))
    }
}

/// Opens a plain file to read. Anything else is refused before it is opened: a named pipe would wait for a writer that
/// never comes, and a device has no end.
pub fn open_plain(path: &Path) -> Result<File, Error> {
    let kind = std::fs::metadata(path).map_err(|e| not_read(path, e))?.file_type();
    if !kind.is_file() {
        let problem = format!("is {}; a plain file is needed", kind_of(kind));
        return Err(Error::malformed(path, problem));
    }
    File::open(path).map_err(|e| not_read(path, e))
}

fn not_read(path: &Path, source: io::Error) -> Error {
    Error::file(path, "read", source)
}

fn kind_of(kind: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "a pipe";
        } else if kind.is_socket() {
            return "a socket";
        } else if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    if kind.is_dir() { "a folder" } else { "not a plain file" }
}

/// A text of at most `limit` bytes, from a plain file.
pub fn read_limited(path: &Path, limit: u64) -> Result<String, Error> {
    let mut text = String::new();
    let file = open_plain(path)?;
    // One byte more than is allowed tells that there is too much.
    let read = file.take(limit + 1).read_to_string(&mut text).map_err(|e| not_read(path, e))?;
    if read as u64 > limit {
        return Err(Error::malformed(
            path,
            format!("is larger than {limit} bytes, the most that is read of it"),
        ));
    }
    Ok(text)
}

/// Copies a file or a folder with all that lies in it, links as links, with times and permissions; returns the bytes of the
/// files. What git keeps beside a checkout is left out.
pub fn copy_tree(from: &Path, to: &Path) -> Result<u64, Error> {
    let kind = from.symlink_metadata().map_err(|e| not_copied(from, e))?;
    // Not followed: what a link leads to may lie outside, or around the link itself.
    if kind.is_symlink() {
        #[cfg(unix)]
        {
            let target = std::fs::read_link(from).map_err(|e| not_copied(from, e))?;
            std::os::unix::fs::symlink(target, to).map_err(|e| not_copied(from, e))?;
            return Ok(0);
        }
    }
    if kind.is_dir() {
        std::fs::create_dir_all(to).map_err(|e| Error::file(to, "make", e))?;
        let mut bytes = 0;
        for entry in std::fs::read_dir(from).map_err(|e| not_copied(from, e))? {
            let name = entry.map_err(|e| not_copied(from, e))?.file_name();
            if name != ".git" {
                bytes += copy_tree(&from.join(&name), &to.join(&name))?;
            }
        }
        return Ok(bytes);
    }
    if !kind.is_file() {
        // A socket or a pipe is of a process that runs elsewhere.
        return Ok(0);
    }
    let bytes = std::fs::copy(from, to).map_err(|e| not_copied(from, e))?;
    // Compiled Python is thrown away where its source seems to be newer.
    if let Ok(modified) = kind.modified() {
        let opened = File::options().append(true).open(to);
        // Of a file that may not be written the time stays that of the copy.
        let _ = opened.and_then(|file| file.set_modified(modified));
    }
    Ok(bytes)
}

fn not_copied(from: &Path, source: io::Error) -> Error {
    Error::file(from, "copy", source)
}

/// Removes a file or a folder, if there is one.
pub fn remove(path: &Path) -> Result<(), Error> {
    let Ok(found) = path.symlink_metadata() else { return Ok(()) };
    let removed = if found.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    removed.map_err(|e| Error::file(path, "remove", e))
}

/// Makes temporary files and folders with these permissions, less the umask: else they would be their owner's alone.
fn temporary(mode: u32) -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    let _ = mode;
    builder
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn staged(path: &Path, name: &str) -> StagedFolder {
        StagedFolder::write(path, [(name, "1")]).expect("writes")
    }

    fn names(folder: &Path) -> Vec<OsString> {
        let entries = folder.read_dir().expect("is there");
        entries.map(|entry| entry.expect("reads").file_name()).collect()
    }

    #[test]
    fn a_folder_appears_as_a_whole_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().expect("makes one");
        let path = dir.path().join("a/b");
        drop(staged(&path, "never"));
        assert!(!path.exists());
        staged(&path, "new").publish().expect("renames");
        assert_eq!(names(&path), ["new"]);
        assert_eq!(names(&dir.path().join("a")), ["b"]);
    }

    #[test]
    fn what_is_read_has_a_limit() {
        let dir = tempfile::tempdir().expect("makes one");
        let path = dir.path().join("x");
        std::fs::write(&path, "12345").expect("writes");
        assert_eq!(read_limited(&path, 5).expect("fits"), "12345");
        let error = read_limited(&path, 4).expect_err("is larger").to_string();
        assert!(error.ends_with("x: is larger than 4 bytes, the most that is read of it"), "{error}");
    }

    #[cfg(unix)]
    fn refused(path: &Path) -> String {
        read_limited(path, 4).expect_err("is refused").to_string()
    }

    #[test]
    #[cfg(unix)]
    fn what_is_not_a_plain_file_is_refused_without_waiting_for_it() {
        let dir = tempfile::tempdir().expect("makes one");
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo exists");
        assert!(made.success());
        assert!(refused(&pipe).ends_with("pipe: is a pipe; a plain file is needed"), "{}", refused(&pipe));
        assert!(refused(dir.path()).ends_with(": is a folder; a plain file is needed"));
        assert_eq!(refused(Path::new("/dev/zero")), "/dev/zero: is a device; a plain file is needed");
    }

    #[test]
    #[cfg(unix)]
    fn a_tree_is_copied_with_links_and_times_and_without_what_is_gits() {
        let dir = tempfile::tempdir().expect("makes one");
        let from = dir.path().join("from");
        std::fs::create_dir_all(from.join("a/.git")).expect("makes it");
        std::fs::write(from.join("a/x"), "12345").expect("writes");
        std::os::unix::fs::symlink("x", from.join("a/link")).expect("links");
        // In 2001: no copy would have that time by itself.
        let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        let file = File::options().append(true).open(from.join("a/x")).expect("opens");
        file.set_modified(old).expect("sets it");
        let to = dir.path().join("to");
        assert_eq!(copy_tree(&from, &to).expect("copies"), 5);
        assert_eq!(std::fs::read_to_string(to.join("a/link")).expect("reads"), "12345");
        assert!(to.join("a/link").is_symlink() && !to.join("a/.git").exists());
        assert_eq!(to.join("a/x").metadata().expect("is there").modified().expect("has one"), old);
    }
}
