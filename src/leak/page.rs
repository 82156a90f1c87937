//! The page of a search for a leak: a pure function of its record.

use super::document::leak_document;
use super::judge::{Fitted, LeakJudgement};
use super::record::{LeakRecord, MemorySample};
use crate::document::{Axis, Chart, ChartPoint, ChartSeries, Document, Drawn, Link, Part, Quantity};
use crate::report::{add_chart, chart, environment_table, series};
use crate::stats::Point;

/// Most stretches of readings: of each, the lowest and the highest are drawn, so that nothing that stands out is lost.
const MOST_STRETCHES: usize = 1000;
const MS_PER_S: f64 = 1e3;

/// The page: what is read on a terminal, memory against uploads with the slope, and where and how it was measured. `links`
/// lead to files beside the page.
pub(crate) fn leak_page(record: &LeakRecord, judgement: &LeakJudgement, links: Vec<Link>) -> Document {
    let mut page = leak_document(record, judgement);
    // On a terminal this stands in a line of its own.
    if let Some(why) = &record.stopped {
        let said = page.conclusion.unwrap_or_default();
        page.conclusion = Some(format!("PARTIAL ({why}): {said}"));
    }
    page.section("Memory", memory(record, judgement));
    page.section("Where it was measured", vec![Part::Table(environment_table(&record.environment))]);
    if let Some(command) = &record.command {
        let said = "This repeats it, for a shell. Secrets are left out, and have to be set:";
        page.section("Again", vec![Part::Line(said.to_owned()), Part::Line(command.clone())]);
    }
    page.section("Files", links.into_iter().map(Part::Link).collect());
    page
}

/// Memory against uploads, and over time.
fn memory(record: &LeakRecord, judgement: &LeakJudgement) -> Vec<Part> {
    let mut parts = Vec::new();
    add_chart(&mut parts, against_uploads(record, judgement));
    // Steps over time, as of a cache that is filled or a heap that is collected, are not seen against uploads.
    let mut readings = Vec::new();
    for sample in thinned(&record.samples) {
        readings.push(ChartPoint::new(sample.at_ms as f64 / MS_PER_S, sample.bytes as f64));
    }
    let x = Axis::linear("since the first reading", Quantity::Elapsed);
    let readings = vec![series(record.memory.to_string(), Drawn::Line, readings)];
    add_chart(&mut parts, chart("Memory over time", x, memory_axis(), readings));
    parts
}

fn against_uploads(record: &LeakRecord, judgement: &LeakJudgement) -> Chart {
    let mut readings = Vec::new();
    for sample in thinned(&record.samples) {
        readings.push(ChartPoint::new(sample.operations as f64, sample.bytes as f64));
    }
    let mut drawn = vec![series(record.memory.to_string(), Drawn::Line, readings)];
    if let Some(fitted) = judgement.fitted(&record.samples) {
        drawn.extend(slopes(&fitted));
    }
    let x = Axis::linear("uploads", Quantity::Count);
    chart("Memory against uploads", x, memory_axis(), drawn)
}

fn memory_axis() -> Axis {
    Axis::linear("memory", Quantity::Bytes)
}

/// What was judged, the slope, and both ends of its interval.
fn slopes(fitted: &Fitted) -> Vec<ChartSeries> {
    let mut judged = Vec::new();
    for lowest in &fitted.lowest {
        judged.push(ChartPoint::new(lowest.x, lowest.y));
    }
    let mut drawn = vec![series("lowest of each stretch", Drawn::Marks, judged)];
    let slope = fitted.slope;
    // Lines through one point: how far they part is what is not known.
    for (name, steepness) in
        [("slope", slope.estimate), ("lower end of its interval", slope.lower), ("upper end", slope.upper)]
    {
        drawn.push(series(name, Drawn::Line, line(fitted, steepness)));
    }
    drawn
}

/// A line of so many bytes an upload, through the middle of what was judged.
fn line(fitted: &Fitted, steepness: f64) -> Vec<ChartPoint> {
    let Some(first) = fitted.lowest.first() else { return Vec::new() };
    let last = fitted.lowest.last().unwrap_or(first);
    let middle = f64::midpoint(first.x, last.x);
    let height = fitted.offset + fitted.slope.estimate * middle;
    let mut points = Vec::new();
    for Point { x, .. } in [first, last] {
        points.push(ChartPoint::new(*x, height + steepness * (x - middle)));
    }
    points
}

