//! The report of one operation, as it is written: the thirteen keys of the earlier suite first, in its order.

use std::collections::BTreeMap;

use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};

use super::capacity::CapacityReport;
use super::load::LoadReport;
use super::quantile::{Interval, Intervals, MS_PER_NS, Quantile, ms, ns_to_ms};
use crate::machine::Environment;
use crate::recording::{Class, Failed, Recording, Samples, pack, to_text};
use crate::targets::{Figures, Judgement, Metric, Targets};
use crate::verdict::Verdict;

/// Version of the keys below; it rises when one of them changes its meaning.
/// 2: percentiles are of all requests that were due, no longer of successes only.
const SCHEMA_VERSION: u32 = 2;

/// Figures of one operation. Latencies are in ms, and `null` where nothing succeeded; average, minimum, maximum and
/// deviation are of successes only.
///
/// That of a bench can be read back. That of a load cannot: it follows from its record, which is stored beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PerformanceReport {
    /// What was done.
    pub operation: String,
    /// How often, however it ended.
    pub total_requests: u64,
    /// How often it succeeded.
    pub successful_requests: u64,
    /// How often it failed.
    pub failed_requests: u64,
    /// Successes in percent of all, those that were due and never ended included; 0 where there were none.
    pub success_rate_pct: f64,
    /// Mean latency.
    pub avg_latency_ms: Option<f64>,
    /// 50th percentile of all requests that were due, to three digits, like the other percentiles. Those that failed or
    /// never ended count as slower than any success; where a percentile falls among them, it is not known and `null`.
    pub median_latency_ms: Option<f64>,
    /// 95th percentile.
    pub p95_latency_ms: Option<f64>,
    /// 99th percentile.
    pub p99_latency_ms: Option<f64>,
    /// Shortest.
    pub min_latency_ms: Option<f64>,
    /// Longest.
    pub max_latency_ms: Option<f64>,
    /// Standard deviation (divisor n - 1).
    pub std_dev_ms: Option<f64>,
    /// Successes over the measured time; `null` where no time was measured.
    pub throughput_rps: Option<f64>,
    /// Version of this list of keys.
    pub schema_version: u32,
    /// Whether the run ended before its plan did.
    pub partial: bool,
    /// 95 % confidence intervals.
    pub intervals: Intervals,
    /// Failures by class.
    pub failures: BTreeMap<Class, FailureReport>,
    /// Every limit that was set, and whether it held.
    pub targets: Vec<Judgement>,
    /// Latencies of successes in ns: an HDR histogram (V2), base64.
    pub histogram: Option<String>,
    /// What was to be done.
    pub plan: Option<Plan>,
    /// What nobody verified of the stored files, because the service's answers do not tell it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unverified: Option<String>,
    /// Where it was done.
    pub environment: Option<Environment>,
    /// More about a load run.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "refuse_load")]
    pub load: Option<LoadReport>,
    /// The steps of its operations, in their order; none where each is a single request.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub steps: Vec<StepReport>,
}

/// One step of operations that consist of several. An operation that has ended began it, or did not reach it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// Its figures, which are of service times: from the end of the step before to its own.
    pub figures: PerformanceReport,
    /// Operations that failed before they came to it.
    pub not_reached: u64,
    /// Requests that it took.
    pub requests: u64,
    /// Its part in the service times of the operations that succeeded, in percent. The parts of all steps add up to 100.
    pub share_pct: Option<f64>,
}

/// The failures of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailureReport {
    /// How many.
    pub count: u64,
    /// Mean time until they failed, ms.
    pub avg_latency_ms: Option<f64>,
    /// Longest such time, ms.
    pub max_latency_ms: Option<f64>,
    /// How many had which HTTP status.
    pub statuses: BTreeMap<u16, u64>,
    /// How many asked to be tried again later (`Retry-After` in seconds). They were not.
    pub retry_after: u64,
    /// After how long at most, s.
    pub retry_after_max_s: Option<f64>,
    /// The first one's message.
    pub example: String,
}

