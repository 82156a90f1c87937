//! Progress of a search for a leak: a line on a terminal; elsewhere a new line every ten seconds.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use crate::console::note;
use crate::leak::{MemoryKind, MemorySample};
use crate::units::{Bytes, grouped};
use indicatif::{ProgressBar, ProgressStyle};

/// Time between progress lines where standard error is not a terminal, as for a load.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// Shows how many uploads there were so far, and how much memory is in use.
pub struct LeakBar<'a> {
    bar: ProgressBar,
    memory: &'a MemoryKind,
    last_line: Instant,
}

impl<'a> LeakBar<'a> {
    /// For a load that lasts this long and begins about now.
    pub fn new(memory: &'a MemoryKind, lasting: Duration) -> Self {
        let style = ProgressStyle::with_template("[{wide_bar}] {percent} %, {eta} left | {msg}")
            .expect("the template has only known parts");
        let length = lasting.as_millis() as u64;
        let bar = if io::stderr().is_terminal() { ProgressBar::new(length) } else { ProgressBar::hidden() };
        let bar = bar.with_style(style).with_message("starting");
        Self { bar, memory, last_line: Instant::now() }
    }

    /// Shows a reading.
    pub fn show(&mut self, sample: &MemorySample) {
        let uploads = grouped(sample.operations);
        let message = format!("{uploads} uploads, {} {}", self.memory, Bytes(sample.bytes));
        if self.bar.is_hidden() && self.last_line.elapsed() >= BETWEEN_LINES {
            self.last_line = Instant::now();
            note(format_args!("after {} s: {message}", sample.at_ms / 1000));
        }
        self.bar.set_message(message);
        self.bar.set_position(sample.at_ms);
    }

    /// Removes the line.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
