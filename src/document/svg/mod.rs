//! Charts as inline SVG, for pages that run no script: colours are classes of the page's style sheet, figures show on hover
//! by titles, and all that is drawn is said in words and numbers as well.

mod axis;
mod element;
mod figure;
#[cfg(test)]
mod fixture;
mod frame;
mod hover;
mod mark;
mod points;
mod strokes;
mod thinning;
mod ticks;
mod windows;
mod words;

use super::{Chart, ChartLimit, ChartSpan, Table};
use crate::units::grouped;
use axis::fits;
use element::SvgElement;
use frame::{HEIGHT, PlotArea, WIDTH};
use mark::{SeriesLook, limit_swatch, span_swatch};
use points::{PlotSeries, plottable};
use thinning::{envelope, part_size};
use words::{description, limit_figure, span_figure};

/// Points of a series that are drawn: about one for each pixel of its width.
const MOST_DRAWN: usize = 600;
/// Columns with figures on hover. More would be narrower than ten pixels, and hard to meet.
const MOST_COLUMNS: usize = 60;
/// Rows of the table: two minutes of seconds. Pages with ten charts stay small, and JSON has every point.
const MOST_ROWS: usize = 120;

/// A chart, drawn and written.
pub(super) struct Drawing {
    /// The drawing, as an element of a page.
    pub(super) svg: String,
    /// What stands for what in it.
    pub(super) legend: Vec<LegendEntry>,
    /// What was left out of the drawing or put together in the table.
    pub(super) notes: Vec<String>,
    /// The figures.
    pub(super) numbers: Table,
}

/// A series or a limit in the legend.
pub(super) struct LegendEntry {
    /// A small drawing, as an element of a page.
    pub(super) swatch: String,
    /// A text, not yet markup.
    pub(super) name: String,
}

/// Draws a chart. The ids of its elements begin with `id`, so that several stand on a page.
pub(super) fn draw(chart: &Chart, id: &str) -> Drawing {
    let series = plottable(chart);
    let with_place: Vec<PlotSeries<'_>> = series.iter().map(|series| placed(chart, series)).collect();
    let area = PlotArea::of(chart, &with_place);
    Drawing {
        svg: svg(chart, id, &series, &with_place, area.as_ref()).to_string(),
        legend: legend(chart, &series, area.as_ref()),
        notes: notes(chart, &series, &with_place),
        numbers: windows::table(chart, &series, MOST_ROWS),
    }
}

/// The series as far as its figures have a place on the axes: on a logarithmic one, 0 has none.
fn placed<'a>(chart: &Chart, series: &PlotSeries<'a>) -> PlotSeries<'a> {
    let mut points = Vec::with_capacity(series.points.len());
    for point in &series.points {
        if fits(chart.x.scale, point.x) {
            let mut point = *point;
            point.y = point.y.filter(|y| fits(chart.y.scale, *y));
            points.push(point);
        }
    }
    PlotSeries { name: series.name, drawn: series.drawn, points }
}

fn svg(
    chart: &Chart,
    id: &str,
    series: &[PlotSeries<'_>],
    with_place: &[PlotSeries<'_>],
    area: Option<&PlotArea>,
) -> SvgElement {
    let title_id = format!("{id}-title");
    let words_id = format!("{id}-words");
    let drawing = SvgElement::new("svg")
        .with("class", "plot")
        .with("viewBox", format_args!("0 0 {WIDTH} {HEIGHT}"))
        .with("role", "img")
        .with("aria-labelledby", format_args!("{title_id} {words_id}"))
        .child(&SvgElement::new("title").with("id", title_id).text(&chart.title))
        .child(&SvgElement::new("desc").with("id", words_id).text(&description(chart, series)));
    let Some(area) = area else {
        return drawing.child(&nothing(series));
    };
    // Columns and words are made of all points, and only the strokes of fewer.
    let thinned: Vec<PlotSeries<'_>> = with_place.iter().map(thin).collect();
    let columns = windows::windows(chart, series, MOST_COLUMNS);
    // What comes later lies above: the columns get the pointer.
    drawing
        .child(&area.grid())
        .children(&area.spans(chart))
        .children(&strokes::strokes(&thinned, area))
        .child(&area.limits(chart))
        .child(&area.labels(chart))
        .child(&hover::columns(&columns, series, area))
}

fn thin<'a>(series: &PlotSeries<'a>) -> PlotSeries<'a> {
    PlotSeries { name: series.name, drawn: series.drawn, points: envelope(&series.points, MOST_DRAWN) }
}

