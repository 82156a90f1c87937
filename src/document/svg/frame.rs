//! The frame of a chart: axes with their figures, a grid, and limits across it.

use super::super::{Axis, Chart, ChartLimit, ChartSpan, Drawn, Quantity};
use super::axis::{Projection, domain_of_x, domain_of_y, extent, foot, is_near};
use super::element::{SvgElement, coordinate};
use super::figure::figure;
use super::points::{PlotSeries, ordered};
use super::ticks::{Domain, ticks};
use super::windows::places;
use super::words::{limit_figure, span_figure};
use crate::units::printable;

/// The width of every drawing, in its own units: pixels on a wide screen.
pub(super) const WIDTH: f64 = 720.0;
/// The height of every drawing.
pub(super) const HEIGHT: f64 = 300.0;
/// Above the plot: the name of the y axis.
const TOP: f64 = 34.0;
/// Below the plot: figures and name of the x axis.
const BELOW: f64 = 50.0;
/// Right of the plot.
const RIGHT: f64 = 16.0;
/// Left of the plot, at least and at most: the figures of the y axis.
const LEFT: [f64; 2] = [40.0, 130.0];
/// Width of a character of figures, in units; a little more than most fonts have at 12 units.
const CHARACTER: f64 = 7.0;
/// Between two figures of the x axis.
const BETWEEN: f64 = 10.0;
/// Between a limit and its name.
const ABOVE_LIMIT: f64 = 5.0;
/// Between a stretch of the x axis and its name.
const BESIDE_SPAN: f64 = 5.0;
/// Height of a line of text. Names of stretches stand below each other, as these may overlap.
const LINE: f64 = 14.0;
/// Figures on the axes, about.
const X_TICKS: usize = 8;
const Y_TICKS: usize = 6;
/// Longest figure or name of a place at an axis. The whole name is in the table and on hover.
const LONGEST_TICK: usize = 14;
/// Longest name of an axis or a limit, in characters. The whole name is in the legend or the description.
const LONGEST_NAME: usize = 60;

/// A figure at an axis.
#[derive(Debug, Clone, PartialEq)]
struct Tick {
    /// Where its line is.
    at: f64,
    /// Where its label is, which may lie beside it at the edge of the drawing.
    label_at: f64,
    label: String,
}

/// Where everything of a chart lies.
#[derive(Debug, Clone)]
pub(super) struct PlotArea {
    /// The left edge of the plot, right of the figures of the y axis.
    pub(super) left: f64,
    pub(super) x: Projection,
    pub(super) y: Projection,
    /// Where bars stand.
    pub(super) foot: f64,
    /// The room of one place on the x axis, for bars.
    pub(super) step: f64,
    x_ticks: Vec<Tick>,
    y_ticks: Vec<Tick>,
}

