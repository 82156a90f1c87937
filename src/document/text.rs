//! Documents as they are read on a terminal.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table as TextTable, presets};

use super::table::Table;
use super::{Document, Part};

/// Parts in their order, and the conclusion last.
pub fn render(document: &Document) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    for part in &document.parts {
        let _ = match part {
            Part::Table(table) => writeln!(out, "{}", lay_out(table)),
            Part::Line(line) => writeln!(out, "{line}"),
            Part::Gap => writeln!(out),
            Part::Section(_) | Part::Chart(_) | Part::Link(_) => Ok(()),
        };
    }
    if let Some(conclusion) = &document.conclusion {
        // A document may end with a gap.
        if !matches!(document.parts.last(), None | Some(Part::Gap)) {
            out.push('\n');
        }
        let _ = writeln!(out, "{conclusion}");
    }
    out
}

/// A table without borders; all columns but the first are aligned right.
fn lay_out(table: &Table) -> TextTable {
    let mut text = TextTable::new();
    text.load_preset(presets::NOTHING).set_header(&table.header);
    for column in text.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    text.add_rows(&table.rows);
    text
}
