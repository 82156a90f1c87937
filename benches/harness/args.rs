//! Criterion's command line, read before Criterion reads it: it panics or exits by itself on values it cannot use, and
//! keeps mode, filter and baseline to itself. The options are those of Criterion 0.8.2.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};
use ingester_perf::baseline::check_name;
use ingester_perf::case::SUITE;
use regex::Regex;

use super::outcome::Stop;

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
    /// Run each case for a while, under a profiler.
    Profile,
    /// Compare two saved baselines; measures nothing.
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
    baseline: Baseline,
    load: Option<String>,
    quick: bool,
    slowdown: Option<(String, f64)>,
}

impl Args {
    /// Reads the process's arguments; `--help` and the like print and exit.
    pub fn from_command_line() -> Result<Self, Stop> {
        let slowdown = std::env::var(SLOWDOWN).ok();
        Self::parse(std::env::args_os(), slowdown.as_deref()).map_err(|error| match error {
            Rejected::Clap(error)
                if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) =>
            {
                error.exit()
            }
            Rejected::Clap(error) => Stop::Usage(one_line(&error)),
            Rejected::Value(problem) => Stop::Usage(problem),
        })
    }

    fn parse(
        args: impl IntoIterator<Item = impl Into<std::ffi::OsString> + Clone>,
        slowdown: Option<&str>,
    ) -> Result<Self, Rejected> {
        let given = command().try_get_matches_from(args).map_err(Rejected::Clap)?;
        check_values(&given)?;
        Ok(Self {
            mode: mode(&given)?,
            filter: Filter::of(&given)?,
            samples: bounded(&given, "sample-size", 10..=1_000_000)?,
            warm_up: seconds(&given, "warm-up-time")?,
            measurement: seconds(&given, "measurement-time")?,
            baseline: baseline(&given)?,
            load: name(&given, "load-baseline")?,
            quick: given.get_flag("quick"),
            slowdown: slowdown.map(read_slowdown).transpose()?,
        })
    }

    /// Baselines that Criterion will read. What a plain run or `--save-baseline` replaces is not needed.
    pub fn needed_baselines(&self) -> impl Iterator<Item = Needed<'_>> {
        let compared = match &self.baseline {
            Baseline::Compare { name, must_exist } => Some(Needed { name, must_exist: *must_exist }),
            Baseline::Save(_) | Baseline::Discard => None,
        };
        let loaded = self.load.as_deref().map(|name| Needed { name, must_exist: true });
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

    /// Whether Criterion warms up before it measures.
    pub fn warms_up(&self) -> bool {
        self.mode == Mode::Measure && !self.quick
    }

    /// By what share the case is to be slower than it is.
    pub fn slowdown_of(&self, id: &str) -> f64 {
        self.slowdown.as_ref().filter(|(slow, _)| slow == id).map_or(0.0, |(_, share)| *share)
    }
}

/// Which cases run.
#[derive(Debug)]
pub enum Filter {
    All,
    Exact(String),
    Matching(Regex),
    None,
}

impl Filter {
    fn of(given: &ArgMatches) -> Result<Self, Rejected> {
        let Some(text) = given.get_one::<String>("FILTER").filter(|_| !given.get_flag("ignored")) else {
            return Ok(if given.get_flag("ignored") { Self::None } else { Self::All });
        };
        if given.get_flag("exact") {
            return Ok(Self::Exact(text.clone()));
        }
        let regex = Regex::new(text);
        regex
            .map(Self::Matching)
            .map_err(|_| Rejected::Value(format!("filter \"{text}\" is no regular expression")))
    }

    /// Whether the case is selected.
    pub fn selects(&self, id: &str) -> bool {
        match self {
            Self::All => true,
            Self::Exact(exact) => exact == id,
            Self::Matching(regex) => regex.is_match(id),
            Self::None => false,
        }
    }

    /// Refuses a filter that matches no case of any bench: a typing error must not look like success.
    pub fn check_suite(&self) -> Result<(), Stop> {
        let ids: Vec<String> = SUITE.iter().map(|spec| spec.id()).chain(super::floor::ids()).collect();
        let text = match self {
            Self::All | Self::None => return Ok(()),
            Self::Exact(text) => text.as_str(),
            Self::Matching(regex) => regex.as_str(),
        };
        if ids.iter().any(|id| self.selects(id)) {
            return Ok(());
        }
        Err(Stop::Usage(format!("filter \"{text}\" matches no case; there are {}", ids.join(", "))))
    }
}

enum Rejected {
    Clap(clap::Error),
    Value(String),
}

