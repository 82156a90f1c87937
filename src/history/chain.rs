//! The sessions of a case along a line of commits, and how their changes multiply.
//!
//! Each session compared two commits, so sessions chain: the change from a release to the newest commit is the product of the
//! changes in between, whichever path through them is taken. The path with the fewest sessions is: each one adds its own
//! uncertainty, and a session that compares both ends directly has the least.

use std::collections::BTreeSet;

use super::entry::{AcceptedStep, Change, GateCase, GateEntry, HistoryEntry};
use super::line::CommitLine;
use crate::lockstep::{Finding, Measure};

/// What a session found of a case, between two places of a line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// The place that it leads on from.
    pub from: usize,
    /// The place that it leads to, behind the other.
    pub to: usize,
    /// By how much the case changed.
    pub change: Change,
    /// The value of the later commit; none where both builds were the same.
    pub value: Option<f64>,
    /// What was accepted of it.
    pub accepted: Option<AcceptedStep>,
}

/// All steps of one case.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct CaseSteps {
    /// Its name in the history.
    pub case: String,
    /// What its values are.
    pub measure: Measure,
    /// The steps, in the order in which they were added. No two have the same ends.
    pub steps: Vec<Step>,
    /// Places at which it was new.
    pub new_at: Vec<usize>,
    /// Places at which it was gone.
    pub gone_at: Vec<usize>,
    /// Places that only sessions lead to whose figures of this case are not to be trusted, or that have none.
    pub doubtful_at: BTreeSet<usize>,
}

/// A change over several steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Product {
    /// The whole change.
    pub change: Change,
    /// How many steps it is of.
    pub steps: usize,
}

/// The ends of a session on a line.
struct Ends {
    from: usize,
    to: usize,
}

/// The steps of every case that sessions on this line have measured.
pub(crate) fn case_steps(entries: &[HistoryEntry], line: &CommitLine) -> Vec<CaseSteps> {
    let mut cases = known_cases(entries, Some(line));
    if cases.is_empty() {
        // Along a line of builds that are all the same, nothing was measured: its cases are those of elsewhere.
        cases = known_cases(entries, None);
    }
    for entry in entries {
        let Some(gate) = entry.gate() else { continue };
        let Some(ends) = ends_on(line, &gate.base, &entry.commit) else { continue };
        for case in &mut cases {
            case.add(gate, &ends);
        }
    }
    cases
}

/// The cases that sessions have measured, on the line if there is one, in the order in which they came; without steps yet.
fn known_cases(entries: &[HistoryEntry], line: Option<&CommitLine>) -> Vec<CaseSteps> {
    let mut cases: Vec<CaseSteps> = Vec::new();
    for entry in entries {
        let Some(gate) = entry.gate() else { continue };
        let is_aside = line.is_some_and(|line| ends_on(line, &gate.base, &entry.commit).is_none());
        if is_aside {
            continue;
        }
        for case in &gate.cases {
            let name = gate.name_of(&case.case);
            if cases.iter().all(|known| known.case != name) {
                cases.push(CaseSteps { case: name, measure: gate.measure.clone(), ..CaseSteps::default() });
            }
        }
    }
    cases
}

/// Where a session stands on the line; nothing where an end of it lies aside, or it compares a commit with a later one.
fn ends_on(line: &CommitLine, base: &str, commit: &str) -> Option<Ends> {
    let from = line.place(base)?;
    let to = line.place(commit)?;
    if from < to { Some(Ends { from, to }) } else { None }
}

impl CaseSteps {
    /// Adds what a session says of this case.
    fn add(&mut self, gate: &GateEntry, ends: &Ends) {
        if gate.new_cases.iter().any(|case| gate.name_of(case) == self.case) {
            self.new_at.push(ends.to);
        }
        if gate.gone_cases.iter().any(|case| gate.name_of(case) == self.case) {
            self.gone_at.push(ends.to);
        }
        let measured = gate.cases.iter().find(|case| gate.name_of(&case.case) == self.case);
        // Of two builds that are the same, no case can differ, whatever is compared.
        if measured.is_none() && !gate.identical {
            return;
        }
        // The later of two sessions that compared the same commits counts, also where it could not tell.
        self.steps.retain(|step| step.from != ends.from || step.to != ends.to);
        self.doubtful_at.remove(&ends.to);
        match measured.map_or(Some(Change::NONE), usable) {
            Some(change) => self.steps.push(Step {
                from: ends.from,
                to: ends.to,
                change,
                value: measured.and_then(|case| case.value),
                accepted: measured.and_then(|case| case.accepted.clone()),
            }),
            None if self.steps.iter().all(|step| step.to != ends.to) => {
                self.doubtful_at.insert(ends.to);
            }
            None => {}
        }
    }

