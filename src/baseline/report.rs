//! A report read back: the figures that a comparison needs, and where they were measured.

use std::path::Path;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::recording::{from_text, unpack};
use crate::report::{Distribution, Intervals};

/// Versions of reports that are understood. Percentiles of version 1 were of successes only, which is the same where nothing
/// failed.
const SCHEMA_VERSIONS: [u32; 2] = [1, 2];
/// The quantile that the machine's slow spells hardly move.
// Of windows of 8 s on a shared machine, the medians spread by 8 %, the 5 % quantiles by 0.3 %.
const LOW: f64 = 0.05;

/// Figures of one operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What was done.
    pub operation: String,
    /// Mean latency, ms.
    pub mean_ms: f64,
    /// 5th percentile, ms.
    pub low_ms: f64,
    /// 50th percentile, ms.
    pub p50_ms: f64,
    /// 95th percentile, ms.
    pub p95_ms: f64,
    /// 99th percentile, ms.
    pub p99_ms: f64,
    /// Intervals of these, but for the low quantile; ends are missing where the sample was too small.
    pub intervals: Intervals,
    /// Where it was measured.
    pub origin: Origin,
    /// The latencies.
    pub(crate) distribution: Distribution,
}

/// Where something was measured, and with what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// CPU model.
    pub cpu: String,
    /// Cores that could be used.
    pub cores: usize,
    /// Operating system.
    pub os: String,
    /// Compiler of the build.
    pub rustc: String,
    /// `debug` or `release`.
    pub profile: String,
    /// Version of this crate.
    pub version: String,
    /// SHA-256 of the benchmark source.
    pub source: String,
    /// How threads were placed on cores.
    pub placement: String,
    /// What was measured.
    pub ingester: String,
}

/// The keys of a report that are read.
#[derive(Deserialize)]
struct Wire {
    operation: String,
    schema_version: u32,
    partial: bool,
    avg_latency_ms: Option<f64>,
    median_latency_ms: Option<f64>,
    p95_latency_ms: Option<f64>,
    p99_latency_ms: Option<f64>,
    /// Nothing in reports of early versions.
    #[serde(default)]
    intervals: Intervals,
    #[serde(default)]
    failed_requests: u64,
    histogram: Option<String>,
    environment: Option<Origin>,
    load: Option<LoadWire>,
}

/// What the report of a load has besides.
#[derive(Deserialize)]
struct LoadWire {
    #[serde(default)]
    unfinished: u64,
}

impl Report {
    /// Reads a report's text; messages name `path`.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let wire: Wire =
            serde_json::from_str(text).map_err(|e| Error::malformed(path, format!("is no report: {e}")))?;
        Self::of(wire).map_err(|problem| Error::malformed(path, problem))
    }

    /// The figures; an error where they cannot be compared.
    fn of(wire: Wire) -> Result<Self, String> {
        if !SCHEMA_VERSIONS.contains(&wire.schema_version) {
            return Err(format!("has version {}, and 1 and 2 are understood", wire.schema_version));
        }
        let operation = wire.operation;
        if wire.partial {
            return Err(format!("{operation}: the run was interrupted; measure it again"));
        }
        let histogram = wire.histogram.ok_or_else(|| format!("{operation}: has no histogram"))?;
        let latencies = latencies(&histogram).map_err(|e| format!("{operation}: 'histogram' {e}"))?;
        let unfinished = wire.load.map_or(0, |load| load.unfinished);
        // Those of a file may be any numbers.
        let lost = wire.failed_requests.saturating_add(unfinished);
        Ok(Self {
            mean_ms: sound(&operation, "avg_latency_ms", wire.avg_latency_ms)?,
            p50_ms: sound(&operation, "median_latency_ms", wire.median_latency_ms)?,
            p95_ms: sound(&operation, "p95_latency_ms", wire.p95_latency_ms)?,
            p99_ms: sound(&operation, "p99_latency_ms", wire.p99_latency_ms)?,
            low_ms: sound(&operation, "histogram", Some(low_ms(&latencies)))?,
            intervals: wire.intervals,
            distribution: Distribution::of_histogram(&latencies, lost),
            origin: wire
                .environment
                .ok_or_else(|| format!("{operation}: does not say where it was measured"))?,
            operation,
        })
    }
}

