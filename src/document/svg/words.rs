//! What a chart shows, in words: for those who do not see it.

use super::super::{Chart, ChartLimit, ChartSpan};
use super::figure::figure;
use super::points::{PlotSeries, number, ordered};
use super::windows::range;

/// What is drawn over what, then the range and the last figure of each series, then the limits, and what was found.
pub(super) fn description(chart: &Chart, series: &[PlotSeries<'_>]) -> String {
    let mut sentences = vec![format!("{} over {}.", chart.y.label, chart.x.label)];
    sentences.extend(series.iter().map(|series| of_series(chart, series)));
    sentences.extend(chart.limits.iter().map(|limit| of_limit(chart, limit)));
    sentences.extend(chart.spans.iter().map(|span| format!("{}: {}.", span.name, span_figure(chart, span))));
    sentences.join(" ")
}

fn of_series(chart: &Chart, series: &PlotSeries<'_>) -> String {
    let quantity = chart.y.quantity;
    let measured: Vec<f64> = series.points.iter().filter_map(|point| point.y).collect();
    let Some(last) = measured.last() else {
        return format!("{}: nothing measured.", series.name);
    };
    let lowest = measured.iter().copied().fold(*last, f64::min);
    let highest = measured.iter().copied().fold(*last, f64::max);
    let range = range(quantity, lowest, highest);
    // Gaps are seen at once; without eyes they have to be counted.
    let missing = match series.points.len() - measured.len() {
        0 => String::new(),
        1 => ", 1 point not measured".to_owned(),
        missing => format!(", {missing} points not measured"),
    };
    format!("{}: {range}, last {}{missing}.", series.name, figure(quantity, *last))
}

fn of_limit(chart: &Chart, limit: &ChartLimit) -> String {
    format!("Limit {}: {}.", limit.name, limit_figure(chart, limit))
}

/// The figure of a limit, unless it is none that anything could be held against.
pub(super) fn limit_figure(chart: &Chart, limit: &ChartLimit) -> String {
    number(limit.y).map_or_else(|| "not a figure".to_owned(), |y| figure(chart.y.quantity, y))
}

/// The place of a stretch of the x axis, with the ends of its interval: `168/s (163/s to 174/s)`.
pub(super) fn span_figure(chart: &Chart, span: &ChartSpan) -> String {
    let quantity = chart.x.quantity;
    let Some(x) = number(span.x) else { return "not a figure".to_owned() };
    let place = figure(quantity, x);
    match span.interval.and_then(ordered) {
        Some([from, to]) => format!("{place} ({} to {})", figure(quantity, from), figure(quantity, to)),
        None => place,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Drawn;
    use super::super::fixture::{chart, series};
    use super::super::points::plottable;
    use super::*;

    #[test]
    fn range_last_figure_gaps_and_limits_are_said() {
        let mut chart = chart(Drawn::Line, &[0.002, f64::NAN, 0.001, 0.0015]);
        chart.series.push(series("p50", Drawn::Line, &[f64::NAN]));
        chart.limits.push(ChartLimit { name: "target".to_owned(), y: 0.05 });
        chart.limits.push(ChartLimit { name: "none".to_owned(), y: f64::NAN });
        chart.spans.push(ChartSpan { name: "Found".to_owned(), x: 2.0, interval: Some([1.0, 3.0]) });
        chart.spans.push(ChartSpan { name: "Nowhere".to_owned(), x: f64::NAN, interval: None });
        let said = description(&chart, &plottable(&chart));
        let expected = "latency over time. p99: 1 ms to 2 ms, last 1.50 ms, 1 point not measured. \
                        p50: nothing measured. Limit target: 50 ms. Limit none: not a figure. Found: 0:02 (0:01 to 0:03). \
                        Nowhere: not a figure.";
        assert_eq!(said, expected);
    }
}
