//! The report of a search for a capacity: a pure function of what was recorded.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::quantile::Quantile;
use crate::load::{
    CapacityChange, CapacityFinding, CapacityLimit, CapacityRecord, CapacitySearch, LevelVerdict, LoadRecord,
    RecordedRun, StepEvidence, StepOutcome,
};
use crate::recording::Samples;
use crate::targets::Metric;
use crate::verdict::Verdict;

/// What a search came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CapacityReport {
    /// What had to hold.
    pub limits: Vec<CapacityLimit>,
    /// How long a step lasted, s.
    pub step_s: f64,
    /// How long a run that confirms lasted, s.
    pub confirmation_s: f64,
    /// What each of the services holds: of one, or of two that are compared.
    pub services: Vec<ServiceCapacity>,
    /// By what share the second service holds more than the first, where both have an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<CapacityChange>,
}

/// What a service holds. Rates are requests a second.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServiceCapacity {
    /// Its name.
    pub service: String,
    /// What the search came to.
    pub finding: CapacityFinding,
    /// The highest rate at which every limit holds.
    pub rate: Option<f64>,
    /// Lower end of its 95 % interval.
    pub lower: Option<f64>,
    /// Upper end.
    pub upper: Option<f64>,
    /// Rate of the longer run that confirmed it.
    pub confirmed_rate: Option<f64>,
    /// The highest rate that was tried and held.
    pub held_rate: Option<f64>,
    /// The lowest rate that was tried.
    pub lowest_rate: Option<f64>,
    /// What stops to hold first.
    pub broke_first: Option<Metric>,
    /// What it did at each rate that was tried, in ascending order.
    pub curve: Vec<CurvePoint>,
}

/// What a service did at one rate, in all steps of it together. Latencies are response times in ms.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CurvePoint {
    /// Requests a second.
    pub rate: f64,
    /// Steps with this rate.
    pub steps: usize,
    /// Those of them that say nothing, as the generator did not keep up.
    pub invalid_steps: usize,
    /// Successes a second; nothing where no step says anything, like all that follows.
    pub throughput_rps: Option<f64>,
    /// 50th percentile.
    pub p50_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
    /// Successes, in percent of all that were due.
    pub success_rate_pct: Option<f64>,
    /// Whether the limits hold at this rate.
    pub verdict: CurveVerdict,
}

/// Whether the limits hold at a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CurveVerdict {
    /// They do, anywhere in their intervals.
    Held,
    /// One does not, anywhere in its interval.
    Missed,
    /// Neither is sure.
    Undecided,
    /// The generator did not keep up.
    Untrusted,
}

impl From<LevelVerdict> for CurveVerdict {
    fn from(verdict: LevelVerdict) -> Self {
        match verdict {
            LevelVerdict::Held => Self::Held,
            LevelVerdict::Missed => Self::Missed,
            LevelVerdict::Undecided => Self::Undecided,
            LevelVerdict::Invalid => Self::Untrusted,
        }
    }
}

/// What all valid steps of a level come to.
#[derive(Debug, Default)]
struct Pooled {
    steps: usize,
    invalid: usize,
    ok: Samples,
    lost: u64,
    elapsed: Duration,
}

impl Pooled {
    fn add(&mut self, run: &RecordedRun, outcome: StepOutcome) {
        self.steps += 1;
        if outcome == StepOutcome::Invalid {
            self.invalid += 1;
            return;
        }
        let load = &run.run.load;
        self.ok.merge(&load.responses.ok);
        self.lost += load.responses.failures() + load.unfinished.count();
        // A file may hold any time.
        self.elapsed = self.elapsed.saturating_add(load.responses.elapsed);
    }
}

