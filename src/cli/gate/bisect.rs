//! `gate --bisect GOOD..BAD`: with which commit did a case get slower?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;

use crate::case::Suite;
use crate::config::{AcceptedFile, Config};
use crate::console::note;
use crate::document::Format;
use crate::files::{read_limited, remove, write_json, write_text};
use crate::gate::build::{Commit, Tree, does_not_build};
use crate::gate::{self, Gate, own_executable};
use crate::ingester::{OF_A_REAL_INGESTER, Settings};
use crate::interrupt::Interrupt;
use crate::lockstep::{
    self, BisectComparison, BisectPlan, BisectRecord, BisectState, BisectStep, LineCommit, Lock, Report,
    SessionKind, StepOutcome, Why,
};
use crate::targets::Targets;
use crate::units::{hex, printable};
use crate::{Error, Exit};

use super::GateArgs;
use super::bar::Bar;
use super::sides::{BuiltSide, Configured};

/// What was asked and measured.
const RECORD: &str = "bisect.json";
/// The conclusion, for a program.
const VERDICT: &str = "verdict.json";
/// All that is told, for a pull request.
const SUMMARY: &str = "summary.md";
/// Keeps a second search out of the folder.
const LOCK: &str = "bisect.lock";
/// Largest record that is read, in bytes: a step has some hundred, and the message of a failed build some thousand.
const MAX_BYTES: u64 = 16 << 20;
/// Digits of the number that a step's folder is called.
const DIGITS: usize = 2;

/// The arguments.
#[derive(clap::Args)]
#[command(next_help_heading = "Which commit it was")]
pub struct BisectArgs {
    /// Find the commit after GOOD, up to BAD, with which the one --case got slower; along first parents
    #[arg(id = "bisect", long = "bisect", value_name = "GOOD..BAD", value_parser = range, requires = "cases",
          conflicts_with_all = ["base", "base_release", "head", "base_exe", "head_exe", "base_serve", "head_serve",
          "base_url", "head_url", "allow_missing", "even_if_identical", "inject"])]
    pub(super) range: Option<BisectRange>,
    /// Go on with a search that was interrupted: use what is stored of it in --out
    #[arg(long, requires = "bisect")]
    resume: bool,
}

/// The ends of the line that is searched, as they were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BisectRange {
    good: String,
    bad: String,
}

/// As git reads it: without a name behind the dots it is HEAD.
fn range(text: &str) -> Result<BisectRange, String> {
    let advice = "write two commits with two dots between them, like v1.2..main";
    let (good, bad) = text.split_once("..").ok_or(advice)?;
    // Three dots mean something else to git: what either has and the other lacks.
    if good.is_empty() || bad.starts_with('.') {
        return Err(advice.to_owned());
    }
    let bad = if bad.is_empty() { "HEAD" } else { bad };
    Ok(BisectRange { good: good.to_owned(), bad: bad.to_owned() })
}

impl GateArgs {
    /// Searches for the commit.
    pub(super) fn search(&self, range: &BisectRange) -> Result<Exit, Error> {
        let [case] = self.cases.as_slice() else {
            let problem = "a search follows one case, and several were given; leave one".to_owned();
            return Err(Error::Setting { name: "--case", problem });
        };
        let config = Config::find(self.config.as_deref())?;
        let suite = config.suite(&Suite::default());
        let settings = Settings::measuring(&config.describe(&suite), None)?;
        let configured = Configured { config: &config, suite: &suite, settings: &settings };
        self.export.check()?;
        let interrupt = Interrupt::watch()?;
        let tree = self.tree(&configured, &interrupt)?;
        let lock = tree.lock()?;
        let line = tree.line(&range.good, &range.bad)?;
        let measured_by = self.measured_by(&config)?;
        let asked = BisectPlan { case: case.clone(), plan: self.plan(), measured_by, line };
        asked.check()?;

        let mut folder = SearchFolder::begin(self.out(), asked, self.bisect.resume)?;
        note(format_args!("Placement {}", settings.placed()));
        let mut sessions = Sessions {
            args: self,
            configured: &configured,
            tree: &tree,
            lock: &lock,
            interrupt: &interrupt,
            checksums: BTreeMap::new(),
        };
        let verdict = loop {
            let comparison = match folder.record.state() {
                BisectState::Done(verdict) => break verdict,
                BisectState::Compare(comparison) => comparison,
            };
            let outcome = match sessions.compare(&folder, comparison) {
                Ok(outcome) => outcome,
                Err(Error::Interrupted(signal)) => {
                    let dir = folder.dir.display();
                    note(format_args!("What was told until now is in {dir}; --resume goes on with it"));
                    return Err(Error::Interrupted(signal));
                }
                Err(error) => return Err(error),
            };
            folder.add(BisectStep { comparison, outcome })?;
        };
        let document = lockstep::bisect_document(&folder.record, &verdict);
        write_json(&folder.dir.join(VERDICT), &verdict)?;
        write_text(&folder.dir.join(SUMMARY), &document.render(Format::Markdown))?;
        note(format_args!("Every session, the verdict and a summary: {}", folder.dir.display()));
        self.export.write(&document)?;
        Ok(verdict.finding.verdict().into())
    }

