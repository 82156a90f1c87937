//! `floor`: each case alternates with its limit in one process, and the ratio is what counts. Criterion measures one
//! thing after the other, and between them the machine changes its speed.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use ingester_perf::case::{Case, Comparison, SUITE, Spec, compare, recording};
use ingester_perf::environment::Environment;
use ingester_perf::ingester::{Ingester, Settings};
use ingester_perf::report::{print_ratios, write_atomically};
use ingester_perf::{Error, report::Ratio};
use serde::Serialize;

use super::args::{Args, Mode};
use super::interrupt::Interrupt;
use super::outcome::Stop;

/// The name of this bench.
pub const GROUP: &str = "floor";

/// Time for each comparison.
const BUDGET: Duration = Duration::from_secs(5);

/// `floor.json`.
#[derive(Serialize)]
struct Floor {
    schema_version: u32,
    ratios: Vec<Ratio>,
    environment: Environment,
}

/// What is set against what.
enum Pair {
    Case(Spec),
    Recording,
}

impl Pair {
    fn all() -> impl Iterator<Item = Self> {
        // Under load no limit is defined: what 10 users do at once has no one thing below it.
        let limited = SUITE.into_iter().filter(|spec| spec.group != "load");
        limited.map(Self::Case).chain([Self::Recording])
    }

    fn id(&self) -> String {
        match self {
            Self::Case(spec) => format!("{GROUP}/{}", spec.id()),
            Self::Recording => format!("{GROUP}/recording"),
        }
    }
}

/// The ids, for filters and lists.
pub fn ids() -> impl Iterator<Item = String> {
    Pair::all().map(|pair| pair.id())
}

/// Compares what the filter selects.
pub fn run(args: &Args) -> Result<bool, Stop> {
    let pairs: Vec<Pair> = Pair::all().filter(|pair| args.filter.selects(&pair.id())).collect();
    // Nothing is saved of a ratio, and a profile of two things at once says nothing of either.
    if pairs.is_empty() || !matches!(args.mode, Mode::Measure | Mode::Test) {
        return Ok(true);
    }
    let mut settings = Settings::from_env()?;
    if settings.remote.take().is_some() {
        eprintln!("INGESTER_URL is set, but this measures the machine that it runs on");
    }
    let floor = compare_all(&pairs, args, &settings)?;
    if args.mode == Mode::Measure {
        let path = settings.report_dir.join(format!("{GROUP}.json"));
        write_atomically(&path, &floor)?;
        let out = &mut io::stdout().lock();
        print_ratios(out, &floor.ratios)?;
        writeln!(out, "\nReport: {}\n", path.display())?;
    }
    Ok(true)
}

fn compare_all(pairs: &[Pair], args: &Args, settings: &Settings) -> Result<Floor, Stop> {
    let interrupt = Interrupt::watch()?;
    let ingester = Arc::new(Ingester::start(settings)?);
    let budget = match args.mode {
        Mode::Test => Duration::ZERO,
        _ => args.measurement.unwrap_or(BUDGET),
    };
    let mut ratios = Vec::new();
    for pair in pairs {
        eprintln!("Comparing {} with its limit", pair.id());
        interrupt.check()?;
        ratios.push(ratio(pair, &ingester, settings, budget)?);
    }
    let environment = Environment::read(&settings.placement, "stub");
    Ok(Floor { schema_version: 1, ratios, environment })
}

fn ratio(
    pair: &Pair,
    ingester: &Arc<Ingester>,
    settings: &Settings,
    budget: Duration,
) -> Result<Ratio, Error> {
    let (case, comparison) = match pair {
        Pair::Case(spec) => {
            let mut case = spec.start(ingester, settings)?;
            (spec.id(), against(&mut case, &mut spec.limit(&settings.placement)?, budget)?)
        }
        Pair::Recording => {
            let jwt = SUITE.iter().find(|spec| spec.id() == "jwt/validate").expect("is in the suite");
            let mut recording = recording(&settings.placement)?;
            ("recording".to_owned(), against(&mut recording, &mut jwt.start(ingester, settings)?, budget)?)
        }
    };
    Ok(Ratio { case, comparison })
}

/// The comparison, if every operation in it succeeded.
fn against(case: &mut Case, limit: &mut Case, budget: Duration) -> Result<Comparison, Error> {
    let comparison = compare(case, limit, budget)?;
    for side in [case, limit] {
        side.assert_success()?;
    }
    Ok(comparison)
}
