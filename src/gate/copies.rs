//! Fresh copies of executables, one for every process that is started, and what else a process needs a file for.
//!
//! Processes of one file share its pages, in memory and in the processor's caches. Were base and its control two processes
//! of one file and head one of another, head alone would always find its instructions cold: measured, that made head look
//! 1 % slower in small uploads, whatever it was. With a copy for each process no two arms share anything.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::files::{copy_tree, remove};
use crate::lockstep::Role;

/// Digits of a copy's name, which is its number.
const DIGITS: usize = 8;

/// A folder for copies. Dropping it removes it, after the programs in it.
#[derive(Debug)]
pub struct Copies {
    dir: PathBuf,
    made: u64,
}

impl Copies {
    /// Makes the folder if need be. It must be locked: copies that a gate left there when it was killed are removed.
    pub fn in_folder(dir: PathBuf) -> Result<Self, Error> {
        std::fs::create_dir_all(&dir).map_err(|e| Error::file(&dir, "make", e))?;
        for entry in std::fs::read_dir(&dir).map_err(|e| Error::file(&dir, "list", e))?.flatten() {
            // By the form of its name: the folder may be one where somebody keeps other files.
            let name = entry.file_name();
            let is_copy = name.len() == DIGITS && name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
            if is_copy {
                remove(&entry.path())?;
            }
        }
        Ok(Self { dir, made: 0 })
    }

    /// A copy of this executable. All copies have paths of the same length, because a program's name lies on its
    /// stack and shifts what lies below it.
    pub fn of(&mut self, executable: &Path) -> Result<Program, Error> {
        if is_script(executable)? {
            return Ok(Program { path: executable.to_owned(), is_copy: false });
        }
        self.made += 1;
        let path = self.dir.join(format!("{:0DIGITS$}", self.made));
        std::fs::copy(executable, &path).map_err(|e| Error::file(&path, "copy the executable to", e))?;
        Ok(Program { path, is_copy: true })
    }

    /// A copy of this folder, for a service that is started from it. As with executables, no two processes share the pages of
    /// a file.
    pub fn of_folder(&mut self, folder: &Path) -> Result<FolderCopy, Error> {
        self.made += 1;
        let path = self.dir.join(format!("{:0DIGITS$}", self.made));
        // Made before copying, so that dropping it removes half a copy as well.
        let copy = FolderCopy { path };
        copy_tree(folder, &copy.path)?;
        Ok(copy)
    }

    /// A file for a worker to write to. It goes as copies do: when it is dropped, or with those that a killed gate left.
    pub fn file(&mut self) -> ScratchFile {
        self.made += 1;
        ScratchFile { path: self.dir.join(format!("{:0DIGITS$}", self.made)) }
    }

    /// The file for the output of a role's service. All names have the same length, as the paths of copies have.
    pub fn log_of(&self, role: Role) -> PathBuf {
        let name = match role {
            Role::Base => "service-base.log",
            Role::Head => "service-head.log",
            Role::Control => "service-ctrl.log",
        };
        // Beside the folder of the copies, which is removed at the end: the output is needed where a service fails.
        self.dir.parent().unwrap_or(&self.dir).join(name)
    }
}

/// A file that somebody else writes. Dropping it removes it.
#[derive(Debug)]
pub struct ScratchFile {
    /// Its path; there may be nothing yet.
    pub path: PathBuf,
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A copied folder. Dropping it removes it.
#[derive(Debug)]
pub struct FolderCopy {
    /// The folder.
    pub path: PathBuf,
}

impl Drop for FolderCopy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        // This fails where something else lies in the folder, which then stays.
        let _ = std::fs::remove_dir(&self.dir);
    }
}

/// An executable that can be started. Dropping it removes the file, if it is a copy.
#[derive(Debug)]
pub struct Program {
    /// The file.
    pub path: PathBuf,
    is_copy: bool,
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.is_copy {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether a file is a script (`#!`). It is started where it lies: its pages are those of its interpreter, which all
/// arms share, and it may need the files beside it.
pub fn is_script(executable: &Path) -> Result<bool, Error> {
    let mut head = Vec::new();
    let opened = File::open(executable).map_err(|e| Error::file(executable, "run", e))?;
    opened.take(2).read_to_end(&mut head).map_err(|e| Error::file(executable, "run", e))?;
    Ok(head == b"#!")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_copy_is_a_file_of_its_own_that_goes_with_its_program() {
        let home = tempfile::tempdir().expect("makes one");
        let built = home.path().join("built");
        std::fs::write(&built, "elf").expect("writes");
        let dir = home.path().join("arms");
        let mut copies = Copies::in_folder(dir.clone()).expect("makes it");
        let first = copies.of(&built).expect("copies");
        let second = copies.of(&built).expect("copies");
        assert_ne!(first.path, second.path);
        assert_eq!(first.path.as_os_str().len(), second.path.as_os_str().len());
        assert_eq!(std::fs::read_to_string(&first.path).expect("is there"), "elf");
        let path = first.path.clone();
        drop(first);
        assert!(!path.exists() && second.path.exists());
        drop(second);
        drop(copies);
        assert!(!dir.exists() && built.exists());
    }

    #[test]
    fn copies_that_a_killed_gate_left_are_removed_and_nothing_else() {
        let home = tempfile::tempdir().expect("makes one");
        let dir = home.path().join("arms");
        std::fs::create_dir(&dir).expect("makes it");
        std::fs::write(dir.join("00000001"), "left").expect("writes");
        std::fs::write(dir.join("mine"), "somebody's").expect("writes");
        let copies = Copies::in_folder(dir.clone()).expect("makes it");
        assert!(!dir.join("00000001").exists() && dir.join("mine").exists());
        drop(copies);
        assert!(dir.join("mine").exists());
    }

    #[test]
    fn a_file_for_a_worker_is_named_like_a_copy_and_goes_as_one() {
        let home = tempfile::tempdir().expect("makes one");
        let dir = home.path().join("arms");
        let mut copies = Copies::in_folder(dir.clone()).expect("makes it");
        let files = [copies.file(), copies.file()];
        assert_eq!(files[1].path, dir.join("00000002"));
        std::fs::write(&files[0].path, "stub;hash 1\n").expect("writes");
        drop(files);
        drop(copies);
        assert!(!dir.exists());
    }

    #[test]
    fn a_copied_folder_goes_with_its_service() {
        let home = tempfile::tempdir().expect("makes one");
        let folder = home.path().join("built");
        std::fs::create_dir(&folder).expect("makes it");
        std::fs::write(folder.join("app.py"), "1").expect("writes");
        let mut copies = Copies::in_folder(home.path().join("arms")).expect("makes it");
        let copy = copies.of_folder(&folder).expect("copies");
        assert_eq!(std::fs::read_to_string(copy.path.join("app.py")).expect("reads"), "1");
        let path = copy.path.clone();
        drop(copy);
        assert!(!path.exists() && folder.join("app.py").exists());
    }

    #[test]
    fn a_script_is_started_where_it_lies() {
        let home = tempfile::tempdir().expect("makes one");
        let script = home.path().join("worker.py");
        std::fs::write(&script, "#!/usr/bin/env python3\n").expect("writes");
        let mut copies = Copies::in_folder(home.path().join("arms")).expect("makes it");
        let program = copies.of(&script).expect("is fine");
        assert_eq!(program.path, script);
        drop(program);
        assert!(script.exists());
    }
}
