//! `--find`: the highest rate that a service holds, by steps that a search asks for.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use crate::Error;
use crate::console::note;
use crate::load::{
    CapacityLimit, CapacityPlan, CapacityRecord, CapacitySearch, CapacityStep, LoadRecord, NextStep,
    NotSearchable, RecordedRun, Recovery, StepEvidence, StepOutcome, StepWatch, usual_step,
};
use crate::report::LEAST_SUCCESS_PCT;
use crate::targets::{Limit, Metric, Targets};
use crate::units::significant;

use super::args::LoadArgs;
use super::generator::Generator;
use super::schedule::Preset;
use super::search::OPERATION;

/// Steps near the edge unless told otherwise. With so many, the answer is within 5 % (docs/capacity.md).
const FINE_STEPS: u32 = 24;
/// What is looked for where nothing says so: on a latency, and on the success rate.
const USUAL_LATENCY: Limit = (Metric::P99Ms, 500.0);
const USUAL_SUCCESS: Limit = (Metric::SuccessRatePct, 99.9);
/// Share of what one user would send that the first step asks for. It begins low: a service that breaks at the first step has
/// not shown how it looks when it is well.
const BEGINNING: f64 = 0.5;
/// Rates that a search begins with by itself, in requests a second.
const LEAST: f64 = 0.1;
const MOST: f64 = 1000.0;
/// Lengths of a step that can be asked for.
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(3600);
/// How long a service may take to recover from a step before the next one is made all the same.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks at whether it has recovered.
const PAUSE: Duration = Duration::from_millis(500);
/// How long the look before the first step may take. How long it needs is not known yet.
const LONGEST_LOOK: Duration = Duration::from_secs(600);
/// Shortest time that a look between two steps is given, ...
const SHORTEST_LOOK: Duration = Duration::from_secs(5);
/// ... and the same in latencies at rest. Its uploads may take twice as long each. In half of that time two of the three have
/// to end, so that the last one begins.
const LOOK_IN_LATENCIES: u32 = 8;
/// It has recovered with a latency of at most so many times the one before the first step, ...
const RECOVERED: u32 = 2;
/// ... or of this much more, as latencies of a millisecond are doubled by the scheduler alone.
const SLACK: Duration = Duration::from_millis(5);

/// A service, and how far its search is.
struct SearchedService<'a> {
    generator: &'a mut Generator,
    search: CapacitySearch,
    /// Its latency before the first step; nothing where even that failed.
    rested: Option<Duration>,
}

/// How a service was found before a step.
struct Rest {
    recovery: Recovery,
    /// Whether it answered every request of the last look.
    answers: bool,
}

/// How a step came out, for people.
struct StepLine<'a> {
    rate: f64,
    outcome: StepOutcome,
    lost: bool,
    /// Name of the service, where there are two.
    service: Option<&'a str>,
}

impl fmt::Display for StepLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = significant(self.rate);
        match self.service {
            Some(service) => write!(f, "{rate}/s to {service}: ")?,
            None => write!(f, "{rate}/s: ")?,
        }
        f.write_str(match self.outcome {
            StepOutcome::Held => "held",
            StepOutcome::Missed if self.lost => "missed, and ended early",
            StepOutcome::Missed => "missed",
            StepOutcome::Invalid => "not to be trusted: the generator did not keep up",
        })
    }
}

impl LoadArgs {
    /// Whether a capacity is looked for.
    pub fn is_search(&self) -> bool {
        !self.search.finds.is_empty() || self.schedule.preset == Some(Preset::Capacity)
    }