    /// A hash of what decides the outcome of a session beside its commits and options: this program, the configuration, and
    /// the variables that may change what is measured.
    fn measured_by(&self, config: &Config) -> Result<String, Error> {
        let mut hash = digest::Context::new(&digest::SHA256);
        let own = own_executable()?;
        for path in std::iter::once(&own).chain(&config.path) {
            hash.update(&std::fs::read(path).map_err(|e| Error::file(path, "read", e))?);
        }
        hash.update(self.bench.as_deref().unwrap_or_default().as_bytes());
        let mut variables = Vec::new();
        for (name, value) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            // A token may be another one each day. What is measured is the same.
            if name.starts_with("INGESTER_") && !OF_A_REAL_INGESTER.contains(&name.as_str()) {
                variables.push((name, value));
            }
        }
        variables.sort_unstable();
        for (name, value) in variables {
            hash.update(name.as_bytes());
            hash.update(value.as_encoded_bytes());
            // Without an end, one value could be read as the next one's name.
            hash.update(&[0]);
        }
        Ok(hex(&hash.finish().as_ref()[..8]))
    }
}

/// The folder of a search: its record, and a folder for each session.
struct SearchFolder {
    dir: PathBuf,
    record: BisectRecord,
    _lock: Lock,
}

impl SearchFolder {
    /// Begins a search in this folder, or goes on with the one that is stored there.
    fn begin(dir: &Path, asked: BisectPlan, resume: bool) -> Result<Self, Error> {
        let dir = std::path::absolute(dir).map_err(|e| Error::file(dir, "find", e))?;
        let lock = Lock::take(&dir, LOCK)?;
        let record = if resume {
            stored(&dir.join(RECORD), &asked)?
        } else {
            remove_sessions(&dir)?;
            BisectRecord::new(asked)
        };
        // Should this search fail, an old verdict must not be taken for its own.
        for file in [VERDICT, SUMMARY] {
            remove(&dir.join(file))?;
        }
        let folder = Self { dir, record, _lock: lock };
        // Before anything is built: minutes must not be lost because it cannot be written.
        folder.save()?;
        Ok(folder)
    }

    /// Adds what a step came to, and says it.
    fn add(&mut self, step: BisectStep) -> Result<(), Error> {
        let said = lockstep::step_line(&self.record, &step);
        self.record.steps.push(step);
        self.save()?;
        note(said);
        Ok(())
    }

    fn save(&self) -> Result<(), Error> {
        write_json(&self.dir.join(RECORD), &self.record)
    }

    /// The folder of the session that comes next.
    fn next_session(&self) -> PathBuf {
        self.dir.join(format!("{:0DIGITS$}", self.record.steps.len() + 1))
    }
}

/// The search that is stored here, if it is one for what is asked.
fn stored(path: &Path, asked: &BisectPlan) -> Result<BisectRecord, Error> {
    if !path.exists() {
        let problem = format!("there is no {}; leave it out to begin a search", path.display());
        return Err(Error::Setting { name: "--resume", problem });
    }
    let text = read_limited(path, MAX_BYTES)?;
    let record: BisectRecord =
        serde_json::from_str(&text).map_err(|e| Error::malformed(path, printable(&e.to_string())))?;
    record.check().map_err(|problem| Error::malformed(path, problem))?;
    if let Some(what) = asked.differs_from(&record.asked) {
        let problem =
            format!("{} is of {what}; leave --resume out to begin a search of its own", path.display());
        return Err(Error::Setting { name: "--resume", problem });
    }
    note(format_args!("Going on with the {} steps in {}", record.steps.len(), path.display()));
    Ok(record)
}

