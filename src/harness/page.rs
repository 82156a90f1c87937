//! The page of all benches: a pure function of their last reports.

use super::floor_report::Floor;
use super::ratio;
use crate::document::{Axis, ChartLimit, ChartPoint, ChartSeries, Document, Drawn, Link, Part, Quantity};
use crate::machine::Environment;
use crate::recording::{from_text, unpack};
use crate::report::{
    self, Distribution, NamedDistribution, PerformanceReport, add_chart, add_lines, add_table, chart,
    conclusion_of, environment_table, latency_bars, percentile_curves, success_check, target_checks,
};
use crate::units::grouped;
use crate::verdict::Verdict;

/// The last report of a case, and where more is to be found of it.
#[derive(Debug)]
pub struct BenchedCase {
    pub report: PerformanceReport,
    /// Criterion's page, a flame graph.
    pub links: Vec<Link>,
}

/// Everything that the page is made of.
#[derive(Debug, Default)]
pub struct BenchPage {
    /// In the order of the suite.
    pub cases: Vec<BenchedCase>,
    /// The lower bounds, if they were measured.
    pub floor: Option<Floor>,
    /// What could not be read, a sentence each.
    pub unreadable: Vec<String>,
    /// What is not of one case.
    pub links: Vec<Link>,
}

impl BenchPage {
    /// Verdict and targets, the figures and latencies of each case, and their lower bounds.
    pub fn document(&self) -> Document {
        let reports: Vec<PerformanceReport> = self.cases.iter().map(|case| case.report.clone()).collect();
        // The head: what it came to, and the limits that it was held against.
        let mut page = Document::new("Benchmarks");
        page.about = about(&reports);
        if !reports.is_empty() {
            page.verdict = Some(self.verdict(&reports));
            page.conclusion = Some(self.conclusion(&reports));
        }
        for report in &reports {
            page.checks.push(success_check(report));
            page.checks.extend(target_checks(report));
        }
        page.table(report::targets(&reports));
        page.lines(self.unreadable.iter().cloned());
        page.lines(report::failures(&reports));
        // All cases side by side, then each by itself.
        page.section("Figures", figures(&reports));
        page.section("Latency", self.curves());
        page.section("Lower bounds", self.lower_bounds());
        for case in &self.cases {
            page.section(case.id(), case.parts());
        }
        page.section("Where it was measured", measured_where(&reports));
        page.section("More", self.links.iter().cloned().map(Part::Link).collect());
        page
    }

    /// The worst of all cases. One that ended early has not held, and one that cannot be read is not known to have.
    fn verdict(&self, reports: &[PerformanceReport]) -> Verdict {
        let is_whole = self.unreadable.is_empty();
        Verdict::worst(reports.iter().map(|report| match report.verdict() {
            Verdict::Held if report.partial || !is_whole => Verdict::Untrusted,
            verdict => verdict,
        }))
    }

    fn conclusion(&self, reports: &[PerformanceReport]) -> String {
        let mut missing = Vec::new();
        let mut partial = Vec::new();
        for report in reports.iter().filter(|report| report.partial) {
            partial.push(report.operation.as_str());
        }
        if !partial.is_empty() {
            missing.push(format!("{} ended early", partial.join(", ")));
        }
        match self.unreadable.len() {
            0 => {}
            1 => missing.push("1 report cannot be read".to_owned()),
            count => missing.push(format!("{count} reports cannot be read")),
        }
        let judged = conclusion_of(reports);
        if missing.is_empty() { judged } else { format!("PARTIAL ({}): {judged}", missing.join("; ")) }
    }

    /// The percentiles of all cases over each other.
    fn curves(&self) -> Vec<Part> {
        let mut drawn = Vec::new();
        for case in &self.cases {
            drawn.extend(case.latencies());
        }
        let mut parts = Vec::new();
        add_chart(&mut parts, percentile_curves("Percentiles", "latency", &drawn, Vec::new()));
        parts
    }

