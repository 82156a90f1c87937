//! What a search for a capacity says: sentences, a table of all rates that were tried, and charts of the same.

use super::capacity::{CapacityReport, CurvePoint, CurveVerdict, ServiceCapacity};
use super::drawing::{add_chart, chart, series};
use super::table::limit_in_words;
use crate::document::{
    Axis, Chart, ChartLimit, ChartPoint, ChartSeries, ChartSpan, Check, CheckOutcome, Drawn, Part, Quantity,
    Table,
};
use crate::load::CapacityFinding;
use crate::targets::Metric;
use crate::units::{change, latency, percent, significant};
use crate::verdict::Verdict;

/// A table a service: every rate that was tried.
pub(super) fn curve_tables(capacity: &CapacityReport) -> Vec<Part> {
    let is_one = capacity.services.len() == 1;
    let mut parts = Vec::new();
    for service in &capacity.services {
        // A search that was broken off may not have come to the second one.
        if service.curve.is_empty() {
            continue;
        }
        if !is_one {
            parts.push(Part::Line(format!("{}:", service.service)));
        }
        parts.push(Part::Table(curve(service)));
        parts.push(Part::Gap);
    }
    parts
}

/// The same as charts, with what was found in each of them.
pub(super) fn curve_charts(capacity: &CapacityReport) -> Vec<Part> {
    let mut parts = Vec::new();
    for drawn in [latencies(capacity), throughput(capacity), failures(capacity)] {
        add_chart(&mut parts, drawn);
    }
    parts
}

/// Which run the figures are of that stand beside those of the search.
pub(super) fn whose_figures(capacity: &CapacityReport) -> &'static str {
    let Some(first) = capacity.services.first() else { return "Figures of the last run:" };
    let has_one_that_counts = first.curve.iter().any(|point| point.invalid_steps < point.steps);
    if first.confirmed_rate.is_some() {
        "Figures of the run that confirmed it:"
    } else if has_one_that_counts {
        "Figures of the last run that counts:"
    } else {
        "Figures of the last run:"
    }
}

/// What had to be found: an answer for each service, and that the second of two does not hold less.
pub(super) fn capacity_checks(operation: &str, capacity: &CapacityReport) -> Vec<Check> {
    let is_one = capacity.services.len() == 1;
    let limits = limits(capacity);
    let mut checks = Vec::new();
    for service in &capacity.services {
        let which = if is_one { String::new() } else { format!(" of {}", service.service) };
        checks.push(Check {
            group: operation.to_owned(),
            name: format!("the highest rate{which} with {limits} is found"),
            outcome: outcome(service.verdict()),
            measured: format!("it {}", answer(capacity, service)),
        });
    }
    if let [first, second] = capacity.services.as_slice()
        && let Some(verdict) = capacity.comparison()
        && let Some(measured) = comparison(capacity)
    {
        checks.push(Check {
            group: operation.to_owned(),
            name: format!("{} holds no less than {}", second.service, first.service),
            outcome: outcome(verdict),
            measured,
        });
    }
    checks
}

fn outcome(verdict: Verdict) -> CheckOutcome {
    match verdict {
        Verdict::Held => CheckOutcome::Held,
        Verdict::Missed => CheckOutcome::Missed,
        Verdict::Untrusted => CheckOutcome::Undecided,
    }
}

/// What it comes to, a sentence a service, and whether two of them differ.
pub(super) fn answers(capacity: &CapacityReport) -> Vec<String> {
    let mut said = Vec::new();
    for service in &capacity.services {
        let answer = answer(capacity, service);
        // With one service, which it is need not be said.
        said.push(if capacity.services.len() == 1 {
            format!("It {answer}")
        } else {
            format!("{} {answer}", service.service)
        });
    }
    said.extend(comparison(capacity));
    said
}

