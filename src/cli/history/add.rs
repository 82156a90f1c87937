//! `ingester-perf history add`: sessions of the gate, and reports of runs, as measured of a commit.

use std::io::{self, Write};
use std::path::Path;

use crate::baseline::{Side, criterion_home};
use crate::case::Suite;
use crate::config::Config;
use crate::console::note;
use crate::gate::build::{Commit, Tree};
use crate::history::{
    ComparedCommits, HistoryEntry, HistoryKind, append, doubled, entry_of_identical, entry_of_reports,
    entry_of_session, short,
};
use crate::ingester::Settings;
use crate::interrupt::Interrupt;
use crate::lockstep::{self, IdenticalRecord, Record};
use crate::units::printable;
use crate::{Error, Exit};

use super::{FileArgs, notes_on};

/// Where the gate keeps its last session, unless it is told otherwise.
const GATE_OUT: &str = "target/gate/report";

/// The command's arguments.
#[derive(clap::Args)]
pub(super) struct AddArgs {
    /// Folders of sessions (gate --out), reports, folders of reports, or saved baselines (new: the last run)
    /// [default: target/gate/report, the last session]
    #[arg(value_name = "INPUT")]
    inputs: Vec<String>,
    #[command(flatten)]
    file: FileArgs,
    /// The commit that was measured [default: the one that the session says, or HEAD]
    #[arg(long, value_name = "REF")]
    commit: Option<String>,
    /// The commit that a session was compared with [default: the one that it says]
    #[arg(long, value_name = "REF")]
    base: Option<String>,
}

/// An input, read.
enum Input {
    Session(Box<Record>),
    Identical(IdenticalRecord),
    Reports(Side),
}

impl AddArgs {
    pub fn run(self) -> Result<Exit, Error> {
        let tree = Tree::of_history(&Interrupt::default())?;
        let mut inputs = self.inputs.clone();
        if inputs.is_empty() {
            inputs.push(GATE_OUT.to_owned());
        }
        // All are read before any is added: half of what was asked for would be hard to take back.
        let mut entries = Vec::new();
        for input in &inputs {
            let read = read(input)?;
            entries.push(self.entry(input, &read, &tree)?);
        }
        let before = append(&self.file.file, &entries)?;
        for line in notes_on(&before) {
            note(line);
        }
        let known = doubled(&before.entries);
        for twice in doubled(&[before.entries, entries.clone()].concat()) {
            // What was there twice before has been said already.
            if !known.contains(&twice) {
                note(format_args!("Note: {}.", printable(&twice)));
            }
        }
        let head = tree.commit("HEAD")?;
        for entry in &entries {
            let commit = tree.commit(&entry.commit)?;
            if !tree.is_part_of(&commit, &head)? {
                note(format_args!(
                    "Note: {} does not lead to HEAD, so that neither show nor check looks at it from here; --commit names \
                     the commit that uncommitted changes, or a branch, have become",
                    commit.name
                ));
            }
            say(&format!("{}: {}", self.file.file.display(), described(entry)))?;
        }
        Ok(Exit::Held)
    }

    fn entry(&self, input: &str, read: &Input, tree: &Tree) -> Result<HistoryEntry, Error> {
        match read {
            Input::Session(record) => {
                if let Some(injection) = &record.plan.injected {
                    let case = printable(&injection.case);
                    let problem = format!("{case} was slowed on purpose: not measured of any commit");
                    return Err(Error::malformed(Path::new(input), problem));
                }
                let commits =
                    self.compared(input, record.head.commit.as_deref(), record.base.commit.as_deref(), tree)?;
                Ok(entry_of_session(record, &lockstep::judge(record), commits))
            }
            Input::Identical(identical) => {
                let head = identical.head_commit.as_deref();
                let commits = self.compared(input, head, identical.base_commit.as_deref(), tree)?;
                Ok(entry_of_identical(identical, commits))
            }
            Input::Reports(side) => {
                if self.base.is_some() {
                    let problem = format!("{input} is a run, which is compared with nothing");
                    return Err(Error::Setting { name: "--base", problem });
                }
                let commit = self.measured(None, tree)?;
                entry_of_reports(side, commit.id).map_err(|e| Error::malformed(Path::new(input), e))
            }
        }
    }

    /// The commits that a session compared: those that were given, or those that it says.
    fn compared(
        &self,
        input: &str,
        head: Option<&str>,
        base: Option<&str>,
        tree: &Tree,
    ) -> Result<ComparedCommits, Error> {
        let Some(base) = self.base.as_deref().or(base) else {
            let problem = format!(
                "{input} compared executables or URLs, and does not say of which commits: name them with --base and --commit"
            );
            return Err(Error::Setting { name: "--base", problem });
        };
        let base = tree.commit(base)?;
        let commit = self.measured(head, tree)?;
        if base.id == commit.id {
            let problem = format!("{} is the commit that was measured, too", base.name);
            return Err(Error::Setting { name: "--base", problem });
        }
        Ok(ComparedCommits { commit: commit.id, base: base.id })
    }

    /// The commit that was measured.
    fn measured(&self, said: Option<&str>, tree: &Tree) -> Result<Commit, Error> {
        tree.commit(self.commit.as_deref().or(said).unwrap_or("HEAD"))
    }
}

/// Reads what is named so: the folder of a session, or what `compare` reads.
fn read(input: &str) -> Result<Input, Error> {
    let path = Path::new(input);
    if lockstep::has_session(path) {
        if let Some(identical) = lockstep::load_identical(path)? {
            return Ok(Input::Identical(identical));
        }
        return Ok(Input::Session(Box::new(lockstep::load_record(path)?)));
    }
    if input == GATE_OUT {
        let problem = "holds no session of the gate: run ingester-perf gate first, or name what to add";
        return Err(Error::malformed(path, problem));
    }
    let config = Config::find(None)?;
    let suite = config.suite(&Suite::default());
    let reports = Settings::of_files()?.report_dir;
    Ok(Input::Reports(Side::read(input, &suite, &criterion_home(), &reports)?))
}

/// An entry in a few words.
fn described(entry: &HistoryEntry) -> String {
    let commit = short(&entry.commit);
    match &entry.measured {
        HistoryKind::Gate(gate) if gate.identical => {
            format!("added {commit} against {}, identical builds", short(&gate.base))
        }
        HistoryKind::Gate(gate) => {
            format!("added {commit} against {}, {} cases", short(&gate.base), gate.cases.len())
        }
        HistoryKind::Run(run) => format!("added a run of {commit}, {} cases", run.cases.len()),
    }
}

fn say(line: &str) -> Result<(), Error> {
    writeln!(io::stdout(), "{line}").map_err(Error::Output)
}
