//! The page of a comparison: a look at two sides, and no verdict.

use super::changes::changes_document;
use super::compare::Comparison;
use super::kept::{Kept, Side};
use crate::document::{Axis, Chart, ChartLimit, ChartPoint, Document, Drawn, Part, Quantity};
use crate::report::{Interval, NamedDistribution, add_chart, chart, percentile_curves, series};
use crate::verdict::Verdict;

/// A figure of one side, with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Known {
    value: f64,
    interval: Option<[f64; 2]>,
}

/// One of the figures that are drawn.
struct Drawing {
    title: &'static str,
    /// Of a case, by whether its mean is that of Criterion's iterations.
    figure: fn(&Kept, bool) -> Known,
}

const DRAWINGS: [Drawing; 4] = [
    Drawing { title: "Change of the mean", figure: mean },
    Drawing { title: "Change of p50", figure: p50 },
    Drawing { title: "Change of p95", figure: p95 },
    Drawing { title: "Change of p99", figure: p99 },
];

/// The page: the table, what differs between the two, each change with its interval, and the latencies over each other.
/// `of_iterations` says whether means are of iterations, as in the comparison.
pub fn comparison_page(
    first: &Side,
    second: &Side,
    comparison: &Comparison,
    of_iterations: bool,
) -> Document {
    let mut page = changes_document([&first.name, &second.name], comparison);
    page.about = Some(format!("{} against {}", second.name, first.name));
    if comparison.incomparable.is_empty() {
        let said = "A look, and no verdict: whether a change made it slower is told by ingester-perf gate";
        page.conclusion = Some(said.to_owned());
    } else {
        page.conclusion = Some(format!("NOT COMPARABLE: {}", comparison.incomparable.join("; ")));
        page.verdict = Some(Verdict::Untrusted);
    }
    page.section("What differs", differences(comparison));
    page.section("Changes", changes(first, second, comparison, of_iterations));
    page.section("Latency", latencies(first, second));
    page
}

fn differences(comparison: &Comparison) -> Vec<Part> {
    let mut parts = Vec::new();
    for difference in comparison.incomparable.iter().chain(&comparison.differences) {
        parts.push(Part::Line(format!("{difference}.")));
    }
    if parts.is_empty() {
        let said = "Nothing: the machine, the build and the benchmark source are the same.";
        parts.push(Part::Line(said.to_owned()));
    }
    parts
}

/// Each figure's change in every case.
fn changes(first: &Side, second: &Side, comparison: &Comparison, of_iterations: bool) -> Vec<Part> {
    let mut parts = Vec::new();
    for Drawing { title, figure } in DRAWINGS {
        let mut drawn = series("change", Drawn::Intervals, Vec::new());
        for row in &comparison.rows {
            let Some(old) = kept(first, &row.case) else { continue };
            let Some(new) = kept(second, &row.case) else { continue };
            let changed = changed(figure(old, of_iterations), figure(new, of_iterations));
            let x = drawn.points.len() as f64;
            drawn.points.push(ChartPoint { x, y: Some(changed.value), interval: changed.interval });
            drawn.labels.push(row.case.clone());
        }
        let x = Axis::linear("case", Quantity::Place);
        let limits = vec![ChartLimit { name: "no change".to_owned(), y: 1.0 }];
        let y = Axis::linear("second against first", Quantity::Ratio);
        add_chart(&mut parts, Chart { limits, ..chart(title, x, y, vec![drawn]) });
    }
    if !parts.is_empty() {
        let said = "An interval goes from the least to the most that both intervals of 95 % allow. It tells nothing of how the \
                    machine's speed changed between the two runs (docs/noise.md).";
        parts.push(Part::Line(said.to_owned()));
    }
    parts
}

/// The second over the first, and between which ratios that lies if both are within their intervals.
fn changed(old: Known, new: Known) -> Known {
    let mut interval = None;
    if let Some([old_lower, old_upper]) = old.interval
        && let Some([new_lower, new_upper]) = new.interval
        // Figures of a file may be any numbers.
        && old_lower > 0.0
    {
        interval = Some([new_lower / old_upper, new_upper / old_lower]);
    }
    Known { value: new.value / old.value, interval }
}

/// The latencies of both sides over each other, case by case.
fn latencies(first: &Side, second: &Side) -> Vec<Part> {
    let mut parts = Vec::new();
    // A chart a case: latencies of small and of large uploads have no axis in common that shows a change of either.
    for (case, old) in &first.cases {
        let Some(new) = kept(second, case) else { continue };
        let mut drawn = Vec::new();
        for (side, kept) in [(first, old), (second, new)] {
            let distribution = kept.report.distribution.clone();
            drawn.push(NamedDistribution { name: side.name.clone(), distribution });
        }
        add_chart(&mut parts, percentile_curves(case, "latency", &drawn, Vec::new()));
    }
    parts
}

fn kept<'a>(side: &'a Side, case: &str) -> Option<&'a Kept> {
    for (id, kept) in &side.cases {
        if id == case {
            return Some(kept);
        }
    }
    None
}