/// Removes the sessions of an earlier search, which are of other commits.
fn remove_sessions(dir: &Path) -> Result<(), Error> {
    for entry in std::fs::read_dir(dir).map_err(|e| Error::file(dir, "list", e))?.flatten() {
        // By the form of its name: the folder may be one where somebody keeps other files.
        let name = entry.file_name();
        let is_session = name.len() == DIGITS && name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
        if is_session {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Builds and compares the commits of a search.
struct Sessions<'a> {
    args: &'a GateArgs,
    configured: &'a Configured<'a>,
    tree: &'a Tree,
    lock: &'a Lock,
    interrupt: &'a Interrupt,
    /// The executables of commits that were compared, by their places: equal ones need no session.
    checksums: BTreeMap<usize, String>,
}

impl Sessions<'_> {
    /// Compares two commits. A commit between the ends that does not build, or cannot be measured, is an outcome; anything
    /// else that goes wrong is an error.
    fn compare(&mut self, folder: &SearchFolder, comparison: BisectComparison) -> Result<StepOutcome, Error> {
        let record = &folder.record;
        let BisectComparison { kind, base, head } = comparison;
        let base_commit = commit(&record.asked.line[base]);
        let head_commit = commit(&record.asked.line[head]);
        note(format_args!(
            "Step {} of about {}: {} ({}) against {}",
            record.steps.len() + 1,
            record.steps_in_all(),
            printable(&head_commit.name),
            printable(&record.asked.line[head].subject),
            printable(&base_commit.name)
        ));
        // The base was measured before, or is an end: without it there is nothing to compare with.
        let base_built = self.built(&base_commit)?;
        let head_built = match self.built(&head_commit) {
            Ok(built) => built,
            Err(error) if kind == SessionKind::Search && does_not_build(&error) => {
                note(&error);
                return Ok(StepOutcome::NotBuilt { reason: error.to_string() });
            }
            Err(error) => return Err(error),
        };
        if kind != SessionKind::Confirm
            && let Some(place) = self.same_build(comparison, &base_built, &head_built)?
        {
            return Ok(StepOutcome::SameBuild { place });
        }
        let (targets, notices) = match kind {
            SessionKind::Ends => {
                self.args.limits_of_commits(self.tree, &base_commit, &head_commit, self.configured)?
            }
            // The threshold is the step's own, whatever the case's is.
            SessionKind::Search | SessionKind::Confirm => (Targets::default(), Vec::new()),
        };
        let notices = [notices, base_built.notices.clone(), head_built.notices.clone()].concat();
        let measured = self.measure(folder, kind, &base_built, &head_built, &targets, notices);
        match measured {
            Err(error) if kind == SessionKind::Search => {
                // What a signal broke off says nothing about the commit.
                self.interrupt.check()?;
                let reason = match error {
                    // GOOD has the case, as the first session ran it.
                    Error::NothingInCommon => format!("{} does not have the case", head_commit.name),
                    error if gate::is_of_head(&error) => error.to_string(),
                    error => return Err(error),
                };
                note(&reason);
                Ok(StepOutcome::NotMeasured { reason })
            }
            measured => measured,
        }
    }

    fn built(&self, commit: &Commit) -> Result<BuiltSide, Error> {
        let mut built = self.args.built(self.tree, commit, self.configured, self.lock)?;
        // Workers read the very file that this process has read.
        built.side.config.clone_from(&self.configured.config.path);
        Ok(built)
    }

    /// The place of a commit that was compared before and is the same bytes as head. A change of a comment, or of a
    /// document, then costs a build and no session.
    fn same_build(
        &mut self,
        comparison: BisectComparison,
        base: &BuiltSide,
        head: &BuiltSide,
    ) -> Result<Option<usize>, Error> {
        // A service is a folder, and a script may use files that lie beside it: neither is known by one checksum.
        if head.side.is_a_service() || gate::is_script(&head.side.executable)? {
            return Ok(None);
        }
        self.checksums.insert(comparison.base, base.side.sha256.clone());
        for (place, sha256) in &self.checksums {
            if *place != comparison.head && *sha256 == head.side.sha256 {
                return Ok(Some(*place));
            }
        }
        self.checksums.insert(comparison.head, head.side.sha256.clone());
        Ok(None)
    }

    /// Runs a session of the gate in a folder of its own, and judges it.
    fn measure(
        &self,
        folder: &SearchFolder,
        kind: SessionKind,
        base: &BuiltSide,
        head: &BuiltSide,
        targets: &Targets,
        notices: Vec<String>,
    ) -> Result<StepOutcome, Error> {
        let plan = folder.record.plan_of(kind);
        let report = Report::begin(&folder.next_session())?;
        let bar = Bar::new(&plan);
        let gate = Gate {
            base: &base.side,
            head: &head.side,
            plan: &plan,
            suite: self.configured.suite,
            only: &self.args.cases,
            settings: self.configured.settings,
            targets,
            // A search asks which commit made the case slower, whoever agreed to that.
            accepted: &AcceptedFile::default(),
            notices,
            allow_missing: &[],
            copies: &report.copies(),
            interrupt: self.interrupt,
        };
        let record = gate.measure(|progress| bar.show(progress));
        // The bar goes before anything else is printed, an error included.
        bar.end();
        let record = record?;
        report.save_record(&record)?;
        if record.partial {
            self.interrupt.check()?;
        }
        let verdict = lockstep::judge(&record);
        report.save_verdict(&record, &verdict, &Why::default())?;
        Ok(StepOutcome::of(&verdict))
    }
}

fn commit(of: &LineCommit) -> Commit {
    Commit { id: of.id.clone(), name: of.name.clone(), notes: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_commits_have_two_dots_between_them() {
        let given = BisectRange { good: "v1.2".to_owned(), bad: "main~3".to_owned() };
        assert_eq!(range("v1.2..main~3"), Ok(given));
        assert_eq!(range("v1.2..").map(|range| range.bad), Ok("HEAD".to_owned()));
        for text in ["main", "..main", "a...b", ""] {
            let error = range(text).expect_err("is wrong");
            assert!(error.contains("two dots"), "{text}: {error}");
        }
    }
}
