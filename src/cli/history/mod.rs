//! `ingester-perf history`: what was measured of commit after commit.

mod add;
mod check;
mod commits;
mod show;

use std::path::PathBuf;

use clap::Subcommand;

use crate::history::{StoredHistory, doubled};
use crate::units::printable;
use crate::{Error, Exit};

const EXAMPLES: &str = "\
Examples:
  ingester-perf gate && ingester-perf history add             a session of the gate, as measured of its commit
  ingester-perf history add target/performance_reports        the reports of a run, as measured of HEAD
  ingester-perf history add gate-out --base 9f8e7d6 --commit 1a2b3c4
                                                              for a session of two executables, or two URLs
  ingester-perf history show --export html=trend.html         a page with a chart of each case
  ingester-perf history check                                 did a case become more than 5 % slower since the last release,
                                                              in steps that all passed?
  ingester-perf history check --since v1.2.0 --limit 10%

Exit codes: 0 done, and for check every case held; 1 (check) a case crept beyond the limit; 2 something is missing or broken;
3 (check) commits in between have no session that tells.
How it works: docs/history.md.";

/// The command's arguments.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct HistoryArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Add a session of the gate, or the reports of a run, to the history.
    Add(add::AddArgs),
    /// Show how each case has developed, with what may be changes of its level.
    Show(show::ShowArgs),
    /// Tell whether a case crept: became slower since the last release, in steps none of which failed.
    Check(check::CheckArgs),
}

/// The file.
#[derive(clap::Args)]
struct FileArgs {
    /// The history: one entry a line, only ever added to
    #[arg(long, default_value = "baseline/history.jsonl", value_name = "FILE")]
    file: PathBuf,
}

impl HistoryArgs {
    pub fn run(self) -> Result<Exit, Error> {
        match self.command {
            Command::Add(add) => add.run(),
            Command::Show(show) => show.run(),
            Command::Check(check) => check.run(),
        }
    }
}

/// What a reader has to know of a file's lines, a sentence each.
fn notes_on(stored: &StoredHistory) -> Vec<String> {
    let mut notes = Vec::new();
    for line in &stored.torn {
        notes.push(format!("Note: line {line} is torn, and was skipped: whoever wrote it was interrupted."));
    }
    for twice in doubled(&stored.entries) {
        notes.push(format!("Note: {}.", printable(&twice)));
    }
    notes
}
