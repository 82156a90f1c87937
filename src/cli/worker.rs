//! `ingester-perf worker`: the cases of this build, for the gate.

use crate::case::Suite;
use crate::config::Config;
use crate::gate::worker;
use crate::{Error, Exit};

/// Serves until standard input ends.
pub fn run() -> Result<Exit, Error> {
    let config = Config::find(None)?;
    worker::serve_standard_streams(&config, &config.suite(&Suite::default()))?;
    Ok(Exit::Held)
}