/// What a run set out to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Id of the case.
    pub case: String,
    /// `closed`: the next operation begins when the last has ended.
    // There is no other, and what is read from a file is not static.
    #[serde(skip_deserializing, default = "closed")]
    pub schedule: &'static str,
    /// Operations under way at once.
    pub users: u32,
    /// Measured passes that are pooled here.
    pub passes: u64,
    /// Operations in one pass, where passes have a fixed length.
    pub requests_per_pass: Option<u64>,
    /// Size of each file.
    pub file_size_bytes: Option<u64>,
    /// Seed of the files.
    pub seed: u64,
}

impl PerformanceReport {
    /// The figures of a recording. Limits, plan and environment are added by the methods below.
    pub fn new(operation: impl Into<String>, recording: &Recording) -> Self {
        Self::with_unfinished(operation, recording, 0)
    }

    /// The figures of a recording, beside which so many operations were due and never ended.
    pub fn with_unfinished(operation: impl Into<String>, recording: &Recording, unfinished: u64) -> Self {
        let ok = &recording.ok;
        let due = recording.total() + unfinished;
        let lost = recording.failures() + unfinished;
        let median = Quantile::of(ok, 0.5, lost);
        let p95 = Quantile::of(ok, 0.95, lost);
        let p99 = Quantile::of(ok, 0.99, lost);
        let seconds = recording.elapsed.as_secs_f64();
        let throughput_rps = if seconds > 0.0 { Some(ok.count() as f64 / seconds) } else { None };
        Self {
            operation: operation.into(),
            total_requests: recording.total(),
            successful_requests: ok.count(),
            failed_requests: recording.failures(),
            success_rate_pct: 100.0 * ok.count() as f64 / due.max(1) as f64,
            avg_latency_ms: ok.mean_ns().map(ns_to_ms),
            median_latency_ms: median.point,
            p95_latency_ms: p95.point,
            p99_latency_ms: p99.point,
            min_latency_ms: ok.range().map(|(min, _)| ms(min)),
            max_latency_ms: ok.range().map(|(_, max)| ms(max)),
            std_dev_ms: ok.std_dev_ns().map(ns_to_ms),
            throughput_rps,
            schema_version: SCHEMA_VERSION,
            partial: false,
            intervals: Intervals {
                median_latency_ms: median.interval,
                p95_latency_ms: p95.interval,
                p99_latency_ms: p99.interval,
                avg_latency_ms: Interval::of_mean(&recording.latencies, MS_PER_NS),
                throughput_rps: Interval::of_mean(&recording.rates, 1.0),
            },
            failures: recording.failed.iter().map(|(&class, failed)| (class, failed.into())).collect(),
            targets: Vec::new(),
            histogram: encode(ok),
            plan: None,
            unverified: None,
            environment: None,
            load: None,
            steps: Vec::new(),
        }
    }

    /// Adds what was to be done.
    pub fn describe(mut self, plan: Plan) -> Self {
        self.plan = Some(plan);
        self
    }

    /// Adds what nobody verified of the stored files.
    pub fn unverified(mut self, what: Option<&str>) -> Self {
        self.unverified = what.map(str::to_owned);
        self
    }

    /// Adds where it was done.
    pub fn at(mut self, environment: Environment) -> Self {
        self.environment = Some(environment);
        self
    }

    /// Holds the figures against the operation's limits, and those of its steps against theirs.
    pub fn judge(mut self, targets: &Targets) -> Self {
        self.targets = targets.judge(&self.operation, &self);
        for StepReport { figures, .. } in &mut self.steps {
            figures.targets = targets.judge(&figures.operation, &*figures);
        }
        self
    }

    /// Marks a run that ended before its plan did.
    pub fn partial(mut self) -> Self {
        self.partial = true;
        self
    }

    /// What it comes to: held where something succeeded and every limit held, if the figures are evidence at all.
    pub fn verdict(&self) -> Verdict {
        let kept_up = self.load.as_ref().is_none_or(|load| load.health.is_valid());
        if !kept_up {
            return Verdict::Untrusted;
        }
        let all_held = self.with_steps().all(|report| report.targets.iter().all(|judged| judged.held));
        Verdict::of(self.successful_requests > 0 && all_held)
    }

    /// What a search came to, if the report is one of a search.
    pub(super) fn capacity(&self) -> Option<&CapacityReport> {
        self.load.as_ref()?.capacity.as_ref()
    }

    /// The report itself, and then those of its steps: all that may have limits of their own.
    pub(super) fn with_steps(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(self.steps.iter().map(|step| &step.figures))
    }
}