/// What a service holds, without its name in front.
fn answer(capacity: &CapacityReport, service: &ServiceCapacity) -> String {
    let limits = limits(capacity);
    let held = service.held_rate.map_or_else(|| "nothing".to_owned(), a_second);
    match service.finding {
        CapacityFinding::Found => {
            format!("holds {}. {}", rate(service, &limits), confirmed(capacity, service))
        }
        CapacityFinding::Unconfirmed => format!(
            "seems to hold {}, but no run of {} s at the lower end of the interval held: it is not steady enough for an \
             answer, needs longer steps (--duration), or the generator kept up too seldom.",
            rate(service, &limits),
            capacity.confirmation_s
        ),
        CapacityFinding::GeneratorLimit => format!(
            "holds at least {held} with {limits}. Beyond that the generator did not keep up, so the service's own limit is \
             not known: give the generator more cores (--threads), a machine of its own, or more places (--at-once)."
        ),
        CapacityFinding::HighestAsked => {
            format!("holds at least {held} with {limits}: the most that was asked for (--to).")
        }
        CapacityFinding::Nowhere => format!(
            "does not hold {} with {limits}, the lowest rate that was tried: {}.",
            service.lowest_rate.map_or_else(|| "anything".to_owned(), a_second),
            breaks_first(service)
        ),
        CapacityFinding::Unfinished => {
            format!("has no answer, as the search did not come to its end; until then it held {held}.")
        }
    }
}

/// The answer with its interval: `168 a second with p99 < 500 ms (95 % interval 163 to 174); p99 breaks first`.
fn rate(service: &ServiceCapacity, limits: &str) -> String {
    let rate = service.rate.map_or_else(|| "nothing".to_owned(), a_second);
    let interval = match [service.lower, service.upper] {
        [Some(lower), Some(upper)] => {
            format!(" (95 % interval {} to {})", significant(lower), significant(upper))
        }
        _ => String::new(),
    };
    format!("{rate} with {limits}{interval}; {}", breaks_first(service))
}

fn confirmed(capacity: &CapacityReport, service: &ServiceCapacity) -> String {
    match service.confirmed_rate {
        Some(rate) => format!("A run of {} s with {} confirmed it.", capacity.confirmation_s, a_second(rate)),
        None => String::new(),
    }
}

fn breaks_first(service: &ServiceCapacity) -> String {
    match service.broke_first {
        Some(metric) => format!("{} breaks first", metric.label().0),
        None => "nothing broke".to_owned(),
    }
}

/// Whether the second of two services holds something else than the first.
fn comparison(capacity: &CapacityReport) -> Option<String> {
    let [first, second] = capacity.services.as_slice() else { return None };
    let Some(found) = capacity.change else {
        let why = "not both of them have an answer of their own";
        let first = &first.service;
        let second = &second.service;
        return Some(match capacity.comparison() {
            Some(Verdict::Missed) => {
                format!("{second} holds less than {first}; by how much is not known: {why}.")
            }
            Some(Verdict::Held) => {
                format!("{second} holds no less than {first}; whether it holds more is not known: {why}.")
            }
            Some(Verdict::Untrusted) | None => format!("They cannot be compared: {why}."),
        });
    };
    let interval = format!("95 % interval {} to {}", change(found.lower), change(found.upper));
    if !found.is_sure() {
        return Some(format!("No difference was found: {} ({interval}).", change(found.share)));
    }
    let more_or_less = if found.share < 0.0 { "less" } else { "more" };
    let share = 100.0 * found.share.abs();
    Some(format!(
        "They differ: {} holds {share:.1} % {more_or_less} than {} ({interval}).",
        second.service, first.service
    ))
}

/// All limits: `p99 < 500 ms and success > 99.9 %`.
pub(super) fn limits(capacity: &CapacityReport) -> String {
    let limits: Vec<String> =
        capacity.limits.iter().map(|limit| limit_in_words(limit.metric(), limit.limit())).collect();
    limits.join(" and ")
}

fn a_second(rate: f64) -> String {
    format!("{} a second", significant(rate))
}

