//! `ingester-perf load`: any number of users, or any rate, against any ingester.

mod args;
mod bar;
mod generator;
mod schedule;
mod stress;

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ingester_perf::case::Suite;
use ingester_perf::config::Config;
use ingester_perf::console::note;
use ingester_perf::document::{Document, Format};
use ingester_perf::files::{check_folder, write_text};
use ingester_perf::interrupt::Interrupt;
use ingester_perf::load::{LoadRecord, Plan, RecordedRun};
use ingester_perf::report::{
    LEAST_SUCCESS_PCT, Outcome, PerformanceReport, check_operation, load_document, people, save_as,
    seconds_table, write_hlog,
};
use ingester_perf::targets::{Metric, Targets};
use ingester_perf::{Error, Exit};

pub use args::LoadArgs;
use generator::Generator;
use schedule::{Preset, ScheduleArgs};

impl LoadArgs {
    pub fn run(self) -> Result<Exit, Error> {
        check_operation(self.operation())?;
        let config = Config::find(self.ingester.config.as_deref())?;
        let suite = config.suite(&Suite::default());
        let settings = self.settings(&config, &suite)?;
        let targets = config.targets(&suite, &settings)?;
        if let Some(path) = &self.outcome.replay {
            return self.replay(path, targets);
        }
        let targets = self.targets(targets, self.operation());
        check_folder(&settings.report_dir)?;
        let stress = self.schedule.preset == Some(Preset::Stress);
        // Wrong arguments are told before anything starts.
        let steps = if stress { stress::steps(&self.schedule)? } else { Vec::new() };
        self.check_stress_only(stress)?;
        let plan = if stress { None } else { Some(self.schedule.plan()?) };
        let path = settings.report_dir.join(format!("{}.json", self.file_name(&suite)));
        let interrupt = Interrupt::watch()?;
        config.build_for(&settings, &interrupt)?;
        if let Some(stub) = settings.faulty_stub() {
            note(format_args!("Measuring {stub}"));
        }
        let mut generator = Generator::new(&self, settings, interrupt)?;
        note(format_args!("Loading {} with files of {}", generator.ingester(), generator.files()));
        let mut record = generator.record(self.operation());
        let measured = match plan {
            Some(plan) => generator
                .fit(plan, self.schedule.at_once)
                .and_then(|plan| self.repeat(&plan, &mut generator, &mut record)),
            None => self.stress(steps, &mut generator, &mut record, &targets),
        };
        // Whatever became of the run: the look before has left something already.
        generator.clean_up();
        // What was measured before something went wrong is not lost.
        let Some(last) = record.runs.last() else { return measured.map(|()| Exit::Held) };
        let is_partial = last.run.partial;
        if let Some(total) = generator.total() {
            note(total);
        }
        let signal = generator.signal();
        if is_partial && signal.is_none() {
            let sent_all = "all bytes that INGESTER_MAX_BYTES allows were sent";
            record.ended_early = Some(generator.unreadable().unwrap_or(sent_all).to_owned());
        }
        let exit = self.conclude(&record, &targets, Some(&path))?;
        // A signal before all else, as the figures are of a part only. It reaches what ran between the runs, too.
        match (signal, measured) {
            (Some(signal), _) => Ok(Exit::Interrupted(signal)),
            (None, Err(error)) => Err(error),
            (None, Ok(())) => Ok(exit),
        }
    }

    /// Reports a record again, and writes nothing but what is asked for.
    fn replay(&self, path: &Path, targets: Targets) -> Result<Exit, Error> {
        let record = LoadRecord::load(path)?;
        let targets = self.targets(targets, &record.operation);
        self.conclude(&record, &targets, None)
    }

    /// What the files of a report are called. Benches write reports of some operations too: those of this command have
    /// names of their own.
    fn file_name(&self, suite: &Suite) -> String {
        let operation = self.operation();
        let of_a_bench = suite.of_operation(operation).is_some();
        if of_a_bench { format!("load_{operation}") } else { operation.to_owned() }
    }

