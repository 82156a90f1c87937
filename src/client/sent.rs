//! Counts what was sent to a service, which may have kept it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::units::Bytes;

/// Uploads that were begun, and the bytes of their files. Any number of threads may add.
#[derive(Debug, Default)]
pub struct Sent {
    uploads: AtomicU64,
    bytes: AtomicU64,
}

impl Sent {
    /// Adds uploads, with the bytes of all of them.
    pub fn add(&self, uploads: u64, bytes: u64) {
        // Relaxed, as these counters publish no other memory.
        self.uploads.fetch_add(uploads, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes of files that were sent so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uploads = self.uploads.load(Ordering::Relaxed);
        write!(f, "{uploads} uploads, {}", Bytes(self.bytes()))
    }
}
