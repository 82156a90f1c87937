//! Series of each case, along the commits: what the sessions of the gate multiply up to, and what runs measured.

use std::collections::BTreeMap;

use super::chain::{CaseSteps, Product, product};
use super::change_point::{ChangePoint, change_points};
use super::entry::{Change, HistoryEntry, RunCase, RunEntry, decisive};
use super::line::CommitLine;
use crate::baseline::Origin;
use crate::lockstep::Measure;

/// How often a whole output marks a change of level though there is none.
pub(super) const FALSE_ALARMS: f64 = 0.05;
/// Seed of the random orders that changes are held against.
pub(super) const SEED: u64 = 1;
/// The last values of a series that are looked at for changes. What was years ago is not to cost minutes.
const LOOKED_AT: usize = 500;

/// Everything that is shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trends {
    /// A series for each case that sessions of the gate compared.
    pub gates: Vec<GateTrend>,
    /// A series for each case of the runs on one machine.
    pub runs: RunTrends,
}

/// What the sessions of a case multiply up to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GateTrend {
    /// The case's name.
    pub case: String,
    /// What its values are.
    pub measure: Measure,
    /// The levels, commit by commit: the value over that of the first commit of an unbroken stretch.
    pub levels: Vec<TrendPoint>,
    /// The last value that was measured.
    pub last_value: Option<f64>,
    /// The last step.
    pub last_change: Option<Change>,
    /// The whole change since the release; none where there is no release, or the chain to it is broken.
    pub since: Option<Product>,
    /// Places that steps lead to, in their order.
    pub step_places: Vec<usize>,
    /// Changes in the size of steps; the first of the new size is `step_places[at]`. Medians are of logarithms of ratios.
    pub changes: Vec<ChangePoint>,
    steps: Vec<f64>,
}

/// A point of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct TrendPoint {
    /// The place of its commit; none for a gap.
    pub place: Option<usize>,
    /// Its level; none for a gap.
    pub level: Option<f64>,
}

/// Runs on one machine.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct RunTrends {
    /// The machine: that of the last run.
    pub machine: Option<Origin>,
    /// The cases.
    pub cases: Vec<RunTrend>,
    /// Runs on other machines, or by other builds, which are not shown.
    pub elsewhere: usize,
    /// Runs of commits that do not lie on the line.
    pub aside: usize,
}

/// What runs measured of a case.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RunTrend {
    /// Its name.
    pub case: String,
    /// The figures with the places of their commits, in their order.
    pub points: Vec<RunPoint>,
    /// By what share the last 5th percentile differs from the release's; none where there was no run of that.
    pub since: Option<f64>,
    /// Changes in the level of the 5th percentile; the first of the new level is `points[at]`. Medians are in ms.
    pub changes: Vec<ChangePoint>,
}

/// The figures of a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RunPoint {
    /// The place of its commit.
    pub place: usize,
    /// Its figures.
    pub figures: RunCase,
}

/// The release that changes are told from.
pub(crate) struct ShownRelease {
    /// Its commit's hash.
    pub commit: String,
    /// The line from there to the newest commit.
    pub line: CommitLine,
    /// The steps on that line.
    pub cases: Vec<CaseSteps>,
}

impl Trends {
    /// The series of these entries, and their changes.
    pub fn new(
        entries: &[HistoryEntry],
        cases: &[CaseSteps],
        line: &CommitLine,
        release: Option<&ShownRelease>,
    ) -> Self {
        let mut gates = Vec::new();
        for case in cases.iter().filter(|case| !case.steps.is_empty()) {
            gates.push(GateTrend::new(case, release));
        }
        let runs = RunTrends::new(entries, line, release);
        let mut trends = Self { gates, runs };
        trends.find_changes();
        trends
    }

    fn find_changes(&mut self) {
        // All series share the false alarms (Bonferroni): with a dozen of them, 5 % each would mark one in two outputs.
        let series = self.gates.len() + self.runs.cases.len();
        let alpha = FALSE_ALARMS / series.max(1) as f64;
        for trend in &mut self.gates {
            trend.changes = last_changes(&trend.steps, alpha);
        }
        for trend in &mut self.runs.cases {
            let values: Vec<f64> = trend.points.iter().map(|point| point.figures.low_ms).collect();
            trend.changes = last_changes(&values, alpha);
        }
    }
}

