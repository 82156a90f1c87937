//! A session on disk: `slices.json` holds all that was measured; `verdict.json`, `summary.md` and `gate.html` follow from it.
//! Where a case got slower, `explanation.json` holds what explains it, and there is a flame graph of it.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use serde::Serialize;

use super::accepted::Accepted;
use super::counters::Counters;
use super::difference::Difference;
use super::lock::Lock;
use super::page::{GateLinks, gate_page, interrupted_page};
use super::parts::ExplanationRecord;
use super::print::{identical_document, verdict_document};
use super::record::{Block, IdenticalRecord, Record, SCHEMA_VERSION};
use super::verdict::SessionVerdict;
use super::why::Why;
use crate::document::{Format, Link};
use crate::error::Error;
use crate::files::{read_limited, remove, write_json, write_text};
use crate::units::{hex, printable};

const SLICES: &str = "slices.json";
pub(crate) const VERDICT: &str = "verdict.json";
const SUMMARY: &str = "summary.md";
const EXPLANATION: &str = "explanation.json";
/// The page of a session.
pub(crate) const GATE_PAGE: &str = "gate.html";
/// In place of the slices, where both builds are the same and nothing was measured.
const IDENTICAL: &str = "identical.json";
/// What the names of the files of a case that was explained end with: the flame graph, and what it was made of.
const OF_A_CASE: [&str; 3] = [".diff.svg", ".base.folded", ".head.folded"];
/// Characters of a case's id that its files are named by at most.
const LONGEST_NAME: usize = 100;
const COPIES: &str = "arms";
/// Not the name of the lock of all that is built, which may lie in the same folder.
const LOCK: &str = "report.lock";
/// Largest record that is read, in bytes: a hundred times an ordinary one.
const MAX_BYTES: u64 = 256 << 20;

/// The folder that a session is written to, locked for as long as this lives.
#[derive(Debug)]
pub struct Report {
    dir: PathBuf,
    _lock: Lock,
}

impl Report {
    /// Makes the folder, locks it, and removes what an earlier session left in it: should this one fail, an old
    /// verdict must not be taken for its own. Where nothing can be written to the folder, this fails before anything
    /// is measured.
    pub fn begin(dir: &Path) -> Result<Self, Error> {
        // Workers are told of folders below it, and look for them from elsewhere.
        let dir = &std::path::absolute(dir).map_err(|e| Error::file(dir, "find", e))?;
        let lock = Lock::take(dir, LOCK)?;
        for file in [SLICES, VERDICT, SUMMARY, EXPLANATION, IDENTICAL, GATE_PAGE] {
            remove(&dir.join(file))?;
        }
        for entry in std::fs::read_dir(dir).map_err(|e| Error::file(dir, "list", e))?.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if OF_A_CASE.iter().any(|ending| name.ends_with(ending)) {
                remove(&entry.path())?;
            }
        }
        Ok(Self { dir: dir.to_owned(), _lock: lock })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A folder for the copies of executables that a session starts.
    pub fn copies(&self) -> PathBuf {
        self.dir.join(COPIES)
    }

    /// Writes the record, with its checksum.
    pub fn save_record(&self, record: &Record) -> Result<(), Error> {
        let mut sealed = record.clone();
        sealed.checksum = checksum(record);
        write_text(&self.dir.join(SLICES), &(text(&sealed) + "\n"))
    }

    /// Writes the verdict on a record, its summary and its page; all with the reasons for it, if there are any yet.
    pub fn save_verdict(&self, record: &Record, verdict: &SessionVerdict, why: &Why) -> Result<(), Error> {
        write_json(&self.dir.join(VERDICT), &VerdictWithWhy { verdict, why })?;
        let document = verdict_document(record, verdict, why);
        write_text(&self.dir.join(SUMMARY), &document.render(Format::Markdown))?;
        let page = gate_page(record, verdict, why, self.links(why));
        write_text(&self.dir.join(GATE_PAGE), &page.render(Format::Html))
    }

    /// Writes the page of a session that was interrupted, and has no verdict.
    pub fn save_interrupted(&self, record: &Record) -> Result<(), Error> {
        let page = interrupted_page(record, self.files());
        write_text(&self.dir.join(GATE_PAGE), &page.render(Format::Html))
    }

