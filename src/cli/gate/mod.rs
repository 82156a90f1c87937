//! `ingester-perf gate`: two builds, two services, or two running ingesters, in lock-step.

mod bar;
mod bisect;
mod counters;
mod sides;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::case::Suite;
use crate::config::Config;
use crate::console::note;
use crate::gate::{self, Explaining, Gate, Side};
use crate::ingester::Settings;
use crate::interrupt::Interrupt;
use crate::lockstep::{
    self, GateLinks, IdenticalRecord, Injection, Plan, Record, Report, SCHEMA_VERSION, SessionVerdict, Why,
};
use crate::machine::Environment;
use crate::units::{Share, printable};
use crate::{Error, Exit};

use super::export::ExportArgs;
use bar::Bar;
use bisect::BisectArgs;
use counters::CounterArgs;
use sides::{Configured, Sides};

const EXAMPLES: &str = "\
Examples:
  ingester-perf gate                                   this tree against where it left main
  ingester-perf gate --base v1.2 --out gate            this tree against a tag; all slices kept in ./gate
  ingester-perf gate --base-release                    this tree against the last release (docs/history.md)
  ingester-perf gate                                   in a repository with ingester-perf.toml: this tree's service
                                                       against that of where it left main (docs/own-service.md)
  ingester-perf gate --bench perf                      the bench of the crate in this folder, likewise
  ingester-perf gate --base-serve 'svc --old' --head-serve 'svc --new'
  ingester-perf gate --base-exe old --head-exe new     two builds of this program, or two workers (docs/worker.md)
  INGESTER_TOKEN_FILE=token ingester-perf gate --case upload/10KB \
      --base-url http://127.0.0.1:8020 --head-url http://127.0.0.1:8021
  INGESTER_NETWORK=lte ingester-perf gate --case upload/1MB --budget 10m
                                                       over a simulated network (docs/network.md)
  ingester-perf gate --replay gate                     the verdict again, from the slices
  ingester-perf gate --bisect v1.2..main --case upload/1MB
                                                       the commit with which it got slower
  ingester-perf gate --export junit=gate.xml           cases as tests of a CI; the page is gate.html in --out (docs/pages.md)

Where a case of a build of this program got slower, the gate says why: by how much of it the token check, the hash and other
phases got slower, each with an interval, and a differential flame graph. That takes some ten seconds for each of three cases
at most (--no-explain leaves it out).

Exit codes: 0 no case got slower, 1 a case did, or a counter rose by more than --counters-fail, 2 could not measure,
3 inconclusive; 129, 130 and 143 interrupted. With --bisect: 0 the case did not get slower, 1 the commit was found, 3 it cannot
be told, or not to one commit.
How it works, and what it can tell: docs/gate.md.";

/// Where a session is stored, unless told otherwise.
const OUT: &str = "target/gate/report";
/// Where a search for a commit is.
const BISECT_OUT: &str = "target/gate/bisect";
/// Sessions that `--proof` draws from the stored pairs.
const DRAWS: u32 = 10_000;

