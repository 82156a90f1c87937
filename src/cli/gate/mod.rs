//! `ingester-perf gate`: two builds, or two running ingesters, in lock-step.

mod bar;
mod sides;

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ingester_perf::Error;
use ingester_perf::gate::{self, Conclusion, Gate, Injection, Plan, Record};
use ingester_perf::ingester::Settings;
use ingester_perf::interrupt::Interrupt;
use ingester_perf::units::Share;

use super::{Exit, targets};
use bar::Bar;
use sides::Sides;

const EXAMPLES: &str = "\
Examples:
  ingester-perf gate                                   this tree against where it left main
  ingester-perf gate --base v1.2 --out gate            this tree against a tag; all slices kept in ./gate
  ingester-perf gate --base-exe old --head-exe new     two builds of this program
  INGESTER_TOKEN_FILE=token ingester-perf gate --case upload/10KB \
      --base-url http://127.0.0.1:8020 --head-url http://127.0.0.1:8021
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
            write!(io::stdout(), "{}", gate::prove(dir, DRAWS)?).map_err(Error::Output)?;
            return Ok(Exit::Held);
        }
        self.measure()
    }

    fn measure(&self) -> Result<Exit, Error> {
        let plan = self.plan();
        plan.check()?;
        let urls = self.urls()?;
        let settings = Settings::measuring(urls.as_ref().map(|[base, _]| base))?;
        let targets = targets(&settings)?;
        gate::clear(&self.out)?;
        let Sides { base, head, notices, lock: _lock } = self.sides(urls)?;
        let same = base.sha256 == head.sha256 && base.url == head.url;
        if same && !self.even_if_identical && self.inject.is_none() {
            return self.identical(&base.name, &head.name);
        }
        eprintln!("Comparing {} with {}; placement {}", head.name, base.name, settings.placement);
        let (base, head, only) = (&base, &head, &self.cases);
        let gate = Gate { base, head, plan: &plan, only, settings: &settings, targets: &targets, notices };
        let (interrupt, bar) = (Interrupt::watch()?, Bar::new(&plan));
        let record = gate.measure(|progress| {
            bar.show(progress);
            if interrupt.signal().is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        bar.end();
        self.keep(&record?, interrupt.signal())
    }

    /// Stores the record, and judges it if it is whole.
    fn keep(&self, record: &Record, signal: Option<u8>) -> Result<Exit, Error> {
        gate::save_record(&self.out, record)?;
        match signal {
            Some(signal) if record.partial => {
                eprintln!("interrupted; what was measured is in {}", self.out.display());
                Ok(Exit::Interrupted(signal))
            }
            _ => conclude(record, Some(&self.out)),
        }
    }

    fn identical(&self, base: &str, head: &str) -> Result<Exit, Error> {
        let sentence = format!("{base} and {head} are identical builds: there is nothing to measure.");
        gate::save_identical(&self.out, &sentence)?;
        writeln!(io::stdout(), "{sentence}\n\npassed").map_err(Error::Output)?;
        Ok(Exit::Held)
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

fn injection(text: &str) -> Result<Injection, String> {
    let parsed = text.split_once('=').and_then(|(case, share)| Some((case.to_owned(), share.parse().ok()?)));
    let (case, Share(share)) = parsed.ok_or("write a case and a share, like upload/10KB=3%")?;
    Ok(Injection { case, share })
}
