//! A run second by second: in the report, as CSV, and as an HdrHistogram interval log.

use std::path::Path;
use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::IntervalLogWriterBuilder;
use serde::Serialize;

use super::quantile::ns_to_ms;
use super::resources::SecondUse;
use crate::document::Table;
use crate::error::Error;
use crate::files::write_text;
use crate::load::Second;

/// Histograms hold nanoseconds; the log's column of maxima is in ms.
const NS_PER_MS: f64 = 1e6;

/// One second of a run. Latencies are response times of successes that ended in it, ms.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SecondReport {
    /// Counted from the start, from 0.
    pub second: u64,
    /// Requests that began.
    pub begun: u64,
    /// Successes: the rate.
    pub ok: u64,
    /// Failures.
    pub failed: u64,
    /// Requests under way at its end.
    pub in_flight: u64,
    /// 50th percentile.
    pub p50_ms: Option<f64>,
    /// 95th percentile.
    pub p95_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
    /// Longest.
    pub max_ms: Option<f64>,
    /// What was used meanwhile.
    #[serde(flatten)]
    pub used: SecondUse,
}

impl From<&Second> for SecondReport {
    fn from(second: &Second) -> Self {
        let histogram = second.histogram();
        let mut report = Self {
            second: second.index,
            begun: second.begun,
            ok: second.ok,
            failed: second.failed,
            in_flight: second.in_flight,
            ..Self::default()
        };
        // Of an empty histogram every value is 0, which would read as a request that took no time.
        if !histogram.is_empty() {
            report.p50_ms = Some(ns_to_ms(histogram.value_at_quantile(0.5) as f64));
            report.p95_ms = Some(ns_to_ms(histogram.value_at_quantile(0.95) as f64));
            report.p99_ms = Some(ns_to_ms(histogram.value_at_quantile(0.99) as f64));
            report.max_ms = Some(ns_to_ms(histogram.max() as f64));
        }
        report
    }
}

/// A row a second, in plain numbers: for programs.
pub fn seconds_table(seconds: &[SecondReport]) -> Table {
    let mut header =
        vec!["second", "begun", "ok", "failed", "in_flight", "p50_ms", "p95_ms", "p99_ms", "max_ms"];
    for column in SecondUse::default().columns() {
        header.push(column.name);
    }
    let mut table = Table::new(header);
    for second in seconds {
        let counts = [second.second, second.begun, second.ok, second.failed, second.in_flight];
        let times = [second.p50_ms, second.p95_ms, second.p99_ms, second.max_ms];
        let counts = counts.map(|count| count.to_string());
        let times = times.map(|ms| ms.map_or_else(String::new, |ms| format!("{ms:.6}")));
        let mut used = Vec::new();
        for column in second.used.columns() {
            // As short as it can be without another number being meant; nothing where it is not known.
            used.push(column.value.map_or_else(String::new, |value| value.to_string()));
        }
        table.row(counts.into_iter().chain(times).chain(used));
    }
    table
}

/// Writes the seconds' histograms of response times in ns, for the tools of HdrHistogram.
pub fn write_hlog(path: &Path, seconds: &[Second], started_at: SystemTime) -> Result<(), Error> {
    let mut text = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut builder = IntervalLogWriterBuilder::new();
    builder
        .add_comment("response times of successes in ns; maxima in ms")
        .with_start_time(started_at)
        .with_base_time(started_at)
        .with_max_value_divisor(NS_PER_MS);
    // The log borrows the text for as long as it is written.
    {
        let begun = builder.begin_log_with(&mut text, &mut serializer);
        let mut log = begun.map_err(|e| cannot_write(path, e.to_string()))?;
        for second in seconds {
            let from = Duration::from_secs(second.index);
            let lasting = Duration::from_secs(1);
            let written = log.write_histogram(&second.histogram(), from, lasting, None);
            written.map_err(|e| cannot_write(path, format!("{e:?}")))?;
        }
    }
    let text = String::from_utf8(text).map_err(|e| cannot_write(path, e.to_string()))?;
    write_text(path, &text)
}

fn cannot_write(path: &Path, problem: String) -> Error {
    Error::file(path, "write", std::io::Error::other(problem))
}