/// A row a rate.
fn curve(service: &ServiceCapacity) -> Table {
    let mut table = Table::new(["rate", "steps", "throughput", "p50", "p99", "success", "verdict"]);
    for point in &service.curve {
        table.row([
            format!("{}/s", significant(point.rate)),
            point.steps.to_string(),
            point.throughput_rps.map_or_else(|| "-".to_owned(), |rate| format!("{}/s", significant(rate))),
            known(point, point.p50_ms),
            known(point, point.p99_ms),
            point.success_rate_pct.map_or_else(|| "-".to_owned(), percent),
            verdict(point.verdict).to_owned(),
        ]);
    }
    table
}

/// A percentile, which is not known where too many requests failed.
fn known(point: &CurvePoint, ms: Option<f64>) -> String {
    match (point.throughput_rps, ms) {
        (None, _) => "-".to_owned(),
        (Some(_), None) => "not known".to_owned(),
        (Some(_), ms) => latency(ms),
    }
}

fn verdict(verdict: CurveVerdict) -> &'static str {
    match verdict {
        CurveVerdict::Held => "held",
        CurveVerdict::Missed => "MISSED",
        CurveVerdict::Undecided => "undecided",
        CurveVerdict::Untrusted => "not to be trusted",
    }
}

/// Median and p99 by rate, with the limits on them.
fn latencies(capacity: &CapacityReport) -> Chart {
    let mut limits = Vec::new();
    for limit in &capacity.limits {
        if let Some(latency) = limit.latency() {
            let name = limit_in_words(limit.metric(), limit.limit());
            limits.push(ChartLimit { name, y: latency.as_secs_f64() });
        }
    }
    let y = Axis::logarithmic("response time", Quantity::Duration);
    let curves = [curves(capacity, "p50", p50_s), curves(capacity, "p99", p99_s)].concat();
    Chart { limits, spans: found(capacity), ..chart("Response time by rate", rates(), y, curves) }
}

/// Successes a second by rate: the same as the rate, until the service falls behind.
fn throughput(capacity: &CapacityReport) -> Chart {
    let y = Axis::linear("successes a second", Quantity::Rate);
    let curves = curves(capacity, "throughput", throughput_rps);
    Chart { spans: found(capacity), ..chart("Throughput by rate", rates(), y, curves) }
}

/// Share of requests that failed, by rate.
fn failures(capacity: &CapacityReport) -> Chart {
    let mut limits = Vec::new();
    for limit in &capacity.limits {
        if limit.metric() == Metric::SuccessRatePct {
            limits.push(ChartLimit { name: "allowed".to_owned(), y: limit.allowed() });
        }
    }
    let y = Axis::linear("share of requests", Quantity::Share);
    let curves = curves(capacity, "failures", failure_share);
    Chart { limits, spans: found(capacity), ..chart("Failures by rate", rates(), y, curves) }
}

/// Rates of a search are factors apart.
fn rates() -> Axis {
    Axis::logarithmic("requests a second that were due", Quantity::Rate)
}

/// The rate that was found for each service, with its interval.
fn found(capacity: &CapacityReport) -> Vec<ChartSpan> {
    let mut found = Vec::new();
    for service in &capacity.services {
        let Some(rate) = service.rate else { continue };
        let name = if service.finding == CapacityFinding::Found { "found" } else { "not confirmed" };
        let interval = match [service.lower, service.upper] {
            [Some(lower), Some(upper)] => Some([lower, upper]),
            _ => None,
        };
        found.push(ChartSpan { name: of_service(capacity, service, name), x: rate, interval });
    }
    found
}

/// A line for each service, of this figure at every rate that was tried.
fn curves(capacity: &CapacityReport, name: &str, figure: fn(&CurvePoint) -> Option<f64>) -> Vec<ChartSeries> {
    let mut curves = Vec::new();
    for service in &capacity.services {
        let mut points = Vec::new();
        for point in &service.curve {
            points.push(ChartPoint { x: point.rate, y: figure(point), interval: None });
        }
        curves.push(series(of_service(capacity, service, name), Drawn::Line, points));
    }
    curves
}