impl CapacityReport {
    /// The report of the search that these runs are the steps of.
    pub(super) fn of(record: &LoadRecord, capacity: &CapacityRecord) -> Self {
        let plan = &capacity.plan;
        let mut services = Vec::new();
        let mut edges = Vec::new();
        for (number, service) in capacity.services.iter().enumerate() {
            let mut search = CapacitySearch::new(plan.clone());
            let mut levels: BTreeMap<i32, Pooled> = BTreeMap::new();
            for (step, run) in capacity.steps.iter().zip(&record.runs) {
                if step.service == number {
                    let evidence = StepEvidence::of_run(plan, step, &run.run, run.plan.at_once);
                    levels.entry(step.level).or_default().add(run, evidence.outcome);
                    search.tell(evidence);
                }
            }
            let answer = search.answer();
            edges.push(answer.edge);
            services.push(ServiceCapacity {
                service: service.clone(),
                finding: answer.finding,
                rate: answer.edge.map(|edge| plan.rate(edge.level)),
                lower: answer.edge.map(|edge| plan.rate(edge.lower)),
                upper: answer.edge.map(|edge| plan.rate(edge.upper)),
                confirmed_rate: answer.confirmed.map(|level| plan.rate(f64::from(level))),
                held_rate: answer.held.map(|level| plan.rate(f64::from(level))),
                lowest_rate: levels.keys().next().map(|level| plan.rate(f64::from(*level))),
                broke_first: broke_first(&search, answer.edge.map(|edge| edge.first)),
                curve: curve(&search, &levels),
            });
        }
        let change = match edges.as_slice() {
            [Some(first), Some(second)] => Some(CapacityChange::between(first, second)),
            _ => None,
        };
        Self {
            limits: plan.limits.clone(),
            step_s: plan.lasting_of(false).as_secs_f64(),
            confirmation_s: plan.lasting_of(true).as_secs_f64(),
            services,
            change,
        }
    }

    /// What it comes to: held where there is an answer for every service, and the second of two holds no less.
    pub fn verdict(&self) -> Verdict {
        let mut verdicts = Vec::new();
        for service in &self.services {
            verdicts.push(service.verdict());
        }
        verdicts.extend(self.comparison());
        Verdict::worst(verdicts)
    }

    /// Of two services, whether the second holds no less than the first; nothing of one.
    pub(super) fn comparison(&self) -> Option<Verdict> {
        let [first, second] = self.services.as_slice() else { return None };
        if let Some(change) = self.change {
            return Some(Verdict::of(!change.is_less()));
        }
        // One of them has no edge. Which of them holds less may be known all the same.
        Some(match (first.finding, second.finding) {
            (CapacityFinding::Nowhere, _) | (_, CapacityFinding::HighestAsked) => Verdict::Held,
            (CapacityFinding::Found | CapacityFinding::HighestAsked, CapacityFinding::Nowhere)
                if first.holds_from(second.lowest_rate) =>
            {
                Verdict::Missed
            }
            (CapacityFinding::HighestAsked, CapacityFinding::Found) if first.holds_beyond(second.upper) => {
                Verdict::Missed
            }
            _ => Verdict::Untrusted,
        })
    }
}

impl ServiceCapacity {
    /// Whether there is an answer, and whether it is that the service holds nothing that was asked of it.
    pub(super) fn verdict(&self) -> Verdict {
        match self.finding {
            CapacityFinding::Found | CapacityFinding::HighestAsked => Verdict::Held,
            CapacityFinding::Nowhere => Verdict::Missed,
            CapacityFinding::Unconfirmed | CapacityFinding::GeneratorLimit | CapacityFinding::Unfinished => {
                Verdict::Untrusted
            }
        }
    }

    /// Whether this rate held, or a higher one.
    fn holds_from(&self, rate: Option<f64>) -> bool {
        self.held_rate.zip(rate).is_some_and(|(held, rate)| held >= rate)
    }

    /// Whether a higher rate than this held.
    fn holds_beyond(&self, rate: Option<f64>) -> bool {
        self.held_rate.zip(rate).is_some_and(|(held, rate)| held > rate)
    }
}

