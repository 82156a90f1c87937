//! `ingester-perf leak`: does a service keep memory for every upload that it takes?

mod args;
mod bar;
mod counted;
mod memory;
mod sampler;
mod stub;

use std::path::Path;
use std::time::Instant;

use crate::case::Suite;
use crate::config::Config;
use crate::console::note;
use crate::document::Link;
use crate::files::check_folder;
use crate::index::save_page;
use crate::interrupt::Interrupt;
use crate::leak::{LeakRecord, REPORT, judge, leak_document, leak_page, save};
use crate::load::{self, Plan, Run};
use crate::units::Bytes;
use crate::{Error, Exit};

pub use args::LeakArgs;
use args::{MemorySource, default_metrics_url};
use bar::LeakBar;
use counted::OperationCounts;
use memory::{MemoryError, MemoryReader};
use sampler::{Sampled, Sampler};

use super::load::Generator;
use super::repeat;

impl LeakArgs {
    pub fn run(self) -> Result<Exit, Error> {
        self.outcome.export.check()?;
        self.check_threshold()?;
        if let Some(path) = &self.outcome.replay {
            return self.replay(path);
        }
        let config = Config::find(self.ingester.config.as_deref())?;
        let suite = config.suite(&Suite::default());
        let mut settings = self.ingester.settings(&self.outcome.report_dir, &config, &suite)?;
        check_folder(&settings.report_dir)?;
        // Wrong arguments are told before anything starts.
        let source = self.memory.source(&settings.subject, self.ingester.pid)?;
        let path = settings.report_dir.join(REPORT);
        let interrupt = Interrupt::watch()?;
        config.build_for(&settings, &interrupt)?;
        let of_stub = match source {
            MemorySource::Stub => Some(stub::name(&settings)),
            MemorySource::Started | MemorySource::Known(_) | MemorySource::Gauge(_) => None,
        };
        if of_stub.is_some() {
            settings = stub::as_process(settings)?;
        }
        let secrets = settings.api.secrets.clone();
        let generator = Generator::new(&self.generator_options(), settings, interrupt)?;
        let measured = self.measure(&generator, source, of_stub.as_deref());
        // Whatever became of it: the look before has left something already.
        generator.clean_up();
        if of_stub.is_none()
            && let Some(total) = generator.total()
        {
            note(total);
        }
        let Measured { mut record, gone } = measured?;
        record.command = Some(repeat::command(&secrets));
        let exit = self.conclude(&record, Some(&path))?;
        // A signal before all else, as what was measured is a part only.
        match (generator.signal(), gone) {
            (Some(signal), _) => Ok(Exit::Interrupted(signal)),
            (None, Some(error)) => Err(error.into_error()),
            (None, None) => Ok(exit),
        }
    }

    /// Loads the service, and reads its memory meanwhile. `of_stub` is what the stub is called, where it is measured.
    fn measure(
        &self,
        generator: &Generator,
        source: MemorySource,
        of_stub: Option<&str>,
    ) -> Result<Measured, Error> {
        let memory = reader(source, generator)?;
        // Read once before the load: what cannot be read ends the command, and not the load.
        memory.read().map_err(MemoryError::into_error)?;
        let plan = generator.fit(self.steady.plan(), None)?;
        let subject = of_stub.map_or_else(|| generator.ingester(), str::to_owned);
        note(format_args!(
            "Loading {subject} with files of {} for {}, and reading its {}",
            generator.files(),
            humantime::format_duration(self.steady.duration),
            memory.kind()
        ));
        let loaded = load_and_read(generator, &plan, &memory)?;
        let record = self.record(generator, subject, &memory, &loaded);
        Ok(Measured { record, gone: loaded.sampled.gone })
    }

    fn record(
        &self,
        generator: &Generator,
        subject: String,
        memory: &MemoryReader,
        loaded: &Loaded,
    ) -> LeakRecord {
        let mut environment = generator.environment();
        environment.ingester.clone_from(&subject);
        let responses = &loaded.run.load.responses;
        let stopped = match (generator.signal(), &loaded.sampled.gone) {
            (Some(_), _) => Some("interrupted".to_owned()),
            (None, Some(error)) => Some(error.to_string()),
            (None, None) => None,
        };
        let ended_early = if loaded.run.partial && stopped.is_none() {
            let sent_all = "all bytes that INGESTER_MAX_BYTES allows were sent";
            Some(generator.unreadable().unwrap_or(sent_all).to_owned())
        } else {
            None
        };
        let options = self.generator_options();
        let mut record = LeakRecord {
            users: self.steady.users,
            sent: generator.files(),
            seed: options.seed,
            planned_s: self.steady.duration.as_secs_f64(),
            ended: responses.total(),
            succeeded: responses.ok.count(),
            ended_early,
            stopped,
            samples: loaded.sampled.samples.clone(),
            ..LeakRecord::new(subject, memory.kind().clone(), environment)
        };
        self.set_threshold(&mut record);
        record
    }

