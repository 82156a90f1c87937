//! Criterion's command line, read before Criterion reads it: it panics or exits by itself on values it cannot use, and
//! keeps mode, filter and baseline to itself.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use crate::baseline::check_name;
use crate::case::Suite;
use crate::console::note;
use clap::error::ErrorKind;
use clap::{ArgMatches, Command};

use super::command::command;
use super::filter::Filter;
use super::outcome::Stop;
use super::rejected::Rejected;

/// Makes one case slower by a share of its own time, as `upload/10KB=0.3`: how `ci/noise.sh` tries the comparison out.
const SLOWDOWN: &str = "INGESTER_PERF_SLOWDOWN";

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Measure, report and judge.
    Measure,
    /// Print the ids.
    List,
    /// Run each case once.
    Test,
    /// Run each case for a while, and draw where its CPU time goes.
    Profile,
    /// Compare two saved baselines. Nothing is measured.
    Analyse,
}

/// What Criterion does with the samples.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Baseline {
    Save(String),
    Compare { name: String, must_exist: bool },
    Discard,
}

/// A saved baseline that this run reads.
pub struct Needed<'a> {
    pub name: &'a str,
    pub must_exist: bool,
}

/// The command line, checked.
#[derive(Debug)]
pub struct Args {
    pub mode: Mode,
    pub filter: Filter,
    pub samples: Option<usize>,
    pub warm_up: Option<Duration>,
    pub measurement: Option<Duration>,
    pub noise_threshold: Option<f64>,
    baseline: Baseline,
    load: Option<String>,
    quick: bool,
    slowdown: Option<(String, f64)>,
}

impl Args {
    /// Reads the process's arguments; `--help` and the like print and exit.
    pub fn from_command_line(program: &'static str, suite: &Suite) -> Result<Self, Stop> {
        let slowdown = std::env::var(SLOWDOWN).ok();
        Self::parse(command(program), std::env::args_os(), slowdown.as_deref(), suite).map_err(|error| {
            match error {
                // Help goes to standard output with exit code 0, which clap does by itself. What is wrong is told in
                // one line, as every other error of a bench is.
                Rejected::Clap(error)
                    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) =>
                {
                    error.exit()
                }
                Rejected::Clap(error) => Stop::Usage(one_line(program, &error)),
                Rejected::Value(problem) => Stop::Usage(problem),
            }
        })
    }

    fn parse(
        command: Command,
        args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
        slowdown: Option<&str>,
        suite: &Suite,
    ) -> Result<Self, Rejected> {
        let given = command.try_get_matches_from(args).map_err(Rejected::Clap)?;
        check_values(&given)?;
        let slowdown = slowdown.map(|text| read_slowdown(text, suite)).transpose()?;
        if let Some((id, share)) = &slowdown {
            note(format_args!("{SLOWDOWN}: {id} is made slower by {:.0} % of its time", 100.0 * share));
        }
        Ok(Self {
            mode: mode(&given)?,
            filter: Filter::of(&given)?,
            samples: bounded(&given, "sample-size", 10..=1_000_000)?,
            warm_up: seconds(&given, "warm-up-time")?,
            measurement: seconds(&given, "measurement-time")?,
            noise_threshold: bounded(&given, "noise-threshold", 1e-9..=1e6)?,
            baseline: baseline(&given)?,
            load: name(&given, "load-baseline")?,
            quick: given.get_flag("quick"),
            slowdown,
        })
    }

    /// Baselines that Criterion will read. What a plain run or `--save-baseline` replaces is not needed.
    pub fn needed_baselines(&self) -> impl Iterator<Item = Needed<'_>> {
        let compared = match &self.baseline {
            Baseline::Compare { name, must_exist } => Some(Needed { name, must_exist: *must_exist }),
            Baseline::Save(_) | Baseline::Discard => None,
        };
        let loaded = self.load.as_deref().map(|name| Needed { name, must_exist: true });
        // As a list, a test or under a profiler Criterion opens no baseline, whatever was asked for.
        let reads = matches!(self.mode, Mode::Measure | Mode::Analyse);
        compared.into_iter().chain(loaded).filter(move |_| reads)
    }

    /// The baseline that this run saves.
    pub fn saves_baseline(&self) -> Option<&str> {
        match &self.baseline {
            Baseline::Save(name) => Some(name),
            Baseline::Compare { .. } | Baseline::Discard => None,
        }
    }

    /// Whether this run compares with a baseline of the user's own.
    pub fn compares(&self) -> bool {
        matches!(self.baseline, Baseline::Compare { .. })
    }

    /// Whether Criterion decides while it measures how many samples to take.
    pub fn is_quick(&self) -> bool {
        self.quick
    }

    /// Whether Criterion warms up before it measures.
    pub fn warms_up(&self) -> bool {
        self.mode == Mode::Measure && !self.quick
    }

    /// The share of its own time by which the case is to be slowed down; 0 for most.
    pub fn slowdown_of(&self, id: &str) -> f64 {
        self.slowdown.as_ref().filter(|(slow, _)| slow == id).map_or(0.0, |(_, share)| *share)
    }
}

