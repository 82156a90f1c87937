//! The page of a session: a pure function of its record, like the verdict.

use super::compared::{Effect, pair_effects};
use super::counter_table::add_counters;
use super::plan::passes_below;
use super::print::{cases_table, remarks, verdict_document};
use super::record::{CaseRecord, Compared, Measured, Record};
use super::schedule::Role;
use super::verdict::{CaseVerdict, Figures, SessionVerdict};
use super::why::Why;
use crate::document::{
    Axis, Chart, ChartLimit, ChartPoint, ChartSeries, Document, Drawn, Link, Part, Quantity, Table,
};
use crate::machine::Environment;
use crate::report::{
    Distribution, NamedDistribution, add_chart, add_lines, add_table, chart, environment_table,
    percentile_curves, series,
};
use crate::units::printable;
use crate::verdict::Verdict;

/// Most cases whose pairs are drawn over each other: more could not be told apart.
const MOST_CASES: usize = 8;
/// Characters of a checksum that tell one build from another.
const CHECKSUM: usize = 12;

/// Where more is to be found, from a session's page.
#[derive(Debug, Default)]
pub(crate) struct GateLinks {
    /// Differential flame graphs.
    pub pictures: Vec<Link>,
    /// What the page and the verdict follow from.
    pub files: Vec<Link>,
}

/// The page: the verdict, each case's effect with its interval, and what it rests on.
pub(crate) fn gate_page(record: &Record, verdict: &SessionVerdict, why: &Why, links: GateLinks) -> Document {
    let GateLinks { pictures, files } = links;
    // What is told is the same as on a terminal, in another order and with what it rests on.
    let mut page = Document { parts: Vec::new(), ..verdict_document(record, verdict, why) };
    let made_at = printable(&record.made_at);
    page.about = page.about.map(|about| format!("{about}; {made_at}"));

    // The answer, the reasons for it, and then what both rest on.
    page.section("How much slower", effects(record, verdict));
    let mut reasons = Document::default();
    why.tell(&mut reasons);
    reasons.parts.extend(pictures.into_iter().map(Part::Link));
    page.section("Why", reasons.parts);
    let mut counters = Document::default();
    add_counters(&mut counters, verdict);
    page.section("Exact counters", counters.parts);
    let mut known = Vec::new();
    add_lines(&mut known, remarks(record, verdict));
    page.section("What to know of it", known);
    page.section("Latency", latencies(record));
    page.section("Controls", controls(verdict));
    page.section("Pair by pair", pairs(record));
    page.section("What was compared", compared(record));
    page.section("Files", files.into_iter().map(Part::Link).collect());
    page
}

/// The page of a session that was interrupted. A part of one has no verdict.
pub(super) fn interrupted_page(record: &Record, files: Vec<Link>) -> Document {
    let mut page = Document::new("Gate");
    let head = printable(&record.head.name);
    let base = printable(&record.base.name);
    page.about = Some(format!("{head} against {base}; {}", printable(&record.made_at)));
    page.verdict = Some(Verdict::Untrusted);
    let pairs = record.numbers.len();
    page.conclusion = Some(format!(
        "PARTIAL (interrupted): {pairs} of {} pairs of processes were measured; a part of a session has no verdict",
        record.plan.pairs
    ));
    page.section("What was compared", compared(record));
    page.section("Files", files.into_iter().map(Part::Link).collect());
    page
}

/// Each case's effect with its interval, and from where on a case fails.
fn effects(record: &Record, verdict: &SessionVerdict) -> Vec<Part> {
    let plan = &record.plan;
    let of_head = effect_series(verdict, "head against base", |figures| figures.effect);
    let mut drawn = effect_chart("Head against base", vec![of_head]);
    // A case with a threshold of its own is named among the remarks: lines for all of them would hide the intervals.
    drawn.limits.push(ChartLimit { name: "fails from here on".to_owned(), y: 1.0 + plan.threshold });
    let passes = passes_below(plan.threshold);
    drawn.limits.push(ChartLimit { name: "same if surely below".to_owned(), y: 1.0 + passes });
    let mut parts = Vec::new();
    add_chart(&mut parts, drawn);
    add_table(&mut parts, cases_table(record, verdict));
    parts
}

/// Both controls of each case.
fn controls(verdict: &SessionVerdict) -> Vec<Part> {
    let of_control = effect_series(verdict, "base against itself (A/A)", |figures| figures.aa_control);
    let of_positive =
        effect_series(verdict, "base slowed on purpose (positive)", |figures| figures.positive_control);
    let title = "Controls: the first must show nothing, the second must be caught";
    let mut parts = Vec::new();
    add_chart(&mut parts, effect_chart(title, vec![of_control, of_positive]));
    parts
}

