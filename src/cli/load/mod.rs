//! `ingester-perf load`: any number of users, or any rate, against any ingester.

mod args;
mod bar;
mod capacity;
mod flow;
mod generator;
mod live;
mod local;
mod merge;
mod place;
mod schedule;
mod search;
mod shard;
mod sharding;
mod sparkline;
mod stress;
mod watched;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::case::Suite;
use crate::config::Config;
use crate::console::note;
use crate::document::{Document, Link};
use crate::files::{check_folder, write_text};
use crate::index::{is_taken, save_page};
use crate::ingester::Settings;
use crate::interrupt::Interrupt;
use crate::live::{BaselineLatency, BoundLive, Live, RunAbout};
use crate::load::{AbortWatch, CapacityLimit, LoadRecord, Model, Plan, RECORD, RecordedRun, Run, Shard};
use crate::profile::{self, CpuSampler, DEFAULT_FREQUENCY_HZ, FlameFiles, FlameGraph};
use crate::report::{
    LEAST_SUCCESS_PCT, LoadOutcome, PerformanceReport, check_operation, load_page, outcome_document, people,
    save_as, seconds_table, write_hlog,
};
use crate::targets::{Limit, Metric, Targets};
use crate::{Error, Exit};

use super::export::ExportArgs;
use super::repeat;
pub(super) use args::IngesterArgs;
pub use args::LoadArgs;
use args::LoadCommand;
pub(super) use generator::{Generator, GeneratorOptions};
use schedule::{Preset, ScheduleArgs};
use sharding::Sharding;

/// What a command runs.
enum LoadTask {
    /// One plan, as often as asked for.
    Plan(Plan),
    /// Steps of more and more users.
    Stress(Vec<(u32, Plan)>),
    /// A search for the highest rate at which these hold.
    Capacity(Vec<CapacityLimit>),
}

