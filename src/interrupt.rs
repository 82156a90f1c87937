//! Ctrl-C and SIGTERM: the first is remembered, so that a run can end in order; a second one ends it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::Error;

/// Remembers which signal came.
#[derive(Debug, Default)]
pub struct Interrupt {
    signal: Arc<AtomicUsize>,
}

impl Interrupt {
    /// Watches from now on.
    pub fn watch() -> Result<Self, Error> {
        let interrupt = Self::default();
        let second = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&second))
                .and_then(|_| flag::register(signal, Arc::clone(&second)))
                .and_then(|_| flag::register_usize(signal, Arc::clone(&interrupt.signal), signal as usize))
                .map_err(Error::Thread)?;
        }
        Ok(interrupt)
    }

    /// The number of the signal that came, if one did.
    pub fn signal(&self) -> Option<u8> {
        Some(self.signal.load(Ordering::Relaxed) as u8).filter(|signal| *signal != 0)
    }
}
