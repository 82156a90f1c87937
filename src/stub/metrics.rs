//! `GET /metrics`: what was uploaded, in the text format of Prometheus.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::phase::PhaseLog;
use crate::machine::allocated;

/// The media type of the text that `encode` writes.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a counter of uploads is told apart by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UploadLabels {
    policy: &'static str,
    status: u16,
}

/// What a counter of failures is told apart by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    cause: &'static str,
}

/// The stub's metrics.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    uploads: Family<UploadLabels, Counter>,
    failures: Family<FailureLabels, Counter>,
    duration: Histogram,
    size: Histogram,
    active: Gauge,
    signatures: Gauge,
    /// Bytes in use; nothing where this program's allocator does not count.
    live: Option<Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("ingester");
        let uploads = Family::default();
        registry.register("uploads", "Uploads by retention policy and status of the answer", uploads.clone());
        let failures = Family::default();
        registry.register(
            "upload_failures",
            "Uploads that were refused or failed, by cause",
            failures.clone(),
        );
        // From 0.1 ms to 26 s in steps of two.
        let duration = Histogram::new(exponential_buckets(0.0001, 2.0, 19));
        let help = "Time from the head of an upload until its answer";
        registry.register_with_unit("upload_duration", help, Unit::Seconds, duration.clone());
        // From 1 KB to 1 GB in steps of four.
        let size = Histogram::new(exponential_buckets(1024.0, 4.0, 11));
        registry.register_with_unit("upload_size", "Size of stored files", Unit::Bytes, size.clone());
        let active = Gauge::default();
        registry.register("active_uploads", "Uploads under way", active.clone());
        let signatures = Gauge::default();
        registry.register(
            "token_signatures_checked",
            "Signatures that were checked so far",
            signatures.clone(),
        );
        let live: Option<Gauge> = allocated().map(|_| Gauge::default());
        if let Some(live) = &live {
            registry.register("live_bytes", "Bytes in use, as the allocator counts them", live.clone());
        }
        Self { registry, uploads, failures, duration, size, active, signatures, live }
    }
}

/// Tells what the log of phases holds whenever somebody asks: nothing is counted twice, and an upload pays nothing for it.
#[derive(Debug)]
struct PhaseMetrics(Arc<PhaseLog>);

impl Collector for PhaseMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(total) = self.0.all().total() else { return Ok(()) };
        let help = "Time of stored uploads in each phase.";
        let unit = Unit::Seconds;
        let kind = MetricType::Histogram;
        let mut family = encoder.encode_descriptor("upload_phase", help, Some(&unit), kind)?;
        // Sums are all that is kept of a phase. A histogram with a single bucket for everything is how this format tells a
        // sum with its count, of which means over any time can be made.
        let everything = [(f64::INFINITY, total.operations)];
        for time in &total.phases {
            let labels = [("phase", time.phase.as_str())];
            let mut phase = family.encode_family(&labels)?;
            let seconds = time.ns as f64 / 1e9;
            phase.encode_histogram::<NoLabelSet>(seconds, total.operations, &everything, None)?;
        }
        Ok(())
    }
}

impl Metrics {
    /// With those of the phases in this log.
    pub fn with_phases(log: &Arc<PhaseLog>) -> Self {
        let mut metrics = Self::default();
        metrics.registry.register_collector(Box::new(PhaseMetrics(Arc::clone(log))));
        metrics
    }

    /// Counts an upload as under way for as long as what is returned lives.
    pub fn begins(&self) -> Active<'_> {
        self.active.inc();
        Active { active: &self.active }
    }

    /// Counts an upload that was answered with this status after so long.
    pub fn answered(&self, policy: &'static str, status: u16, took: Duration) {
        self.uploads.get_or_create(&UploadLabels { policy, status }).inc();
        self.duration.observe(took.as_secs_f64());
    }

    /// Counts a file that was stored.
    pub fn stored(&self, size: u64) {
        self.size.observe(size as f64);
    }

    /// Counts an upload that came to nothing.
    pub fn failed(&self, cause: &'static str) {
        self.failures.get_or_create(&FailureLabels { cause }).inc();
    }

    /// All of it as text. So many signatures were checked.
    pub fn text(&self, signatures: u64) -> String {
        self.signatures.set(i64::try_from(signatures).unwrap_or(i64::MAX));
        // Before the text is made, which takes memory for as long as it is sent.
        if let Some(live) = &self.live
            && let Some(allocated) = allocated()
        {
            live.set(i64::try_from(allocated.live.0).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a buffer in memory takes everything");
        text
    }
}

/// An upload under way. One that is dropped, as when its client goes, counts no longer.
#[derive(Debug)]
pub(super) struct Active<'a> {
    active: &'a Gauge,
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.active.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_in_the_text() {
        let metrics = Metrics::default();
        let active = metrics.begins();
        metrics.answered("temporary", 201, Duration::from_millis(3));
        metrics.answered("temporary", 201, Duration::from_millis(5));
        metrics.stored(2048);
        metrics.failed("token");
        let text = metrics.text(7);
        for line in [
            "ingester_uploads_total{policy=\"temporary\",status=\"201\"} 2",
            "ingester_upload_failures_total{cause=\"token\"} 1",
            "ingester_upload_duration_seconds_count 2",
            "ingester_upload_size_bytes_sum 2048.0",
            "ingester_active_uploads 1",
            "ingester_token_signatures_checked 7",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
        }
        drop(active);
        assert!(metrics.text(7).contains("ingester_active_uploads 0"));
        // The allocator of the tests does not count, and 0 would be taken for a figure.
        assert!(!text.contains("live_bytes"), "{text}");
    }
}
