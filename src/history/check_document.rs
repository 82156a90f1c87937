//! What `history check` says: how far each case has crept, and what to do where that cannot be told.

use super::creep::{CaseCreep, CreepFinding, CreepRule, CreepVerdict, Gap};
use super::entry::short;
use super::line::CommitLine;
use super::show_document::interval;
use crate::document::{Check, CheckOutcome, Document, Table};
use crate::units::{Share, change, printable};
use crate::verdict::Verdict;

/// What stands where there is no value.
const NONE: &str = "-";

/// What was checked.
pub(crate) struct CheckedHistory<'a> {
    /// What a reader has to know of the entries, a sentence each.
    pub notes: Vec<String>,
    /// What people call the commit that changes are told from.
    pub since: String,
    /// The commits.
    pub line: &'a CommitLine,
    /// The rule.
    pub rule: &'a CreepRule,
    /// The verdict.
    pub verdict: &'a CreepVerdict,
}

/// The table, where chains are broken, and the conclusion.
pub(crate) fn check_document(checked: &CheckedHistory<'_>) -> Document {
    let CheckedHistory { since, line, rule, verdict, .. } = checked;
    let mut document = Document::new("Creep");
    let since = printable(since);
    let commits = line.end();
    document.about = Some(format!("{commits} commits since {since}"));
    document.verdict = Some(verdict.conclusion);
    document.conclusion = Some(conclusion(checked));

    let mut table =
        Table::new(["case", &format!("since {since} [95 % interval]"), "accepted", "sessions", "verdict"]);
    for case in &verdict.cases {
        table.row(row(case));
        document.checks.push(check(case, &since));
    }
    document.table(table);
    document.gap();
    document.lines(checked.notes.iter().cloned());
    for case in &verdict.cases {
        document.lines(remarks(case, line));
    }
    if !verdict.cases.is_empty() {
        document.line(format!(
            "CREPT is what has become more than {} slower in all, and surely slower at all; what was accepted does not count \
             until its last day is past. Changes multiply, and their intervals add as the root of the sum of squares \
             (docs/history.md).",
            Share(rule.limit)
        ));
    }
    document
}

fn row(case: &CaseCreep) -> [String; 5] {
    let total = case.total.map_or_else(|| NONE.to_owned(), |total| interval(total.change));
    let accepted = case.accepted.map_or_else(|| NONE.to_owned(), |accepted| change(accepted.change.share));
    let sessions = case.total.map_or_else(|| NONE.to_owned(), |total| total.steps.to_string());
    [printable(&case.case), total, accepted, sessions, label(case.finding).to_owned()]
}

fn label(finding: CreepFinding) -> &'static str {
    match finding {
        CreepFinding::Within => "within the limit",
        CreepFinding::Beyond => "CREPT",
        CreepFinding::Unsure => "not sure",
        CreepFinding::Broken(_) => "chain broken",
        CreepFinding::Gone => "gone",
    }
}

fn check(case: &CaseCreep, since: &str) -> Check {
    let outcome = match case.finding {
        CreepFinding::Within | CreepFinding::Gone => CheckOutcome::Held,
        CreepFinding::Beyond => CheckOutcome::Missed,
        CreepFinding::Unsure | CreepFinding::Broken(_) => CheckOutcome::Undecided,
    };
    Check {
        group: format!("creep since {since}"),
        name: printable(&case.case),
        outcome,
        measured: case.total.map_or_else(|| label(case.finding).to_owned(), |total| interval(total.change)),
    }
}

/// What a reader has to know of a case beside its row, a sentence each.
fn remarks(case: &CaseCreep, line: &CommitLine) -> Vec<String> {
    let id = printable(&case.case);
    let mut said = Vec::new();
    if case.from > 0 && case.total.is_some() {
        said.push(format!("{id} is new since {}, and was followed from there.", short(line.hash(case.from))));
    }
    if case.expired > 0 {
        let count = case.expired;
        said.push(format!("{id}: {count} of its steps were accepted until a day that is past, and count."));
    }
    // What counts, where it is not all that the table shows.
    if let (Some(counted), Some(accepted)) = (case.counted, case.accepted) {
        said.push(format!(
            "{id}: {} was accepted, which leaves {}.",
            change(accepted.change.share),
            interval(counted.change)
        ));
    }
    if let CreepFinding::Broken(Gap { from, to, is_doubtful }) = case.finding {
        let from = short(line.hash(from));
        let to = short(line.hash(to));
        let why = if is_doubtful {
            format!("the session that leads to {to} has no figures of it that are to be trusted")
        } else {
            format!("no session leads on from {from}, to {to} or beyond")
        };
        said.push(format!(
            "Chain broken: {id}: {why}. Measure it (ingester-perf gate --base {from} --head {to}), and add it \
             (ingester-perf history add)."
        ));
    }
    if case.finding == CreepFinding::Unsure {
        said.push(format!(
            "{id}: by the estimate it crept, and it may as well be no slower: compare both ends directly \
             (ingester-perf gate --base-release), and add that."
        ));
    }
    said
}

