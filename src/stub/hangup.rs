//! Ending a connection with a TCP reset because a handler wants it so.
//!
//! A handler never sees its connection. So the connection loop puts a [`Hangup`] into the extensions of every request where
//! there are faults, and looks at it whenever the connection is used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether handlers may have their connection reset, for which each request has to carry a [`Hangup`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hangups {
    None,
    OnRequest,
}

impl Hangups {
    /// The order of a connection that begins; nothing where nobody gives one.
    pub fn for_connection(self) -> Option<Hangup> {
        match self {
            Self::None => None,
            Self::OnRequest => Some(Hangup::default()),
        }
    }
}

/// The order to reset one connection. Clones are for the same connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Hangup(Arc<AtomicBool>);

impl Hangup {
    /// Gives the order. It is obeyed when the connection is used next, so the handler has to answer now; not a byte of
    /// that answer is sent.
    pub fn hang_up(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the order was given.
    pub fn is_given(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