impl Figures for PerformanceReport {
    fn figure(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::AvgMs => self.avg_latency_ms,
            Metric::MedianMs => self.median_latency_ms,
            Metric::P95Ms => self.p95_latency_ms,
            Metric::P99Ms => self.p99_latency_ms,
            Metric::MaxMs => self.max_latency_ms,
            Metric::ThroughputRps => self.throughput_rps,
            Metric::SuccessRatePct => Some(self.success_rate_pct),
        }
    }

    fn interval(&self, metric: Metric) -> Option<(f64, f64)> {
        match metric {
            Metric::AvgMs => mean_ends(self.intervals.avg_latency_ms),
            Metric::MedianMs => quantile_ends(self.intervals.median_latency_ms),
            Metric::P95Ms => quantile_ends(self.intervals.p95_latency_ms),
            Metric::P99Ms => quantile_ends(self.intervals.p99_latency_ms),
            Metric::ThroughputRps => mean_ends(self.intervals.throughput_rps),
            Metric::MaxMs | Metric::SuccessRatePct => None,
        }
    }
}

/// Both ends of a mean's interval: it has both, or none.
fn mean_ends(interval: Interval) -> Option<(f64, f64)> {
    interval.lower.zip(interval.upper)
}

/// Both ends of a quantile's interval. An end that the sample is too small to have lies anywhere.
fn quantile_ends(interval: Interval) -> Option<(f64, f64)> {
    Some((interval.lower.unwrap_or(0.0), interval.upper.unwrap_or(f64::INFINITY)))
}

impl From<&Failed> for FailureReport {
    fn from(failed: &Failed) -> Self {
        Self {
            count: failed.latency.count(),
            avg_latency_ms: failed.latency.mean_ns().map(ns_to_ms),
            max_latency_ms: failed.latency.range().map(|(_, max)| ms(max)),
            statuses: failed.statuses.clone(),
            retry_after: failed.retry_after.count(),
            retry_after_max_s: failed.retry_after.range().map(|(_, max)| max.as_secs_f64()),
            example: failed.example.clone(),
        }
    }
}

fn closed() -> &'static str {
    "closed"
}

/// Without what a load says besides, its report would look like one of a bench that nobody distrusts.
fn refuse_load<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<LoadReport>, D::Error> {
    match Option::<IgnoredAny>::deserialize(deserializer)? {
        Some(_) => Err(D::Error::custom("is of a load, whose record is read in its place")),
        None => Ok(None),
    }
}