    /// From the page to the files beside it, and to the flame graphs of the cases that were explained.
    fn links(&self, why: &Why) -> GateLinks {
        let mut pictures = Vec::new();
        for explanation in &why.explanations {
            let [ending, ..] = OF_A_CASE;
            let file = format!("{}{ending}", file_name(&explanation.case));
            let text = format!("Differential flame graph of {}", printable(&explanation.case));
            pictures.extend(self.link(&text, &file));
        }
        GateLinks { pictures, files: self.files() }
    }

    fn files(&self) -> Vec<Link> {
        let mut files = Vec::new();
        files.extend(self.link("All slices, for gate --replay", SLICES));
        files.extend(self.link("Verdict, for programs", VERDICT));
        files.extend(self.link("Summary, for a pull request", SUMMARY));
        files.extend(self.link("What explains it, pair by pair", EXPLANATION));
        files
    }

    /// A link to a file of this folder, if it is there.
    fn link(&self, text: &str, file: &str) -> Option<Link> {
        if !self.dir.join(file).exists() {
            return None;
        }
        Some(Link { text: text.to_owned(), path: file.to_owned() })
    }

    /// Writes what explains the slower cases of a session.
    pub fn save_explanation(&self, record: &Record, explanation: &ExplanationRecord) -> Result<(), Error> {
        let sealed = ExplanationRecord { session: checksum(record), ..explanation.clone() };
        let text = serde_json::to_string(&sealed).expect("an explanation has only texts and whole numbers");
        write_text(&self.dir.join(EXPLANATION), &(text + "\n"))
    }

    /// Writes both profiles of a case, and their difference as a flame graph. Nothing where nothing was sampled.
    pub fn save_difference(&self, difference: &Difference<'_>) -> Result<Option<DifferenceFiles>, Error> {
        let Some(picture) = difference.svg() else { return Ok(None) };
        let name = file_name(difference.case);
        let [svg, base, head] = OF_A_CASE.map(|ending| self.dir.join(format!("{name}{ending}")));
        write_text(&base, difference.base.folded)?;
        write_text(&head, difference.head.folded)?;
        write_text(&svg, &picture)?;
        Ok(Some(DifferenceFiles { svg, base, head }))
    }

    /// Writes the verdict on two identical builds, and which they are.
    pub fn save_identical(&self, sentence: &str, identical: &IdenticalRecord) -> Result<(), Error> {
        write_json(&self.dir.join(IDENTICAL), identical)?;
        write_json(&self.dir.join(VERDICT), &SessionVerdict::identical())?;
        let document = identical_document(sentence);
        write_text(&self.dir.join(SUMMARY), &document.render(Format::Markdown))?;
        write_text(&self.dir.join(GATE_PAGE), &document.render(Format::Html))
    }
}

/// The files of a case whose profiles were compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DifferenceFiles {
    /// The differential flame graph.
    pub svg: PathBuf,
    /// The folded stacks of base.
    pub base: PathBuf,
    /// The folded stacks of head.
    pub head: PathBuf,
}

/// `verdict.json`: the verdict, and behind it why cases got slower.
#[derive(Serialize)]
struct VerdictWithWhy<'a> {
    #[serde(flatten)]
    verdict: &'a SessionVerdict,
    #[serde(flatten)]
    why: &'a Why,
}

/// The id of a case as the name of a file. Ids come from workers, and must lead to no other folder.
fn file_name(case: &str) -> String {
    let mut name = String::new();
    for character in case.chars().take(LONGEST_NAME) {
        let is_plain = character.is_ascii_alphanumeric() || matches!(character, '-' | '.' | '_');
        name.push(if is_plain { character } else { '_' });
    }
    name
}

fn text(record: &Record) -> String {
    serde_json::to_string(record).expect("a record has only texts and finite numbers")
}

/// SHA-256 of the record without its checksum, hex. Not a signature: it notices what was cut or lost, not who wrote it.
fn checksum(record: &Record) -> String {
    let unsealed = Record { checksum: String::new(), ..record.clone() };
    hex(digest::digest(&digest::SHA256, text(&unsealed).as_bytes()).as_ref())
}

