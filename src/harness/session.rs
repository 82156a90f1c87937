//! What a run needs besides Criterion: settings, limits, the ingester, and leave to send.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::Error;
use crate::case::{PROBES, Spec, clean_up_and_tell};
use crate::client::{Http, Sent};
use crate::console::note;
use crate::ingester::{Ingester, Settings, Subject};
use crate::network::{Network, name_over};
use crate::profile::{CLIENT_ONLY, CpuSampler};
use crate::targets::Targets;
use crate::units::Bytes;

use super::args::{Args, Mode};
use super::floor;
use super::halt::Halt;
use super::outcome::Stop;
use super::profiler;
use super::remote;
use super::sampling::Sampling;

/// All that is fixed before the first slice.
pub struct Session {
    pub settings: Settings,
    pub targets: Targets,
    pub ingester: Arc<Ingester>,
    pub halt: Halt,
    /// How each case is sampled, in the order of the cases.
    pub sampling: Vec<Sampling>,
    /// Samples stacks, where the run is for a profiler.
    pub cpu_sampler: Option<CpuSampler>,
    /// Bytes that may still be sent to a real ingester.
    allowance: Option<AtomicU64>,
    /// What was sent to it, or just begun.
    sent: Sent,
}

impl Session {
    /// Starts or looks at the ingester, and plans what is sent to it.
    pub fn open(
        cases: &[Spec],
        args: &Args,
        mut settings: Settings,
        targets: Targets,
        halt: Halt,
    ) -> Result<Self, Stop> {
        let uploads = cases.iter().any(|spec| spec.sends().is_some());
        // A token check touches no service: none is started, looked at or named for it.
        if !uploads {
            floor::measure_this_machine(&mut settings);
        }
        // Before the ingester: it sees the threads that are started after it.
        let cpu_sampler = profiler::sampler(args);
        if cpu_sampler.is_some() && !settings.subject.is_in_process() {
            note(CLIENT_ONLY);
        }
        let ingester = Arc::new(Ingester::start(&settings, halt.interrupt())?);
        let sent = Sent::default();
        let sampling;
        let allowance;
        // What keeps nothing costs nothing: no look before, and no limit on bytes.
        if settings.keeps_nothing() {
            let what = match settings.subject {
                _ if !uploads => "this machine".to_owned(),
                Subject::Router(_) => "the service in this process".to_owned(),
                _ => settings.faulty_stub().unwrap_or_else(|| "the stub in this process".to_owned()),
            };
            let what = name_over(what, settings.network.as_ref());
            note(format_args!("Measuring {what}; placement {}", settings.placement));
            sampling = match &settings.network {
                None => vec![Sampling::local(args, cases.len() as u32); cases.len()],
                Some(network) => over_network(cases, args, network),
            };
            allowance = None;
        } else {
            let plan = remote::plan(cases, args, &ingester, &settings);
            if plan.is_err() {
                // The look at the first cases has left something already.
                clean_up_and_tell(&ingester, &settings, Http::One);
            }
            let plan = plan?;
            sent.add(PROBES * cases.len() as u64, settings.max_bytes.0 - plan.allowance);
            sampling = plan.sampling;
            allowance = Some(AtomicU64::new(plan.allowance));
        }
        Ok(Self { settings, targets, ingester, halt, sampling, cpu_sampler, allowance, sent })
    }

    /// What was sent to a real ingester in all, for people: it may have kept it.
    pub fn total(&self) -> Option<String> {
        if self.settings.keeps_nothing() {
            return None;
        }
        let name = self.ingester.name();
        Some(format!("Sent to {name} in all, the look before and warming up included: at most {}", self.sent))
    }

    /// Removes what was sent, if the API says how. A failure of that is told, and does not undo what was measured.
    pub fn clean_up(&self) {
        clean_up_and_tell(&self.ingester, &self.settings, Http::One);
    }

    /// What a report says was measured.
    pub fn measured(&self, spec: &Spec) -> String {
        if spec.sends().is_some() { self.ingester.name() } else { "none: this machine".to_owned() }
    }

    /// Takes the bytes of `iters` iterations from the allowance.
    pub fn spend(&self, spec: &Spec, iters: u64) -> Result<(), Stop> {
        let (Some(allowance), Some((uploads, size))) = (&self.allowance, spec.sends()) else {
            return Ok(());
        };
        let bytes = iters.saturating_mul(uploads).saturating_mul(size.0);
        // One case runs at a time, so nobody changes it between here and the store below.
        let left = allowance.load(Ordering::Relaxed);
        let rest = left.checked_sub(bytes).ok_or_else(|| {
            Error::TooMuch(format!(
                "{}: stopped before {} more would have exceeded INGESTER_MAX_BYTES ({})",
                spec.id(),
                Bytes(bytes),
                self.settings.max_bytes
            ))
        })?;
        allowance.store(rest, Ordering::Relaxed);
        self.sent.add(iters.saturating_mul(uploads), bytes);
        Ok(())
    }
}

/// How cases are sampled whose iterations take as long as a simulated network needs for them. That is known beforehand, and
/// said, as it may be an hour.
fn over_network(cases: &[Spec], args: &Args, network: &Network) -> Vec<Sampling> {
    let mut sampling = Vec::new();
    let mut longest = Duration::ZERO;
    for spec in cases {
        let iteration = spec.time_over(network);
        // Without a limit on bytes: nothing of them is kept.
        let chosen = if iteration.is_zero() {
            Sampling::local(args, cases.len() as u32)
        } else {
            Sampling::remote(args, iteration, u64::MAX)
        };
        longest += iteration.mul_f64(chosen.iterations(iteration) as f64);
        sampling.push(chosen);
    }
    if args.mode == Mode::Measure {
        let seconds = Duration::from_secs(longest.as_secs() + 1);
        note(format_args!("The network alone takes about {} for it", humantime::format_duration(seconds)));
    }
    sampling
}