/// The histogram as a text; nothing where there is nothing in it.
fn encode(samples: &Samples) -> Option<String> {
    if samples.count() == 0 {
        return None;
    }
    Some(to_text(&pack(samples.histogram())))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::recording::{Failure, Finished, Recorder, from_text};

    const KNOWN_KEYS: [&str; 13] = [
        "operation",
        "total_requests",
        "successful_requests",
        "failed_requests",
        "success_rate_pct",
        "avg_latency_ms",
        "median_latency_ms",
        "p95_latency_ms",
        "p99_latency_ms",
        "min_latency_ms",
        "max_latency_ms",
        "std_dev_ms",
        "throughput_rps",
    ];

    /// Successes of 1 ms, failures, and what never ended.
    fn lossy(ok: u64, failures: u64, unfinished: u64) -> PerformanceReport {
        let mut recorder = Recorder::default();
        let latency = Duration::from_millis(1);
        for _ in 0..ok {
            recorder.record(Finished { latency, outcome: Ok(()) });
        }
        for _ in 0..failures {
            recorder.record(Finished { latency, outcome: Err(Failure::status(503, "busy")) });
        }
        PerformanceReport::with_unfinished("op", &recorder.finish(), unfinished)
    }

    #[test]
    fn a_percentile_that_losses_make_unknowable_is_null() {
        // Of 1000 requests 10 lie beyond p99, 50 beyond p95, 500 beyond the median.
        for (failures, unfinished) in [(10, 0), (0, 10), (4, 6)] {
            let report = lossy(990, failures, unfinished);
            assert_eq!(report.p99_latency_ms, Some(1.0), "{failures} {unfinished}");
        }
        let report = lossy(989, 4, 7);
        assert_eq!((report.p99_latency_ms, report.p95_latency_ms), (None, Some(1.0)));
        assert_eq!(report.intervals.p99_latency_ms.upper, None);
        let report = lossy(949, 51, 0);
        assert_eq!((report.p95_latency_ms, report.median_latency_ms), (None, Some(1.0)));
        assert_eq!(lossy(499, 0, 501).median_latency_ms, None);
    }

    /// Operations of 1 to 100 ms, of which those above the limit time out.
    fn with_time_limit(limit: u64) -> PerformanceReport {
        let mut recorder = Recorder::default();
        for ms in 1..=100 {
            let outcome = if ms > limit { Err(Failure::new(Class::Timeout, "late")) } else { Ok(()) };
            recorder.record(Finished { latency: Duration::from_millis(ms.min(limit)), outcome });
        }
        PerformanceReport::new("op", &recorder.finish())
    }

    #[test]
    fn a_shorter_time_limit_makes_no_percentile_better() {
        // With a limit of 97 ms the last three time out: p95 is still known, and p99 lies among them.
        let patient = with_time_limit(1_000);
        let impatient = with_time_limit(97);
        assert_eq!(patient.p95_latency_ms, impatient.p95_latency_ms);
        assert_eq!(patient.median_latency_ms, impatient.median_latency_ms);
        assert!(patient.p99_latency_ms.is_some() && impatient.p99_latency_ms.is_none());
    }

    #[test]
    fn what_never_ended_is_no_success() {
        // 617 of 1623 that were due.
        let report = lossy(617, 0, 1006);
        assert!((report.success_rate_pct - 38.016).abs() < 0.001, "{}", report.success_rate_pct);
        assert_eq!((report.total_requests, report.failed_requests), (617, 0));
        let targets = Targets::parse("[op]\nsuccess_rate_pct = 95\np95_ms = 100", &["op"]).expect("is valid");
        let judged = report.judge(&targets);
        assert!(
            judged.verdict() == Verdict::Missed && judged.targets.iter().all(|judged| !judged.held),
            "{:?}",
            judged.targets
        );
    }

    /// A pass of 2 s: successes of so many ms, and failures of 9 ms.
    fn report(ok_ms: &[u64], failures: u64) -> PerformanceReport {
        let mut recorder = Recorder::default();
        for &ms in ok_ms {
            recorder.record(Finished { latency: Duration::from_millis(ms), outcome: Ok(()) });
        }
        for _ in 0..failures {
            let outcome = Err(Failure::status(503, "busy"));
            recorder.record(Finished { latency: Duration::from_millis(9), outcome });
        }
        recorder.pass(Duration::from_secs(2));
        PerformanceReport::new("op", &recorder.finish())
    }

    #[test]
    fn the_known_keys_come_first_and_in_order() {
        let json = serde_json::to_string(&report(&[1], 0)).expect("serialises");
        let places: Vec<_> =
            KNOWN_KEYS.iter().map(|key| json.find(&format!("\"{key}\":")).expect(key)).collect();
        assert!(places.is_sorted(), "{json}");
        assert!(places[12] < json.find("\"schema_version\"").expect("has a version"));
    }

    #[test]
    fn figures_by_hand() {
        let report = report(&[1, 2, 3, 4], 1);
        assert_eq!((report.total_requests, report.successful_requests, report.failed_requests), (5, 4, 1));
        assert_eq!((report.success_rate_pct, report.avg_latency_ms), (80.0, Some(2.5)));
        assert_eq!((report.min_latency_ms, report.max_latency_ms), (Some(1.0), Some(4.0)));
        assert_eq!(report.throughput_rps, Some(2.0));
        // The third of five: the failure counts as slower than any success.
        let median = report.median_latency_ms.expect("has one");
        assert!((median / 3.0 - 1.0).abs() < 1e-3, "{median}");
        // Deviations -1.5, -0.5, 0.5, 1.5: squares sum to 5, over 3.
        assert!((report.std_dev_ms.expect("has one") - (5.0_f64 / 3.0).sqrt()).abs() < 1e-9);
        let busy = &report.failures[&Class::Http5xx];
        assert_eq!((busy.count, busy.avg_latency_ms, busy.example.as_str()), (1, Some(9.0), "busy"));
    }

    #[test]
    fn without_a_success_latencies_are_null_and_nothing_holds() {
        let targets = Targets::parse("[op]\navg_ms = 1e9", &["op"]).expect("is valid");
        for report in [report(&[], 3), report(&[], 0)] {
            let report = report.judge(&targets);
            let json = serde_json::to_value(&report).expect("serialises");
            assert!(json["avg_latency_ms"].is_null() && json["p99_latency_ms"].is_null());
            assert_eq!((json["success_rate_pct"].as_f64(), report.verdict()), (Some(0.0), Verdict::Missed));
        }
    }

    #[test]
    fn small_samples_say_that_they_are_small() {
        let few = report(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 0);
        assert!(few.intervals.median_latency_ms.upper.is_some());
        assert_eq!(few.intervals.p99_latency_ms.upper, None);
    }

    #[test]
    fn means_have_intervals_and_a_limit_within_one_is_no_sure_verdict() {
        let mut recorder = Recorder::default();
        for ms in 1..=40 {
            recorder.record(Finished { latency: Duration::from_millis(ms), outcome: Ok(()) });
            recorder.pass(Duration::from_millis(ms));
        }
        // The mean of 1 to 40 ms is 20.5 ms: a limit 0.1 ms beside it is within the interval, one of 39 or 2 ms is not.
        let report = PerformanceReport::new("op", &recorder.finish());
        let Interval { lower, upper } = report.intervals.avg_latency_ms;
        assert!(lower < report.avg_latency_ms && report.avg_latency_ms < upper, "{lower:?} {upper:?}");
        let Interval { lower, upper } = report.intervals.throughput_rps;
        assert!(lower < report.throughput_rps && report.throughput_rps < upper, "{lower:?} {upper:?}");
        for (limit, held, sure) in
            [(20.6, true, false), (20.4, false, false), (39.0, true, true), (2.0, false, true)]
        {
            let targets = Targets::parse(&format!("[op]\navg_ms = {limit}"), &["op"]).expect("is valid");
            let judged = report.clone().judge(&targets).targets[0];
            assert_eq!((judged.held, judged.sure), (held, Some(sure)), "{limit}");
        }
    }

    #[test]
    fn a_percentile_without_an_upper_end_is_never_surely_below_a_limit() {
        // 40 of 1 ms have no upper end of p99; that of p95 lies among what was lost.
        for (report, metric) in [(lossy(40, 0, 0), "p99_ms"), (lossy(96, 4, 0), "p95_ms")] {
            for (limit, held, sure) in [(5.0, true, false), (0.5, false, true)] {
                let targets =
                    Targets::parse(&format!("[op]\n{metric} = {limit}"), &["op"]).expect("is valid");
                let judged = report.clone().judge(&targets).targets[0];
                assert_eq!((judged.held, judged.sure), (held, Some(sure)), "{metric} {limit}");
            }
        }
    }

    #[test]
    fn a_report_of_a_bench_is_read_back_as_it_was_and_one_of_a_load_is_not() {
        let targets = Targets::parse("[op]\navg_ms = 2", &["op"]).expect("is valid");
        let plan = Plan {
            case: "a/b".to_owned(),
            schedule: "closed",
            users: 1,
            passes: 1,
            requests_per_pass: None,
            file_size_bytes: Some(10),
            seed: 42,
        };
        let report = report(&[1, 2, 3], 1).judge(&targets).describe(plan);
        let text = serde_json::to_string(&report).expect("serialises");
        assert_eq!(serde_json::from_str::<PerformanceReport>(&text).expect("is one"), report);
        let of_a_load = text.replacen('{', "{\"load\": {},", 1);
        let error = serde_json::from_str::<PerformanceReport>(&of_a_load).expect_err("is of a load");
        assert!(error.to_string().contains("is of a load"), "{error}");
    }

    #[test]
    fn the_histogram_can_be_read_back() {
        use hdrhistogram::serialization::Deserializer;
        let report = report(&[1, 2, 3], 0);
        let bytes = from_text(&report.histogram.expect("has one")).expect("is base64");
        let read: hdrhistogram::Histogram<u64> =
            Deserializer::new().deserialize(&mut bytes.as_slice()).expect("is a histogram");
        assert_eq!((read.len(), read.count_at(2_000_000)), (3, 1));
    }
}
