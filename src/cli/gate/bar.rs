//! Progress of a session of the gate.

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};

use crate::lockstep::{Plan, Progress};
use indicatif::{ProgressBar, ProgressStyle};

/// On standard error: a bar on a terminal, else a line for every pair.
pub struct Bar {
    bar: ProgressBar,
    pairs: usize,
    max_pairs: usize,
    line_of: Cell<usize>,
}

impl Bar {
    /// A bar for a session in which nothing is measured yet.
    pub fn new(plan: &Plan) -> Self {
        let style = ProgressStyle::with_template("pair {msg} [{wide_bar}] {percent} %, {eta} left")
            .expect("the template has only known parts");
        let bar = ProgressBar::new(plan.budget_ms).with_style(style);
        Self { bar, pairs: plan.pairs, max_pairs: plan.max_pairs, line_of: Cell::new(0) }
    }

    /// Shows that the session is so far.
    pub fn show(&self, Progress { pair, measured, extended }: Progress) {
        let said = if extended {
            format!("{pair} of at most {}, as a case is undecided", self.max_pairs)
        } else {
            format!("{pair} of {}", self.pairs)
        };
        if io::stderr().is_terminal() {
            self.bar.set_position(measured.as_millis() as u64);
            self.bar.set_message(said);
        } else if self.line_of.replace(pair) != pair {
            // Progress comes after every block, and a log is to have one line for each pair. That nobody can read it must not
            // end the session.
            let _ = writeln!(io::stderr(), "pair {said}");
        }
    }

    /// Removes the bar.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
