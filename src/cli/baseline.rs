//! `ingester-perf baseline`: a saved baseline as one file, and back.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::baseline::{Bundle, Origin, Side, check_name, criterion_home};
use crate::case::Suite;
use crate::config::Config;
use crate::console::note;
use crate::files::{read_limited, write_text};
use crate::ingester::Settings;
use crate::machine::{Environment, Placement};
use crate::{Error, Exit};
use clap::Subcommand;

/// Largest bundle that is read, in bytes.
const MAX_BYTES: u64 = 256 << 20;

const EXAMPLES: &str = "\
Examples:
  cargo bench -- --save-baseline main
  ingester-perf baseline export main            writes baseline/main.json
  ingester-perf baseline import baseline/main.json
  cargo bench -- --baseline main

Exit codes: 0 done, 2 something is missing or broken, 4 it was measured on another machine, with another build profile,
or by other benchmark source.";

/// The command's arguments.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct BaselineArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Put a saved baseline, with its reports and a checksum, into one file.
    Export {
        /// Its name
        name: String,
        /// The file [default: baseline/NAME.json]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Put such a file back where Criterion looks for baselines.
    Import {
        /// The file
        file: PathBuf,
        /// Call it this [default: its name when it was exported]
        #[arg(long)]
        name: Option<String>,
        /// Replace a baseline of that name
        #[arg(long)]
        replace: bool,
        /// Import even what was measured elsewhere
        #[arg(long)]
        even_so: bool,
    },
}

impl BaselineArgs {
    pub fn run(self) -> Result<Exit, Error> {
        let config = Config::find(None)?;
        let suite = config.suite(&Suite::default());
        let home = criterion_home();
        let reports = Settings::of_files()?.report_dir;
        match self.command {
            Command::Export { name, out } => {
                check_name(&name).map_err(|problem| Error::Setting { name: "baseline export", problem })?;
                let bundle = Bundle::of(Side::baseline(&name, &suite, &home, &reports)?);
                let path = out.unwrap_or_else(|| Path::new("baseline").join(format!("{name}.json")));
                write_text(&path, &bundle.to_text())?;
                say(&format!("{}: {} cases of baseline {name}", path.display(), bundle.cases.len()))
            }
            Command::Import { file, name, replace, even_so } => {
                let bundle = Bundle::parse(&file, &read_limited(&file, MAX_BYTES)?, &suite)?;
                // Whoever compares with it later would see the change of machines as one of the code.
                let differences = differences(&bundle);
                if !differences.is_empty() && !even_so {
                    let file = file.display();
                    let why = differences.join("; ");
                    note(format_args!(
                        "error: {file} is not comparable with what is measured here: {why}; --even-so imports it"
                    ));
                    return Ok(Exit::NotComparable);
                }
                let name = name.as_deref().unwrap_or(&bundle.baseline);
                bundle.restore(&suite, &home, &reports, name, replace)?;
                if !differences.is_empty() {
                    say(&format!("NOT COMPARABLE: {}", differences.join("; ")))?;
                }
                say(&format!(
                    "{} cases; compare with them: cargo bench -- --baseline {name}",
                    bundle.cases.len()
                ))
            }
        }
    }
}

fn say(line: &str) -> Result<Exit, Error> {
    writeln!(io::stdout(), "{line}").map_err(Error::Output)?;
    Ok(Exit::Held)
}

/// What makes the bundle's figures incomparable with this machine's and this build's.
fn differences(bundle: &Bundle) -> Vec<String> {
    // Neither the placement nor what was measured makes figures incomparable, so both are left open here.
    let here = Environment::read(&Placement::none(), "");
    let here = Origin {
        cpu: here.cpu,
        cores: here.cores,
        os: here.os,
        rustc: here.rustc,
        profile: here.profile,
        version: here.version,
        source: here.source,
        placement: here.placement,
        ingester: here.ingester,
    };
    let origins = bundle.cases.iter().map(|(_, kept)| kept.report.origin.decisive());
    let mut found: Vec<String> = origins
        .flat_map(|there| there.into_iter().zip(here.decisive()))
        .filter(|((_, there), (_, here))| there != here)
        .map(|((name, there), (_, here))| format!("{name}: {there}, here {here}"))
        .collect();
    // All cases were usually measured on one machine, and differ in the same things.
    found.sort();
    found.dedup();
    found
}
