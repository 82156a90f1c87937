//! The points of a chart, made fit to be drawn: from left to right, and nothing that is not a number.

use super::super::{Chart, ChartPoint, Drawn};

/// Largest figure that has a place: far above whatever is measured, and still a whole number of 64 bits where it is written.
const LARGEST: f64 = 1e18;
/// Below this it is nothing: an attosecond.
const SMALLEST: f64 = 1e-18;

/// Points that belong together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PlotSeries<'a> {
    pub(super) name: &'a str,
    pub(super) drawn: Drawn,
    pub(super) points: Vec<PlotPoint<'a>>,
}

/// A point whose x is a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PlotPoint<'a> {
    pub(super) x: f64,
    /// None where nothing was measured, or nothing that is a number.
    pub(super) y: Option<f64>,
    /// The lower end, then the upper one.
    pub(super) interval: Option<[f64; 2]>,
    /// What stands for x where it is a place in a list.
    pub(super) label: Option<&'a str>,
}

/// All series of a chart.
pub(super) fn plottable(chart: &Chart) -> Vec<PlotSeries<'_>> {
    let mut plotted = Vec::with_capacity(chart.series.len());
    for series in &chart.series {
        let mut points = Vec::with_capacity(series.points.len());
        for (index, point) in series.points.iter().enumerate() {
            let label = series.labels.get(index).map(String::as_str);
            points.extend(plot_point(point, label));
        }
        // Who makes a chart keeps to the order; what comes from a file may not.
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        plotted.push(PlotSeries { name: &series.name, drawn: series.drawn, points });
    }
    plotted
}

fn plot_point<'a>(point: &ChartPoint, label: Option<&'a str>) -> Option<PlotPoint<'a>> {
    let x = number(point.x)?;
    let y = point.y.and_then(number);
    let interval = point.interval.and_then(ordered);
    Some(PlotPoint { x, y, interval, label })
}

/// Both ends, if both are numbers.
pub(super) fn ordered(ends: [f64; 2]) -> Option<[f64; 2]> {
    let one = number(ends[0])?;
    let other = number(ends[1])?;
    Some([one.min(other), one.max(other)])
}

/// The value, if it is a number that can be drawn and written.
pub(super) fn number(value: f64) -> Option<f64> {
    // No comparison holds for NaN.
    if value.abs() < SMALLEST {
        Some(0.0)
    } else if value.abs() <= LARGEST {
        Some(value)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::chart;
    use super::*;

    #[test]
    fn what_is_not_a_number_is_missing() {
        let chart = chart(Drawn::Line, &[1.0, f64::NAN, f64::INFINITY, -1e19, 1e-19]);
        let plotted = plottable(&chart);
        let values: Vec<_> = plotted[0].points.iter().map(|point| point.y).collect();
        assert_eq!(values, [Some(1.0), None, None, None, Some(0.0)]);
    }

    #[test]
    fn a_point_without_a_place_is_left_out() {
        let mut chart = chart(Drawn::Line, &[1.0, 2.0]);
        chart.series[0].points[0].x = f64::NAN;
        assert_eq!(plottable(&chart)[0].points.len(), 1);
    }

    #[test]
    fn points_are_in_order_and_keep_their_labels() {
        let mut chart = chart(Drawn::Intervals, &[1.0, 2.0]);
        chart.series[0].points[0].x = 5.0;
        chart.series[0].points[0].interval = Some([1.5, 0.5]);
        chart.series[0].points[1].interval = Some([1.5, f64::NAN]);
        chart.series[0].labels = vec!["late".to_owned(), "early".to_owned()];
        let plotted = plottable(&chart);
        let [early, late] = plotted[0].points[..] else { panic!("two points went in") };
        assert_eq!((early.label, late.label), (Some("early"), Some("late")));
        assert_eq!((early.interval, late.interval), (None, Some([0.5, 1.5])));
    }
}
