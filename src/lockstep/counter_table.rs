//! Exact counters as parts of the verdict's document.

use super::counters::{CountFinding, CounterVerdict, Counters};
use super::finding::Finding;
use super::verdict::SessionVerdict;
use crate::document::{Document, Table};
use crate::units::{Share, change, grouped, printable};

/// What stands where there is no value.
const NONE: &str = "-";

/// Adds the table, if anything was counted.
pub(super) fn add_counters(document: &mut Document, verdict: &SessionVerdict) {
    if verdict.counters.is_empty() {
        return;
    }
    let mut table = Table::new(["case", "counter", "base", "head", "difference", "change", "verdict"]);
    for counter in &verdict.counters {
        table.row(row(counter));
    }
    document.gap();
    document.line("Exact counters, of one iteration:");
    document.table(table);
}

fn row(counter: &CounterVerdict) -> [String; 7] {
    let difference = match (counter.base, counter.head) {
        (Some(base), Some(head)) => signed(head - base),
        _ => NONE.to_owned(),
    };
    [
        printable(&counter.case),
        counter.measure.to_string(),
        value(counter.base),
        value(counter.head),
        difference,
        counter.change.map_or_else(|| NONE.to_owned(), change),
        label(counter.finding).to_owned(),
    ]
}

/// Both counts, and by how much they differ.
pub(super) fn both_counts(counter: &CounterVerdict) -> String {
    let base = value(counter.base);
    let head = value(counter.head);
    match counter.change {
        Some(share) => format!("{base} in base, {head} in head ({})", change(share)),
        None => format!("{base} in base, {head} in head"),
    }
}

/// A count of one iteration: a whole number as such, as most are.
fn value(count: Option<f64>) -> String {
    match count {
        None => NONE.to_owned(),
        Some(count) if count.fract() == 0.0 => grouped(count as u64),
        Some(count) => format!("{count:.2}"),
    }
}

fn signed(difference: f64) -> String {
    let size = value(Some(difference.abs()));
    if difference > 0.0 {
        format!("+{size}")
    } else if difference < 0.0 {
        format!("-{size}")
    } else {
        size
    }
}

fn label(finding: CountFinding) -> &'static str {
    match finding {
        CountFinding::Risen => "MORE",
        CountFinding::More => "more",
        CountFinding::Fewer => "fewer",
        CountFinding::Within => "about the same",
        CountFinding::Equal => "equal",
        CountFinding::NotExact => "not exact",
        CountFinding::Missing => "missing in head",
        CountFinding::OnlyInHead => "only in head",
    }
}

/// What a reader has to know of the counters, a sentence each.
pub(super) fn remarks_on_counters(counters: &Counters, verdict: &SessionVerdict) -> Vec<String> {
    let mut remarks: Vec<String> =
        counters.notes.iter().map(|note| format!("Note: {}.", printable(note))).collect();
    remarks.extend(equal_where_time_does_not_decide(verdict));
    let not_exact = names(verdict, CountFinding::NotExact);
    if !not_exact.is_empty() {
        remarks
            .push(format!("Not exact, as two counts of one build differ, and so not judged: {not_exact}."));
    }
    if !verdict.counters.is_empty() {
        remarks.push(format!(
            "Counters: MORE is a rise of more than {}, more and fewer are changes of more than {}.",
            Share(counters.fail),
            Share(counters.show)
        ));
    }
    remarks
}

/// The cases on which time does not decide, and whose counters are all equal.
fn equal_where_time_does_not_decide(verdict: &SessionVerdict) -> Option<String> {
    let mut equal = Vec::new();
    let mut measures: Vec<String> = Vec::new();
    for case in &verdict.cases {
        let is_decided = !matches!(case.finding, Finding::Undecided | Finding::Untrusted | Finding::TooSlow);
        let counters: Vec<&CounterVerdict> =
            verdict.counters.iter().filter(|counter| counter.case == case.id).collect();
        let all_equal = counters.iter().all(|counter| counter.finding == CountFinding::Equal);
        // `all` holds for no counters too, and they say nothing of a case.
        if is_decided || counters.is_empty() || !all_equal {
            continue;
        }
        equal.push(case.id.as_str());
        for counter in counters {
            let measure = counter.measure.to_string();
            if !measures.contains(&measure) {
                measures.push(measure);
            }
        }
    }
    if equal.is_empty() {
        return None;
    }
    Some(format!(
        "Not decided by time, but the counters are equal ({}): {}.",
        measures.join(", "),
        printable(&equal.join(", "))
    ))
}

/// Ids of the cases that have a counter with this finding.
pub(super) fn cases(verdict: &SessionVerdict, finding: CountFinding) -> String {
    let mut ids: Vec<&str> = Vec::new();
    for counter in verdict.counters.iter().filter(|counter| counter.finding == finding) {
        if !ids.contains(&counter.case.as_str()) {
            ids.push(&counter.case);
        }
    }
    printable(&ids.join(", "))
}

