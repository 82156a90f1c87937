//! The page of a load: a pure function of its record.

use std::cmp::Reverse;

use super::capacity::CapacityReport;
use super::capacity_document::{curve_charts, curve_tables, limits, whose_figures};
use super::distribution::Distribution;
use super::drawing::{
    NamedDistribution, add_chart, add_lines, add_table, chart, environment_table, latency_bars,
    percentile_curves, series,
};
use super::load::{LoadReport, people};
use super::load_table::{account, phases, runs};
use super::of_record::{LoadOutcome, rate_of};
use super::performance::PerformanceReport;
use super::resource_table::{machine, remarks, sides};
use super::shards::{shards_line, shards_table};
use super::step_table::steps_table;
use super::table::{failures, figures, simulated, target, targets, unverified};
use super::timeline::{over_time, resources_over_time};
use crate::document::{
    Axis, Chart, ChartLimit, ChartPoint, ChartSeries, Document, Drawn, Link, Part, Quantity,
};
use crate::load::{LoadRecord, RecordedRun, StepRecording};
use crate::phases::{Breakdown, breakdown_table};

/// Most runs or steps whose latencies are drawn over each other: more could not be told apart.
const MOST_CURVES: usize = 8;
const MS_PER_S: f64 = 1e3;

/// The page: what it came to and what stands out, then what was measured, then where and how. `links` lead to files beside
/// the page.
pub fn load_page(record: &LoadRecord, outcome: &LoadOutcome, links: Vec<Link>) -> Document {
    let report = &outcome.report;
    let run = &record.runs[outcome.run];
    let mut page = Document::new(&format!("Load: {}", record.operation));
    page.about = Some(about(record, outcome));
    page.conclusion = Some(outcome.conclusion.clone());
    page.verdict = Some(outcome.verdict);
    page.checks.clone_from(&outcome.checks);

    // What a reader asks first: did it hold, and what is wrong?
    match report.capacity() {
        // A single one of its runs tells little.
        Some(capacity) => page.section("Every rate that was tried", every_rate(capacity)),
        None => page.table(targets(std::slice::from_ref(report))),
    }
    page.section("What stands out", what_stands_out(outcome));
    page.section("Figures", all_figures(report));
    page.section("Latency", latencies(record, outcome));
    page.section("Users", numbers_of_users(record, outcome));
    page.section("Steps", steps(run, report));
    page.section("Over time", over_time(&run.run));
    page.section("Where the time of a request goes", phases_of_a_request(run, report));
    page.section("What was used", resources(report));
    page.section("Shards", shards(report));
    page.section("Where it was measured", measured_where(record, report));
    page.section("Again", again(record));
    page.section("Files", links.into_iter().map(Part::Link).collect());
    page
}

/// What was loaded, and how, in a line.
fn about(record: &LoadRecord, outcome: &LoadOutcome) -> String {
    let mut about = Vec::new();
    if let Some(load) = &outcome.report.load {
        about.push(level(record, load));
        if let Some(shard) = &load.schedule.shard {
            about.push(format!("shard {shard} of it"));
        }
        about.push(format!("files of {}", load.schedule.files));
    }
    let services = match &record.capacity {
        Some(capacity) => capacity.services.join(" and "),
        None => record.environment.ingester.clone(),
    };
    about.push(format!("against {services}"));
    about.push(record.environment.made_at.clone());
    about.join("; ")
}

/// What a service did at every rate that was tried, and which rate was found.
fn every_rate(capacity: &CapacityReport) -> Vec<Part> {
    let mut parts = curve_charts(capacity);
    parts.extend(curve_tables(capacity));
    parts
}

