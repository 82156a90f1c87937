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

    /// The table as CSV (RFC 4180, with lines that end in LF).
    pub fn csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in std::iter::once(&self.header).chain(&self.rows) {
            writer.write_record(row).expect("a buffer in memory takes everything");
        }
        let bytes = writer.into_inner().expect("a buffer in memory takes everything");
        String::from_utf8(bytes).expect("cells are texts")
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}
