//! `ingester-perf worker`: the cases of this build, for the gate.

use ingester_perf::case::Suite;
use ingester_perf::config::Config;
use ingester_perf::gate::worker;
use ingester_perf::{Error, Exit};

/// Serves until standard input ends.
pub fn run() -> Result<Exit, Error> {
    let config = Config::find(None)?;
    worker::serve_standard_streams(&config, &config.suite(&Suite::default()))?;
    Ok(Exit::Held)
}
