//! Cases through Criterion: the one `main` of bench binaries, with arguments, checks, reports and a verdict.

mod allocations;
mod alternate;
mod args;
mod command;
mod filter;
mod floor;
mod floor_report;
mod halt;
mod last_run;
mod measure;
mod outcome;
mod output;
mod page;
mod profiler;
mod ratio;
mod rejected;
mod remote;
mod sampling;
mod session;
mod turns;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::Error;
use crate::baseline::{check_saved, criterion_home};
use crate::case::{Spec, Suite};
use crate::config::Config;
use crate::console::note;
use crate::document::Document;
use crate::files::check_folder;
use crate::gate::worker;
use crate::report::{self, PerformanceReport};
use crate::verdict::Verdict;

pub use floor_report::GROUP as FLOOR;

use args::{Args, Mode};
use halt::Halt;
use outcome::Stop;
use output::Output;
use sampling::NOISE_THRESHOLD;
use session::Session;

/// What users type before the options of a bench.
const CARGO: &str = "cargo bench --";

/// The first argument of a process that is to serve its cases to the gate.
const WORKER: &str = "worker";

/// Runs the cases of the suite's `group` as the command line asks; the exit code is the bench's. The group `floor` sets
/// cases against the least that this machine can do for them.
///
/// What `ingester-perf.toml` says, in this folder or above it, stands above the suite.
pub fn main(suite: &Suite, group: &str) -> ExitCode {
    main_of(CARGO, suite, Some(group))
}

/// As [`main`], with the cases of all groups: for a crate whose one bench holds the whole suite.
///
/// ```no_run
/// use ingester_perf::case::Suite;
/// use ingester_perf::harness;
/// use ingester_perf::stub::Router;
///
/// fn main() -> std::process::ExitCode {
///     harness::main_of_all(&Suite::of_router(|_key| Router::new()))
/// }
/// ```
pub fn main_of_all(suite: &Suite) -> ExitCode {
    main_of(CARGO, suite, None)
}

/// Counts what uploads and token checks ask the allocator for, in a bench whose allocator counts.
pub fn main_of_allocations() -> ExitCode {
    let suite = Suite::default();
    // Standard output stays as it is: what leads it through this process has threads, which allocate as well.
    let counted = Args::from_command_line(CARGO, &suite).and_then(|args| {
        args.filter.check(&all_ids(&suite))?;
        if args.mode == Mode::List {
            list_ids(allocations::ids(), &args)?;
            return Ok(Verdict::Held);
        }
        allocations::run(&args)
    });
    outcome::exit(counted).into()
}

/// The groups of a suite, in the order in which cargo runs benches of their names.
pub fn groups(suite: &Suite) -> Vec<String> {
    let mut groups: BTreeSet<String> = suite.cases().iter().map(|spec| spec.group.clone()).collect();
    groups.insert(FLOOR.to_owned());
    groups.into_iter().collect()
}

/// The same for another program than cargo, which messages and help call by this name.
pub fn main_of(program: &'static str, suite: &Suite, group: Option<&str>) -> ExitCode {
    let config = match Config::find(None) {
        Ok(config) => config,
        Err(error) => return outcome::exit(Err(error.into())).into(),
    };
    let suite = config.suite(suite);
    // A bench is a worker of the gate too: of two commits of a crate, its bench is what is compared.
    if std::env::args_os().nth(1).is_some_and(|first| first == WORKER) {
        let served = worker::serve_standard_streams(&config, &suite);
        return outcome::exit(served.map(|()| Verdict::Held).map_err(Stop::from)).into();
    }
    // Wrong arguments are clap's to print.
    let args = Args::from_command_line(program, &suite);
    let output = Output::outlasting();
    let verdict = args.and_then(|args| run(&config, &suite, group, &args));
    let printed = output.end();
    // Only where all else went well: a verdict that could not be printed is no success.
    outcome::exit(verdict.and_then(|verdict| printed.map(|()| verdict).map_err(Stop::from))).into()
}

/// The verdict on everything that was measured.
fn run(config: &Config, suite: &Suite, group: Option<&str>, args: &Args) -> Result<Verdict, Stop> {
    args.filter.check(&all_ids(suite))?;
    if args.mode == Mode::List {
        list(suite, group, args)?;
        return Ok(Verdict::Held);
    }
    let settings = config.settings(suite)?;
    let targets = config.targets(suite, &settings)?;
    if args.mode == Mode::Measure {
        // Better said now than after measuring.
        check_folder(&settings.report_dir)?;
    }
    if args.mode == Mode::Profile {
        check_folder(&criterion_home())?;
    }
    if group == Some(FLOOR) {
        // Of those that measure time, cargo runs it first: what the others will miss is better said now than after it.
        check_baselines(&selected(suite.cases(), args), args)?;
        return floor::run(suite, args, settings);
    }
    let cases = selected(cases_of(suite, group), args);
    if cases.is_empty() {
        return Ok(Verdict::Held);
    }
    check_baselines(&cases, args)?;
    if args.mode == Mode::Analyse {
        measure::analyse(&cases);
        return Ok(Verdict::Held);
    }
    let halt = Halt::watch()?;
    config.build_for(&settings, halt.interrupt())?;
    // Trouble with the service, the token or the number of bytes is told here, before the first sample.
    let session = Session::open(&cases, args, settings, targets, halt)?;
    let run = measure::run(&cases, args, &session);
    session.clean_up();
    if let Some(total) = session.total() {
        note(total);
    }
    let verdict = match args.mode {
        Mode::Measure => {
            // The reports first: a baseline that Criterion could not save must not cost them.
            let verdict = conclude(&run.reports, args, suite, &session)?;
            check_saved_now(&run.reports, args)?;
            verdict
        }
        Mode::Test => test_verdict(&run.reports)?,
        Mode::Profile | Mode::List | Mode::Analyse => Verdict::Held,
    };
    // What stopped a case counts more than the verdict on what was measured until then.
    run.stopped.map_or(Ok(verdict), Err)
}