/// The counters with this finding, by case.
pub(super) fn names(verdict: &SessionVerdict, finding: CountFinding) -> String {
    let mut names = Vec::new();
    for counter in verdict.counters.iter().filter(|counter| counter.finding == finding) {
        names.push(format!("{} {}", printable(&counter.case), counter.measure));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::counters::CountRecord;
    use super::super::fake::{self, Trait, session};
    use super::super::measure::Measure;
    use super::super::print::verdict_document;
    use super::super::record::Record;
    use super::super::schedule::Role;
    use super::super::verdict::judge;
    use super::super::why::Why;
    use super::*;
    use crate::document::Format;
    use crate::verdict::Verdict;

    fn count(case: &str, base: u64, head: u64) -> CountRecord {
        CountRecord {
            case: case.to_owned(),
            measure: Measure::Count("allocations".to_owned()),
            iterations: 20,
            tolerance: 0.0,
            base: vec![base, base],
            head: vec![head, head],
        }
    }

    /// A session with these traits, in which these counts were made.
    fn counted(traits: &[Trait], counts: Vec<CountRecord>) -> Record {
        let counters = Counters { show: 0.01, fail: 0.05, notes: Vec::new(), counts };
        Record { counters: Some(counters), ..session(&fake::plan(1), &["a", "b"], traits) }
    }

    fn printed(record: &Record) -> String {
        verdict_document(record, &judge(record), &Why::default()).render(Format::Text)
    }

    #[test]
    fn a_row_has_both_counts_of_an_iteration_and_their_difference() {
        // 1160 and 1180 in 20 iterations; 1 more than 58 is 1.7 %.
        let record = counted(&[Trait::Quiet], vec![count("a", 1160, 1180)]);
        let text = printed(&record);
        let row = text.lines().find(|line| line.contains("allocations")).expect("has a row");
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(cells, ["a", "allocations", "58", "59", "+1", "+1.7", "%", "more"]);
        // Shown, and no failure.
        assert_eq!(judge(&record).conclusion, Verdict::Held);
        let says = "Counters: MORE is a rise of more than 5 %, more and fewer are changes of more than 1 %.";
        assert!(text.contains(says), "{text}");
    }

    #[test]
    fn a_rise_beyond_the_limit_fails_the_run_and_is_named() {
        let record = counted(&[Trait::Quiet], vec![count("a", 1160, 1240), count("b", 20, 20)]);
        assert_eq!(judge(&record).conclusion, Verdict::Missed);
        assert!(printed(&record).ends_with("FAILED, more: a allocations\n"), "{}", printed(&record));
        // Beside a case that got slower, both are named.
        let slower = counted(&[Trait::Slower(0.05)], vec![count("a", 1160, 1240)]);
        let text = printed(&slower);
        assert!(text.ends_with("FAILED, slower: a, b; more: a allocations\n"), "{text}");
        // Where the session is not to be trusted, the count alone is proved.
        let mut verdict = judge(&slower);
        verdict.distrust.push("no coin decided that".to_owned());
        let text = verdict_document(&slower, &verdict, &Why::default()).render(Format::Text);
        assert!(text.ends_with("FAILED, more: a allocations\n"), "{text}");
    }

    #[test]
    fn counters_that_head_lacks_are_no_pass() {
        let lost = CountRecord { head: Vec::new(), ..count("a", 1160, 0) };
        let record = counted(&[Trait::Quiet], vec![lost]);
        assert_eq!(judge(&record).conclusion, Verdict::Untrusted);
        let says = "inconclusive: counters missing in head: a; --no-counters leaves them out\n";
        assert!(printed(&record).ends_with(says), "{}", printed(&record));
    }

    #[test]
    fn equal_counters_are_said_where_time_does_not_decide_and_decide_nothing() {
        let restless = [Trait::Restless(Role::Head, 0.1)];
        let record = counted(&restless, vec![count("a", 1160, 1160), count("b", 20, 21)]);
        assert_eq!(judge(&record).conclusion, Verdict::Untrusted);
        let says = "Not decided by time, but the counters are equal (allocations): a.";
        assert!(printed(&record).contains(says), "{}", printed(&record));
        let decided = counted(&[Trait::Quiet], vec![count("a", 1160, 1160)]);
        assert!(!printed(&decided).contains("Not decided by time"), "{}", printed(&decided));
    }

    #[test]
    fn what_was_not_counted_is_a_note() {
        let mut record = counted(&[Trait::Quiet], Vec::new());
        record.counters.as_mut().expect("has some").notes.push("base has no counters\u{1b}".to_owned());
        let text = printed(&record);
        assert!(text.contains(r"Note: base has no counters\u{1b}."), "{text}");
        assert!(!text.contains("Exact counters"), "{text}");
    }

    #[test]
    fn a_count_that_is_no_whole_number_has_two_decimals() {
        assert_eq!([Some(2.5), Some(1_234_567.0), None].map(value), ["2.50", "1,234,567", "-"]);
        assert_eq!([1.0, -2.5, 0.0].map(signed), ["+1", "-2.50", "0"]);
    }
}
