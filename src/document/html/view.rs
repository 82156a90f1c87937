//! A document as the templates take it: everything numbered, grouped and decided, so that a template only writes.

use serde::Serialize;

use super::super::svg::{Drawing, LegendEntry, draw};
use super::super::{Chart, Document, Link, Part, Section, Table};
use super::link::address;
use crate::verdict::Verdict;

/// A page with more sections than this has a table of contents.
const FEW_SECTIONS: usize = 3;
/// A cell with more characters than this is prose: it may break into lines.
const LONGEST_FIGURE: usize = 40;
/// There is no heading below h6.
const DEEPEST: usize = 6;

/// What the main element of a page shows.
#[derive(Serialize)]
pub(super) struct MainView<'a> {
    title: &'a str,
    verdict: Option<VerdictView>,
    conclusion: Option<&'a str>,
    about: Option<&'a str>,
    /// Empty where there are few sections.
    contents: Vec<ContentsEntry>,
    parts: Vec<PartView>,
}

/// A verdict in words, with a sign and a class: colour alone would not be seen by everybody.
#[derive(Serialize)]
struct VerdictView {
    class: &'static str,
    sign: &'static str,
    words: &'static str,
}

/// A line of the table of contents.
#[derive(Serialize)]
struct ContentsEntry {
    id: String,
    heading: String,
}

/// A part of a page.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum PartView {
    Lines { lines: Vec<String> },
    Table(TableView),
    Section(SectionView),
    Chart(ChartView),
    Links { links: Vec<LinkView> },
}

#[derive(Serialize)]
struct TableView {
    id: String,
    caption: String,
    /// Whether the caption is for those only who do not see that the table is one.
    caption_is_hidden: bool,
    header: Vec<String>,
    rows: Vec<RowView>,
}

#[derive(Serialize)]
struct RowView {
    name: String,
    cells: Vec<CellView>,
}

#[derive(Serialize)]
struct CellView {
    text: String,
    is_prose: bool,
}

#[derive(Serialize)]
struct SectionView {
    id: String,
    /// Level of the heading: 2 for h2.
    level: usize,
    heading: String,
    parts: Vec<PartView>,
}

#[derive(Serialize)]
struct ChartView {
    id: String,
    title: String,
    svg: String,
    legend: Vec<LegendView>,
    /// Notes and the table, as parts that are folded away. Empty where there is no figure.
    numbers: Vec<PartView>,
}

#[derive(Serialize)]
struct LegendView {
    swatch: String,
    name: String,
}

#[derive(Serialize)]
struct LinkView {
    text: String,
    /// None for a path that leads away from the page: it is shown, and leads nowhere.
    address: Option<String>,
    path: String,
}

impl<'a> MainView<'a> {
    /// The view of a document.
    pub(super) fn of(document: &'a Document) -> Self {
        let parts = Numbering::default().parts(&document.parts, 2);
        Self {
            title: &document.title,
            verdict: document.verdict.map(VerdictView::of),
            conclusion: document.conclusion.as_deref(),
            about: document.about.as_deref(),
            contents: contents(&parts),
            parts,
        }
    }
}

impl VerdictView {
    fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Held => Self { class: "held", sign: "✓", words: "Held" },
            Verdict::Missed => Self { class: "missed", sign: "✗", words: "Missed" },
            Verdict::Untrusted => Self { class: "untrusted", sign: "?", words: "Not to be trusted" },
        }
    }
}

/// The sections of the page, if there are more than a few.
fn contents(parts: &[PartView]) -> Vec<ContentsEntry> {
    let mut entries = Vec::new();
    for part in parts {
        if let PartView::Section(SectionView { id, heading, .. }) = part {
            entries.push(ContentsEntry { id: id.clone(), heading: heading.clone() });
        }
    }
    if entries.len() <= FEW_SECTIONS {
        entries.clear();
    }
    entries
}

/// Numbers what needs an id: in the order of the page, so that an id never depends on what a text says.
#[derive(Default)]
struct Numbering {
    sections: usize,
    charts: usize,
    tables: usize,
}

impl Numbering {
    /// The parts of a page or of a section, whose own sections have headings of this level.
    fn parts(&mut self, parts: &[Part], level: usize) -> Vec<PartView> {
        let mut views = Vec::new();
        // Lines and links that follow each other belong together.
        let mut lines: Vec<String> = Vec::new();
        let mut links: Vec<LinkView> = Vec::new();
        for part in parts {
            // Whatever is not a link ends a list of links.
            if !matches!(part, Part::Link(_)) {
                end_links(&mut views, &mut links);
            }
            match part {
                Part::Line(line) => lines.push(line.clone()),
                Part::Gap => end_lines(&mut views, &mut lines),
                Part::Link(link) => {
                    end_lines(&mut views, &mut lines);
                    links.push(link_view(link));
                }
                Part::Table(table) => {
                    // Taken from the lines first, as it must not stand above the table twice.
                    let caption = caption_of(&mut lines);
                    end_lines(&mut views, &mut lines);
                    views.push(self.table(table, caption));
                }
                Part::Chart(chart) => {
                    end_lines(&mut views, &mut lines);
                    views.push(self.chart(chart));
                }
                Part::Section(section) => {
                    end_lines(&mut views, &mut lines);
                    views.push(self.section(section, level));
                }
            }
        }
        end_lines(&mut views, &mut lines);
        end_links(&mut views, &mut links);
        views
    }

    fn section(&mut self, section: &Section, level: usize) -> PartView {
        self.sections += 1;
        // Before its parts, so that numbers rise down the page.
        let id = format!("section-{}", self.sections);
        let parts = self.parts(&section.parts, level + 1);
        let heading = section.heading.clone();
        PartView::Section(SectionView { id, level: level.min(DEEPEST), heading, parts })
    }

