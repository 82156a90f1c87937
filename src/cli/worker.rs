//! `ingester-perf worker`: the cases of this build, for the gate.

use std::io;

use ingester_perf::case::Suite;
use ingester_perf::gate::worker;
use ingester_perf::ingester::Settings;
use ingester_perf::{Error, Exit};

/// Serves until standard input ends.
pub fn run() -> Result<Exit, Error> {
    let suite = Suite::default();
    worker::serve(&mut io::stdin().lock(), &mut io::stdout().lock(), &suite, Settings::from_env()?)?;
    Ok(Exit::Held)
}
