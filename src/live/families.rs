//! What is known as metrics of Prometheus, as values. How many there are is fixed: no name or label comes from a service.

use std::time::Duration;

use super::board::Board;
use super::tally::LatencyBucket;
use crate::load::{ResourceSample, SideUse};
use crate::recording::Class;

/// What all names begin with.
pub(super) const PREFIX: &str = "ingester_perf";
/// The outcome of a success.
const OK: &str = "ok";
/// That of a request which had not ended when its run did. With it, all outcomes come to what was scheduled.
const UNFINISHED: &str = "unfinished";

/// Metrics of one name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Family {
    /// Its name, without prefix and without the ending that its kind has.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// What kind it is.
    pub kind: FamilyKind,
    /// Its metrics, each with other labels.
    pub series: Vec<Series>,
}

/// What kind of metric it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FamilyKind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts by size.
    Histogram,
    /// Says something in its labels.
    Info,
    /// Of none of the kinds: quantiles that somebody else computed.
    Unknown,
}

/// One metric.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    /// What it is told apart by.
    pub labels: Vec<Label>,
    /// What it is.
    pub value: SeriesValue,
}

/// A label with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its value; any text.
    pub value: String,
}

/// The value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum SeriesValue {
    /// A count.
    Count(u64),
    /// A figure.
    Number(f64),
    /// Counts by size.
    Histogram {
        /// The buckets, smallest first; the last one has no bound.
        buckets: Vec<LatencyBucket>,
        /// Sum of all that was counted.
        sum: f64,
        /// How many were counted.
        count: u64,
    },
    /// Nothing but labels.
    Info,
}

impl Label {
    pub fn new(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: value.into() }
    }
}

/// A side of the run, and what it used in a second.
struct SideFigures {
    name: &'static str,
    cpu_cores: Option<f64>,
    resident_bytes: Option<u64>,
}

/// All metrics; none of those of which nothing is known.
pub(super) fn families(board: &Board) -> Vec<Family> {
    let mut families = vec![requests(board), latency(board)];
    families.extend(of_the_last_second(board));
    families.extend(used(board));
    families.push(baseline(board));
    families.push(run(board));
    families.retain(|family| !family.series.is_empty());
    families
}

/// What every metric is told apart by, and what else this one is.
fn labels(board: &Board, others: impl IntoIterator<Item = Label>) -> Vec<Label> {
    let mut labels = vec![Label::new("operation", board.about.operation.clone())];
    // Shards of one run may push from one machine, and have all else in common.
    if let Some(shard) = board.about.shard {
        labels.push(Label::new("shard", shard.to_string()));
    }
    labels.extend(others);
    labels
}

fn requests(board: &Board) -> Family {
    let tally = &board.tally;
    let mut series = vec![outcome(board, OK, tally.ok)];
    // Those of which there are none are told too: a counter that begins at 1 has no rate for its first failure.
    for class in Class::ALL {
        let count = tally.failures.get(&class).copied().unwrap_or(0);
        series.push(outcome(board, class.name(), count));
    }
    series.push(outcome(board, UNFINISHED, tally.unfinished));
    Family {
        name: "requests",
        help: "Requests by outcome: ok, a class of failure, or unfinished when the run ended.",
        kind: FamilyKind::Counter,
        series,
    }
}

/// How many requests ended in this way.
fn outcome(board: &Board, outcome: &str, count: u64) -> Series {
    let labels = labels(board, [Label::new("outcome", outcome)]);
    Series { labels, value: SeriesValue::Count(count) }
}

fn latency(board: &Board) -> Family {
    let tally = &board.tally;
    let value =
        SeriesValue::Histogram { buckets: tally.buckets(), sum: tally.latency_sum_s(), count: tally.ok };
    Family {
        name: "latency_seconds",
        help: "Response times of successes, from the scheduled beginning.",
        kind: FamilyKind::Histogram,
        series: vec![Series { labels: labels(board, []), value }],
    }
}

