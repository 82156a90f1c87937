//! What a report of a load run says besides the figures that every report has.

use serde::Serialize;

use super::findings::{Finding, findings};
use super::performance::PerformanceReport;
use super::quantile::{Interval, MS_PER_NS, Quantile, ms, ns_to_ms};
use super::series::SecondReport;
use crate::load::{Health, Model, Plan, Run, Times};
use crate::recording::Samples;
use crate::stats::Batches;

/// A load run. `scheduled = successful_requests + failed_requests + unfinished`, exactly.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoadReport {
    /// What was to be done.
    pub schedule: ScheduleReport,
    /// Requests that were due.
    pub scheduled: u64,
    /// Requests that had not ended when the run did.
    pub unfinished: u64,
    /// Age of the oldest of them, ms.
    pub unfinished_oldest_ms: Option<f64>,
    /// How long the run took, s.
    pub elapsed_s: f64,
    /// Requests under way, averaged over that time.
    pub mean_in_flight: Option<f64>,
    /// 99.9th percentile of the response time. The percentiles at the top of the report are of response times too: they
    /// run from the scheduled beginning.
    pub p999_latency_ms: Option<f64>,
    /// From the actual beginning, of successes.
    pub service_time: Summary,
    /// From the scheduled beginning to the actual one: the generator's own delay.
    pub send_delay: Summary,
    /// Until a new connection stood.
    pub connect: Summary,
    /// From then until the head of the answer had come.
    pub first_byte: Summary,
    /// From then until the end of the answer.
    pub last_byte: Summary,
    /// Whether the generator kept up.
    pub health: Health,
    /// What the look before found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub look: Option<LookReport>,
    /// What stands out.
    pub findings: Vec<Finding>,
    /// Every run of a repeated one, every step of a stress run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunReport>,
    /// The run second by second.
    pub seconds: Vec<SecondReport>,
}

/// Two uploads before the run, which are not counted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LookReport {
    /// How long the first one took, with the connection, ms.
    pub first_ms: f64,
    /// How long the second one took, ms.
    pub second_ms: f64,
    /// What the service said that ailed it (`/health/ready`).
    pub ails: Option<String>,
}

/// What a run set out to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScheduleReport {
    /// `closed`: users wait for an answer; `open`: arrivals wait for nobody.
    pub model: &'static str,
    /// Users, or requests a second, over time.
    pub level: String,
    /// How arrivals are spread, in the open model.
    pub arrivals: Option<String>,
    /// Requests in all, where they end a closed run.
    pub requests: Option<u64>,
    /// Between an answer and the next request of the user, s.
    pub think_s: f64,
    /// Time before that was not recorded, s.
    pub warm_up_s: f64,
    /// Time that requests under way had to end, s.
    pub grace_s: f64,
    /// What was sent.
    pub files: String,
    /// Seed of arrivals and files.
    pub seed: u64,
    /// Threads of the generator.
    pub threads: usize,
}

/// Times of one kind, ms.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// How many.
    pub count: u64,
    /// Mean.
    pub avg_ms: Option<f64>,
    /// Shortest.
    pub min_ms: Option<f64>,
    /// 50th percentile.
    pub p50_ms: Option<f64>,
    /// 95th percentile.
    pub p95_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
    /// 99.9th percentile.
    pub p999_ms: Option<f64>,
    /// Longest.
    pub max_ms: Option<f64>,
}

/// One of several runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunReport {
    /// Which one.
    pub name: String,
    /// Successes a second.
    pub throughput_rps: Option<f64>,
    /// 50th percentile of the response time, ms.
    pub p50_ms: Option<f64>,
    /// 95th percentile, ms.
    pub p95_ms: Option<f64>,
    /// 99th percentile, ms.
    pub p99_ms: Option<f64>,
    /// Successes in percent of all that were due.
    pub success_rate_pct: f64,
    /// Whether every target held.
    pub held: bool,
    /// Whether the generator kept up.
    pub valid: bool,
}