/// Changes in the last values of a series, by their places in the whole of it.
fn last_changes(values: &[f64], alpha: f64) -> Vec<ChangePoint> {
    let skipped = values.len().saturating_sub(LOOKED_AT);
    let mut changes = change_points(&values[skipped..], alpha, SEED);
    for change in &mut changes {
        change.at += skipped;
    }
    changes
}

impl GateTrend {
    fn new(case: &CaseSteps, release: Option<&ShownRelease>) -> Self {
        // Of several steps to one commit the shortest: a trend is to show each commit's own part.
        let mut leading: BTreeMap<usize, usize> = BTreeMap::new();
        for (number, step) in case.steps.iter().enumerate() {
            let known = leading.get(&step.to).map(|known| case.steps[*known].from);
            if known.is_none_or(|from| from < step.from) {
                leading.insert(step.to, number);
            }
        }
        let mut trend = Self {
            case: case.case.clone(),
            measure: case.measure.clone(),
            levels: Vec::new(),
            last_value: None,
            last_change: None,
            since: since(&case.case, release),
            step_places: Vec::new(),
            changes: Vec::new(),
            steps: Vec::new(),
        };
        let mut levels: BTreeMap<usize, f64> = BTreeMap::new();
        for number in leading.values() {
            let step = &case.steps[*number];
            let known = levels.get(&step.from).copied();
            let base = known.unwrap_or(1.0);
            if known.is_none() {
                trend.begin_stretch(step.from);
                levels.insert(step.from, base);
            }
            let level = base * (1.0 + step.change.share);
            levels.insert(step.to, level);
            trend.levels.push(TrendPoint { place: Some(step.to), level: Some(level) });
            trend.step_places.push(step.to);
            trend.steps.push(step.change.share.ln_1p());
            trend.last_change = Some(step.change);
            // Of two builds that are the same nothing is measured: the value before still holds.
            trend.last_value = step.value.or(trend.last_value);
        }
        trend
    }

    /// Begins a stretch of commits that no session connects with those before.
    fn begin_stretch(&mut self, place: usize) {
        if !self.levels.is_empty() {
            self.levels.push(TrendPoint { place: None, level: None });
        }
        self.levels.push(TrendPoint { place: Some(place), level: Some(1.0) });
    }
}

/// The whole change of a case since a release.
fn since(case: &str, release: Option<&ShownRelease>) -> Option<Product> {
    let release = release?;
    let steps = release.cases.iter().find(|steps| steps.case == case)?;
    let path = steps.fewest(0, release.line.end())?;
    Some(product(path.iter().map(|step| &step.change)))
}

/// A run of a commit that lies on the line.
struct RunOnLine<'a> {
    place: usize,
    entry: &'a HistoryEntry,
    run: &'a RunEntry,
}

impl RunTrends {
    fn new(entries: &[HistoryEntry], line: &CommitLine, release: Option<&ShownRelease>) -> Self {
        let mut trends = Self::default();
        let mut on_line: Vec<RunOnLine<'_>> = Vec::new();
        for entry in entries {
            let Some(run) = entry.run() else { continue };
            match line.place(&entry.commit) {
                Some(place) => on_line.push(RunOnLine { place, entry, run }),
                None => trends.aside += 1,
            }
        }
        let Some(last) = on_line.last() else { return trends };
        let machine = decisive(last.entry);
        trends.machine.clone_from(&last.entry.machine);

        // By place, so that the later of two runs of one commit counts.
        let mut points: BTreeMap<&str, BTreeMap<usize, &RunCase>> = BTreeMap::new();
        let mut of_release: BTreeMap<&str, f64> = BTreeMap::new();
        for RunOnLine { place, entry, run } in &on_line {
            if decisive(entry) != machine {
                trends.elsewhere += 1;
                continue;
            }
            let is_of_release = release.is_some_and(|release| release.commit == entry.commit);
            for case in &run.cases {
                points.entry(&case.case).or_default().insert(*place, case);
                if is_of_release {
                    of_release.insert(&case.case, case.low_ms);
                }
            }
        }
        for (case, figures) in points {
            let last = figures.values().next_back().map(|figures| figures.low_ms);
            let first = of_release.get(case);
            let since = match (first, last) {
                (Some(first), Some(last)) => Some(last / first - 1.0),
                _ => None,
            };
            let mut points = Vec::new();
            for (place, figures) in figures {
                points.push(RunPoint { place, figures: figures.clone() });
            }
            trends.cases.push(RunTrend { case: case.to_owned(), points, since, changes: Vec::new() });
        }
        trends
    }
}

