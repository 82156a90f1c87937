//! Limit of open descriptors: every connection takes one, and systems allow few unless asked.

use crate::error::Error;

/// Descriptors that are kept for files, pipes and event loops.
const SPARE: u64 = 64;

/// Makes sure that so many connections can be open at once, by raising the limit as far as the system lets us.
pub fn reserve_descriptors(connections: u64) -> Result<(), Error> {
    let possible = possible_connections(connections);
    if possible >= connections {
        return Ok(());
    }
    Err(Error::Descriptors { needed: connections + SPARE, allowed: possible + SPARE })
}

/// How many of these connections can be open at once, after raising the limit as far as the system lets us.
pub fn possible_connections(wanted: u64) -> u64 {
    raised(wanted + SPARE).map_or(wanted, |allowed| allowed.saturating_sub(SPARE).min(wanted))
}

/// The limit after raising it to `needed`, or as far as possible; `None` where there is no limit.
#[cfg(unix)]
fn raised(needed: u64) -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let current = limit.current?;
    if current >= needed {
        return Some(current);
    }
    // The soft limit can be raised to the hard one without any privilege; the hard one stays as it is.
    let wanted = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
    Some(if raised.is_ok() { wanted } else { current })
}

#[cfg(not(unix))]
fn raised(_: u64) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn more_than_the_system_allows_is_refused_before_anything_starts() {
        assert!(reserve_descriptors(1).is_ok());
        let error = reserve_descriptors(1 << 40).expect_err("is too much").to_string();
        assert!(error.contains("ulimit -n"), "{error}");
    }
}
