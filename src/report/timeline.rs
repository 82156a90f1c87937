//! A run over time, as charts: seconds, or stretches of several where the run was long.

use super::drawing::{add_chart, chart, series};
use super::resources::SecondUse;
use super::series::SecondReport;
use crate::document::{Axis, Chart, ChartPoint, ChartSeries, Drawn, Part, Quantity};
use crate::load::{Run, Second};

/// Most points of a line: a page shows no more pixels, and a run of a day has 86,400 seconds.
const MOST_POINTS: usize = 1200;
/// A last stretch that is shorter than this share of the others has no rate: it may hold one request, or none.
const SHORT: f64 = 0.5;
const NS_PER_S: f64 = 1e9;

/// A stretch of a run.
#[derive(Debug, Default, PartialEq)]
struct Span {
    /// When it began, s.
    at_s: f64,
    /// Successes a second.
    ok_per_s: Option<f64>,
    /// Failures a second.
    failed_per_s: Option<f64>,
    /// Requests under way at its end.
    in_flight: f64,
    /// Latency of what succeeded in it, s.
    p50_s: Option<f64>,
    p99_s: Option<f64>,
    max_s: Option<f64>,
}

/// Latency, throughput and requests under way.
pub(super) fn over_time(run: &Run) -> Vec<Part> {
    let spans = spans(&run.seconds, run.load.responses.elapsed.as_secs_f64());
    let mut parts = Vec::new();
    let latency = vec![
        series("p50", Drawn::Line, points(&spans, |span| span.p50_s)),
        series("p99", Drawn::Line, points(&spans, |span| span.p99_s)),
        series("max", Drawn::Line, points(&spans, |span| span.max_s)),
    ];
    // A stall of seconds and a median of microseconds fit into one chart by factors only.
    let y = Axis::logarithmic("response time", Quantity::Duration);
    add_chart(&mut parts, timed("Response time over time", y, latency));

    let mut rates = vec![series("ok", Drawn::Line, points(&spans, |span| span.ok_per_s))];
    let mut failures = points(&spans, |span| span.failed_per_s);
    // Where nothing failed there is no mark: one at the foot of the chart would look like a failure.
    failures.retain(|point| point.y.is_some_and(|rate| rate > 0.0));
    if !failures.is_empty() {
        rates.push(series("failed", Drawn::Marks, failures));
    }
    add_chart(&mut parts, timed("Throughput", Axis::linear("a second", Quantity::Rate), rates));

    // By Little's law it is rate times latency: where it grows and the rate does not, requests wait.
    let under_way = vec![series("under way", Drawn::Line, points(&spans, |span| Some(span.in_flight)))];
    add_chart(&mut parts, timed("Requests under way", Axis::linear("requests", Quantity::Count), under_way));
    parts
}

/// What generator, service and machine used.
pub(super) fn resources_over_time(seconds: &[SecondReport]) -> Vec<Part> {
    let mut parts = Vec::new();
    let cpu = vec![
        series("generator", Drawn::Line, used(seconds, |used| share(used.generator_cpu_pct))),
        series("service", Drawn::Line, used(seconds, |used| share(used.service_cpu_pct))),
        series(
            "busiest thread of the service",
            Drawn::Line,
            used(seconds, |used| share(used.service_busiest_thread_pct)),
        ),
        series("machine", Drawn::Line, used(seconds, |used| share(used.machine_cpu_pct))),
    ];
    add_resource(&mut parts, "CPU, of one core", Axis::linear("of one core", Quantity::Share), cpu);
    let memory = vec![
        series("generator", Drawn::Line, used(seconds, |used| used.generator_memory_bytes)),
        series("service", Drawn::Line, used(seconds, |used| used.service_memory_bytes)),
        series("both, in one process", Drawn::Line, used(seconds, |used| used.both_memory_bytes)),
    ];
    add_resource(&mut parts, "Resident memory", Axis::linear("memory", Quantity::Bytes), memory);
    let descriptors = vec![
        series("generator", Drawn::Line, used(seconds, |used| used.generator_descriptors)),
        series("service", Drawn::Line, used(seconds, |used| used.service_descriptors)),
        series("both, in one process", Drawn::Line, used(seconds, |used| used.both_descriptors)),
    ];
    add_resource(&mut parts, "Open descriptors", Axis::linear("descriptors", Quantity::Count), descriptors);
    // What no side of the run can help: it makes latencies longer than the service does.
    let waiting = vec![
        series("stolen by the host", Drawn::Line, used(seconds, |used| share(used.steal_pct))),
        series("waiting for a core", Drawn::Line, used(seconds, |used| share(used.cpu_pressure_pct))),
        series("waiting for memory", Drawn::Line, used(seconds, |used| share(used.memory_pressure_pct))),
        series("waiting for a disk", Drawn::Line, used(seconds, |used| share(used.io_pressure_pct))),
    ];
    add_resource(
        &mut parts,
        "Lost time of the machine",
        Axis::linear("of the time", Quantity::Share),
        waiting,
    );
    parts
}

/// Adds a chart of what was read; series of which nothing was read are left out.
fn add_resource(parts: &mut Vec<Part>, title: &str, y: Axis, mut drawn: Vec<ChartSeries>) {
    drawn.retain(|series| series.points.iter().any(|point| point.y.is_some()));
    add_chart(parts, timed(title, y, drawn));
}

fn timed(title: &str, y: Axis, drawn: Vec<ChartSeries>) -> Chart {
    chart(title, Axis::linear("since the beginning", Quantity::Elapsed), y, drawn)
}