/// What stops to hold first: at the edge, or, where nothing held, at the lowest rate that was tried.
fn broke_first(search: &CapacitySearch, at_the_edge: Option<usize>) -> Option<Metric> {
    let limits = &search.plan().limits;
    if let Some(place) = at_the_edge {
        return Some(limits[place].metric());
    }
    let missed = search.steps().iter().filter(|step| step.outcome == StepOutcome::Missed);
    let lowest = missed.min_by_key(|step| step.level)?;
    for (place, limit) in limits.iter().enumerate() {
        if !limit.holds(lowest.sum(place)) {
            return Some(limit.metric());
        }
    }
    None
}

fn curve(search: &CapacitySearch, levels: &BTreeMap<i32, Pooled>) -> Vec<CurvePoint> {
    let mut curve = Vec::new();
    for (level, pooled) in levels {
        let Pooled { steps, invalid, ok, lost, elapsed } = pooled;
        let mut point = CurvePoint {
            rate: search.plan().rate(f64::from(*level)),
            steps: *steps,
            invalid_steps: *invalid,
            throughput_rps: None,
            p50_ms: None,
            p99_ms: None,
            success_rate_pct: None,
            verdict: search.verdict_at(*level).into(),
        };
        let due = ok.count() + lost;
        if due > 0 && !elapsed.is_zero() {
            point.throughput_rps = Some(ok.count() as f64 / elapsed.as_secs_f64());
            point.p50_ms = Quantile::of(ok, 0.5, *lost).point;
            point.p99_ms = Quantile::of(ok, 0.99, *lost).point;
            point.success_rate_pct = Some(100.0 * ok.count() as f64 / due as f64);
        }
        curve.push(point);
    }
    curve
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{record, run};
    use super::*;
    use crate::load::{CapacityPlan, CapacityStep, Recovery};

    /// A search of steps of a second, with these levels and latencies (ms) of ten requests each, at this service.
    fn searched(service: usize, steps: &[(i32, u64)], record: &mut LoadRecord) {
        let recovery = Recovery { took: Duration::ZERO, complete: true };
        for &(level, ms) in steps {
            record.runs.push(run(&[(0, ms); 10], 1));
            let step = CapacityStep { service, level, confirms: false, lost: false, recovery };
            record.capacity.as_mut().expect("is a search").steps.push(step);
        }
    }

    /// A record of a search for a p99 below 100 ms, up to 40 a second.
    fn search(services: &[&str]) -> LoadRecord {
        let plan = CapacityPlan {
            limits: vec![CapacityLimit::new((Metric::P99Ms, 100.0)).expect("can be looked for")],
            from: 10.0,
            highest: Some(40.0),
            lasting: Duration::from_secs(1),
            fine_steps: 4,
            seed: 1,
        };
        let services = services.iter().map(|name| (*name).to_owned()).collect();
        let mut record = record(Vec::new());
        record.capacity = Some(CapacityRecord { plan, services, steps: Vec::new() });
        record
    }

    fn report(record: &LoadRecord) -> CapacityReport {
        CapacityReport::of(record, record.capacity.as_ref().expect("is a search"))
    }

    #[test]
    fn the_curve_has_all_steps_of_a_rate_together() {
        let mut record = search(&["stub"]);
        searched(0, &[(0, 20), (16, 30), (32, 50), (32, 50), (32, 70)], &mut record);
        let report = report(&record);
        assert_eq!(report.verdict(), Verdict::Held);
        let [service] = report.services.as_slice() else { panic!("there is one: {report:?}") };
        assert_eq!((service.finding, service.held_rate), (CapacityFinding::HighestAsked, Some(40.0)));
        assert_eq!((service.rate, service.broke_first), (None, None));
        let rates: Vec<f64> = service.curve.iter().map(|point| point.rate).collect();
        assert_eq!(rates, [10.0, 20.0, 40.0]);
        let last = &service.curve[2];
        // 30 requests in 50, 50 and 70 ms; the median is one of 50 ms.
        assert_eq!((last.steps, last.invalid_steps, last.success_rate_pct), (3, 0, Some(100.0)));
        assert!((last.throughput_rps.expect("is known") - 30.0 / 0.17).abs() < 1e-9, "{last:?}");
        assert!((last.p50_ms.expect("is known") / 50.0 - 1.0).abs() < 1e-3, "{last:?}");
        assert!((last.p99_ms.expect("is known") / 70.0 - 1.0).abs() < 1e-3, "{last:?}");
    }

    #[test]
    fn times_that_no_run_has_do_not_overflow() {
        let mut record = search(&["stub"]);
        searched(0, &[(0, 20), (0, 20)], &mut record);
        for run in &mut record.runs {
            run.run.load.responses.elapsed = Duration::MAX;
        }
        let rate = report(&record).services[0].curve[0].throughput_rps;
        assert!(rate.is_some_and(|rate| rate < 1e-9), "{rate:?}");
    }

    #[test]
    fn steps_in_which_the_generator_was_late_are_left_out() {
        let mut record = search(&["stub"]);
        searched(0, &[(0, 20), (16, 30)], &mut record);
        record.runs[1].run.generator.longest_pause = Duration::from_secs(1);
        let report = report(&record);
        let [first, second] = report.services[0].curve.as_slice() else {
            panic!("there are two: {report:?}")
        };
        assert_eq!((first.invalid_steps, first.verdict), (0, CurveVerdict::Undecided));
        assert_eq!((second.invalid_steps, second.verdict), (1, CurveVerdict::Untrusted));
        assert_eq!((second.p99_ms, second.throughput_rps), (None, None));
        assert_eq!(
            (report.services[0].finding, report.verdict()),
            (CapacityFinding::Unfinished, Verdict::Untrusted)
        );
    }

    #[test]
    fn a_service_that_holds_nothing_has_missed() {
        let mut record = search(&["stub"]);
        // Ten are due in a second at the first rate, which is the lowest.
        searched(0, &[(0, 120), (0, 130)], &mut record);
        let report = report(&record);
        let service = &report.services[0];
        assert_eq!((service.finding, service.broke_first), (CapacityFinding::Nowhere, Some(Metric::P99Ms)));
        assert_eq!((service.lowest_rate, report.verdict()), (Some(10.0), Verdict::Missed));
    }

    #[test]
    fn two_services_are_searched_apart_and_compared() {
        let mut record = search(&["first", "second"]);
        searched(0, &[(0, 20), (16, 30), (32, 120)], &mut record);
        searched(1, &[(0, 20), (16, 150)], &mut record);
        let report = report(&record);
        assert_eq!([report.services[0].curve.len(), report.services[1].curve.len()], [3, 2]);
        let change = report.change.expect("both have an edge");
        assert!(change.share < -0.3, "{change:?}");
        // Neither search has come to its end.
        assert_eq!(report.verdict(), Verdict::Untrusted);
    }

    #[test]
    fn of_two_without_a_change_one_may_hold_less() {
        let mut record = search(&["first", "second"]);
        // Both hold the 40 a second that were asked for.
        searched(0, &[(0, 20), (16, 30), (32, 50), (32, 50), (32, 50)], &mut record);
        searched(1, &[(0, 20), (16, 30), (32, 50), (32, 50), (32, 50)], &mut record);
        let mut report = report(&record);
        assert_eq!((report.change, report.comparison()), (None, Some(Verdict::Held)));
        assert_eq!(report.verdict(), Verdict::Held);
        // The second one breaks below that, or at the least not surely.
        report.services[1].finding = CapacityFinding::Found;
        for (upper, verdict) in [(25.0, Verdict::Missed), (41.0, Verdict::Untrusted)] {
            report.services[1].upper = Some(upper);
            assert_eq!((report.comparison(), report.verdict()), (Some(verdict), verdict), "{upper}");
        }
        report.services[1].finding = CapacityFinding::Nowhere;
        assert_eq!(report.verdict(), Verdict::Missed);
        report.services[0].finding = CapacityFinding::Nowhere;
        assert_eq!(report.comparison(), Some(Verdict::Held));
    }
}
