//! A table of texts.

use serde::Serialize;

/// A table: every row has a cell for each column. The first column says what a row is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Table {
    /// What each column is.
    pub header: Vec<String>,
    /// The cells.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new<T: Into<String>>(header: impl IntoIterator<Item = T>) -> Self {
        Self { header: header.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row, which has a cell for every column.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        assert_eq!(cells.len(), self.header.len(), "a row has as many cells as the header");
        self.rows.push(cells);
    }

    /// The table as CSV (RFC 4180, with lines that end in LF). A cell that a spreadsheet would compute has an apostrophe in
    /// front, which makes it a text there.
    pub fn csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in std::iter::once(&self.header).chain(&self.rows) {
            let mut cells = Vec::with_capacity(row.len());
            for cell in row {
                cells.push(if is_formula(cell) { format!("'{cell}") } else { cell.clone() });
            }
            writer.write_record(&cells).expect("a buffer in memory takes everything");
        }
        let bytes = writer.into_inner().expect("a buffer in memory takes everything");
        String::from_utf8(bytes).expect("cells are texts")
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Whether a spreadsheet would take this for a formula, which may read files and open addresses. Names of cases, subjects of
/// commits and what a service says are written by others.
fn is_formula(cell: &str) -> bool {
    let mut characters = cell.chars();
    match characters.next() {
        Some('=' | '@' | '\t' | '\r') => true,
        // Figures have a sign too (`+2.9 % [+1.0 %, +4.8 %]`), and a dash stands for what is not known. None of them has a
        // quote, a bar or an exclamation mark, one of which a formula needs to do harm.
        Some('+' | '-') => {
            let is_figure = characters.next().is_none_or(|next| next.is_ascii_digit());
            !is_figure || cell.contains(['"', '|', '!'])
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spreadsheet_computes_nothing() {
        let mut table = Table::new(["case", "effect", "note"]);
        table.row(["=HYPERLINK(\"http://host/\")", "+2.9 % [+1.0 %, +4.8 %]", "-"]);
        table.row(["@SUM(1)", "-1.5 %", "-cmd|' /C calc'!A0"]);
        let expected = "case,effect,note\n\
                        \"'=HYPERLINK(\"\"http://host/\"\")\",\"+2.9 % [+1.0 %, +4.8 %]\",-\n\
                        '@SUM(1),-1.5 %,'-cmd|' /C calc'!A0\n";
        assert_eq!(table.csv(), expected);
    }
}
