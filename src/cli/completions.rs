//! `ingester-perf completions`: the script by which a shell completes subcommands and options.

use std::io::{self, Write};

use clap::Command;
use clap_complete::Shell;

use crate::{Error, Exit};

const EXAMPLES: &str = "\
Examples:
  ingester-perf completions bash > ~/.local/share/bash-completion/completions/ingester-perf
  ingester-perf completions zsh > ~/.zfunc/_ingester-perf          where fpath has ~/.zfunc
  ingester-perf completions fish > ~/.config/fish/completions/ingester-perf.fish";

/// The command's arguments.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// The shell that is to complete
    #[arg(value_enum)]
    shell: Shell,
}

impl CompletionsArgs {
    /// Prints the script for this program.
    pub fn run(self, mut program: Command) -> Result<Exit, Error> {
        let name = program.get_name().to_owned();
        // Into memory first: where it cannot write, the generator panics.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut program, name.as_str(), &mut script);
        let script = String::from_utf8(script).expect("names and help are UTF-8");
        // clap_complete 4.6 spells a dash in the program's name in two ways in bash's script. Options of subcommands are
        // completed only if both are the same.
        let script = script.replace(&name.replace('-', "__subcmd__"), &name.replace('-', "__"));
        io::stdout().lock().write_all(script.as_bytes()).map_err(Error::Output)?;
        Ok(Exit::Held)
    }
}
