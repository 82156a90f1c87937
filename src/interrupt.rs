//! Ctrl-C, SIGTERM and SIGHUP: what came is remembered, so that a run can end in order; a second Ctrl-C or SIGTERM ends it
//! at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[cfg(unix)]
use signal_hook::consts::SIGHUP;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::Error;

/// Remembers which signal came. Clones share their memory.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    signal: Arc<AtomicUsize>,
}

impl Interrupt {
    /// Watches from now on.
    pub fn watch() -> Result<Self, Error> {
        let interrupt = Self::default();
        let second = Arc::new(AtomicBool::new(false));
        // In this order: the first signal finds the flag unset, and sets it for the second one.
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&second))
                .and_then(|_| flag::register(signal, Arc::clone(&second)))
                .map_err(Error::Thread)?;
            interrupt.remember(signal)?;
        }
        // A terminal that closes sends it twice, so a second one means nothing. Under `nohup` the run outlives its
        // terminal, as was asked for.
        #[cfg(unix)]
        if !is_ignored(SIGHUP) {
            interrupt.remember(SIGHUP)?;
        }
        Ok(interrupt)
    }

    fn remember(&self, signal: i32) -> Result<(), Error> {
        let registered = flag::register_usize(signal, Arc::clone(&self.signal), signal as usize);
        registered.map(drop).map_err(Error::Thread)
    }

    /// The number of the signal that came, if one did.
    pub fn signal(&self) -> Option<u8> {
        // 0 is no signal's number.
        Some(self.signal.load(Ordering::Relaxed) as u8).filter(|signal| *signal != 0)
    }

    /// An error if a signal came.
    pub fn check(&self) -> Result<(), Error> {
        match self.signal() {
            Some(signal) => Err(Error::Interrupted(signal)),
            None => Ok(()),
        }
    }
}

/// Whether this process was started with the signal switched off. Only Linux tells without `unsafe`.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_signals(&status).is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// The mask of ignored signals in `/proc/self/status`: hex, signal 1 in the lowest bit.
#[cfg(unix)]
fn ignored_signals(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn the_mask_of_ignored_signals_is_read() {
        // Bits 0 and 12: SIGHUP (1) and SIGPIPE (13).
        let status = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000440\n";
        assert_eq!(ignored_signals(status), Some(0x1001));
        assert_eq!(ignored_signals(""), None);
    }

    #[test]
    fn a_signal_that_came_is_an_error_of_its_own() {
        let interrupt = Interrupt::default();
        assert!(interrupt.check().is_ok());
        interrupt.signal.store(15, Ordering::Relaxed);
        assert!(matches!(interrupt.check(), Err(Error::Interrupted(15))));
    }
}