    /// How many times its lower bound each case takes.
    fn lower_bounds(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        // There are none where `floor` has not run, as for a service that is not the stub.
        let Some(floor) = &self.floor else { return parts };
        let mut bars = ChartSeries {
            name: "of the lower bound".to_owned(),
            drawn: Drawn::Intervals,
            points: Vec::new(),
            labels: Vec::new(),
        };
        for ratio in &floor.ratios {
            let effect = ratio.comparison.effect;
            // What is below its bound is no case but the cost of recording one, some thousandths of a token check: beside
            // it, the others would all look alike.
            if effect.ratio < 0.5 {
                continue;
            }
            let interval = match (effect.lower, effect.upper) {
                (Some(lower), Some(upper)) => Some([lower, upper]),
                _ => None,
            };
            let x = bars.points.len() as f64;
            bars.points.push(ChartPoint { x, y: Some(effect.ratio), interval });
            bars.labels.push(ratio.case.clone());
        }
        let x = Axis::linear("case", Quantity::Place);
        let y = Axis::linear("above the lower bound", Quantity::Ratio);
        let mut drawn = chart("How far each case is above its lower bound", x, y, vec![bars]);
        drawn.limits = vec![ChartLimit { name: "lower bound".to_owned(), y: 1.0 }];
        add_chart(&mut parts, drawn);
        add_table(&mut parts, ratio::table(&floor.ratios));
        let partial = if floor.partial { " Not all of it: it was interrupted." } else { "" };
        parts.push(Part::Line(format!("Measured at {}.{partial}", floor.environment.made_at)));
        parts
    }
}

impl BenchedCase {
    /// The id of the case, as Criterion has it.
    fn id(&self) -> &str {
        self.report.plan.as_ref().map_or(self.report.operation.as_str(), |plan| plan.case.as_str())
    }

    /// What was recorded of its operations; none where nothing succeeded.
    fn latencies(&self) -> Option<NamedDistribution> {
        // One with other bounds than are recorded here cannot be read.
        let packed = from_text(self.report.histogram.as_ref()?).ok()?;
        let histogram = unpack(&packed).ok()?;
        let distribution = Distribution::of_histogram(&histogram, self.report.failed_requests);
        Some(NamedDistribution { name: self.id().to_owned(), distribution })
    }

    /// How many operations took how long, and where more is to be found.
    fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        if let Some(latencies) = self.latencies() {
            add_chart(&mut parts, latency_bars("How many took how long", "latency", &latencies));
        }
        if let Some(plan) = &self.report.plan {
            // One at a time is what a reader expects.
            let users = if plan.users > 1 { format!(", {} at once", plan.users) } else { String::new() };
            let operations = grouped(self.report.total_requests);
            parts.push(Part::Line(format!("Operations: {operations}; passes: {}{users}.", plan.passes)));
        }
        parts.extend(self.links.iter().cloned().map(Part::Link));
        parts
    }
}

/// What was measured, where all cases that send something measured the same.
fn about(reports: &[PerformanceReport]) -> Option<String> {
    // The token check measures this machine whatever the others measure: both are named.
    let mut measured: Vec<&str> = Vec::new();
    for report in reports {
        if let Some(environment) = &report.environment
            && !measured.contains(&environment.ingester.as_str())
        {
            measured.push(&environment.ingester);
        }
    }
    if measured.is_empty() { None } else { Some(measured.join("; ")) }
}

/// The figures, and when each case was measured: benches run one after the other, and may have run on different days.
fn figures(reports: &[PerformanceReport]) -> Vec<Part> {
    let mut parts = Vec::new();
    add_table(&mut parts, report::figures(reports));
    let mut times = Vec::new();
    for report in reports {
        if let Some(environment) = &report.environment {
            times.push(format!("{} at {}", report.operation, environment.made_at));
        }
    }
    if !times.is_empty() {
        parts.push(Part::Line(format!("Measured: {}.", times.join("; "))));
    }
    add_lines(&mut parts, report::unverified(reports));
    add_lines(&mut parts, report::simulated(reports));
    parts
}