/// The conclusion, with the cases that it rests on.
fn conclusion(checked: &CheckedHistory<'_>) -> String {
    let CheckedHistory { since, line, rule, verdict, .. } = checked;
    let since = printable(since);
    let limit = Share(rule.limit);
    if line.end() == 0 {
        return format!("held: no commit since {since}");
    }
    if verdict.cases.is_empty() {
        let commits = line.end();
        return format!(
            "inconclusive: no session of the {commits} commits since {since} measured a case; measure them with \
             ingester-perf gate, and add each with ingester-perf history add"
        );
    }
    match verdict.conclusion {
        Verdict::Held => {
            format!(
                "held: no case has become more than {limit} slower since {since} ({} commits)",
                line.end()
            )
        }
        Verdict::Missed => {
            let mut crept = Vec::new();
            for case in &verdict.cases {
                if let (CreepFinding::Beyond, Some(counted)) = (case.finding, case.counted) {
                    crept.push(format!("{} {}", printable(&case.case), change(counted.change.share)));
                }
            }
            format!("FAILED, crept by more than {limit} since {since}: {}", crept.join(", "))
        }
        Verdict::Untrusted => {
            let mut reasons = Vec::new();
            let broken = ids(verdict, |finding| matches!(finding, CreepFinding::Broken(_)));
            if !broken.is_empty() {
                reasons.push(format!("chain broken: {broken}, as said above"));
            }
            let unsure = ids(verdict, |finding| finding == CreepFinding::Unsure);
            if !unsure.is_empty() {
                reasons.push(format!("not sure: {unsure}, as said above"));
            }
            format!("inconclusive, {}", reasons.join("; "))
        }
    }
}

/// Names of the cases with such a finding.
fn ids(verdict: &CreepVerdict, is_meant: fn(CreepFinding) -> bool) -> String {
    let mut ids = Vec::new();
    for case in &verdict.cases {
        if is_meant(case.finding) {
            ids.push(printable(&case.case));
        }
    }
    ids.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::chain::case_steps;
    use super::super::creep::judge_creep;
    use super::super::entry::HistoryEntry;
    use super::super::entry::tests::{changed, gate};
    use super::super::line::tests::line;
    use super::*;

    fn document(entries: &[HistoryEntry], end: usize) -> Document {
        let line = line(end);
        let rule = CreepRule { limit: 0.05, today: "2026-11-26".parse().expect("is a day") };
        let verdict = judge_creep(&case_steps(entries, &line), &line, &rule);
        check_document(&CheckedHistory {
            notes: Vec::new(),
            since: "v1.0".to_owned(),
            line: &line,
            rule: &rule,
            verdict: &verdict,
        })
    }

    #[test]
    fn what_crept_is_in_the_table_the_checks_and_the_conclusion() {
        let mut entries = Vec::new();
        for head in 1..=10 {
            entries.push(gate(head - 1, head, vec![changed("a", 0.01), changed("b", 0.0)]));
        }
        let document = document(&entries, 10);
        let text = document.to_string();
        assert!(text.ends_with("\nFAILED, crept by more than 5 % since v1.0: a +10.5 %\n"), "{text}");
        let row = text.lines().find(|line| line.starts_with(" a ")).expect("has a row");
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(cells, ["a", "+10.5", "%", "[+8.7", "%,", "+12.2", "%]", "-", "10", "CREPT"], "{text}");
        let outcomes: Vec<CheckOutcome> = document.checks.iter().map(|check| check.outcome).collect();
        assert_eq!(outcomes, [CheckOutcome::Missed, CheckOutcome::Held]);
        assert_eq!(document.verdict, Some(Verdict::Missed));
    }

    #[test]
    fn a_broken_chain_says_what_to_measure() {
        let entries = [gate(0, 1, vec![changed("a", 0.0)]), gate(2, 3, vec![changed("a", 0.0)])];
        let text = document(&entries, 3).to_string();
        let says = "Chain broken: a: no session leads on from 0000001, to 0000002 or beyond. Measure it (ingester-perf \
                    gate --base 0000001 --head 0000002), and add it (ingester-perf history add).";
        assert!(text.lines().any(|line| line == says), "{text}");
        assert!(text.ends_with("\ninconclusive, chain broken: a, as said above\n"), "{text}");
    }

    #[test]
    fn without_sessions_or_commits_the_conclusion_says_so() {
        assert_eq!(document(&[], 0).to_string(), "held: no commit since v1.0\n");
        let text = document(&[], 3).to_string();
        assert!(
            text.starts_with("inconclusive: no session of the 3 commits since v1.0 measured a case"),
            "{text}"
        );
        let held = document(&[gate(0, 2, vec![changed("a", 0.04)])], 2).to_string();
        assert!(
            held.ends_with("held: no case has become more than 5 % slower since v1.0 (2 commits)\n"),
            "{held}"
        );
    }
}
