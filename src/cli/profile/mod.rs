//! `ingester-perf profile`: where the time of a case goes, by phase of its uploads and as a flame graph.

mod cost;
mod measure;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::case::{Kind, Spec, Suite, clean_up_and_tell, probe};
use crate::client::Http;
use crate::config::Config;
use crate::console::note;
use crate::document::Document;
use crate::files::check_folder;
use crate::ingester::{Ingester, Settings, Subject};
use crate::interrupt::Interrupt;
use crate::profile::{self, CpuSampler, DEFAULT_FREQUENCY_HZ, FlameFiles};
use crate::{Error, Exit};

use super::export::ExportArgs;
use cost::{cost_document, verdict};
use measure::Profiler;

const EXAMPLES: &str = "\
Examples:
  ingester-perf profile                              the uploads and the token check of the suite
  ingester-perf profile upload/10KB jwt/validate     these cases
  ingester-perf profile load/10_users --duration 20s --frequency 4999
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

And there is a flame graph: flamegraph.svg, to be opened in a browser, and stacks.folded, which other tools read. The
outermost frame of a stack is what its thread does: client, stub and so on. It is of the threads of this process (Linux only):
of a service that runs in another one, the client half is drawn, and there are no phases.

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
    /// Samples in a second of a thread's CPU time
    #[arg(long, default_value_t = DEFAULT_FREQUENCY_HZ, value_name = "HZ",
          value_parser = clap::value_parser!(u32).range(1..=20_000))]
    frequency: u32,
    /// Folder for flame graphs [default: profile in INGESTER_REPORT_DIR, or target/performance_reports/profile]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    export: ExportArgs,
}

impl ProfileArgs {
    pub fn run(self) -> Result<Exit, Error> {
        let config = Config::find(self.config.as_deref())?;
        let suite = config.suite(&Suite::default());
        let cases = self.cases(&suite)?;
        let settings = config.settings(&suite)?;
        // Only the stub can tell the phases of an upload.
        let has_phases = matches!(settings.subject, Subject::Stub);
        let settings = if has_phases { settings.timing_phases("profile")? } else { settings };
        let out = self.out.clone().unwrap_or_else(|| settings.report_dir.join("profile"));
        check_folder(&out)?;
        self.export.check()?;
        let interrupt = Interrupt::watch()?;
        config.build_for(&settings, &interrupt)?;
        // Before the ingester: it sees the threads that are started after it.
        let sampler = self.sampler(&settings)?;
        // One key for all that is signed and checked: making one takes longer than some cases.
        let settings = Settings { key: Some(settings.key()?), ..settings };
        let ingester = Arc::new(Ingester::start(&settings, &interrupt)?);
        let about = format!(
            "{} for {} against {}; placement {}",
            in_words(cases.len()),
            humantime::format_duration(self.duration),
            ingester.name(),
            settings.placed()
        );
        note(format_args!("Profiling {about}"));
        let mut profiler = Profiler::new(&ingester, &settings, &interrupt, sampler.as_ref());
        let mut pictures = Vec::new();
        let mut costs = Vec::new();
        let mut stopped = None;
        for spec in cases {
            let measured = look_before(spec, &ingester, &settings)
                .and_then(|()| profiler.measure(spec, self.warm_up, self.duration));
            let case = match measured {
                Ok(case) => case,
                Err(error) => {
                    stopped = Some(error);
                    break;
                }
            };
            // Before the next case begins: what was sampled is not lost to what stops a later one.
            if let Some(graph) = &case.graph {
                let saved = graph.save(&FlameFiles::in_folder(&out.join(folder_name(&spec.id()))));
                match saved {
                    Ok(picture) => pictures.extend(picture.parts),
                    // Of a case that was stopped there may be no sample.
                    Err(_) if case.stopped.is_some() => {}
                    Err(error) => return Err(error),
                }
            }
            stopped = case.stopped;
            if stopped.is_some() {
                break;
            }
            costs.push(case.cost);
        }
        clean_up_and_tell(&ingester, &settings, Http::One);
        let mut document = Document { about: Some(about), ..Document::new("Profile") };
        if has_phases && !costs.is_empty() {
            document.parts = cost_document(&costs).parts;
            document.gap();
        }
        document.parts.extend(pictures);
        // Cases that were measured to their end are not lost to what stopped the next one.
        if !document.parts.is_empty() {
            if let Some(error) = &stopped {
                document.line(format!("Only a part of what was to be measured: {error}."));
            }
            self.export.write(&document)?;
        }
        match stopped {
            Some(error) => Err(error),
            None if has_phases => Ok(verdict(&costs).into()),
            None => Ok(Exit::Held),
        }
    }

    /// A sampler of this process's threads. Without one, as on other systems than Linux, there are phases all the same.
    fn sampler(&self, settings: &Settings) -> Result<Option<CpuSampler>, Error> {
        match profile::start(self.frequency) {
            Ok(sampler) => {
                if !settings.subject.is_in_process() {
                    note(profile::CLIENT_ONLY);
                }
                note(format_args!("Sampling by {} at {} Hz", sampler.sampled_by(), sampler.frequency_hz()));
                Ok(Some(sampler))
            }
            Err(error) if matches!(settings.subject, Subject::Stub) => {
                note(format_args!("No flame graphs: {error}"));
                Ok(None)
            }
            Err(error) => Err(error),
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

/// Sends two of the case's uploads to a service that keeps them, which tell trouble with it by its name.
fn look_before(spec: &Spec, ingester: &Arc<Ingester>, settings: &Settings) -> Result<(), Error> {
    let Some((_, size)) = spec.sends() else { return Ok(()) };
    if settings.keeps_nothing() {
        return Ok(());
    }
    let look = probe(ingester, settings, size, Http::One)?;
    if let Some(warning) = look.warning() {
        note(warning);
    }
    Ok(())
}

/// The id of a case as the name of a folder.
fn folder_name(id: &str) -> String {
    id.replace('/', "_")
}

fn wrong(suite: &Suite, problem: &str) -> Error {
    let known: Vec<String> = suite.ids().collect();
    Error::Setting { name: "profile", problem: format!("{problem}; there are {}", known.join(", ")) }
}

/// So many cases, for people.
fn in_words(cases: usize) -> String {
    if cases == 1 { "1 case".to_owned() } else { format!("{cases} cases, each") }
}
