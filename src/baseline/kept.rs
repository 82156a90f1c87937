//! What was kept of cases: Criterion's files, and the report beside them.

use std::path::Path;

use super::compare::Figures;
use super::report::Report;
use super::saved::Criterion;
use crate::error::Error;

/// Cases with what was kept of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    /// What the user called it.
    pub name: String,
    /// By the case's id. Operations that are not a case of this suite stand under their own name.
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

impl Kept {
    /// What a report alone keeps.
    pub(super) fn of_report(path: &Path, text: String) -> Result<Self, Error> {
        Ok(Self { criterion: None, report: Report::parse(path, &text)?, text })
    }

    /// The figures; mean and low quantile of iterations where these are wanted and were kept.
    pub(super) fn figures(&self, of_iterations: bool) -> Figures {
        let report = &self.report;
        let mut figures = Figures {
            mean_ms: report.mean_ms,
            low_ms: report.low_ms,
            p50_ms: report.p50_ms,
            p95_ms: report.p95_ms,
            p99_ms: report.p99_ms,
            origin: report.origin.clone(),
        };
        if of_iterations && let Some(criterion) = &self.criterion {
            figures.mean_ms = criterion.mean_ns / 1e6;
            figures.low_ms = criterion.low_ns / 1e6;
        }
        figures
    }
}
