//! `--export`: what is printed, in a file too, in a form of choice.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::Error;
use crate::document::{Document, Format};
use crate::files::{check_folder, write_text};

/// Where a document goes besides standard output.
#[derive(clap::Args)]
pub struct ExportArgs {
    /// Write what is printed to a file too: as text, markdown, csv (its tables), json, html (a page with charts) or junit
    /// (what had to hold, as tests); can be given several times
    #[arg(long = "export", value_name = "FORMAT=FILE", value_parser = export)]
    exports: Vec<Export>,
}

#[derive(Debug, Clone)]
struct Export {
    format: Format,
    path: PathBuf,
}

impl ExportArgs {
    /// Whether no file is asked for.
    pub fn is_empty(&self) -> bool {
        self.exports.is_empty()
    }

    /// An error where a file could not be written, which is better said before measuring than after it.
    pub fn check(&self) -> Result<(), Error> {
        for Export { path, .. } in &self.exports {
            // A name alone is one in this folder.
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            check_folder(folder.unwrap_or_else(|| Path::new(".")))?;
        }
        Ok(())
    }

    /// Writes the files, and prints whatever became of them.
    pub fn write(&self, document: &Document) -> Result<(), Error> {
        self.write_with_page(document, document)
    }

    /// The same of what has a page of its own, which is made for another reader than what is printed.
    pub fn write_with_page(&self, document: &Document, page: &Document) -> Result<(), Error> {
        // Files first: a table that nobody reads must not cost them.
        let mut written = Ok(());
        for Export { format, path } in &self.exports {
            let exported = if *format == Format::Html { page } else { document };
            written = written.and(write_text(path, &exported.render(*format)));
        }
        let printed = write!(io::stdout().lock(), "{document}").map_err(Error::Output);
        written.and(printed)
    }
}

fn export(text: &str) -> Result<Export, String> {
    let (format, path) = text
        .split_once('=')
        .filter(|(_, path)| !path.is_empty())
        .ok_or("write a format and a file, like markdown=gate.md")?;
    let format = format.parse().map_err(|e| format!("{e}"))?;
    Ok(Export { format, path: path.into() })
}
