//! A verdict as a document.

use std::fmt::Write as _;
use std::time::Duration;

use super::checks::{gate_checks, identical_check};
use super::compared::end_of_interval;
use super::counter_table::{add_counters, cases, names, remarks_on_counters};
use super::counters::CountFinding;
use super::finding::Finding;
use super::measure::Measure;
use super::plan::{Plan, passes_below};
use super::record::{CaseRecord, Record};
use super::session::BLOCK_AT_MOST;
use super::tail::{LEAST_OPERATIONS, Tail};
use super::verdict::{CaseVerdict, Figures, SessionVerdict};
use super::why::Why;
use crate::document::{Document, Table};
use crate::units::{Share, change, latency, printable};
use crate::verdict::Verdict;

const COLUMNS: usize = 7;

/// The table, what a reader has to know of the run, why cases got slower, and the conclusion.
pub fn verdict_document(record: &Record, verdict: &SessionVerdict, why: &Why) -> Document {
    let mut document = Document::new("Gate");
    let head = printable(&record.head.name);
    let base = printable(&record.base.name);
    document.about = Some(format!("{head} against {base}"));
    document.conclusion = Some(sentence(verdict));
    document.verdict = Some(verdict.conclusion);
    document.checks = gate_checks(record, verdict);
    document.table(cases_table(record, verdict));
    add_counters(&mut document, verdict);
    document.gap();
    document.lines(remarks(record, verdict));
    why.tell(&mut document);
    document
}

/// The verdict on two identical builds, which this sentence names.
pub fn identical_document(sentence: &str) -> Document {
    let mut document = Document::new("Gate");
    document.line(sentence);
    document.conclusion = Some("passed, identical builds".to_owned());
    document.verdict = Some(Verdict::Held);
    document.checks.push(identical_check());
    document
}

/// A row a case.
pub(super) fn cases_table(record: &Record, verdict: &SessionVerdict) -> Table {
    let mut table = Table::new(header(verdict));
    for case in &verdict.cases {
        table.row(row(case, &record.measure));
    }
    table
}

fn header(verdict: &SessionVerdict) -> [String; COLUMNS] {
    // All cases have as many pairs, and so the same coverage.
    let coverage = figures(verdict).find_map(|figures| figures.effect.coverage);
    let interval = coverage.map_or_else(|| "interval".to_owned(), |c| format!("{:.1} % interval", 100.0 * c));
    let effect = format!("effect [{interval}]");
    ["case", "base", "head", &effect, "at most", "spread", "verdict"].map(str::to_owned)
}

fn figures(verdict: &SessionVerdict) -> impl Iterator<Item = &Figures> + Clone {
    verdict.cases.iter().filter_map(|case| case.figures.as_ref())
}

fn row(case: &CaseVerdict, measure: &Measure) -> [String; COLUMNS] {
    // Ids come from workers: without `printable`, one with control characters could take over the terminal.
    let id = printable(&case.id);
    let label = case.finding.label().to_owned();
    let Some(figures) = &case.figures else {
        let none = "-".to_owned();
        return [id, none.clone(), none.clone(), none.clone(), none.clone(), none, label];
    };
    [
        id,
        measure.quantity(figures.base),
        measure.quantity(figures.head),
        figures.effect.with_interval(),
        end_of_interval(figures.effect.upper),
        format!("{:.2} %", 100.0 * figures.spread),
        label,
    ]
}

/// What a reader has to know beside the table, a sentence each.
pub(super) fn remarks(record: &Record, verdict: &SessionVerdict) -> Vec<String> {
    let mut remarks: Vec<String> =
        record.notices.iter().map(|notice| format!("Note: {}.", printable(notice))).collect();
    for (said, cases) in [
        ("Head lacks, as is allowed: ", &record.allowed_missing),
        ("Only head has, so not compared: ", &record.only_in_head),
    ] {
        if !cases.is_empty() {
            remarks.push(format!("{said}{}.", printable(&cases.join(", "))));
        }
    }
    if let Some(injection) = &record.plan.injected {
        let share = Share(injection.share);
        remarks.push(format!("{} of head was slowed by {share} on purpose.", printable(&injection.case)));
    }
    for case in verdict.cases.iter().filter(|case| case.threshold != record.plan.threshold) {
        remarks.push(format!("{} fails from {} on.", printable(&case.id), Share(case.threshold)));
    }
    for accepted in &verdict.accepted {
        remarks.push(accepted.to_string());
    }
    // What makes all of the run worthless stands before what concerns one case.
    let of_cases = verdict.cases.iter().flat_map(|case| &case.distrust);
    for problem in verdict.distrust.iter().chain(of_cases) {
        remarks.push(format!("Not to be trusted: {}.", printable(problem)));
    }
    for case in verdict.cases.iter().filter(|case| case.finding == Finding::TailRegressed) {
        let tail = case.figures.as_ref().and_then(|figures| figures.tail.as_ref());
        remarks.extend(tail.map(|tail| worse_tail(&case.id, tail)));
    }
    remarks.extend(needed_budget(record));
    remarks.extend(controls(verdict));
    remarks.extend(tails(verdict));
    remarks.extend(detectable(verdict));
    if let Some(counters) = &record.counters {
        remarks.extend(remarks_on_counters(counters, verdict));
    }
    remarks.push(how(record));
    remarks
}