impl PerformanceReport {
    /// The report of a load run; `files` says what was sent. Limits and environment are added by the other methods.
    pub fn of_load(operation: &str, plan: &Plan, run: &Run, files: &str) -> Self {
        let unfinished = run.load.unfinished.count();
        let lost = run.load.responses.failures() + unfinished;
        let mut report = Self::with_unfinished(operation, &run.load.responses, unfinished);
        let Times { service, send_delay, connect, first_byte, last_byte } = &run.load.times;
        report.partial = run.partial;
        // Means by seconds, in which all workers stand together. Whole ones only: the last one may have been cut.
        let mut latencies = Batches::default();
        let mut rates = Batches::default();
        let whole = run.load.responses.elapsed.as_secs() as usize;
        for second in run.seconds.iter().take(whole) {
            latencies.add(second.ok_ns as f64, second.ok as f64);
            rates.add(second.ok as f64, 1.0);
        }
        report.intervals.throughput_rps = Interval::of_mean(&rates, 1.0);
        let by_second = Interval::of_mean(&latencies, MS_PER_NS);
        if by_second.lower.is_some() {
            report.intervals.avg_latency_ms = by_second;
        }
        report.load = Some(LoadReport {
            schedule: ScheduleReport::of(plan, files, run.health.threads),
            scheduled: run.load.scheduled,
            unfinished,
            unfinished_oldest_ms: run.load.unfinished.range().map(|(_, oldest)| ms(oldest)),
            elapsed_s: run.load.responses.elapsed.as_secs_f64(),
            mean_in_flight: run.load.mean_in_flight(),
            p999_latency_ms: Quantile::of(&run.load.responses.ok, 0.999, lost).point,
            service_time: service.into(),
            send_delay: send_delay.into(),
            connect: connect.into(),
            first_byte: first_byte.into(),
            last_byte: last_byte.into(),
            health: run.health.clone(),
            look: None,
            findings: Vec::new(),
            runs: Vec::new(),
            seconds: run.seconds.iter().map(SecondReport::from).collect(),
        });
        report
    }

    /// Adds what the look before found.
    pub fn looked(mut self, look: LookReport) -> Self {
        if let Some(load) = &mut self.load {
            load.look = Some(look);
        }
        self
    }

    /// Adds what stands out; after the limits were held against the figures.
    pub fn find(mut self) -> Self {
        let seconds = self.load.as_ref().map_or(&[][..], |load| &load.seconds);
        let found = findings(&self, seconds);
        if let Some(load) = &mut self.load {
            load.findings = found;
        }
        self
    }

    /// Whether the generator kept up: the figures are evidence.
    pub fn is_valid(&self) -> bool {
        self.load.as_ref().is_none_or(|load| load.health.is_valid())
    }

    /// The report in one row, for a table of several runs.
    pub fn row(&self, name: String) -> RunReport {
        RunReport {
            name,
            throughput_rps: self.throughput_rps,
            p50_ms: self.median_latency_ms,
            p95_ms: self.p95_latency_ms,
            p99_ms: self.p99_latency_ms,
            success_rate_pct: self.success_rate_pct,
            held: self.held() && self.is_valid(),
            valid: self.is_valid(),
        }
    }
}

impl ScheduleReport {
    fn of(plan: &Plan, files: &str, threads: usize) -> Self {
        let (model, level, arrivals, requests, think) = match &plan.model {
            Model::Closed { users, requests, think } => {
                let level = if requests.is_some() { users.most().to_string() } else { users.to_string() };
                ("closed", level, None, *requests, *think)
            }
            Model::Open { rate, arrivals } => {
                ("open", rate.to_string(), Some(arrivals.to_string()), None, Default::default())
            }
        };
        Self {
            model,
            level,
            arrivals,
            requests,
            think_s: think.as_secs_f64(),
            warm_up_s: plan.warm_up.as_secs_f64(),
            grace_s: plan.grace.as_secs_f64(),
            files: files.to_owned(),
            seed: plan.seed,
            threads,
        }
    }
}

impl From<&Samples> for Summary {
    fn from(samples: &Samples) -> Self {
        let at = |q| quantile(samples, q);
        Self {
            count: samples.count(),
            avg_ms: samples.mean_ns().map(ns_to_ms),
            min_ms: samples.range().map(|(min, _)| ms(min)),
            p50_ms: at(0.5),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: samples.range().map(|(_, max)| ms(max)),
        }
    }
}

/// The smallest value that so large a share of the samples does not exceed.
fn quantile(samples: &Samples, q: f64) -> Option<f64> {
    samples.at_rank((q * samples.count() as f64).ceil() as u64).map(ms)
}