    /// What is looked for: the limits that were given, or else those of a search in these targets. An error for what no rate can
    /// hold, and for arguments that do not go with a search.
    pub fn searched_limits(&self, targets: &Targets) -> Result<Vec<CapacityLimit>, Error> {
        if self.schedule.preset.is_some_and(|preset| preset != Preset::Capacity) {
            return Err(wrong("--find", "goes with --preset capacity, or none"));
        }
        if self.schedule.repeat > 1 {
            return Err(wrong("--repeat", "is not for a search, which repeats its steps; leave it out"));
        }
        if !self.schedule.think.is_zero() {
            return Err(wrong(
                "--think",
                "is for users, and the requests of a search wait for nobody; leave it out",
            ));
        }
        // At the rate of the step, and before anybody watches it: a service that does not hold that would be kept under load.
        if !self.schedule.warm_up.is_zero() {
            let problem = "is not for a search, which does not judge the beginning of any step; leave it out";
            return Err(wrong("--warm-up", problem));
        }
        let lasting = self.schedule.duration.unwrap_or(SHORTEST);
        if !(SHORTEST..=LONGEST).contains(&lasting) {
            return Err(wrong("--duration", "a step of a search lasts from 200ms to 1h"));
        }
        if let Some(from) = self.schedule.from
            && let Some(to) = self.schedule.to
            && to < from
        {
            return Err(Error::Setting { name: "--to", problem: format!("{to} is below --from {from}") });
        }
        let mut limits = Vec::new();
        if self.search.finds.is_empty() {
            self.check_no_windows(targets)?;
            for limit in usual_limits(targets.limits(self.limited_operation())) {
                limits.push(CapacityLimit::new(limit).map_err(of_targets)?);
            }
        } else {
            for limit in &self.search.finds {
                check_not_given(limit.0, &limits)?;
                limits.push(CapacityLimit::new(*limit).map_err(not_searchable)?);
            }
        }
        if limits.iter().all(|limit| limit.metric() != Metric::SuccessRatePct) {
            // As in every run: a service that refuses what it cannot serve must not seem to hold any rate.
            let least = (Metric::SuccessRatePct, LEAST_SUCCESS_PCT);
            limits.push(CapacityLimit::new(least).map_err(not_searchable)?);
        }
        Ok(limits)
    }

    /// An error where the targets' file limits every stretch of a search: a step is judged as a whole.
    fn check_no_windows(&self, targets: &Targets) -> Result<(), Error> {
        let Some(limit) = targets.window_limits(self.limited_operation()).first() else { return Ok(()) };
        let problem = format!(
            "[{}] in the targets' file has a limit on every stretch of a run ({}), and a step of a search is judged as a whole; \
             write a number, or name limits with --find",
            self.limited_operation(),
            limit.metric.key()
        );
        Err(Error::Setting { name: "--preset capacity", problem })
    }

    /// Looks for the capacity of each of these services, a step at a time in turn.
    pub fn find_capacity(
        &self,
        limits: Vec<CapacityLimit>,
        generators: Vec<&mut Generator>,
        record: &mut LoadRecord,
    ) -> Result<(), Error> {
        let names: Vec<String> = generators.iter().map(|generator| generator.ingester()).collect();
        // How it is at rest: what it has to come back to between two steps, and what the first rate is made of.
        let mut rested = Vec::new();
        let mut slowest = Duration::ZERO;
        for generator in &generators {
            let latency = generator.look_again(LONGEST_LOOK)?;
            // A flow takes longer than the upload that it begins with, of which the first look consists.
            slowest = slowest.max(latency.unwrap_or_default()).max(generator.usual_latency());
            rested.push(latency);
        }
        let plan = self.search_plan(limits, slowest);
        note(format_args!(
            "Looking for the highest rate that holds, from {}/s on, in some {} steps of {} each",
            significant(plan.from),
            10 + plan.fine_steps,
            humantime::format_duration(plan.lasting)
        ));
        let record_of_search =
            CapacityRecord { plan: plan.clone(), services: names.clone(), steps: Vec::new() };
        record.capacity = Some(record_of_search);
        let mut services = Vec::new();
        for (generator, rested) in generators.into_iter().zip(rested) {
            services.push(SearchedService { generator, search: CapacitySearch::new(plan.clone()), rested });
        }
        let mut round = 0;
        loop {
            let mut is_over = true;
            for service in order(services.len(), round) {
                let Some(next) = services[service].search.next_step() else { continue };
                is_over = false;
                let name = if names.len() > 1 { Some(names[service].as_str()) } else { None };
                match self.step(&mut services[service], service, name, next, record) {
                    Ok(true) => {}
                    Ok(false) => return Ok(()),
                    // A search that runs out of bytes has measured something: it ends like one that is broken off.
                    Err(Error::TooMuch(why)) if !record.runs.is_empty() => {
                        record.ended_early = Some(why);
                        return Ok(());
                    }
                    Err(error) => return Err(error),
                }
            }
            if is_over {
                return Ok(());
            }
            round += 1;
        }
    }

