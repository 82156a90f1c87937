//! Documents as Markdown (GitHub's, which has tables).

use std::fmt::Write as _;

use super::table::Table;
use super::{Document, Part};

/// A space of no width, between two characters that would mean something together.
// GitHub and GitLab look for names and numbers in what is shown, where an escaped `@` is one again.
const APART: &str = "&#8203;";

/// The conclusion as the heading, what it is about, and the parts.
pub fn render(document: &Document) -> String {
    let mut out = String::new();
    let title = escaped(&document.title);
    // Writing to a string cannot fail.
    let _ = match &document.conclusion {
        Some(conclusion) => writeln!(out, "### {title}: {}\n", escaped(conclusion)),
        None => writeln!(out, "### {title}\n"),
    };
    if let Some(about) = &document.about {
        let _ = writeln!(out, "{}\n", escaped(about));
    }
    for part in &document.parts {
        match part {
            Part::Table(table) => {
                // Right below an item of a list, a table would be text of that item; and a line below a table a row.
                end_block(&mut out);
                write_table(&mut out, table);
                end_block(&mut out);
            }
            Part::Line(line) => {
                let _ = writeln!(out, "* {}", escaped(line.trim_start()));
            }
            Part::Gap => end_block(&mut out),
            Part::Section(_) | Part::Chart(_) | Part::Link(_) => {}
        }
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// Ends what was written with an empty line, unless there is one.
fn end_block(out: &mut String) {
    if !out.ends_with("\n\n") {
        out.push('\n');
    }
}

/// Ids in the first column are set as code.
fn write_table(out: &mut String, table: &Table) {
    let header: Vec<String> = table.header.iter().map(|cell| escaped(cell)).collect();
    let _ = writeln!(out, "| {} |\n|{}", header.join(" | "), " --- |".repeat(header.len()));
    for row in &table.rows {
        let (id, figures) = row.split_first().expect("a table has a first column");
        let figures: Vec<String> = figures.iter().map(|cell| escaped(cell)).collect();
        let _ = writeln!(out, "| {} | {} |", code(id.trim()), figures.join(" | "));
    }
}

/// A cell set as code. One that has a backtick is text: no fence would hold it in a table.
fn code(cell: &str) -> String {
    if cell.is_empty() || cell.contains(['`', '|', '\n', '\r']) { escaped(cell) } else { format!("`{cell}`") }
}

/// A text that means nothing but itself: what a service or a file says must not become a link, an image, a mention, the number
/// of an issue or the end of a cell in somebody's pull request.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let next = characters.peek();
        match character {
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            '@' | '#' => {
                escaped.push(character);
                escaped.push_str(APART);
            }
            // That of an address, which would become a link without any brackets.
            ':' if next == Some(&'/') => escaped.push_str("\\:"),
            '\n' | '\r' => escaped.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' => {
                escaped.push('\\');
                escaped.push(character);
            }
            _ => escaped.push(character),
        }
    }
    escaped
}
