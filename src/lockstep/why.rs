//! Why cases got slower, as a reader is told: a sentence for each case, and a table of what it rests on.

use serde::Serialize;

use super::compared::Effect;
use super::explanation::{Explanation, PartChange};
use super::finding::Finding;
use super::parts::ExplanationRecord;
use super::plan::MIN_PAIRS;
use super::verdict::SessionVerdict;
use crate::document::{Document, Table};
use crate::units::{change, latency, printable};

/// Characters of a part's name in a table. Names of generic functions have hundreds; the folded stacks have them whole.
const NAME: usize = 72;
/// A share below this is printed as 0.0 %.
const ZERO: f64 = 0.0005;

/// What is told of the cases that got slower.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Why {
    /// The cases that were explained.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub explanations: Vec<Explanation>,
    /// Reasons why others were not; a sentence each.
    #[serde(rename = "not_explained", skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

impl Why {
    /// What follows from what was measured to explain this verdict. `seed` is that of the session.
    pub fn of(record: &ExplanationRecord, verdict: &SessionVerdict, seed: u64) -> Self {
        let mut why = Self { explanations: Vec::new(), problems: record.problems.clone() };
        for times in &record.cases {
            match Explanation::of(times, judged(verdict, &times.id), seed) {
                Some(explanation) => why.explanations.push(explanation),
                None => why.problems.push(format!("{}: fewer than {MIN_PAIRS} pairs", times.id)),
            }
        }
        why
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.explanations.is_empty() && self.problems.is_empty()
    }

    /// Adds it to a document.
    pub(super) fn tell(&self, document: &mut Document) {
        if self.is_empty() {
            return;
        }
        document.gap();
        for explanation in &self.explanations {
            document.line(format!("Why: {}.", sentence(explanation)));
        }
        for problem in &self.problems {
            document.line(format!("Not explained: {}.", printable(problem)));
        }
        for explanation in &self.explanations {
            document.gap();
            document.table(phases_table(explanation));
            document.gap();
            document.table(frames_table(explanation));
        }
    }
}

/// The effect that a case was called slower for; none where that was its tail.
fn judged(verdict: &SessionVerdict, id: &str) -> Option<Effect> {
    let case = verdict.cases.iter().find(|case| case.id == id)?;
    if case.finding != Finding::Regressed {
        return None;
    }
    case.figures.as_ref().map(|figures| figures.effect)
}

/// What the slowdown of a case consists of. Parts that may not have changed at all are its rest.
fn sentence(explanation: &Explanation) -> String {
    let Explanation { case, pairs, judged, whole, agrees, phases, .. } = explanation;
    let case = printable(case);
    let seen = with_interval(whole);
    let judged = judged.map(|effect| {
        let lower = effect.lower.map_or_else(|| "-".to_owned(), change);
        let upper = effect.upper.map_or_else(|| "-".to_owned(), change);
        format!("{} [{lower}, {upper}]", change(effect.share))
    });
    if let Some(judged) = judged.as_ref().filter(|_| !agrees) {
        return format!(
            "{case} is not explained: {judged} was judged, and {seen} was seen in the {pairs} pairs of processes that were to \
             explain it; what slows it down may not last, or not bear being watched"
        );
    }

    let mut parts = Vec::new();
    let mut rest = whole.share;
    for part in explanation.named() {
        parts.push(format!("{} {}", shortened(&printable(&part.name)), with_interval(part)));
        rest -= part.share;
    }
    let of_pairs = match judged {
        Some(judged) => format!(" ({pairs} further pairs; judged: {judged})"),
        None => format!(" ({pairs} further pairs; judged: its tail)"),
    };
    if parts.is_empty() {
        let part = if phases.is_empty() { "function" } else { "phase" };
        return format!("{case} {seen} is in no {part} for sure{of_pairs}");
    }
    // What was rounded away must not look as if something got faster.
    let rest = if rest.abs() < ZERO { 0.0 } else { rest };
    parts.push(format!("rest {}", change(rest)));
    format!("{case} {seen} is: {}{of_pairs}", parts.join(", "))
}

/// The phases of a case, which add up to the whole in the last row.
fn phases_table(explanation: &Explanation) -> Table {
    let mut table = table_of(explanation, "phase");
    if explanation.phases.is_empty() {
        return table;
    }
    for part in explanation.phases.iter().chain([&explanation.whole]) {
        table.row(row(part));
    }
    table
}

/// The functions of a case that changed most.
fn frames_table(explanation: &Explanation) -> Table {
    let mut table = table_of(explanation, "CPU time of");
    for part in &explanation.frames {
        table.row(row(part));
    }
    table
}

fn table_of(explanation: &Explanation, what: &str) -> Table {
    let first = format!("{}: {what}", printable(&explanation.case));
    Table::new([first.as_str(), "base", "head", "difference", "of the case [95 % interval]"])
}

fn row(part: &PartChange) -> [String; 5] {
    [
        shortened(&printable(&part.name)),
        time(part.base_ns),
        time(part.head_ns),
        difference(part.head_ns - part.base_ns),
        with_interval(part),
    ]
}

fn with_interval(part: &PartChange) -> String {
    format!("{} [{}, {}]", change(part.share), change(part.lower), change(part.upper))
}

/// A mean time. What is outside of the phases may come out just below zero.
fn time(ns: f64) -> String {
    if ns < 0.0 { difference(ns) } else { latency(Some(ns / 1e6)) }
}

