//! `floor`: each case alternates with its lower bound in one process, and the ratio is what counts. Criterion measures one
//! thing after the other, and between them the machine changes its speed.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::Error;
use crate::case::{Case, LowerBound, Spec, Suite, recording};
use crate::console::note;
use crate::files::write_json;
use crate::ingester::{Ingester, Settings, Subject};
use crate::machine::Environment;
use crate::verdict::Verdict;

use super::alternate::{Comparison, compare};
use super::args::{Args, Mode};
use super::floor_report::{Floor, GROUP, floor_document};
use super::halt::Halt;
use super::last_run;
use super::outcome::Stop;
use super::ratio::Ratio;

/// Time for each comparison.
const BUDGET: Duration = Duration::from_secs(4);

/// A case, and what it is compared with.
enum Pair<'a> {
    Case(&'a Spec, LowerBound),
    /// Timing and recording, against the check of one token.
    Recording(&'a Spec),
}

impl<'a> Pair<'a> {
    fn all(suite: &'a Suite) -> impl Iterator<Item = Self> {
        let bounded = suite.cases().iter().filter_map(|spec| Some(Self::Case(spec, spec.lower_bound()?)));
        bounded.chain(suite.case("jwt/validate").map(Self::Recording))
    }

    fn id(&self) -> String {
        match self {
            Self::Case(spec, _) => format!("{GROUP}/{}", spec.id()),
            Self::Recording(_) => format!("{GROUP}/recording"),
        }
    }
}

/// The ids, for filters and lists.
pub fn ids(suite: &Suite) -> impl Iterator<Item = String> {
    Pair::all(suite).map(|pair| pair.id())
}

/// Compares the pairs that the filter selects.
pub fn run(suite: &Suite, args: &Args, mut settings: Settings) -> Result<Verdict, Stop> {
    let pairs: Vec<Pair<'_>> = Pair::all(suite).filter(|pair| args.filter.selects(&pair.id())).collect();
    // Nothing is saved of a ratio, and a profile of two things at once says nothing of either.
    if pairs.is_empty() || !matches!(args.mode, Mode::Measure | Mode::Test) {
        return Ok(Verdict::Held);
    }
    measure_this_machine(&mut settings);
    let halt = Halt::watch()?;
    let floor = compare_all(&pairs, args, &settings, &halt)?;
    if args.mode == Mode::Measure {
        let path = Floor::path(&settings.report_dir);
        write_json(&path, &floor)?;
        let paged = last_run::save_page(&settings.report_dir, suite);
        let out = &mut io::stdout().lock();
        write!(out, "{}", floor_document(&floor.ratios, &path))?;
        paged?;
    }
    // What was compared before the signal has been written and printed; only now the signal decides.
    if floor.partial { halt.check().map(|()| Verdict::Held) } else { Ok(Verdict::Held) }
}

/// Whatever is configured, what is measured is the machine that this runs on, with the stub.
pub fn measure_this_machine(settings: &mut Settings) {
    match settings.subject {
        Subject::Stub => {}
        Subject::Running { .. } => {
            note("INGESTER_URL is set, but this measures the machine that it runs on");
        }
        Subject::Router(_) | Subject::Command { .. } => {
            note("This measures the machine that it runs on, with the stub, whatever service is configured");
        }
    }
    settings.subject = Subject::Stub;
    if !settings.keeps_nothing() {
        note(
            "INGESTER_STORAGE is set, but this measures the machine that it runs on, with a stub that keeps nothing",
        );
    }
    settings.storage = Vec::new();
    if settings.network.is_some() {
        note("INGESTER_NETWORK is set, but this measures the machine that it runs on, over no network");
    }
    settings.network = None;
    settings.api = Arc::default();
    settings.faults.clear();
}

fn compare_all(pairs: &[Pair<'_>], args: &Args, settings: &Settings, halt: &Halt) -> Result<Floor, Stop> {
    let ingester = Arc::new(Ingester::start(settings, halt.interrupt())?);
    // A test needs only one look at each: `compare` runs its fewest blocks whatever the budget.
    let budget = match args.mode {
        Mode::Test => Duration::ZERO,
        _ => args.measurement.unwrap_or(BUDGET),
    };
    let mut ratios = Vec::new();
    for pair in pairs {
        // Fewer ratios than pairs make the report partial; those that are there are sound.
        if halt.check().is_err() {
            break;
        }
        note(format_args!("Comparing {} with its lower bound", pair.id()));
        ratios.push(ratio(pair, &ingester, settings, budget)?);
    }
    let environment = Environment::read(&settings.placement, "stub");
    Ok(Floor::new(ratios.len() < pairs.len(), ratios, environment))
}

fn ratio(
    pair: &Pair<'_>,
    ingester: &Arc<Ingester>,
    settings: &Settings,
    budget: Duration,
) -> Result<Ratio, Error> {
    let (case, comparison) = match pair {
        Pair::Case(spec, bound) => {
            let mut case = spec.start(ingester, settings)?;
            (spec.id(), against(&mut case, &mut bound.start(&settings.placement)?, budget)?)
        }
        Pair::Recording(jwt) => {
            let mut recording = recording(&settings.placement)?;
            ("recording".to_owned(), against(&mut recording, &mut jwt.start(ingester, settings)?, budget)?)
        }
    };
    Ok(Ratio { case, comparison })
}

/// The comparison, if every operation in it succeeded.
fn against(case: &mut Case, bound: &mut Case, budget: Duration) -> Result<Comparison, Error> {
    let comparison = compare(case, bound, budget)?;
    // A failure takes another time than a success does, and would go into the ratio unseen.
    for side in [case, bound] {
        side.check_success()?;
    }
    Ok(comparison)
}
