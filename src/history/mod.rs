//! What was measured of commit after commit: kept, multiplied up, and looked at for changes.
//!
//! A [`HistoryEntry`] is one line of a file that only grows ([`store`]). The sessions of the gate lead from commit to commit:
//! [`CaseSteps`] are those of a case along a [`CommitLine`], and their product says how much slower the case has become since
//! a release, which no single session can see ([`judge_creep`]). [`Trends`] are series of both, and of what runs measured.

mod chain;
mod change_point;
mod check_document;
mod creep;
mod doubled;
mod entry;
mod line;
mod of_reports;
mod of_session;
mod show_document;
mod sparkline;
mod store;
mod trend;

pub(crate) use chain::{CaseSteps, case_steps};
pub(crate) use check_document::{CheckedHistory, check_document};
pub(crate) use creep::{CreepRule, judge_creep};
pub(crate) use doubled::doubled;
pub(crate) use entry::{HistoryEntry, HistoryKind, short};
pub(crate) use line::CommitLine;
pub(crate) use of_reports::entry_of_reports;
pub(crate) use of_session::{ComparedCommits, entry_of_identical, entry_of_session};
pub(crate) use show_document::{ShownHistory, show_document};
pub(crate) use store::{StoredHistory, append, read_history};
pub(crate) use trend::{ShownRelease, Trends};