/// What stands in place of a drawing.
fn nothing(series: &[PlotSeries<'_>]) -> SvgElement {
    // "Nothing measured" would be wrong where all figures are 0 on a logarithmic axis.
    let measured = series.iter().flat_map(|series| &series.points).any(|point| point.y.is_some());
    let said = if measured { "nothing that this scale has a place for" } else { "nothing measured" };
    SvgElement::new("text")
        .with("class", "nothing")
        .with("text-anchor", "middle")
        .at("x", WIDTH / 2.0)
        .at("y", HEIGHT / 2.0)
        .text(said)
}

fn legend(chart: &Chart, series: &[PlotSeries<'_>], area: Option<&PlotArea>) -> Vec<LegendEntry> {
    let mut entries = Vec::new();
    for (index, series) in series.iter().enumerate() {
        let swatch = SeriesLook::of(index).swatch(series.drawn);
        entries.push(LegendEntry { swatch, name: series.name.to_owned() });
    }
    for limit in &chart.limits {
        entries.push(LegendEntry { swatch: limit_swatch(), name: limit_name(chart, limit, area) });
    }
    for span in &chart.spans {
        entries.push(LegendEntry { swatch: span_swatch(), name: span_name(chart, span, area) });
    }
    entries
}

/// What was found, with its place and its interval.
fn span_name(chart: &Chart, span: &ChartSpan, area: Option<&PlotArea>) -> String {
    let name = format!("{}: {}", span.name, span_figure(chart, span));
    if area.is_some_and(|area| area.shows_span(span)) { name } else { format!("{name} (not drawn)") }
}

/// The limit with its figure. One that is too far away to be drawn says where it is.
fn limit_name(chart: &Chart, limit: &ChartLimit, area: Option<&PlotArea>) -> String {
    let name = format!("{}: {}", limit.name, limit_figure(chart, limit));
    match area {
        Some(area) if area.shows(limit) => name,
        Some(area) if limit.y > area.y.domain.to => format!("{name} (above the chart)"),
        Some(area) if limit.y < area.y.domain.from => format!("{name} (below the chart)"),
        Some(_) | None => format!("{name} (not drawn)"),
    }
}

fn notes(chart: &Chart, series: &[PlotSeries<'_>], with_place: &[PlotSeries<'_>]) -> Vec<String> {
    let mut notes = Vec::new();
    let without_place = measured(series) - measured(with_place);
    if without_place > 0 {
        notes.push(format!(
            "Figures without a place on the scales of this chart: {}. They are in the table only.",
            grouped(without_place as u64)
        ));
    }
    // The longest series says it for all: those of one chart have about as many points.
    let longest = series.iter().map(|series| series.points.len()).max().unwrap_or(0);
    let drawn = part_size(longest, MOST_DRAWN);
    if drawn > 1 {
        notes.push(format!(
            "Drawn are the lowest and the highest of every {drawn} of {} points, so that peaks stay.",
            grouped(longest as u64)
        ));
    }
    let places = windows::places(series).len();
    if places > MOST_ROWS {
        let row = places.div_ceil(MOST_ROWS);
        notes.push(format!(
            "A row of the table has up to {row} places of \"{}\", from the lowest to the highest figure.",
            chart.x.label
        ));
    }
    notes
}

/// How many points have a figure.
fn measured(series: &[PlotSeries<'_>]) -> usize {
    series.iter().flat_map(|series| &series.points).filter(|point| point.y.is_some()).count()
}

#[cfg(test)]
mod tests {
    use super::super::{ChartPoint, Drawn, Quantity, Scale};
    use super::fixture::{chart, series};
    use super::*;

    const EVERY_WAY: [Drawn; 4] = [Drawn::Line, Drawn::Bars, Drawn::Marks, Drawn::Intervals];
    const EVERY_SCALE: [Scale; 3] = [Scale::Linear, Scale::Logarithmic, Scale::Nines];
    const EVERY_QUANTITY: [Quantity; 8] = [
        Quantity::Duration,
        Quantity::Elapsed,
        Quantity::Share,
        Quantity::Rate,
        Quantity::Bytes,
        Quantity::Count,
        Quantity::Ratio,
        Quantity::Place,
    ];

    #[test]
    fn a_chart_says_what_it_shows() {
        let mut latency = chart(Drawn::Line, &[0.001, 0.002]);
        latency.limits.push(ChartLimit { name: "p99 target".to_owned(), y: 0.004 });
        let Drawing { svg, legend, notes, numbers } = draw(&latency, "c7");
        assert!(svg.starts_with("<svg class=\"plot\" viewBox=\"0 0 720 300\" role=\"img\""), "{svg}");
        assert!(svg.contains("aria-labelledby=\"c7-title c7-words\""), "{svg}");
        assert!(svg.contains("<title id=\"c7-title\">Latency</title>"), "{svg}");
        let words = "<desc id=\"c7-words\">latency over time. p99: 1 ms to 2 ms, last 2 ms. Limit p99 target: 4 ms.</desc>";
        assert!(svg.contains(words), "{svg}");
        let names: Vec<_> = legend.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["p99", "p99 target: 4 ms"]);
        assert_eq!((numbers.rows.len(), notes.len()), (2, 0));
    }

    #[test]
    fn where_nothing_was_measured_that_is_said() {
        for values in [&[][..], &[f64::NAN, f64::NAN]] {
            for drawn in EVERY_WAY {
                let drawing = draw(&chart(drawn, values), "c1");
                assert!(drawing.svg.contains(">nothing measured</text>"), "{}", drawing.svg);
            }
        }
        let mut nothing = chart(Drawn::Line, &[]);
        nothing.series.clear();
        nothing.limits.push(ChartLimit { name: "target".to_owned(), y: 1.0 });
        assert_eq!(draw(&nothing, "c1").legend[0].name, "target: 1 s (not drawn)");
    }

    #[test]
    fn zero_has_no_place_on_a_logarithmic_axis() {
        let mut latency = chart(Drawn::Line, &[0.0, 0.001, 0.002]);
        latency.y.scale = Scale::Logarithmic;
        let drawing = draw(&latency, "c1");
        assert_eq!(drawing.numbers.rows[0], ["0:00", "0 ms"]);
        let note = "Figures without a place on the scales of this chart: 1. They are in the table only.";
        assert_eq!(drawing.notes, [note]);
        latency.series = vec![series("p99", Drawn::Line, &[0.0, -1.0])];
        let drawing = draw(&latency, "c1");
        assert!(drawing.svg.contains(">nothing that this scale has a place for</text>"), "{}", drawing.svg);
    }

    #[test]
    fn nothing_that_a_chart_may_hold_makes_it_panic() {
        let values = [
            &[0.0][..],
            &[1.0],
            &[0.0, 0.0, 0.0],
            &[-3.0, 3.0],
            &[f64::MAX, f64::MIN, f64::MIN_POSITIVE, f64::INFINITY, f64::NEG_INFINITY, f64::NAN],
            &[1e18, -1e18],
            &[1e17, 1e17 + 64.0],
            &[0.999_999_999_999_999_9, 1.0, 1.5],
        ];
        for scale in EVERY_SCALE {
            for quantity in EVERY_QUANTITY {
                for drawn in EVERY_WAY {
                    for values in values {
                        let mut any = chart(drawn, values);
                        any.x.scale = scale;
                        any.y.scale = scale;
                        any.x.quantity = quantity;
                        any.y.quantity = quantity;
                        for (point, value) in any.series[0].points.iter_mut().zip(values) {
                            point.x = *value;
                            point.interval = Some([-value, 2.0 * value]);
                        }
                        any.limits.push(ChartLimit { name: "limit".to_owned(), y: values[0] });
                        let interval = Some([-values[0], values[values.len() - 1]]);
                        any.spans.push(ChartSpan { name: "found".to_owned(), x: values[0], interval });
                        let svg = draw(&any, "c1").svg;
                        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{scale:?} {quantity:?} {svg}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_day_of_seconds_is_thinned_and_says_so() {
        let mut values = vec![0.001; 86_400];
        values[50_000] = 0.5;
        let drawing = draw(&chart(Drawn::Line, &values), "c1");
        assert!(drawing.svg.len() < 60_000, "{} bytes", drawing.svg.len());
        // The peak is at the top, where the axis ends at 500 ms.
        assert!(drawing.svg.contains(" 34L"), "the peak is not drawn");
        assert_eq!(drawing.numbers.rows.len(), 120);
        let notes = [
            "Drawn are the lowest and the highest of every 432 of 86,400 points, so that peaks stay.",
            "A row of the table has up to 720 places of \"time\", from the lowest to the highest figure.",
        ];
        assert_eq!(drawing.notes, notes);
    }

    #[test]
    fn a_limit_beyond_the_chart_says_where_it_is() {
        let mut latency = chart(Drawn::Line, &[0.001, 0.001]);
        for y in [5.0, -1.0, f64::NAN] {
            latency.limits.push(ChartLimit { name: "limit".to_owned(), y });
        }
        let names: Vec<_> = draw(&latency, "c1").legend.into_iter().map(|entry| entry.name).collect();
        let limits = [
            "limit: 5 s (above the chart)",
            "limit: -1 s (below the chart)",
            "limit: not a figure (not drawn)",
        ];
        assert_eq!(names[1..], limits);
    }

    #[test]
    fn what_was_found_is_in_the_legend() {
        let mut rates = chart(Drawn::Line, &[0.001, 0.002, 0.004]);
        rates.x.quantity = Quantity::Rate;
        rates.spans.push(ChartSpan { name: "found".to_owned(), x: 1.0, interval: Some([0.5, 1.5]) });
        rates.spans.push(ChartSpan { name: "beyond".to_owned(), x: 5.0, interval: None });
        let drawing = draw(&rates, "c1");
        let names: Vec<_> = drawing.legend.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["p99", "found: 1/s (0.50/s to 1.50/s)", "beyond: 5/s (not drawn)"]);
        assert_eq!(drawing.svg.matches("class=\"spans\"").count(), 1, "{}", drawing.svg);
    }

    #[test]
    fn a_minute_of_seconds_has_all_its_figures() {
        let mut run = chart(Drawn::Line, &[0.001; 60]);
        run.series.push(series("failures", Drawn::Bars, &[0.002; 60]));
        run.series[0].points[7] = ChartPoint::missing(7.0);
        let drawing = draw(&run, "c1");
        assert_eq!(drawing.numbers.rows.len(), 60);
        assert_eq!(drawing.numbers.rows[7], ["0:07", "not measured", "2 ms"]);
        assert_eq!(drawing.svg.matches("<rect").count(), 60);
        assert!(drawing.notes.is_empty(), "{:?}", drawing.notes);
    }
}