/// How many users there were, or how many requests a second.
fn level(record: &LoadRecord, load: &LoadReport) -> String {
    if let Some(capacity) = &load.capacity {
        return format!("search for the highest rate with {}", limits(capacity));
    }
    // Of a stress run the schedule is that of its last step.
    if let Some(first) = record.runs.first().and_then(|run| run.step) {
        let last = record.runs.last().and_then(|run| run.step);
        return format!("{first} to {}", people(last.unwrap_or(first)));
    }
    let level = &load.schedule.level;
    match &load.schedule.arrivals {
        Some(arrivals) => format!("requests a second: {level} ({arrivals} arrivals)"),
        None => format!("users: {level}"),
    }
}

/// The findings, and what is to be said of all runs.
fn what_stands_out(outcome: &LoadOutcome) -> Vec<Part> {
    let mut parts = Vec::new();
    add_lines(&mut parts, outcome.said.iter().cloned());
    let findings = outcome.report.load.iter().flat_map(|load| &load.findings);
    for finding in findings {
        if !parts.is_empty() {
            parts.push(Part::Gap);
        }
        parts.push(Part::Line(format!("Finding: {}.", finding.what)));
        parts.push(Part::Line(format!("Likely: {}.", finding.likely)));
        parts.push(Part::Line(format!("Look at: {}.", finding.look_at)));
    }
    if parts.is_empty() {
        parts.push(Part::Line("Nothing stands out.".to_owned()));
    }
    parts
}

/// The figures, and what became of every request.
fn all_figures(report: &PerformanceReport) -> Vec<Part> {
    let reports = std::slice::from_ref(report);
    let mut parts = Vec::new();
    if let Some(capacity) = report.capacity() {
        add_lines(&mut parts, [whose_figures(capacity).to_owned()]);
    }
    add_table(&mut parts, figures(reports));
    if let Some(load) = &report.load {
        add_lines(&mut parts, account(report, load));
        add_table(&mut parts, runs(load));
    }
    add_lines(&mut parts, failures(reports));
    parts
}

/// Percentiles of every run, and how many requests of the one that is reported took how long.
fn latencies(record: &LoadRecord, outcome: &LoadOutcome) -> Vec<Part> {
    let mut drawn = Vec::new();
    // Of a search, the charts of all rates say more than curves over each other.
    let runs = match record.capacity {
        Some(_) => vec![outcome.run],
        None => drawn_runs(record.runs.len(), outcome.run),
    };
    for run in runs {
        let distribution = distribution(&record.runs[run]);
        if !distribution.is_empty() {
            drawn.push(NamedDistribution { name: name_of(record, run), distribution });
        }
    }
    // Targets as lines: where a curve crosses one, it says how many requests are beyond it.
    let limits = latency_limits(&outcome.report);
    let mut parts = Vec::new();
    add_chart(&mut parts, percentile_curves("Percentiles", "response time", &drawn, limits));
    // Of one run only, as bars over each other hide each other.
    let reported = NamedDistribution {
        name: name_of(record, outcome.run),
        distribution: distribution(&record.runs[outcome.run]),
    };
    add_chart(&mut parts, latency_bars("How many took how long", "response time", &reported));
    // Right below the latencies, as it is a part of them that is not the service's.
    let delays = &record.runs[outcome.run].run.load.times.send_delay;
    let delay = NamedDistribution {
        name: "send delay".to_owned(),
        distribution: Distribution::of_samples(delays, 0),
    };
    let title = "Send delay: how late the generator itself was";
    add_chart(&mut parts, percentile_curves(title, "send delay", &[delay], Vec::new()));
    parts
}

/// Response times, with what was lost beyond the slowest.
fn distribution(run: &RecordedRun) -> Distribution {
    let load = &run.run.load;
    let lost = load.responses.failures() + load.unfinished.count();
    Distribution::of_samples(&load.responses.ok, lost)
}

/// What a run is called, as in the table of runs.
fn name_of(record: &LoadRecord, run: usize) -> String {
    match record.runs[run].step {
        Some(users) => people(users),
        None if record.capacity.is_some() => rate_of(&record.runs[run]),
        None if record.runs.len() > 1 => format!("run {}", number(record, run)),
        None => record.operation.clone(),
    }
}

