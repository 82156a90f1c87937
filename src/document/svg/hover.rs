//! Figures under the pointer: columns across the plot, each with a title that browsers show.

use super::element::SvgElement;
use super::frame::PlotArea;
use super::points::PlotSeries;
use super::windows::Window;

/// A column for each window, as wide as half the way to its neighbours: large enough to be met.
pub(super) fn columns(windows: &[Window], series: &[PlotSeries<'_>], area: &PlotArea) -> SvgElement {
    let mut columns = SvgElement::group("hover");
    let mut left = area.left;
    for (index, window) in windows.iter().enumerate() {
        let right = match windows.get(index + 1) {
            Some(next) => f64::midpoint(area.x.place(window.last), area.x.place(next.first)),
            None => area.right(),
        };
        let title = SvgElement::new("title").lines(&title(window, series));
        let column = SvgElement::new("rect")
            .at("x", left)
            .at("y", area.top())
            .at("width", (right - left).max(0.0))
            .at("height", area.bottom() - area.top());
        columns = columns.child(&column.child(&title));
        left = right;
    }
    columns
}

/// The place, and a line for each series that has a point there.
fn title(window: &Window, series: &[PlotSeries<'_>]) -> Vec<String> {
    let mut lines = vec![window.name.clone()];
    for (series, cell) in series.iter().zip(&window.cells) {
        // A series that has no point there has nothing to say; one that was not measured says so.
        if !cell.is_empty() {
            lines.push(format!("{}: {cell}", series.name));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::super::Drawn;
    use super::super::fixture::chart;
    use super::super::points::plottable;
    use super::super::windows::windows;
    use super::*;

    #[test]
    fn columns_fill_the_plot_and_tell_figures() {
        let chart = chart(Drawn::Line, &[0.001, 0.002, 0.003, 0.004]);
        let plotted = plottable(&chart);
        let area = PlotArea::of(&chart, &plotted).expect("something was measured");
        let drawn = columns(&windows(&chart, &plotted, 2), &plotted, &area).to_string();
        assert_eq!(drawn.matches("<rect").count(), 2, "{drawn}");
        assert!(drawn.contains("<title>0:00 to 0:01\np99: 1 ms to 2 ms</title>"), "{drawn}");
        // Two halves, from 34 to 250.
        let half = (area.right() - area.left) / 2.0;
        assert!(drawn.contains(&format!("y=\"34\" width=\"{half}\" height=\"216\"")), "{drawn}");
    }
}
