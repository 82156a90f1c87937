//! Output as a value: tables, lines, a conclusion. Renderers make text of it, and know nothing of where it came from.

mod chart;
mod check;
mod csv;
mod escape;
pub(crate) mod html;
mod junit;
mod markdown;
mod svg;
mod table;
mod text;

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::verdict::Verdict;

pub use chart::{Axis, Chart, ChartLimit, ChartPoint, ChartSeries, ChartSpan, Drawn, Quantity, Scale};
pub use check::{Check, CheckOutcome};
pub use table::Table;

/// The output of a command.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Document {
    /// Its title.
    pub title: String,
    /// What was measured. Left out on a terminal, where the reader has just typed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// The conclusion, in a sentence: first on a page, last on a terminal, which shows it without scrolling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conclusion: Option<String>,
    /// What the conclusion comes to, if it is one of a measurement. A page shows it in colour and in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// What had to hold, each with how it came out: the tests of a JUnit file. A terminal and a page show them as the tables
    /// among the parts do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// Everything else, in the order in which it is read.
    pub parts: Vec<Part>,
}

/// A part of a document.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Rows and columns.
    Table(Table),
    /// A sentence, or a few words; one of several that belong together.
    Line(String),
    /// An empty line between groups.
    Gap,
    /// What only a page has room for; all other forms but JSON leave it out.
    Section(Section),
    /// A chart; all other forms but pages and JSON leave it out.
    Chart(Chart),
    /// Where more is to be found. On pages only, and in JSON.
    Link(Link),
}

/// A part of a page under a heading of its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Section {
    /// Its heading.
    pub heading: String,
    /// What stands in it.
    pub parts: Vec<Part>,
}

/// A file or a page with more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// What is to be found there.
    pub text: String,
    /// Where, as a path relative to the page.
    pub path: String,
}

/// A form that a document can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For a terminal.
    Text,
    /// For a pull request.
    Markdown,
    /// The tables alone, with cells as they are printed.
    Csv,
    /// For a program.
    Json,
    /// A page with its charts, for a browser.
    Html,
    /// The checks as tests, for a CI.
    Junit,
}

impl Document {
    /// An empty one of this title.
    pub fn new(title: &str) -> Self {
        Self { title: title.to_owned(), ..Self::default() }
    }

    /// Adds a table, unless it has no rows.
    pub fn table(&mut self, table: Table) {
        if !table.is_empty() {
            self.parts.push(Part::Table(table));
        }
    }

    /// Adds a line.
    pub fn line(&mut self, line: impl Into<String>) {
        self.parts.push(Part::Line(line.into()));
    }

    /// Adds several.
    pub fn lines(&mut self, lines: impl IntoIterator<Item = String>) {
        self.parts.extend(lines.into_iter().map(Part::Line));
    }

    /// Adds an empty line between groups. Does nothing at the beginning, or after another one.
    pub fn gap(&mut self) {
        if !matches!(self.parts.last(), None | Some(Part::Gap)) {
            self.parts.push(Part::Gap);
        }
    }

    /// Adds a section of a page, unless there is nothing in it.
    pub fn section(&mut self, heading: &str, parts: Vec<Part>) {
        if !parts.is_empty() {
            self.parts.push(Part::Section(Section { heading: heading.to_owned(), parts }));
        }
    }

    /// The document in this form.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Text => text::render(self),
            Format::Markdown => markdown::render(self),
            Format::Csv => csv::render(self),
            Format::Json => serde_json::to_string_pretty(self).expect("a document has only texts") + "\n",
            Format::Html => html::page(self, None),
            Format::Junit => junit::render(self),
        }
    }
}

impl fmt::Display for Document {
    /// As it is read on a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Format::Text))
    }
}

/// Error for a word that names no form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a valid format; there are text, markdown, csv, json, html and junit")]
pub struct NotAFormat(String);

impl FromStr for Format {
    type Err = NotAFormat;

    fn from_str(name: &str) -> Result<Self, NotAFormat> {
        match name {
            "text" => Ok(Self::Text),
            "markdown" => Ok(Self::Markdown),
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            "html" => Ok(Self::Html),
            "junit" => Ok(Self::Junit),
            _ => Err(NotAFormat(name.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that has everything, and text that means something in each form.
    fn document() -> Document {
        let mut document = Document::new("Gate");
        document.about = Some("new against old".to_owned());
        document.conclusion = Some("passed".to_owned());
        let mut table = Table::new(["case", "effect"]);
        table.row(["a|b", "+1.0 %, or so"]);
        document.gap();
        document.table(table);
        document.gap();
        document.gap();
        document.line("Note: one.");
        document.table(Table::new(["empty"]));
        document
    }

    #[test]
    fn on_a_terminal_the_conclusion_is_last() {
        let expected = " case         effect \n a|b   +1.0 %, or so \n\nNote: one.\n\npassed\n";
        assert_eq!(document().render(Format::Text), expected);
    }

    #[test]
    fn in_a_pull_request_the_conclusion_is_the_heading() {
        let expected = "### Gate: passed\n\nnew against old\n\n| case | effect |\n| --- | --- |\n\
                        | a\\|b | +1.0 %, or so |\n\n* Note: one.\n";
        assert_eq!(document().render(Format::Markdown), expected);
    }

    #[test]
    fn in_markdown_a_table_stands_apart_from_lines() {
        let mut document = Document::new("Load");
        let mut table = Table::new(["case"]);
        table.row(["a"]);
        document.line("one");
        document.table(table);
        document.line("two");
        let expected = "### Load\n\n* one\n\n| case |\n| --- |\n| `a` |  |\n\n* two\n";
        assert_eq!(document.render(Format::Markdown), expected);
    }

    #[test]
    fn what_means_something_in_markdown_is_escaped() {
        let mut document = Document::new("Load");
        document.line("<img src=x> [a](b) `c` *d* e|f\r\ng &lt;");
        // A mention, an issue and a link need no brackets.
        document.line("@team #7 https://host/");
        let expected = "### Load\n\n* &lt;img src=x> \\[a\\](b) \\`c\\` \\*d\\* e\\|f  g &amp;lt;\n\
                        * @&#8203;team #&#8203;7 https\\://host/\n";
        assert_eq!(document.render(Format::Markdown), expected);
    }

    #[test]
    fn a_table_program_gets_the_tables() {
        assert_eq!(document().render(Format::Csv), "case,effect\na|b,\"+1.0 %, or so\"\n");
    }

    #[test]
    fn a_program_gets_all_of_it() {
        let json: serde_json::Value =
            serde_json::from_str(&document().render(Format::Json)).expect("is JSON");
        assert_eq!(json["conclusion"], "passed");
        assert_eq!(json["parts"][0]["table"]["rows"][0][0], "a|b");
        assert_eq!(json["parts"][2]["line"], "Note: one.");
    }

    #[test]
    fn formats_have_names() {
        for name in ["text", "markdown", "csv", "json", "html", "junit"] {
            assert!(name.parse::<Format>().is_ok(), "{name}");
        }
        assert!("pdf".parse::<Format>().expect_err("is none").to_string().contains("markdown"));
    }
}