    fn search_plan(&self, limits: Vec<CapacityLimit>, slowest: Duration) -> CapacityPlan {
        let highest = self.schedule.to.map(f64::from);
        let by_itself = beginning(slowest).min(highest.unwrap_or(MOST));
        CapacityPlan {
            from: self.schedule.from.map_or(by_itself, f64::from),
            highest,
            lasting: self.schedule.duration.unwrap_or_else(|| usual_step(&limits)),
            fine_steps: self.search.find_steps.unwrap_or(FINE_STEPS),
            seed: self.schedule.seed,
            limits,
        }
    }

    /// Makes a step and records it. False where the search has to end: a signal came, nothing more may be sent, or the service
    /// is gone.
    fn step(
        &self,
        service: &mut SearchedService<'_>,
        number: usize,
        name: Option<&str>,
        next: NextStep,
        record: &mut LoadRecord,
    ) -> Result<bool, Error> {
        if !record.runs.is_empty() {
            self.clean_up()?;
        }
        let Rest { recovery, answers } = recover(service)?;
        let SearchedService { generator, search, .. } = service;
        // The first step is made whatever happens, so that there is something to report.
        if !record.runs.is_empty() {
            if generator.signal().is_some() {
                return Ok(false);
            }
            // It died, or a quota is used up. That it also fails at lower rates now says nothing of what it holds.
            if !answers && !recovery.complete {
                record.ended_early = Some(format!(
                    "{} failed requests that came one after the other, or did not answer them, for {:.0?} after a step, and \
                     answered them before the first one",
                    generator.ingester(),
                    recovery.took
                ));
                return Ok(false);
            }
        }
        let rate = search.plan().rate(f64::from(next.level));
        let lasting = search.plan().lasting_of(next.confirms);
        let plan = self.schedule.of_rate(rate, lasting, search.steps().len() as u64);
        let plan = generator.fit(plan, self.schedule.at_once)?;
        let mut watch = StepWatch::new(search.plan(), next.level, next.confirms);
        let run = generator.run(&plan, |seconds| watch.see(seconds))?;
        let lost = watch.is_lost();
        let step =
            CapacityStep { service: number, level: next.level, confirms: next.confirms, lost, recovery };
        let evidence = StepEvidence::of_run(search.plan(), &step, &run, plan.at_once);
        let is_whole = lost || !run.partial;
        if is_whole {
            note(StepLine { rate, outcome: evidence.outcome, lost, service: name });
        } else if generator.signal().is_none() {
            record.ended_early = Some(generator.why_partial());
        }
        search.tell(evidence);
        let phases = generator.take_phases();
        record.runs.push(RecordedRun { step: None, plan, run, phases });
        record.capacity.as_mut().expect("the search was begun").steps.push(step);
        Ok(is_whole && generator.signal().is_none())
    }
}

/// What is looked for where no limit was given: those of the operation; without one on a latency, the usual one beside them.
fn usual_limits(of_operation: &[Limit]) -> Vec<Limit> {
    if of_operation.iter().any(|(metric, _)| metric.is_latency()) {
        return of_operation.to_vec();
    }
    let mut limits = vec![USUAL_LATENCY];
    for limit in of_operation {
        // Every operation has this one unless it has one of its own.
        if *limit != (Metric::SuccessRatePct, LEAST_SUCCESS_PCT) {
            limits.push(*limit);
        }
    }
    if limits.iter().all(|(metric, _)| *metric != Metric::SuccessRatePct) {
        limits.push(USUAL_SUCCESS);
    }
    limits
}

