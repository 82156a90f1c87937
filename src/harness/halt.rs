//! What ends a run between two slices: a signal, or a case that cannot go on.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::interrupt::Interrupt;

use super::outcome::Stop;

/// Whether the cases go on.
#[derive(Debug)]
pub struct Halt {
    interrupt: Interrupt,
    halted: AtomicBool,
}

impl Halt {
    /// Watches for signals from now on.
    pub fn watch() -> Result<Self, Stop> {
        Ok(Self { interrupt: Interrupt::watch()?, halted: AtomicBool::new(false) })
    }

    /// The watch for signals.
    pub fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Ends all cases.
    pub fn halt(&self) {
        self.halted.store(true, Ordering::Relaxed);
    }

    /// An error once there is a reason to end.
    pub fn check(&self) -> Result<(), Stop> {
        match self.interrupt.signal() {
            Some(signal) => Err(Stop::Signal(signal)),
            None if self.halted.load(Ordering::Relaxed) => Err(Stop::Halted),
            None => Ok(()),
        }
    }
}
