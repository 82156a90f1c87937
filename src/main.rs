//! The command: parse, do, exit.

mod cli;

use std::process::ExitCode;

use ingester_perf::console::note;
use ingester_perf::{Error, Exit};

fn main() -> ExitCode {
    // `bench` starts this program again for each group, told by a variable and not by arguments: those are Criterion's.
    if let Some(code) = cli::of_group() {
        return code;
    }
    let exit = cli::run().unwrap_or_else(|error| {
        match &error {
            Error::Interrupted(_) => note("interrupted"),
            error => note(format_args!("error: {error}")),
        }
        Exit::from(&error)
    });
    exit.into()
}
