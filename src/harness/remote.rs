//! Before a real ingester is measured: look at it, say what will be sent to it, and refuse what is too much.

use std::sync::Arc;
use std::time::Duration;

use crate::Error;
use crate::api::Api;
use crate::case::{PROBES, Spec, probe};
use crate::client::Http;
use crate::console::note;
use crate::ingester::{Ingester, Settings};
use crate::network::Network;
use crate::units::Bytes;

use super::args::{Args, Mode};
use super::outcome::Stop;
use super::sampling::Sampling;

/// How each case is sampled, and how many bytes may still be sent.
pub struct Plan {
    pub sampling: Vec<Sampling>,
    pub allowance: u64,
}

/// Plans the cases within the bytes that the settings allow.
pub fn plan(
    cases: &[Spec],
    args: &Args,
    ingester: &Arc<Ingester>,
    settings: &Settings,
) -> Result<Plan, Stop> {
    // Refused before anything is sent, where even the fewest iterations would be too much.
    let least: u64 = cases.iter().map(|spec| bytes(spec, Sampling::fewest(args))).sum();
    if least > settings.max_bytes.0 {
        return Err(too_much(&format!("at least {}", Bytes(least)), settings));
    }
    if let Some(network) = &settings.network {
        tell_looks(cases, network);
    }
    let share = settings.max_bytes.0 / cases.len() as u64;
    let mut sampling = Vec::new();
    let mut uploads = 0;
    let mut total = 0;
    let mut longest = 0.0;
    for spec in cases {
        let (count, size) = spec.sends().unwrap_or_default();
        // Two uploads of the case's own size: what one takes says how many iterations fit.
        let look = probe(ingester, settings, size, Http::One)?;
        let one = look.second;
        // All cases look at the same service: one warning is enough.
        if let Some(warning) = look.warning().filter(|_| sampling.is_empty()) {
            note(warning);
        }
        // Between perfectly in parallel and one after the other: the most bytes, and the most time.
        let iteration = one.mul_f64(count as f64 / f64::from(spec.users()));
        let chosen = Sampling::remote(args, iteration, share / (count * size.0).max(1));
        let iterations = match args.mode {
            Mode::Test => 1,
            _ => chosen.iterations(iteration),
        };
        uploads += PROBES + iterations * count;
        total += bytes(spec, iterations);
        longest += iterations as f64 * one.as_secs_f64() * count as f64;
        sampling.push(chosen);
    }
    // Once more, now that the number of iterations is known from the times of the looks.
    let text = format!("about {uploads} uploads, {}, in up to {longest:.0} s", Bytes(total));
    if total > settings.max_bytes.0 {
        return Err(too_much(&text, settings));
    }
    let after = match &ingester.api().cleanup {
        Some(_) => "the files are removed after it",
        None if settings.subject.is_in_process() => "those in folders are removed after it",
        None if **ingester.api() == Api::default() => "the files are to expire after a day",
        None => "the files stay ([cleanup] removes them)",
    };
    note(format_args!("Measuring {}: {text}; {after}", ingester.name()));
    // The looks have been sent already.
    let probed: u64 = cases.iter().map(|spec| bytes(spec, 0)).sum();
    Ok(Plan { sampling, allowance: settings.max_bytes.0 - probed })
}

/// Says how long the looks take over a simulated network, which may be minutes.
fn tell_looks(cases: &[Spec], network: &Network) {
    let mut looks = Duration::ZERO;
    for (_, size) in cases.iter().filter_map(Spec::sends) {
        looks += network.exchange(size) * PROBES as u32;
    }
    let seconds = Duration::from_secs(looks.as_secs() + 1);
    note(format_args!(
        "Looking at it first: two uploads for each case, for which the network alone takes about {}",
        humantime::format_duration(seconds)
    ));
}

/// Bytes of the files that the look before and so many iterations send.
fn bytes(spec: &Spec, iterations: u64) -> u64 {
    let (count, size) = spec.sends().unwrap_or_default();
    size.0.saturating_mul(PROBES.saturating_add(iterations.saturating_mul(count)))
}

fn too_much(what: &str, settings: &Settings) -> Stop {
    let text = format!(
        "this run would send {what}: more than INGESTER_MAX_BYTES ({}); raise that, select fewer cases by a filter, \
         or measure for a shorter time",
        settings.max_bytes
    );
    Error::TooMuch(text).into()
}