#[cfg(test)]
mod tests {
    use super::super::chain::case_steps;
    use super::super::entry::tests::{changed, gate, hash, run};
    use super::super::line::tests::line;
    use super::*;

    fn trends(entries: &[HistoryEntry], end: usize) -> Trends {
        let line = line(end);
        Trends::new(entries, &case_steps(entries, &line), &line, None)
    }

    fn levels(trend: &GateTrend) -> Vec<Option<f64>> {
        // To a millionth, as products differ in their last digits.
        let rounded = trend.levels.iter().map(|point| point.level.map(|level| (level * 1e6).round() / 1e6));
        rounded.collect()
    }

    #[test]
    fn levels_multiply_and_begin_anew_behind_a_gap() {
        let entries = [
            gate(0, 1, vec![changed("a", 0.01)]),
            gate(1, 2, vec![changed("a", 0.02)]),
            // Shows nothing that the two steps do not show better.
            gate(0, 2, vec![changed("a", 0.05)]),
            gate(4, 5, vec![changed("a", -0.1)]),
        ];
        let trend = trends(&entries, 5).gates.remove(0);
        let expected = [Some(1.0), Some(1.01), Some(1.0302), None, Some(1.0), Some(0.9)];
        assert_eq!(levels(&trend), expected);
        assert_eq!(trend.step_places, [1, 2, 5]);
        assert!(trend.last_change.is_some_and(|change| change.share == -0.1));
        assert_eq!(trend.last_value, Some(1e6));
    }

    #[test]
    fn changes_since_a_release_are_those_of_its_own_line() {
        let entries = [gate(0, 1, vec![changed("a", 0.5)]), gate(1, 2, vec![changed("a", 0.02)])];
        let whole = line(2);
        let since = CommitLine::new(&hash(1), &[hash(2)]);
        let cases = case_steps(&entries, &since);
        let release = ShownRelease { commit: hash(1), line: since, cases };
        let trends = Trends::new(&entries, &case_steps(&entries, &whole), &whole, Some(&release));
        let product = trends.gates[0].since.expect("leads on");
        assert!((product.change.share - 0.02).abs() < 1e-12 && product.steps == 1);
    }

    #[test]
    fn runs_are_those_of_one_machine_in_the_order_of_commits() {
        let origin = Origin {
            cpu: "Z80".to_owned(),
            cores: 1,
            os: "CP/M".to_owned(),
            rustc: "rustc".to_owned(),
            profile: "release".to_owned(),
            version: "0".to_owned(),
            source: "00".to_owned(),
            placement: "none".to_owned(),
            ingester: "stub".to_owned(),
        };
        let elsewhere = HistoryEntry { machine: Some(origin), ..run(1, "a", 9.0) };
        // Commit 2 was measured last but one, and twice.
        let entries = [
            elsewhere,
            run(1, "a", 1.0),
            run(3, "a", 1.2),
            run(9, "a", 5.0),
            run(2, "a", 7.0),
            run(2, "a", 1.1),
        ];
        let whole = line(3);
        let release = ShownRelease { commit: hash(1), line: line(3), cases: Vec::new() };
        let runs = Trends::new(&entries, &[], &whole, Some(&release)).runs;
        assert_eq!((runs.elsewhere, runs.aside), (1, 1));
        let medians: Vec<f64> = runs.cases[0].points.iter().map(|point| point.figures.p50_ms).collect();
        assert_eq!(medians, [1.0, 1.1, 1.2]);
        // From 0.8 to 0.96.
        assert!(runs.cases[0].since.is_some_and(|since| (since - 0.2).abs() < 1e-12));
    }

    #[test]
    fn a_step_in_runs_is_found_and_series_share_false_alarms() {
        let mut entries = Vec::new();
        for commit in 0..20 {
            let ms = if commit < 10 { 1.0 } else { 1.2 };
            // All different, and in no order within a level.
            entries.push(run(commit, "a", ms + 0.001 * (7 * commit % 10) as f64));
        }
        let runs = trends(&entries, 19).runs;
        assert_eq!(runs.cases[0].changes.len(), 1);
        assert_eq!(runs.cases[0].changes[0].at, 10);
        // Two of 184,756 ways to split twenty are as clear: rare enough for a dozen series, and p of one in 2,000 is not for
        // a thousand.
        for case in 0..1000 {
            entries.push(run(0, &format!("b{case}"), 1.0));
        }
        assert_eq!(trends(&entries, 19).runs.cases[0].changes, []);
    }
}