/// Waits until the service answers as quickly as before the first step, or for as long as it may take. Nothing of this run is
/// under way by then: a run waits for its requests, or drops them.
fn recover(service: &SearchedService<'_>) -> Result<Rest, Error> {
    let began = Instant::now();
    let mut took = Duration::ZERO;
    loop {
        let latency = service.generator.look_again(time_of_look(service.rested, took))?;
        let answers = latency.is_some();
        let is_interrupted = service.generator.signal().is_some();
        if has_recovered(service.rested, latency) {
            if !took.is_zero() {
                note(format_args!("The service needed {took:.1?} to recover"));
            }
            return Ok(Rest { recovery: Recovery { took, complete: true }, answers });
        }
        let waited = began.elapsed();
        // A service that does not answer makes each look as long as it may be, so none begins that would end too late.
        if is_interrupted || waited + PAUSE + shortest_look(service.rested) > PATIENCE {
            if !is_interrupted {
                note(format_args!("The service has not recovered within {waited:.0?}"));
            }
            return Ok(Rest { recovery: Recovery { took: waited, complete: false }, answers });
        }
        thread::sleep(PAUSE);
        took = began.elapsed();
    }
}

/// How long a look may take where so much of the time to recover is over: the rest of it. A service that needs longer than that
/// at rest has what it needs.
fn time_of_look(rested: Option<Duration>, over: Duration) -> Duration {
    PATIENCE.saturating_sub(over).max(shortest_look(rested))
}

/// How long a look may take at the least, as one that is shorter would say nothing of a service that has recovered.
fn shortest_look(rested: Option<Duration>) -> Duration {
    rested.unwrap_or_default().saturating_mul(LOOK_IN_LATENCIES).max(SHORTEST_LOOK)
}

/// Whether a service with this latency is as it was before the first step. There is none where a request failed.
fn has_recovered(rested: Option<Duration>, latency: Option<Duration>) -> bool {
    match (rested, latency) {
        (Some(rested), Some(latency)) => latency <= rested.saturating_mul(RECOVERED).max(rested + SLACK),
        // A service that failed before the first step has nothing to come back to.
        (None, _) => true,
        (Some(_), None) => false,
    }
}

/// The rate of the first step, of two digits: half of what a user would send who waits for every answer, where one takes this
/// long.
fn beginning(latency: Duration) -> f64 {
    let rate = (BEGINNING / latency.as_secs_f64()).clamp(LEAST, MOST);
    let magnitude = 10_f64.powf(rate.log10().floor() - 1.0);
    (rate / magnitude).round() * magnitude
}

/// The order of the services in a round. Every second round has the opposite order, so that a machine that becomes slower
/// affects all of them alike.
fn order(services: usize, round: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..services).collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

fn wrong(name: &'static str, problem: &str) -> Error {
    Error::Setting { name, problem: problem.to_owned() }
}

fn not_searchable(error: NotSearchable) -> Error {
    Error::Setting { name: "--find", problem: error.to_string() }
}

/// An error where the same figure is limited already: only one of two limits on it can be meant.
fn check_not_given(metric: Metric, limits: &[CapacityLimit]) -> Result<(), Error> {
    if limits.iter().all(|limit| limit.metric() != metric) {
        return Ok(());
    }
    Err(wrong("--find", &format!("limits {} twice; give one limit for it", metric.key())))
}

