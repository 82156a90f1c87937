//! Documents as Markdown (GitHub's, which has tables).

use std::fmt::Write as _;

use super::table::Table;
use super::{Document, Part};

/// The conclusion as the heading, what it is about, and the parts.
pub fn render(document: &Document) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = match &document.conclusion {
        Some(conclusion) => writeln!(out, "### {}: {conclusion}\n", document.title),
        None => writeln!(out, "### {}\n", document.title),
    };
    if let Some(about) = &document.about {
        let _ = writeln!(out, "{about}\n");
    }
    for part in &document.parts {
        match part {
            Part::Table(table) => write_table(&mut out, table),
            Part::Line(line) => {
                let _ = writeln!(out, "* {}", line.trim_start());
            }
            Part::Gap => out.push('\n'),
        }
    }
    out
}

/// Ids in the first column are set as code, figures are aligned right.
fn write_table(out: &mut String, table: &Table) {
    let _ = writeln!(out, "| {} |", table.header.join(" | "));
    let _ = writeln!(out, "| --- |{}", " ---: |".repeat(table.header.len() - 1));
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
        let (id, figures) = cells.split_first().expect("a table has a first column");
        let _ = writeln!(out, "| `{}` | {} |", id.trim(), figures.join(" | "));
    }
}

/// A cell in which no mark ends it.
fn escaped(cell: &str) -> String {
    cell.replace('|', "\\|").replace('\n', " ")
}
