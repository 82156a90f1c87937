//! What `floor` found, as it is written, and as it is told.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::document::Document;
use crate::machine::Environment;

use super::ratio::{self, Ratio};

/// The name of this bench.
pub const GROUP: &str = "floor";
/// Version of the keys below; it rises when one of them changes its meaning.
const SCHEMA_VERSION: u32 = 2;

/// `floor.json`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    schema_version: u32,
    /// Whether it ended before all was compared.
    pub partial: bool,
    /// What was compared.
    pub ratios: Vec<Ratio>,
    /// Where.
    pub environment: Environment,
}

impl Floor {
    pub fn new(partial: bool, ratios: Vec<Ratio>, environment: Environment) -> Self {
        Self { schema_version: SCHEMA_VERSION, partial, ratios, environment }
    }

    /// The file in a folder of reports.
    pub fn path(report_dir: &Path) -> PathBuf {
        report_dir.join(format!("{GROUP}.json"))
    }

    /// Reads one. `None` where the text is not one of this version.
    pub fn parse(text: &str) -> Option<Self> {
        // The keys of another version may mean something else.
        let floor: Self = serde_json::from_str(text).ok()?;
        if floor.schema_version == SCHEMA_VERSION { Some(floor) } else { None }
    }
}

/// What is to be said of these ratios, which are in this file too.
pub fn floor_document(ratios: &[Ratio], path: &Path) -> Document {
    let mut document = Document::new("Lower bounds");
    document.table(ratio::table(ratios));
    document.gap();
    document.line(format!("Report: {}", path.display()));
    document.gap();
    document
}
