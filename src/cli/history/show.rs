//! `ingester-perf history show`: how each case has developed.

use crate::gate::build::Tree;
use crate::history::{ShownHistory, ShownRelease, Trends, case_steps, read_history, show_document};
use crate::interrupt::Interrupt;
use crate::{Error, Exit};

use super::super::export::ExportArgs;
use super::commits::{Since, whole_line};
use super::{FileArgs, notes_on};

/// The command's arguments.
#[derive(clap::Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Tell changes from this commit or tag [default: the last release before HEAD]
    #[arg(long, value_name = "REF")]
    since: Option<String>,
    #[command(flatten)]
    export: ExportArgs,
}

impl ShowArgs {
    pub fn run(self) -> Result<Exit, Error> {
        self.export.check()?;
        let stored = read_history(&self.file.file)?;
        let tree = Tree::of_history(&Interrupt::default())?;
        let head = tree.commit("HEAD")?;
        // A trend is there without a release too.
        let since = match &self.since {
            Some(name) => Some(tree.commit(name)?),
            None => tree.find_release_before(&head)?,
        };
        let mut release = None;
        let mut called = None;
        if let Some(commit) = since {
            let Since { commit, line } = Since::new(&tree, commit, &head)?;
            let cases = case_steps(&stored.entries, &line);
            called = Some(commit.name);
            release = Some(ShownRelease { commit: commit.id, line, cases });
        }
        let line = whole_line(&tree, &head)?;
        let cases = case_steps(&stored.entries, &line);
        let trends = Trends::new(&stored.entries, &cases, &line, release.as_ref());
        let document = show_document(&ShownHistory {
            file: self.file.file.display().to_string(),
            entries: stored.entries.len(),
            notes: notes_on(&stored),
            trends: &trends,
            line: &line,
            release: called,
        });
        self.export.write(&document)?;
        Ok(Exit::Held)
    }
}
