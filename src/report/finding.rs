//! Something that stands out in a run, for whoever reads its report.

use serde::Serialize;

/// Something that stands out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What, with its figures.
    pub what: String,
    /// Why it may be so.
    pub likely: &'static str,
    /// Where to look.
    pub look_at: &'static str,
}