impl PlotArea {
    /// For these series, of which every figure has a place; none where there is no figure.
    pub(super) fn of(chart: &Chart, series: &[PlotSeries<'_>]) -> Option<Self> {
        let places = places(series);
        let bars = series.iter().any(|series| series.drawn == Drawn::Bars);
        let x_domain = domain_of_x(&chart.x, &places)?;
        let y_domain = domain_of_y(&chart.y, &spanned(chart, series)?, bars)?;

        let y = Projection { scale: chart.y.scale, domain: y_domain, start: HEIGHT - BELOW, end: TOP };
        // The figures of the y axis decide where the plot begins.
        let y_ticks = y_ticks(&chart.y, &y);
        let widest = y_ticks.iter().map(|tick| width(&tick.label)).fold(0.0, f64::max);
        let left = (widest + BETWEEN).clamp(LEFT[0], LEFT[1]);
        let right = WIDTH - RIGHT;

        // Bars and named places have half of their room on each side; lines run from edge to edge.
        let beside = if bars || chart.x.quantity == Quantity::Place {
            (right - left) / (2.0 * places.len() as f64)
        } else {
            0.0
        };
        let x =
            Projection { scale: chart.x.scale, domain: x_domain, start: left + beside, end: right - beside };
        let step = narrowest(&places, &x).unwrap_or(right - left);
        let x_ticks = x_ticks(chart, series, &x);
        let foot = y.place(foot(&chart.y, y_domain));
        Some(Self { left, x, y, foot, step, x_ticks, y_ticks })
    }

    /// The right edge of the plot.
    pub(super) fn right(&self) -> f64 {
        WIDTH - RIGHT
    }

    /// The upper edge of the plot.
    pub(super) fn top(&self) -> f64 {
        self.y.end
    }

    /// The lower edge of the plot.
    pub(super) fn bottom(&self) -> f64 {
        self.y.start
    }

    /// What lies behind the series: lines to read figures by.
    pub(super) fn grid(&self) -> SvgElement {
        let mut across = String::new();
        for tick in &self.y_ticks {
            across +=
                &format!("M{} {}H{}", coordinate(self.left), coordinate(tick.at), coordinate(self.right()));
        }
        let mut marks =
            format!("M{} {}H{}", coordinate(self.left), coordinate(self.bottom()), coordinate(self.right()));
        // Short marks only: columns on hover show where a place is.
        for tick in &self.x_ticks {
            marks += &format!("M{} {}v5", coordinate(tick.at), coordinate(self.bottom()));
        }
        SvgElement::group("frame")
            .child(&SvgElement::new("path").with("class", "grid").with("d", across))
            .child(&SvgElement::new("path").with("class", "axis").with("d", marks))
    }

    /// The figures and the names of both axes.
    pub(super) fn labels(&self, chart: &Chart) -> SvgElement {
        let mut labels = SvgElement::group("labels");
        for tick in &self.y_ticks {
            labels = labels.child(&text("end", self.left - 7.0, tick.at + 4.0, &tick.label));
        }
        for tick in &self.x_ticks {
            labels = labels.child(&text("middle", tick.label_at, self.bottom() + 19.0, &tick.label));
        }
        let of_y = short(&chart.y.label, LONGEST_NAME);
        let of_x = short(&chart.x.label, LONGEST_NAME);
        let middle = f64::midpoint(self.left, self.right());
        labels.child(&text("start", 4.0, 16.0, &of_y)).child(&text("middle", middle, HEIGHT - 8.0, &of_x))
    }

    /// The limits that lie within the plot, each with its name.
    pub(super) fn limits(&self, chart: &Chart) -> SvgElement {
        let mut lines = SvgElement::group("limits");
        for (index, limit) in chart.limits.iter().enumerate() {
            // The legend has it all the same, and says where it would be.
            if !self.shows(limit) {
                continue;
            }
            let at = self.y.place(limit.y);
            let outline =
                format!("M{} {}H{}", coordinate(self.left), coordinate(at), coordinate(self.right()));
            let name = format!("{} {}", short(&limit.name, LONGEST_NAME), limit_figure(chart, limit));
            // Names of limits close to each other alternate between the two ends.
            let label = if index.is_multiple_of(2) {
                text("end", self.right() - 2.0, at - ABOVE_LIMIT, &name)
            } else {
                text("start", self.left + 4.0, at - ABOVE_LIMIT, &name)
            };
            lines =
                lines.child(&SvgElement::new("path").with("class", "limit").with("d", outline)).child(&label);
        }
        lines
    }

    /// The stretches of the x axis that lie within the plot, each with its name.
    pub(super) fn spans(&self, chart: &Chart) -> Vec<SvgElement> {
        let mut drawn = Vec::new();
        for (index, span) in chart.spans.iter().enumerate() {
            // The legend has it all the same.
            if !self.shows_span(span) {
                continue;
            }
            let mut group = SvgElement::group("spans");
            if let Some([from, to]) = span.interval.and_then(ordered) {
                let left = self.x.place(from);
                let band = SvgElement::new("rect")
                    .with("class", "span")
                    .at("x", left)
                    .at("y", self.top())
                    .at("width", self.x.place(to) - left)
                    .at("height", self.bottom() - self.top());
                group = group.child(&band);
            }
            let at = self.x.place(span.x);
            let outline =
                format!("M{} {}V{}", coordinate(at), coordinate(self.top()), coordinate(self.bottom()));
            let name = format!("{} {}", short(&span.name, LONGEST_NAME), span_figure(chart, span));
            let height = self.top() + LINE * (index + 1) as f64;
            // Towards the side that has more room.
            let label = if at > f64::midpoint(self.left, self.right()) {
                text("end", at - BESIDE_SPAN, height, &name)
            } else {
                text("start", at + BESIDE_SPAN, height, &name)
            };
            let line = SvgElement::new("path").with("class", "found").with("d", outline);
            drawn.push(group.child(&line).child(&label));
        }
        drawn
    }

    /// Whether a stretch of the x axis has its place within the plot.
    pub(super) fn shows_span(&self, span: &ChartSpan) -> bool {
        (self.x.domain.from..=self.x.domain.to).contains(&span.x)
    }

    /// Whether a limit lies within the plot.
    pub(super) fn shows(&self, limit: &ChartLimit) -> bool {
        (self.y.domain.from..=self.y.domain.to).contains(&limit.y)
    }
}

/// What the y axis has to show: figures, intervals, and limits that are not too far away. None where nothing was measured.
fn spanned(chart: &Chart, series: &[PlotSeries<'_>]) -> Option<Vec<f64>> {
    let mut values = Vec::new();
    for point in series.iter().flat_map(|series| &series.points) {
        if let Some(y) = point.y {
            values.push(y);
            // An interval that leaves the chart would read as shorter than it is.
            values.extend(point.interval.into_iter().flatten());
        }
    }
    let measured = extent(chart.y.scale, &values)?;
    for limit in &chart.limits {
        if is_near(chart.y.scale, measured, limit.y) {
            values.push(limit.y);
        }
    }
    Some(values)
}

fn y_ticks(axis: &Axis, projection: &Projection) -> Vec<Tick> {
    let mut found: Vec<Tick> = Vec::new();
    for value in ticks(axis, projection.domain, Y_TICKS) {
        let at = projection.place(value);
        let label = short(&figure(axis.quantity, value), LONGEST_TICK);
        // Figures that differ by less than is written.
        if found.last().is_none_or(|last| last.label != label) {
            found.push(Tick { at, label_at: at, label });
        }
    }
    found
}

/// The ticks of the x axis whose labels have room beside each other.
fn x_ticks(chart: &Chart, series: &[PlotSeries<'_>], projection: &Projection) -> Vec<Tick> {
    let mut found: Vec<Tick> = Vec::new();
    let mut taken = f64::NEG_INFINITY;
    for NamedPlace { value, name } in places_with_names(chart, series, projection.domain) {
        let label = short(&name, LONGEST_TICK);
        // At an edge the label moves inwards: beyond the drawing it would be cut off.
        let half = width(&label) / 2.0;
        let at = projection.place(value);
        let label_at = at.clamp(half, WIDTH - half);
        let repeated =
            chart.x.quantity != Quantity::Place && found.last().is_some_and(|last| last.label == label);
        if label_at - half >= taken && !repeated {
            taken = label_at + half + BETWEEN;
            found.push(Tick { at, label_at, label });
        }
    }
    found
}

/// A place on the x axis, and what it is called.
struct NamedPlace {
    value: f64,
    name: String,
}

/// Places in a list by their names, and figures otherwise.
fn places_with_names(chart: &Chart, series: &[PlotSeries<'_>], domain: Domain) -> Vec<NamedPlace> {
    let mut found = Vec::new();
    if chart.x.quantity != Quantity::Place {
        for value in ticks(&chart.x, domain, X_TICKS) {
            found.push(NamedPlace { value, name: figure(chart.x.quantity, value) });
        }
        return found;
    }
    for point in series.iter().flat_map(|series| &series.points) {
        let name = point.label.map_or_else(|| figure(chart.x.quantity, point.x), str::to_owned);
        found.push(NamedPlace { value: point.x, name });
    }
    // Several series have the same places; the first one names them.
    found.sort_by(|a, b| a.value.total_cmp(&b.value));
    found.dedup_by(|a, b| a.value == b.value);
    found
}

/// The least room between two places next to each other.
fn narrowest(places: &[f64], projection: &Projection) -> Option<f64> {
    let mut narrowest: Option<f64> = None;
    for pair in places.windows(2) {
        let room = projection.place(pair[1]) - projection.place(pair[0]);
        narrowest = Some(narrowest.map_or(room, |so_far| so_far.min(room)));
    }
    narrowest
}

fn text(anchor: &str, x: f64, y: f64, text: &str) -> SvgElement {
    SvgElement::new("text").with("text-anchor", anchor).at("x", x).at("y", y).text(text)
}

/// About how wide a label is.
fn width(label: &str) -> f64 {
    CHARACTER * label.chars().count() as f64
}

/// A text with its escapes, cut to so many characters.
fn short(text: &str, most: usize) -> String {
    // Escapes first: cut afterwards, they cannot make the text longer again.
    let shown = printable(text);
    if shown.chars().count() <= most {
        return shown;
    }
    let mut cut: String = shown.chars().take(most - 1).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::super::super::Scale;
    use super::super::fixture::{chart, series};
    use super::super::points::plottable;
    use super::*;

    fn area(chart: &Chart) -> PlotArea {
        PlotArea::of(chart, &plottable(chart)).expect("something was measured")
    }

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn axes_have_figures_with_their_units() {
        let values: Vec<f64> = (0..=60).map(|second| f64::from(second) / 1000.0).collect();
        let area = area(&chart(Drawn::Line, &values));
        assert_eq!(labels(&area.x_ticks), ["0:00", "0:10", "0:20", "0:30", "0:40", "0:50", "1:00"]);
        // 60 ms over 6 is 10 ms.
        assert_eq!(labels(&area.y_ticks), ["0 ms", "10 ms", "20 ms", "30 ms", "40 ms", "50 ms", "60 ms"]);
        // From edge to edge, and from the ground to the top.
        assert_eq!((area.x.place(0.0), area.x.place(60.0)), (area.left, area.right()));
        assert_eq!((area.y.place(0.0), area.y.place(0.06)), (250.0, 34.0));
    }

    #[test]
    fn bars_have_room_on_both_sides() {
        let area = area(&chart(Drawn::Bars, &[0.001, 0.002]));
        // Two places: a quarter of the width is left of the first one.
        let width = area.right() - area.left;
        assert_eq!(area.x.place(0.0), area.left + width / 4.0);
        assert_eq!(area.step, width / 2.0);
        assert_eq!(area.foot, area.bottom());
    }

    #[test]
    fn names_of_places_are_cut_and_kept_apart() {
        let mut chart = chart(Drawn::Marks, &[1.0; 60]);
        chart.x.quantity = Quantity::Place;
        chart.series[0].labels = (0..60).map(|n| format!("a-very-long-case-{n}\u{202e}")).collect();
        let area = area(&chart);
        assert!(area.x_ticks.len() < 8, "{:?}", area.x_ticks);
        assert_eq!(area.x_ticks[0].label, "a-very-long-c…");
        for pair in area.x_ticks.windows(2) {
            assert!(pair[1].label_at - pair[0].label_at >= 14.0 * CHARACTER, "{pair:?}");
        }
    }

    #[test]
    fn limits_near_the_figures_are_drawn() {
        let mut chart = chart(Drawn::Line, &[0.010, 0.020]);
        chart.limits.push(ChartLimit { name: "near".to_owned(), y: 0.050 });
        chart.limits.push(ChartLimit { name: "far".to_owned(), y: 5.0 });
        let area = area(&chart);
        assert!(area.shows(&chart.limits[0]) && !area.shows(&chart.limits[1]));
        let drawn = area.limits(&chart).to_string();
        assert!(drawn.contains(">near 50 ms</text>") && !drawn.contains("far"), "{drawn}");
    }

    #[test]
    fn what_was_found_is_a_line_with_its_interval_behind() {
        // From 0 to 10 s: the plot has its width for ten of them.
        let mut chart = chart(Drawn::Line, &[0.010; 11]);
        chart.spans.push(ChartSpan { name: "found".to_owned(), x: 5.0, interval: Some([6.0, 4.0]) });
        chart.spans.push(ChartSpan { name: "beyond".to_owned(), x: 11.0, interval: None });
        let area = area(&chart);
        let [found] = &area.spans(&chart)[..] else { panic!("one of them lies in the plot") };
        let found = found.to_string();
        let fifth = coordinate((area.right() - area.left) / 5.0);
        assert!(found.contains(&format!("width=\"{fifth}\"")) && found.contains(">found 0:05 ("), "{found}");
        let middle = coordinate(f64::midpoint(area.left, area.right()));
        assert!(found.contains(&format!("d=\"M{middle} 34V250\"")), "{found}");
    }

    #[test]
    fn nothing_measured_has_no_area() {
        let mut nothing = chart(Drawn::Line, &[f64::NAN, f64::NAN]);
        nothing.limits.push(ChartLimit { name: "target".to_owned(), y: 1.0 });
        assert!(PlotArea::of(&nothing, &plottable(&nothing)).is_none());
        let empty = chart(Drawn::Bars, &[]);
        assert!(PlotArea::of(&empty, &plottable(&empty)).is_none());
    }

    #[test]
    fn every_scale_has_ticks_for_one_point() {
        for scale in [Scale::Linear, Scale::Logarithmic, Scale::Nines] {
            let mut chart = chart(Drawn::Intervals, &[]);
            chart.series = vec![series("p99", Drawn::Intervals, &[0.5])];
            chart.series[0].points[0].x = 0.5;
            chart.x.scale = scale;
            chart.y.scale = scale;
            let area = area(&chart);
            assert!(!area.x_ticks.is_empty() && !area.y_ticks.is_empty(), "{scale:?}");
        }
    }
}