/// Effects of all cases, with a line where nothing changed.
fn effect_chart(title: &str, drawn: Vec<ChartSeries>) -> Chart {
    let x = Axis::linear("case", Quantity::Place);
    let limits = vec![ChartLimit { name: "no change".to_owned(), y: 1.0 }];
    Chart { limits, ..chart(title, x, Axis::linear("effect", Quantity::Ratio), drawn) }
}

fn effect_series(verdict: &SessionVerdict, name: &str, effect: impl Fn(&Figures) -> Effect) -> ChartSeries {
    let mut drawn = series(name, Drawn::Intervals, Vec::new());
    for CaseVerdict { id, figures, .. } in &verdict.cases {
        // A case that was not measured has a row in the table, and no effect.
        let Some(figures) = figures else { continue };
        let effect = effect(figures);
        let interval = effect.interval().map(|ends| ends.map(|share| 1.0 + share));
        let x = drawn.points.len() as f64;
        drawn.points.push(ChartPoint { x, y: Some(1.0 + effect.share), interval });
        drawn.labels.push(printable(id));
    }
    drawn
}

/// The latencies of both arms and of the A/A control over each other, where workers tell them.
fn latencies(record: &Record) -> Vec<Part> {
    let mut parts = Vec::new();
    for case in &record.cases {
        let mut drawn = Vec::new();
        for (name, role) in [("base", Role::Base), ("head", Role::Head), ("A/A control", Role::Control)] {
            // Other workers than those of this program may keep none.
            let distribution = latencies_of(case, role);
            if !distribution.is_empty() {
                drawn.push(NamedDistribution { name: name.to_owned(), distribution });
            }
        }
        let title = printable(&case.id);
        add_chart(&mut parts, percentile_curves(&title, "latency", &drawn, Vec::new()));
    }
    parts
}

/// The latencies of an arm in all pairs.
fn latencies_of(case: &CaseRecord, role: Role) -> Distribution {
    Distribution::of_counts(case.pairs.iter().flat_map(|pair| &pair.latencies[role as usize]))
}

/// What each pair of processes showed: whether the machine, or one process, stands out.
fn pairs(record: &Record) -> Vec<Part> {
    let mut drawn = Vec::new();
    for case in record.cases.iter().take(MOST_CASES) {
        // A case that is too slow has no pairs.
        let effects = pair_effects(case, Compared::Head).unwrap_or_default();
        let mut points = Vec::new();
        for (pair, log_ratio) in (1..).zip(effects) {
            points.push(ChartPoint::new(f64::from(pair), log_ratio.exp()));
        }
        if !points.is_empty() {
            drawn.push(series(printable(&case.id), Drawn::Marks, points));
        }
    }
    let x = Axis::linear("pair of processes", Quantity::Count);
    let mut effects = chart("Each pair of processes", x, Axis::linear("effect", Quantity::Ratio), drawn);
    effects.limits.push(ChartLimit { name: "no change".to_owned(), y: 1.0 });
    let mut parts = Vec::new();
    add_chart(&mut parts, effects);
    parts
}

/// Both builds side by side, and the machine that both ran on.
fn compared(record: &Record) -> Vec<Part> {
    let Record { base, head, .. } = record;
    let mut table = Table::new(["", "base", "head", "differs"]);
    add_row(&mut table, "name", &base.name, &head.name);
    add_row(&mut table, "version", &base.build.version, &head.build.version);
    add_row(&mut table, "compiler", &base.build.compiler, &head.build.compiler);
    add_row(&mut table, "build profile", &base.build.profile, &head.build.profile);
    add_row(&mut table, "SHA-256", &shortened(base), &shortened(head));
    add_row(&mut table, "URL", url(base), url(head));
    let mut parts = vec![Part::Table(table)];
    // A record of another version may hold something else here.
    if let Ok(environment) = serde_json::from_value::<Environment>(record.environment.clone()) {
        parts.push(Part::Table(environment_table(&environment)));
    }
    parts
}

fn add_row(table: &mut Table, name: &str, base: &str, head: &str) {
    let differs = if base == head { "" } else { "yes" };
    table.row([name.to_owned(), printable(base), printable(head), differs.to_owned()]);
}

fn shortened(measured: &Measured) -> String {
    measured.build.sha256.chars().take(CHECKSUM).collect()
}

