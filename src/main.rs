//! The command: parse, do, exit.

mod cli;

use std::process::ExitCode;

use ingester_perf::Error;
use ingester_perf::console::note;

fn main() -> ExitCode {
    match cli::run() {
        Ok(exit) => exit.into(),
        Err(Error::Interrupted(signal)) => {
            note("interrupted");
            cli::Exit::Interrupted(signal).into()
        }
        Err(error) => {
            note(format_args!("error: {error}"));
            ExitCode::from(cli::COULD_NOT_MEASURE)
        }
    }
}