/// The number of one of several runs alike. Those in which nothing was due are left out of the count, unless all are so.
fn number(record: &LoadRecord, run: usize) -> usize {
    if record.runs.iter().all(is_empty) {
        return run + 1;
    }
    record.runs[..run].iter().filter(|run| !is_empty(run)).count() + 1
}

fn is_empty(run: &RecordedRun) -> bool {
    run.run.load.scheduled == 0
}

/// Places of the runs that are drawn: all, or some that are spread evenly, with the one that is reported among them.
fn drawn_runs(runs: usize, reported: usize) -> Vec<usize> {
    if runs <= MOST_CURVES {
        return (0..runs).collect();
    }
    let mut drawn: Vec<usize> = (0..MOST_CURVES).map(|n| n * (runs - 1) / (MOST_CURVES - 1)).collect();
    if !drawn.contains(&reported) {
        // In the place of the one before it: the first and the last stay.
        let after = drawn.iter().position(|run| *run > reported).unwrap_or(MOST_CURVES - 1);
        drawn[after.clamp(2, MOST_CURVES - 1) - 1] = reported;
        drawn.sort_unstable();
    }
    drawn
}

/// The limits on latencies, as lines across a chart.
fn latency_limits(report: &PerformanceReport) -> Vec<ChartLimit> {
    let mut limits = Vec::new();
    for judged in &report.targets {
        // A curve of the whole run has nothing to do with a limit on every stretch of it.
        if judged.metric.is_latency() && judged.window.is_none() {
            limits.push(ChartLimit { name: target(judged), y: judged.limit / MS_PER_S });
        }
    }
    limits
}

/// Throughput and p99 against users, in a stress run.
fn numbers_of_users(record: &LoadRecord, outcome: &LoadOutcome) -> Vec<Part> {
    let mut rates = Vec::new();
    let mut tails = Vec::new();
    // A stress run has a row for every step, in their order.
    let rows = outcome.report.load.iter().flat_map(|load| &load.runs);
    for (run, row) in record.runs.iter().zip(rows) {
        let Some(users) = run.step else { return Vec::new() };
        let x = f64::from(users);
        rates.push(ChartPoint { x, y: row.throughput_rps, interval: None });
        let p99_s = row.p99_ms.map(|ms| ms / MS_PER_S);
        tails.push(ChartPoint { x, y: p99_s, interval: None });
    }
    let mut parts = Vec::new();
    let users = Axis::logarithmic("users", Quantity::Count);
    let y = Axis::linear("a second", Quantity::Rate);
    let rates = vec![series("successes", Drawn::Line, rates)];
    add_chart(&mut parts, chart("Throughput against users", users.clone(), y, rates));
    let y = Axis::logarithmic("response time", Quantity::Duration);
    let tails = vec![series("p99", Drawn::Line, tails)];
    let mut limits = latency_limits(&outcome.report);
    // Others would be lines that the curve has nothing to do with.
    limits.retain(|limit| limit.name.starts_with("p99 "));
    add_chart(&mut parts, Chart { limits, ..chart("p99 against users", users, y, tails) });
    parts
}

/// The steps of operations that consist of several: their figures, their shares of the time, and how many took how long.
fn steps(run: &RecordedRun, report: &PerformanceReport) -> Vec<Part> {
    let mut parts = Vec::new();
    add_table(&mut parts, steps_table(report));
    add_chart(&mut parts, step_bars(report));
    let mut drawn = Vec::new();
    for step in drawn_steps(&run.run.load.steps) {
        let distribution = Distribution::of_samples(&step.outcomes.ok, step.outcomes.failures());
        if !distribution.is_empty() {
            drawn.push(NamedDistribution { name: step.name.clone(), distribution });
        }
    }
    let mut limits = Vec::new();
    for step in &report.steps {
        for limit in latency_limits(&step.figures) {
            let name = format!("{} {}", step.figures.operation, limit.name);
            limits.push(ChartLimit { name, y: limit.y });
        }
    }
    add_chart(&mut parts, percentile_curves("Percentiles of each step", "service time", &drawn, limits));
    parts
}