fn url(measured: &Measured) -> &str {
    measured.url.as_deref().unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use super::super::fake::{self, Trait, session};
    use super::super::verdict::judge;
    use super::*;
    use crate::document::{Format, Section};

    fn page_of(record: &Record) -> Document {
        gate_page(record, &judge(record), &Why::default(), GateLinks::default())
    }

    fn section<'a>(page: &'a Document, heading: &str) -> &'a Section {
        let found = page.parts.iter().find_map(|part| match part {
            Part::Section(section) if section.heading == heading => Some(section),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("has no section {heading}"))
    }

    fn chart_of<'a>(page: &'a Document, heading: &str) -> &'a Chart {
        match section(page, heading).parts.first() {
            Some(Part::Chart(chart)) => chart,
            other => panic!("begins with {other:?}"),
        }
    }

    #[test]
    fn each_verdict_stands_at_the_top() {
        let traits = [Trait::Quiet];
        let quiet = page_of(&session(&fake::plan(1), &["a", "b"], &traits));
        assert_eq!(quiet.verdict, Some(Verdict::Held));
        assert_eq!(quiet.conclusion.as_deref(), Some("passed, no case got slower"));
        assert_eq!(quiet.about.as_deref(), Some("new against old; 2026-11-23T00:00:00.000000+00:00"));
        let slower = page_of(&session(&fake::plan(1), &["a", "b"], &[Trait::Slower(0.05)]));
        assert_eq!(slower.verdict, Some(Verdict::Missed));
        assert_eq!(slower.conclusion.as_deref(), Some("FAILED, slower: a, b"));
        let untrusted = page_of(&session(&fake::plan(1), &["a"], &[Trait::NoSpin]));
        assert_eq!(untrusted.verdict, Some(Verdict::Untrusted));
        assert!(untrusted.conclusion.as_deref().is_some_and(|says| says.starts_with("inconclusive: a not")));
    }

    #[test]
    fn a_part_of_a_session_has_no_verdict_and_says_so() {
        let mut record = session(&fake::plan(1), &["a"], &[Trait::Quiet]);
        record.partial = true;
        record.numbers.truncate(4);
        let page = interrupted_page(&record, Vec::new());
        assert_eq!(page.verdict, Some(Verdict::Untrusted));
        let says = page.conclusion.as_deref().expect("has one");
        assert!(
            says.starts_with("PARTIAL (interrupted): 4 of 10 pairs of processes were measured"),
            "{says}"
        );
    }

    #[test]
    fn effects_have_intervals_and_the_threshold_as_a_limit() {
        let page = page_of(&session(&fake::plan(1), &["a", "b"], &[Trait::Slower(0.05)]));
        let chart = chart_of(&page, "How much slower");
        let limits: Vec<f64> = chart.limits.iter().map(|limit| limit.y).collect();
        assert_eq!(limits, [1.0, 1.02, 1.04]);
        let effects = &chart.series[0];
        assert_eq!(
            (effects.drawn, &effects.labels[..]),
            (Drawn::Intervals, &["a".to_owned(), "b".to_owned()][..])
        );
        for point in &effects.points {
            let [lower, upper] = point.interval.expect("ten pairs have one");
            let effect = point.y.expect("was measured");
            assert!(lower <= effect && effect <= upper && (effect - 1.05).abs() < 0.01, "{point:?}");
        }
        let controls = chart_of(&page, "Controls");
        assert_eq!(controls.series.len(), 2);
        assert!(controls.series[1].points.iter().all(|point| point.y > Some(1.03)), "{controls:?}");
        assert_eq!(chart_of(&page, "Pair by pair").series[1].points.len(), 10);
    }

    #[test]
    fn latencies_of_both_arms_are_drawn_over_each_other() {
        // One operation in fifty of head's takes 5 ms longer.
        let page = page_of(&session(&fake::plan(1), &["a"], &[Trait::Stalls(0.02, 5_000_000)]));
        let chart = chart_of(&page, "Latency");
        let names: Vec<&str> = chart.series.iter().map(|series| series.name.as_str()).collect();
        assert_eq!((chart.title.as_str(), names), ("a", vec!["base", "head", "A/A control"]));
        let mut slowest = Vec::new();
        for series in &chart.series {
            slowest.extend(series.points.last().and_then(|point| point.y));
        }
        assert_eq!(slowest, [0.0002, 0.0052, 0.0002]);
    }

    #[test]
    fn what_differs_between_the_builds_is_marked() {
        let mut record = session(&fake::plan(1), &["a"], &[Trait::Quiet]);
        record.head.build.compiler = "rustc 2\u{7}".to_owned();
        let page = page_of(&record);
        let Part::Table(table) = &section(&page, "What was compared").parts[0] else { panic!("is a table") };
        assert_eq!(table.rows[0], ["name", "old", "new", "yes"]);
        assert_eq!(table.rows[1], ["version", "0", "0", ""]);
        assert_eq!(table.rows[2], ["compiler", "rustc", r"rustc 2\u{7}", "yes"]);
    }

    #[test]
    fn everything_that_a_terminal_shows_is_on_the_page() {
        let record = session(&fake::plan(1), &["a"], &[Trait::Slower(0.05)]);
        let verdict = judge(&record);
        let why = Why { problems: vec!["base cannot tell".to_owned()], ..Why::default() };
        let page = gate_page(&record, &verdict, &why, GateLinks::default()).render(Format::Json);
        for line in verdict_document(&record, &verdict, &why).parts {
            if let Part::Line(line) = line {
                let quoted = serde_json::to_string(&line).expect("is text");
                assert!(page.contains(&quoted), "{line}");
            }
        }
    }
}
