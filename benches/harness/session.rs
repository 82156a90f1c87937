//! What a run needs besides Criterion: settings, limits, the ingester, and leave to send.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;

use ingester_perf::Error;
use ingester_perf::case::{SUITE, Spec, probe};
use ingester_perf::ingester::{Ingester, Settings};
use ingester_perf::targets::Targets;
use ingester_perf::units::Bytes;

use super::args::Args;
use super::interrupt::Interrupt;
use super::outcome::Stop;
use super::sampling::Sampling;

/// The limits unless `INGESTER_TARGETS` names another file; cargo starts benches in the crate's folder.
const TARGETS: &str = "baseline/targets.toml";

/// All that is fixed before the first slice.
pub struct Session {
    pub settings: Settings,
    pub targets: Targets,
    pub ingester: Arc<Ingester>,
    pub interrupt: Interrupt,
    /// How each case is sampled, in the order of the cases.
    pub sampling: Vec<Sampling>,
    /// Bytes that may still be sent to a real ingester.
    allowance: Option<Cell<u64>>,
}

impl Session {
    /// Reads settings and limits, starts or looks at the ingester, and plans what is sent to it.
    pub fn open(cases: &[Spec], args: &Args) -> Result<Self, Stop> {
        let mut settings = Settings::from_env()?;
        let targets = read_targets()?;
        let interrupt = Interrupt::watch()?;
        if settings.remote.is_some() && cases.iter().all(|spec| spec.uploads().is_none()) {
            eprintln!("INGESTER_URL is set, but this measures the machine that it runs on");
            settings.remote = None;
        }
        let ingester = Arc::new(Ingester::start(&settings)?);
        let (sampling, allowance) = if settings.remote.is_some() {
            (plan_remote(cases, args, &ingester, &settings)?, Some(Cell::new(settings.max_bytes.0)))
        } else {
            eprintln!("Measuring the stub in this process; placement {}", settings.placement);
            (cases.iter().map(|_| Sampling::local(args)).collect(), None)
        };
        Ok(Self { settings, targets, ingester, interrupt, sampling, allowance })
    }

    /// What a report says was measured.
    pub fn measured(&self, spec: &Spec) -> String {
        if spec.uploads().is_some() { self.ingester.name() } else { "none: this machine".to_owned() }
    }

    /// Takes the bytes of `iters` iterations from the allowance.
    pub fn spend(&self, spec: &Spec, iters: u64) -> Result<(), Stop> {
        let (Some(allowance), Some((uploads, size))) = (&self.allowance, spec.uploads()) else {
            return Ok(());
        };
        let bytes = iters.saturating_mul(uploads).saturating_mul(size.0);
        let rest = allowance.get().checked_sub(bytes).ok_or_else(|| {
            Error::TooMuch(format!(
                "{}: stopped before {} more would have exceeded INGESTER_MAX_BYTES ({})",
                spec.id(),
                Bytes(bytes),
                self.settings.max_bytes
            ))
        })?;
        allowance.set(rest);
        Ok(())
    }
}

/// Looks at a real ingester, says what will be sent to it, and refuses what is too much.
fn plan_remote(
    cases: &[Spec],
    args: &Args,
    ingester: &Arc<Ingester>,
    settings: &Settings,
) -> Result<Vec<Sampling>, Stop> {
    let share = settings.max_bytes.0 / cases.len() as u64;
    let (mut plan, mut uploads, mut bytes, mut seconds) = (Vec::new(), 0, 0, 0.0);
    for spec in cases {
        let (count, size) = spec.uploads().unwrap_or((0, Bytes(0)));
        let iteration = probe(ingester, settings, size)?.mul_f64(count as f64);
        let sampling = Sampling::remote(args, iteration, share / (count * size.0).max(1));
        let iterations = sampling.iterations(iteration);
        uploads += iterations * count;
        bytes += iterations * count * size.0;
        seconds += iterations as f64 * iteration.as_secs_f64();
        plan.push(sampling);
    }
    let text =
        format!("about {uploads} uploads, {}, {seconds:.0} s, files that expire after a day", Bytes(bytes));
    if bytes > settings.max_bytes.0 {
        return Err(Error::TooMuch(format!(
            "this run would send {text}: more than INGESTER_MAX_BYTES ({}); raise that, select fewer cases by a \
             filter, or measure for a shorter time",
            settings.max_bytes
        ))
        .into());
    }
    eprintln!("Measuring {}: {text}", ingester.name());
    Ok(plan)
}

fn read_targets() -> Result<Targets, Stop> {
    let path = std::env::var_os("INGESTER_TARGETS").map_or_else(|| TARGETS.into(), PathBuf::from);
    let text = std::fs::read_to_string(&path).map_err(|e| Error::file(&path, "read", e))?;
    let known = SUITE.map(|spec| spec.operation);
    Ok(Targets::parse(&text, &known).map_err(|e| Error::malformed(&path, e))?)
}
