//! Ctrl-C and SIGTERM: the first ends the run after the slice under way, the second at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::outcome::Stop;

/// Remembers the signal that came.
#[derive(Debug, Default)]
pub struct Interrupt {
    came: Arc<AtomicUsize>,
}

impl Interrupt {
    /// Watches from now on.
    pub fn watch() -> Result<Self, Stop> {
        let interrupt = Self::default();
        let second = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&second))?;
            flag::register(signal, Arc::clone(&second))?;
            flag::register_usize(signal, Arc::clone(&interrupt.came), signal as usize)?;
        }
        Ok(interrupt)
    }

    /// An error once a signal has come.
    pub fn check(&self) -> Result<(), Stop> {
        match self.came.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(Stop::Signal(signal as u8)),
        }
    }
}