fn mean(kept: &Kept, of_iterations: bool) -> Known {
    if of_iterations && let Some(criterion) = &kept.criterion {
        return Known { value: criterion.mean_ns, interval: Some(criterion.mean_interval_ns) };
    }
    known(kept.report.mean_ms, kept.report.intervals.avg_latency_ms)
}

fn p50(kept: &Kept, _of_iterations: bool) -> Known {
    known(kept.report.p50_ms, kept.report.intervals.median_latency_ms)
}

fn p95(kept: &Kept, _of_iterations: bool) -> Known {
    known(kept.report.p95_ms, kept.report.intervals.p95_latency_ms)
}

fn p99(kept: &Kept, _of_iterations: bool) -> Known {
    known(kept.report.p99_ms, kept.report.intervals.p99_latency_ms)
}

fn known(value: f64, interval: Interval) -> Known {
    let Interval { lower, upper } = interval;
    let interval = match (lower, upper) {
        (Some(lower), Some(upper)) => Some([lower, upper]),
        _ => None,
    };
    Known { value, interval }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::super::compare::compare;
    use super::super::report::tests::report;
    use super::*;
    use crate::document::{Format, Section};

    /// A side with the report of one operation.
    fn side(name: &str, mean_ms: f64, change: impl FnOnce(&mut Value)) -> Side {
        let text = report("op", mean_ms, change);
        let kept = Kept::of_report(Path::new("r.json"), text).expect("is sound");
        Side { name: name.to_owned(), cases: vec![("op".to_owned(), kept)] }
    }

    fn page(first: &Side, second: &Side) -> Document {
        let comparison = compare(&first.figures(false), &second.figures(false)).expect("have the same cases");
        comparison_page(first, second, &comparison, false)
    }

    fn section<'a>(page: &'a Document, heading: &str) -> &'a Section {
        let found = page.parts.iter().find_map(|part| match part {
            Part::Section(section) if section.heading == heading => Some(section),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("has no section {heading}"))
    }

    fn charts(section: &Section) -> Vec<&Chart> {
        let mut charts = Vec::new();
        for part in &section.parts {
            if let Part::Chart(chart) = part {
                charts.push(chart);
            }
        }
        charts
    }

    #[test]
    fn a_comparison_says_that_it_is_no_verdict() {
        let page = page(&side("main", 2.0, |_| ()), &side("new", 3.0, |_| ()));
        assert_eq!((page.verdict, page.checks.len()), (None, 0));
        assert!(page.conclusion.as_deref().is_some_and(|says| says.starts_with("A look, and no verdict")));
        assert_eq!(page.about.as_deref(), Some("new against main"));
        let said = &section(&page, "What differs").parts[0];
        assert!(matches!(said, Part::Line(line) if line.starts_with("Nothing: ")), "{said:?}");
        // As tests, it has one that is skipped.
        assert!(page.render(Format::Junit).contains("skipped=\"1\""));
    }

    #[test]
    fn another_machine_is_said_at_the_top() {
        let page = page(
            &side("main", 2.0, |_| ()),
            &side("new", 3.0, |report| report["environment"]["cores"] = json!(8)),
        );
        assert_eq!(page.verdict, Some(Verdict::Untrusted));
        assert_eq!(page.conclusion.as_deref(), Some("NOT COMPARABLE: cores: 2, 8"));
    }

    #[test]
    fn a_change_has_the_interval_that_both_sides_allow() {
        let old = side("main", 2.0, |report| {
            report["intervals"] = intervals(1.6, 2.5);
        });
        let new = side("new", 3.0, |report| {
            report["intervals"] = intervals(2.5, 4.0);
        });
        let page = page(&old, &new);
        let charts = charts(section(&page, "Changes"));
        assert_eq!(charts.len(), 4);
        // From 2.5 / 2.5 to 4 / 1.6.
        let mean = &charts[0].series[0];
        assert_eq!(mean.points, [ChartPoint { x: 0.0, y: Some(1.5), interval: Some([1.0, 2.5]) }]);
        assert_eq!(mean.labels, ["op"]);
        // These reports have no interval for p95.
        assert_eq!(charts[2].series[0].points[0].interval, None);
        assert_eq!(charts[2].series[0].points[0].y, Some(1.5));
    }

    fn intervals(lower: f64, upper: f64) -> Value {
        let none = json!({"lower": null, "upper": null});
        json!({
            "median_latency_ms": none, "p95_latency_ms": none, "p99_latency_ms": none, "throughput_rps": none,
            "avg_latency_ms": {"lower": lower, "upper": upper},
        })
    }

    #[test]
    fn latencies_of_both_are_drawn_over_each_other() {
        let page = page(
            &side("main", 2.0, |_| ()),
            &side("new", 3.0, |report| report["failed_requests"] = json!(100)),
        );
        let charts = charts(section(&page, "Latency"));
        assert_eq!(charts.len(), 1);
        let names: Vec<&str> = charts[0].series.iter().map(|series| series.name.as_str()).collect();
        assert_eq!(names, ["main", "new"]);
        // Half of the second side's failed: the slowest is not known.
        assert!(charts[0].series[0].points.last().is_some_and(|slowest| slowest.y.is_some()));
        assert!(charts[0].series[1].points.last().is_some_and(|slowest| slowest.y.is_none()));
    }
}
