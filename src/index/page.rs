//! The index, made of what was found in a folder.

use crate::document::{Document, Link, Part};
use crate::units::printable;
use crate::verdict::Verdict;

/// A page, or a report without one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct IndexEntry {
    /// What was measured.
    pub what: String,
    /// What it came to; none of what judges nothing.
    pub verdict: Option<Verdict>,
    /// The same in a sentence.
    pub conclusion: Option<String>,
    /// When (RFC 3339, UTC).
    pub made_at: String,
    /// Its file in the folder.
    pub file: String,
}

/// The entries, newest first.
pub(super) fn index_page(mut entries: Vec<IndexEntry>) -> Document {
    // Of one time, in the order of their names: the index of a folder is the same each time.
    entries.sort_by(|a, b| b.made_at.cmp(&a.made_at).then_with(|| a.file.cmp(&b.file)));
    let mut page = Document::new("Reports");
    page.conclusion = Some(counted(&entries));
    // A link an entry, with all that is told of it: a cell of a table leads nowhere.
    for entry in entries {
        page.parts.push(Part::Link(Link { text: text(&entry), path: entry.file }));
    }
    page
}

/// How many there are, and how many of them held.
fn counted(entries: &[IndexEntry]) -> String {
    let mut held = 0;
    let mut missed = 0;
    let mut untrusted = 0;
    for entry in entries {
        match entry.verdict {
            Some(Verdict::Held) => held += 1,
            Some(Verdict::Missed) => missed += 1,
            Some(Verdict::Untrusted) => untrusted += 1,
            None => {}
        }
    }
    let reports =
        if entries.len() == 1 { "1 report".to_owned() } else { format!("{} reports", entries.len()) };
    format!("{reports}: {held} held, {missed} missed, {untrusted} not to be trusted")
}

/// When, what, and what it came to. The names and sentences stand in files, which may say anything.
fn text(entry: &IndexEntry) -> String {
    let verdict = match entry.verdict {
        Some(Verdict::Held) => "held",
        Some(Verdict::Missed) => "MISSED",
        Some(Verdict::Untrusted) => "not to be trusted",
        None => "no verdict",
    };
    let mut text = format!("{}: {}: {verdict}", when(&entry.made_at), entry.what);
    if let Some(conclusion) = &entry.conclusion {
        text += &format!(" ({conclusion})");
    }
    printable(&text)
}

/// A time to the second.
fn when(made_at: &str) -> String {
    // 2026-11-26T17:24:11, of what goes on to microseconds.
    match made_at.get(..19) {
        Some(to_the_second) => format!("{} UTC", to_the_second.replace('T', " ")),
        None => made_at.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(file: &str, made_at: &str, verdict: Option<Verdict>) -> IndexEntry {
        IndexEntry {
            what: format!("load of {file}"),
            verdict,
            conclusion: None,
            made_at: made_at.to_owned(),
            file: file.to_owned(),
        }
    }

    #[test]
    fn the_newest_is_first_and_says_what_it_came_to() {
        let mut missed = entry("b.html", "2026-11-26T17:24:11.000000+00:00", Some(Verdict::Missed));
        missed.conclusion = Some("FAILED: \u{1b}nothing succeeded".to_owned());
        let page = index_page(vec![
            entry("a.html", "2026-11-25T17:24:11.000000+00:00", Some(Verdict::Held)),
            missed,
            entry("c.html", "2026-11-26T17:24:12.000000+00:00", None),
        ]);
        let mut links = Vec::new();
        for part in &page.parts {
            let Part::Link(link) = part else { panic!("has links only") };
            links.push([link.path.as_str(), link.text.as_str()]);
        }
        let expected = [
            ["c.html", "2026-11-26 17:24:12 UTC: load of c.html: no verdict"],
            ["b.html", r"2026-11-26 17:24:11 UTC: load of b.html: MISSED (FAILED: \u{1b}nothing succeeded)"],
            ["a.html", "2026-11-25 17:24:11 UTC: load of a.html: held"],
        ];
        assert_eq!(links, expected);
        let counted = "3 reports: 1 held, 1 missed, 0 not to be trusted";
        assert_eq!(page.conclusion.as_deref(), Some(counted));
    }

    #[test]
    fn a_time_that_is_not_one_is_shown_as_it_is() {
        assert_eq!(when("yesterday"), "yesterday");
        // Cut in the middle of a character, it would be no text.
        assert_eq!(when("2026-11-26T17:24:1é"), "2026-11-26T17:24:1é");
    }
}
