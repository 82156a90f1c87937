//! A session on disk: `slices.json` holds all that was measured; `verdict.json` and `summary.md` follow from it.

use std::path::Path;

use super::print::markdown;
use super::record::{Record, SCHEMA_VERSION};
use super::verdict::Verdict;
use crate::error::Error;
use crate::files::{read_limited, write_json, write_text};

/// The name of the record's file.
pub const SLICES: &str = "slices.json";
/// Largest record that is read: a hundred times an ordinary one.
const MAX_BYTES: u64 = 256 << 20;

/// Writes the record.
pub fn save_record(dir: &Path, record: &Record) -> Result<(), Error> {
    let text = serde_json::to_string(record).expect("a record has only texts and finite numbers");
    write_text(&dir.join(SLICES), &(text + "\n"))
}

/// Writes what follows from it.
pub fn save_verdict(dir: &Path, record: &Record, verdict: &Verdict) -> Result<(), Error> {
    write_json(&dir.join("verdict.json"), verdict)?;
    write_text(&dir.join("summary.md"), &markdown(record, verdict))
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
                return Err(format!(
                    "{}: has {} pairs with blocks, not {}",
                    case.id,
                    case.pairs.len(),
                    self.plan.pairs
                ));
            }
            if !sound || !case.fail_over.is_finite() {
                return Err(format!("{}: a block has a slice of no time, or lacks an arm", case.id));
            }
        }
        Ok(())
    }
}
