//! One side of a comparison: a saved baseline by name, a bundle, a folder of reports, or one report.

use std::path::{Path, PathBuf};

use super::bundle::Bundle;
use super::compare::Figures;
use super::kept::{Kept, Side};
use super::report::Report;
use super::saved::{Criterion, MAX_BYTES, check_name};
use crate::case::Suite;
use crate::error::Error;
use crate::files::read_limited;
use crate::leak;
use crate::load::RECORD;

/// What Criterion calls the last run.
const LAST_RUN: &str = "new";

impl Side {
    /// Reads what `given` names: a path where it holds a separator, ends in `.json` or exists; else a baseline in
    /// Criterion's folder `home`, with its reports in the folder of its name in `reports`.
    pub fn read(given: &str, suite: &Suite, home: &Path, reports: &Path) -> Result<Self, Error> {
        let path = Path::new(given);
        let is_path = given.contains(std::path::MAIN_SEPARATOR) || given.ends_with(".json");
        // Where a folder and a saved baseline have the same name, the baseline is meant: `./NAME` is how to say the other.
        let cases = if path.is_dir() && (is_path || !has_baseline(suite, home, given)) {
            folder(path, suite)?
        } else if is_path || path.exists() && !path.is_dir() {
            file(path, suite)?
        } else {
            return Self::baseline(given, suite, home, reports);
        };
        Ok(Self { name: given.to_owned(), cases })
    }

    /// Reads a saved baseline: every case of the suite that it has. Criterion's own `new` is the last run, whose
    /// reports are in `reports` itself.
    pub fn baseline(name: &str, suite: &Suite, home: &Path, reports: &Path) -> Result<Self, Error> {
        let reports = if name == LAST_RUN {
            reports.to_owned()
        } else {
            check_name(name).map_err(|problem| Error::Setting { name: "baseline", problem })?;
            reports.join(name)
        };
        let mut cases = Vec::new();
        for spec in suite.cases() {
            let dir = home.join(spec.id()).join(name);
            let report = reports.join(format!("{}.json", spec.operation));
            // A saved report without Criterion's files is a broken baseline, and told as one. Reports of the last run may lie
            // alone: Criterion keeps nothing of a case that ended early.
            if dir.exists() || (report.exists() && name != LAST_RUN) {
                let criterion = Some(Criterion::read(&dir)?);
                cases.push((spec.id(), Kept { criterion, ..kept(&report)? }));
            }
        }
        if cases.is_empty() {
            let home = home.to_owned();
            return Err(Error::NoBaseline { name: name.to_owned(), id: "case".to_owned(), home });
        }
        Ok(Self { name: name.to_owned(), cases })
    }

    /// The figures of each case. Criterion's mean and low quantile are of iterations, a report's of operations:
    /// `of_iterations` says which are wanted.
    pub fn figures(&self, of_iterations: bool) -> Vec<(String, Figures)> {
        self.cases.iter().map(|(id, kept)| (id.clone(), kept.figures(of_iterations))).collect()
    }

    /// Whether Criterion's files are there for every case.
    pub fn has_iterations(&self) -> bool {
        self.cases.iter().all(|(_, kept)| kept.criterion.is_some())
    }
}

fn has_baseline(suite: &Suite, home: &Path, name: &str) -> bool {
    suite.ids().any(|id| home.join(id).join(name).exists())
}

/// Every report in a folder.
fn folder(dir: &Path, suite: &Suite) -> Result<Vec<(String, Kept)>, Error> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| Error::file(dir, "read", e))? {
        let path = entry.map_err(|e| Error::file(dir, "read", e))?.path();
        // A load's record lies beside its report, and is none; the report of a search for a leak has no latencies.
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".json") && !name.ends_with(RECORD) && name != leak::REPORT {
            paths.push(path.clone());
        }
    }
    // A folder lists its files in any order; the table is to have the same one every time.
    paths.sort();
    let mut cases: Vec<(String, Kept)> = Vec::new();
    for path in paths {
        let kept = kept(&path)?;
        let case = case_of(&kept.report, suite);
        if cases.iter().any(|(id, _)| *id == case) {
            return Err(Error::malformed(
                &path,
                format!("{case}: another report in this folder is of it too"),
            ));
        }
        cases.push((case, kept));
    }
    if cases.is_empty() {
        return Err(Error::malformed(dir, "holds no report (*.json)"));
    }
    Ok(cases)
}

/// A bundle, or one report.
fn file(path: &Path, suite: &Suite) -> Result<Vec<(String, Kept)>, Error> {
    let text = read_limited(path, MAX_BYTES)?;
    if Bundle::is_one(&text) {
        return Ok(Bundle::parse(path, &text, suite)?.cases);
    }
    let kept = Kept::of_report(path, text)?;
    Ok(vec![(case_of(&kept.report, suite), kept)])
}

fn kept(path: &Path) -> Result<Kept, Error> {
    Kept::of_report(path, read_limited(path, MAX_BYTES)?)
}

/// The id of the case that an operation is of.
fn case_of(report: &Report, suite: &Suite) -> String {
    let spec = suite.of_operation(&report.operation);
    spec.map_or_else(|| report.operation.clone(), |spec| spec.id())
}
