//! A lock for one gate per folder: two at once would disturb each other's measurements, and write the same files.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Error for a lock that another process has.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}: another gate{} builds or measures here; two at once would measure each other: wait for it",
    path.display(), process.as_ref().map(|id| format!(" (process {id})")).unwrap_or_default()
)]
pub struct Taken {
    path: PathBuf,
    /// The number of that process, where it is known.
    process: Option<String>,
}

impl From<Taken> for Error {
    fn from(error: Taken) -> Self {
        Self::Unusable(error.into())
    }
}

/// Held while the gate builds and measures. The system releases it however the process ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of this name in a folder, which is made if need be. The error names the process that has it.
    pub fn take(home: &Path, name: &str) -> Result<Self, Error> {
        let path = home.join(name);
        std::fs::create_dir_all(home).map_err(|e| Error::file(home, "make", e))?;
        // Not truncated: whoever has the lock has left a number in the file.
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|e| Error::file(&path, "open", e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(busy(&path, &mut file).into()),
            Err(TryLockError::Error(e)) => return Err(Error::file(&path, "lock", e)),
        }
        sign(&mut file).map_err(|e| Error::file(&path, "write", e))?;
        Ok(Self { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would leave it locked while a child that is just being started still has a copy of it.
        let _ = self.file.unlock();
    }
}

/// Writes this process's number into the file, for another gate that finds the lock taken.
fn sign(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{}", std::process::id())
}

fn busy(path: &Path, file: &mut File) -> Taken {
    let mut process = String::new();
    // Some systems refuse to read what another has locked; the number is a courtesy.
    let is_known = file.read_to_string(&mut process).is_ok() && !process.is_empty();
    let process = if is_known { Some(process) } else { None };
    Taken { path: path.to_owned(), process }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_gate_is_told_who_has_the_lock_until_it_is_dropped() {
        let home = tempfile::tempdir().expect("makes one");
        let first = Lock::take(home.path(), "lock").expect("free");
        let error = Lock::take(home.path(), "lock").expect_err("taken").to_string();
        assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
        drop(first);
        Lock::take(home.path(), "lock").expect("free again");
    }
}