/// A time with its sign.
fn difference(ns: f64) -> String {
    let sign = if ns < 0.0 { '-' } else { '+' };
    format!("{sign}{}", latency(Some(ns.abs() / 1e6)))
}

/// The name, cut where it is long.
fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME {
        return name.to_owned();
    }
    let kept: String = name.chars().take(NAME - 1).collect();
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::super::explanation::tests::slower_hash;
    use super::super::parts::PartTimes;
    use super::super::verdict::CaseVerdict;
    use super::*;
    use crate::verdict::Verdict;

    /// A record that explains one case, of 3 %: 2.6 % are in its hash.
    fn record() -> ExplanationRecord {
        ExplanationRecord { cases: vec![slower_hash()], ..ExplanationRecord::empty() }
    }

    /// A verdict that finds this of the case, without figures.
    fn verdict(finding: Finding) -> SessionVerdict {
        let case =
            CaseVerdict { id: "a".to_owned(), finding, threshold: 0.02, distrust: Vec::new(), figures: None };
        SessionVerdict {
            conclusion: Verdict::Missed,
            identical: false,
            cases: vec![case],
            ..SessionVerdict::identical()
        }
    }

    fn why() -> Why {
        Why::of(&record(), &verdict(Finding::TailRegressed), 1)
    }

    fn told(why: &Why) -> String {
        let mut document = Document::new("Gate");
        why.tell(&mut document);
        document.to_string()
    }

    /// The same, with this effect as the judged one.
    fn judged_as(share: f64) -> Why {
        let mut why = why();
        let effect =
            Effect { share, lower: Some(share - 0.001), upper: Some(share + 0.001), coverage: Some(0.95) };
        why.explanations[0].judged = Some(effect);
        why.explanations[0].agrees = share < 0.05;
        why
    }

    #[test]
    fn a_sentence_says_what_a_slowdown_consists_of() {
        // 0.4 % are outside of the phases, and as sure: all pairs are alike.
        let expected = "a +3.0 % [+3.0 %, +3.0 %] is: hash +2.6 % [+2.6 %, +2.6 %], outside the phases +0.4 % [+0.4 %, \
                        +0.4 %], rest +0.0 % (10 further pairs; judged: +3.1 % [+3.0 %, +3.2 %])";
        assert_eq!(sentence(&judged_as(0.031).explanations[0]), expected);
        let of_the_tail = sentence(&why().explanations[0]);
        assert!(of_the_tail.ends_with("(10 further pairs; judged: its tail)"), "{of_the_tail}");
    }

    #[test]
    fn what_is_not_sure_is_the_rest() {
        let mut why = judged_as(0.031);
        for part in &mut why.explanations[0].phases[1..] {
            part.lower = -0.001;
        }
        let says = sentence(&why.explanations[0]);
        assert!(says.starts_with("a +3.0 % [+3.0 %, +3.0 %] is in no phase for sure (10 further"), "{says}");
        why.explanations[0].phases[1].lower = 0.025;
        let says = sentence(&why.explanations[0]);
        assert!(says.contains("is: hash +2.6 % [+2.5 %, +2.6 %], rest +0.4 % (10 further"), "{says}");
    }

    #[test]
    fn an_effect_that_was_not_seen_again_is_not_explained() {
        let says = sentence(&judged_as(0.06).explanations[0]);
        let expected =
            "a is not explained: +6.0 % [+5.9 %, +6.1 %] was judged, and +3.0 % [+3.0 %, +3.0 %] was seen";
        assert!(says.starts_with(expected) && !says.contains("hash"), "{says}");
    }

    #[test]
    fn the_table_adds_up_and_functions_follow() {
        let mut record = record();
        let times = &mut record.cases[0];
        times.frames.push(PartTimes {
            name: format!("stub: {}", "f".repeat(80)),
            base_ns: vec![300_000; 10],
            head_ns: vec![400_000; 10],
        });
        let text = told(&Why::of(&record, &verdict(Finding::TailRegressed), 1));
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        let expected = ["hash", "30", "µs", "32.6", "µs", "+2.60", "µs", "+2.6", "%"];
        // A sentence, an empty line, the header, and the token check stand above it.
        assert_eq!(rows[4][..9], expected, "{text}");
        assert_eq!(rows[6][..5], ["all", "100", "µs", "103", "µs"], "{text}");
        // Ten operations of base, and twenty of head: 30 and 20 µs of each.
        let function = format!("stub: {}…", "f".repeat(65));
        let last = text.lines().last().expect("has lines");
        assert!(last.trim_start().starts_with(&function) && last.contains("-10 µs"), "{text}");
    }

    #[test]
    fn names_from_outside_cannot_rule_the_terminal() {
        let mut record = record();
        record.problems.push("b: \u{1b}[2J".to_owned());
        record.cases[0].phases[1].name.push('\u{9b}');
        record.cases[0].id.push('\u{7}');
        let text = told(&Why::of(&record, &verdict(Finding::Regressed), 1));
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text}");
        assert!(text.contains(r"Not explained: b: \u{1b}[2J."), "{text}");
    }

    #[test]
    fn without_anything_to_tell_nothing_is_said() {
        assert!(Why::default().is_empty() && told(&Why::default()).is_empty());
        let mut short = record();
        short.cases[0].pairs.pop();
        let why = Why::of(&short, &verdict(Finding::Regressed), 1);
        assert!(why.explanations.is_empty() && !why.is_empty());
        assert_eq!(told(&why), "Not explained: a: fewer than 10 pairs.\n");
    }
}
