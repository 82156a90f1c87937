//! The file of a history: one entry a line, in JSON, and lines are only ever added.
//!
//! It is kept with the project, or by its CI. Whoever adds has the file to themselves while they do, and writes whole lines in
//! one go and down to the disk. Where a machine went down all the same, the last line may be torn: it is told and skipped, as
//! the lines before it are sound. Whatever else cannot be read ends the command: an entry that is skipped in silence would be
//! a commit that was never measured.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use serde::Deserialize;

use super::entry::{HistoryEntry, SCHEMA_VERSION};
use crate::error::Error;
use crate::files::open_plain;
use crate::units::printable;

/// Largest file that is read: a line of six cases has about 2 KB, so that is a hundred thousand of them.
const MAX_BYTES: u64 = 256 << 20;

/// What a file holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct StoredHistory {
    /// The entries, in the order in which they were added.
    pub entries: Vec<HistoryEntry>,
    /// Numbers of lines that were torn, counted from 1.
    pub torn: Vec<usize>,
}

/// What a line is.
#[derive(Debug, PartialEq)]
enum Line {
    Entry(Box<HistoryEntry>),
    /// The beginning of one.
    Torn,
    Empty,
}

/// Looked at first: in another version the other fields may mean something else.
#[derive(Deserialize)]
struct Version {
    schema_version: u32,
}

/// Reads a file. An error names the line.
pub(crate) fn read_history(path: &Path) -> Result<StoredHistory, Error> {
    if !path.exists() {
        let problem =
            "is not there; add a session of the gate, or reports, to it first: ingester-perf history add";
        return Err(Error::malformed(path, problem));
    }
    let bytes = read_all(path, &mut open_plain(path)?)?;
    parse(&bytes).map_err(|problem| Error::malformed(path, problem))
}

/// Adds entries to a file, which is made if need be. Returns what was in it before.
pub(crate) fn append(path: &Path, entries: &[HistoryEntry]) -> Result<StoredHistory, Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(folder).map_err(|e| Error::file(path, "write", e))?;
    // A pipe or a device is refused before it is opened.
    let is_new = !path.exists();
    if !is_new {
        open_plain(path)?;
    }
    let mut file = File::options()
        .create(true)
        .append(true)
        .read(true)
        .open(path)
        .map_err(|e| Error::file(path, "write", e))?;
    // Until the file is closed. Another one that adds takes a moment, so it is waited for.
    file.lock().map_err(|e| Error::file(path, "lock", e))?;
    let bytes = read_all(path, &mut file)?;
    // What a newer version has written is not added to: it would be read by neither.
    let before = parse(&bytes).map_err(|problem| Error::malformed(path, problem))?;

    let mut text = String::new();
    if bytes.last().is_some_and(|last| *last != b'\n') {
        // A line that was torn must not become the beginning of a sound one.
        text.push('\n');
    }
    for entry in entries {
        text.push_str(&serde_json::to_string(entry).expect("an entry has only texts and finite numbers"));
        text.push('\n');
    }
    file.write_all(text.as_bytes()).map_err(|e| Error::file(path, "write", e))?;
    file.sync_all().map_err(|e| Error::file(path, "write", e))?;
    if is_new {
        // The name of a new file is on the disk once its folder is. Not every system can do that.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    Ok(before)
}

fn read_all(path: &Path, file: &mut File) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    // One byte more than is allowed tells that there is too much.
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|e| Error::file(path, "read", e))?;
    if bytes.len() as u64 > MAX_BYTES {
        let problem = format!("is larger than {MAX_BYTES} bytes, the most that is read of it");
        return Err(Error::malformed(path, problem));
    }
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Result<StoredHistory, String> {
    let mut stored = StoredHistory::default();
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    for (place, line) in lines.iter().enumerate() {
        let number = place + 1;
        // Behind the last newline there is an empty line, or the beginning of one that was to be written.
        let has_no_end = number == lines.len();
        match parse_line(line, has_no_end) {
            Ok(Line::Entry(entry)) => stored.entries.push(*entry),
            Ok(Line::Torn) => stored.torn.push(number),
            Ok(Line::Empty) => {}
            Err(problem) => return Err(format!("line {number}: {}", printable(&problem))),
        }
    }
    Ok(stored)
}

fn parse_line(line: &[u8], has_no_end: bool) -> Result<Line, String> {
    if line.trim_ascii().is_empty() {
        return Ok(Line::Empty);
    }
    let line = without_zeros(line);
    if line.is_empty() {
        return Ok(Line::Torn);
    }
    let version = match serde_json::from_slice::<Version>(line) {
        Ok(Version { schema_version }) => schema_version,
        // Lines are written from their beginning, so a torn one ends before its JSON does.
        Err(e) if e.is_eof() || has_no_end => return Ok(Line::Torn),
        Err(e) => return Err(format!("is not an entry of a history: {e}")),
    };
    if version != SCHEMA_VERSION {
        return Err(format!(
            "has version {version}, and {SCHEMA_VERSION} is understood; use the ingester-perf that wrote it, or a newer one"
        ));
    }
    let entry: HistoryEntry =
        serde_json::from_slice(line).map_err(|e| format!("is not an entry of a history: {e}"))?;
    match entry.problem() {
        Some(problem) => Err(problem),
        None => Ok(Line::Entry(Box::new(entry))),
    }
}

