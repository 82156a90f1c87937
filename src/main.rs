//! The command: parse, do, exit.

mod cli;

use std::process::ExitCode;

use ingester_perf::Error;

fn main() -> ExitCode {
    match cli::run() {
        Ok(exit) => exit.into(),
        Err(Error::Interrupted(signal)) => {
            eprintln!("interrupted");
            cli::Exit::Interrupted(signal).into()
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(cli::COULD_NOT_MEASURE)
        }
    }
}