impl LoadArgs {
    pub fn run(self) -> Result<Exit, Error> {
        if let Some(LoadCommand::Merge(merge)) = &self.command {
            return merge.run();
        }
        check_operation(self.operation())?;
        let sharding = self.sharding.sharding()?;
        let config = Config::find(self.ingester.config.as_deref())?;
        let suite = config.suite(&Suite::default());
        if let Some(path) = &self.outcome.replay {
            return self.replay(path, config.targets(&suite, &Settings::of_files()?)?);
        }
        let settings = self.settings(&config, &suite)?;
        let targets =
            Self::limits(&self.outcome.targets, config.targets(&suite, &settings)?, self.limited_operation());
        let flow = if self.files.flow { Some(flow::flow(&config)?) } else { None };
        match sharding {
            Some(Sharding::One(shard)) => return self.run_shard(shard, settings, &suite, flow),
            Some(Sharding::Local(shards)) => {
                return self.run_shards(shards, &config, settings, &suite, &targets);
            }
            None => {}
        }
        check_folder(&settings.report_dir)?;
        self.outcome.export.check()?;
        // Wrong arguments are told before anything starts.
        let task = self.task(&targets)?;
        let compared_settings = self.compared_settings(&config, &suite)?;
        watched::check(self.ingester.pid, &settings)?;
        let baseline = self.live.baseline(self.operation(), &suite, &settings.report_dir)?;
        let bound = self.live.bind()?;
        let path = settings.report_dir.join(format!("{}.json", Self::file_name(self.operation(), &suite)));
        let interrupt = Interrupt::watch()?;
        config.build_for(&settings, &interrupt)?;
        if let Some(stub) = settings.faulty_stub() {
            note(format_args!("Measuring {stub}"));
        }
        // Before all threads that it is to see.
        let sampler = if self.outcome.profile { Some(profile::start(DEFAULT_FREQUENCY_HZ)?) } else { None };
        if self.outcome.profile && !settings.subject.is_in_process() {
            note(profile::CLIENT_ONLY);
        }
        let secrets = settings.api.secrets.clone();
        let mut generator = Generator::new(&self.generator_options(), settings, interrupt.clone())?;
        note(format_args!("Loading {} with files of {}", generator.ingester(), generator.files()));
        if let Some(flow) = flow {
            generator.follow_uploads(flow);
        }
        let live = self.start_live(bound, baseline, None, &mut generator)?;
        let mut record = generator.record(self.operation());
        let measured = match task {
            LoadTask::Plan(plan) => generator
                .fit(plan, self.schedule.at_once)
                .and_then(|plan| self.repeat(&plan, &mut generator, &mut record)),
            LoadTask::Stress(steps) => self.stress(steps, &mut generator, &mut record, &targets),
            LoadTask::Capacity(limits) => {
                self.run_search(limits, compared_settings, interrupt, &mut generator, &mut record)
            }
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
        // A search ends steps early by itself, and says why where it did not.
        if is_partial && signal.is_none() && record.aborted.is_none() && record.capacity.is_none() {
            record.ended_early = Some(generator.why_partial());
        }
        record.environment = generator.environment();
        record.stopped = match (signal, &measured) {
            (Some(_), _) => Some("interrupted".to_owned()),
            (None, Err(error)) => Some(error.to_string()),
            (None, Ok(())) => None,
        };
        record.command = Some(repeat::command(&secrets));
        // Drawn before the page is made, which leads to the picture, and told after the tables.
        let drawn = match &sampler {
            Some(sampler) => draw(sampler, &record, &path).map(Some),
            None => Ok(None),
        };
        let links = links(&path, matches!(drawn, Ok(Some(_))));
        let concluded = Self::conclude(&self.outcome.export, &record, &targets, Some(&path), links);
        // After that, as it waits for others: what was measured is saved by now.
        if let Some(live) = live {
            live.end(outcome_document(&LoadOutcome::of(&record, &targets)));
        }
        let exit = concluded?;
        let drawn = drawn.and_then(tell);
        // A signal before all else, as the figures are of a part only. It reaches what ran between the runs, too.
        match (signal, measured) {
            (Some(signal), _) => Ok(Exit::Interrupted(signal)),
            (None, Err(error)) => Err(error),
            (None, Ok(())) => drawn.map(|()| exit),
        }
    }

    /// Begins to tell of all runs that follow, or of this part of them, if somebody is to be told.
    fn start_live(
        &self,
        bound: Option<BoundLive>,
        baseline: Option<BaselineLatency>,
        shard: Option<Shard>,
        generator: &mut Generator,
    ) -> Result<Option<Live>, Error> {
        let Some(bound) = bound else { return Ok(None) };
        let mut title = format!("Loading {} with files of {}", generator.ingester(), generator.files());
        if let Some(shard) = shard {
            title += &format!(", shard {shard}");
        }
        let live = bound.start(RunAbout {
            operation: self.operation().to_owned(),
            title,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            seed: self.schedule.seed,
            shard,
            baseline,
        })?;
        generator.tell(live.feed());
        Ok(Some(live))
    }

    /// Reports a record again, and writes nothing but what is asked for.
    fn replay(&self, path: &Path, targets: Targets) -> Result<Exit, Error> {
        let record = LoadRecord::load(path)?;
        if record.capacity.is_some() && !self.outcome.targets.is_empty() {
            let problem =
                "is not for the record of a search, whose limits decided which steps were made; leave it out";
            return Err(Error::Setting { name: "--target", problem: problem.to_owned() });
        }
        let targets = Self::limits(&self.outcome.targets, targets, &record.operation);
        Self::conclude(&self.outcome.export, &record, &targets, None, Vec::new())
    }

    /// What the files of a report are called. Benches write reports of some operations too, and there are pages of all benches
    /// and of all reports: those of this command have names of their own.
    fn file_name(operation: &str, suite: &Suite) -> String {
        let of_a_bench = suite.of_operation(operation).is_some();
        if of_a_bench || is_taken(operation) { format!("load_{operation}") } else { operation.to_owned() }
    }

    /// What is to be run. An error for arguments that do not go together.
    fn task(&self, targets: &Targets) -> Result<LoadTask, Error> {
        let is_stress = self.schedule.preset == Some(Preset::Stress);
        let is_search = self.is_search();
        self.check_steps_only(is_stress, is_search)?;
        if is_search {
            return Ok(LoadTask::Capacity(self.searched_limits(targets)?));
        }
        if is_stress {
            return Ok(LoadTask::Stress(stress::steps(&self.schedule)?));
        }
        Ok(LoadTask::Plan(self.schedule.plan()?))
    }

    /// An error for what only a stress run or a search has.
    fn check_steps_only(&self, is_stress: bool, is_search: bool) -> Result<(), Error> {
        let ScheduleArgs { from, to, step, .. } = &self.schedule;
        let of_stress = "is of a stress run; add --preset stress";
        let of_either = "is of a stress run or of a search; add --preset stress, or --find";
        let of_search = "is of a search; add --find";
        for (name, is_given, is_allowed, problem) in [
            ("--from", from.is_some(), is_stress || is_search, of_either),
            ("--to", to.is_some(), is_stress || is_search, of_either),
            ("--step", step.is_some(), is_stress, of_stress),
            ("--compare-url", self.search.compare_url.is_some(), is_search, of_search),
            ("--find-steps", self.search.find_steps.is_some(), is_search, of_search),
        ] {
            if is_given && !is_allowed {
                return Err(Error::Setting { name, problem: problem.to_owned() });
            }
        }
        if is_search && !self.outcome.abort_on.is_empty() {
            let problem = "is not for a search, which ends its steps by itself; leave it out".to_owned();
            return Err(Error::Setting { name: "--abort-on", problem });
        }
        Ok(())
    }

    /// An error where some of so many shards would have no user.
    fn check_dealt(plan: &Plan, shards: u32) -> Result<(), Error> {
        let Model::Closed { users, .. } = &plan.model else { return Ok(()) };
        let most = users.most().ceil() as u64;
        if most < u64::from(shards) {
            let problem = format!(
                "{shards} shards cannot share {}; take fewer shards, or more users",
                people(u32::try_from(most).unwrap_or(u32::MAX))
            );
            return Err(Error::Setting { name: "--shards", problem });
        }
        Ok(())
    }

    /// The limits that arguments add to these.
    fn limits(given: &[Limit], mut targets: Targets, operation: &str) -> Targets {
        for limit in given {
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
            let run = self.run_watched(plan, generator, record)?;
            // Whatever ended a run early, its bytes or its file, would end the next ones before they begin. A service that fell
            // over is not loaded once more.
            let ends = run.partial || record.aborted.is_some();
            let phases = generator.take_phases();
            record.runs.push(RecordedRun { step: None, plan: plan.clone(), run, phases });
            if ends {
                break;
            }
        }
        Ok(())
    }

    /// Runs a plan to its end, or until `--abort-on` ends it.
    fn run_watched(
        &self,
        plan: &Plan,
        generator: &mut Generator,
        record: &mut LoadRecord,
    ) -> Result<Run, Error> {
        let mut watch = AbortWatch::new(&self.outcome.abort_on, plan);
        let run = generator.run(plan, |seconds| watch.see(seconds))?;
        if let Some(aborted) = watch.aborted() {
            note(format_args!("Ended by --abort-on: {aborted}"));
            record.aborted = Some(aborted.to_string());
        }
        Ok(run)
    }

    /// Looks for the capacity of one service, or of two in turn.
    fn run_search(
        &self,
        limits: Vec<CapacityLimit>,
        compared: Option<Settings>,
        interrupt: Interrupt,
        generator: &mut Generator,
        record: &mut LoadRecord,
    ) -> Result<(), Error> {
        let Some(settings) = compared else { return self.find_capacity(limits, vec![generator], record) };
        // The process that may be watched is that of the first one.
        let options = GeneratorOptions { pid: None, ..self.generator_options() };
        let mut other = Generator::new(&options, settings, interrupt)?;
        note(format_args!("Comparing it with {}", other.ingester()));
        other.do_as(generator);
        let measured = self.find_capacity(limits, vec![generator, &mut other], record);
        other.clean_up();
        if let Some(total) = other.total() {
            note(total);
        }
        measured
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
            let run = self.run_watched(&plan, generator, record)?;
            let step = RecordedRun { step: Some(users), plan, run, phases: generator.take_phases() };
            let report = PerformanceReport::of_load(record, &step, targets);
            record.runs.push(step);
            note(format_args!("{}: {}", people(users), stress::outcome(&report)));
            if stress::ends(&report) || record.aborted.is_some() {
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
    /// `links` lead from its page to the others.
    fn conclude(
        export: &ExportArgs,
        record: &LoadRecord,
        targets: &Targets,
        path: Option<&PathBuf>,
        links: Vec<Link>,
    ) -> Result<Exit, Error> {
        let outcome = LoadOutcome::of(record, targets);
        let page = load_page(record, &outcome, links);
        // Files first: tables that nobody reads, or a full disk under standard output, must not cost what was measured. Nor
        // must a file that cannot be written cost the tables.
        let saved = path.map_or(Ok(()), |path| save(record, &outcome, &page, path));
        export.write_with_page(&outcome_document(&outcome), &page)?;
        saved?;
        if let Some(path) = path {
            note(format_args!("Report: {}, and .html, .csv, .hlog and .run.json beside it", path.display()));
        }
        Ok(outcome.verdict.into())
    }
}

/// Draws what was sampled of all runs beside the report, and says what there is to be told of it.
fn draw(sampler: &CpuSampler, record: &LoadRecord, path: &Path) -> Result<Document, Error> {
    let graph = FlameGraph::taken(sampler, &record.operation, record.environment.clone());
    graph.save(&FlameFiles::beside(path))
}

fn tell(document: Option<Document>) -> Result<(), Error> {
    match document {
        Some(document) => write!(io::stdout().lock(), "{document}").map_err(Error::Output),
        None => Ok(()),
    }
}

/// Writes the report, the seconds of the run that it is of, the record that all of it follows from, and the page.
fn save(record: &LoadRecord, outcome: &LoadOutcome, page: &Document, path: &Path) -> Result<(), Error> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_stem()) else {
        unreachable!("it was made of both")
    };
    let name = name.to_string_lossy();
    let seconds = outcome.report.load.as_ref().map_or(&[][..], |load| &load.seconds);
    let run = &record.runs[outcome.run].run;
    // Each is tried, as a disk may have room for some of them. The record is the largest, and comes last but for the page: the
    // index is made with that, of the reports that are there.
    let reported = save_as(&name, &outcome.report, dir).map(|_| ());
    let listed = write_text(&path.with_extension("csv"), &seconds_table(seconds).csv());
    let logged = write_hlog(&path.with_extension("hlog"), &run.seconds, run.started_at);
    let recorded = record.save(&dir.join(format!("{name}{RECORD}")));
    let paged = save_page(&path.with_extension("html"), page);
    reported.and(listed).and(logged).and(recorded).and(paged)
}

/// From the page to the files beside it. The picture of an earlier run may lie there, too, and is not of this one.
fn links(path: &Path, has_picture: bool) -> Vec<Link> {
    let mut links = Vec::new();
    if has_picture {
        let FlameFiles { svg, folded } = FlameFiles::beside(path);
        links.extend(link("Flame graph: where the CPU time went", &svg));
        links.extend(link("Its stacks, folded", &folded));
    }
    links.extend(link("Report, for programs", path));
    links.extend(link("A line for every second, as CSV", &path.with_extension("csv")));
    links.extend(link("HdrHistogram interval log", &path.with_extension("hlog")));
    let record = path.with_extension(RECORD.trim_start_matches('.'));
    links.extend(link("Record of all runs, for load --replay", &record));
    links
}

fn link(text: &str, file: &Path) -> Option<Link> {
    let name = file.file_name()?.to_str()?;
    Some(Link { text: text.to_owned(), path: name.to_owned() })
}