/// The command's arguments.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct GateArgs {
    /// File that says what is measured, and how to speak to it [default: INGESTER_CONFIG, or ingester-perf.toml here or above]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Compare with this commit, branch or tag [default: where this branch left main]
    #[arg(long, value_name = "REF",
          conflicts_with_all = ["base_exe", "head_exe", "base_url", "head_url", "base_serve", "head_serve"])]
    base: Option<String>,
    /// Compare with the last release before head: the nearest tag named like a version (v1.2.3), or annotated
    #[arg(long,
          conflicts_with_all = ["base", "base_exe", "head_exe", "base_url", "head_url", "base_serve", "head_serve"])]
    base_release: bool,
    /// Compare this commit, branch or tag [default: this tree as it stands]
    #[arg(long, value_name = "REF",
          conflicts_with_all = ["base_exe", "head_exe", "base_url", "head_url", "base_serve", "head_serve"])]
    head: Option<String>,
    /// Compare with this executable: a build of ingester-perf, or any worker as docs/worker.md describes
    #[arg(long, value_name = "FILE", conflicts_with_all = ["base_url", "head_url"], requires = "head_exe")]
    base_exe: Option<PathBuf>,
    /// Compare this executable
    #[arg(long, value_name = "FILE", conflicts_with_all = ["base_url", "head_url"], requires = "base_exe")]
    head_exe: Option<PathBuf>,
    /// Of each commit, compare this bench of the crate in the current folder
    #[arg(long, value_name = "NAME",
          conflicts_with_all = ["base_exe", "head_exe", "base_url", "head_url", "base_serve", "head_serve"])]
    bench: Option<String>,
    /// Compare with the service that this command starts, as serve in ingester-perf.toml
    #[arg(long, value_name = "COMMAND", requires = "head_serve",
          conflicts_with_all = ["base_exe", "head_exe", "base_url", "head_url"])]
    base_serve: Option<String>,
    /// Compare the service that this command starts
    #[arg(long, value_name = "COMMAND", requires = "base_serve",
          conflicts_with_all = ["base_exe", "head_exe", "base_url", "head_url"])]
    head_serve: Option<String>,
    /// Compare with this running ingester
    #[arg(long, value_name = "URL", requires = "head_url")]
    base_url: Option<String>,
    /// Compare this running ingester
    #[arg(long, value_name = "URL", requires = "base_url")]
    head_url: Option<String>,
    /// Only this case; can be given several times
    #[arg(long = "case", value_name = "ID")]
    cases: Vec<String>,
    /// Pass though head lacks this case; can be given several times
    #[arg(long = "allow-missing", value_name = "ID")]
    allow_missing: Vec<String>,
    /// Time of measuring, shared among cases
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = humantime::parse_duration)]
    budget: Duration,
    /// Pairs of processes, at least 10
    #[arg(long, default_value_t = Plan::default().pairs, value_name = "N")]
    pairs: usize,
    /// Where a case is undecided, go on to at most so many pairs, each as long as the others [default: twice --pairs]
    #[arg(long, value_name = "N")]
    max_pairs: Option<usize>,
    /// Test whether a case got slower by more than this
    #[arg(long, default_value = "1%", value_name = "SHARE")]
    margin: Share,
    /// Fail a case from this slowdown on; gate_threshold_pct in baseline/targets.toml sets it for one case
    #[arg(long, default_value = "2%", value_name = "SHARE")]
    threshold: Share,
    /// False-alarm rate: how often a run of equal builds may call any case slower
    #[arg(long, default_value = "0.5%", value_name = "SHARE")]
    alpha: Share,
    /// Seed of all orders [default: random; printed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Keep slices, verdict, summary and page in this folder [default: target/gate/report; with --bisect target/gate/bisect]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Measure even where both executables are the same
    #[arg(long)]
    even_if_identical: bool,
    /// Do not explain why a case got slower
    #[arg(long)]
    no_explain: bool,
    /// Judge the slices of this folder again; measures nothing
    #[arg(long, value_name = "DIR", conflicts_with_all = ["config", "base", "base_release", "head", "base_exe", "head_exe",
          "base_serve", "head_serve", "base_url", "head_url", "bench", "cases", "allow_missing", "pairs", "max_pairs", "budget", "margin",
          "threshold", "alpha", "bisect", "seed", "out", "even_if_identical", "no_explain", "inject", "no_counters", "counters_show", "counters_fail"])]
    replay: Option<PathBuf>,
    /// Count the sessions stored in this folder, as ci/gate-proof.sh does
    #[arg(long, hide = true, value_name = "DIR", exclusive = true)]
    proof: Option<PathBuf>,
    /// Slow a case of head by a share of its time, like upload/10KB=3%: to try the gate out
    #[arg(long, hide = true, value_name = "CASE=SHARE", value_parser = injection)]
    inject: Option<Injection>,
    #[command(flatten)]
    export: ExportArgs,
    #[command(flatten)]
    counters: CounterArgs,
    #[command(flatten)]
    bisect: BisectArgs,
}

