//! `ingester-perf load`: any number of users, or any rate, against any ingester.

mod args;
mod bar;
mod generator;
mod schedule;
mod stress;

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use ingester_perf::case::{Look, Suite};
use ingester_perf::config::Config;
use ingester_perf::console::note;
use ingester_perf::files::check_folder;
use ingester_perf::interrupt::Interrupt;
use ingester_perf::load::{Plan, Run};
use ingester_perf::report::{
    LEAST_SUCCESS_PCT, LookReport, PerformanceReport, check_operation, print_failures, print_figures,
    print_findings, print_load, print_runs, print_targets, print_unverified, save_as, write_csv, write_hlog,
};
use ingester_perf::targets::{Metric, Targets};
use ingester_perf::{Error, Exit};

pub use args::LoadArgs;
use generator::Generator;
use schedule::{Preset, ScheduleArgs};

/// What the runs of a command came to.
struct Outcome {
    /// The run that is reported, with its place among all.
    run: Run,
    report: PerformanceReport,
    /// What is to be said of all of them.
    said: Vec<String>,
    /// Why there are fewer than there were to be, where something went wrong between them.
    stopped: Option<Error>,
}

impl LoadArgs {
    pub fn run(self) -> Result<Exit, Error> {
        check_operation(self.operation())?;
        let config = Config::find(self.ingester.config.as_deref())?;
        let suite = config.suite(&Suite::default());
        let settings = self.settings(&config, &suite)?;
        let targets = self.targets(config.targets(&suite, &settings)?);
        check_folder(&settings.report_dir)?;
        let stress = self.schedule.preset == Some(Preset::Stress);
        // Wrong arguments are told before anything starts.
        let steps = if stress { stress::steps(&self.schedule)? } else { Vec::new() };
        self.check_stress_only(stress)?;
        let plan = if stress { None } else { Some(self.schedule.plan()?) };
        let dir = settings.report_dir.clone();
        let interrupt = Interrupt::watch()?;
        config.build_for(&settings, &interrupt)?;
        let mut generator = Generator::new(&self, settings, interrupt)?;
        note(format_args!("Loading {} with files of {}", generator.ingester(), generator.files()));
        let outcome = match plan {
            Some(plan) => generator
                .fit(plan, self.schedule.at_once)
                .and_then(|plan| self.repeat(&plan, &mut generator, &targets)),
            None => self.stress(steps, &mut generator, &targets),
        };
        // Whatever became of the run: the look before has left something already.
        generator.clean_up();
        let mut outcome = outcome?;
        if let Some(total) = generator.total() {
            note(total);
        }
        if outcome.report.partial && generator.signal().is_none() {
            let sent_all = "all bytes that INGESTER_MAX_BYTES allows were sent";
            outcome
                .said
                .insert(0, format!("It ended early: {}.", generator.unreadable().unwrap_or(sent_all)));
        }
        let exit = conclude(&outcome, &self.file_name(&suite), &dir, generator.signal())?;
        // Ctrl-C reaches what was running between the runs, too.
        match outcome.stopped {
            Some(error) if generator.signal().is_none() => Err(error),
            _ => Ok(exit),
        }
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
    fn targets(&self, mut targets: Targets) -> Targets {
        for limit in &self.outcome.targets {
            targets = targets.with(self.operation(), *limit);
        }
        // A run that lost its uploads must not pass because nobody thought of that.
        targets.or(self.operation(), (Metric::SuccessRatePct, LEAST_SUCCESS_PCT))
    }

    /// Runs a plan once, and holds it against the limits.
    fn once(
        &self,
        plan: &Plan,
        generator: &mut Generator,
        targets: &Targets,
    ) -> Result<(PerformanceReport, Run), Error> {
        let run = generator.run(plan)?;
        let report = PerformanceReport::of_load(self.operation(), plan, &run, &generator.files());
        let report = report.at(generator.environment()).looked(looked(generator.look()));
        let report = report.unverified(generator.unverified());
        // Where the generator did not keep up, its figures miss or hold nothing.
        let report = if report.is_valid() { report.judge(targets).find() } else { report.find() };
        Ok((report, run))
    }

    /// Runs the plan as often as asked for; the run with the median p95 is the one that is reported.
    fn repeat(&self, plan: &Plan, generator: &mut Generator, targets: &Targets) -> Result<Outcome, Error> {
        let mut runs: Vec<(PerformanceReport, Run)> = Vec::new();
        let mut stopped = None;
        for number in 0..self.schedule.repeat {
            let cleaned = if number > 0 { self.clean_up() } else { Ok(()) };
            match cleaned.and_then(|()| self.once(plan, generator, targets)) {
                Ok(run) => runs.push(run),
                // What was measured before is not lost.
                Err(error) if number > 0 => {
                    stopped = Some(error);
                    break;
                }
                Err(error) => return Err(error),
            }
            // Whatever ended a run early, its bytes or its file, would end the next ones before they begin.
            if runs.last().is_some_and(|(report, _)| report.partial) {
                break;
            }
        }
        // Of several runs, one that ended before its first request would only add an empty row.
        if runs.iter().any(|(_, run)| run.load.scheduled > 0) {
            runs.retain(|(_, run)| run.load.scheduled > 0);
        }
        let rows: Vec<_> =
            runs.iter().zip(1..).map(|((report, _), n)| report.row(format!("run {n}"))).collect();
        // Those that are no evidence last: the median is one of the others, if there is one.
        runs.sort_by(|(a, _), (b, _)| {
            b.is_valid().cmp(&a.is_valid()).then(p95_or_worst(a).total_cmp(&p95_or_worst(b)))
        });
        let valid = runs.iter().filter(|(report, _)| report.is_valid()).count();
        // Of an even number the lower one of the two in the middle: it is a run that took place.
        let median = valid.saturating_sub(1) / 2;
        let p95: Vec<f64> = runs[..valid].iter().filter_map(|(report, _)| report.p95_latency_ms).collect();
        let (mut report, run) = runs.swap_remove(median);
        let mut said = Vec::new();
        if rows.len() > 1 {
            if let (Some(least), Some(most)) = (p95.first(), p95.last()) {
                said.push(format!(
                    "p95 of {valid} runs: {least:.2} to {most:.2} ms; reported is the median run."
                ));
            }
            report.load.iter_mut().for_each(|load| load.runs.clone_from(&rows));
        }
        Ok(Outcome { run, report, said, stopped })
    }

    /// Runs the steps one after the other, until a target is missed or the generator does not keep up.
    fn stress(
        &self,
        steps: Vec<(u32, Plan)>,
        generator: &mut Generator,
        targets: &Targets,
    ) -> Result<Outcome, Error> {
        let mut done = Vec::new();
        let mut last = None;
        let mut stopped = None;
        for (users, plan) in steps {
            // Between steps only: the first one meets the service as the user left it.
            let cleaned = if last.is_some() { self.clean_up() } else { Ok(()) };
            let fitted = cleaned.and_then(|()| generator.fit(plan, None));
            let ran = fitted.and_then(|plan| self.once(&plan, generator, targets));
            let (report, run) = match ran {
                Ok(ran) => ran,
                // What the steps before it showed is not lost.
                Err(error) if last.is_some() => {
                    stopped = Some(error);
                    break;
                }
                Err(error) => return Err(error),
            };
            let ends = stress::ends(&report);
            note(format_args!("{}: {}", stress::people(users), stress::outcome(&report)));
            done.push((users, report));
            last = Some(run);
            if ends {
                break;
            }
        }
        // The last step is the one that is reported: it is the one that broke, if one did.
        let (_, mut report) = done.last().cloned().expect("there is a first step");
        report.load.iter_mut().for_each(|load| load.runs = stress::rows(&done));
        let said = stress::conclusion(&done);
        Ok(Outcome { run: last.expect("there is a first step"), report, said, stopped })
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
}

/// The p95; one that is not known, since too much was lost, is worse than any other.
fn p95_or_worst(report: &PerformanceReport) -> f64 {
    report.p95_latency_ms.unwrap_or(f64::INFINITY)
}

/// Prints all tables, and what is to be said below them.
fn print(out: &mut dyn Write, report: &PerformanceReport, said: &[String]) -> io::Result<()> {
    let reports = std::slice::from_ref(report);
    print_runs(out, report)?;
    print_figures(out, reports)?;
    print_load(out, report)?;
    print_failures(out, reports)?;
    print_targets(out, reports)?;
    print_unverified(out, reports)?;
    print_findings(out, report)?;
    for line in said {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// What the look before found, for a report.
fn looked(look: &Look) -> LookReport {
    LookReport {
        first_ms: 1e3 * look.first.as_secs_f64(),
        second_ms: 1e3 * look.second.as_secs_f64(),
        ails: look.ails.clone(),
    }
}

/// Writes the files, prints the tables, and says how it ended.
fn conclude(
    Outcome { run, report, said, .. }: &Outcome,
    name: &str,
    dir: &Path,
    signal: Option<u8>,
) -> Result<Exit, Error> {
    // Files first: tables that nobody reads, or a full disk under standard output, must not cost what was measured.
    let path = save_as(name, report, dir)?;
    let seconds = report.load.as_ref().map_or(&[][..], |load| &load.seconds);
    write_csv(&path.with_extension("csv"), seconds)?;
    write_hlog(&path.with_extension("hlog"), &run.seconds, run.started_at)?;
    print(&mut io::stdout(), report, said).map_err(Error::Output)?;
    note(format_args!("Report: {}, and .csv and .hlog beside it", path.display()));
    // A signal before all else, as the figures are of a part only; then whether they can be trusted; then what they say.
    Ok(match signal {
        Some(signal) => Exit::Interrupted(signal),
        None if !report.is_valid() => Exit::Untrusted,
        None if !report.held() => Exit::Missed,
        None => Exit::Held,
    })
}
