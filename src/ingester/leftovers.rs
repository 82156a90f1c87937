//! What a run left with the service, to be removed after it.

use std::sync::{Mutex, PoisonError};

/// Paths of uploads below the base URL, and how many have none that is known. Any number of threads may add.
#[derive(Debug, Default)]
pub struct Leftovers {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    paths: Vec<String>,
    unknown: u64,
}

impl Leftovers {
    /// Adds what a user left.
    pub fn add(&self, paths: Vec<String>, unknown: u64) {
        // A user that panicked has left something all the same.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.paths.extend(paths);
        kept.unknown += unknown;
    }

    /// All that was added since the last call: paths, each once, and the number of those that are not known.
    pub fn take(&self) -> (Vec<String>, u64) {
        let mut kept = std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        // Users that upload under the same name overwrite each other's file.
        kept.paths.sort_unstable();
        kept.paths.dedup();
        (kept.paths, kept.unknown)
    }
}
