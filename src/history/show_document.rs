//! What `history show` says: how each case has developed, with what may be changes of its level.

use super::entry::{Change, short};
use super::line::CommitLine;
use super::sparkline::{MOST, sparkline};
use super::trend::{FALSE_ALARMS, GateTrend, RunTrend, RunTrends, SEED, Trends};
use crate::document::{Axis, Chart, ChartPoint, ChartSeries, Document, Drawn, Part, Quantity, Table};
use crate::units::{Share, change, latency, printable};

/// What stands where there is no value.
const NONE: &str = "-";
/// Name of the marks at change points.
const CHANGE_POINT: &str = "change point (advice)";

/// What is shown.
pub(crate) struct ShownHistory<'a> {
    /// The file.
    pub file: String,
    /// How many lines it has that are entries.
    pub entries: usize,
    /// What a reader has to know of them, a sentence each.
    pub notes: Vec<String>,
    /// The series.
    pub trends: &'a Trends,
    /// The commits.
    pub line: &'a CommitLine,
    /// What people call the release that changes are told from.
    pub release: Option<String>,
}

/// The tables, the changes of level, and a chart of each series for pages.
pub(crate) fn show_document(shown: &ShownHistory<'_>) -> Document {
    let mut document = Document::new("History");
    document.about = Some(format!("{}: {} entries", printable(&shown.file), shown.entries));
    let Trends { gates, runs } = shown.trends;
    let since = match &shown.release {
        Some(release) => format!("since {}", printable(release)),
        None => "since a release".to_owned(),
    };
    if !gates.is_empty() {
        document.line("Sessions of the gate, which compare a commit with one before it:");
        document.table(gate_table(gates, &since));
        document.gap();
    }
    if !runs.cases.is_empty() {
        document.line(heading_of_runs(runs));
        document.table(run_table(&runs.cases, &since));
        document.gap();
    }
    document.lines(shown.notes.iter().cloned());
    document.lines(remarks(shown));
    for trend in gates {
        document.section(&printable(&trend.case), vec![Part::Chart(gate_chart(trend, shown.line))]);
    }
    for trend in &runs.cases {
        let heading = format!("{}, runs", printable(&trend.case));
        document.section(&heading, vec![Part::Chart(run_chart(trend, shown.line))]);
    }
    document
}

fn gate_table(gates: &[GateTrend], since: &str) -> Table {
    let since = format!("{since} [95 % interval]");
    let trend = format!("last {MOST}");
    let mut table = Table::new(["case", "last value", "last change [interval]", &since, &trend]);
    for gate in gates {
        let levels: Vec<Option<f64>> = gate.levels.iter().map(|point| point.level).collect();
        table.row([
            printable(&gate.case),
            gate.last_value.map_or_else(|| NONE.to_owned(), |value| gate.measure.quantity(value)),
            gate.last_change.map_or_else(|| NONE.to_owned(), interval),
            gate.since.map_or_else(|| NONE.to_owned(), |product| interval(product.change)),
            sparkline(&levels),
        ]);
    }
    table
}

fn heading_of_runs(runs: &RunTrends) -> String {
    match &runs.machine {
        Some(machine) => {
            let cpu = printable(&machine.cpu);
            let profile = printable(&machine.profile);
            format!("Runs on {cpu}, {} cores, {profile} build:", machine.cores)
        }
        None => "Runs:".to_owned(),
    }
}

fn run_table(runs: &[RunTrend], since: &str) -> Table {
    let trend = format!("last {MOST}");
    let mut table = Table::new(["case", "5 % quantile", "median", since, &trend]);
    for run in runs {
        let last = run.points.last().map(|point| &point.figures);
        let levels: Vec<Option<f64>> = run.points.iter().map(|point| Some(point.figures.low_ms)).collect();
        table.row([
            printable(&run.case),
            latency(last.map(|figures| figures.low_ms)),
            latency(last.map(|figures| figures.p50_ms)),
            run.since.map_or_else(|| NONE.to_owned(), change),
            sparkline(&levels),
        ]);
    }
    table
}

/// A change with the ends of its interval.
pub(super) fn interval(of: Change) -> String {
    format!("{} [{}, {}]", change(of.share), end(of.lower), end(of.upper))
}

fn end(end: Option<f64>) -> String {
    end.map_or_else(|| NONE.to_owned(), change)
}