    fn table(&mut self, table: &Table, caption: Option<String>) -> PartView {
        self.tables += 1;
        let caption_is_hidden = caption.is_none();
        let mut rows = Vec::with_capacity(table.rows.len());
        for row in &table.rows {
            rows.push(row_view(row));
        }
        PartView::Table(TableView {
            id: format!("table-{}", self.tables),
            // A table without a name cannot be told from others in a list of tables.
            caption: caption.unwrap_or_else(|| format!("Table {}", self.tables)),
            caption_is_hidden,
            header: table.header.clone(),
            rows,
        })
    }

    fn chart(&mut self, chart: &Chart) -> PartView {
        self.charts += 1;
        let id = format!("chart-{}", self.charts);
        let Drawing { svg, legend, mut notes, numbers } = draw(chart, &id);
        let mut folded = Vec::new();
        // A chart without points says so where the drawing would be.
        if !numbers.is_empty() {
            end_lines(&mut folded, &mut notes);
            folded.push(self.table(&numbers, Some(format!("Figures of \"{}\"", chart.title))));
        }
        PartView::Chart(ChartView {
            id,
            title: chart.title.clone(),
            svg,
            legend: legend.into_iter().map(legend_view).collect(),
            numbers: folded,
        })
    }
}

/// The last line, if it announces the table that follows it.
fn caption_of(lines: &mut Vec<String>) -> Option<String> {
    let line = lines.pop_if(|line| line.ends_with(':'))?;
    Some(line.trim_end_matches(':').to_owned())
}

fn end_lines(views: &mut Vec<PartView>, lines: &mut Vec<String>) {
    if !lines.is_empty() {
        views.push(PartView::Lines { lines: std::mem::take(lines) });
    }
}

fn end_links(views: &mut Vec<PartView>, links: &mut Vec<LinkView>) {
    if !links.is_empty() {
        views.push(PartView::Links { links: std::mem::take(links) });
    }
}

fn row_view(row: &[String]) -> RowView {
    let (name, cells) = row.split_first().expect("a table has a first column");
    let mut views = Vec::with_capacity(cells.len());
    for cell in cells {
        views.push(CellView { text: cell.clone(), is_prose: cell.chars().count() > LONGEST_FIGURE });
    }
    RowView { name: name.clone(), cells: views }
}

fn link_view(link: &Link) -> LinkView {
    LinkView { text: link.text.clone(), address: address(&link.path), path: link.path.clone() }
}

fn legend_view(entry: LegendEntry) -> LegendView {
    LegendView { swatch: entry.swatch, name: entry.name }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What the template gets.
    fn view(document: &Document) -> Value {
        serde_json::to_value(MainView::of(document)).expect("a view has only texts and numbers")
    }

    fn table() -> Table {
        let mut table = Table::new(["case", "p99"]);
        table.row(["jwt", "1 ms"]);
        table
    }

    #[test]
    fn lines_that_follow_each_other_are_a_group() {
        let mut document = Document::new("Load");
        document.line("one");
        document.line("  two");
        document.gap();
        document.line("three");
        let parts = &view(&document)["parts"];
        let expected =
            json!([{"kind": "lines", "lines": ["one", "  two"]}, {"kind": "lines", "lines": ["three"]}]);
        assert_eq!(*parts, expected);
    }

    #[test]
    fn a_line_that_announces_a_table_is_its_caption() {
        let mut document = Document::new("Load");
        document.line("Note.");
        document.line("In the service, by size:");
        document.table(table());
        document.table(table());
        let parts = &view(&document)["parts"];
        assert_eq!(parts[0]["lines"], json!(["Note."]));
        assert_eq!(
            (&parts[1]["caption"], &parts[1]["caption_is_hidden"]),
            (&json!("In the service, by size"), &json!(false))
        );
        assert_eq!((&parts[2]["caption"], &parts[2]["caption_is_hidden"]), (&json!("Table 2"), &json!(true)));
    }

    #[test]
    fn only_a_page_with_many_sections_has_contents() {
        let mut document = Document::new("Load");
        for heading in ["a", "b", "c"] {
            document.section(heading, vec![Part::Line("text".to_owned())]);
        }
        assert_eq!(view(&document)["contents"], json!([]));
        let inner = Section { heading: "inner".to_owned(), parts: vec![Part::Line("text".to_owned())] };
        document.section("d", vec![Part::Section(inner)]);
        let view = view(&document);
        assert_eq!(view["contents"][3], json!({"id": "section-4", "heading": "d"}));
        let section = &view["parts"][3];
        assert_eq!((&section["level"], &section["parts"][0]["level"]), (&json!(2), &json!(3)));
        assert_eq!(section["parts"][0]["id"], "section-5");
    }

    #[test]
    fn long_cells_are_prose() {
        let mut document = Document::new("Load");
        let mut table = Table::new(["case", "first error"]);
        table.row(["jwt".to_owned(), "x".repeat(41)]);
        table.row(["jwt".to_owned(), "x".repeat(40)]);
        document.table(table);
        let rows = &view(&document)["parts"][0]["rows"];
        assert_eq!(
            (&rows[0]["cells"][0]["is_prose"], &rows[1]["cells"][0]["is_prose"]),
            (&json!(true), &json!(false))
        );
    }

    #[test]
    fn a_link_that_leads_elsewhere_has_no_address() {
        let mut document = Document::new("Load");
        for path in ["flame graph.svg", "https://host/"] {
            document.parts.push(Part::Link(Link { text: "More".to_owned(), path: path.to_owned() }));
        }
        let links = &view(&document)["parts"][0]["links"];
        assert_eq!((&links[0]["address"], &links[1]["address"]), (&json!("flame%20graph.svg"), &Value::Null));
    }
}
