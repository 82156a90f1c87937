//! What is said of a search for the commit that made a case slower.

use super::bisect::{
    BisectFinding, BisectRecord, BisectStep, BisectVerdict, LineCommit, SessionKind, StepOutcome,
};
use super::compared::Effect;
use super::finding::Finding;
use super::search::{Answer, Between};
use crate::document::{Check, CheckOutcome, Document, Table};
use crate::units::{change, printable};
use crate::verdict::Verdict;

/// Characters of a subject that are shown: as many as git advises for one.
const SUBJECT: usize = 50;
/// Commits that a sentence names one by one; of more it names the ends.
const NAMED: usize = 5;

/// The steps in the order of the commits, what a reader has to know of them, and the conclusion.
pub(crate) fn bisect_document(record: &BisectRecord, verdict: &BisectVerdict) -> Document {
    let mut document = Document::new("Bisect");
    let case = printable(&record.asked.case);
    let commits = record.asked.line.len() - 1;
    let plural = if commits == 1 { "" } else { "s" };
    document.about =
        Some(format!("{case} from {} to {}, {commits} commit{plural}", good(record), bad(record)));
    let conclusion = conclusion(record, verdict);
    document.verdict = Some(verdict.finding.verdict());
    document.checks.push(Check {
        group: "bisect".to_owned(),
        name: format!("{case} did not get slower from {} to {}", good(record), bad(record)),
        outcome: match verdict.finding.verdict() {
            Verdict::Held => CheckOutcome::Held,
            Verdict::Missed => CheckOutcome::Missed,
            Verdict::Untrusted => CheckOutcome::Undecided,
        },
        measured: conclusion.clone(),
    });
    document.conclusion = Some(conclusion);
    document.table(table(record));
    document.gap();
    document.lines(remarks(record, verdict));
    document
}

/// What came of a step, in a line for whoever watches.
pub(crate) fn step_line(record: &BisectRecord, step: &BisectStep) -> String {
    let commit = short(record, step.comparison.head);
    let said = step_label(record, step);
    match effect_of(step) {
        Some(effect) => format!("{commit}: {said}, {}", effect.with_interval()),
        None => format!("{commit}: {said}"),
    }
}

/// A row for each commit that was compared with GOOD, in the order of the line: so a reader sees where it changes.
fn table(record: &BisectRecord) -> Table {
    let effect = format!("against {} [95 % interval]", good(record));
    let mut table = Table::new(["commit", "subject", "step", effect.as_str(), "pairs", "answer"]);
    for (place, commit) in record.asked.line.iter().enumerate() {
        for (index, step) in record.steps.iter().enumerate() {
            let is_row = step.comparison.kind != SessionKind::Confirm && step.comparison.head == place;
            if !is_row {
                continue;
            }
            table.row([
                short(record, place),
                subject(commit),
                (index + 1).to_string(),
                effect_of(step).map_or_else(|| "-".to_owned(), Effect::with_interval),
                pairs_of(step).map_or_else(|| "-".to_owned(), |pairs| pairs.to_string()),
                step_label(record, step),
            ]);
        }
    }
    table
}

/// What came of a step, in a cell.
fn step_label(record: &BisectRecord, step: &BisectStep) -> String {
    let answer = match record.answer(&step.outcome) {
        Answer::With => "SLOWER",
        Answer::Without => "not slower",
        Answer::Unknown => "cannot tell",
    };
    match &step.outcome {
        StepOutcome::NotBuilt { .. } => "does not build".to_owned(),
        StepOutcome::NotMeasured { .. } => "cannot be measured".to_owned(),
        StepOutcome::SameBuild { place } => format!("{answer}, same build as {}", short(record, *place)),
        StepOutcome::Measured { .. } if step.comparison.kind == SessionKind::Search => answer.to_owned(),
        // The first session and the last one are judged as the gate judges any.
        StepOutcome::Measured { finding, .. } => finding.label().to_owned(),
    }
}

/// What a reader has to know beside the table, a sentence each.
fn remarks(record: &BisectRecord, verdict: &BisectVerdict) -> Vec<String> {
    let mut remarks = Vec::new();
    if let (Some(half), Some(slowdown)) = (record.half(), verdict.slowdown) {
        remarks.push(format!(
            "A commit counts as slower if it is surely slower than {} by more than {}, half of the {} between the ends; as \
             not slower if its interval ends below that.",
            good(record),
            change(half),
            change(slowdown.share)
        ));
    }
    if record.asked.line.iter().any(|commit| commit.parents > 1) {
        remarks.push(
            "Only first parents are searched: what a merge brought in counts as that merge.".to_owned(),
        );
    }
    for step in &record.steps {
        if let StepOutcome::NotBuilt { reason } | StepOutcome::NotMeasured { reason } = &step.outcome {
            remarks.push(format!("{}.", in_a_line(reason)));
        }
    }
    if let Some(step) = record.step_of(SessionKind::Confirm)
        && let Some(effect) = effect_of(step)
    {
        remarks.push(format!(
            "The last session compared {} with {}: {} in {} pairs.",
            short(record, step.comparison.head),
            short(record, step.comparison.base),
            effect.with_interval(),
            pairs_of(step).unwrap_or_default()
        ));
    }
    remarks.push(format!("{} steps, seed {}.", record.steps.len(), record.asked.plan.seed));
    if let Some(between) = verdict.between {
        remarks.extend(next(record, verdict, between));
    }
    remarks
}

