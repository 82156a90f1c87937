//! `ingester-perf profile`: where the time of a case goes.

mod cost;
mod measure;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::case::{Kind, Spec, Suite};
use crate::config::Config;
use crate::console::note;
use crate::ingester::{Ingester, Settings};
use crate::interrupt::Interrupt;
use crate::{Error, Exit};

use super::export::ExportArgs;
use cost::{cost_document, verdict};
use measure::Profiler;

const EXAMPLES: &str = "\
Examples:
  ingester-perf profile                              the uploads and the token check of the suite
  ingester-perf profile upload/10KB jwt/validate     these cases
  ingester-perf profile load/10_users --duration 20s
  INGESTER_STORAGE=dir:/var/tmp ingester-perf profile upload/10MB        with a disk in the path
  ingester-perf profile --export csv=phases.csv --export markdown=phases.md

Of each case there is a row of times and a row of shares: the mean latency that the client sees, and what it consists of.
  entry             until the token is looked at; delays of faults are in here
  token             the token check
  receive           waiting for the body: the client, the kernel, hyper
  multipart         finding boundaries, reading the heads of parts
  hash              SHA-256 of the file
  storage           beginning, writing and keeping the file
  answer            making the answer
  network, client   the rest of the client's latency, of which the stub sees nothing

Exit codes: 0 measured, 2 could not measure, 3 the phases do not add up to the time of the uploads: not to be trusted;
130 and 143 interrupted, with what was measured until then.
What the figures can tell, and what not: docs/profile.md.";

/// The command's arguments.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ProfileArgs {
    /// Case to profile, like upload/10KB; can be given several times [default: every upload, and the token check]
    #[arg(value_name = "CASE")]
    cases: Vec<String>,
    /// File that says which cases there are [default: INGESTER_CONFIG, or ingester-perf.toml here or above]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Time of measuring, of each case
    #[arg(long, default_value = "5s", value_name = "TIME", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// Run each case for so long before it is measured
    #[arg(long, default_value = "500ms", value_name = "TIME", value_parser = humantime::parse_duration)]
    warm_up: Duration,
    #[command(flatten)]
    export: ExportArgs,
}

impl ProfileArgs {
    pub fn run(self) -> Result<Exit, Error> {
        let config = Config::find(self.config.as_deref())?;
        let suite = config.suite(&Suite::default());
        let cases = self.cases(&suite)?;
        let settings = config.settings(&suite)?.timing_phases("profile")?;
        self.export.check()?;
        let interrupt = Interrupt::watch()?;
        // One key for all that is signed and checked: making one takes longer than some cases.
        let settings = Settings { key: Some(settings.key()?), ..settings };
        let ingester = Arc::new(Ingester::start(&settings, &interrupt)?);
        let about = format!(
            "{} for {} against {}; placement {}",
            in_words(cases.len()),
            humantime::format_duration(self.duration),
            ingester.name(),
            settings.placement
        );
        note(format_args!("Profiling {about}"));
        let mut profiler = Profiler::new(&ingester, &settings, &interrupt);
        let mut costs = Vec::new();
        let mut stopped = None;
        for spec in cases {
            match profiler.measure(spec, self.warm_up, self.duration) {
                Ok(cost) => costs.push(cost),
                Err(error) => {
                    stopped = Some(error);
                    break;
                }
            }
        }
        // Cases that were measured to their end are not lost to what stopped the next one.
        if !costs.is_empty() {
            let mut document = cost_document(about, &costs);
            if let Some(error) = &stopped {
                document.line(format!("Only a part of what was to be measured: {error}."));
            }
            self.export.write(&document)?;
        }
        match stopped {
            Some(error) => Err(error),
            None => Ok(verdict(&costs).into()),
        }
    }

    /// The cases that were asked for, in the order in which they were.
    fn cases<'a>(&self, suite: &'a Suite) -> Result<Vec<&'a Spec>, Error> {
        let mut cases = Vec::new();
        for id in &self.cases {
            let spec = suite.case(id).ok_or_else(|| wrong(suite, &format!("there is no case {id}")))?;
            cases.push(spec);
        }
        if self.cases.is_empty() {
            let usual = suite.cases().iter().filter(|spec| !matches!(spec.kind, Kind::Load { .. }));
            cases.extend(usual);
        }
        if cases.is_empty() {
            return Err(wrong(suite, "there is no upload with one user, and no token check; name a case"));
        }
        Ok(cases)
    }
}

fn wrong(suite: &Suite, problem: &str) -> Error {
    let known: Vec<String> = suite.ids().collect();
    Error::Setting { name: "profile", problem: format!("{problem}; there are {}", known.join(", ")) }
}

/// So many cases, for people.
fn in_words(cases: usize) -> String {
    if cases == 1 { "1 case".to_owned() } else { format!("{cases} cases, each") }
}
