//! A session on disk: `slices.json` holds all that was measured; `verdict.json` and `summary.md` follow from it.

use std::path::Path;

use super::print::markdown;
use super::record::{Record, SCHEMA_VERSION};
use super::verdict::Verdict;
use crate::error::Error;
use crate::files::{read_limited, write_json, write_text};

const SLICES: &str = "slices.json";
const VERDICT: &str = "verdict.json";
const SUMMARY: &str = "summary.md";
/// Largest record that is read: a hundred times an ordinary one.
const MAX_BYTES: u64 = 256 << 20;

/// Makes the folder and removes what an earlier session left in it: should this one fail, no old verdict must stand
/// for it. Better now than after measuring if nothing can be written there.
pub fn clear(dir: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(dir).map_err(|e| Error::file(dir, "make", e))?;
    [SLICES, VERDICT, SUMMARY].iter().try_for_each(|file| remove(&dir.join(file)))
}

/// Writes the record.
pub fn save_record(dir: &Path, record: &Record) -> Result<(), Error> {
    let text = serde_json::to_string(record).expect("a record has only texts and finite numbers");
    write_text(&dir.join(SLICES), &(text + "\n"))
}

/// Writes what follows from it.
pub fn save_verdict(dir: &Path, record: &Record, verdict: &Verdict) -> Result<(), Error> {
    write_json(&dir.join(VERDICT), verdict)?;
    write_text(&dir.join(SUMMARY), &markdown(record, verdict))
}

/// Writes the summary of two identical builds.
pub fn save_identical(dir: &Path, sentence: &str) -> Result<(), Error> {
    write_text(&dir.join(SUMMARY), &format!("### Gate: passed, identical builds\n\n{sentence}\n"))
}

fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound && path.exists() => {
            Err(Error::file(path, "remove", e))
        }
        _ => Ok(()),
    }
}

/// Reads a record that can be judged.
pub fn load_record(dir: &Path) -> Result<Record, Error> {
    let path = dir.join(SLICES);
    let text = read_limited(&path, MAX_BYTES)?;
    let record: Record = serde_json::from_str(&text).map_err(|e| Error::malformed(&path, e))?;
    record.check().map_err(|problem| Error::malformed(&path, problem))?;
    Ok(record)
}

impl Record {
    /// Why it cannot be judged.
    fn check(&self) -> Result<(), String> {
        if self.schema_version != SCHEMA_VERSION {
            return Err(format!("has version {}, and {SCHEMA_VERSION} is understood", self.schema_version));
        }
        if self.partial {
            return Err("the session was interrupted; a part of it has no verdict".to_owned());
        }
        self.plan.check().map_err(|e| e.to_string())?;
        for case in self.cases.iter().filter(|case| !case.too_slow) {
            let blocks = case.pairs.iter().flatten();
            let sound = case.iters > 0 && blocks.clone().all(|block| block.is_sound());
            if case.pairs.len() != self.plan.pairs || case.pairs.iter().any(Vec::is_empty) {
                let (id, pairs) = (&case.id, self.plan.pairs);
                return Err(format!("{id}: does not have blocks in each of {pairs} pairs"));
            }
            if !sound || case.fail_over < self.plan.margin {
                let id = &case.id;
                return Err(format!(
                    "{id}: has no iterations, a slice of no time, a block without an arm, or a threshold below the margin"
                ));
            }
        }
        Ok(())
    }
}
