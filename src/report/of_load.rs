//! The report of a load run: a pure function of what was recorded.

use super::findings::findings;
use super::load::{LoadReport, LookReport, RunReport, ScheduleReport};
use super::performance::PerformanceReport;
use super::quantile::{Interval, MS_PER_NS, Quantile, ms};
use super::series::SecondReport;
use crate::load::{Plan, Run, Times};
use crate::stats::Batches;

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
        // With too few seconds the interval from batches of uploads stays, which a run of a single worker has.
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
