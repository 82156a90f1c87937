//! The command line: one file a subcommand.

mod baseline;
#[cfg(feature = "criterion")]
mod bench;
mod compare;
mod completions;
mod counters;
mod export;
mod gate;
mod heap_profile;
mod history;
mod init;
mod leak;
mod load;
mod man;
mod profile;
mod repeat;
mod serve;
mod worker;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::console::note;
use crate::{Error, Exit};

/// Performance tests for file-upload services.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the suite through Criterion, as `cargo bench` does in this project; takes the same options.
    #[cfg(feature = "criterion")]
    Bench(bench::BenchArgs),
    /// Write ingester-perf.toml, which says how to build, start and speak to a service of your own.
    Init,
    /// Run the stub ingester as a server of its own, until Ctrl-C.
    Serve(Box<serve::Serve>),
    /// Tell whether a change made a case slower: two builds, or two running ingesters, in lock-step.
    Gate(Box<gate::GateArgs>),
    /// Load an ingester with any number of users, or any rate of uploads.
    Load(Box<load::LoadArgs>),
    /// Show where the time of a case goes: token check, multipart, hash, storage and so on, and a flame graph.
    Profile(profile::ProfileArgs),
    /// Tell whether a service keeps memory for every upload that it takes.
    Leak(Box<leak::LeakArgs>),
    #[command(about = "Compare two saved baselines, or reports, side by side.")]
    Compare(compare::Compare),
    /// Keep what was measured of commit after commit, and tell whether a case crept: became slower in small steps.
    History(history::HistoryArgs),
    /// Keep a saved baseline in one file, or put one back.
    Baseline(baseline::BaselineArgs),
    /// Print the script by which a shell completes subcommands and options.
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write those of all subcommands.
    Man(man::ManArgs),
    /// Serve the cases of this build over standard input and output, for the gate.
    #[command(hide = true)]
    Worker,
    /// Count what the stub allocates for a request, and its instructions; for the gate, and docs/memory.md.
    #[command(hide = true)]
    Counters(counters::CountersArgs),
}

/// Does what the arguments of this process say, and tells how to exit. Wrong ones print their own message and exit with 2.
pub fn main() -> ExitCode {
    // `bench` starts this program again for each group, told by a variable and not by arguments: those are Criterion's.
    #[cfg(feature = "criterion")]
    if let Some(code) = bench::of_group() {
        return code;
    }
    let exit = run(Cli::parse().command).unwrap_or_else(|error| {
        match &error {
            Error::Interrupted(_) => note("interrupted"),
            error => note(format_args!("error: {error}")),
        }
        Exit::from(&error)
    });
    exit.into()
}

/// An error where the command line would refuse these arguments, as its user would read it. Nothing is run: the commands in the
/// documentation are checked by this.
///
/// ```
/// use ingester_perf::cli::check_arguments;
///
/// assert_eq!(check_arguments(&["load", "--preset", "normal"]), Ok(()));
/// assert!(check_arguments(&["load", "--preset", "usual"]).is_err());
/// ```
pub fn check_arguments(arguments: &[&str]) -> Result<(), String> {
    // The first argument of a process is its name.
    let line = [&["ingester-perf"][..], arguments].concat();
    match Cli::try_parse_from(line) {
        // Its options are Criterion's, and are read apart from all others.
        #[cfg(feature = "criterion")]
        Ok(Cli { command: Command::Bench(bench) }) => bench.check(),
        Ok(_) => Ok(()),
        // clap calls a request for help or for the version an error, too.
        Err(error) if error.exit_code() == 0 => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn run(command: Command) -> Result<Exit, Error> {
    match command {
        #[cfg(feature = "criterion")]
        Command::Bench(bench) => bench.run(),
        Command::Init => init::run(),
        Command::Serve(serve) => serve.run(),
        Command::Gate(gate) => gate.run(),
        Command::Load(load) => load.run(),
        Command::Profile(profile) => profile.run(),
        Command::Leak(leak) => leak.run(),
        Command::Compare(compare) => compare.run(),
        Command::History(history) => history.run(),
        Command::Baseline(baseline) => baseline.run(),
        Command::Completions(completions) => completions.run(Cli::command()),
        Command::Man(man) => man.run(Cli::command()),
        Command::Worker => worker::run(),
        Command::Counters(counters) => counters.run(),
    }
}