/// Reads a record that can be judged.
pub fn load_record(dir: &Path) -> Result<Record, Error> {
    let path = dir.join(SLICES);
    let text = read_limited(&path, MAX_BYTES)?;
    // The message may quote the file, which may hold control characters.
    let record: Record =
        serde_json::from_str(&text).map_err(|e| Error::malformed(&path, printable(&e.to_string())))?;
    record.check().map_err(|problem| Error::malformed(&path, problem))?;
    Ok(record)
}

/// Reads which builds were found to be the same, if the session in this folder ended so.
pub fn load_identical(dir: &Path) -> Result<Option<IdenticalRecord>, Error> {
    let path = dir.join(IDENTICAL);
    if !path.exists() {
        return Ok(None);
    }
    let text = read_limited(&path, MAX_BYTES)?;
    let identical: IdenticalRecord =
        serde_json::from_str(&text).map_err(|e| Error::malformed(&path, printable(&e.to_string())))?;
    if identical.schema_version != SCHEMA_VERSION {
        let problem = format!("has version {}, and {SCHEMA_VERSION} is understood", identical.schema_version);
        return Err(Error::malformed(&path, problem));
    }
    Ok(Some(identical))
}

/// Whether a folder holds a session that has ended: slices, or two builds that are the same.
pub fn has_session(dir: &Path) -> bool {
    dir.join(SLICES).exists() || dir.join(IDENTICAL).exists()
}

/// Reads what explains the slower cases of this record, which was read from the same folder. Nothing where none was
/// explained.
pub fn load_explanation(dir: &Path, record: &Record) -> Result<Option<ExplanationRecord>, Error> {
    let path = dir.join(EXPLANATION);
    if !path.exists() {
        return Ok(None);
    }
    let text = read_limited(&path, MAX_BYTES)?;
    let explanation: ExplanationRecord =
        serde_json::from_str(&text).map_err(|e| Error::malformed(&path, printable(&e.to_string())))?;
    explanation.check(&checksum(record)).map_err(|problem| Error::malformed(&path, printable(&problem)))?;
    Ok(Some(explanation))
}

