//! `ingester-perf compare`: two saved baselines, or reports, side by side.

use crate::baseline::{Side, changes_document, compare, comparison_page, criterion_home};
use crate::case::Suite;
use crate::config::Config;
use crate::console::note;
use crate::index::{COMPARISON_PAGE, save_page};
use crate::ingester::Settings;
use crate::{Error, Exit};

use super::export::ExportArgs;

const ABOUT: &str = "\
Compare two saved baselines, or reports, side by side.

mean and 5 % are of an iteration where Criterion's samples are there on both sides (under load/, a whole pass), and of \
single operations otherwise; p50, p95 and p99 are of single operations.";

const EXAMPLES: &str = "\
Examples:
  cargo bench -- --save-baseline main       then change something, and
  cargo bench -- --baseline main
  ingester-perf compare main new            new is what Criterion calls the last run

  ingester-perf compare baseline/main.json new
  ingester-perf compare reports/monday reports/tuesday

It also writes a page with charts, compare.html in the folder of reports (INGESTER_REPORT_DIR, or
target/performance_reports).

Whatever it shows, the exit code is 0: it is a look, and no verdict. 2 means that something is missing or broken, 4 that
the two were not measured on the same machine with the same build profile and benchmark source.";

/// The command's arguments.
#[derive(clap::Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub struct Compare {
    /// A saved baseline (new: the last run), a file of `baseline export`, a report, or a folder of reports
    first: String,
    /// What is compared with it
    second: String,
    /// Compare even what was measured on another machine, with another profile, or by other benchmark source
    #[arg(long)]
    even_so: bool,
    #[command(flatten)]
    export: ExportArgs,
}

impl Compare {
    pub fn run(self) -> Result<Exit, Error> {
        let config = Config::find(None)?;
        let suite = config.suite(&Suite::default());
        let home = criterion_home();
        let reports = Settings::of_files()?.report_dir;
        let first = Side::read(&self.first, &suite, &home, &reports)?;
        let second = Side::read(&self.second, &suite, &home, &reports)?;
        // Both sides in the same unit: an iteration of `load/` is a whole pass of a hundred uploads or more.
        let of_iterations = first.has_iterations() && second.has_iterations();
        let comparison = compare(&first.figures(of_iterations), &second.figures(of_iterations));
        let comparison = comparison.map_err(|missing| Error::Setting {
            name: "compare",
            problem: format!("{} and {}: {missing}", first.name, second.name),
        })?;
        if !comparison.incomparable.is_empty() && !self.even_so {
            let why = comparison.incomparable.join("; ");
            note(format_args!(
                "error: {} and {} are not comparable: {why}; --even-so compares them",
                first.name, second.name
            ));
            return Ok(Exit::NotComparable);
        }
        let mut document = changes_document([&first.name, &second.name], &comparison);
        // What the table cannot tell.
        document.gap();
        document.line(
            "Two runs one after the other differ by several percent on a shared machine (docs/noise.md).",
        );
        document.line("Whether a change made it slower is told by ingester-perf gate.");
        let page = comparison_page(&first, &second, &comparison, of_iterations);
        // The table is what was asked for: where the page cannot be written, there is one less to read.
        let path = reports.join(COMPARISON_PAGE);
        match save_page(&path, &page) {
            Ok(()) => note(format_args!("Page: {}", path.display())),
            Err(error) => note(format_args!("There is no page of it: {error}")),
        }
        self.export.write_with_page(&document, &page)?;
        Ok(Exit::Held)
    }
}
