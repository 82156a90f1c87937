//! `ingester-perf bench`: the suite through Criterion, for those who have no Rust crate to type `cargo bench` in.
//!
//! Criterion reads the arguments of its process itself, so each group of cases runs in a process of its own, started as
//! cargo starts a bench.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use crate::case::Suite;
use crate::config::{self, Config};
use crate::gate::own_executable;
use crate::ingester::Subject;
use crate::interrupt::Interrupt;
use crate::process_group::pass_on;
use crate::{Error, Exit, harness};

/// Tells such a process its group.
const GROUP: &str = "INGESTER_PERF_BENCH_GROUP";
/// What users type.
const PROGRAM: &str = "ingester-perf bench";
/// The one option that is not Criterion's.
const CONFIG: &str = "--config";
/// The same with its value in one word.
const CONFIG_IS: &str = "--config=";
/// Time between two looks at the running group.
const LOOK: Duration = Duration::from_millis(20);

/// The command's arguments, which are those of the benches.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub struct BenchArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
    options: Vec<OsString>,
}

/// What to exit with, if this process is to run a group.
pub fn of_group() -> Option<ExitCode> {
    let group = std::env::var(GROUP).ok()?;
    Some(harness::main_of(PROGRAM, &Suite::default(), Some(&group)))
}

impl BenchArgs {
    pub fn run(mut self) -> Result<Exit, Error> {
        let interrupt = Interrupt::watch()?;
        let config = Config::find(self.take_config()?.as_deref())?;
        let asks_for_help = self.has_any(&["--help", "-h"]);
        let suite = config.suite(&Suite::default());
        let settings = config.settings(&suite)?;
        // Once here, and not by each group; and not for what measures nothing.
        if !self.has_any(&["--help", "-h", "--version", "-V", "--list", "--load-baseline"]) {
            config.build_for(&settings, &interrupt)?;
        }
        let mut groups = harness::groups(&suite);
        // The lower bounds are those of the stub, which is not what is measured.
        if !matches!(settings.subject, Subject::Stub | Subject::Running { .. }) {
            groups.retain(|group| group != harness::FLOOR);
        }

        let mut exit = Exit::Held;
        for group in groups {
            match Exit::of_code(self.run_group(&group, &config, &interrupt)?) {
                Exit::Held => {}
                // A missed target does not keep the other groups from being measured.
                Exit::Missed => exit = Exit::Missed,
                // Whatever it was, the other groups would meet it too.
                ended => return Ok(ended),
            }
            interrupt.check()?;
            // The help is the same for every group.
            if asks_for_help {
                break;
            }
        }
        Ok(exit)
    }

    /// An error where the benches would refuse these options. Nothing is run.
    pub fn check(mut self) -> Result<(), String> {
        self.take_config().map_err(|error| error.to_string())?;
        harness::check_options(PROGRAM, &self.options)
    }

    fn has_any(&self, names: &[&str]) -> bool {
        self.options.iter().any(|option| names.iter().any(|name| option == name))
    }

    /// The file that `--config` names. All other options are Criterion's, and are handed on.
    fn take_config(&mut self) -> Result<Option<PathBuf>, Error> {
        let joined = self.options.iter().position(|option| option.to_string_lossy().starts_with(CONFIG_IS));
        if let Some(at) = joined {
            let option = self.options.remove(at);
            return Ok(Some(option.to_string_lossy()[CONFIG_IS.len()..].into()));
        }
        let Some(at) = self.options.iter().position(|option| option == CONFIG) else { return Ok(None) };
        if at + 1 == self.options.len() {
            return Err(Error::Setting { name: CONFIG, problem: "names no file".to_owned() });
        }
        let file = self.options.remove(at + 1);
        self.options.remove(at);
        Ok(Some(file.into()))
    }

    /// Runs one group to its end; its exit code.
    fn run_group(&self, group: &str, config: &Config, interrupt: &Interrupt) -> Result<u8, Error> {
        let mut command = Command::new(own_executable()?);
        command.arg("--bench").args(&self.options).env(GROUP, group);
        if let Some(path) = &config.path {
            command.env(config::VARIABLE, path);
        }
        // It was built just now.
        command.env(config::BUILD_VARIABLE, "");
        let mut child = command.spawn().map_err(Error::Thread)?;
        let mut told = false;
        loop {
            if let Some(status) = child.try_wait().map_err(Error::Thread)? {
                // Ended by a signal of its own, it has no code.
                return Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(2));
            }
            // Ctrl-C goes to both; what was sent to this process alone is passed on. It ends in order, and reports.
            if let Some(signal) = interrupt.signal().filter(|_| !told) {
                told = true;
                pass_on(signal, child.id());
            }
            std::thread::sleep(LOOK);
        }
    }
}
