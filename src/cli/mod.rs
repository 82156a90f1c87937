//! The command line: one file a subcommand.

mod exit;
mod serve;

use clap::{Parser, Subcommand};
use ingester_perf::Error;

pub use exit::{COULD_NOT_MEASURE, Exit};

/// Performance tests for file-upload services.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the stub ingester as a server of its own, until Ctrl-C.
    Serve(serve::Serve),
}

/// Does what the command line says. Wrong arguments print their own message and exit with 2.
pub fn run() -> Result<Exit, Error> {
    match Cli::parse().command {
        Command::Serve(serve) => serve.run(),
    }
}
