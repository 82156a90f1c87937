//! `ingester-perf worker`: the cases of this build, for the gate.

use std::io;

use ingester_perf::Error;
use ingester_perf::gate::worker;
use ingester_perf::ingester::Settings;

use super::Exit;

/// Serves until standard input ends.
pub fn run() -> Result<Exit, Error> {
    worker::serve(&mut io::stdin().lock(), &mut io::stdout().lock(), Settings::from_env()?)?;
    Ok(Exit::Held)
}