/// An error where the benches of the usual suite would refuse these options, as their user would read it. Nothing is run.
pub(crate) fn check_options(program: &'static str, options: &[OsString]) -> Result<(), String> {
    args::check(program, options, &Suite::default())
}

/// What a filter may match, in any bench.
fn all_ids(suite: &Suite) -> Vec<String> {
    suite.ids().chain(floor::ids(suite)).chain(allocations::ids()).collect()
}

/// Cases of this group; of all groups where none is given.
fn cases_of<'a>(suite: &'a Suite, group: Option<&str>) -> impl Iterator<Item = &'a Spec> {
    suite.cases().iter().filter(move |spec| group.is_none_or(|group| spec.group == group))
}

fn selected<'a>(cases: impl IntoIterator<Item = &'a Spec>, args: &Args) -> Vec<Spec> {
    cases.into_iter().filter(|spec| args.filter.selects(&spec.id())).cloned().collect()
}

/// Prints the ids as Criterion does. Nothing is started or read for it.
fn list(suite: &Suite, group: Option<&str>, args: &Args) -> Result<(), Stop> {
    let ids: Vec<String> = match group {
        Some(FLOOR) => floor::ids(suite).collect(),
        _ => cases_of(suite, group).map(Spec::id).collect(),
    };
    list_ids(ids, args)
}

fn list_ids(ids: impl IntoIterator<Item = String>, args: &Args) -> Result<(), Stop> {
    let out = &mut io::stdout().lock();
    for id in ids.into_iter().filter(|id| args.filter.selects(id)) {
        writeln!(out, "{id}: benchmark")?;
    }
    Ok(())
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
    // Cases that ended early are left out: Criterion unwound from them before it saved anything.
    let whole = reports.iter().filter(|report| !report.partial);
    for id in whole.filter_map(|report| Some(&report.plan.as_ref()?.case)) {
        if !check_saved(&home, id, name)? {
            return Err(Error::NotSaved { name: name.to_owned(), id: id.clone(), home }.into());
        }
    }
    Ok(())
}

/// In test mode each case ran once, and every operation must have succeeded.
fn test_verdict(reports: &[PerformanceReport]) -> Result<Verdict, Stop> {
    let out = &mut io::stdout().lock();
    for line in report::failures(reports) {
        writeln!(out, "{line}")?;
    }
    let held = reports.iter().all(|report| report.failed_requests == 0 && report.successful_requests > 0);
    Ok(Verdict::of(held))
}

/// Writes the reports and the page of all benches, and prints the tables.
fn conclude(
    reports: &[PerformanceReport],
    args: &Args,
    suite: &Suite,
    session: &Session,
) -> Result<Verdict, Stop> {
    for report in reports {
        report::save_performance_report(report, &session.settings.report_dir)?;
        // Criterion keeps no samples of a case that ended early, and so no report of it stands beside them.
        if let Some(name) = args.saves_baseline().filter(|_| !report.partial) {
            report::save_performance_report(report, &session.settings.report_dir.join(name))?;
        }
    }
    // Before the tables, which nobody may read; and they are printed whatever becomes of it.
    let paged = last_run::save_page(&session.settings.report_dir, suite);
    let mut document = Document::new("Benchmarks");
    document.table(report::figures(reports));
    document.gap();
    document.table(report::targets(reports));
    document.lines(report::failures(reports));
    document.lines(report::unverified(reports));
    document.lines(report::simulated(reports));
    document.gap();
    // Criterion calls whatever lies below the threshold noise; the reader should know how much that can be.
    if args.compares() {
        let least = 100.0 * args.noise_threshold.unwrap_or(NOISE_THRESHOLD);
        document.line(format!("Changes below {least:.0} % are not told from noise here; see docs/noise.md."));
        document.gap();
    }
    document.line(format!("Reports: {}", session.settings.report_dir.display()));
    document.gap();
    write!(io::stdout().lock(), "{document}")?;
    paged?;
    Ok(Verdict::worst(reports.iter().map(PerformanceReport::verdict)))
}
