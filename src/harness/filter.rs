//! Which cases run: Criterion's filter, and what it may match.

use crate::case::Suite;
use clap::ArgMatches;
use regex::Regex;

use super::args::Rejected;
use super::floor;
use super::outcome::Stop;

/// Which cases run.
#[derive(Debug)]
pub enum Filter {
    All,
    Exact(String),
    Matching(Regex),
    None,
}

impl Filter {
    /// Reads it from the command line.
    pub fn of(given: &ArgMatches) -> Result<Self, Rejected> {
        let Some(text) = given.get_one::<String>("FILTER").filter(|_| !given.get_flag("ignored")) else {
            return Ok(if given.get_flag("ignored") { Self::None } else { Self::All });
        };
        if given.get_flag("exact") {
            return Ok(Self::Exact(text.clone()));
        }
        let regex = Regex::new(text);
        regex
            .map(Self::Matching)
            .map_err(|_| Rejected::Value(format!("filter \"{text}\" is no regular expression")))
    }

    /// Whether the case is selected.
    pub fn selects(&self, id: &str) -> bool {
        match self {
            Self::All => true,
            Self::Exact(exact) => exact == id,
            Self::Matching(regex) => regex.is_match(id),
            Self::None => false,
        }
    }

    /// Refuses a filter that matches no case of any bench: a typing error must not look like success.
    pub fn check_suite(&self, suite: &Suite) -> Result<(), Stop> {
        let ids: Vec<String> = suite.ids().chain(floor::ids(suite)).collect();
        let text = match self {
            Self::All | Self::None => return Ok(()),
            Self::Exact(text) => text.as_str(),
            Self::Matching(regex) => regex.as_str(),
        };
        if ids.iter().any(|id| self.selects(id)) {
            return Ok(());
        }
        Err(Stop::Usage(format!("filter \"{text}\" matches no case; there are {}", ids.join(", "))))
    }
}
