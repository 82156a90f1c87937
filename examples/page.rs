//! A page of figures of your own: a table, charts of every kind, and a verdict, in one file that needs nothing else.
//!
//! `cargo run --example page > page.html`
//!
//! An argument is added to every text of the page. `ci/pages.sh` gives one that would run code if it were not escaped.

use std::f64::consts::TAU;

use ingester_perf::Verdict;
use ingester_perf::document::{
    Axis, Chart, ChartLimit, ChartPoint, ChartSeries, ChartSpan, Document, Drawn, Format, Link, Part,
    Quantity, Scale, Section, Table,
};

/// Seconds of the run that the page is about.
const SECONDS: u32 = 60;

fn main() {
    let added = std::env::args().nth(1).unwrap_or_default();
    let texts = Texts { added };
    let mut document = Document::new(&texts.of("Tea kettle"));
    document.about = Some(texts.of("One kettle, one minute, figures made up"));
    document.conclusion = Some(texts.of("p99 was below 60 ms in every second that had figures"));
    document.verdict = Some(Verdict::Held);
    let mut table = Table::new([texts.of("operation"), texts.of("p50"), texts.of("first error")]);
    table.row([
        texts.of("boil"),
        texts.of("20 ms"),
        texts.of("the lid was open when the service was asked to boil"),
    ]);
    document.table(table);
    document.line(texts.of("A line of text."));
    document
        .section(&texts.of("Over time"), vec![Part::Chart(over_time(&texts)), Part::Chart(failures(&texts))]);
    document.section(&texts.of("How slow is slow?"), vec![Part::Chart(percentiles(&texts))]);
    document.section(&texts.of("Against the base"), vec![Part::Chart(effects(&texts))]);
    let link = Link { text: texts.of("The source of this page"), path: "../../examples/page.rs".to_owned() };
    let nested = Section { heading: texts.of("More"), parts: vec![Part::Link(link)] };
    document.section(&texts.of("Where to go on"), vec![Part::Section(nested)]);
    print!("{}", document.render(Format::Html));
}

/// Makes the texts of the page.
struct Texts {
    added: String,
}

impl Texts {
    fn of(&self, text: &str) -> String {
        format!("{text}{}", self.added)
    }
}

/// Latency by second, with a gap of five seconds and a target.
fn over_time(texts: &Texts) -> Chart {
    let mut median = Vec::new();
    let mut slowest = Vec::new();
    for second in 0..SECONDS {
        let x = f64::from(second);
        if (30..35).contains(&second) {
            median.push(ChartPoint::missing(x));
            slowest.push(ChartPoint::missing(x));
            continue;
        }
        let wave = (TAU * x / 20.0).sin();
        median.push(ChartPoint::new(x, 0.020 + 0.004 * wave));
        slowest.push(ChartPoint::new(x, 0.045 + 0.010 * wave));
    }
    Chart {
        title: texts.of("Latency by second"),
        x: Axis::linear(&texts.of("time"), Quantity::Elapsed),
        y: Axis::linear(&texts.of("latency"), Quantity::Duration),
        series: vec![
            series(&texts.of("p50"), Drawn::Line, median),
            series(&texts.of("p99"), Drawn::Line, slowest),
        ],
        limits: vec![ChartLimit { name: texts.of("target of p99"), y: 0.060 }],
        spans: vec![ChartSpan { name: texts.of("lid open"), x: 32.0, interval: Some([30.0, 35.0]) }],
    }
}

/// Failures by second as bars, and the seconds that the service said were bad as marks.
fn failures(texts: &Texts) -> Chart {
    let mut failed = Vec::new();
    let mut announced = Vec::new();
    for second in 0..SECONDS {
        let x = f64::from(second);
        let count = if (36..40).contains(&second) { second - 35 } else { 0 };
        failed.push(ChartPoint::new(x, f64::from(count)));
        if count > 2 {
            announced.push(ChartPoint::new(x, f64::from(count)));
        }
    }
    Chart {
        title: texts.of("Failures by second"),
        x: Axis::linear(&texts.of("time"), Quantity::Elapsed),
        y: Axis::linear(&texts.of("failures"), Quantity::Count),
        series: vec![
            series(&texts.of("failed"), Drawn::Bars, failed),
            series(&texts.of("announced"), Drawn::Marks, announced),
        ],
        limits: Vec::new(),
        spans: Vec::new(),
    }
}

/// Latency by percentile: each further nine has as much room as the one before.
fn percentiles(texts: &Texts) -> Chart {
    let mut points = Vec::new();
    for share in [0.0, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999, 1.0_f64] {
        let nines = -(1.0 - share.min(0.99999)).log10();
        points.push(ChartPoint::new(share, 0.010 * 2_f64.powf(nines)));
    }
    Chart {
        title: texts.of("Latency by percentile"),
        x: Axis { label: texts.of("share of operations"), quantity: Quantity::Share, scale: Scale::Nines },
        y: Axis::logarithmic(&texts.of("latency"), Quantity::Duration),
        series: vec![series(&texts.of("head"), Drawn::Line, points)],
        limits: Vec::new(),
        spans: Vec::new(),
    }
}

/// Cases against a base, each with its interval.
fn effects(texts: &Texts) -> Chart {
    let mut points = Vec::new();
    for (x, effect) in [1.002, 0.991, 1.034].into_iter().enumerate() {
        let interval = Some([effect - 0.006, effect + 0.006]);
        points.push(ChartPoint { x: x as f64, y: Some(effect), interval });
    }
    let mut head = series(&texts.of("head"), Drawn::Intervals, points);
    head.labels = vec![texts.of("cold"), texts.of("warm"), texts.of("hot")];
    Chart {
        title: texts.of("Head against base"),
        x: Axis::linear(&texts.of("case"), Quantity::Place),
        y: Axis::linear(&texts.of("effect"), Quantity::Ratio),
        series: vec![head],
        limits: vec![ChartLimit { name: texts.of("threshold"), y: 1.02 }],
        spans: Vec::new(),
    }
}

fn series(name: &str, drawn: Drawn, points: Vec<ChartPoint>) -> ChartSeries {
    ChartSeries { name: name.to_owned(), drawn, points, labels: Vec::new() }
}
