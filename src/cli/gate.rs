//! `ingester-perf gate`: two builds, or two running ingesters, in lock-step.

use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use ingester_perf::Error;
use ingester_perf::case::{SUITE, Spec, read_targets};
use ingester_perf::gate::build::{Build, Commit, Lock, Tree};
use ingester_perf::gate::{self, Conclusion, Gate, Injection, Plan, Progress, Record, Side};
use ingester_perf::ingester::{Settings, base_url};
use ingester_perf::interrupt::Interrupt;
use ingester_perf::units::Share;
use url::Url;

use super::Exit;

const EXAMPLES: &str = "\
Examples:
  ingester-perf gate                                   this tree against where it left main
  ingester-perf gate --base v1.2 --out gate            this tree against a tag; all slices kept in ./gate
  ingester-perf gate --base-exe old --head-exe new     two builds of this program
  INGESTER_TOKEN_FILE=token ingester-perf gate --base-url http://127.0.0.1:8020 --head-url http://127.0.0.1:8021
  ingester-perf gate --replay gate                     the verdict again, from the slices

Exit codes: 0 no case got slower, 1 a case did, 2 could not measure, 3 inconclusive, 130 and 143 interrupted.
How it works, and what it can tell: docs/gate.md.";

/// Sessions that `--proof` draws from the stored pairs.
const DRAWS: u32 = 10_000;

/// The command's arguments.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct GateArgs {
    /// Compare with this commit, branch or tag [default: where this branch left main]
    #[arg(long, value_name = "REF", conflicts_with_all = ["base_exe", "base_url"])]
    base: Option<String>,
    /// Compare this commit, branch or tag [default: this tree as it stands]
    #[arg(long, value_name = "REF", conflicts_with_all = ["head_exe", "head_url"])]
    head: Option<String>,
    /// Compare with this executable of ingester-perf
    #[arg(long, value_name = "FILE", conflicts_with = "base_url", requires = "head_exe")]
    base_exe: Option<PathBuf>,
    /// Compare this executable
    #[arg(long, value_name = "FILE", conflicts_with = "head_url", requires = "base_exe")]
    head_exe: Option<PathBuf>,
    /// Compare with this running ingester
    #[arg(long, value_name = "URL", requires = "head_url")]
    base_url: Option<String>,
    /// Compare this running ingester
    #[arg(long, value_name = "URL", requires = "base_url")]
    head_url: Option<String>,
    /// Only this case; can be given several times
    #[arg(long = "case", value_name = "ID")]
    cases: Vec<String>,
    /// Time of measuring, shared among cases
    #[arg(long, default_value = "90s", value_name = "TIME", value_parser = humantime::parse_duration)]
    budget: Duration,
    /// Pairs of processes, 10 to 20
    #[arg(long, default_value_t = Plan::default().pairs, value_name = "N")]
    pairs: usize,
    /// Test whether a case got slower by more than this
    #[arg(long, default_value = "1%", value_name = "SHARE")]
    margin: Share,
    /// Fail a case from this slowdown on; gate_fail_over_pct in baseline/targets.toml sets it for one case
    #[arg(long, default_value = "2%", value_name = "SHARE")]
    fail_over: Share,
    /// How often a run of equal builds may call any case slower
    #[arg(long, default_value = "0.5%", value_name = "SHARE")]
    rate: Share,
    /// Seed of all orders [default: random; printed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Keep slices, verdict and summary in this folder
    #[arg(long, default_value = "target/gate/report", value_name = "DIR")]
    out: PathBuf,
    /// Measure even where both executables are the same
    #[arg(long)]
    even_if_identical: bool,
    /// Judge the slices of this folder again; measures nothing
    #[arg(long, value_name = "DIR", exclusive = true)]
    replay: Option<PathBuf>,
    /// Count the sessions stored in this folder, as ci/gate-proof.sh does
    #[arg(long, hide = true, value_name = "DIR", exclusive = true)]
    proof: Option<PathBuf>,
    /// Slow a case of head by a share of its time, like upload/10KB=3%: to try the gate out
    #[arg(long, hide = true, value_name = "CASE=SHARE", value_parser = injection)]
    inject: Option<Injection>,
}

