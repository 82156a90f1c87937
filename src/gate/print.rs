//! A verdict for people: a table for a terminal, Markdown for a pull request.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::compared::Effect;
use super::record::Record;
use super::verdict::{CaseVerdict, Conclusion, Figures, Finding, Verdict};
use crate::report::{latency, table};
use crate::units::Share;

const HEADER: [&str; 7] =
    ["case", "base", "head", "effect [95 % interval]", "could have seen", "spread", "verdict"];

/// The table, what is to be known of the run, and its conclusion.
pub fn print_verdict(out: &mut dyn Write, record: &Record, verdict: &Verdict) -> io::Result<()> {
    let mut table = table(&HEADER);
    for case in &verdict.cases {
        table.add_row(row(case));
    }
    writeln!(out, "{table}\n")?;
    for line in remarks(record, verdict) {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "\n{}", sentence(verdict))
}

/// The same for a pull request.
pub fn markdown(record: &Record, verdict: &Verdict) -> String {
    let mut out = format!("### Gate: {}\n\n", sentence(verdict));
    let _ = writeln!(out, "`{}` against `{}`\n", record.head.name, record.base.name);
    let _ = writeln!(out, "| {} |\n|{}", HEADER.join(" | "), " --- |".repeat(HEADER.len()));
    for case in &verdict.cases {
        let cells = row(case);
        let _ = writeln!(out, "| `{}` | {} |", cells[0], cells[1..].join(" | "));
    }
    out.push('\n');
    for line in remarks(record, verdict) {
        let _ = writeln!(out, "* {line}");
    }
    out
}

fn row(case: &CaseVerdict) -> [String; 7] {
    let Some(figures) = &case.figures else {
        let none = || "-".to_owned();
        return [case.id.clone(), none(), none(), none(), none(), none(), label(case)];
    };
    [
        case.id.clone(),
        latency(Some(figures.base_ns / 1e6)),
        latency(Some(figures.head_ns / 1e6)),
        interval(figures.effect),
        percent(figures.smallest),
        format!("{:.2} %", 100.0 * figures.spread),
        label(case),
    ]
}

fn label(case: &CaseVerdict) -> String {
    match case.finding {
        Finding::Regressed => "SLOWER",
        Finding::Improved => "faster",
        Finding::Same => "same",
        Finding::Underpowered => "underpowered",
        Finding::TooSlow => "too slow to judge",
    }
    .to_owned()
}

/// What a reader has to know beside the table, a sentence each.
fn remarks(record: &Record, verdict: &Verdict) -> Vec<String> {
    let mut remarks: Vec<String> = record.notices.iter().map(|notice| format!("Note: {notice}.")).collect();
    for (arm, cases) in [("base", &record.only_in_base), ("head", &record.only_in_head)] {
        if !cases.is_empty() {
            remarks.push(format!("Only {arm} has {}: not compared.", cases.join(", ")));
        }
    }
    if let Some(injection) = &record.plan.injected {
        remarks.push(format!(
            "{} of head was slowed by {} on purpose.",
            injection.case,
            Share(injection.share)
        ));
    }
    let own = verdict.cases.iter().filter(|case| case.fail_over != record.plan.fail_over);
    remarks.extend(own.map(|case| format!("{} fails from {} on.", case.id, Share(case.fail_over))));
    remarks.extend(verdict.distrust.iter().map(|problem| format!("Not to be trusted: {problem}.")));
    remarks.extend(controls(verdict));
    let plan = &record.plan;
    remarks.push(format!(
        "{} pairs of processes, seed {}; slower is what is at least {} slower, and by more than {} with a false-alarm \
         rate of {} for the whole run.",
        plan.pairs,
        plan.seed,
        Share(plan.fail_over),
        Share(plan.margin),
        Share(plan.rate),
    ));
    remarks
}