/// The line without the zeros at its end, which a machine that went down may leave in place of what was to be written. They
/// stay there when the next entry gets a line of its own.
fn without_zeros(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &line[..end]
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::{changed, gate, run};
    use super::*;

    /// A folder, and the file of a history in it that is not there yet.
    fn home() -> (tempfile::TempDir, std::path::PathBuf) {
        let home = tempfile::tempdir().expect("makes one");
        let path = home.path().join("baseline/history.jsonl");
        (home, path)
    }

    #[test]
    fn entries_are_read_in_the_order_in_which_they_were_added() {
        let (_home, path) = home();
        let error = read_history(&path).expect_err("there is none").to_string();
        assert!(error.ends_with(
            "is not there; add a session of the gate, or reports, to it first: ingester-perf history add"
        ));
        let entries = [gate(0, 1, vec![changed("a", 0.01)]), run(1, "a", 2.0), gate(1, 2, Vec::new())];
        assert_eq!(append(&path, &entries[..2]).expect("writes"), StoredHistory::default());
        let before = append(&path, &entries[2..]).expect("writes");
        assert_eq!(before.entries, entries[..2]);
        let stored = read_history(&path).expect("reads");
        assert_eq!((stored.entries.as_slice(), stored.torn.len()), (entries.as_slice(), 0));
        assert_eq!(std::fs::read_to_string(&path).expect("is text").lines().count(), 3);
    }

    #[test]
    fn a_torn_line_is_skipped_wherever_it_stands() {
        let (_home, path) = home();
        append(&path, &[gate(0, 1, vec![changed("é", 0.01)]), run(1, "a", 2.0)]).expect("writes");
        let whole = std::fs::read(&path).expect("is there");
        let end_of_first = whole.iter().position(|byte| *byte == b'\n').expect("has lines");
        // Every beginning of the second line, and of the first, where a letter of two bytes is torn too.
        for length in (1..end_of_first).chain(end_of_first + 2..whole.len() - 1) {
            std::fs::write(&path, &whole[..length]).expect("writes");
            let stored = read_history(&path).expect("reads");
            let sound = usize::from(length > end_of_first);
            assert_eq!((stored.entries.len(), &stored.torn[..]), (sound, &[sound + 1][..]), "{length}");
        }
        // Only its newline is missing.
        std::fs::write(&path, &whole[..whole.len() - 1]).expect("writes");
        assert_eq!(read_history(&path).expect("reads").entries.len(), 2);

        // The next entry gets a line of its own.
        std::fs::write(&path, &whole[..end_of_first + 20]).expect("writes");
        append(&path, &[run(2, "a", 3.0)]).expect("writes");
        let stored = read_history(&path).expect("reads");
        assert_eq!((stored.entries.len(), &stored.torn[..]), (2, &[2][..]));
        // Zeros, as some file systems leave them behind a power cut.
        std::fs::write(&path, [&whole[..=end_of_first], &[0; 30]].concat()).expect("writes");
        assert_eq!(read_history(&path).expect("reads").torn, [2]);
        // They stay when something is added, and so does the beginning of an entry in front of them.
        append(&path, &[run(2, "a", 3.0)]).expect("writes");
        let stored = read_history(&path).expect("reads");
        assert_eq!((stored.entries.len(), &stored.torn[..]), (2, &[2][..]));
        let begun = &whole[..end_of_first + 20];
        std::fs::write(&path, [begun, &[0; 30], b"\n"].concat()).expect("writes");
        assert_eq!(read_history(&path).expect("reads").torn, [2]);
    }

    #[test]
    fn what_is_no_entry_and_what_is_newer_is_named_by_its_line() {
        let (_home, path) = home();
        append(&path, &[run(1, "a", 2.0)]).expect("writes");
        let line = std::fs::read_to_string(&path).expect("is there");
        for (second, says) in [
            // What git leaves where two branches have added lines.
            ("<<<<<<< HEAD\n", "line 2: is not an entry of a history: expected value"),
            ("{}\n", "line 2: is not an entry of a history: missing field `schema_version`"),
            (r#"{"schema_version":1}"#, "line 2: is not an entry of a history: missing field"),
            (r#"{"schema_version":2,"commit":7}"#, "line 2: has version 2, and 1 is understood"),
            (&line.replace("\"low_ms\":1.6", "\"low_ms\":-1"), "line 2: a: a latency of it is not above 0"),
        ] {
            let text = format!("{line}{second}");
            std::fs::write(&path, &text).expect("writes");
            let error = read_history(&path).expect_err(says).to_string();
            assert!(error.contains(says), "{error}");
            assert!(append(&path, &[run(2, "a", 1.0)]).is_err());
            assert_eq!(std::fs::read_to_string(&path).expect("is there"), text, "nothing is added");
        }
    }

    #[test]
    fn two_that_add_at_once_lose_nothing() {
        let (_home, path) = home();
        std::thread::scope(|scope| {
            for commit in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    append(path, &[run(commit, "a", 1.0), run(commit, "b", 1.0)]).expect("writes")
                });
            }
        });
        let stored = read_history(&path).expect("reads");
        assert_eq!((stored.entries.len(), stored.torn.len()), (16, 0));
        // What one adds stays together.
        for pair in stored.entries.chunks(2) {
            assert_eq!(pair[0].commit, pair[1].commit);
        }
    }
}