/// What to do with the answer.
fn next(record: &BisectRecord, verdict: &BisectVerdict, between: Between) -> Vec<String> {
    let case = printable(&record.asked.case);
    let parent = short(record, between.without);
    let found = short(record, between.with);
    let mut next = Vec::new();
    match verdict.finding {
        BisectFinding::Found => {
            if record.asked.line[between.with].parents > 1 {
                next.push(format!(
                    "{found} is a merge: the slowdown came with what it merged. To search that: ingester-perf gate --case {case} \
                     --bisect \"$(git merge-base {found}^1 {found}^2)..{found}^2\""
                ));
            }
            let searches = rest(record, between);
            if is_a_part(verdict) && !searches.is_empty() {
                next.push(format!(
                    "That is a part of the slowdown between the ends: another commit got slower as well. To search the rest: \
                     {}.",
                    searches.join(" and ")
                ));
            }
            next.push(format!(
                "Next: ingester-perf gate --case {case} --base {parent} --head {found} compares the two, and says why where it \
                 can."
            ));
        }
        BisectFinding::OneOfSeveral => {
            let was_restless = record.steps.iter().any(|step| {
                matches!(step.outcome, StepOutcome::Measured { .. })
                    && record.answer(&step.outcome) == Answer::Unknown
            });
            if was_restless {
                next.push(
                    "Next: a larger --budget or more --max-pairs may tell the commits that could not be told."
                        .to_owned(),
                );
            }
        }
        BisectFinding::NotConfirmed => next.push(
            "Next: search again with a larger --budget; several commits may have a small part of the slowdown each."
                .to_owned(),
        ),
        BisectFinding::NothingSlower | BisectFinding::EndsUndecided => {}
    }
    next
}

/// The searches of the commits before the one that was found, and of those after it, where there are any.
fn rest(record: &BisectRecord, between: Between) -> Vec<String> {
    let last = record.asked.line.len() - 1;
    let mut searches = Vec::new();
    for (good, bad) in [(0, between.without), (between.with, last)] {
        if good < bad {
            searches.push(format!("--bisect {}..{}", short(record, good), short(record, bad)));
        }
    }
    searches
}

/// Whether the commit is surely less slow than BAD is.
fn is_a_part(verdict: &BisectVerdict) -> bool {
    let most = verdict.effect.and_then(|effect| effect.upper);
    let least = verdict.slowdown.and_then(|slowdown| slowdown.lower);
    matches!((most, least), (Some(most), Some(least)) if most < least)
}

/// The conclusion in a sentence.
fn conclusion(record: &BisectRecord, verdict: &BisectVerdict) -> String {
    let case = printable(&record.asked.case);
    let by = verdict.effect.map_or_else(|| "not measured".to_owned(), Effect::with_interval);
    match (verdict.finding, verdict.between) {
        (BisectFinding::Found, Some(between)) => {
            let found = &record.asked.line[between.with];
            format!(
                "FOUND: {} made {case} slower, {by} against {}: {}",
                short(record, between.with),
                short(record, between.without),
                subject(found)
            )
        }
        (BisectFinding::OneOfSeveral, Some(between)) => format!(
            "cannot tell which: one of {} made {case} slower, {by} against {}; those between could not be told",
            commits_of(record, between),
            short(record, between.without)
        ),
        (BisectFinding::NotConfirmed, Some(between)) => format!(
            "cannot tell: the search led to {}, and the last session did not confirm it ({by} against {})",
            commits_of(record, between),
            short(record, between.without)
        ),
        (BisectFinding::NothingSlower, _) => {
            format!("nothing to find: {case} did not get slower from {} to {}", good(record), bad(record))
        }
        _ => format!(
            "cannot tell whether {case} got slower from {} to {}: {}",
            good(record),
            bad(record),
            why_undecided(record)
        ),
    }
}

