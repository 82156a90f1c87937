//! Charts and tables that several pages have.

use super::distribution::Distribution;
use crate::document::{
    Axis, Chart, ChartLimit, ChartPoint, ChartSeries, Drawn, Part, Quantity, Scale, Table,
};
use crate::machine::Environment;
use crate::units::{grouped, printable};

/// Characters of a checksum that tell one source from another.
const CHECKSUM: usize = 12;

/// Latencies that are drawn under a name.
pub(crate) struct NamedDistribution {
    /// The name in the legend.
    pub name: String,
    /// The latencies.
    pub distribution: Distribution,
}

/// A chart without limits and spans.
pub(crate) fn chart(title: &str, x: Axis, y: Axis, series: Vec<ChartSeries>) -> Chart {
    Chart { title: title.to_owned(), x, y, series, limits: Vec::new(), spans: Vec::new() }
}

/// A series of points that need no names.
pub(crate) fn series(name: impl Into<String>, drawn: Drawn, points: Vec<ChartPoint>) -> ChartSeries {
    ChartSeries { name: name.into(), drawn, points, labels: Vec::new() }
}

/// Adds a chart, unless there is nothing to be seen in it.
pub(crate) fn add_chart(parts: &mut Vec<Part>, chart: Chart) {
    let has_figures = chart.series.iter().flat_map(|series| &series.points).any(|point| point.y.is_some());
    if has_figures {
        parts.push(Part::Chart(chart));
    }
}

/// Adds a table, unless it has no rows.
pub(crate) fn add_table(parts: &mut Vec<Part>, table: Table) {
    if !table.is_empty() {
        parts.push(Part::Table(table));
    }
}

/// Adds lines.
pub(crate) fn add_lines(parts: &mut Vec<Part>, lines: impl IntoIterator<Item = String>) {
    parts.extend(lines.into_iter().map(Part::Line));
}

/// Percentile curves over the same axes. Each further nine has as much room as the one before, and times are equal factors
/// apart: the tail is as well seen as the rest.
pub(crate) fn percentile_curves(
    title: &str,
    latency: &str,
    drawn: &[NamedDistribution],
    limits: Vec<ChartLimit>,
) -> Chart {
    let mut curves = Vec::new();
    for NamedDistribution { name, distribution } in drawn {
        curves.push(series(name, Drawn::Line, distribution.curve()));
    }
    // Shares count from the fastest on, lost operations included, as all percentiles here do.
    let x = Axis {
        label: "share that took no longer".to_owned(),
        quantity: Quantity::Share,
        scale: Scale::Nines,
    };
    Chart { limits, ..chart(title, x, Axis::logarithmic(latency, Quantity::Duration), curves) }
}

/// How many took how long. Several peaks are several kinds of operation, which no mean and no percentile shows.
pub(crate) fn latency_bars(title: &str, latency: &str, drawn: &NamedDistribution) -> Chart {
    // Equal factors: of a tail ten times as slow as the rest, equal steps would show one bar and a thousand empty ones.
    let bars = series(&drawn.name, Drawn::Bars, drawn.distribution.bars());
    let x = Axis::logarithmic(latency, Quantity::Duration);
    chart(title, x, Axis::linear("how many", Quantity::Count), vec![bars])
}

/// Where something was measured, and with what.
pub(crate) fn environment_table(environment: &Environment) -> Table {
    let mut table = Table::new(["", "value"]);
    let source: String = environment.source.chars().take(CHECKSUM).collect();
    add_row(&mut table, "measured", &environment.ingester);
    add_row(&mut table, "at", &environment.made_at);
    add_row(&mut table, "CPU", &environment.cpu);
    add_row(&mut table, "cores", &environment.cores.to_string());
    add_row(&mut table, "memory", &format!("{} MB", grouped(environment.memory_mb)));
    add_row(&mut table, "system", &environment.os);
    add_row(&mut table, "compiler", &environment.rustc);
    add_row(&mut table, "build profile", &environment.profile);
    add_row(&mut table, "version", &environment.version);
    add_row(&mut table, "benchmark source", &source);
    add_row(&mut table, "placement", &environment.placement);
    table
}

fn add_row(table: &mut Table, name: &str, value: &str) {
    // A stored record may say anything here.
    table.row([name.to_owned(), printable(value)]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Placement;

    #[test]
    fn a_chart_without_a_figure_is_left_out() {
        let axis = Axis::linear("x", Quantity::Count);
        let empty = series("a", Drawn::Line, vec![ChartPoint::missing(1.0)]);
        let mut parts = Vec::new();
        add_chart(&mut parts, chart("t", axis.clone(), axis.clone(), vec![empty.clone()]));
        assert!(parts.is_empty());
        let full = series("b", Drawn::Line, vec![ChartPoint::new(1.0, 2.0)]);
        add_chart(&mut parts, chart("t", axis.clone(), axis, vec![empty, full]));
        assert_eq!(parts.len(), 1);
    }

    #[test]
    fn what_a_record_says_of_its_machine_cannot_rule_a_terminal() {
        let mut environment = Environment::read(&Placement::none(), "stub");
        environment.cpu = "Z80\u{1b}[2J".to_owned();
        let table = environment_table(&environment);
        assert_eq!(table.rows[0], ["measured", "stub"]);
        assert_eq!(table.rows[2], ["CPU", r"Z80\u{1b}[2J"]);
    }
}