/// Figures of the last second. Nothing before the first one is over.
fn of_the_last_second(board: &Board) -> Vec<Family> {
    let Some(latest) = board.latest() else { return Vec::new() };
    let labels = labels(board, []);
    let send_delay_s = latest.send_delay_max.as_secs_f64();
    // A plan has either users or a rate.
    let (level_name, level_help) = if board.is_open() {
        ("scheduled_rate", "Requests a second that the plan wants now.")
    } else {
        ("users", "Users that the plan wants now.")
    };
    vec![
        gauge(
            "send_delay_seconds",
            "Longest send delay, the generator's own, of the requests that ended in the last second.",
            &labels,
            send_delay_s,
        ),
        gauge(
            "in_flight",
            "Requests under way at the end of the last second.",
            &labels,
            latest.in_flight as f64,
        ),
        gauge(level_name, level_help, &labels, latest.level),
    ]
}

/// What was used in the last second of which that is known.
fn used(board: &Board) -> Vec<Family> {
    let Some(sample) = &board.used else { return Vec::new() };
    let mut cpu = Vec::new();
    let mut memory = Vec::new();
    for side in sides(sample) {
        let labels = labels(board, [Label::new("side", side.name)]);
        if let Some(cores) = side.cpu_cores {
            cpu.push(Series { labels: labels.clone(), value: SeriesValue::Number(cores) });
        }
        if let Some(bytes) = side.resident_bytes {
            memory.push(Series { labels, value: SeriesValue::Number(bytes as f64) });
        }
    }
    vec![
        Family {
            name: "cpu_cores",
            help: "CPU that was used in the last second: 2 are two cores that are busy all the time.",
            kind: FamilyKind::Gauge,
            series: cpu,
        },
        Family {
            name: "resident_bytes",
            help: "Resident memory; of both sides together where they are one process.",
            kind: FamilyKind::Gauge,
            series: memory,
        },
    ]
}

fn sides(sample: &ResourceSample) -> [SideFigures; 4] {
    let machine = SideUse { cpu: sample.machine.cpu, ..SideUse::default() };
    [
        side("generator", sample.generator, sample.lasting),
        side("service", sample.service.unwrap_or_default(), sample.lasting),
        side("both", sample.both.unwrap_or_default(), sample.lasting),
        side("machine", machine, sample.lasting),
    ]
}

/// What a side used in a sample that lasted so long.
fn side(name: &'static str, used: SideUse, lasting: Duration) -> SideFigures {
    SideFigures {
        name,
        cpu_cores: used.cpu.map(|cpu| cpu.as_secs_f64() / lasting.as_secs_f64()),
        resident_bytes: used.resident_bytes,
    }
}

/// Percentiles of an earlier run, if there is one.
fn baseline(board: &Board) -> Family {
    let mut series = Vec::new();
    if let Some(baseline) = &board.about.baseline {
        for (quantile, ms) in [("0.5", baseline.p50_ms), ("0.95", baseline.p95_ms), ("0.99", baseline.p99_ms)]
        {
            let labels = labels(board, [Label::new("quantile", quantile)]);
            series.push(Series { labels, value: SeriesValue::Number(ms / 1e3) });
        }
    }
    Family {
        name: "baseline_latency_seconds",
        help: "Percentiles of the response times of an earlier run, from its report.",
        kind: FamilyKind::Unknown,
        series,
    }
}

/// What the run is.
fn run(board: &Board) -> Family {
    let version = Label::new("version", board.about.version.clone());
    let seed = Label::new("seed", board.about.seed.to_string());
    let mut labels = labels(board, [version, seed]);
    if board.plan.is_some() {
        labels.push(Label::new("model", if board.is_open() { "open" } else { "closed" }));
    }
    Family {
        name: "run",
        help: "What runs.",
        kind: FamilyKind::Info,
        series: vec![Series { labels, value: SeriesValue::Info }],
    }
}

