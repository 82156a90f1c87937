//! `ingester-perf history check`: did a case creep since the last release?

use time::OffsetDateTime;

use crate::gate::build::Tree;
use crate::history::{
    CaseSteps, CheckedHistory, CreepRule, case_steps, check_document, judge_creep, read_history,
};
use crate::interrupt::Interrupt;
use crate::units::{Day, Share, printable};
use crate::{Error, Exit};

use super::super::export::ExportArgs;
use super::commits::Since;
use super::{FileArgs, notes_on};

/// The command's arguments.
#[derive(clap::Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Since this commit or tag [default: the last release before HEAD]
    #[arg(long, value_name = "REF")]
    since: Option<String>,
    /// Fail a case that has become more than this slower in all
    #[arg(long, default_value = "5%", value_name = "SHARE")]
    limit: Share,
    /// Only this case; can be given several times
    #[arg(long = "case", value_name = "ID")]
    cases: Vec<String>,
    #[command(flatten)]
    export: ExportArgs,
}

impl CheckArgs {
    pub fn run(self) -> Result<Exit, Error> {
        self.export.check()?;
        let stored = read_history(&self.file.file)?;
        let tree = Tree::of_history(&Interrupt::default())?;
        let head = tree.commit("HEAD")?;
        let since = match &self.since {
            Some(name) => tree.commit(name)?,
            None => tree.release_before(&head, "--since")?,
        };
        let since = Since::new(&tree, since, &head)?;
        let cases = self.wanted(case_steps(&stored.entries, &since.line))?;
        let rule = CreepRule { limit: self.limit.0, today: Day::of(OffsetDateTime::now_utc()) };
        let verdict = judge_creep(&cases, &since.line, &rule);
        let document = check_document(&CheckedHistory {
            notes: notes_on(&stored),
            since: since.commit.name,
            line: &since.line,
            rule: &rule,
            verdict: &verdict,
        });
        self.export.write(&document)?;
        Ok(verdict.conclusion.into())
    }

    /// Those of the cases that were asked for. One that no session knows is an error: it would always hold.
    fn wanted(&self, mut cases: Vec<CaseSteps>) -> Result<Vec<CaseSteps>, Error> {
        for id in &self.cases {
            if cases.iter().all(|case| case.case != *id) {
                let known: Vec<&str> = cases.iter().map(|case| case.case.as_str()).collect();
                let known = printable(&known.join(", "));
                let problem = format!("no session since then has {id}; there are {known}");
                return Err(Error::Setting { name: "--case", problem });
            }
        }
        if !self.cases.is_empty() {
            cases.retain(|case| self.cases.contains(&case.case));
        }
        Ok(cases)
    }
}
