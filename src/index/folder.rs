//! Looks for reports and pages in a folder. What is not one of this program's is passed over: a folder may hold anything.

use std::path::Path;

use time::OffsetDateTime;

use super::page::IndexEntry;
use super::stored::Stored;
use super::{BENCH_PAGE, COMPARISON_PAGE};
use crate::error::Error;
use crate::files::read_limited;
use crate::leak;
use crate::load::RECORD;
use crate::lockstep;
use crate::units::rfc3339;
use crate::verdict::Verdict;

/// Largest report that is read, in bytes: that of a load of a day, with all of its seconds.
const MAX_BYTES: u64 = 64 << 20;

/// What is in a folder.
pub(super) fn entries(folder: &Path) -> Result<Vec<IndexEntry>, Error> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::file(folder, "list", e))?.flatten() {
        // Names of ours are plain.
        names.extend(entry.file_name().into_string().ok());
    }
    // A folder lists its files in any order.
    names.sort();
    let mut entries = Vec::new();
    let mut of_benches = Vec::new();
    for name in names {
        if name == COMPARISON_PAGE {
            entries.push(comparison(folder));
        }
        let Some(stored) = read(folder, &name) else { continue };
        // Told together, once all of them are known.
        if stored.is_of_a_bench {
            of_benches.push(stored);
            continue;
        }
        entries.push(entry(folder, &name, stored));
    }
    entries.extend(benches(folder, of_benches));
    Ok(entries)
}

/// What the file of this name says of itself. `None` where it is not a report.
fn read(folder: &Path, name: &str) -> Option<Stored> {
    // The record of a load lies beside its report, and is large.
    if !name.ends_with(".json") || name.ends_with(RECORD) {
        return None;
    }
    // Also what cannot be read, and what is no plain file, is somebody else's.
    let text = read_limited(&folder.join(name), MAX_BYTES).ok()?;
    match name {
        leak::REPORT => Stored::of_leak(&text),
        lockstep::VERDICT => Stored::of_gate(&text),
        _ => Stored::of_operation(&text),
    }
}

/// The entry of a report, which leads to its page if it has one.
fn entry(folder: &Path, name: &str, stored: Stored) -> IndexEntry {
    let page = match name {
        lockstep::VERDICT => lockstep::GATE_PAGE.to_owned(),
        _ => format!("{}.html", name.trim_end_matches(".json")),
    };
    IndexEntry {
        what: stored.what,
        verdict: Some(stored.verdict),
        conclusion: stored.conclusion,
        made_at: stored.made_at.unwrap_or_else(|| modified(&folder.join(name))),
        file: if folder.join(&page).exists() { page } else { name.to_owned() },
    }
}

/// The one entry of all cases of benches. `None` where there are none, or no page of them.
fn benches(folder: &Path, stored: Vec<Stored>) -> Option<IndexEntry> {
    if stored.is_empty() || !folder.join(BENCH_PAGE).exists() {
        return None;
    }
    let mut names = Vec::new();
    let mut newest = String::new();
    for one in &stored {
        names.push(one.what.as_str());
        // Times of one form, and all in UTC, are in the order of their texts.
        newest = newest.max(one.made_at.clone().unwrap_or_default());
    }
    Some(IndexEntry {
        what: format!("benches: {}", names.join(", ")),
        verdict: Some(Verdict::worst(stored.iter().map(|one| one.verdict))),
        conclusion: None,
        made_at: newest,
        file: BENCH_PAGE.to_owned(),
    })
}

fn comparison(folder: &Path) -> IndexEntry {
    IndexEntry {
        what: "comparison of two runs".to_owned(),
        verdict: None,
        conclusion: None,
        made_at: modified(&folder.join(COMPARISON_PAGE)),
        file: COMPARISON_PAGE.to_owned(),
    }
}

/// When a file was written, for what does not say so itself. Where the system does not tell, it is the oldest of all.
fn modified(path: &Path) -> String {
    let modified = path.metadata().and_then(|metadata| metadata.modified());
    modified.map_or_else(|_| String::new(), |time| rfc3339(OffsetDateTime::from(time)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A report of this operation, of a bench or of a load.
    fn report(operation: &str, load: &str) -> String {
        format!(
            r#"{{"operation": "{operation}", "successful_requests": 1, "partial": false, "targets": [],
                "environment": {{"ingester": "stub", "made_at": "2026-11-26T17:24:11.000000+00:00"}}{load}}}"#
        )
    }

    const OF_A_LOAD: &str =
        r#", "load": {"verdict": "missed", "conclusion": "FAILED", "health": {"problems": []}}"#;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("makes one");
        for (name, text) in files {
            fs::write(dir.path().join(name), text).expect("writes");
        }
        dir
    }

    fn found(dir: &tempfile::TempDir) -> Vec<IndexEntry> {
        entries(dir.path()).expect("can be listed")
    }

    #[test]
    fn reports_lead_to_their_pages() {
        let load = report("peak", OF_A_LOAD);
        let dir = folder(&[
            ("peak.json", &load),
            ("peak.html", ""),
            ("peak.run.json", &load),
            ("pageless.json", &load),
            ("compare.html", ""),
            ("verdict.json", r#"{"conclusion": "pass"}"#),
            ("gate.html", ""),
        ]);
        let found = found(&dir);
        let files: Vec<&str> = found.iter().map(|entry| entry.file.as_str()).collect();
        assert_eq!(files, ["compare.html", "pageless.json", "peak.html", "gate.html"]);
        assert_eq!(found[2].verdict, Some(Verdict::Missed));
        assert_eq!(found[2].what, "load \"peak\" against stub");
        // Of its file, as the verdict of a gate has no time.
        assert!(found[3].made_at.starts_with("20"), "{found:?}");
    }

    #[test]
    fn all_benches_share_one_page() {
        let small = report("small", "");
        let large = report("large", "").replace("\"successful_requests\": 1", "\"successful_requests\": 0");
        let dir = folder(&[("small.json", &small), ("large.json", &large)]);
        assert_eq!(found(&dir), [], "there is no page to lead to");
        fs::write(dir.path().join(BENCH_PAGE), "").expect("writes");
        let found = found(&dir);
        let [benches] = &found[..] else { panic!("is one entry") };
        assert_eq!(
            (benches.what.as_str(), benches.verdict),
            ("benches: large, small", Some(Verdict::Missed))
        );
        assert_eq!(benches.file, BENCH_PAGE);
    }

    #[test]
    fn what_is_not_ours_is_passed_over() {
        let dir = folder(&[
            ("broken.json", "{"),
            ("other.json", "{\"a\": 1}"),
            ("leak.json", "[]"),
            ("verdict.json", "{\"conclusion\": \"guilty\"}"),
            ("page.html", "<html>"),
            ("notes.txt", "mine"),
        ]);
        fs::create_dir(dir.path().join("folder.json")).expect("makes it");
        assert_eq!(found(&dir), []);
    }

    #[test]
    #[cfg(unix)]
    fn a_pipe_or_a_link_in_a_circle_is_not_waited_for() {
        let dir = folder(&[]);
        std::os::unix::fs::symlink("circle.json", dir.path().join("circle.json")).expect("links");
        let pipe = dir.path().join("pipe.json");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo exists");
        assert!(made.success());
        assert_eq!(found(&dir), []);
    }
}
