//! One side of a comparison: a saved baseline by name, a bundle, a folder of reports, or one report.

use std::path::{Path, PathBuf};

use super::bundle::Bundle;
use super::compare::Figures;
use super::report::Report;
use super::saved::{Criterion, MAX_BYTES, check_name};
use crate::case::Suite;
use crate::error::Error;
use crate::files::read_limited;

/// What Criterion calls the last run.
const LAST_RUN: &str = "new";

/// Cases with what was kept of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    /// What the user called it.
    pub name: String,
    /// By the case's id; operations that are no case of this suite by their own name.
    pub cases: Vec<(String, Kept)>,
}

/// What was kept of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Criterion's files; none where only a report was given.
    pub criterion: Option<Criterion>,
    /// The report beside them.
    pub report: Report,
    /// The report's text.
    pub text: String,
}

impl Side {
    /// Reads what `given` names: a path where it holds a separator, ends in `.json` or exists; else a baseline in
    /// Criterion's folder `home`, with its reports in the folder of its name in `reports`.
    pub fn read(given: &str, suite: &Suite, home: &Path, reports: &Path) -> Result<Self, Error> {
        let path = Path::new(given);
        let is_path = given.contains(std::path::MAIN_SEPARATOR) || given.ends_with(".json");
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
        let figures = |Kept { criterion, report, .. }: &Kept| {
            let iterations = criterion.as_ref().filter(|_| of_iterations);
            let (mean_ms, low_ms) = iterations
                .map_or((report.mean_ms, report.low_ms), |kept| (kept.mean_ns / 1e6, kept.low_ns / 1e6));
            let Report { p50_ms, p95_ms, p99_ms, ref origin, .. } = *report;
            Figures { mean_ms, low_ms, p50_ms, p95_ms, p99_ms, origin: origin.clone() }
        };
        self.cases.iter().map(|(id, kept)| (id.clone(), figures(kept))).collect()
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
    let failed = |e| Error::file(dir, "read", e);
    let entries = std::fs::read_dir(dir).map_err(failed)?;
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(failed)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
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

impl Kept {
    /// What a report alone keeps.
    pub(super) fn of_report(path: &Path, text: String) -> Result<Self, Error> {
        Ok(Self { criterion: None, report: Report::parse(path, &text)?, text })
    }
}

/// The id of the case that an operation is of.
fn case_of(report: &Report, suite: &Suite) -> String {
    let spec = suite.of_operation(&report.operation);
    spec.map_or_else(|| report.operation.clone(), |spec| spec.id())
}