impl GateArgs {
    pub fn run(self) -> Result<Exit, Error> {
        if let Some(dir) = &self.replay {
            let record = lockstep::load_record(dir)?;
            let verdict = lockstep::judge(&record);
            let why = stored_reasons(dir, &record, &verdict);
            return self.tell(&record, &verdict, &why);
        }
        if let Some(dir) = &self.proof {
            write!(io::stdout(), "{}", lockstep::prove(dir, DRAWS)?).map_err(Error::Output)?;
            return Ok(Exit::Held);
        }
        if let Some(range) = &self.bisect.range {
            return self.search(range);
        }
        self.measure()
    }

    /// The folder for what is stored.
    fn out(&self) -> &Path {
        let usual = if self.bisect.range.is_some() { BISECT_OUT } else { OUT };
        self.out.as_deref().unwrap_or_else(|| Path::new(usual))
    }

    fn measure(&self) -> Result<Exit, Error> {
        let plan = self.plan();
        plan.check()?;
        self.counters.check()?;
        let urls = self.urls()?;
        let config = Config::find(self.config.as_deref())?;
        let suite = config.suite(&Suite::default());
        let settings = Settings::measuring(&config.describe(&suite), urls.as_ref().map(|[base, _]| base))?;
        // The folder is claimed now: minutes of measuring must not be lost because it cannot be written.
        let report = Report::begin(self.out())?;
        self.export.check()?;
        // Watched before anything is built: a build takes minutes, and ends at once when asked to.
        let interrupt = Interrupt::watch()?;
        let configured = Configured { config: &config, suite: &suite, settings: &settings };
        let sides = self.sides(urls, &configured, &interrupt)?;
        let Sides { mut base, mut head, targets, accepted, notices, counted, lock: _lock } = sides;
        // Workers read the very file that this process has read.
        base.config.clone_from(&config.path);
        head.config.clone_from(&config.path);
        if self.are_identical(&base, &head, &suite)? && !self.even_if_identical && self.inject.is_none() {
            let sentence =
                format!("{} and {} are identical builds: there is nothing to measure.", base.name, head.name);
            let sentence = printable(&sentence);
            report.save_identical(&sentence, &identical_record(&base, &head, &settings))?;
            self.export.write(&lockstep::identical_document(&sentence))?;
            return Ok(Exit::Held);
        }
        note(format_args!(
            "Comparing {} with {}; placement {}",
            printable(&head.name),
            printable(&base.name),
            settings.placed()
        ));
        if let Some(stub) = settings.faulty_stub() {
            note(format_args!("Measuring {stub}"));
        }
        if let Some(network) = &settings.network {
            note(format_args!("Over a simulated network: {network}"));
        }
        // Before the session, which is to have the machine for itself.
        let counters = match &counted {
            Some(sides) => {
                Some(self.counters.counting(sides, &self.cases, &self.allow_missing, &interrupt).count()?)
            }
            None => None,
        };
        let bar = Bar::new(&plan);
        let gate = Gate {
            base: &base,
            head: &head,
            plan: &plan,
            suite: &suite,
            only: &self.cases,
            settings: &settings,
            targets: &targets,
            accepted: &accepted,
            notices,
            allow_missing: &self.allow_missing,
            copies: &report.copies(),
            interrupt: &interrupt,
        };
        let record = gate.measure(|progress| bar.show(progress));
        // The bar goes before anything else is printed, an error included.
        bar.end();
        let mut record = record?;
        record.counters = counters;
        // Stored before it is judged: `--replay` judges the same slices again.
        report.save_record(&record)?;
        if record.partial {
            if let Err(error) = report.save_interrupted(&record) {
                note(format_args!("There is no page of what was measured: {error}"));
            }
            note(format_args!("what was measured until now is in {}", report.dir().display()));
            interrupt.check()?;
        }
        let verdict = lockstep::judge(&record);
        // Before it is explained: whatever happens then, the verdict stands.
        report.save_verdict(&record, &verdict, &Why::default())?;
        let mut why = Why::default();
        if !self.no_explain {
            let explaining = Explaining {
                base: &base,
                head: &head,
                suite: &suite,
                settings: &settings,
                report: &report,
                interrupt: &interrupt,
            };
            if let Some(explanation) = explaining.explain(&record, &verdict) {
                why = Why::of(&explanation, &verdict, record.plan.seed);
                let stored = report
                    .save_explanation(&record, &explanation)
                    .and_then(|()| report.save_verdict(&record, &verdict, &why));
                if let Err(error) = stored {
                    note(format_args!("What explains the verdict is printed, and not stored: {error}"));
                }
            }
        }
        note(format_args!("Slices, verdict, summary and page: {}", report.dir().display()));
        self.tell(&record, &verdict, &why)
    }

