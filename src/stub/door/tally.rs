//! Counts of connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Connections so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connections {
    /// Those that are open now, and those that are being closed.
    pub open: u64,
    /// Those that were answered 503 because all places were taken.
    pub refused: u64,
    /// Those that were closed because their client kept them waiting.
    pub cut: u64,
    /// Bytes that were read from connections which have ended.
    pub read: u64,
}

/// The counters behind [`Connections`].
// `Relaxed` throughout: nothing else is read or written in their order.
#[derive(Debug, Default)]
pub(in crate::stub) struct Tally {
    open: AtomicU64,
    refused: AtomicU64,
    cut: AtomicU64,
    read: AtomicU64,
}

impl Tally {
    /// Counts a connection as open until the guard is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> Present {
        self.open.fetch_add(1, Ordering::Relaxed);
        Present(Arc::clone(self))
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn cut(&self) {
        self.cut.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self, bytes: u64) {
        self.read.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The counts as they are now.
    pub fn connections(&self) -> Connections {
        Connections {
            open: self.open.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            cut: self.cut.load(Ordering::Relaxed),
            read: self.read.load(Ordering::Relaxed),
        }
    }
}

/// A connection that is open.
pub(super) struct Present(Arc<Tally>);

impl Drop for Present {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
