//! The series of a chart as lines, bars, marks and intervals.

use super::super::Drawn;
use super::element::{SvgElement, coordinate};
use super::frame::PlotArea;
use super::mark::SeriesLook;
use super::points::{PlotPoint, PlotSeries};

/// Share of the room of a place that its bars fill.
const FILLED: f64 = 0.8;
/// Widest bar.
const WIDEST: f64 = 60.0;
/// Narrowest bar: below this, a screen shows nothing.
const NARROWEST: f64 = 0.5;
/// Marks along a line, about: enough to tell which line it is, too few to hide it.
const MARKS_ON_A_LINE: usize = 12;
/// Half the width of the ends of an interval.
const END: f64 = 3.0;

/// Every series, bars first, so that they hide no line.
pub(super) fn strokes(series: &[PlotSeries<'_>], area: &PlotArea) -> Vec<SvgElement> {
    let bars = series.iter().filter(|series| series.drawn == Drawn::Bars).count();
    let mut behind = Vec::new();
    let mut before = Vec::new();
    for (index, series) in series.iter().enumerate() {
        let look = SeriesLook::of(index);
        match series.drawn {
            Drawn::Bars => {
                let slot = BarSlot::of(behind.len(), bars, area);
                behind.push(look.path("bar", &bar_outline(series, area, slot)));
            }
            Drawn::Line => {
                before.push(look.line(&line_outline(series, area)));
                before.push(look.path("mark", &marks_on_line(series, area, look)));
            }
            Drawn::Marks => before.push(look.path("mark", &marks(series, area, look))),
            Drawn::Intervals => {
                before.push(look.path("interval", &interval_outline(series, area)));
                before.push(look.path("mark", &marks(series, area, look)));
            }
        }
    }
    behind.extend(before);
    behind
}

/// Where the bar of one of several series lies, as seen from its place.
#[derive(Debug, Clone, Copy, PartialEq)]
struct BarSlot {
    offset: f64,
    width: f64,
}

impl BarSlot {
    /// The slot of the bar with this index among so many.
    fn of(index: usize, bars: usize, area: &PlotArea) -> Self {
        let all = (FILLED * area.step).min(WIDEST);
        // In the middle of its place stands the group, and not the first of its bars.
        let width = (all / bars as f64).max(NARROWEST);
        Self { offset: width * (index as f64 - bars as f64 / 2.0), width }
    }
}

/// A point that was measured, in the drawing.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Dot {
    x: f64,
    y: f64,
}

/// The points in the drawing; none where one is missing.
fn dots(points: &[PlotPoint<'_>], area: &PlotArea) -> Vec<Option<Dot>> {
    let mut dots = Vec::with_capacity(points.len());
    for point in points {
        dots.push(point.y.map(|y| Dot { x: area.x.place(point.x), y: area.y.place(y) }));
    }
    dots
}

fn line_outline(series: &PlotSeries<'_>, area: &PlotArea) -> String {
    let mut outline = String::new();
    let mut pen_is_down = false;
    for dot in dots(&series.points, area) {
        if let Some(Dot { x, y }) = dot {
            // A move begins a new piece: nothing is drawn across a gap.
            let command = if pen_is_down { 'L' } else { 'M' };
            outline += &format!("{command}{} {}", coordinate(x), coordinate(y));
        }
        pen_is_down = dot.is_some();
    }
    outline
}

/// Marks at equal steps, and at each point that has no neighbour to be joined with.
fn marks_on_line(series: &PlotSeries<'_>, area: &PlotArea, look: SeriesLook) -> String {
    let dots = dots(&series.points, area);
    let step = dots.len().div_ceil(MARKS_ON_A_LINE).max(1);
    let mut outline = String::new();
    for (index, dot) in dots.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| dots[before]);
        let after = dots.get(index + 1).copied().flatten();
        let alone = before.is_none() && after.is_none();
        if let Some(Dot { x, y }) = dot
            && (alone || index.is_multiple_of(step))
        {
            outline += &look.mark(*x, *y);
        }
    }
    outline
}

fn marks(series: &PlotSeries<'_>, area: &PlotArea, look: SeriesLook) -> String {
    let mut outline = String::new();
    for Dot { x, y } in dots(&series.points, area).into_iter().flatten() {
        outline += &look.mark(x, y);
    }
    outline
}