    /// Tells the verdict and the reasons for it, and says how to exit.
    fn tell(&self, record: &Record, verdict: &SessionVerdict, why: &Why) -> Result<Exit, Error> {
        // Without links: an exported page may lie anywhere.
        let page = lockstep::gate_page(record, verdict, why, GateLinks::default());
        self.export.write_with_page(&lockstep::verdict_document(record, verdict, why), &page)?;
        Ok(verdict.conclusion.into())
    }

    /// Whether both sides are one program, so that nothing can differ. A script may use files that lie beside it, and two
    /// running ingesters are two.
    fn are_identical(&self, base: &Side, head: &Side, suite: &Suite) -> Result<bool, Error> {
        let same_bytes = base.sha256 == head.sha256 && base.url.is_none();
        if !same_bytes || base.service != head.service || gate::is_script(&head.executable)? {
            return Ok(false);
        }
        match self.cases.iter().find(|id| suite.case(id).is_none()) {
            // Nothing is measured, so no worker will ever say that it has no such case.
            Some(id) => Err(Error::Setting { name: "--case", problem: format!("there is no {id}") }),
            None => Ok(true),
        }
    }

    fn plan(&self) -> Plan {
        let default = Plan::default();
        Plan {
            pairs: self.pairs,
            max_pairs: self.max_pairs.unwrap_or(self.pairs.saturating_mul(2)),
            budget_ms: self.budget.as_millis() as u64,
            margin: self.margin.0,
            threshold: self.threshold.0,
            alpha: self.alpha.0,
            tail_alpha: default.tail_alpha,
            seed: self.seed.unwrap_or(default.seed),
            injected: self.inject.clone(),
        }
    }
}

/// The reasons for a verdict, from what is stored beside it. Where that cannot be read, it is said, and the verdict stands
/// without them.
fn stored_reasons(dir: &Path, record: &Record, verdict: &SessionVerdict) -> Why {
    match lockstep::load_explanation(dir, record) {
        Ok(Some(explanation)) => Why::of(&explanation, verdict, record.plan.seed),
        Ok(None) => Why::default(),
        Err(error) => {
            note(format_args!("The verdict is told without its reasons: {error}"));
            Why::default()
        }
    }
}

/// What is kept of two builds that are the same: a history needs to know that nothing changed between their commits.
fn identical_record(base: &Side, head: &Side, settings: &Settings) -> IdenticalRecord {
    let environment = Environment::read(&settings.placed(), "stub");
    IdenticalRecord {
        schema_version: SCHEMA_VERSION,
        made_at: environment.made_at.clone(),
        base_commit: base.commit.clone(),
        head_commit: head.commit.clone(),
        environment: serde_json::to_value(environment).expect("an environment has only texts and numbers"),
    }
}

fn injection(text: &str) -> Result<Injection, String> {
    let parsed = text.split_once('=').and_then(|(case, share)| Some((case.to_owned(), share.parse().ok()?)));
    let (case, Share(share)) = parsed.ok_or("write a case and a share, like upload/10KB=3%")?;
    Ok(Injection { case, share })
}
