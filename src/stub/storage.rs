//! The storage element behind the stub: it counts files and bytes, and keeps none of them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{self, Context};

use crate::units::hex;

/// Files and bytes that were taken in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stored {
    /// Complete files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The element `discard`: hashes, counts, keeps nothing.
#[derive(Debug)]
pub(super) struct Discard {
    url: String,
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Discard {
    /// The element as the stub at `address` names it in its answers.
    pub fn at(address: SocketAddr) -> Self {
        Self { url: format!("http://{address}/discard"), files: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }

    /// What answers call `storage_element_url`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Begins a file.
    pub fn begin(&self) -> Writing {
        Writing { hash: Context::new(&digest::SHA256), size: 0 }
    }

    /// Ends a file that arrived whole.
    pub fn keep(&self, file: Writing) -> Kept {
        // `Relaxed`: the two are counters, and nothing else is read or written in their order.
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(file.size, Ordering::Relaxed);
        Kept { size: file.size, sha256: hex(file.hash.finish().as_ref()) }
    }

    pub fn stored(&self) -> Stored {
        Stored { files: self.files.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }
}

/// A file on its way in.
pub(super) struct Writing {
    hash: Context,
    size: u64,
}

impl Writing {
    pub fn write(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
    }

    pub fn size(&self) -> u64 {
        self.size
    }
}

/// A file that was taken in.
pub(super) struct Kept {
    pub size: u64,
    pub sha256: String,
}