/// The figure, if it is there and above 0: changes are shares of it.
fn sound(operation: &str, name: &str, value: Option<f64>) -> Result<f64, String> {
    let Some(value) = value else {
        return Err(format!("{operation}: has no {name}: nothing succeeded, or too much was lost"));
    };
    if !value.is_finite() || value <= 0.0 {
        return Err(format!("{operation}: {name} is not above 0"));
    }
    Ok(value)
}

/// The histogram of this text; an error where it cannot be read, or is empty: every quantile of that is 0.
fn latencies(text: &str) -> Result<Histogram<u64>, String> {
    let histogram = unpack(&from_text(text)?)?;
    if histogram.is_empty() { Err("has no latencies".to_owned()) } else { Ok(histogram) }
}

fn low_ms(latencies: &Histogram<u64>) -> f64 {
    latencies.value_at_quantile(LOW) as f64 / 1e6
}

impl Origin {
    /// What of it makes figures incomparable, by name.
    pub fn decisive(&self) -> [(&'static str, String); 4] {
        [
            ("CPU", self.cpu.clone()),
            ("cores", self.cores.to_string()),
            ("profile", self.profile.clone()),
            ("benchmark source", self.source.chars().take(12).collect()),
        ]
    }

    /// What else a reader should know of it.
    pub fn telling(&self) -> [(&'static str, &str); 5] {
        [
            ("system", &self.os),
            ("compiler", &self.rustc),
            ("version", &self.version),
            ("placement", &self.placement),
            ("ingester", &self.ingester),
        ]
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::recording::{Samples, pack, to_text};

    /// A sound report: latencies in ms, and what `change` does to it.
    pub fn report(operation: &str, mean_ms: f64, change: impl FnOnce(&mut Value)) -> String {
        let mut samples = Samples::default();
        for _ in 0..100 {
            samples.record(Duration::from_secs_f64(mean_ms / 1e3));
        }
        let mut report = json!({
            "operation": operation, "schema_version": 1, "partial": false, "avg_latency_ms": mean_ms,
            "median_latency_ms": mean_ms, "p95_latency_ms": 2.0 * mean_ms, "p99_latency_ms": 3.0 * mean_ms,
            "histogram": to_text(&pack(samples.histogram())),
            "environment": {
                "cpu": "Z80", "cores": 2, "os": "CP/M", "rustc": "rustc 1.95", "profile": "release",
                "version": "0.1.0", "source": "0123456789abcdef", "placement": "none", "ingester": "stub",
            },
        });
        change(&mut report);
        report.to_string()
    }

    fn parsed(change: impl FnOnce(&mut Value)) -> Result<Report, String> {
        Report::parse(Path::new("r.json"), &report("op", 2.0, change)).map_err(|e| e.to_string())
    }

    #[test]
    fn a_report_is_read_back() {
        let report = parsed(|_| ()).expect("is sound");
        assert_eq!((report.mean_ms, report.p50_ms, report.p95_ms, report.p99_ms), (2.0, 2.0, 4.0, 6.0));
        // A histogram of three digits holds every value to one part in a thousand.
        assert!((report.low_ms / 2.0 - 1.0).abs() < 1e-3, "{}", report.low_ms);
        assert_eq!(report.origin.decisive()[1], ("cores", "2".to_owned()));
    }

    #[test]
    fn what_cannot_be_compared_says_why() {
        fn says(change: fn(&mut Value), what: &str) {
            let error = parsed(change).expect_err(what);
            assert!(error.starts_with("r.json: ") && error.contains(what), "{error}");
        }
        says(|r| r["schema_version"] = json!(7), "has version 7");
        says(|r| r["partial"] = json!(true), "interrupted");
        says(|r| r["avg_latency_ms"] = Value::Null, "nothing succeeded");
        says(|r| r["p95_latency_ms"] = json!(-1.0), "p95_latency_ms is not above 0");
        says(|r| r["histogram"] = Value::Null, "has no histogram");
        says(|r| r["histogram"] = json!("AAAA"), "with other bounds");
        says(|r| r["histogram"] = json!(to_text(&pack(Samples::default().histogram()))), "has no latencies");
        says(|r| r["environment"] = Value::Null, "does not say where");
        says(|r| r["operation"] = json!(3), "is no report");
    }
}