/// The share of each step in the time of the operations that succeeded.
fn step_bars(report: &PerformanceReport) -> Chart {
    let mut bars = series("service time", Drawn::Bars, Vec::new());
    for step in &report.steps {
        // Where nothing succeeded, there is no time to be a share of.
        let Some(share_pct) = step.share_pct else { continue };
        bars.points.push(ChartPoint::new(bars.points.len() as f64, share_pct / 100.0));
        bars.labels.push(step.figures.operation.clone());
    }
    let x = Axis::linear("step", Quantity::Place);
    chart("Share of each step", x, Axis::linear("of the whole", Quantity::Share), vec![bars])
}

/// The steps whose latencies are drawn: all, or those that take most of the time, in their order.
fn drawn_steps(steps: &[StepRecording]) -> Vec<&StepRecording> {
    let mut drawn: Vec<usize> = (0..steps.len()).collect();
    drawn.sort_by_key(|&step| Reverse(steps[step].in_successes_ns));
    drawn.truncate(MOST_CURVES);
    drawn.sort_unstable();
    drawn.into_iter().map(|step| &steps[step]).collect()
}

/// Where the time went, on the way and in the service.
fn phases_of_a_request(run: &RecordedRun, report: &PerformanceReport) -> Vec<Part> {
    let mut parts = Vec::new();
    let Some(load) = &report.load else { return parts };
    add_table(&mut parts, phases(report, load));
    if load.service_phases.is_empty() {
        return parts;
    }
    let said = "In the service, by size (successes, those of warming up included):";
    parts.push(Part::Line(said.to_owned()));
    add_table(&mut parts, breakdown_table("size", &load.service_phases));
    add_chart(&mut parts, phase_bars(&load.service_phases));
    if let Some(total) = run.phases.as_ref().and_then(|phases| phases.total()) {
        // With several sizes, the mean of all is what the service spent its time on.
        if load.service_phases.len() > 1 {
            let all = Breakdown { of: "all sizes".to_owned(), ..Breakdown::of_size(&total) };
            add_table(&mut parts, breakdown_table("size", &[all]));
        }
    }
    parts
}

/// The share of each phase, beside each other for each size.
fn phase_bars(breakdowns: &[Breakdown]) -> Chart {
    let mut drawn = Vec::new();
    for breakdown in breakdowns {
        let mut bars = ChartSeries {
            name: breakdown.of.clone(),
            drawn: Drawn::Bars,
            points: Vec::new(),
            labels: Vec::new(),
        };
        // All sizes have the same places, so that bars of one phase stand beside each other.
        for name in phase_names(breakdowns) {
            // A phase that this size does not have took no time.
            let share_pct = breakdown.phase(&name).map_or(0.0, |share| share.share_pct);
            bars.points.push(ChartPoint::new(bars.points.len() as f64, share_pct / 100.0));
            bars.labels.push(name);
        }
        drawn.push(bars);
    }
    let x = Axis::linear("phase", Quantity::Place);
    chart("Share of each phase", x, Axis::linear("of the whole", Quantity::Share), drawn)
}

fn phase_names(breakdowns: &[Breakdown]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for share in breakdowns.iter().flat_map(|breakdown| &breakdown.phases) {
        if !names.contains(&share.phase) {
            names.push(share.phase.clone());
        }
    }
    names
}

/// What generator, service and machine used.
fn resources(report: &PerformanceReport) -> Vec<Part> {
    let mut parts = Vec::new();
    let Some(load) = &report.load else { return parts };
    let Some(resources) = &load.resources else { return parts };
    // Charts before tables: that something ran short for ten seconds is not seen in a mean.
    parts.extend(resources_over_time(&load.seconds));
    add_table(&mut parts, sides(resources));
    add_table(&mut parts, machine(resources));
    add_lines(&mut parts, remarks(resources));
    parts
}