impl GateArgs {
    pub fn run(self) -> Result<Exit, Error> {
        if let Some(dir) = &self.replay {
            return conclude(&gate::load_record(dir)?, None);
        }
        if let Some(dir) = &self.proof {
            print!("{}", gate::prove(dir, DRAWS)?);
            return Ok(Exit::Held);
        }
        let plan = self.plan();
        plan.check()?;
        let urls = self.urls()?;
        let settings = Settings::measuring(urls.as_ref().map(|[base, _]| base))?;
        let targets = read_targets(&settings.targets)?;
        let Sides { base, head, notices, _lock } = self.sides(urls)?;
        if base.sha256 == head.sha256 && base.url == head.url && !self.even_if_identical {
            println!("{} and {} are identical builds: nothing to measure. passed", base.name, head.name);
            return Ok(Exit::Held);
        }
        eprintln!("Comparing {} with {}; placement {}", head.name, base.name, settings.placement);
        let gate = Gate {
            base: &base,
            head: &head,
            plan: &plan,
            only: &self.cases,
            settings: &settings,
            targets: &targets,
            notices,
        };
        let interrupt = Interrupt::watch()?;
        let bar = Bar::new(&plan);
        let record = gate.measure(|progress| {
            bar.show(progress);
            if interrupt.signal().is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        bar.end();
        let record = record?;
        gate::save_record(&self.out, &record)?;
        match interrupt.signal() {
            Some(signal) if record.partial => {
                eprintln!("interrupted; what was measured is in {}", self.out.display());
                Ok(Exit::Interrupted(signal))
            }
            _ => conclude(&record, Some(&self.out)),
        }
    }

    fn plan(&self) -> Plan {
        let default = Plan::default();
        Plan {
            pairs: self.pairs,
            budget_ms: self.budget.as_millis() as u64,
            margin: self.margin.0,
            fail_over: self.fail_over.0,
            rate: self.rate.0,
            seed: self.seed.unwrap_or(default.seed),
            injected: self.inject.clone(),
        }
    }

    fn urls(&self) -> Result<Option<[Url; 2]>, Error> {
        let (Some(base), Some(head)) = (&self.base_url, &self.head_url) else { return Ok(None) };
        Ok(Some([base_url("--base-url", base)?, base_url("--head-url", head)?]))
    }

    fn sides(&self, urls: Option<[Url; 2]>) -> Result<Sides, Error> {
        let of = |base, head| Sides { base, head, notices: Vec::new(), _lock: None };
        if let Some([base, head]) = urls {
            let own = std::env::current_exe().map_err(Error::Pipe)?;
            return Ok(of(Side::at_url(&base, &own)?, Side::at_url(&head, &own)?));
        }
        if let (Some(base), Some(head)) = (&self.base_exe, &self.head_exe) {
            return Ok(of(Side::executable(base)?, Side::executable(head)?));
        }
        self.built_sides()
    }

    /// Both commits, built.
    fn built_sides(&self) -> Result<Sides, Error> {
        let tree = Tree::find()?;
        let lock = tree.lock()?;
        let head = tree.head(self.head.as_deref())?;
        let base = tree.base(self.base.as_deref(), &head)?;
        let mut notices = [base.notes.clone(), head.notes.clone()].concat();
        notices.extend(changed_cases(&tree.changed(&base, &head)?));
        let side = |commit: &Commit| -> Result<Side, Error> {
            let Build { executable, sha256 } = tree.build(commit, &lock)?;
            Ok(Side { name: commit.name.clone(), executable, sha256, url: None })
        };
        Ok(Sides { base: side(&base)?, head: side(&head)?, notices, _lock: Some(lock) })
    }
}

/// What is compared.
struct Sides {
    base: Side,
    head: Side,
    /// What is known of them.
    notices: Vec<String>,
    /// Held until all is measured: a second gate would measure the first.
    _lock: Option<Lock>,
}

/// Cases whose own source differs are timed in two ways: an effect may be the measurement's.
fn changed_cases(paths: &[String]) -> Option<String> {
    let timed_by =
        |spec: &&Spec| paths.iter().any(|path| spec.sources().iter().any(|source| path.starts_with(source)));
    let cases: Vec<String> = SUITE.iter().filter(timed_by).map(Spec::id).collect();
    (!cases.is_empty()).then(|| {
        format!(
            "the code that times {} differs between the two: an effect may be that code's own",
            cases.join(", ")
        )
    })
}

/// Prints the verdict, writes it to `out`, and says how to exit.
fn conclude(record: &Record, out: Option<&Path>) -> Result<Exit, Error> {
    let verdict = gate::judge(record);
    if let Some(dir) = out {
        gate::save_verdict(dir, record, &verdict)?;
        eprintln!("Slices, verdict and summary: {}", dir.display());
    }
    gate::print_verdict(&mut io::stdout().lock(), record, &verdict).map_err(Error::Output)?;
    Ok(match verdict.conclusion {
        Conclusion::Pass => Exit::Held,
        Conclusion::Regression => Exit::Missed,
        Conclusion::Inconclusive => Exit::Untrusted,
    })
}

/// How far it is, on standard error: a bar on a terminal, else a line for every pair.
struct Bar {
    bar: ProgressBar,
    pairs: usize,
    line_of: std::cell::Cell<usize>,
}

impl Bar {
    fn new(plan: &Plan) -> Self {
        let style = ProgressStyle::with_template("pair {msg} [{wide_bar}] {percent} %, {eta} left")
            .expect("the template has only known parts");
        let bar = ProgressBar::new(plan.budget_ms).with_style(style);
        Self { bar, pairs: plan.pairs, line_of: std::cell::Cell::new(0) }
    }

    fn show(&self, Progress { pair, measured }: Progress) {
        if io::stderr().is_terminal() {
            self.bar.set_position(measured.as_millis() as u64);
            self.bar.set_message(format!("{pair} of {}", self.pairs));
        } else if self.line_of.replace(pair) != pair {
            let _ = writeln!(io::stderr(), "pair {pair} of {}", self.pairs);
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn injection(text: &str) -> Result<Injection, String> {
    let parsed = text.split_once('=').and_then(|(case, share)| Some((case.to_owned(), share.parse().ok()?)));
    let (case, Share(share)) = parsed.ok_or("write a case and a share, like upload/10KB=3%")?;
    Ok(Injection { case, share })
}