fn bar_outline(series: &PlotSeries<'_>, area: &PlotArea, slot: BarSlot) -> String {
    let mut outline = String::new();
    for Dot { x, y } in dots(&series.points, area).into_iter().flatten() {
        // Drawn from the foot up or down: figures may lie below it.
        let left = coordinate(x + slot.offset);
        let foot = coordinate(area.foot);
        let width = coordinate(slot.width);
        outline += &format!("M{left} {foot}V{}h{width}V{foot}z", coordinate(y));
    }
    outline
}

/// Lines through the points, with ends that can be seen where two touch.
fn interval_outline(series: &PlotSeries<'_>, area: &PlotArea) -> String {
    let mut outline = String::new();
    for point in &series.points {
        let Some([from, to]) = point.interval.filter(|_| point.y.is_some()) else { continue };
        let x = area.x.place(point.x);
        let left = coordinate(x - END);
        let right = coordinate(x + END);
        let low = coordinate(area.y.place(from));
        let high = coordinate(area.y.place(to));
        outline += &format!("M{left} {low}H{right}M{} {low}V{high}M{left} {high}H{right}", coordinate(x));
    }
    outline
}

#[cfg(test)]
mod tests {
    use super::super::super::Chart;
    use super::super::fixture::{chart, series};
    use super::super::points::plottable;
    use super::*;

    const GAP: f64 = f64::NAN;

    /// The outlines of a chart, in the order in which they are drawn.
    fn drawn(chart: &Chart) -> Vec<String> {
        let plotted = plottable(chart);
        let area = PlotArea::of(chart, &plotted).expect("something was measured");
        strokes(&plotted, &area).iter().map(SvgElement::to_string).collect()
    }

    fn count(text: &str, part: &str) -> usize {
        text.matches(part).count()
    }

    #[test]
    fn a_line_has_a_gap_where_a_point_is_missing() {
        let outlines = drawn(&chart(Drawn::Line, &[0.001, 0.002, GAP, 0.002, 0.001]));
        // Two pieces of two points.
        assert_eq!((count(&outlines[0], "M"), count(&outlines[0], "L")), (2, 2), "{}", outlines[0]);
    }

    #[test]
    fn a_point_alone_has_a_mark() {
        let mut values = vec![GAP; 100];
        values[50] = 0.001;
        let outlines = drawn(&chart(Drawn::Line, &values));
        assert_eq!(count(&outlines[1], "M"), 1, "{}", outlines[1]);
    }

    #[test]
    fn many_points_of_a_line_have_few_marks() {
        let outlines = drawn(&chart(Drawn::Line, &[0.001; 120]));
        assert_eq!(count(&outlines[1], "M"), 12, "{}", outlines[1]);
    }

    #[test]
    fn bars_of_several_series_stand_beside_each_other() {
        let mut chart = chart(Drawn::Bars, &[1.0, 1.0]);
        chart.series.push(series("p50", Drawn::Bars, &[1.0, 1.0]));
        let area = PlotArea::of(&chart, &plottable(&chart)).expect("something was measured");
        // 0.8 of the room of a place would be more than 60.
        let slots = [0, 1].map(|index| BarSlot::of(index, 2, &area));
        assert_eq!(slots[0], BarSlot { offset: -30.0, width: 30.0 });
        assert_eq!(slots[1], BarSlot { offset: 0.0, width: 30.0 });
        // From the foot, 250, to the top, 34.
        let outlines = drawn(&chart);
        assert_eq!(count(&outlines[0], "250V34h30V250z"), 2, "{}", outlines[0]);
    }

    #[test]
    fn bars_lie_behind_lines() {
        let mut chart = chart(Drawn::Line, &[1.0]);
        chart.series.push(series("bars", Drawn::Bars, &[1.0]));
        let outlines = drawn(&chart);
        assert!(outlines[0].contains("class=\"bar s2\"") && outlines[1].contains("class=\"line s1\""));
    }

    #[test]
    fn an_interval_is_a_line_through_its_point() {
        let mut chart = chart(Drawn::Intervals, &[0.5, GAP]);
        chart.series[0].points[0].interval = Some([0.0, 1.0]);
        // Without a figure there is nothing to draw an interval around.
        chart.series[0].points[1].interval = Some([0.0, 1.0]);
        let outlines = drawn(&chart);
        assert_eq!(count(&outlines[0], "250V34"), 1, "{}", outlines[0]);
        assert_eq!(count(&outlines[1], "M"), 1, "{}", outlines[1]);
    }
}