/// All readings, or of many the lowest and the highest of each stretch, in the order of time.
fn thinned(samples: &[MemorySample]) -> Vec<MemorySample> {
    // Two of each stretch of two are all of them.
    let width = samples.len().div_ceil(MOST_STRETCHES);
    if width <= 2 {
        return samples.to_vec();
    }
    let mut kept = Vec::new();
    for stretch in samples.chunks(width) {
        let lowest = stretch.iter().min_by_key(|sample| sample.bytes);
        let highest = stretch.iter().max_by_key(|sample| sample.bytes);
        let mut both: Vec<MemorySample> = lowest.into_iter().chain(highest).copied().collect();
        both.sort_by_key(|sample| sample.at_ms);
        both.dedup();
        kept.extend(both);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{record, samples};
    use super::super::judge::judge;
    use super::*;
    use crate::document::{CheckOutcome, Format};
    use crate::verdict::Verdict;

    fn page(samples: Vec<MemorySample>, change: impl FnOnce(&mut LeakRecord)) -> Document {
        let mut record = record(samples);
        change(&mut record);
        leak_page(&record, &judge(&record), Vec::new())
    }

    fn first_chart(page: &Document) -> &Chart {
        for part in &page.parts {
            if let Part::Section(section) = part
                && let Some(Part::Chart(chart)) = section.parts.first()
            {
                return chart;
            }
        }
        panic!("has no chart");
    }

    #[test]
    fn a_leak_says_so_at_the_top_and_its_slope_is_drawn() {
        // 1 KB an operation, from 1 MB on.
        let page = page(samples((0..32).map(|n| (1 << 20) + 102_400 * n)), |_| ());
        assert_eq!(page.verdict, Some(Verdict::Missed));
        assert!(
            page.conclusion.as_deref().is_some_and(|says| says.starts_with("LEAK: every upload leaves 1 KB"))
        );
        assert_eq!((page.checks.len(), page.checks[0].outcome), (1, CheckOutcome::Missed));
        assert_eq!(page.checks[0].name, "an upload leaves less than 100 B behind");
        let chart = first_chart(&page);
        let names: Vec<&str> = chart.series.iter().map(|series| series.name.as_str()).collect();
        let expected =
            ["live bytes", "lowest of each stretch", "slope", "lower end of its interval", "upper end"];
        assert_eq!(names, expected);
        let slope = &chart.series[2].points;
        let first = slope[0].y.expect("is known");
        let last = slope[1].y.expect("is known");
        // From one end to the other, a kilobyte for each upload.
        assert!(((last - first) / (slope[1].x - slope[0].x) - 1024.0).abs() < 1e-6, "{slope:?}");
        assert_eq!(chart.series[0].points.len(), 32);
    }

    #[test]
    fn no_leak_undecided_and_a_part_say_so_at_the_top() {
        let flat = samples((0..32).map(|_| 5000));
        let sound = page(flat.clone(), |_| ());
        assert_eq!((sound.verdict, sound.checks[0].outcome), (Some(Verdict::Held), CheckOutcome::Held));
        let stopped = page(flat, |record| record.stopped = Some("interrupted".to_owned()));
        assert_eq!(stopped.verdict, Some(Verdict::Untrusted));
        let says = stopped.conclusion.as_deref().expect("has one");
        assert!(says.starts_with("PARTIAL (interrupted): No leak: an upload leaves"), "{says}");
        assert_eq!(stopped.checks[1].outcome, CheckOutcome::Undecided);
        let few = page(samples(0..10), |_| ());
        assert_eq!((few.verdict, few.checks[0].outcome), (Some(Verdict::Untrusted), CheckOutcome::Undecided));
        assert!(few.conclusion.as_deref().is_some_and(|says| says.starts_with("UNDECIDED: ")));
        assert_eq!(first_chart(&few).series.len(), 1, "there is no slope to draw");
    }

    #[test]
    fn what_is_read_on_a_terminal_stays_as_it_was() {
        let mut record = record(samples((0..32).map(|_| 5000)));
        record.stopped = Some("interrupted".to_owned());
        record.command = Some("ingester-perf leak".to_owned());
        let judgement = judge(&record);
        let printed = leak_document(&record, &judgement).render(Format::Text);
        assert!(
            printed.ends_with("\nNo leak: an upload leaves at most 0 B behind; the threshold is 100 B\n")
        );
        assert!(!printed.contains("PARTIAL") && !printed.contains("ingester-perf leak"), "{printed}");
    }

    #[test]
    fn of_many_readings_the_lowest_and_the_highest_are_kept() {
        // 3,500 readings, one of which is far above and one far below the others.
        let mut many = samples((0..3500).map(|n| 1000 + n % 3));
        many[1234].bytes = 9000;
        many[2345].bytes = 1;
        let kept = thinned(&many);
        assert!(kept.len() <= 2 * MOST_STRETCHES && kept.len() > 1000, "{}", kept.len());
        assert!(kept.contains(&many[1234]) && kept.contains(&many[2345]));
        assert!(kept.windows(2).all(|pair| pair[0].at_ms < pair[1].at_ms));
    }
}