/// What a reader has to know beside the tables, a sentence each.
fn remarks(shown: &ShownHistory<'_>) -> Vec<String> {
    let Trends { gates, runs } = shown.trends;
    let mut remarks = Vec::new();
    if gates.is_empty() && runs.cases.is_empty() {
        remarks.push("Nothing was measured of the commits that lead to this one.".to_owned());
        return remarks;
    }
    if shown.release.is_none() {
        remarks
            .push("No release leads to this commit: --since names a commit to tell changes from.".to_owned());
    }
    if gates.iter().any(has_gap) {
        remarks.push(
            "Where commits in between have no session, a trend begins anew, so that its parts cannot be compared."
                .to_owned(),
        );
    }
    if runs.elsewhere > 0 {
        let count = runs.elsewhere;
        remarks.push(format!(
            "Not shown: {count} runs on another CPU or number of cores, with another profile or benchmark source."
        ));
    }
    if runs.aside > 0 {
        remarks.push(format!("Not shown: {} runs of commits that do not lead to this one.", runs.aside));
    }
    for gate in gates {
        remarks.extend(changes_of_gate(gate, shown.line));
    }
    for run in &runs.cases {
        remarks.extend(changes_of_run(run, shown.line));
    }
    remarks.push(format!(
        "A change point is advice and fails nothing: at most {} of such outputs mark one where there is none (seed {SEED}; \
         docs/history.md).",
        Share(FALSE_ALARMS)
    ));
    remarks
}

fn has_gap(trend: &GateTrend) -> bool {
    trend.levels.iter().any(|point| point.place.is_none())
}

fn changes_of_gate(trend: &GateTrend, line: &CommitLine) -> Vec<String> {
    let mut said = Vec::new();
    for point in &trend.changes {
        let commit = short(line.hash(trend.step_places[point.at]));
        said.push(format!(
            "Change point: {} from {commit} on: a step is {} in the median, and was {} before (p {:.2} %).",
            printable(&trend.case),
            change(point.after.exp_m1()),
            change(point.before.exp_m1()),
            100.0 * point.p
        ));
    }
    said
}

fn changes_of_run(trend: &RunTrend, line: &CommitLine) -> Vec<String> {
    let mut said = Vec::new();
    for point in &trend.changes {
        let commit = short(line.hash(trend.points[point.at].place));
        said.push(format!(
            "Change point: {} of the runs from {commit} on: {} after {}, which is {} (p {:.2} %).",
            printable(&trend.case),
            latency(Some(point.after)),
            latency(Some(point.before)),
            change(point.after / point.before - 1.0),
            100.0 * point.p
        ));
    }
    said
}

fn gate_chart(trend: &GateTrend, line: &CommitLine) -> Chart {
    let mut series = series_of("value over that of the first commit", Drawn::Line);
    let mut marks = series_of(CHANGE_POINT, Drawn::Marks);
    let mut changed_at = Vec::new();
    for point in &trend.changes {
        changed_at.push(trend.step_places[point.at]);
    }
    for (number, point) in trend.levels.iter().enumerate() {
        let x = number as f64;
        let (Some(place), Some(level)) = (point.place, point.level) else {
            add(&mut series, ChartPoint::missing(x), "not measured");
            continue;
        };
        let commit = short(line.hash(place));
        add(&mut series, ChartPoint::new(x, level), commit);
        if changed_at.contains(&place) {
            add(&mut marks, ChartPoint::new(x, level), commit);
        }
    }
    chart(&trend.case, Quantity::Ratio, "change since the first commit", [series, marks])
}

fn run_chart(trend: &RunTrend, line: &CommitLine) -> Chart {
    let mut low = series_of("5 % quantile", Drawn::Line);
    let mut median = series_of("median", Drawn::Line);
    let mut marks = series_of(CHANGE_POINT, Drawn::Marks);
    for (number, point) in trend.points.iter().enumerate() {
        let x = number as f64;
        let commit = short(line.hash(point.place));
        let low_s = point.figures.low_ms / 1e3;
        add(&mut low, ChartPoint::new(x, low_s), commit);
        add(&mut median, ChartPoint::new(x, point.figures.p50_ms / 1e3), commit);
        if trend.changes.iter().any(|change| change.at == number) {
            add(&mut marks, ChartPoint::new(x, low_s), commit);
        }
    }
    chart(&trend.case, Quantity::Duration, "latency", [low, median, marks])
}