/// Least and most of what the controls showed.
fn controls(verdict: &Verdict) -> Option<String> {
    let figures: Vec<&Figures> = verdict.cases.iter().filter_map(|case| case.figures.as_ref()).collect();
    let range = |of: fn(&Figures) -> f64| {
        let all = figures.iter().map(|figures| of(figures));
        let (least, most) =
            (all.clone().fold(f64::INFINITY, f64::min), all.fold(f64::NEG_INFINITY, f64::max));
        format!("{} to {}", percent(least), percent(most))
    };
    let least = figures.iter().map(|figures| figures.control_share).reduce(f64::min)?;
    let same = figures.iter().all(|figures| figures.control_share == least);
    let share = format!("{}{}", Share(least), if same { "" } else { " or more" });
    Some(format!(
        "Controls: base against itself {}; base slowed by {share} {}.",
        range(|figures| figures.copy.share),
        range(|figures| figures.slowed.share),
    ))
}

fn sentence(verdict: &Verdict) -> String {
    let named = |finding| {
        let cases = verdict.cases.iter().filter(|case| case.finding == finding);
        cases.map(|case| case.id.as_str()).collect::<Vec<_>>().join(", ")
    };
    match verdict.conclusion {
        Conclusion::Pass => "passed, no case got slower".to_owned(),
        Conclusion::Regression => format!("FAILED, slower: {}", named(Finding::Regressed)),
        Conclusion::Inconclusive if !verdict.distrust.is_empty() => {
            "inconclusive: this run is not to be trusted, as said above; run it again on a quieter machine"
                .to_owned()
        }
        Conclusion::Inconclusive => {
            let unseen = [named(Finding::Underpowered), named(Finding::TooSlow)]
                .into_iter()
                .filter(|ids| !ids.is_empty());
            let unseen = unseen.collect::<Vec<_>>().join(", ");
            format!(
                "inconclusive: a slowdown would not have been seen in {unseen}; take a larger --budget or more --pairs"
            )
        }
    }
}

fn interval(Effect { share, lower, upper }: Effect) -> String {
    let end = |bound: Option<f64>| bound.map_or_else(|| "-".to_owned(), percent);
    format!("{} [{}, {}]", percent(share), end(lower), end(upper))
}

fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:+.1} %", 100.0 * share) } else { "nothing".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{self, Trait, session};
    use super::super::schedule::Role;
    use super::super::verdict::judge;
    use super::*;

    /// The terminal's text and the pull request's.
    fn printed(cases: &[&str], traits: &[Trait]) -> [String; 2] {
        let record = session(&fake::plan(1), cases, traits);
        let verdict = judge(&record);
        let mut out = Vec::new();
        print_verdict(&mut out, &record, &verdict).expect("writes");
        [String::from_utf8(out).expect("is text"), markdown(&record, &verdict)]
    }

    #[test]
    fn both_texts_say_the_conclusion_and_name_the_cases() {
        for (traits, says) in [
            ([Trait::Quiet].as_slice(), "passed, no case got slower"),
            (&[Trait::Slower(0.05)], "FAILED, slower: a, b"),
            (&[Trait::NoSpin], "inconclusive: this run is not to be trusted"),
            (
                &[Trait::Restless(Role::Head, 0.1)],
                "inconclusive: a slowdown would not have been seen in a, b",
            ),
        ] {
            let [text, markdown] = printed(&["a", "b"], traits);
            assert!(text.lines().last().is_some_and(|line| line.starts_with(says)), "{text}");
            assert!(markdown.starts_with(&format!("### Gate: {says}")), "{markdown}");
            assert!(markdown.contains("`new` against `old`"), "{markdown}");
        }
    }

    #[test]
    fn a_row_holds_both_times_the_effect_and_its_interval() {
        let [text, markdown] = printed(&["a"], &[Trait::Slower(0.05)]);
        for row in [text.lines().nth(1), markdown.lines().find(|line| line.starts_with("| `a`"))] {
            let row = row.expect("has a row");
            assert!(row.contains("100 us") && row.contains("105 us") && row.contains("SLOWER"), "{row}");
            assert!(row.contains("+5.") || row.contains("+4."), "{row}");
        }
        assert!(text.contains("base slowed by 5 % +"), "{text}");
    }

    #[test]
    fn a_case_without_figures_has_a_row_too() {
        let record =
            session(&super::super::Plan { budget_ms: 2_000, ..fake::plan(1) }, &["slow"], &[Trait::Quiet]);
        let text = markdown(&record, &judge(&record));
        assert!(text.contains("| `slow` | - | - | - | - | - | too slow to judge |"), "{text}");
    }
}
