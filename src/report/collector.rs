//! Collecting figures by operation, for tests and tools of one's own: the earlier suite's `performance_collector`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::performance::PerformanceReport;
use crate::recording::{Class, Failure, Finished, Recorder};

/// Records operations by name and reports them.
///
/// ```
/// use std::time::Duration;
/// use ingester_perf::report::PerformanceCollector;
///
/// let mut collector = PerformanceCollector::default();
/// collector.record("parse", Duration::from_millis(12), Ok(()));
/// collector.record("parse", Duration::from_millis(30), Err("503 Service Unavailable"));
///
/// let reports = collector.finish();
/// assert_eq!(reports[0].operation, "parse");
/// assert_eq!((reports[0].total_requests, reports[0].failed_requests), (2, 1));
/// assert_eq!(reports[0].avg_latency_ms, Some(12.0));
/// ```
#[derive(Debug, Default)]
pub struct PerformanceCollector {
    operations: BTreeMap<String, Recorder>,
}

impl PerformanceCollector {
    /// Counts one operation. It adds its latency to the measured time that throughput is taken over.
    pub fn record(&mut self, operation: &str, latency: Duration, outcome: Result<(), &str>) {
        let outcome = outcome.map_err(|e| Failure::new(Class::Other, e));
        let recorder = self.operations.entry(operation.to_owned()).or_default();
        recorder.record(Finished { latency, outcome });
        // A pass of one operation: nobody says when measuring began and ended, so throughput is over the sum of latencies.
        recorder.pass(latency);
    }

    /// A report an operation, in the order of their names.
    pub fn finish(self) -> Vec<PerformanceReport> {
        let reports = self.operations.into_iter();
        reports.map(|(name, recorder)| PerformanceReport::new(name, &recorder.finish())).collect()
    }
}

/// Runs `work` and says how long it took: the earlier suite's `benchmark_timer`.
///
/// ```
/// let (sum, took) = ingester_perf::report::benchmark_timer(|| (1..=10).sum::<u32>());
/// assert_eq!(sum, 55);
/// assert!(took.as_secs() < 60);
/// ```
pub fn benchmark_timer<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let result = work();
    (result, started.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_kept_apart() {
        let mut collector = PerformanceCollector::default();
        let second = Duration::from_secs(1);
        collector.record("b", second, Ok(()));
        collector.record("a", second, Err("no"));
        collector.record("b", second, Ok(()));
        let reports = collector.finish();
        // Successes over the time of the operation's own records: none in 1 s, and two in 2 s.
        let summary: Vec<_> =
            reports.iter().map(|r| (r.operation.as_str(), r.successful_requests, r.throughput_rps)).collect();
        assert_eq!(summary, [("a", 0, Some(0.0)), ("b", 2, Some(1.0))]);
    }
}
