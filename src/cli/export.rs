//! `--export`: what is printed, in a file too, in a form of choice.

use std::io::{self, Write};
use std::path::PathBuf;

use ingester_perf::Error;
use ingester_perf::document::{Document, Format};
use ingester_perf::files::write_text;

/// Where a document goes besides standard output.
#[derive(clap::Args)]
pub struct ExportArgs {
    /// Write what is printed to a file too: as text, markdown, csv (its tables) or json; can be given several times
    #[arg(long = "export", value_name = "FORMAT=FILE", value_parser = export)]
    exports: Vec<Export>,
}

#[derive(Debug, Clone)]
struct Export {
    format: Format,
    path: PathBuf,
}

impl ExportArgs {
    /// Writes the files, then prints.
    pub fn tell(&self, document: &Document) -> Result<(), Error> {
        // Files first: a table that nobody reads must not cost them.
        for Export { format, path } in &self.exports {
            write_text(path, &document.render(*format))?;
        }
        write!(io::stdout().lock(), "{document}").map_err(Error::Output)
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