fn gauge(name: &'static str, help: &'static str, labels: &[Label], value: f64) -> Family {
    let series = vec![Series { labels: labels.to_vec(), value: SeriesValue::Number(value) }];
    Family { name, help, kind: FamilyKind::Gauge, series }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{about, closed, open, seconds, used};
    use super::*;

    /// The metrics of a run in which two requests end well, one is reset and one never ends.
    fn told() -> Vec<Family> {
        let mut board = Board::new(about());
        board.begin(open("4:1s"));
        board.over(&seconds(&[(0, 1), (100, 7), (200, 4), (300, 0)]), 1);
        board.add_used(used());
        families(&board)
    }

    fn family<'a>(families: &'a [Family], name: &str) -> &'a Family {
        families.iter().find(|family| family.name == name).expect(name)
    }

    /// The value of the one metric with this label.
    fn value(families: &[Family], name: &str, label: &str) -> SeriesValue {
        for series in &family(families, name).series {
            if series.labels.iter().any(|of_it| of_it.value == label) {
                return series.value.clone();
            }
        }
        panic!("{name} has no {label}")
    }

    #[test]
    fn outcomes_come_to_what_was_scheduled() {
        let told = told();
        let mut sum = 0;
        for series in &family(&told, "requests").series {
            let SeriesValue::Count(count) = series.value else { panic!("{series:?} is not a count") };
            sum += count;
        }
        assert_eq!(sum, 4);
        for (outcome, count) in [("ok", 2), ("reset", 1), ("timeout", 0), ("unfinished", 1)] {
            assert_eq!(value(&told, "requests", outcome), SeriesValue::Count(count), "{outcome}");
        }
        // A success, ten classes of failure, and what never ended.
        assert_eq!(family(&told, "requests").series.len(), 12);
        let SeriesValue::Histogram { count, buckets, .. } = value(&told, "latency_seconds", "op") else {
            panic!("latencies are not a histogram")
        };
        assert_eq!((count, buckets.iter().map(|bucket| bucket.count).sum::<u64>()), (2, 2));
    }

    #[test]
    fn figures_are_those_of_the_last_second() {
        let told = told();
        // Each began 1 ms late; what never ended is not under way any more.
        assert_eq!(value(&told, "send_delay_seconds", "op"), SeriesValue::Number(0.001));
        assert_eq!(value(&told, "in_flight", "op"), SeriesValue::Number(0.0));
        assert_eq!(value(&told, "scheduled_rate", "op"), SeriesValue::Number(4.0));
        assert!(told.iter().all(|family| family.name != "users"), "arrivals wait for nobody");
        // 300 ms of CPU in half a second; the stub's memory is the process's.
        assert_eq!(value(&told, "cpu_cores", "generator"), SeriesValue::Number(0.6));
        assert_eq!(value(&told, "resident_bytes", "both"), SeriesValue::Number(4_096.0));
        assert_eq!(family(&told, "resident_bytes").series.len(), 1);
        assert_eq!(value(&told, "baseline_latency_seconds", "0.95"), SeriesValue::Number(0.02));
    }

    #[test]
    fn of_users_the_number_is_told_and_before_a_run_nothing() {
        let mut board = Board::new(about());
        let names: Vec<_> = families(&board).iter().map(|family| family.name).collect();
        assert_eq!(names, ["requests", "latency_seconds", "baseline_latency_seconds", "run"]);
        board.begin(closed(7, None));
        board.add(&seconds(&[(0, 1)]));
        assert_eq!(value(&families(&board), "users", "op"), SeriesValue::Number(7.0));
    }

    #[test]
    fn all_metrics_of_a_shard_bear_its_name() {
        let mut about = about();
        about.shard = Some("1/4".parse().expect("is one"));
        let mut board = Board::new(about);
        board.begin(open("4:1s"));
        board.add(&seconds(&[(0, 1)]));
        board.add_used(used());
        for family in families(&board) {
            for series in &family.series {
                assert_eq!(series.labels[1], Label::new("shard", "1/4"), "{}", family.name);
            }
        }
    }

    #[test]
    fn the_dashboard_names_what_is_told() {
        let mut names: Vec<String> =
            told().iter().map(|family| format!("{PREFIX}_{}", family.name)).collect();
        names.push(format!("{PREFIX}_users"));
        let dashboard = include_str!("../../ci/grafana/dashboard.json");
        for name in &names {
            assert!(dashboard.contains(name), "{name} is not drawn");
        }
        for (at, _) in dashboard.match_indices("ingester_perf_") {
            let rest = &dashboard[at..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').expect("a name ends");
            let name = &rest[..end];
            // Without what a kind adds to the name.
            let endings = ["_total", "_bucket", "_sum", "_count", "_info"];
            let family = endings.into_iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(names.iter().any(|told| told == family), "{name} is not told");
        }
    }
}
