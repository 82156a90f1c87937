//! Standard error, for people who watch: best effort. What was measured must not be lost because nobody reads.

use std::fmt::Display;
use std::io::{self, Write};

/// Prints a line to standard error. Where that is closed or full, nothing happens.
pub fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
