//! `--heap-profile`: which lines of the program hold memory.

use std::path::PathBuf;

use crate::Error;
use crate::machine::with_heap_profile;

/// Where a heap profile goes.
#[derive(clap::Args)]
pub struct HeapProfileArgs {
    /// Write a heap profile for DHAT's viewer (needs ingester-perf-counting of a build with --features heap-profile)
    #[arg(long, value_name = "FILE")]
    heap_profile: Option<PathBuf>,
}

impl HeapProfileArgs {
    /// Whether one is asked for.
    pub fn is_wanted(&self) -> bool {
        self.heap_profile.is_some()
    }

    /// Does something, and writes a profile of it, if one is asked for.
    pub fn around<T>(&self, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        with_heap_profile(self.heap_profile.as_deref(), work)
    }
}