    /// The path with the fewest steps from one place to another; nothing where none leads there.
    pub fn fewest(&self, from: usize, to: usize) -> Option<Vec<&Step>> {
        let reached = self.reached(from, to);
        let mut path = Vec::new();
        let mut place = to;
        while place != from {
            let by = reached[place]?.by;
            let step = &self.steps[by];
            path.push(step);
            place = step.from;
        }
        path.reverse();
        Some(path)
    }

    /// The last place that a path from this one leads to, up to `end`.
    pub fn farthest(&self, from: usize, end: usize) -> usize {
        let reached = self.reached(from, end);
        reached.iter().rposition(Option::is_some).unwrap_or(from)
    }

    /// How each place can be reached from this one with the fewest steps.
    fn reached(&self, from: usize, end: usize) -> Vec<Option<Reached>> {
        let mut reached: Vec<Option<Reached>> = vec![None; end.max(from) + 1];
        let mut order: Vec<usize> = (0..self.steps.len()).collect();
        // Steps lead forwards only, so a place is reached in the best way before any step leads on from it.
        order.sort_by_key(|number| self.steps[*number].from);
        for number in order {
            let step = &self.steps[number];
            if step.to > end || step.from < from {
                continue;
            }
            let before = if step.from == from { Some(0) } else { reached[step.from].map(|by| by.steps) };
            let Some(before) = before else { continue };
            let better = reached[step.to].is_none_or(|known| before + 1 < known.steps);
            if better {
                reached[step.to] = Some(Reached { steps: before + 1, by: number });
            }
        }
        reached
    }
}

/// The way to a place.
#[derive(Debug, Clone, Copy)]
struct Reached {
    /// Number of steps.
    steps: usize,
    /// The last of them, by its number in the list.
    by: usize,
}

/// The change of a case, where it can be multiplied. An undecided case has figures like any other: its interval is wide, and
/// so is that of the product.
fn usable(case: &GateCase) -> Option<Change> {
    let is_known = !matches!(case.finding, Finding::Untrusted | Finding::TooSlow | Finding::Missing);
    case.change.filter(|_| is_known)
}

/// The product of these changes.
///
/// Logarithms of ratios add, and the distances of the interval's ends from the estimate add as the root of the sum of their
/// squares, each side for itself: the sessions do not depend on each other. That is the "method of variance estimates
/// recovery" (Zou and Donner, Construction of confidence limits about effect measures, Statistics in Medicine 27, 2008), and
/// with equal sides the usual combination of independent uncertainties (JCGM 100:2008, section 5.1.2).
pub(crate) fn product<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Product {
    let mut total = 0.0;
    let mut squares_below = Some(0.0);
    let mut squares_above = Some(0.0);
    let mut steps = 0;
    for change in changes {
        let log = change.share.ln_1p();
        total += log;
        squares_below = added(squares_below, log, change.lower);
        squares_above = added(squares_above, log, change.upper);
        steps += 1;
    }
    Product {
        change: Change {
            share: f64::exp_m1(total),
            lower: squares_below.map(|squares| (total - squares.sqrt()).exp_m1()),
            upper: squares_above.map(|squares| (total + squares.sqrt()).exp_m1()),
        },
        steps,
    }
}

/// The sum with one more square; nothing once an end is missing.
fn added(squares: Option<f64>, log: f64, end: Option<f64>) -> Option<f64> {
    Some(squares? + (end?.ln_1p() - log).powi(2))
}

#[cfg(test)]
mod tests {
    use super::super::entry::HistoryKind;
    use super::super::entry::tests::{changed, gate};
    use super::super::line::tests::line;
    use super::*;

    fn steps(entries: &[HistoryEntry], end: usize) -> CaseSteps {
        case_steps(entries, &line(end)).into_iter().next().expect("has a case")
    }

    /// Where the steps of a path lead to.
    fn places(path: Option<Vec<&Step>>) -> Option<Vec<usize>> {
        path.map(|path| path.iter().map(|step| step.to).collect())
    }

    /// Changes an entry of a session.
    fn with(mut entry: HistoryEntry, change: impl FnOnce(&mut GateEntry)) -> HistoryEntry {
        if let HistoryKind::Gate(gate) = &mut entry.measured {
            change(gate);
        }
        entry
    }

    fn change(share: f64, lower: f64, upper: f64) -> Change {
        Change { share, lower: Some(lower), upper: Some(upper) }
    }

