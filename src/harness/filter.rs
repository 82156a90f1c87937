//! Which cases run: Criterion's filter, and what it may match.

use clap::ArgMatches;
use regex::Regex;

use super::outcome::Stop;
use super::rejected::Rejected;

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
        // Criterion rejects every case then, whatever the filter says: no case is an ignored test.
        if given.get_flag("ignored") {
            return Ok(Self::None);
        }
        let Some(text) = given.get_one::<String>("FILTER") else { return Ok(Self::All) };
        if given.get_flag("exact") {
            return Ok(Self::Exact(text.clone()));
        }
        match Regex::new(text) {
            Ok(regex) => Ok(Self::Matching(regex)),
            Err(_) => Err(Rejected::Value(format!("filter \"{text}\" is not a valid regular expression"))),
        }
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
    pub fn check(&self, ids: &[String]) -> Result<(), Stop> {
        // Cargo hands one filter to every bench, and most of them have no case of it: only the whole suite can tell a typing
        // error from that.
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