/// The name, with that of the service where there are two.
fn of_service(capacity: &CapacityReport, service: &ServiceCapacity, name: &str) -> String {
    if capacity.services.len() == 1 { name.to_owned() } else { format!("{name} of {}", service.service) }
}

fn p50_s(point: &CurvePoint) -> Option<f64> {
    point.p50_ms.map(|ms| ms / 1e3)
}

fn p99_s(point: &CurvePoint) -> Option<f64> {
    point.p99_ms.map(|ms| ms / 1e3)
}

fn throughput_rps(point: &CurvePoint) -> Option<f64> {
    point.throughput_rps
}

fn failure_share(point: &CurvePoint) -> Option<f64> {
    point.success_rate_pct.map(|percent| 1.0 - percent / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{CapacityChange, CapacityLimit};

    /// A service that was tried at two rates.
    fn service(name: &str, finding: CapacityFinding) -> ServiceCapacity {
        let point = CurvePoint {
            rate: 160.0,
            steps: 5,
            invalid_steps: 0,
            throughput_rps: Some(159.0),
            p50_ms: Some(21.0),
            p99_ms: Some(80.0),
            success_rate_pct: Some(100.0),
            verdict: CurveVerdict::Held,
        };
        let lost = CurvePoint {
            rate: 320.0,
            steps: 1,
            p99_ms: None,
            success_rate_pct: Some(75.0),
            verdict: CurveVerdict::Missed,
            ..point.clone()
        };
        ServiceCapacity {
            service: name.to_owned(),
            finding,
            rate: Some(168.2),
            lower: Some(163.0),
            upper: Some(174.0),
            confirmed_rate: Some(163.0),
            held_rate: Some(160.0),
            lowest_rate: Some(160.0),
            broke_first: Some(Metric::P99Ms),
            curve: vec![point, lost],
        }
    }

    fn report(services: Vec<ServiceCapacity>) -> CapacityReport {
        let mut limits = Vec::new();
        for limit in [(Metric::P99Ms, 100.0), (Metric::SuccessRatePct, 99.9)] {
            limits.push(CapacityLimit::new(limit).expect("can be looked for"));
        }
        CapacityReport { limits, step_s: 10.0, confirmation_s: 30.0, services, change: None }
    }

    #[test]
    fn an_answer_has_its_interval_and_what_breaks_first() {
        assert_eq!(
            answers(&report(vec![service("stub", CapacityFinding::Found)])),
            [
                "It holds 168 a second with p99 < 100 ms and success > 99.9 % (95 % interval 163 to 174); p99 breaks \
                 first. A run of 30 s with 163 a second confirmed it."
            ]
        );
    }

    #[test]
    fn each_other_end_of_a_search_says_what_it_means() {
        for (finding, says) in [
            (CapacityFinding::Unconfirmed, "no run of 30 s at the lower end"),
            (CapacityFinding::GeneratorLimit, "It holds at least 160 a second with p99 < 100 ms"),
            (CapacityFinding::GeneratorLimit, "the generator did not keep up"),
            (CapacityFinding::HighestAsked, "the most that was asked for (--to)"),
            (CapacityFinding::Nowhere, "It does not hold 160 a second"),
            (CapacityFinding::Unfinished, "until then it held 160 a second"),
        ] {
            let said = answers(&report(vec![service("stub", finding)]));
            assert!(said.len() == 1 && said[0].contains(says), "{said:?}");
        }
    }

    #[test]
    fn two_services_differ_or_they_do_not() {
        let services =
            vec![service("http://a", CapacityFinding::Found), service("http://b", CapacityFinding::Found)];
        let mut report = report(services);
        assert!(answers(&report)[2].contains("cannot be compared"));
        report.services[1].finding = CapacityFinding::Nowhere;
        assert!(
            answers(&report)[2].starts_with("http://b holds less than http://a; by how much is not known")
        );
        report.services[1].finding = CapacityFinding::HighestAsked;
        assert!(
            answers(&report)[2].starts_with("http://b holds no less than http://a; whether it holds more")
        );
        report.services[1].finding = CapacityFinding::Found;
        report.change = Some(CapacityChange { share: -0.171, lower: -0.21, upper: -0.13 });
        let said = answers(&report);
        assert!(said[0].starts_with("http://a holds 168 a second"), "{said:?}");
        assert_eq!(
            said[2],
            "They differ: http://b holds 17.1 % less than http://a (95 % interval -21.0 % to -13.0 %)."
        );
        report.change = Some(CapacityChange { share: 0.01, lower: -0.03, upper: 0.05 });
        assert_eq!(answers(&report)[2], "No difference was found: +1.0 % (95 % interval -3.0 % to +5.0 %).");
    }

    #[test]
    fn every_rate_is_a_row_and_a_point() {
        let capacity = report(vec![service("stub", CapacityFinding::Found)]);
        let parts = curve_tables(&capacity);
        let Some(Part::Table(table)) = parts.first() else { panic!("begins with a table") };
        assert_eq!(table.rows[0], ["160/s", "5", "159/s", "21 ms", "80 ms", "100 %", "held"]);
        assert_eq!(table.rows[1], ["320/s", "1", "159/s", "21 ms", "not known", "75 %", "MISSED"]);
        let chart = latencies(&capacity);
        assert_eq!(chart.limits, [ChartLimit { name: "p99 < 100 ms".to_owned(), y: 0.1 }]);
        let names: Vec<&str> = chart.series.iter().map(|series| series.name.as_str()).collect();
        assert_eq!(names, ["p50", "p99"]);
        assert_eq!(chart.series[1].points, [ChartPoint::new(160.0, 0.08), ChartPoint::missing(320.0)]);
        let failed = &failures(&capacity).series[0];
        assert_eq!(failed.points[1], ChartPoint::new(320.0, 0.25));
    }

    #[test]
    fn what_was_found_is_in_every_chart() {
        let capacity = report(vec![service("stub", CapacityFinding::Found)]);
        let parts = curve_charts(&capacity);
        assert_eq!(parts.len(), 3);
        for part in &parts {
            let Part::Chart(chart) = part else { panic!("they are charts: {part:?}") };
            let found = ChartSpan { name: "found".to_owned(), x: 168.2, interval: Some([163.0, 174.0]) };
            assert_eq!(chart.spans, [found]);
        }
        let two = [CapacityFinding::Found, CapacityFinding::Unconfirmed];
        let capacity = report(two.map(|finding| service("a", finding)).into());
        let names: Vec<String> = found(&capacity).into_iter().map(|span| span.name).collect();
        assert_eq!(names, ["found of a", "not confirmed of a"]);
    }

    #[test]
    fn what_had_to_be_found_is_a_test_of_a_ci() {
        let mut capacity = report(vec![service("stub", CapacityFinding::Nowhere)]);
        let checks = capacity_checks("capacity", &capacity);
        let [check] = checks.as_slice() else { panic!("there is one: {checks:?}") };
        assert_eq!(check.name, "the highest rate with p99 < 100 ms and success > 99.9 % is found");
        assert_eq!((check.group.as_str(), check.outcome), ("capacity", CheckOutcome::Missed));
        assert!(check.measured.starts_with("it does not hold 160 a second"), "{check:?}");
        capacity.services = vec![
            service("http://a", CapacityFinding::Found),
            service("http://b", CapacityFinding::GeneratorLimit),
        ];
        capacity.change = Some(CapacityChange { share: -0.17, lower: -0.21, upper: -0.13 });
        let checks = capacity_checks("capacity", &capacity);
        let outcomes: Vec<CheckOutcome> = checks.iter().map(|check| check.outcome).collect();
        assert_eq!(outcomes, [CheckOutcome::Held, CheckOutcome::Undecided, CheckOutcome::Missed]);
        assert_eq!(checks[2].name, "http://b holds no less than http://a");
    }
}
