//! The tables of a document as CSV (RFC 4180, with lines that end in LF).

use super::table::Table;
use super::{Document, Part};

/// Every table with its header; a blank line between two.
pub fn render(document: &Document) -> String {
    let mut tables = Vec::new();
    for part in &document.parts {
        if let Part::Table(table) = part {
            tables.push(write(table));
        }
    }
    tables.join("\n")
}

fn write(table: &Table) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in std::iter::once(&table.header).chain(&table.rows) {
        writer.write_record(row).expect("a buffer in memory takes everything");
    }
    let bytes = writer.into_inner().expect("a buffer in memory takes everything");
    String::from_utf8(bytes).expect("cells are texts")
}