fn command() -> Command {
    let flag = |name: &'static str| Arg::new(name).long(name).num_args(0).action(ArgAction::SetTrue);
    let value = |name: &'static str| Arg::new(name).long(name).num_args(1);
    let one_of =
        |name, values: &'static [&'static str]| value(name).value_parser(PossibleValuesParser::new(values));
    Command::new("cargo bench --")
        .about("Benchmarks of an ingester. Options are Criterion's; the ingester is the stub unless INGESTER_URL is set.")
        .after_help(HELP)
        .arg(Arg::new("FILTER").help("Measure only cases whose id matches this regular expression"))
        .arg(flag("exact").help("Match the filter to the letter"))
        .arg(value("save-baseline").short('s').help("Save the samples under this name [default: base]"))
        .arg(value("baseline").short('b').help("Compare with this saved baseline; every case must have it")
            .conflicts_with_all(["save-baseline", "baseline-lenient"]))
        .arg(value("baseline-lenient").help("Compare with this saved baseline where a case has it")
            .conflicts_with("save-baseline"))
        .arg(flag("discard-baseline").help("Save nothing")
            .conflicts_with_all(["save-baseline", "baseline", "baseline-lenient"]))
        .arg(value("load-baseline").help("Compare this saved baseline instead of measuring").requires("baseline")
            .conflicts_with("profile-time"))
        .arg(flag("list").help("List the cases").conflicts_with_all(["test", "profile-time"]))
        .arg(flag("test").help("Run each case once and check its outcome").conflicts_with("profile-time"))
        .arg(value("profile-time").help("Run each case for this many seconds, for a profiler"))
        .arg(value("sample-size").help("Samples a case, 10 or more"))
        .arg(value("warm-up-time").help("Seconds of warm-up a case"))
        .arg(value("measurement-time").help("Seconds of measuring a case"))
        .arg(value("noise-threshold").help("Smallest share of change that counts"))
        .arg(value("significance-level").help("p below which a change is significant"))
        .arg(value("confidence-level").help("Confidence of the intervals"))
        .arg(value("nresamples").help("Resamples of the bootstrap"))
        .arg(flag("quick").help("Measure only until the figures settle").conflicts_with("sample-size"))
        .arg(flag("noplot").short('n').help("Draw nothing"))
        .arg(one_of("plotting-backend", &["gnuplot", "plotters"]).help("What draws"))
        .arg(one_of("color", &["auto", "always", "never"]).short('c').alias("colour").help("When to use colour"))
        .arg(one_of("output-format", &["criterion", "bencher"]).help("Format of Criterion's own output"))
        .arg(one_of("format", &["pretty", "terse"]).help("Format of the list"))
        .arg(flag("verbose").short('v').help("More figures"))
        .arg(flag("quiet").help("Only the figures").conflicts_with("verbose"))
        .arg(flag("ignored").hide(true))
        .arg(flag("bench").hide(true))
        .arg(flag("nocapture").hide(true))
        .arg(flag("show-output").hide(true))
        .arg(flag("include-ignored").hide(true))
        .arg(flag("version").short('V').hide(true))
}

const HELP: &str = "\
Examples:
  cargo bench                                  everything
  cargo bench -- 10MB                          what matches 10MB
  cargo bench -- --save-baseline main          save the samples as main
  cargo bench -- --baseline main               compare with them
  INGESTER_URL=http://127.0.0.1:8020 INGESTER_TOKEN_FILE=token cargo bench --bench upload

Environment:
  INGESTER_URL            a running ingester; with one of the next three
  INGESTER_TOKEN_FILE     file with a bearer token
  INGESTER_TOKEN          a bearer token
  INGESTER_PRIVATE_KEY    RSA private key to mint tokens with: a file, or the PEM text
  INGESTER_TIMEOUT        time limit of one upload [30s]
  INGESTER_MAX_BYTES      most bytes sent to a real ingester in one run [2GB]
  INGESTER_PLACEMENT      split: client and stub on cores of their own; none [split]
  INGESTER_REPORT_DIR     where reports go [target/performance_reports]
  INGESTER_TARGETS        the limits [baseline/targets.toml]

Exit codes: 0 held, 1 a target was missed, 2 could not measure, 130 and 143 interrupted.";

fn mode(given: &ArgMatches) -> Result<Mode, Rejected> {
    let profile: Option<f64> = bounded(given, "profile-time", 1.0..=86_400.0)?;
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
    bounded(given, "noise-threshold", f64::MIN_POSITIVE..=1e6)?;
    bounded(given, "significance-level", 1e-12..=1.0 - 1e-12)?;
    bounded(given, "confidence-level", 1e-12..=1.0 - 1e-12)?;
    bounded(given, "nresamples", 1..=100_000_000_usize)?;
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
        let (least, most) = (range.start(), range.end());
        Rejected::Value(format!("--{option} {text}: must be a number from {least} to {most}"))
    })
}

fn read_slowdown(text: &str) -> Result<(String, f64), Rejected> {
    let parsed = text.split_once('=').and_then(|(id, share)| Some((id.to_owned(), share.parse().ok()?)));
    parsed
        .filter(|(id, share)| SUITE.iter().any(|spec| spec.id() == *id) && (0.0..=100.0).contains(share))
        .ok_or_else(|| Rejected::Value(format!("{SLOWDOWN}: \"{text}\" is not like upload/10KB=0.3")))
}

/// clap's message without its usage and hints.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    format!("{}; see cargo bench -- --help", first.trim_start_matches("error: "))
}