    #[test]
    fn a_product_by_hand() {
        // 1.02 * 1.05 = 1.071. The lower ends lie 3 and 4 hundredths below in logarithms, so 5 for both; the upper ends 0.
        let first = change(0.02, 1.02 * (-0.03_f64).exp() - 1.0, 0.02);
        let second = change(0.05, 1.05 * (-0.04_f64).exp() - 1.0, 0.05);
        let both = product([&first, &second]);
        assert_eq!(both.steps, 2);
        assert!((both.change.share - 0.071).abs() < 1e-12, "{both:?}");
        let lower = both.change.lower.expect("has one");
        assert!((lower - (1.071 * (-0.05_f64).exp() - 1.0)).abs() < 1e-12, "{both:?}");
        assert!(both.change.upper.is_some_and(|upper| (upper - 0.071).abs() < 1e-9), "{both:?}");

        let open = Change { upper: None, ..second };
        let both = product([&first, &open]).change;
        assert!(both.lower.is_some() && both.upper.is_none());
        assert_eq!(product([]).change, Change::NONE);
    }

    #[test]
    fn a_path_has_as_few_steps_as_possible() {
        let mut entries = Vec::new();
        for head in 1..=4 {
            entries.push(gate(head - 1, head, vec![changed("a", 0.01)]));
        }
        assert_eq!(places(steps(&entries, 4).fewest(0, 4)), Some(vec![1, 2, 3, 4]));
        entries.push(gate(1, 3, vec![changed("a", 0.02)]));
        assert_eq!(places(steps(&entries, 4).fewest(0, 4)), Some(vec![1, 3, 4]));
        entries.push(gate(0, 4, vec![changed("a", 0.04)]));
        assert_eq!(places(steps(&entries, 4).fewest(0, 4)), Some(vec![4]));
        assert_eq!(places(steps(&entries, 4).fewest(2, 4)), Some(vec![3, 4]));
        assert_eq!(places(steps(&entries, 4).fewest(2, 2)), Some(vec![]));
    }

    #[test]
    fn a_gap_breaks_the_path_where_it_is() {
        let entries = [gate(0, 1, vec![changed("a", 0.01)]), gate(2, 3, vec![changed("a", 0.01)])];
        let case = steps(&entries, 3);
        assert_eq!((case.fewest(0, 3), case.farthest(0, 3)), (None, 1));
        // A session that ends beside the line, or leads backwards, does not close it.
        let aside =
            [&entries[..], &[gate(1, 9, vec![changed("a", 0.0)]), gate(3, 1, vec![changed("a", 0.0)])]];
        assert_eq!(steps(&aside.concat(), 3).fewest(0, 3), None);
    }

    #[test]
    fn the_later_of_two_sessions_counts_even_if_it_could_not_tell() {
        let untrusted = GateCase { finding: Finding::Untrusted, ..changed("a", 0.05) };
        let first = gate(0, 1, vec![changed("a", 0.01)]);
        let again = gate(0, 1, vec![changed("a", 0.02)]);
        let case = steps(&[first.clone(), again], 1);
        assert_eq!(case.steps.len(), 1);
        assert_eq!(case.steps[0].change.share, 0.02);
        let case = steps(&[first.clone(), gate(0, 1, vec![untrusted])], 1);
        assert_eq!((case.steps.len(), case.doubtful_at.contains(&1)), (0, true));
        // What is undecided has figures.
        let undecided = GateCase { finding: Finding::Undecided, ..changed("a", 0.02) };
        assert_eq!(steps(&[gate(0, 1, vec![undecided])], 1).steps.len(), 1);
    }

    #[test]
    fn identical_builds_lead_on_in_every_case() {
        let same = with(gate(1, 2, Vec::new()), |gate| gate.identical = true);
        let case = steps(&[gate(0, 1, vec![changed("a", 0.01)]), same], 2);
        let path = case.fewest(0, 2).expect("leads on");
        let whole = product(path.iter().map(|step| &step.change));
        assert!((whole.change.share - 0.01).abs() < 1e-12);
        assert_eq!(case.steps[1].value, None);
    }

    #[test]
    fn cases_that_come_and_go_have_their_places() {
        let new = with(gate(1, 2, vec![changed("a", 0.0)]), |gate| gate.new_cases.push("b".to_owned()));
        let gone = with(gate(2, 3, vec![changed("b", 0.0)]), |gate| gate.gone_cases.push("a".to_owned()));
        let cases = case_steps(&[new, gone], &line(3));
        assert_eq!((cases[0].case.as_str(), &cases[0].gone_at[..]), ("a", &[3][..]));
        assert_eq!((cases[1].case.as_str(), &cases[1].new_at[..]), ("b", &[2][..]));
    }
}
