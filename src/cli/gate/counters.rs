//! Exact counters beside the gate's session: whether they are made, and from where on a change counts.

use crate::Error;
use crate::gate::{CountedSides, Counting};
use crate::interrupt::Interrupt;
use crate::units::Share;

/// The arguments.
#[derive(clap::Args)]
#[command(next_help_heading = "Exact counters, of two commits of this project")]
pub struct CounterArgs {
    /// Do not count allocations and instructions
    #[arg(long)]
    no_counters: bool,
    /// Name a counter that changes by more than this
    #[arg(long, default_value = "1%", value_name = "SHARE")]
    counters_show: Share,
    /// Fail the run where a counter rises by more than this
    #[arg(long, default_value = "5%", value_name = "SHARE")]
    counters_fail: Share,
}

impl CounterArgs {
    /// An error where the two limits make no sense together.
    pub fn check(&self) -> Result<(), Error> {
        let Self { counters_show: show, counters_fail: fail, .. } = self;
        if show > fail {
            let problem = format!("{show} is above --counters-fail {fail}: what fails a run is to be named");
            return Err(Error::Setting { name: "--counters-show", problem });
        }
        Ok(())
    }

    /// Whether anything is counted.
    pub fn are_wanted(&self) -> bool {
        !self.no_counters
    }

    /// What is to be counted of these builds.
    pub fn counting<'a>(
        &self,
        sides: &'a CountedSides,
        only: &'a [String],
        allow_missing: &'a [String],
        interrupt: &'a Interrupt,
    ) -> Counting<'a> {
        Counting { sides, only, allow_missing, show: self.counters_show, fail: self.counters_fail, interrupt }
    }
}