/// The parts that the run was put together from, and how well their clocks agreed.
fn shards(report: &PerformanceReport) -> Vec<Part> {
    let mut parts = Vec::new();
    let shards = report.load.as_ref().and_then(|load| load.shards.as_ref());
    if let Some(shards) = shards {
        add_lines(&mut parts, [shards_line(shards)]);
        add_table(&mut parts, shards_table(shards));
    }
    parts
}

/// Machine and build, and what limits what the figures say.
fn measured_where(record: &LoadRecord, report: &PerformanceReport) -> Vec<Part> {
    let reports = std::slice::from_ref(report);
    let mut parts = Vec::new();
    add_lines(&mut parts, unverified(reports));
    add_lines(&mut parts, simulated(reports));
    add_table(&mut parts, environment_table(&record.environment));
    parts
}

/// How to measure the same again.
fn again(record: &LoadRecord) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut says = "This repeats it, for a shell. Secrets are left out, and have to be set:";
    if let Some(command) = record.merged.as_ref().and_then(|merged| merged.shard_command.as_ref()) {
        let of_shard = "This repeats one shard, for a shell. The others have their own --shard, and all need another --start-at. \
                        Secrets are left out, and have to be set:";
        add_lines(&mut parts, [of_shard.to_owned(), command.clone()]);
        says = "This puts the shards together:";
    }
    if let Some(command) = &record.command {
        add_lines(&mut parts, [says.to_owned(), command.clone()]);
    }
    parts
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fixture::{record, run, run_of_steps, used};
    use super::*;
    use crate::document::{CheckOutcome, Format, Section};
    use crate::load::{
        CapacityLimit, CapacityPlan, CapacityRecord, CapacityStep, MergedRecord, MergedShard, Recovery,
    };
    use crate::phases::{PhaseTime, ServicePhases, SizePhases};
    use crate::targets::{Metric, Targets};
    use crate::verdict::Verdict;

    fn page_of(record: &LoadRecord, targets: &str) -> Document {
        let targets = Targets::parse(targets, &["op"]).expect("is valid");
        load_page(record, &LoadOutcome::of(record, &targets), Vec::new())
    }

    fn section<'a>(page: &'a Document, heading: &str) -> &'a Section {
        let found = page.parts.iter().find_map(|part| match part {
            Part::Section(section) if section.heading == heading => Some(section),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("has no section {heading}"))
    }

    fn headings(page: &Document) -> Vec<&str> {
        let mut headings = Vec::new();
        for part in &page.parts {
            if let Part::Section(section) = part {
                headings.push(section.heading.as_str());
            }
        }
        headings
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

    fn lines(section: &Section) -> Vec<&str> {
        let mut lines = Vec::new();
        for part in &section.parts {
            if let Part::Line(line) = part {
                lines.push(line.as_str());
            }
        }
        lines
    }

    #[test]
    fn the_verdict_comes_first_then_targets_and_what_stands_out() {
        let record = record(vec![run(&[(0, 10), (5, 10), (10, 40)], 2)]);
        let page = page_of(&record, "[op]\np95_ms = 20\navg_ms = 50");
        assert_eq!((page.title.as_str(), page.verdict), ("Load: op", Some(Verdict::Missed)));
        assert_eq!(page.conclusion.as_deref(), Some("FAILED: 1 of 2 targets missed: p95 < 20 ms"));
        assert_eq!(page.checks.len(), 3);
        let about = page.about.as_deref().expect("is told");
        assert!(about.starts_with("users: 2:1s; files of 100 KB; against stub; 20"), "{about}");
        let Part::Table(targets) = &page.parts[0] else { panic!("begins with the targets") };
        assert_eq!(targets.rows[1], ["op", "p95 < 20 ms", "40 ms", "MISSED (within interval)"]);
        let expected = [
            "What stands out",
            "Figures",
            "Latency",
            "Over time",
            "Where the time of a request goes",
            "Where it was measured",
        ];
        assert_eq!(headings(&page), expected);
    }

    #[test]
    fn a_page_of_a_part_or_of_nothing_says_so_at_the_top() {
        let mut record = record(vec![run(&[(0, 10)], 1)]);
        record.stopped = Some("interrupted".to_owned());
        let page = page_of(&record, "[op]\navg_ms = 50");
        assert_eq!(page.verdict, Some(Verdict::Untrusted));
        assert_eq!(page.conclusion.as_deref(), Some("PARTIAL (interrupted): The target held"));
        let stands_out = lines(section(&page, "What stands out"));
        assert_eq!(stands_out[0], "Only a part of what was to be measured: interrupted.");

        record.runs = vec![run(&[], 1)];
        let page = page_of(&record, "");
        assert_eq!(page.verdict, Some(Verdict::Missed));
        assert_eq!(page.conclusion.as_deref(), Some("PARTIAL (interrupted): FAILED: nothing succeeded"));
        // There is no latency to draw.
        assert!(!headings(&page).contains(&"Latency"), "{page:?}");
    }

    #[test]
    fn a_page_that_is_not_to_be_trusted_says_so_at_the_top() {
        let mut record = record(vec![run(&[(0, 10)], 1)]);
        record.runs[0].run.generator.longest_pause = Duration::from_secs(1);
        let page = page_of(&record, "[op]\navg_ms = 50");
        assert_eq!(page.verdict, Some(Verdict::Untrusted));
        assert!(page.conclusion.as_deref().is_some_and(|says| says.starts_with("NOT TO BE TRUSTED")));
        let undecided = page.checks.iter().filter(|check| check.outcome == CheckOutcome::Undecided);
        assert_eq!(undecided.count(), 2);
    }

    #[test]
    fn percentiles_have_an_axis_of_nines_and_limits_across() {
        let record = record(vec![run(&[(0, 10), (5, 20)], 2)]);
        let page = page_of(&record, "[op]\np95_ms = 100\nsuccess_rate_pct = 90");
        let charts = charts(section(&page, "Latency"));
        assert_eq!(charts[0].x.scale, crate::document::Scale::Nines);
        assert_eq!(charts[0].limits, [ChartLimit { name: "p95 < 100 ms".to_owned(), y: 0.1 }]);
        assert_eq!(charts[0].series[0].points.last().and_then(|slowest| slowest.y), Some(0.02));
        assert_eq!(charts[1].series[0].drawn, Drawn::Bars);
        assert_eq!(charts.len(), 3, "the last one is of the send delay");
    }

    #[test]
    fn steps_are_drawn_against_users() {
        let mut record = record(vec![run(&[(0, 10)], 1), run(&[(0, 10), (0, 30)], 2)]);
        record.runs[0].step = Some(1);
        record.runs[1].step = Some(2);
        let page = page_of(&record, "[op]\np99_ms = 20\navg_ms = 90");
        let charts = charts(section(&page, "Users"));
        let tails = &charts[1];
        let points: Vec<(f64, Option<f64>)> =
            tails.series[0].points.iter().map(|point| (point.x, point.y)).collect();
        assert_eq!(points, [(1.0, Some(0.01)), (2.0, Some(0.03))]);
        assert_eq!(tails.limits.len(), 1);
        assert!(page.about.as_deref().is_some_and(|about| about.starts_with("1 to 2 users; ")));
        let latency = section(&page, "Latency");
        let names = charts_names(latency);
        assert_eq!(names, ["1 user", "2 users"]);
    }

    fn charts_names(section: &Section) -> Vec<&str> {
        charts(section)[0].series.iter().map(|series| series.name.as_str()).collect()
    }

    #[test]
    fn steps_have_their_figures_shares_and_curves() {
        let record = record(vec![run_of_steps(&[&[3, 5], &[3, 5]])]);
        let page = page_of(&record, "");
        let steps = section(&page, "Steps");
        let Part::Table(table) = &steps.parts[0] else { panic!("begins with the figures") };
        assert_eq!((table.rows.len(), table.rows[1][0].as_str()), (3, "op/2"));
        let charts = charts(steps);
        // 3 and 5 of 8 ms.
        assert_eq!(charts[0].series[0].points, [ChartPoint::new(0.0, 0.375), ChartPoint::new(1.0, 0.625)]);
        assert_eq!(charts[0].series[0].labels, ["op/1", "op/2"]);
        let slowest: Vec<Option<f64>> =
            charts[1].series.iter().map(|curve| curve.points.last().and_then(|point| point.y)).collect();
        assert_eq!(slowest, [Some(0.003), Some(0.005)]);
        // The phases of one request have nothing to say of several.
        let times = section(&page, "Where the time of a request goes");
        let Part::Table(times) = &times.parts[0] else { panic!("begins with the times") };
        let names: Vec<&str> = times.rows.iter().map(|row| row[0].as_str()).collect();
        assert_eq!(names, ["service time", "send delay"]);
    }

    #[test]
    fn of_many_steps_those_that_take_most_of_the_time_are_drawn() {
        let mut steps = Vec::new();
        // The third and the last take least.
        for ns in [9, 8, 1, 7, 6, 5, 4, 3, 10, 2] {
            steps.push(StepRecording { in_successes_ns: ns, ..StepRecording::default() });
        }
        let drawn: Vec<u128> = drawn_steps(&steps).iter().map(|step| step.in_successes_ns).collect();
        assert_eq!(drawn, [9, 8, 7, 6, 5, 4, 3, 10]);
    }

    #[test]
    fn of_many_runs_some_are_drawn_with_the_reported_one() {
        assert_eq!(drawn_runs(3, 1), [0, 1, 2]);
        assert_eq!(drawn_runs(100, 99), [0, 14, 28, 42, 56, 70, 84, 99]);
        assert_eq!(drawn_runs(100, 37), [0, 14, 37, 42, 56, 70, 84, 99]);
        assert_eq!(drawn_runs(100, 5), [0, 5, 28, 42, 56, 70, 84, 99]);
    }

    #[test]
    fn phases_and_resources_are_drawn_where_they_are_known() {
        let mut record = record(vec![run(&[(0, 10), (1500, 10)], 2)]);
        let size = SizePhases {
            smallest_bytes: 1024,
            largest_bytes: 1024,
            operations: 4,
            bytes: 4096,
            whole_ns: 200,
            phases: vec![PhaseTime { phase: "hash".to_owned(), ns: 180 }],
        };
        record.runs[0].phases = Some(ServicePhases { sizes: vec![size] });
        record.runs[0].run.resources = Some(used(&[(1000, 500), (1000, 900)]));
        let page = page_of(&record, "");
        let phases = charts(section(&page, "Where the time of a request goes"));
        assert_eq!(phases[0].series[0].labels, ["hash"]);
        assert_eq!(phases[0].series[0].points, [ChartPoint::new(0.0, 0.9)]);
        let cpu = charts(section(&page, "What was used"))[0];
        let service: Vec<Option<f64>> = cpu.series[1].points.iter().map(|point| point.y).collect();
        assert_eq!((cpu.series[1].name.as_str(), service), ("service", vec![Some(0.5), Some(0.9)]));
    }

    #[test]
    fn a_merged_run_shows_its_shards_and_how_to_repeat_them() {
        let mut record = record(vec![run(&[(0, 10)], 1)]);
        let shard = MergedShard {
            index: 1,
            after_first: Duration::ZERO,
            late: None,
            drift: Duration::ZERO,
            scheduled: 1,
            ok: 1,
            failed: 0,
            unfinished: 0,
        };
        let problems = vec!["shard 0/2 is missing".to_owned()];
        let shard_command = Some("ingester-perf load --shard 1/2".to_owned());
        record.merged = Some(MergedRecord {
            of: 2,
            plan_hash: String::new(),
            shards: vec![shard],
            shard_command,
            problems,
        });
        record.command = Some("ingester-perf load merge shards".to_owned());
        let page = page_of(&record, "[op]\navg_ms = 50");
        assert_eq!(page.verdict, Some(Verdict::Untrusted));
        let says = "NOT TO BE TRUSTED, so its targets are not judged: shard 0/2 is missing";
        assert_eq!(page.conclusion.as_deref(), Some(says));
        let shards = section(&page, "Shards");
        assert!(lines(shards)[0].starts_with("1 of 2 shards; "), "{shards:?}");
        let Part::Table(table) = &shards.parts[1] else { panic!("is a table") };
        assert_eq!(table.rows[0][0], "1/2");
        let again = lines(section(&page, "Again"));
        assert_eq!(
            (again[1], again[2]),
            ("ingester-perf load --shard 1/2", "This puts the shards together:")
        );
        assert_eq!(again[3], "ingester-perf load merge shards");
    }

    #[test]
    fn a_search_shows_every_rate_and_what_was_found() {
        let limit = CapacityLimit::new((Metric::P99Ms, 100.0)).expect("can be looked for");
        let plan = CapacityPlan {
            limits: vec![limit],
            from: 10.0,
            highest: None,
            lasting: Duration::from_secs(1),
            fine_steps: 4,
            seed: 1,
        };
        let mut steps = Vec::new();
        for level in [0, 16] {
            let recovery = Recovery { took: Duration::ZERO, complete: true };
            steps.push(CapacityStep { service: 0, level, confirms: false, lost: false, recovery });
        }
        // Ten a second hold, and twenty do not.
        let mut record = record(vec![run(&[(0, 20); 10], 1), run(&[(0, 150); 20], 1)]);
        record.capacity = Some(CapacityRecord { plan, services: vec!["stub".to_owned()], steps });
        let page = page_of(&record, "[op]\navg_ms = 0.001");
        // It was broken off after two steps, and its limits are not those of the targets' file.
        assert_eq!(page.verdict, Some(Verdict::Untrusted));
        assert!(
            page.conclusion.as_deref().is_some_and(|says| says.starts_with("It has no answer")),
            "{page:?}"
        );
        let about = page.about.as_deref().expect("is told");
        assert!(
            about.starts_with("search for the highest rate with p99 < 100 ms; files of 100 KB"),
            "{about}"
        );
        assert_eq!(headings(&page)[0], "Every rate that was tried");
        let rates = section(&page, "Every rate that was tried");
        let drawn = charts(rates);
        assert_eq!((drawn.len(), drawn[0].spans.len()), (3, 1));
        let slow: Vec<f64> = drawn[0].series[1].points.iter().map(|point| point.x).collect();
        assert_eq!(slow, [10.0, 20.0]);
        let found = &drawn[0].spans[0];
        assert!((10.0..=20.0).contains(&found.x) && found.name == "not confirmed", "{found:?}");
        assert_eq!(lines(section(&page, "Figures"))[0], "Figures of the last run that counts:");
    }

    #[test]
    fn a_stored_record_makes_the_same_page() {
        let dir = tempfile::tempdir().expect("makes one");
        let path = dir.path().join("load.run.json");
        let mut record = record(vec![run(&[(0, 3), (5, 1200), (900, 70)], 3)]);
        record.command = Some("ingester-perf load --users 3".to_owned());
        record.save(&path).expect("writes");
        let read = LoadRecord::load(&path).expect("is one");
        let page = page_of(&read, "[op]\navg_ms = 50");
        assert_eq!(page, page_of(&record, "[op]\navg_ms = 50"));
        assert_eq!(lines(section(&page, "Again"))[1], "ingester-perf load --users 3");
        // Only what is not in a section is read on a terminal.
        assert!(!page.render(Format::Text).contains("--users 3"));
    }
}
