//! The tables of a document as CSV.

use super::{Document, Part};

/// Every table with its header; an empty line between two.
pub fn render(document: &Document) -> String {
    let mut tables = Vec::new();
    for part in &document.parts {
        if let Part::Table(table) = part {
            tables.push(table.csv());
        }
    }
    tables.join("\n")
}