impl Record {
    /// An error where the record cannot be judged.
    fn check(&self) -> Result<(), String> {
        if self.schema_version != SCHEMA_VERSION {
            return Err(format!("has version {}, and {SCHEMA_VERSION} is understood", self.schema_version));
        }
        if self.checksum != checksum(self) {
            return Err(
                "its checksum is not that of its content: it was changed after it was written".to_owned()
            );
        }
        // Its cases may have different numbers of pairs, which the test cannot compare.
        if self.partial {
            return Err("the session was interrupted; a part of it has no verdict".to_owned());
        }
        // What follows is not left to the checksum: whoever changes a record by hand can compute that as well.
        self.plan.check().map_err(|e| e.to_string())?;
        if let Some(problem) = self.counters.as_ref().and_then(Counters::problem) {
            return Err(problem);
        }
        if let Some(problem) = self.accepted.as_ref().and_then(Accepted::problem) {
            return Err(problem);
        }
        let pairs = self.numbers.len();
        if pairs < self.plan.pairs {
            return Err(format!("has {pairs} pairs, and {} were planned", self.plan.pairs));
        }
        // The budget that a case would need is computed from it.
        if let Some(case) = self.cases.iter().find(|case| case.block_ns == 0) {
            return Err(format!("{}: a block of it takes no time", case.id));
        }
        for case in self.cases.iter().filter(|case| !case.too_slow) {
            let id = &case.id;
            if case.pairs.len() != pairs || case.pairs.iter().any(|pair| pair.blocks.is_empty()) {
                return Err(format!("{id}: does not have blocks in each of {pairs} pairs"));
            }
            // Ratios and logarithms of such values would be infinite, and sums overflow.
            let sound = case.pairs.iter().flat_map(|pair| &pair.blocks).all(Block::is_sound);
            if case.iters == 0 || !sound || case.threshold < self.plan.margin {
                return Err(format!(
                    "{id}: has no iterations, a slice of no time, a block without an arm, or a threshold below the margin"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::accepted::AcceptedSlowdown;
    use super::super::difference::SampledArm;
    use super::super::explanation::Explanation;
    use super::super::explanation::tests::slower_hash;
    use super::super::fake::{self, Trait, session};
    use super::super::parts::CaseTimes;
    use super::super::schedule::Role;
    use super::super::verdict::judge;
    use super::*;

    fn stored() -> (tempfile::TempDir, Record) {
        let dir = tempfile::tempdir().expect("makes one");
        let record = session(&fake::plan(1), &["a", "b"], &[Trait::Quiet]);
        Report::begin(dir.path()).expect("is free").save_record(&record).expect("writes");
        (dir, record)
    }

    /// Stores a record with this checksum, whether right or wrong, and returns the error of loading it.
    fn load_error(dir: &Path, record: &Record, checksum: String) -> String {
        let stored = Record { checksum, ..record.clone() };
        write_text(&dir.join(SLICES), &text(&stored)).expect("writes");
        load_record(dir).expect_err("was changed").to_string()
    }

    /// The reason why a record that was changed, with a checksum that is right, cannot be judged.
    fn refused(record: &Record, change: impl FnOnce(&mut Record)) -> String {
        let mut changed = record.clone();
        change(&mut changed);
        changed.checksum = checksum(&changed);
        changed.check().expect_err("was changed")
    }

    #[test]
    fn what_was_stored_is_read_back_to_the_last_digit() {
        let (dir, record) = stored();
        let read = load_record(dir.path()).expect("reads");
        assert_eq!(Record { checksum: String::new(), ..read }, record);
    }

    #[test]
    fn cut_pairs_and_cases_that_were_left_out_are_noticed() {
        let (dir, record) = stored();
        let original = checksum(&record);

        let mut fewer_cases = record.clone();
        fewer_cases.cases.pop();
        let error = load_error(dir.path(), &fewer_cases, original.clone());
        assert!(error.contains("its checksum is not that of its content"), "{error}");

        let mut fewer_pairs = record.clone();
        fewer_pairs.cases[0].pairs.pop();
        let error = load_error(dir.path(), &fewer_pairs, original);
        assert!(error.contains("its checksum"), "{error}");
        // Even with a checksum that was computed anew.
        let error = load_error(dir.path(), &fewer_pairs, checksum(&fewer_pairs));
        assert!(error.contains("a: does not have blocks in each of 10 pairs"), "{error}");

        let mut cut = record.clone();
        cut.numbers.pop();
        for case in &mut cut.cases {
            case.pairs.pop();
        }
        let error = load_error(dir.path(), &cut, checksum(&cut));
        assert!(error.contains("has 9 pairs, and 10 were planned"), "{error}");
    }

    #[test]
    fn what_could_not_have_been_measured_is_refused_by_name() {
        let (_dir, record) = stored();
        assert_eq!(refused(&record, |r| r.schema_version = 7), "has version 7, and 3 is understood");
        assert!(refused(&record, |r| r.partial = true).contains("the session was interrupted"));
        assert!(refused(&record, |r| r.plan.pairs = 3).contains("--pairs: 3 is not from"));
        let unsound = "a: has no iterations, a slice of no time";
        assert!(refused(&record, |r| r.cases[0].iters = 0).contains(unsound));
        assert!(refused(&record, |r| r.cases[0].pairs[4].blocks[1].values[2] = 0).contains(unsound));
        assert!(refused(&record, |r| r.cases[0].pairs[4].blocks[1].waited_ns[5] = 0).contains(unsound));
        assert!(
            refused(&record, |r| r.cases[0].pairs[4].blocks[1].order = [Role::Base; 3]).contains(unsound)
        );
        assert!(refused(&record, |r| r.cases[0].threshold = 0.001).contains(unsound));
        assert!(
            refused(&record, |r| r.cases[0].pairs[4].blocks.clear()).contains("blocks in each of 10 pairs")
        );
    }

    #[test]
    fn counts_are_stored_and_a_record_without_them_is_read() {
        let (dir, record) = stored();
        // As gates before this field wrote it: without the key, and with a checksum of that.
        assert!(!text(&record).contains("counters"));
        let counters =
            Counters { show: 0.01, fail: 0.05, notes: vec!["none".to_owned()], counts: Vec::new() };
        let counted = Record { counters: Some(counters), ..record.clone() };
        assert_ne!(checksum(&counted), checksum(&record));
        let stored = Record { checksum: checksum(&counted), ..counted.clone() };
        write_text(&dir.path().join(SLICES), &text(&stored)).expect("writes");
        assert_eq!(load_record(dir.path()).expect("reads").counters, counted.counters);
        let says = refused(&counted, |r| r.counters.as_mut().expect("has some").fail = 1e9);
        assert!(says.contains("counters: limits that are no shares"), "{says}");
    }

    #[test]
    fn which_builds_were_the_same_is_read_back_and_goes_with_the_session() {
        let dir = tempfile::tempdir().expect("makes one");
        assert_eq!(load_identical(dir.path()).expect("there is none"), None);
        assert!(!has_session(dir.path()));
        let identical = IdenticalRecord {
            schema_version: SCHEMA_VERSION,
            made_at: "2026-11-26T14:00:00+00:00".to_owned(),
            base_commit: Some("0".repeat(40)),
            head_commit: Some("1".repeat(40)),
            environment: serde_json::Value::Null,
        };
        let report = Report::begin(dir.path()).expect("is free");
        report.save_identical("They are the same.", &identical).expect("writes");
        assert_eq!(load_identical(dir.path()).expect("reads"), Some(identical.clone()));
        assert!(has_session(dir.path()));
        report
            .save_identical("They are the same.", &IdenticalRecord { schema_version: 7, ..identical })
            .expect("writes");
        let error = load_identical(dir.path()).expect_err("is another version").to_string();
        assert!(error.contains("identical.json: has version 7, and 3 is understood"), "{error}");
        drop(report);
        drop(Report::begin(dir.path()).expect("is free"));
        assert!(!has_session(dir.path()), "the next session begins without it");
    }

    #[test]
    fn what_was_accepted_is_stored_and_a_record_without_it_is_read() {
        let (_dir, record) = stored();
        // As gates before these fields wrote it.
        assert!(!text(&record).contains("accepted\":") && !text(&record).contains("commit"));
        let slowdown = AcceptedSlowdown {
            case: "a".to_owned(),
            up_to: 0.04,
            left: 0.04,
            until: "2026-12-24".parse().expect("is a day"),
            why: "it verifies checksums".to_owned(),
        };
        let accepted = Accepted { on: "2026-11-26".parse().expect("is a day"), slowdowns: vec![slowdown] };
        let accepting = Record { accepted: Some(accepted), ..record };
        assert!(text(&accepting).contains(r#""accepted":{"on":"2026-11-26","slowdowns":[{"case":"a""#));
        let says = refused(&accepting, |r| r.accepted.as_mut().expect("has some").slowdowns[0].left = 0.5);
        assert!(says.contains("more is left than was accepted"), "{says}");
    }

    #[test]
    fn an_explanation_belongs_to_its_session_and_goes_with_it() {
        let (dir, record) = stored();
        assert_eq!(load_explanation(dir.path(), &record).expect("there is none"), None);
        let report = Report::begin(dir.path()).expect("is free");
        report.save_record(&record).expect("writes");
        let problems = vec!["base cannot tell".to_owned()];
        let explanation = ExplanationRecord { problems, ..ExplanationRecord::empty() };
        report.save_explanation(&record, &explanation).expect("writes");
        let read = load_record(dir.path()).expect("reads");
        let found = load_explanation(dir.path(), &read).expect("reads").expect("is there");
        assert_eq!(found, ExplanationRecord { session: checksum(&record), ..explanation });

        let other = session(&fake::plan(2), &["a", "b"], &[Trait::Quiet]);
        let error = load_explanation(dir.path(), &other).expect_err("is another session's").to_string();
        assert!(error.contains("explanation.json: explains another session"), "{error}");
        std::fs::write(dir.path().join(EXPLANATION), "{}").expect("writes");
        assert!(load_explanation(dir.path(), &read).is_err());
        drop(report);
        drop(Report::begin(dir.path()).expect("is free"));
        assert!(!dir.path().join(EXPLANATION).exists(), "the next session begins without it");
    }

    #[test]
    fn files_of_an_explained_case_go_with_the_session() {
        let dir = tempfile::tempdir().expect("makes one");
        let report = Report::begin(dir.path()).expect("is free");
        let base = SampledArm { name: "old", folded: "stub;hash 10\n", operations: 1 };
        let head = SampledArm { name: "new", folded: "stub;hash 20\n", operations: 1 };
        let files = report.save_difference(&Difference { case: "../a/1 KB", base, head }).expect("writes");
        let files = files.expect("has stacks");
        assert!(files.svg == dir.path().join(".._a_1_KB.diff.svg") && files.svg.exists(), "{files:?}");
        assert_eq!(std::fs::read_to_string(&files.base).expect("is there"), "stub;hash 10\n");
        let folded = std::fs::read_to_string(dir.path().join(".._a_1_KB.head.folded")).expect("is there");
        assert_eq!(folded, "stub;hash 20\n");
        let nothing = SampledArm { folded: "", ..head };
        let files = report.save_difference(&Difference { case: "b", base, head: nothing }).expect("is fine");
        assert_eq!(files, None);
        std::fs::write(dir.path().join("mine.svg"), "").expect("writes");
        drop(report);
        drop(Report::begin(dir.path()).expect("is free"));
        let mut left = Vec::new();
        for entry in dir.path().read_dir().expect("can be listed") {
            left.push(entry.expect("reads").file_name());
        }
        left.sort();
        assert_eq!(left, ["mine.svg", LOCK]);
    }

    #[test]
    fn a_verdict_without_reasons_is_stored_as_it_was() {
        let (dir, record) = stored();
        let verdict = judge(&record);
        let report = Report::begin(dir.path()).expect("is free");
        report.save_verdict(&record, &verdict, &Why::default()).expect("writes");
        let path = dir.path().join(VERDICT);
        let plain = std::fs::read_to_string(&path).expect("is there");
        assert_eq!(plain, serde_json::to_string_pretty(&verdict).expect("serialises") + "\n");
        let why = Why { problems: vec!["base cannot tell".to_owned()], ..Why::default() };
        report.save_verdict(&record, &verdict, &why).expect("writes");
        let text = std::fs::read_to_string(&path).expect("is there");
        let with: serde_json::Value = serde_json::from_str(&text).expect("is JSON");
        assert_eq!(with["not_explained"][0], "base cannot tell");
        assert_eq!(with["conclusion"], "pass");
        assert!(with["explanations"].is_null(), "{with}");
    }

    #[test]
    fn the_page_leads_to_what_is_there_and_goes_with_the_session() {
        let dir = tempfile::tempdir().expect("makes one");
        let report = Report::begin(dir.path()).expect("is free");
        let record = session(&fake::plan(1), &["a/1"], &[Trait::Quiet]);
        report.save_record(&record).expect("writes");
        report.save_interrupted(&record).expect("writes");
        let page = std::fs::read_to_string(dir.path().join(GATE_PAGE)).expect("is there");
        assert!(page.contains("PARTIAL (interrupted)") && !page.contains(VERDICT), "{page}");

        let verdict = judge(&record);
        let explanation = Explanation::of(&CaseTimes { id: "a/1".to_owned(), ..slower_hash() }, None, 1);
        let explanations = vec![explanation.expect("has ten pairs")];
        let why = Why { explanations, ..Why::default() };
        report.save_verdict(&record, &verdict, &why).expect("writes");
        assert_eq!(report.links(&why).pictures, [], "there is no picture yet");
        std::fs::write(dir.path().join("a_1.diff.svg"), "").expect("writes");
        let pictures = report.links(&why).pictures;
        assert_eq!(pictures.len(), 1);
        assert_eq!(pictures[0].path, "a_1.diff.svg");
        let files: Vec<String> = report.files().into_iter().map(|link| link.path).collect();
        assert_eq!(files, [SLICES, VERDICT, SUMMARY]);
        assert!(dir.path().join(GATE_PAGE).exists());
        drop(report);
        drop(Report::begin(dir.path()).expect("is free"));
        assert!(!dir.path().join(GATE_PAGE).exists(), "the next session begins without it");
    }

    #[test]
    fn two_gates_do_not_write_to_one_folder() {
        let dir = tempfile::tempdir().expect("makes one");
        let _first = Report::begin(dir.path()).expect("is free");
        let error = Report::begin(dir.path()).expect_err("is taken").to_string();
        assert!(error.contains("another gate"), "{error}");
    }
}