/// An error where a bench of this suite would refuse these options, in a line. Nothing is run.
pub fn check(program: &'static str, options: &[OsString], suite: &Suite) -> Result<(), String> {
    // As cargo starts a bench: without `--bench` it would be one of its tests.
    let mut line = vec![OsString::from(program), OsString::from("--bench")];
    line.extend_from_slice(options);
    match Args::parse(command(program), line, None, suite) {
        Ok(_) => Ok(()),
        // A request for help or for the version.
        Err(Rejected::Clap(error)) if error.exit_code() == 0 => Ok(()),
        Err(Rejected::Clap(error)) => Err(one_line(program, &error)),
        Err(Rejected::Value(problem)) => Err(problem),
    }
}

fn mode(given: &ArgMatches) -> Result<Mode, Rejected> {
    let profile: Option<f64> = bounded(given, "profile-time", 1.0..=86_400.0)?;
    // The order of Criterion's `configure_from_args`. In another one this program would check and report for one mode while
    // Criterion runs in another.
    Ok(if given.get_flag("list") {
        Mode::List
    } else if given.get_flag("test") || !given.get_flag("bench") {
        // Without --bench it is `cargo test` that runs us.
        Mode::Test
    } else if profile.is_some() {
        Mode::Profile
    } else if given.contains_id("load-baseline") {
        Mode::Analyse
    } else {
        Mode::Measure
    })
}

fn baseline(given: &ArgMatches) -> Result<Baseline, Rejected> {
    if given.get_flag("discard-baseline") {
        return Ok(Baseline::Discard);
    }
    for (option, must_exist) in [("baseline", true), ("baseline-lenient", false)] {
        if let Some(name) = name(given, option)? {
            return Ok(Baseline::Compare { name, must_exist });
        }
    }
    Ok(Baseline::Save(name(given, "save-baseline")?.unwrap_or_else(|| "base".to_owned())))
}

/// Values that only Criterion uses, but that it would panic on.
fn check_values(given: &ArgMatches) -> Result<(), Rejected> {
    // Criterion asserts that both lie between 0 and 1, and are neither.
    bounded(given, "significance-level", 1e-12..=1.0 - 1e-12)?;
    bounded(given, "confidence-level", 1e-12..=1.0 - 1e-12)?;
    // With a handful of resamples Criterion's own figures become infinite.
    bounded(given, "nresamples", 100..=100_000_000_usize)?;
    // Without gnuplot Criterion panics on this, instead of drawing with plotters.
    let gnuplot = given.get_one::<String>("plotting-backend").is_some_and(|backend| backend == "gnuplot");
    if gnuplot && std::process::Command::new("gnuplot").arg("--version").output().is_err() {
        return Err(Rejected::Value(
            "--plotting-backend gnuplot: gnuplot is not installed; use plotters".to_owned(),
        ));
    }
    Ok(())
}

fn name(given: &ArgMatches, option: &'static str) -> Result<Option<String>, Rejected> {
    let Some(name) = given.get_one::<String>(option) else { return Ok(None) };
    check_name(name).map_err(|problem| Rejected::Value(format!("--{option}: {problem}")))?;
    Ok(Some(name.clone()))
}

fn seconds(given: &ArgMatches, option: &'static str) -> Result<Option<Duration>, Rejected> {
    Ok(bounded(given, option, 1e-6..=86_400.0)?.map(Duration::from_secs_f64))
}

/// The option's value, if it is a number in the range.
fn bounded<T>(
    given: &ArgMatches,
    option: &'static str,
    range: RangeInclusive<T>,
) -> Result<Option<T>, Rejected>
where
    T: FromStr + PartialOrd + std::fmt::Display,
{
    let Some(text) = given.get_one::<String>(option) else { return Ok(None) };
    text.parse().ok().filter(|value| range.contains(value)).map(Some).ok_or_else(|| {
        let least = range.start();
        let most = range.end();
        Rejected::Value(format!("--{option} {text}: must be a number from {least} to {most}"))
    })
}

fn read_slowdown(text: &str, suite: &Suite) -> Result<(String, f64), Rejected> {
    let parsed = text.split_once('=').and_then(|(id, share)| Some((id.to_owned(), share.parse().ok()?)));
    parsed
        .filter(|(id, share)| suite.case(id).is_some() && (0.0..=100.0).contains(share))
        .ok_or_else(|| Rejected::Value(format!("{SLOWDOWN}: \"{text}\" is not like upload/10KB=0.3")))
}

/// clap's message on one line, without its usage and hints.
fn one_line(program: &str, error: &clap::Error) -> String {
    let text = error.to_string();
    // The message ends at the first empty line; usage and hints come after it.
    let lines: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
    format!("{}; see {program} --help", lines.join(" ").trim_start_matches("error: "))
}
