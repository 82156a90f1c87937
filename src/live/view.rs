//! What is known of a run, as a document.

use super::board::{Board, Point};
use crate::document::{
    Axis, Chart, ChartLimit, ChartPoint, ChartSeries, Document, Drawn, Part, Quantity, Table,
};
use crate::units::{grouped, latency, significant};

/// What a page says that is not renewed any more.
const ENDED: &str = "The run has ended. This page keeps its last state.";

/// The page as it is now: of the run while it goes on, and of what it came to afterwards.
pub(super) fn document(board: &Board) -> Document {
    if let Some(outcome) = &board.outcome {
        let mut document = outcome.clone();
        document.gap();
        document.line(ENDED);
        return document;
    }
    let mut document = Document::new(&format!("{}, while it runs", board.about.operation));
    document.about = Some(board.about.title.clone());
    document.line(state(board));
    if board.has_ended {
        document.line(ENDED);
    }
    document.gap();
    document.table(figures(board));
    document.table(failures(board));
    document.section("The last ten minutes", charts(board));
    document
}

/// How far it is, in a sentence.
fn state(board: &Board) -> String {
    let Some(plan) = &board.plan else { return "It has not begun yet.".to_owned() };
    let wanted = match (board.latest(), plan.is_open()) {
        (None, _) => return "It begins: no second is over yet.".to_owned(),
        (Some(point), true) => format!("requests a second wanted now: {}", significant(point.level)),
        (Some(point), false) => format!("users wanted now: {}", significant(point.level)),
    };
    let mut state = format!("{} s are measured; {wanted}", grouped(board.seconds()));
    if let Some(progress) = board.progress() {
        state += &format!("; {:.0} % of the plan is done", 100.0 * progress);
    }
    // Of a single run nobody has to be told which it is.
    if board.run > 1 {
        state += &format!("; this is run {}", board.run);
    }
    state + "."
}

/// A row a figure: of the last second, and of all of them.
fn figures(board: &Board) -> Table {
    let mut table = Table::new(["", "last second", "all seconds"]);
    let Some(latest) = board.latest() else { return table };
    let tally = &board.tally;
    // There is a second, so this divides by one at least.
    let mean_rate = tally.ok as f64 / board.seconds() as f64;
    table.row(["successes".to_owned(), grouped(latest.ok), grouped(tally.ok)]);
    table.row(["successes a second".to_owned(), significant(latest.ok as f64), significant(mean_rate)]);
    table.row(["failures".to_owned(), grouped(latest.failed), grouped(tally.failed())]);
    table.row(["p50".to_owned(), latency(latest.p50_ms), latency(tally.quantile_ms(0.5))]);
    table.row(["p99".to_owned(), latency(latest.p99_ms), latency(tally.quantile_ms(0.99))]);
    table.row(["under way".to_owned(), grouped(latest.in_flight), String::new()]);
    table
}

/// A row a class of failure.
fn failures(board: &Board) -> Table {
    let mut table = Table::new(["failures", "all seconds"]);
    for (class, count) in &board.tally.failures {
        table.row([class.name().to_owned(), grouped(*count)]);
    }
    table
}

/// Nothing before the first second is over.
fn charts(board: &Board) -> Vec<Part> {
    if board.points.is_empty() {
        return Vec::new();
    }
    vec![Part::Chart(latencies(board)), Part::Chart(rates(board)), Part::Chart(under_way(board))]
}

fn latencies(board: &Board) -> Chart {
    let mut limits = Vec::new();
    if let Some(baseline) = &board.about.baseline {
        for (name, ms) in [("p50", baseline.p50_ms), ("p99", baseline.p99_ms)] {
            limits.push(ChartLimit { name: format!("{name} of {}", baseline.name), y: ms / 1e3 });
        }
    }
    Chart {
        title: "Response time of successes".to_owned(),
        x: time(),
        y: Axis::logarithmic("response time", Quantity::Duration),
        series: vec![
            line(board, "p50", |point| point.p50_ms.map(|ms| ms / 1e3)),
            line(board, "p99", |point| point.p99_ms.map(|ms| ms / 1e3)),
        ],
        limits,
        spans: Vec::new(),
    }
}

fn rates(board: &Board) -> Chart {
    let mut series = vec![
        line(board, "successes", |point| Some(point.ok as f64)),
        line(board, "failures", |point| Some(point.failed as f64)),
    ];
    if board.is_open() {
        series.push(line(board, "wanted", |point| Some(point.level)));
    }
    Chart {
        title: "Requests that ended".to_owned(),
        x: time(),
        y: Axis::linear("requests a second", Quantity::Rate),
        series,
        limits: Vec::new(),
        spans: Vec::new(),
    }
}