/// The budget that would do for cases that are too slow for this one.
fn needed_budget(record: &Record) -> Option<String> {
    let slow: Vec<&CaseRecord> = record.cases.iter().filter(|case| case.too_slow).collect();
    let slowest = slow.iter().max_by_key(|case| case.block_ns)?;
    let blocks: Vec<Duration> = record.cases.iter().map(|case| Duration::from_nanos(case.block_ns)).collect();
    // Rounded up to whole seconds: rounded down, it would not be enough.
    let all = Plan::needed(&blocks, BLOCK_AT_MOST).as_secs_f64().ceil();
    let alone = Plan::needed(&[Duration::from_nanos(slowest.block_ns)], BLOCK_AT_MOST).as_secs_f64().ceil();
    let id = printable(&slowest.id);
    Some(format!(
        "Too slow: a block of {id}, two slices of each arm, takes {}. All cases need --budget {all}s; {id} alone (--case) \
         needs --budget {alone}s.",
        latency(Some(slowest.block_ns as f64 / 1e6))
    ))
}

fn worse_tail(id: &str, tail: &Tail) -> String {
    // "A tenth" is `LATE_BY` of tail.rs in words.
    format!(
        "{}: p99 was {}, is {}; {} of the operations take longer than base's p99 by more than a tenth, {} of base's.",
        printable(id),
        latency(Some(tail.base_p99_ns / 1e6)),
        latency(Some(tail.head_p99_ns / 1e6)),
        Share(tail.head_late),
        Share(tail.control_late)
    )
}

/// Least and most of what the controls showed.
fn controls(verdict: &SessionVerdict) -> Option<String> {
    // Cases with a threshold of their own may have a larger positive control.
    let least = figures(verdict).map(|figures| figures.positive_control_share).reduce(f64::min)?;
    let same = figures(verdict).all(|figures| figures.positive_control_share == least);
    let share = format!("{}{}", Share(least), if same { "" } else { " or more" });
    Some(format!(
        "Controls: base against itself (A/A) {}; base slowed by {share} (positive) {}.",
        range(figures(verdict).map(|figures| figures.aa_control.share)),
        range(figures(verdict).map(|figures| figures.positive_control.share)),
    ))
}

/// Least and most of what the tails showed, and the cases whose tails were not compared.
fn tails(verdict: &SessionVerdict) -> Vec<String> {
    let mut said = Vec::new();
    let mut compared = figures(verdict).filter_map(|figures| figures.tail.as_ref()).peekable();
    if compared.peek().is_some() {
        said.push(format!("Tails: p99 of head against base's {}.", range(compared.map(|tail| tail.p99))));
    }
    // A case that was not measured at all has a row that says so, and is not named here.
    let mut left = Vec::new();
    for case in &verdict.cases {
        if case.figures.as_ref().is_some_and(|figures| figures.tail.is_none()) {
            left.push(case.id.as_str());
        }
    }
    if !left.is_empty() {
        said.push(format!(
            "Tails not compared, as an arm has fewer than {LEAST_OPERATIONS} operations in a pair: {}.",
            printable(&left.join(", "))
        ));
    }
    said
}

fn detectable(verdict: &SessionVerdict) -> Option<String> {
    // The ranges below need at least one measured case.
    figures(verdict).next()?;
    // "Nine times in ten" is `POWER` of compared.rs in words.
    Some(format!(
        "Minimum detectable effect, found nine times in ten: {}.",
        range(figures(verdict).map(|figures| figures.mde))
    ))
}