/// For a limit of the targets' file.
fn of_targets(error: NotSearchable) -> Error {
    let problem = format!("{error} (a limit of [{OPERATION}] in the targets' file; --find names others)");
    Error::Setting { name: "--preset capacity", problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_services_take_turns_in_mirrored_order() {
        assert_eq!([0, 1, 2].map(|round| order(2, round)), [[0, 1], [1, 0], [0, 1]]);
        assert_eq!(order(1, 1), [0]);
    }

    #[test]
    fn a_search_begins_with_half_of_what_a_user_would_send() {
        // 0.5 in 3 ms are 166.7 a second, of two digits.
        let rates = [3_000, 1, 60_000_000].map(|us| beginning(Duration::from_micros(us)));
        assert!((rates[0] - 170.0).abs() < 1e-9, "{rates:?}");
        assert!((rates[1] - MOST).abs() < 1e-9 && (rates[2] - LEAST).abs() < 1e-9, "{rates:?}");
    }

    #[test]
    fn what_the_targets_say_is_looked_for_beside_what_is_usual() {
        let p95 = (Metric::P95Ms, 80.0);
        let success = (Metric::SuccessRatePct, 99.5);
        let least = (Metric::SuccessRatePct, LEAST_SUCCESS_PCT);
        assert_eq!(usual_limits(&[p95, success]), [p95, success]);
        assert_eq!(usual_limits(&[success]), [USUAL_LATENCY, success]);
        assert_eq!(usual_limits(&[]), [USUAL_LATENCY, USUAL_SUCCESS]);
        assert_eq!(usual_limits(&[least]), [USUAL_LATENCY, USUAL_SUCCESS]);
        // It cannot be looked for, and is refused later on.
        let throughput = (Metric::ThroughputRps, 50.0);
        assert_eq!(usual_limits(&[throughput]), [USUAL_LATENCY, throughput, USUAL_SUCCESS]);
    }

    #[test]
    fn a_service_has_recovered_with_about_its_latency_at_rest() {
        // Twice 20 ms, or 5 ms more than 1 ms.
        for (rested, latency, recovered) in [(20, 40, true), (20, 41, false), (1, 6, true), (1, 7, false)] {
            let [rested, latency] = [rested, latency].map(|ms| Some(Duration::from_millis(ms)));
            assert_eq!(has_recovered(rested, latency), recovered, "{rested:?} {latency:?}");
        }
        let rested = Some(Duration::from_millis(1));
        assert!(!has_recovered(rested, None));
        // It never worked.
        assert!(has_recovered(None, None) && has_recovered(None, rested));
    }

    #[test]
    fn a_look_takes_no_longer_than_what_is_left_to_recover() {
        let quick = Some(Duration::from_millis(20));
        // Eight times 2 s are 16 s, and eight times 10 s are more than the minute.
        let slow = Some(Duration::from_secs(2));
        let slowest = Some(Duration::from_secs(10));
        for (rested, over, seconds) in
            [(quick, 0, 60), (quick, 50, 10), (quick, 58, 5), (slow, 50, 16), (slowest, 0, 80), (None, 0, 60)]
        {
            let time = time_of_look(rested, Duration::from_secs(over));
            assert_eq!(time, Duration::from_secs(seconds), "{rested:?} {over}");
        }
    }

    #[test]
    fn two_limits_on_the_same_figure_are_refused() {
        let limits = [CapacityLimit::new((Metric::P99Ms, 500.0)).expect("can be looked for")];
        assert!(check_not_given(Metric::P95Ms, &limits).is_ok());
        let refused = check_not_given(Metric::P99Ms, &limits).expect_err("is given").to_string();
        assert!(refused.contains("limits p99_ms twice"), "{refused}");
    }

    #[test]
    fn a_step_is_told_with_what_came_of_it() {
        let line =
            StepLine { rate: 168.2, outcome: StepOutcome::Missed, lost: true, service: Some("http://a") };
        assert_eq!(line.to_string(), "168/s to http://a: missed, and ended early");
        let held = StepLine { rate: 20.0, outcome: StepOutcome::Held, lost: false, service: None };
        assert_eq!(held.to_string(), "20/s: held");
    }
}