/// The stretches of a run that lasted so long.
fn spans(seconds: &[Second], elapsed_s: f64) -> Vec<Span> {
    let width = width(seconds.len());
    let mut spans = Vec::new();
    for stretch in seconds.chunks(width) {
        spans.push(Span::of(stretch, width, elapsed_s));
    }
    spans
}

/// Seconds in a stretch.
fn width(seconds: usize) -> usize {
    seconds.div_ceil(MOST_POINTS).max(1)
}

impl Span {
    /// A stretch of these seconds, one at least, of a run in which a stretch has so many of them.
    fn of(stretch: &[Second], width: usize, elapsed_s: f64) -> Self {
        let first = &stretch[0];
        // Histograms add up without loss; an average of percentiles would be none of anything.
        let mut all = first.clone();
        for second in &stretch[1..] {
            all.merge(second);
        }
        let at_s = first.index as f64;
        // The run may end in the middle of its last second.
        let lasting_s = (elapsed_s - at_s).min(width as f64);
        let is_long_enough = lasting_s >= SHORT * width as f64;
        let mut span = Self {
            at_s,
            // Merging adds up; what is under way at the end of a stretch is that of its last second.
            in_flight: stretch[stretch.len() - 1].in_flight as f64,
            ..Self::default()
        };
        if is_long_enough {
            span.ok_per_s = Some(all.ok as f64 / lasting_s);
            span.failed_per_s = Some(all.failed as f64 / lasting_s);
        }
        let histogram = all.histogram();
        // Of an empty histogram every value is 0, which would read as a request that took no time.
        if !histogram.is_empty() {
            span.p50_s = Some(histogram.value_at_quantile(0.5) as f64 / NS_PER_S);
            span.p99_s = Some(histogram.value_at_quantile(0.99) as f64 / NS_PER_S);
            span.max_s = Some(histogram.max() as f64 / NS_PER_S);
        }
        span
    }
}

fn points(spans: &[Span], figure: impl Fn(&Span) -> Option<f64>) -> Vec<ChartPoint> {
    let mut points = Vec::new();
    for span in spans {
        points.push(ChartPoint { x: span.at_s, y: figure(span), interval: None });
    }
    points
}

/// A figure of the machine over time: the mean of those seconds of a stretch in which it was read.
fn used(seconds: &[SecondReport], figure: impl Fn(&SecondUse) -> Option<f64>) -> Vec<ChartPoint> {
    let mut points = Vec::new();
    for stretch in seconds.chunks(width(seconds.len())) {
        let read: Vec<f64> = stretch.iter().filter_map(|second| figure(&second.used)).collect();
        let mean = if read.is_empty() { None } else { Some(read.iter().sum::<f64>() / read.len() as f64) };
        points.push(ChartPoint { x: stretch[0].second as f64, y: mean, interval: None });
    }
    points
}

/// Percent as a share.
fn share(percent: Option<f64>) -> Option<f64> {
    percent.map(|percent| percent / 100.0)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::run;
    use super::*;

    /// The seconds of a run with so many requests of 1 ms in each.
    fn seconds(in_each: &[u64]) -> Vec<Second> {
        let mut requests = Vec::new();
        for (second, count) in (0..).zip(in_each) {
            for _ in 0..*count {
                requests.push((1000 * second, 1));
            }
        }
        run(&requests, 1).run.seconds
    }

    #[test]
    fn a_second_is_a_point_and_a_last_one_that_was_cut_has_no_rate() {
        let spans = spans(&seconds(&[4, 2, 1]), 2.1);
        let rates: Vec<Option<f64>> = spans.iter().map(|span| span.ok_per_s).collect();
        assert_eq!(rates, [Some(4.0), Some(2.0), None]);
        assert_eq!(spans.iter().map(|span| span.at_s).collect::<Vec<_>>(), [0.0, 1.0, 2.0]);
        assert!(spans[2].p99_s.is_some_and(|p99| (p99 - 0.001).abs() < 1e-5), "{:?}", spans[2]);
    }

    #[test]
    fn a_long_run_is_drawn_in_stretches_whose_percentiles_are_exact() {
        let mut long = Vec::new();
        let short = seconds(&[3]);
        for index in 0..1201 {
            let mut second = short[0].clone();
            second.index = index;
            second.in_flight = index;
            long.push(second);
        }
        // 1201 seconds are one more than there may be points: two in each stretch, and one in the last.
        let spans = spans(&long, 1201.0);
        assert_eq!(spans.len(), 601);
        assert_eq!((spans[1].at_s, spans[1].ok_per_s, spans[1].in_flight), (2.0, Some(3.0), 3.0));
        // The last second has passed to its end: half of a stretch.
        assert_eq!((spans[600].at_s, spans[600].ok_per_s), (1200.0, Some(3.0)));
    }

    fn titles(parts: &[Part]) -> Vec<&str> {
        let mut titles = Vec::new();
        for part in parts {
            if let Part::Chart(chart) = part {
                titles.push(chart.title.as_str());
            }
        }
        titles
    }

    #[test]
    fn failures_are_marks_where_there_were_some() {
        let recorded = run(&[(0, 1)], 1).run;
        assert_eq!(titles(&over_time(&recorded)), ["Response time over time", "Requests under way"]);
        let mut failing = recorded;
        failing.seconds[0].failed = 5;
        failing.load.responses.elapsed = std::time::Duration::from_secs(1);
        let parts = over_time(&failing);
        let Part::Chart(throughput) = &parts[1] else { panic!("is a chart") };
        assert_eq!(throughput.series.len(), 2);
        assert_eq!(throughput.series[1].points, [ChartPoint::new(0.0, 5.0)]);
    }
}
