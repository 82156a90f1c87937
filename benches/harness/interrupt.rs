//! What ends a run between two slices: Ctrl-C or SIGTERM, of which a second one ends it at once, or a case that cannot
//! go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::outcome::Stop;

/// Remembers what came.
#[derive(Debug, Default)]
pub struct Interrupt {
    signal: Arc<AtomicUsize>,
    halted: AtomicBool,
}

impl Interrupt {
    /// Watches from now on.
    pub fn watch() -> Result<Self, Stop> {
        let interrupt = Self::default();
        let second = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&second))?;
            flag::register(signal, Arc::clone(&second))?;
            flag::register_usize(signal, Arc::clone(&interrupt.signal), signal as usize)?;
        }
        Ok(interrupt)
    }

    /// Ends all cases.
    pub fn halt(&self) {
        self.halted.store(true, Ordering::Relaxed);
    }

    /// An error once there is a reason to end.
    pub fn check(&self) -> Result<(), Stop> {
        match self.signal.load(Ordering::Relaxed) {
            0 if self.halted.load(Ordering::Relaxed) => Err(Stop::Halted),
            0 => Ok(()),
            signal => Err(Stop::Signal(signal as u8)),
        }
    }
}