/// The machine and the build of the last report; the others are of the same machine, or say so in a row of their own.
fn measured_where(reports: &[PerformanceReport]) -> Vec<Part> {
    let mut newest = None;
    let mut builds: Vec<&str> = Vec::new();
    for environment in reports.iter().filter_map(|report| report.environment.as_ref()) {
        if newest.is_none_or(|newest: &Environment| newest.made_at < environment.made_at) {
            newest = Some(environment);
        }
        // A figure of an older version of the benchmarks may mean something else.
        if !builds.contains(&environment.source.as_str()) {
            builds.push(&environment.source);
        }
    }
    let mut parts = Vec::new();
    if builds.len() > 1 {
        let note = "These reports are of more than one version of the benchmarks: run all benches again to have one.";
        parts.push(Part::Line(note.to_owned()));
    }
    if let Some(environment) = newest {
        add_table(&mut parts, environment_table(environment));
    }
    parts
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::alternate::Comparison;
    use super::super::ratio::Ratio;
    use super::*;
    use crate::document::{CheckOutcome, Section};
    use crate::machine::Placement;
    use crate::recording::{Failure, Finished, Recorder};
    use crate::report::Plan;
    use crate::stats::Effect;
    use crate::targets::{Metric, Targets};

    /// A case of which so many operations succeeded in 2 ms, and so many failed, held against an average of `limit` ms.
    fn case(operation: &str, ok: u64, failed: u64, limit: f64) -> BenchedCase {
        let mut recorder = Recorder::default();
        let latency = Duration::from_millis(2);
        for _ in 0..ok {
            recorder.record(Finished { latency, outcome: Ok(()) });
        }
        for _ in 0..failed {
            recorder.record(Finished { latency, outcome: Err(Failure::status(503, "busy")) });
        }
        recorder.pass(Duration::from_secs(1));
        let plan = Plan {
            case: format!("group/{operation}"),
            schedule: "closed",
            users: 1,
            passes: 1,
            requests_per_pass: None,
            file_size_bytes: None,
            seed: 42,
        };
        let targets = Targets::default().with(operation, (Metric::AvgMs, limit));
        let report = PerformanceReport::new(operation, &recorder.finish()).describe(plan).judge(&targets);
        let report = report.at(Environment::read(&Placement::none(), "stub"));
        BenchedCase { report, links: Vec::new() }
    }

    fn page(cases: Vec<BenchedCase>) -> Document {
        BenchPage { cases, ..BenchPage::default() }.document()
    }

    fn section<'a>(page: &'a Document, heading: &str) -> Option<&'a Section> {
        page.parts.iter().find_map(|part| match part {
            Part::Section(section) if section.heading == heading => Some(section),
            _ => None,
        })
    }

    #[test]
    fn all_cases_held_or_the_missed_ones_are_named_first() {
        let held = page(vec![case("a", 10, 0, 5.0), case("b", 10, 0, 5.0)]);
        assert_eq!(
            (held.verdict, held.conclusion.as_deref()),
            (Some(Verdict::Held), Some("All 2 targets held"))
        );
        assert_eq!(held.about.as_deref(), Some("stub"));
        let missed = page(vec![case("a", 10, 0, 5.0), case("b", 10, 0, 1.0)]);
        let says = "FAILED: 1 of 2 targets missed: b avg < 1 ms";
        assert_eq!((missed.verdict, missed.conclusion.as_deref()), (Some(Verdict::Missed), Some(says)));
        let outcomes: Vec<CheckOutcome> = missed.checks.iter().map(|check| check.outcome).collect();
        assert_eq!(outcomes[..3], [CheckOutcome::Held; 3]);
        assert_eq!(outcomes[3..], [CheckOutcome::Missed]);
        let all = page(vec![case("a", 10, 0, 1.0), case("b", 10, 0, 1.0)]);
        let says = "FAILED: every target was missed: a avg < 1 ms, b avg < 1 ms";
        assert_eq!(all.conclusion.as_deref(), Some(says));
    }

    #[test]
    fn a_case_without_a_success_or_cut_short_says_so_at_the_top() {
        let barren = page(vec![case("a", 10, 0, 5.0), case("b", 0, 3, 5.0)]);
        let says = "FAILED: nothing succeeded in b; 1 of 2 targets missed: b avg < 5 ms";
        assert_eq!((barren.verdict, barren.conclusion.as_deref()), (Some(Verdict::Missed), Some(says)));
        let mut cut = case("a", 10, 0, 5.0);
        cut.report.partial = true;
        let cut = page(vec![cut]);
        let says = "PARTIAL (a ended early): The target held";
        assert_eq!((cut.verdict, cut.conclusion.as_deref()), (Some(Verdict::Untrusted), Some(says)));
        let unreadable = vec!["Left out, as it cannot be read: b.json".to_owned()];
        let torn =
            BenchPage { cases: vec![case("a", 10, 0, 5.0)], unreadable, ..BenchPage::default() }.document();
        let says = "PARTIAL (1 report cannot be read): The target held";
        assert_eq!((torn.verdict, torn.conclusion.as_deref()), (Some(Verdict::Untrusted), Some(says)));
        let nothing = page(Vec::new());
        assert_eq!((nothing.verdict, nothing.conclusion), (None, None));
    }

    #[test]
    fn latencies_are_drawn_with_failures_beyond_the_slowest() {
        let mut links = case("a", 5, 5, 5.0);
        links.links.push(Link { text: "Criterion".to_owned(), path: "../a/index.html".to_owned() });
        let page = page(vec![links]);
        let Some(Part::Chart(curves)) = section(&page, "Latency").map(|section| &section.parts[0]) else {
            panic!("is drawn")
        };
        assert_eq!(curves.series[0].name, "group/a");
        assert_eq!(curves.series[0].points.last().map(|slowest| slowest.y), Some(None));
        let parts = &section(&page, "group/a").expect("has one").parts;
        assert!(matches!(&parts[0], Part::Chart(_)) && matches!(&parts[2], Part::Link(_)), "{parts:?}");
        assert_eq!(parts[1], Part::Line("Operations: 10; passes: 1.".to_owned()));
    }

    #[test]
    fn lower_bounds_have_intervals_and_a_line_at_one() {
        let mut ratios = Vec::new();
        for (name, ratio) in [("upload/10KB", 1.5), ("recording", 0.002)] {
            let effect = Effect { ratio, lower: Some(ratio - 0.001), upper: Some(ratio + 0.001), blocks: 10 };
            let comparison = Comparison { effect, case_ns: 3e5, lower_bound_ns: 2e5 };
            ratios.push(Ratio { case: name.to_owned(), comparison });
        }
        let floor = Floor::new(true, ratios, Environment::read(&Placement::none(), "stub"));
        let text = serde_json::to_string(&floor).expect("serialises");
        let floor = Floor::parse(&text);
        let page = BenchPage { floor, ..BenchPage::default() }.document();
        let parts = &section(&page, "Lower bounds").expect("has one").parts;
        let Part::Chart(drawn) = &parts[0] else { panic!("is drawn") };
        assert_eq!((drawn.limits[0].y, drawn.series[0].labels.len()), (1.0, 1));
        let Part::Table(table) = &parts[1] else { panic!("has a table") };
        assert_eq!(table.rows.len(), 2);
        assert!(matches!(&parts[2], Part::Line(line) if line.ends_with("it was interrupted.")), "{parts:?}");
    }
}
