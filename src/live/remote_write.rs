//! Metrics as the body of a request of Prometheus' remote write, version 1: protocol buffers, compressed with snappy.
//! <https://prometheus.io/docs/specs/prw/remote_write_spec/>

use prost::Message;

use super::families::{Family, FamilyKind, Label, PREFIX, Series, SeriesValue};

/// The label with a metric's name.
const NAME: &str = "__name__";
/// The label with the bound of a bucket.
const BOUND: &str = "le";

/// A request.
#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    series: Vec<TimeSeries>,
}

/// One metric.
#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<LabelPair>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<TimedValue>,
}

/// A label of it.
#[derive(Clone, PartialEq, Message)]
struct LabelPair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// A value of it.
#[derive(Clone, PartialEq, Message)]
struct TimedValue {
    #[prost(double, tag = "1")]
    value: f64,
    /// Milliseconds since 1970.
    #[prost(int64, tag = "2")]
    at_ms: i64,
}

/// The body of a request with these metrics as they were at this time, in ms since 1970. Each gets the labels that are added.
pub(super) fn write_request(families: &[Family], added: &[Label], at_ms: i64) -> Vec<u8> {
    let mut request = WriteRequest::default();
    for family in families {
        for series in &family.series {
            let metric = Metric { family, series, added, at_ms };
            metric.write(&mut request.series);
        }
    }
    // The library refuses 4 GB and more.
    snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).expect("metrics are some KB")
}

/// One metric on its way into a request.
struct Metric<'a> {
    family: &'a Family,
    series: &'a Series,
    added: &'a [Label],
    at_ms: i64,
}

impl Metric<'_> {
    /// Adds it. A histogram is one series a bucket, as it is in the text form.
    fn write(&self, out: &mut Vec<TimeSeries>) {
        match &self.series.value {
            SeriesValue::Count(count) => out.push(self.single(*count as f64)),
            SeriesValue::Number(number) => out.push(self.single(*number)),
            SeriesValue::Info => out.push(self.single(1.0)),
            SeriesValue::Histogram { buckets, sum, count } => {
                let mut not_longer = 0;
                for bucket in buckets {
                    not_longer += bucket.count;
                    out.push(self.named("_bucket", Some(bucket.upper_s), not_longer as f64));
                }
                out.push(self.named("_sum", None, *sum));
                out.push(self.named("_count", None, *count as f64));
            }
        }
    }

    /// The one series of a metric that is not a histogram.
    fn single(&self, value: f64) -> TimeSeries {
        let ending = match self.family.kind {
            FamilyKind::Counter => "_total",
            FamilyKind::Info => "_info",
            FamilyKind::Gauge | FamilyKind::Histogram | FamilyKind::Unknown => "",
        };
        self.named(ending, None, value)
    }

    fn named(&self, ending: &str, bound: Option<f64>, value: f64) -> TimeSeries {
        let name = format!("{PREFIX}_{}{ending}", self.family.name);
        let mut labels = vec![LabelPair { name: NAME.to_owned(), value: name }];
        for label in self.series.labels.iter().chain(self.added) {
            labels.push(LabelPair { name: label.name.to_owned(), value: label.value.clone() });
        }
        if let Some(bound) = bound {
            labels.push(LabelPair { name: BOUND.to_owned(), value: written(bound) });
        }
        // Receivers may refuse labels that are not in order.
        labels.sort_by(|one, other| one.name.cmp(&other.name));
        TimeSeries { labels, samples: vec![TimedValue { value, at_ms: self.at_ms }] }
    }
}

/// A bound as OpenMetrics writes it, and so as it is stored where Prometheus has fetched it: `1.0`.
fn written(bound: f64) -> String {
    if bound.is_infinite() { "+Inf".to_owned() } else { format!("{bound:?}") }
}

#[cfg(test)]
mod tests {
    use super::super::board::Board;
    use super::super::families::families;
    use super::super::fixture::{about, open, seconds};
    use super::*;

    /// The series of a request for a run in which one request took 2 ms and another was reset, as lines.
    fn sent() -> Vec<String> {
        let mut board = Board::new(about());
        board.begin(open("4:1s"));
        board.add(&seconds(&[(0, 1), (100, 7)]));
        let body = write_request(&families(&board), &[Label::new("job", "perf")], 1_700_000_000_123);
        let plain = snap::raw::Decoder::new().decompress_vec(&body).expect("is compressed");
        let request = WriteRequest::decode(plain.as_slice()).expect("is a request");
        let mut lines = Vec::new();
        for series in request.series {
            let labels: Vec<_> = series.labels.iter().map(|l| format!("{}={}", l.name, l.value)).collect();
            let [sample] = series.samples.as_slice() else { panic!("{labels:?} has not one value") };
            assert_eq!(sample.at_ms, 1_700_000_000_123);
            lines.push(format!("{} {}", labels.join(","), sample.value));
        }
        lines
    }

    #[test]
    fn every_metric_is_a_series_with_its_labels_in_order() {
        let sent = sent();
        for line in [
            "__name__=ingester_perf_requests_total,job=perf,operation=op,outcome=ok 1",
            "__name__=ingester_perf_requests_total,job=perf,operation=op,outcome=reset 1",
            "__name__=ingester_perf_latency_seconds_bucket,job=perf,le=0.001,operation=op 0",
            "__name__=ingester_perf_latency_seconds_bucket,job=perf,le=0.002,operation=op 1",
            "__name__=ingester_perf_latency_seconds_bucket,job=perf,le=1.0,operation=op 1",
            "__name__=ingester_perf_latency_seconds_bucket,job=perf,le=+Inf,operation=op 1",
            "__name__=ingester_perf_latency_seconds_sum,job=perf,operation=op 0.002",
            "__name__=ingester_perf_latency_seconds_count,job=perf,operation=op 1",
            "__name__=ingester_perf_baseline_latency_seconds,job=perf,operation=op,quantile=0.95 0.02",
            "__name__=ingester_perf_run_info,job=perf,model=open,operation=op,seed=42,version=0.1.0 1",
        ] {
            assert!(sent.iter().any(|found| found == line), "{line} is not among {sent:#?}");
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_specification() {
        // Field 1, a message of 21 bytes: its field 1, a label of 6 bytes (fields 1 and 2, texts of one byte each), and its
        // field 2, a sample of 11 bytes: field 1, the 64 bits of 1.0, and field 2, the number 5.
        let label = LabelPair { name: "a".to_owned(), value: "b".to_owned() };
        let sample = TimedValue { value: 1.0, at_ms: 5 };
        let request =
            WriteRequest { series: vec![TimeSeries { labels: vec![label], samples: vec![sample] }] };
        let expected = [
            [0x0a, 21].as_slice(),
            &[0x0a, 6, 0x0a, 1, b'a', 0x12, 1, b'b'],
            &[0x12, 11, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x10, 5],
        ];
        assert_eq!(request.encode_to_vec(), expected.concat());
    }
}