fn range(shares: impl Iterator<Item = f64>) -> String {
    let mut least = f64::INFINITY;
    let mut most = f64::NEG_INFINITY;
    for share in shares {
        least = least.min(share);
        most = most.max(share);
    }
    format!("{} to {}", change(least), change(most))
}

/// How the session went, and by which rule it was judged.
fn how(record: &Record) -> String {
    let plan = &record.plan;
    let pairs = record.numbers.len();
    let mut out = format!("{pairs} pairs of processes");
    if pairs > plan.pairs {
        let _ = write!(out, " ({} planned, the others because a case was undecided)", plan.pairs);
    }
    if !record.storms.is_empty() {
        let reasons: Vec<String> = record
            .storms
            .iter()
            .map(|storm| format!("pair {}: {}", storm.number + 1, storm.reason))
            .collect();
        let _ = write!(out, ", {} repeated ({})", record.storms.len(), printable(&reasons.join("; ")));
    }
    if record.measure != Measure::WallTime {
        let _ = write!(out, ", values are {}, which no clock can be held against", record.measure);
    }
    let _ = write!(
        out,
        ", seed {}. SLOWER is what is at least {} slower, and by more than {} with a false-alarm rate (alpha) of {} for \
         the whole run; the same is what is at most {} slower, as sure as the interval.",
        plan.seed,
        Share(plan.threshold),
        Share(plan.margin),
        Share(plan.alpha),
        Share(passes_below(plan.threshold)),
    );
    out
}

/// Ids of the cases with one of these findings.
fn ids_with(findings: &[Finding], verdict: &SessionVerdict) -> String {
    let mut ids = Vec::new();
    for case in &verdict.cases {
        if findings.contains(&case.finding) {
            ids.push(case.id.as_str());
        }
    }
    printable(&ids.join(", "))
}