/// Why the first session told neither, and what to do about it.
fn why_undecided(record: &BisectRecord) -> &'static str {
    let finding = match record.step_of(SessionKind::Ends) {
        Some(BisectStep { outcome: StepOutcome::Measured { finding, .. }, .. }) => *finding,
        _ => Finding::Untrusted,
    };
    match finding {
        Finding::TailRegressed => {
            "only its slowest operations did, and a search follows medians; compare commits one by one (--base, --head)"
        }
        Finding::TooSlow => "the case is too slow for the time; take a larger --budget",
        Finding::Undecided => "undecided; take a larger --budget or more --max-pairs",
        _ => "the session is not to be trusted, as its summary says; run it again on a quieter machine",
    }
}

/// These commits in a sentence.
fn commits_of(record: &BisectRecord, between: Between) -> String {
    let first = between.without + 1;
    let count = between.with - between.without;
    if count == 1 {
        return short(record, first);
    }
    if count > NAMED {
        return format!("{count} commits ({} to {})", short(record, first), short(record, between.with));
    }
    let named: Vec<String> = (first..=between.with).map(|place| short(record, place)).collect();
    format!("{count} commits ({})", named.join(", "))
}

fn effect_of(step: &BisectStep) -> Option<Effect> {
    match &step.outcome {
        StepOutcome::Measured { effect, .. } => *effect,
        _ => None,
    }
}

fn pairs_of(step: &BisectStep) -> Option<usize> {
    match step.outcome {
        StepOutcome::Measured { pairs, .. } => Some(pairs),
        _ => None,
    }
}

fn good(record: &BisectRecord) -> String {
    printable(&record.asked.line[0].name)
}

fn bad(record: &BisectRecord) -> String {
    printable(&record.asked.line[record.asked.line.len() - 1].name)
}

fn short(record: &BisectRecord, place: usize) -> String {
    printable(record.asked.line[place].short())
}

/// The subject of a commit, cut where it is long.
fn subject(commit: &LineCommit) -> String {
    let shown: String = commit.subject.chars().take(SUBJECT).collect();
    let cut = if shown.len() < commit.subject.len() { "..." } else { "" };
    format!("{}{cut}", printable(&shown))
}

/// A message of several lines in one: the first says what failed, and the last, of what a program printed, mostly why.
fn in_a_line(reason: &str) -> String {
    let mut lines = reason.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = printable(lines.next().unwrap_or_default());
    match lines.next_back() {
        Some(last) => format!("{first} {}", printable(last)),
        None => first,
    }
}

#[cfg(test)]
mod tests {
    use super::super::bisect::tests::{asked, begun};
    use super::super::bisect::{BisectComparison, BisectState};
    use super::*;

    fn effect(share: f64) -> Option<Effect> {
        Some(Effect { share, lower: Some(share - 0.01), upper: Some(share + 0.01), coverage: None })
    }

    fn step(kind: SessionKind, base: usize, head: usize, outcome: StepOutcome) -> BisectStep {
        BisectStep { comparison: BisectComparison { kind, base, head }, outcome }
    }

    fn measured(finding: Finding, share: f64) -> StepOutcome {
        StepOutcome::Measured { finding, effect: effect(share), pairs: 10 }
    }

    /// The document of a search that is over.
    fn document(record: &BisectRecord) -> Document {
        match record.state() {
            BisectState::Done(verdict) => bisect_document(record, &verdict),
            BisectState::Compare(comparison) => panic!("it is not over: {comparison:?}"),
        }
    }