fn under_way(board: &Board) -> Chart {
    let mut series = vec![line(board, "under way", |point| Some(point.in_flight as f64))];
    if !board.is_open() {
        series.push(line(board, "users", |point| Some(point.level)));
    }
    Chart {
        title: "Requests under way".to_owned(),
        x: time(),
        y: Axis::linear("requests", Quantity::Count),
        series,
        limits: Vec::new(),
        spans: Vec::new(),
    }
}

fn time() -> Axis {
    Axis::linear("time", Quantity::Elapsed)
}

/// A figure of every second, joined by a line.
fn line(board: &Board, name: &str, figure: impl Fn(&Point) -> Option<f64>) -> ChartSeries {
    let mut points = Vec::with_capacity(board.points.len());
    for point in &board.points {
        points.push(ChartPoint { x: point.at_s as f64, y: figure(point), interval: None });
    }
    ChartSeries { name: name.to_owned(), drawn: Drawn::Line, points, labels: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{about, closed, open, seconds};
    use super::*;

    /// The charts of a document, by their title.
    fn chart<'a>(document: &'a Document, title: &str) -> &'a Chart {
        for part in &document.parts {
            let Part::Section(section) = part else { continue };
            for part in &section.parts {
                match part {
                    Part::Chart(chart) if chart.title == title => return chart,
                    _ => {}
                }
            }
        }
        panic!("{title} is not among {document:?}")
    }

    #[test]
    fn a_run_is_told_with_its_last_second_and_all_of_them() {
        let mut board = Board::new(about());
        assert!(document(&board).to_string().contains("It has not begun yet."));
        board.begin(open("0..4:4s"));
        assert!(document(&board).to_string().contains("no second is over yet"));
        // Two in the first second, a success and a failure, and one in the second.
        board.add(&seconds(&[(0, 1), (100, 7), (1_000, 4)]));
        let document = document(&board);
        assert_eq!(document.about.as_deref(), Some("Loading stub"));
        let expected = [
            "2 s are measured; requests a second wanted now: 2; 50 % of the plan is done.",
            "",
            "                     last second  all seconds ",
            " successes                     1            2 ",
            " successes a second            1            1 ",
            " failures                      0            1 ",
            " p50                     5.00 ms      2.00 ms ",
            " p99                     5.00 ms      5.00 ms ",
            " under way                     0              ",
            " failures  all seconds ",
            " reset               1 ",
        ];
        assert_eq!(document.to_string().lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn every_second_is_drawn_and_one_without_a_success_is_a_gap() {
        let mut board = Board::new(about());
        board.begin(closed(3, Some(9)));
        board.add(&seconds(&[(0, 1), (1_000, 7), (2_000, 4)]));
        let document = document(&board);
        let latencies = chart(&document, "Response time of successes");
        let p50: Vec<bool> = latencies.series[0].points.iter().map(|point| point.y.is_some()).collect();
        assert_eq!(p50, [true, false, true]);
        // Those of the earlier run, in seconds.
        let limits: Vec<_> = latencies.limits.iter().map(|limit| (limit.name.as_str(), limit.y)).collect();
        assert_eq!(limits, [("p50 of main.json", 0.002), ("p99 of main.json", 0.05)]);
        let rates = chart(&document, "Requests that ended");
        let failures: Vec<_> = rates.series[1].points.iter().map(|point| (point.x, point.y)).collect();
        assert_eq!(failures, [(0.0, Some(0.0)), (1.0, Some(1.0)), (2.0, Some(0.0))]);
        let users = &chart(&document, "Requests under way").series[1];
        assert_eq!((users.name.as_str(), users.points[2].y), ("users", Some(3.0)));
    }

    #[test]
    fn what_it_came_to_takes_the_place_of_the_run() {
        let mut board = Board::new(about());
        board.begin(closed(1, None));
        board.add(&seconds(&[(0, 1)]));
        let mut outcome = Document::new("Load");
        outcome.line("all held");
        board.end(Some(outcome));
        assert_eq!(document(&board).to_string(), format!("all held\n\n{ENDED}\n"));
        // Where it could not be reported, the last state stays.
        board.end(None);
        let text = document(&board).to_string();
        assert!(text.contains("1 s are measured") && text.contains(ENDED), "{text}");
    }
}
