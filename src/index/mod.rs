//! The pages in a folder of reports, and the index that leads to them.
//!
//! What a report says of itself is read by `stored`; `folder` looks for reports and pages, and `page` makes the index of
//! them. The index is made anew whenever a page is written, from what is in the folder: nothing else is kept.

mod folder;
mod page;
mod stored;

use std::path::Path;

use crate::console::note;
use crate::document::{Document, Format};
use crate::error::Error;
use crate::files::write_text;

/// The index of a folder.
const INDEX: &str = "index.html";
/// The page of all benches.
pub(crate) const BENCH_PAGE: &str = "bench.html";
/// The page of a comparison, which has no report beside it.
pub(crate) const COMPARISON_PAGE: &str = "compare.html";

/// Whether a report of this name would have a page that stands for something else.
pub(crate) fn is_taken(name: &str) -> bool {
    [INDEX, BENCH_PAGE, COMPARISON_PAGE].iter().any(|page| page.strip_suffix(".html") == Some(name))
}

/// Writes a page, and makes the index of its folder anew.
pub(crate) fn save_page(path: &Path, page: &Document) -> Result<(), Error> {
    write_text(path, &page.render(Format::Html))?;
    // A name alone is one in this folder.
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    // It only leads to what can be found without it.
    if let Err(error) = write_index(folder) {
        note(format_args!("The index of all pages is not up to date: {error}"));
    }
    Ok(())
}

fn write_index(folder: &Path) -> Result<(), Error> {
    let entries = folder::entries(folder)?;
    write_text(&folder.join(INDEX), &page::index_page(entries).render(Format::Html))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_pages_of_several_reports_are_taken() {
        assert!(is_taken("index") && is_taken("bench") && is_taken("compare"));
        assert!(!is_taken("load") && !is_taken("index.html"));
    }

    #[test]
    fn a_page_is_in_the_index_of_its_folder() {
        let dir = tempfile::tempdir().expect("makes one");
        let path = dir.path().join("reports").join(COMPARISON_PAGE);
        save_page(&path, &Document::new("Comparison")).expect("writes");
        assert!(path.exists());
        let index = std::fs::read_to_string(dir.path().join("reports").join(INDEX)).expect("is there");
        assert!(index.contains(COMPARISON_PAGE), "{index}");
    }
}
