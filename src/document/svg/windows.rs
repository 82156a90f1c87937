//! The figures of a chart as a table: a row for each place, or for several places next to each other.

use super::super::{Chart, Quantity, Table};
use super::figure::figure;
use super::points::{PlotPoint, PlotSeries};

/// Places next to each other, with a cell for each series.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Window {
    pub(super) first: f64,
    pub(super) last: f64,
    /// The place, or the first and the last one.
    pub(super) name: String,
    /// Empty where a series has no point.
    pub(super) cells: Vec<String>,
}

/// At most so many windows, all of about as many places.
pub(super) fn windows(chart: &Chart, series: &[PlotSeries<'_>], most: usize) -> Vec<Window> {
    let places = places(series);
    let count = places.len().min(most);
    let mut windows = Vec::with_capacity(count);
    for window in 0..count {
        let from = window * places.len() / count;
        // The windows are not more than the places, and so none is empty.
        let to = (window + 1) * places.len() / count;
        windows.push(one_window(chart, series, places[from], places[to - 1]));
    }
    windows
}

/// Every place at which a series has a point, from left to right.
pub(super) fn places(series: &[PlotSeries<'_>]) -> Vec<f64> {
    let mut places = Vec::new();
    for series in series {
        places.extend(series.points.iter().map(|point| point.x));
    }
    // Series of one run have the same places; those of different runs may not.
    places.sort_by(f64::total_cmp);
    places.dedup();
    places
}

/// The windows as a table.
pub(super) fn table(chart: &Chart, series: &[PlotSeries<'_>], most: usize) -> Table {
    let mut header = vec![chart.x.label.as_str()];
    header.extend(series.iter().map(|series| series.name));
    let mut table = Table::new(header);
    for window in windows(chart, series, most) {
        let mut row = vec![window.name];
        row.extend(window.cells);
        table.row(row);
    }
    table
}

fn one_window(chart: &Chart, series: &[PlotSeries<'_>], first: f64, last: f64) -> Window {
    let mut name = name_of(chart.x.quantity, series, first);
    if first < last {
        name = format!("{name} to {}", name_of(chart.x.quantity, series, last));
    }
    let mut cells = Vec::with_capacity(series.len());
    for series in series {
        // Points are in order, and a day has 86,400 of them: each window is found without looking at all.
        let from = series.points.partition_point(|point| point.x < first);
        let to = series.points.partition_point(|point| point.x <= last);
        cells.push(cell(chart.y.quantity, &series.points[from..to]));
    }
    Window { first, last, name, cells }
}

/// The label of a place, or its figure.
fn name_of(quantity: Quantity, series: &[PlotSeries<'_>], place: f64) -> String {
    for series in series {
        let found = series.points.partition_point(|point| point.x < place);
        if let Some(PlotPoint { x, label: Some(label), .. }) = series.points.get(found)
            && *x == place
        {
            return (*label).to_owned();
        }
    }
    figure(quantity, place)
}

/// One figure with its interval, or the lowest and the highest of several.
fn cell(quantity: Quantity, points: &[PlotPoint<'_>]) -> String {
    if let [PlotPoint { y: Some(y), interval: Some([from, to]), .. }] = points {
        return format!("{} [{}, {}]", figure(quantity, *y), figure(quantity, *from), figure(quantity, *to));
    }
    let measured: Vec<f64> = points.iter().filter_map(|point| point.y).collect();
    let Some(first) = measured.first() else {
        return if points.is_empty() { String::new() } else { "not measured".to_owned() };
    };
    // An average would hide the peak that somebody looks for.
    let lowest = measured.iter().copied().fold(*first, f64::min);
    let highest = measured.iter().copied().fold(*first, f64::max);
    range(quantity, lowest, highest)
}

/// Both figures, or one where they are written alike.
pub(super) fn range(quantity: Quantity, lowest: f64, highest: f64) -> String {
    let from = figure(quantity, lowest);
    let to = figure(quantity, highest);
    if from == to { from } else { format!("{from} to {to}") }
}

#[cfg(test)]
mod tests {
    use super::super::super::{ChartPoint, Drawn};
    use super::super::fixture::{chart, series};
    use super::super::points::plottable;
    use super::*;

    #[test]
    fn every_place_has_a_row() {
        let mut chart = chart(Drawn::Line, &[0.001, f64::NAN, 0.003]);
        chart.series.push(series("p50", Drawn::Line, &[0.001]));
        let table = table(&chart, &plottable(&chart), 10);
        assert_eq!(table.header, ["time", "p99", "p50"]);
        let rows = [["0:00", "1 ms", "1 ms"], ["0:01", "not measured", ""], ["0:02", "3 ms", ""]];
        assert_eq!(table.rows, rows);
    }

    #[test]
    fn several_places_share_a_row() {
        // Two windows of five places: two and three.
        let chart = chart(Drawn::Line, &[0.001, 0.002, 0.003, f64::NAN, 0.003]);
        let table = table(&chart, &plottable(&chart), 2);
        assert_eq!(table.rows, [["0:00 to 0:01", "1 ms to 2 ms"], ["0:02 to 0:04", "3 ms"]]);
    }

    #[test]
    fn places_have_their_names_and_figures_their_intervals() {
        let mut chart = chart(Drawn::Intervals, &[]);
        chart.x.quantity = Quantity::Place;
        chart.y.quantity = Quantity::Ratio;
        chart.series[0].labels = vec!["jwt".to_owned()];
        chart.series[0].points = vec![
            ChartPoint { x: 0.0, y: Some(1.03), interval: Some([1.01, 1.05]) },
            ChartPoint::new(1.0, 1.0),
        ];
        let table = table(&chart, &plottable(&chart), 10);
        assert_eq!(table.rows, [["jwt", "+3.0 % [+1.0 %, +5.0 %]"], ["1", "+0.0 %"]]);
    }

    #[test]
    fn no_points_make_no_rows() {
        let chart = chart(Drawn::Line, &[]);
        assert!(table(&chart, &plottable(&chart), 10).is_empty());
    }
}