/// A chart over commits. Series without points are left out.
fn chart(
    case: &str,
    quantity: Quantity,
    label: &str,
    series: impl IntoIterator<Item = ChartSeries>,
) -> Chart {
    Chart {
        title: printable(case),
        x: Axis::linear("commit", Quantity::Place),
        y: Axis::linear(label, quantity),
        series: series.into_iter().filter(|series| !series.points.is_empty()).collect(),
        limits: Vec::new(),
        spans: Vec::new(),
    }
}

/// A series without points, over named places.
fn series_of(name: &str, drawn: Drawn) -> ChartSeries {
    ChartSeries { name: name.to_owned(), drawn, points: Vec::new(), labels: Vec::new() }
}

fn add(series: &mut ChartSeries, point: ChartPoint, label: &str) {
    series.points.push(point);
    series.labels.push(label.to_owned());
}

#[cfg(test)]
mod tests {
    use super::super::chain::case_steps;
    use super::super::entry::HistoryEntry;
    use super::super::entry::tests::{changed, gate, run};
    use super::super::line::tests::line;
    use super::*;
    use crate::document::Section;

    fn document(entries: &[HistoryEntry], end: usize) -> Document {
        let line = line(end);
        let trends = Trends::new(entries, &case_steps(entries, &line), &line, None);
        show_document(&ShownHistory {
            file: "history.jsonl".to_owned(),
            entries: entries.len(),
            notes: vec!["Note: one.".to_owned()],
            trends: &trends,
            line: &line,
            release: None,
        })
    }

    /// The chart of the section of this number.
    fn chart_of(document: &Document, number: usize) -> &Chart {
        let mut charts = Vec::new();
        for part in &document.parts {
            if let Part::Section(Section { parts, .. }) = part {
                for part in parts {
                    if let Part::Chart(chart) = part {
                        charts.push(chart);
                    }
                }
            }
        }
        charts[number]
    }

    #[test]
    fn a_row_has_the_last_value_the_last_change_and_the_trend() {
        let entries = [gate(0, 1, vec![changed("a", 0.01)]), gate(1, 2, vec![changed("a", 0.02)])];
        let text = document(&entries, 2).to_string();
        let row = text.lines().find(|line| line.starts_with(" a ")).expect("has a row");
        let cells: Vec<&str> = row.split_whitespace().collect();
        // 1, 1.01 and 1.0302: a third of the way up is 2.3 of 7 steps.
        let expected = ["a", "1", "ms", "+2.0", "%", "[+1.5", "%,", "+2.5", "%]", "-", "▁▃█"];
        assert_eq!(cells, expected, "{text}");
        assert!(text.contains("Note: one.") && text.contains("--since names a commit"), "{text}");
    }

    #[test]
    fn a_change_in_the_size_of_steps_is_told_with_its_commit() {
        let mut entries = Vec::new();
        for head in 1..=40 {
            let share = if head <= 20 { 0.0 } else { 0.01 };
            // All different, and in no order within a level.
            entries.push(gate(head - 1, head, vec![changed("a", share + 0.0001 * (7 * head % 10) as f64)]));
        }
        let document = document(&entries, 40);
        let text = document.to_string();
        let says = "Change point: a from 0000021 on: a step is +1.0 % in the median, and was +0.0 % before (p 0.05 %).";
        assert!(text.lines().any(|line| line == says), "{text}");
        assert!(text.contains("at most 5 % of such outputs mark one where there is none"), "{text}");
        let marks = &chart_of(&document, 0).series[1];
        assert_eq!((marks.labels.len(), marks.labels[0].as_str()), (1, "0000021"));
    }

    #[test]
    fn charts_name_their_commits_and_show_gaps() {
        let entries = [
            gate(0, 1, vec![changed("a", 0.01)]),
            gate(3, 4, vec![changed("a", 0.02)]),
            run(1, "a", 2.0),
            run(2, "a", 3.0),
        ];
        let document = document(&entries, 4);
        let of_gate = chart_of(&document, 0);
        assert_eq!(of_gate.series[0].labels, ["0000000", "0000001", "not measured", "0000003", "0000004"]);
        assert_eq!(of_gate.series[0].points[2].y, None);
        assert_eq!((of_gate.x.quantity, of_gate.y.quantity), (Quantity::Place, Quantity::Ratio));
        let of_runs = chart_of(&document, 1);
        // Four fifths of 2 ms, in seconds.
        assert!(of_runs.series[0].points[0].y.is_some_and(|y| (y - 0.0016).abs() < 1e-12));
        assert_eq!(of_runs.series[1].labels, ["0000001", "0000002"]);
        assert!(document.to_string().contains("a trend begins anew"));
    }
}
