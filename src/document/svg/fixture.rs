//! Charts for tests.

use super::super::{Axis, Chart, ChartPoint, ChartSeries, Drawn, Quantity};

/// A chart of durations by elapsed time with one series: its points are at 0, 1, 2 and so on.
pub(super) fn chart(drawn: Drawn, values: &[f64]) -> Chart {
    Chart {
        title: "Latency".to_owned(),
        x: Axis::linear("time", Quantity::Elapsed),
        y: Axis::linear("latency", Quantity::Duration),
        series: vec![series("p99", drawn, values)],
        limits: Vec::new(),
        spans: Vec::new(),
    }
}

/// A series whose points are at 0, 1, 2 and so on.
pub(super) fn series(name: &str, drawn: Drawn, values: &[f64]) -> ChartSeries {
    let mut points = Vec::new();
    for (x, y) in values.iter().enumerate() {
        points.push(ChartPoint::new(x as f64, *y));
    }
    ChartSeries { name: name.to_owned(), drawn, points, labels: Vec::new() }
}