    /// Judges a report's samples again, and writes nothing but what is asked for.
    fn replay(&self, path: &Path) -> Result<Exit, Error> {
        let mut record = LeakRecord::load(path)?;
        self.set_threshold(&mut record);
        let exit = self.conclude(&record, None)?;
        // An incomplete run does not prove that the whole one would have passed.
        let is_part = record.stopped.is_some();
        Ok(if is_part && exit == Exit::Held { Exit::Untrusted } else { exit })
    }

    fn check_threshold(&self) -> Result<(), Error> {
        if self.outcome.threshold == Some(Bytes(0)) {
            let problem = "0 B would make a leak of every rounding; write at least 1B".to_owned();
            return Err(Error::Setting { name: "--threshold", problem });
        }
        Ok(())
    }

    /// Puts the threshold that was asked for in the place of the usual one.
    fn set_threshold(&self, record: &mut LeakRecord) {
        if let Some(threshold) = self.outcome.threshold {
            record.threshold_bytes = threshold.0;
        }
    }

    /// Writes the files of a record, if there is a path for them, tells what it comes to, and says how to exit.
    fn conclude(&self, record: &LeakRecord, path: Option<&Path>) -> Result<Exit, Error> {
        let judgement = judge(record);
        let links = if path.is_some() { links() } else { Vec::new() };
        let page = leak_page(record, &judgement, links);
        // Files first: a table that nobody reads must not cost what was measured. Nor must a file that cannot be written cost
        // the table.
        let mut saved = Ok(());
        if let Some(path) = path {
            let reported = save(record, &judgement, path);
            saved = reported.and(save_page(&path.with_extension("html"), &page));
        }
        self.outcome.export.write_with_page(&leak_document(record, &judgement), &page)?;
        saved?;
        if let Some(path) = path {
            note(format_args!("Report: {}, and .html and .csv beside it", path.display()));
        }
        Ok(judgement.verdict().into())
    }
}

/// From the page to the files beside it.
fn links() -> Vec<Link> {
    vec![
        Link { text: "Report, for programs and leak --replay".to_owned(), path: REPORT.to_owned() },
        Link { text: "Every reading, as CSV".to_owned(), path: REPORT.replace(".json", ".csv") },
    ]
}

/// What was measured, and what ended it before its time, if memory could not be read any more.
struct Measured {
    record: LeakRecord,
    gone: Option<MemoryError>,
}

/// A load that has ended, with what was read meanwhile.
struct Loaded {
    run: Run,
    sampled: Sampled,
}

/// Reads what was asked for, of a service that runs by now.
fn reader(source: MemorySource, generator: &Generator) -> Result<MemoryReader, Error> {
    match source {
        MemorySource::Known(reader) => Ok(reader),
        MemorySource::Stub => MemoryReader::of_stub(&default_metrics_url(generator.base())),
        MemorySource::Gauge(name) => MemoryReader::of_gauge(&name, &default_metrics_url(generator.base())),
        MemorySource::Started => {
            let process = generator.process().expect("a service that a command started has a process");
            Ok(MemoryReader::of_process(process))
        }
    }
}

fn load_and_read(generator: &Generator, plan: &Plan, memory: &MemoryReader) -> Result<Loaded, Error> {
    let mut counts = OperationCounts::default();
    let mut workers = Vec::new();
    for (operation, core) in generator.workers(plan)? {
        workers.push((counts.count(operation), core));
    }
    let mut sampler = Sampler::new(|| memory.read(), counts, plan.lasting(), Instant::now());
    let mut bar = LeakBar::new(memory.kind(), plan.lasting());
    // Called a hundred times a second, on a thread that sends nothing.
    let run = load::run(plan, workers, |_| {
        if let Some(sample) = sampler.look(Instant::now()) {
            bar.show(&sample);
        }
        sampler.goes_on() && generator.signal().is_none()
    });
    bar.end();
    Ok(Loaded { run: run?, sampled: sampler.finish() })
}