/// The conclusion, with the cases that it rests on and what to do about them.
fn sentence(verdict: &SessionVerdict) -> String {
    match verdict.conclusion {
        Verdict::Held => {
            let accepted = ids_with(&[Finding::Accepted], verdict);
            if accepted.is_empty() {
                "passed, no case got slower".to_owned()
            } else {
                format!("passed, slower only as was accepted: {accepted}")
            }
        }
        Verdict::Missed => {
            let mut failed = Vec::new();
            let slower = ids_with(&[Finding::Regressed, Finding::TailRegressed], verdict);
            // Slowdowns count only if the session can be trusted. Counts that rose are exact, so they count in any session.
            if !slower.is_empty() && verdict.distrust.is_empty() {
                failed.push(format!("slower: {slower}"));
            }
            let risen = names(verdict, CountFinding::Risen);
            if !risen.is_empty() {
                failed.push(format!("more: {risen}"));
            }
            format!("FAILED, {}", failed.join("; "))
        }
        Verdict::Untrusted if !verdict.distrust.is_empty() => {
            "inconclusive: this run is not to be trusted, as said above; run it again on a quieter machine"
                .to_owned()
        }
        Verdict::Untrusted => {
            // Each reason has a remedy of its own, so cases are grouped by it.
            let mut reasons = Vec::new();
            for (findings, advice) in [
                (&[Finding::Untrusted][..], "not to be trusted, as said above"),
                (&[Finding::Missing], "missing in head: allow that with --allow-missing"),
                (&[Finding::Undecided], "undecided: take a larger --budget or more --max-pairs"),
                (&[Finding::TooSlow], "too slow for the time: take a larger --budget, as said above"),
            ] {
                let cases = ids_with(findings, verdict);
                if !cases.is_empty() {
                    reasons.push(format!("{cases} {advice}"));
                }
            }
            let lost = cases(verdict, CountFinding::Missing);
            if !lost.is_empty() {
                reasons.push(format!("counters missing in head: {lost}; --no-counters leaves them out"));
            }
            format!("inconclusive: {}", reasons.join("; "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::accepted::{Accepted, AcceptedSlowdown};
    use super::super::fake::{self, Trait, session};
    use super::super::schedule::Role;
    use super::super::verdict::judge;
    use super::*;
    use crate::document::Format;

    /// The terminal's text and the pull request's.
    fn printed(cases: &[&str], traits: &[Trait]) -> [String; 2] {
        let record = session(&fake::plan(1), cases, traits);
        both(&record)
    }

    fn both(record: &Record) -> [String; 2] {
        let document = verdict_document(record, &judge(record), &Why::default());
        [Format::Text, Format::Markdown].map(|format| document.render(format))
    }

    #[test]
    fn both_texts_say_the_conclusion_and_name_the_cases() {
        for (traits, says) in [
            ([Trait::Quiet].as_slice(), "passed, no case got slower"),
            (&[Trait::Slower(0.05)], "FAILED, slower: a, b"),
            (&[Trait::NoSpin], "inconclusive: a, b not to be trusted, as said above"),
            (
                &[Trait::Restless(Role::Head, 0.1)],
                "inconclusive: a, b undecided: take a larger --budget or more --max-pairs",
            ),
        ] {
            let [text, markdown] = printed(&["a", "b"], traits);
            assert!(text.lines().last().is_some_and(|line| line.starts_with(says)), "{text}");
            assert!(markdown.starts_with(&format!("### Gate: {says}")), "{markdown}");
            assert!(markdown.contains("\nnew against old\n"), "{markdown}");
        }
    }

    #[test]
    fn a_row_holds_both_times_the_effect_and_its_interval() {
        // An iteration of the fake takes 0.1 ms, and that of a head that is 5 % slower 105 µs.
        let [text, markdown] = printed(&["a"], &[Trait::Slower(0.05)]);
        for row in [text.lines().nth(1), markdown.lines().find(|line| line.starts_with("| `a`"))] {
            let row = row.expect("has a row");
            assert!(row.contains("100.0 µs") && row.contains("105 µs") && row.contains("SLOWER"), "{row}");
            assert!(row.contains("+5.") || row.contains("+4."), "{row}");
        }
        assert!(text.contains("base slowed by 5 % (positive) +"), "{text}");
    }

    #[test]
    fn an_accepted_slowdown_is_named_in_every_form() {
        let slowdown = AcceptedSlowdown {
            case: "a".to_owned(),
            up_to: 0.06,
            left: 0.06,
            until: "2026-12-24".parse().expect("is a day"),
            why: "it verifies checksums".to_owned(),
        };
        let accepted = Accepted { on: "2026-11-26".parse().expect("is a day"), slowdowns: vec![slowdown] };
        let slower = session(&fake::plan(1), &["a"], &[Trait::Slower(0.05)]);
        let [text, markdown] = both(&Record { accepted: Some(accepted), ..slower });
        let says = "Accepted until 2026-12-24: a up to +6 %, because it verifies checksums. It is at most +";
        assert!(text.contains(says) && markdown.contains(&format!("* {says}")), "{text}{markdown}");
        assert!(text.ends_with("\npassed, slower only as was accepted: a\n"), "{text}");
        let row = text.lines().nth(1).expect("has a row");
        assert!(row.trim_end().ends_with("accepted"), "{row}");
    }

    #[test]
    fn why_stands_before_the_conclusion_of_a_terminal() {
        let record = session(&fake::plan(1), &["a"], &[Trait::Slower(0.05)]);
        let why = Why { problems: vec!["base cannot tell".to_owned()], ..Why::default() };
        let text = verdict_document(&record, &judge(&record), &why).to_string();
        let last: Vec<&str> = text.lines().rev().take(3).collect();
        assert_eq!(last, ["FAILED, slower: a", "", "Not explained: base cannot tell."], "{text}");
    }

    #[test]
    fn a_case_without_figures_has_a_row_too() {
        // A block takes 6 * 40 ms, more than a tenth of 2 s.
        let record =
            session(&super::super::Plan { budget_ms: 2_000, ..fake::plan(1) }, &["slow"], &[Trait::Quiet]);
        let [_, text] = both(&record);
        assert!(text.contains("| `slow` | - | - | - | - | - | too slow to judge |"), "{text}");
    }

    #[test]
    fn what_comes_from_outside_cannot_rule_the_terminal() {
        let mut record = session(&fake::plan(1), &["a\u{1b}[2J"], &[Trait::Slower(0.05)]);
        // The title of the terminal's window, and a character that turns the direction of writing.
        for name in [&mut record.base.name, &mut record.head.name] {
            name.push_str("\u{1b}]0;\u{7}\u{202e}");
        }
        record.notices.push("\u{1b}[31m".to_owned());
        record.missing.push("\u{9b}1m".to_owned());
        record.only_in_head.push("\r".to_owned());
        let text = both(&record).concat();
        let ruling: Vec<char> =
            text.chars().filter(|c| c.is_control() && *c != '\n' || *c == '\u{202e}').collect();
        assert_eq!(ruling, Vec::<char>::new(), "{text}");
        assert!(text.contains(r"FAILED, slower: a\u{1b}[2J"), "{text}");
    }
}
