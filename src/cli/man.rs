//! `ingester-perf man`: what `--help` says, as manual pages.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::console::note;
use crate::files::write_text;
use crate::{Error, Exit};

/// What most texts below the options begin with, which a page has as a heading.
const EXAMPLES_BELOW: &str = "Examples:\n";

const EXAMPLES: &str = "\
Examples:
  ingester-perf man | man -l -                           reads the page of the program
  ingester-perf man --out ~/.local/share/man/man1        then: man ingester-perf-gate";

/// The command's arguments.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ManArgs {
    /// Write the pages of the program and of all subcommands to this folder [default: the program's to standard output]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// A manual page.
struct Page {
    /// Name of its file, like `ingester-perf-gate.1`.
    file: String,
    /// What a formatter (man, groff) reads.
    text: String,
}

impl ManArgs {
    /// Prints or writes the pages of this program.
    pub fn run(self, program: Command) -> Result<Exit, Error> {
        // `help` would get a page that repeats all others.
        let mut program = program.disable_help_subcommand(true);
        // Gives every subcommand its whole name.
        program.build();
        let Some(dir) = self.out else {
            let text = Page::of(&program).text;
            io::stdout().lock().write_all(text.as_bytes()).map_err(Error::Output)?;
            return Ok(Exit::Held);
        };
        let mut pages = Vec::new();
        collect(&program, &mut pages);
        for page in &pages {
            write_text(&dir.join(&page.file), &page.text)?;
        }
        note(format_args!("{} manual pages: {}", pages.len(), dir.display()));
        Ok(Exit::Held)
    }
}

/// Adds the page of a command and those of its subcommands, without hidden ones.
fn collect(command: &Command, pages: &mut Vec<Page>) {
    pages.push(Page::of(command));
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        collect(subcommand, pages);
    }
}

impl Page {
    fn of(command: &Command) -> Self {
        let below = command.get_after_long_help().or(command.get_after_help());
        // Without the text below the options: its columns would be filled to paragraphs.
        let command = command.clone().after_help(None::<&'static str>).after_long_help(None::<&'static str>);
        let man = Man::new(command);
        let mut page = Vec::new();
        man.render(&mut page).expect("memory takes what is written to it");
        let mut text = String::from_utf8(page).expect("names and help are UTF-8");
        if let Some(below) = below {
            text.push_str(&in_lines(&below.to_string()));
        }
        Self { file: man.get_filename(), text }
    }
}

/// The text below a command's options, in the lines that it has.
fn in_lines(below: &str) -> String {
    let examples = below.strip_prefix(EXAMPLES_BELOW);
    let heading = if examples.is_some() { "EXAMPLES" } else { "NOTES" };
    let mut roff = Roff::new();
    roff.control("SH", [heading]);
    roff.control("nf", []);
    for line in examples.unwrap_or(below).lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff.render()
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    #[test]
    fn lines_below_the_options_stay_lines() {
        let command = Command::new("perf")
            .arg(Arg::new("out").long("out").help("Where to"))
            .after_help("Examples:\n  perf a      one\n  perf 'b c'  two\n\nExit codes: 0");
        let page = Page::of(&command);
        assert_eq!(page.file, "perf.1");
        let (_, below) = page.text.split_once(".SH EXAMPLES\n").expect("has examples");
        assert_eq!(below, ".nf\n  perf a      one\n  perf \\*(Aqb c\\*(Aq  two\n\nExit codes: 0\n.fi\n");
        // Once, and not in the text that fills lines too.
        assert_eq!(page.text.matches("Exit codes").count(), 1, "{}", page.text);
        assert!(page.text.contains("\\-\\-out"), "{}", page.text);
    }

    #[test]
    fn a_text_without_examples_is_called_notes() {
        assert!(in_lines("Exit codes: 0").ends_with(".SH NOTES\n.nf\nExit codes: 0\n.fi\n"));
    }

    #[test]
    fn subcommands_have_pages_and_hidden_ones_do_not() {
        let mut program = Command::new("perf")
            .subcommand(Command::new("keep").subcommand(Command::new("export")))
            .subcommand(Command::new("worker").hide(true))
            .disable_help_subcommand(true);
        program.build();
        let mut pages = Vec::new();
        collect(&program, &mut pages);
        let files: Vec<&str> = pages.iter().map(|page| page.file.as_str()).collect();
        assert_eq!(files, ["perf.1", "perf-keep.1", "perf-keep-export.1"]);
    }
}
