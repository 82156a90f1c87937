//! What a report of a load run says besides the figures that every report has.

use serde::Serialize;

use super::capacity::CapacityReport;
use super::finding::Finding;
use super::quantile::{ms, ns_to_ms};
use super::resources::ResourceReport;
use super::series::SecondReport;
use super::shards::ShardsReport;
use crate::load::{Health, LookBefore, Model, Plan};
use crate::phases::Breakdown;
use crate::recording::Samples;
use crate::verdict::Verdict;

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
    pub look: Option<LookBefore>,
    /// What stands out.
    pub findings: Vec<Finding>,
    /// What all runs of the command come to. Nothing in the report of a single run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// The same in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conclusion: Option<String>,
    /// Every run of a repeated one, every step of a stress run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunReport>,
    /// What the runs came to, where they are the steps of a search.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<CapacityReport>,
    /// The run second by second.
    pub seconds: Vec<SecondReport>,
    /// Where the time went in the service, by size, if it was asked to tell. Successes only, those of warming up included.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub service_phases: Vec<Breakdown>,
    /// What was used; `null` of a record that does not have it.
    pub resources: Option<ResourceReport>,
    /// The parts that the run was put together from, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards: Option<ShardsReport>,
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
    /// The part of it that was performed, if others performed the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
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
    /// Name of the run, as the table of runs shows it.
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

impl ScheduleReport {
    pub(super) fn of(plan: &Plan, files: &str, threads: usize) -> Self {
        let mut report = Self {
            model: "closed",
            level: String::new(),
            arrivals: None,
            requests: None,
            think_s: 0.0,
            warm_up_s: plan.warm_up.as_secs_f64(),
            grace_s: plan.grace.as_secs_f64(),
            files: files.to_owned(),
            seed: plan.seed,
            threads,
            shard: if plan.shard.is_whole() { None } else { Some(plan.shard.to_string()) },
        };
        match &plan.model {
            Model::Closed { users, requests, think } => {
                // Where a number of requests ends the run, the time in its profile is mostly the endless one: only the
                // users are told.
                report.level = if requests.is_some() { users.most().to_string() } else { users.to_string() };
                report.requests = *requests;
                report.think_s = think.as_secs_f64();
            }
            Model::Open { rate, arrivals } => {
                report.model = "open";
                report.level = rate.to_string();
                report.arrivals = Some(arrivals.to_string());
            }
        }
        report
    }
}

impl From<&Samples> for Summary {
    fn from(samples: &Samples) -> Self {
        Self {
            count: samples.count(),
            avg_ms: samples.mean_ns().map(ns_to_ms),
            min_ms: samples.range().map(|(min, _)| ms(min)),
            p50_ms: quantile(samples, 0.5),
            p95_ms: quantile(samples, 0.95),
            p99_ms: quantile(samples, 0.99),
            p999_ms: quantile(samples, 0.999),
            max_ms: samples.range().map(|(_, max)| ms(max)),
        }
    }
}

/// The smallest value that so large a share of the samples does not exceed.
fn quantile(samples: &Samples, q: f64) -> Option<f64> {
    samples.at_rank((q * samples.count() as f64).ceil() as u64).map(ms)
}

/// A number of users, for people.
pub fn people(users: u32) -> String {
    if users == 1 { "1 user".to_owned() } else { format!("{users} users") }
}