    /// Its lines on a terminal, with single spaces.
    fn lines(document: &Document) -> Vec<String> {
        let text = document.to_string();
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    /// A search in four commits that found the one in the middle.
    fn found() -> BisectRecord {
        let mut record = begun();
        record.steps.push(step(SessionKind::Search, 0, 1, measured(Finding::Same, 0.0)));
        record.steps.push(step(SessionKind::Search, 0, 2, measured(Finding::Regressed, 0.2)));
        record.steps.push(step(SessionKind::Confirm, 1, 2, measured(Finding::Regressed, 0.2)));
        record
    }

    #[test]
    fn the_steps_stand_in_the_order_of_the_commits() {
        let expected = [
            "commit subject step against 0000000 [95 % interval] pairs answer",
            "1111111 Change 1 2 +0.0 % [-1.0 %, +1.0 %] 10 not slower",
            "2222222 Change 2 3 +20.0 % [+19.0 %, +21.0 %] 10 SLOWER",
            "3333333 Change 3 1 +21.0 % [+20.0 %, +22.0 %] 10 SLOWER",
            "",
            "A commit counts as slower if it is surely slower than 0000000 by more than +10.0 %, half of the +21.0 % between \
             the ends; as not slower if its interval ends below that.",
            "The last session compared 2222222 with 1111111: +20.0 % [+19.0 %, +21.0 %] in 10 pairs.",
            "4 steps, seed 1.",
            "Next: ingester-perf gate --case a --base 1111111 --head 2222222 compares the two, and says why where it can.",
            "",
            "FOUND: 2222222 made a slower, +20.0 % [+19.0 %, +21.0 %] against 1111111: Change 2",
        ];
        let document = document(&found());
        assert_eq!(lines(&document), expected);
        assert_eq!(document.about.as_deref(), Some("a from 0000000 to 3333333, 3 commits"));
        assert_eq!(
            (document.verdict, document.checks[0].outcome),
            (Some(Verdict::Missed), CheckOutcome::Missed)
        );
    }

    #[test]
    fn a_merge_and_a_part_of_the_slowdown_are_said() {
        let mut record = found();
        record.asked.line[2].parents = 2;
        record.steps[3] = step(SessionKind::Confirm, 1, 2, measured(Finding::Regressed, 0.15));
        let text = document(&record).to_string();
        assert!(text.contains("Only first parents are searched"), "{text}");
        assert!(text.contains("2222222 is a merge: the slowdown came with what it merged."), "{text}");
        assert!(text.contains("--bisect \"$(git merge-base 2222222^1 2222222^2)..2222222^2\""), "{text}");
        // At most 16 %, of 20 % at least.
        assert!(text.contains("--bisect 0000000..1111111 and --bisect 2222222..3333333."), "{text}");
    }

    #[test]
    fn only_a_rest_that_has_commits_is_to_be_searched() {
        // The first commit after GOOD was found, with at most 16 % of 20 % at least.
        let mut record = begun();
        record.steps.push(step(SessionKind::Search, 0, 1, measured(Finding::Regressed, 0.15)));
        record.steps.push(step(SessionKind::Confirm, 0, 1, measured(Finding::Regressed, 0.15)));
        let text = document(&record).to_string();
        assert!(text.contains("To search the rest: --bisect 1111111..3333333."), "{text}");
    }

    #[test]
    fn a_range_says_why_it_is_one() {
        let mut record = begun();
        let reason = "1111111 does not build; the end of what cargo said:\nerror: no luck\n".to_owned();
        record.steps.push(step(SessionKind::Search, 0, 1, StepOutcome::NotBuilt { reason }));
        record.steps.push(step(SessionKind::Search, 0, 2, measured(Finding::Undecided, 0.1)));
        let text = document(&record).to_string();
        let says = "1111111 does not build; the end of what cargo said: error: no luck.";
        assert!(text.contains(says), "{text}");
        assert!(text.contains("Next: a larger --budget or more --max-pairs may tell"), "{text}");
        let says = "cannot tell which: one of 3 commits (1111111, 2222222, 3333333) made a slower, +21.0 % [+20.0 %, +22.0 %] \
                    against 0000000; those between could not be told";
        assert_eq!(text.lines().last(), Some(says));
    }

    /// The conclusion where the first session came to this.
    fn concluded(finding: Finding, share: f64) -> Document {
        let ends = step(SessionKind::Ends, 0, 1, measured(finding, share));
        document(&BisectRecord { steps: vec![ends], ..BisectRecord::new(asked(1, 2)) })
    }

    #[test]
    fn nothing_to_find_and_nothing_told_are_two_things() {
        let nothing = concluded(Finding::Same, 0.0);
        let says = "nothing to find: a did not get slower from 0000000 to 1111111";
        assert_eq!((nothing.conclusion.as_deref(), nothing.verdict), (Some(says), Some(Verdict::Held)));
        let not_told = concluded(Finding::Undecided, 0.03);
        let says = "cannot tell whether a got slower from 0000000 to 1111111: undecided; take a larger --budget or more \
                    --max-pairs";
        assert_eq!(
            (not_told.conclusion.as_deref(), not_told.verdict),
            (Some(says), Some(Verdict::Untrusted))
        );
    }

    #[test]
    fn a_subject_cannot_rule_the_terminal_or_fill_it() {
        let mut record = found();
        record.asked.line[2].subject = format!("\u{1b}[2J{}", "x".repeat(100));
        let text = document(&record).to_string();
        assert!(text.contains(r"\u{1b}[2Jxxx") && !text.contains('\u{1b}'), "{text}");
        assert!(text.contains("x...") && !text.contains(&"x".repeat(51)), "{text}");
    }

    #[test]
    fn whoever_watches_gets_a_line_a_step() {
        let record = found();
        assert_eq!(step_line(&record, &record.steps[1]), "1111111: not slower, +0.0 % [-1.0 %, +1.0 %]");
        let same = step(SessionKind::Search, 0, 2, StepOutcome::SameBuild { place: 1 });
        assert_eq!(step_line(&record, &same), "2222222: not slower, same build as 1111111");
    }
}
