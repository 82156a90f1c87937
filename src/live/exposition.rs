//! Metrics as text, in the form that whoever asks can read.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, prometheus_text, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::families::{Family, FamilyKind, Label, PREFIX, Series, SeriesValue};

/// The media type of OpenMetrics, by which a client asks for it.
const OPEN_METRICS: &str = "application/openmetrics-text";

/// A form of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextFormat {
    /// OpenMetrics 1.0, which Prometheus asks for first.
    OpenMetrics,
    /// The older form of Prometheus: for `curl`, and for `promtool check metrics`.
    Prometheus,
}

impl TextFormat {
    /// The form that a client wants, by its `Accept` header.
    pub fn wanted(accept: &str) -> Self {
        for range in accept.split(',') {
            let mut parameters = range.split(';').map(str::trim);
            if parameters.next() != Some(OPEN_METRICS) {
                continue;
            }
            // A weight of 0 means "not this one" (RFC 9110, 12.4.2).
            if !parameters.any(is_weight_of_zero) {
                return Self::OpenMetrics;
            }
        }
        Self::Prometheus
    }

    /// Its media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
        }
    }
}

fn is_weight_of_zero(parameter: &str) -> bool {
    let weight = parameter.strip_prefix("q=").and_then(|weight| weight.parse::<f64>().ok());
    weight == Some(0.0)
}

/// The metrics in this form.
pub(super) fn exposition(families: Vec<Family>, format: TextFormat) -> String {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Collected(families)));
    let mut out = String::new();
    let written = match format {
        TextFormat::OpenMetrics => text::encode(&mut out, &registry),
        TextFormat::Prometheus => prometheus_text::encode(&mut out, &registry),
    };
    written.expect("a buffer in memory takes everything");
    out
}

/// Metrics that are values already.
#[derive(Debug)]
struct Collected(Vec<Family>);

impl Collector for Collected {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for family in &self.0 {
            let kind = match family.kind {
                FamilyKind::Counter => MetricType::Counter,
                FamilyKind::Gauge => MetricType::Gauge,
                FamilyKind::Histogram => MetricType::Histogram,
                FamilyKind::Info => MetricType::Info,
                FamilyKind::Unknown => MetricType::Unknown,
            };
            // Units are in the names: the library would repeat them in lines of their own.
            let mut described = encoder.encode_descriptor(family.name, family.help, None, kind)?;
            for Series { labels, value } in &family.series {
                let labels = pairs(labels);
                match value {
                    SeriesValue::Info => described.encode_info(&labels)?,
                    SeriesValue::Count(count) => {
                        described
                            .encode_family(&labels)?
                            .encode_counter::<NoLabelSet, u64, f64>(count, None)?;
                    }
                    SeriesValue::Number(number) => described.encode_family(&labels)?.encode_gauge(number)?,
                    SeriesValue::Histogram { buckets, sum, count } => {
                        let buckets: Vec<(f64, u64)> =
                            buckets.iter().map(|bucket| (bucket.upper_s, bucket.count)).collect();
                        let mut histogram = described.encode_family(&labels)?;
                        histogram.encode_histogram::<NoLabelSet>(*sum, *count, &buckets, None)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Labels as the library takes them. It escapes their values.
fn pairs(labels: &[Label]) -> Vec<(&str, &str)> {
    labels.iter().map(|label| (label.name, label.value.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::board::Board;
    use super::super::families::families;
    use super::super::fixture::{about, open, seconds};
    use super::*;

    /// The text of a run in which one request took 2 ms, and another was reset.
    fn written(format: TextFormat) -> String {
        let mut about = about();
        about.operation = "a\"b\\c\nd".to_owned();
        let mut board = Board::new(about);
        board.begin(open("4:1s"));
        board.add(&seconds(&[(0, 1), (100, 7)]));
        exposition(families(&board), format)
    }

    #[track_caller]
    fn has(text: &str, line: &str) {
        assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
    }

    #[test]
    fn open_metrics_names_families_and_ends_with_a_mark() {
        let text = written(TextFormat::OpenMetrics);
        has(&text, "# TYPE ingester_perf_requests counter");
        has(&text, r#"ingester_perf_requests_total{operation="a\"b\\c\nd",outcome="reset"} 1"#);
        has(&text, "# TYPE ingester_perf_baseline_latency_seconds unknown");
        has(&text, "# TYPE ingester_perf_run info");
        assert!(text.ends_with("\n# EOF\n"), "{text}");
    }

    #[test]
    fn the_older_form_names_metrics() {
        let text = written(TextFormat::Prometheus);
        has(&text, "# TYPE ingester_perf_requests_total counter");
        has(&text, r#"ingester_perf_latency_seconds_bucket{operation="a\"b\\c\nd",le="0.001"} 0"#);
        has(&text, r#"ingester_perf_latency_seconds_bucket{operation="a\"b\\c\nd",le="0.002"} 1"#);
        has(&text, r#"ingester_perf_latency_seconds_bucket{operation="a\"b\\c\nd",le="60"} 1"#);
        has(&text, r#"ingester_perf_latency_seconds_bucket{operation="a\"b\\c\nd",le="+Inf"} 1"#);
        has(&text, r#"ingester_perf_latency_seconds_sum{operation="a\"b\\c\nd"} 0.002"#);
        has(&text, r#"ingester_perf_latency_seconds_count{operation="a\"b\\c\nd"} 1"#);
        has(&text, "# TYPE ingester_perf_baseline_latency_seconds untyped");
        has(
            &text,
            r#"ingester_perf_run_info{operation="a\"b\\c\nd",version="0.1.0",seed="42",model="open"} 1"#,
        );
        assert!(!text.contains("EOF"), "{text}");
    }

    #[test]
    fn a_client_gets_open_metrics_where_it_asks_for_it() {
        // As Prometheus 2.42 asks, as curl does, and as somebody who does not want it.
        for (accept, format) in [
            ("application/openmetrics-text;version=1.0.0;q=0.7,text/plain;q=0.3", TextFormat::OpenMetrics),
            ("text/plain;version=0.0.4;q=0.5, application/openmetrics-text", TextFormat::OpenMetrics),
            ("*/*", TextFormat::Prometheus),
            ("", TextFormat::Prometheus),
            ("application/openmetrics-text; q=0, text/plain", TextFormat::Prometheus),
        ] {
            assert_eq!(TextFormat::wanted(accept), format, "{accept}");
        }
        assert!(TextFormat::Prometheus.content_type().starts_with("text/plain; version=0.0.4"));
    }
}