    /// An error for what only a stress run has.
    fn check_stress_only(&self, stress: bool) -> Result<(), Error> {
        let ScheduleArgs { from, to, step, .. } = &self.schedule;
        let given = [("--from", from), ("--to", to), ("--step", step)];
        match given.into_iter().find(|(_, value)| value.is_some() && !stress) {
            Some((name, _)) => {
                Err(Error::Setting { name, problem: "is of a stress run; add --preset stress".to_owned() })
            }
            None => Ok(()),
        }
    }

    /// The limits that arguments add to these.
    fn targets(&self, mut targets: Targets, operation: &str) -> Targets {
        for limit in &self.outcome.targets {
            targets = targets.with(operation, *limit);
        }
        // A run that lost its uploads must not pass because nobody thought of that.
        targets.or(operation, (Metric::SuccessRatePct, LEAST_SUCCESS_PCT))
    }

    /// Runs the plan as often as asked for.
    fn repeat(&self, plan: &Plan, generator: &mut Generator, record: &mut LoadRecord) -> Result<(), Error> {
        for number in 0..self.schedule.repeat {
            if number > 0 {
                self.clean_up()?;
            }
            let run = generator.run(plan)?;
            // Whatever ended a run early, its bytes or its file, would end the next ones before they begin.
            let ends = run.partial;
            record.runs.push(RecordedRun { step: None, plan: plan.clone(), run });
            if ends {
                break;
            }
        }
        Ok(())
    }

    /// Runs the steps one after the other, until a target is missed or the generator does not keep up.
    fn stress(
        &self,
        steps: Vec<(u32, Plan)>,
        generator: &mut Generator,
        record: &mut LoadRecord,
        targets: &Targets,
    ) -> Result<(), Error> {
        for (users, plan) in steps {
            // Between steps only: the first one meets the service as the user left it.
            if !record.runs.is_empty() {
                self.clean_up()?;
            }
            let plan = generator.fit(plan, None)?;
            let run = generator.run(&plan)?;
            let step = RecordedRun { step: Some(users), plan, run };
            let report = PerformanceReport::of_load(record, &step, targets);
            record.runs.push(step);
            note(format_args!("{}: {}", people(users), stress::outcome(&report)));
            if stress::ends(&report) {
                break;
            }
        }
        Ok(())
    }

    /// Runs the shell command of `--cleanup`, if there is one.
    fn clean_up(&self) -> Result<(), Error> {
        let Some(command) = &self.schedule.cleanup else { return Ok(()) };
        // Its output goes beside the progress: standard output is for results.
        let mut shell = Command::new("sh");
        let status = shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(io::stderr()).status();
        let problem = match status {
            Ok(status) if status.success() => return Ok(()),
            Ok(status) => format!("`{command}` ended with {status}"),
            Err(e) => format!("cannot start a shell: {e}"),
        };
        Err(Error::Setting { name: "--cleanup", problem })
    }

    /// Writes the files of a record beside the report's path, if there is one, tells what it comes to, and says how to exit.
    fn conclude(
        &self,
        record: &LoadRecord,
        targets: &Targets,
        path: Option<&PathBuf>,
    ) -> Result<Exit, Error> {
        let outcome = Outcome::of(record, targets);
        // Files first: tables that nobody reads, or a full disk under standard output, must not cost what was measured.
        if let Some(path) = path {
            save(record, &outcome, path)?;
        }
        self.outcome.export.tell(&load_document(&outcome))?;
        if let Some(path) = path {
            note(format_args!("Report: {}, and .csv, .hlog and .run.json beside it", path.display()));
        }
        Ok(outcome.report.verdict().into())
    }
}

/// Writes the report, the seconds of the run that it is of, and the record that all of it follows from.
fn save(record: &LoadRecord, outcome: &Outcome, path: &Path) -> Result<(), Error> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_stem()) else {
        unreachable!("it was made of both")
    };
    // The record before anything that follows from it.
    record.save(&path.with_extension("run.json"))?;
    save_as(&name.to_string_lossy(), &outcome.report, dir)?;
    let mut seconds = Document::new("Seconds");
    let of_report = outcome.report.load.as_ref().map_or(&[][..], |load| &load.seconds);
    seconds.table(seconds_table(of_report));
    write_text(&path.with_extension("csv"), &seconds.render(Format::Csv))?;
    let run = &record.runs[outcome.run].run;
    write_hlog(&path.with_extension("hlog"), &run.seconds, run.started_at)
}
