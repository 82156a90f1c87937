//! Cases through Criterion: the one `main` of bench binaries, with arguments, checks, reports and a verdict.

mod args;
mod command;
mod filter;
mod floor;
mod halt;
mod measure;
mod outcome;
mod output;
mod remote;
mod sampling;
mod session;
mod turns;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::Error;
use crate::baseline::{check_saved, criterion_home};
use crate::case::{Spec, Suite};
use crate::console::note;
use crate::files::check_folder;
use crate::ingester::Settings;
use crate::report::{self, PerformanceReport};

use args::{Args, Mode};
use outcome::Stop;
use output::Output;
use sampling::NOISE_THRESHOLD;
use session::Session;

/// What people type before the options of a bench.
const CARGO: &str = "cargo bench --";

/// Runs the cases of the suite's `group` as the command line asks; the exit code is the bench's. The group `floor` sets
/// cases against the least that this machine can do for them.
pub fn main(suite: &Suite, group: &str) -> ExitCode {
    main_of(CARGO, suite, group)
}

/// The groups of a suite, in the order in which cargo runs benches of their names.
pub fn groups(suite: &Suite) -> Vec<String> {
    let mut groups: BTreeSet<String> = suite.cases().iter().map(|spec| spec.group.clone()).collect();
    groups.insert(floor::GROUP.to_owned());
    groups.into_iter().collect()
}

/// The same for another program than cargo, which messages and help call by this name.
pub fn main_of(program: &'static str, suite: &Suite, group: &str) -> ExitCode {
    // Wrong arguments are clap's to print.
    let args = Args::from_command_line(program, suite);
    let output = Output::outlasting();
    let held = args.and_then(|args| run(suite, group, &args));
    let printed = output.end();
    outcome::exit(held.and_then(|held| printed.map(|()| held).map_err(Stop::from))).into()
}

/// Whether everything that was measured held.
fn run(suite: &Suite, group: &str, args: &Args) -> Result<bool, Stop> {
    args.filter.check_suite(suite)?;
    if args.mode == Mode::List {
        return list(suite, group, args);
    }
    let settings = Settings::from_env()?;
    let targets = suite.targets_in(&settings.targets)?;
    if args.mode == Mode::Measure {
        // Better said now than after measuring.
        check_folder(&settings.report_dir)?;
    }
    if group == floor::GROUP {
        // Cargo runs it first: what the other benches will miss is better said now than after it.
        check_baselines(&selected(suite.cases(), args), args)?;
        return floor::run(suite, args, settings);
    }
    let cases = selected(cases_of(suite, group), args);
    if cases.is_empty() {
        return Ok(true);
    }
    check_baselines(&cases, args)?;
    if args.mode == Mode::Analyse {
        measure::analyse(&cases);
        return Ok(true);
    }
    let session = Session::open(&cases, args, settings, targets)?;
    let run = measure::run(&cases, args, &session);
    if let Some(total) = session.total() {
        note(total);
    }
    let held = match args.mode {
        Mode::Measure => {
            let held = conclude(&run.reports, args, &session)?;
            check_saved_now(&run.reports, args)?;
            held
        }
        Mode::Test => test_verdict(&run.reports)?,
        Mode::Profile | Mode::List | Mode::Analyse => true,
    };
    run.stopped.map_or(Ok(held), Err)
}

fn cases_of<'a>(suite: &'a Suite, group: &str) -> impl Iterator<Item = &'a Spec> {
    suite.cases().iter().filter(move |spec| spec.group == group)
}

fn selected<'a>(cases: impl IntoIterator<Item = &'a Spec>, args: &Args) -> Vec<Spec> {
    cases.into_iter().filter(|spec| args.filter.selects(&spec.id())).cloned().collect()
}

/// Prints the ids as Criterion does. Nothing is started or read for it.
fn list(suite: &Suite, group: &str, args: &Args) -> Result<bool, Stop> {
    let ids: Vec<String> = match group {
        floor::GROUP => floor::ids(suite).collect(),
        _ => cases_of(suite, group).map(Spec::id).collect(),
    };
    let out = &mut io::stdout().lock();
    for id in ids.iter().filter(|id| args.filter.selects(id)) {
        writeln!(out, "{id}: benchmark")?;
    }
    Ok(true)
}

/// Criterion would notice only after measuring, by a panic or not at all.
fn check_baselines(cases: &[Spec], args: &Args) -> Result<(), Stop> {
    let home = criterion_home();
    for needed in args.needed_baselines() {
        for id in cases.iter().map(Spec::id) {
            if !check_saved(&home, &id, needed.name)? && needed.must_exist {
                return Err(Error::NoBaseline { name: needed.name.to_owned(), id, home }.into());
            }
        }
    }
    Ok(())
}

/// Criterion says nothing in its exit code if it could not write.
fn check_saved_now(reports: &[PerformanceReport], args: &Args) -> Result<(), Stop> {
    let Some(name) = args.saves_baseline() else { return Ok(()) };
    let home = criterion_home();
    let whole = reports.iter().filter(|report| !report.partial);
    for id in whole.filter_map(|report| Some(&report.plan.as_ref()?.case)) {
        if !check_saved(&home, id, name)? {
            return Err(Error::NotSaved { name: name.to_owned(), id: id.clone(), home }.into());
        }
    }
    Ok(())
}

/// In test mode each case ran once, and every operation must have succeeded.
fn test_verdict(reports: &[PerformanceReport]) -> Result<bool, Stop> {
    report::print_failures(&mut io::stdout().lock(), reports)?;
    Ok(reports.iter().all(|report| report.failed_requests == 0 && report.successful_requests > 0))
}

/// Writes the reports and prints the tables.
fn conclude(reports: &[PerformanceReport], args: &Args, session: &Session) -> Result<bool, Stop> {
    for report in reports {
        report::save_performance_report(report, &session.settings.report_dir)?;
        // Criterion keeps no samples of a case that ended early, and so no report of it stands beside them.
        if let Some(name) = args.saves_baseline().filter(|_| !report.partial) {
            report::save_performance_report(report, &session.settings.report_dir.join(name))?;
        }
    }
    let out = &mut io::stdout().lock();
    report::print_figures(out, reports)?;
    writeln!(out)?;
    report::print_targets(out, reports)?;
    report::print_failures(out, reports)?;
    if args.compares() {
        let least = 100.0 * args.noise_threshold.unwrap_or(NOISE_THRESHOLD);
        writeln!(out, "\nChanges below {least:.0} % are not told from noise here; see docs/noise.md.")?;
    }
    writeln!(out, "\nReports: {}\n", session.settings.report_dir.display())?;
    Ok(reports.iter().all(PerformanceReport::held))
}
