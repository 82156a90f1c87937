//! `baseline/accepted.toml`: slowdowns that the gate accepts for a time, each with the reason.
//!
//! It is a file of its own, and no part of `ingester-perf.toml`: a review sees at once that something is accepted, and a
//! repository can say who has to agree to changes of this one file (on GitHub, `CODEOWNERS`). It is read as the change has
//! it, as the change is what brings the slowdown.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::file::{Located, Problem};
use crate::error::Error;
use crate::files::read_limited;
use crate::lockstep::AcceptedSlowdown;
use crate::units::{Share, printable};

/// The file, seen from the folder of `ingester-perf.toml`, or from the top of the repository where there is none.
pub const ACCEPTED_FILE: &str = "baseline/accepted.toml";
/// The name of its tables.
const ACCEPTED: &str = "accepted";
/// Largest file that is read.
const MAX_BYTES: u64 = 1 << 20;

/// The slowdowns of a file. The default, for a repository without one, accepts none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AcceptedFile {
    path: PathBuf,
    entries: Vec<AcceptedEntry>,
}

/// A slowdown, and where it stands.
#[derive(Debug, Clone, PartialEq)]
struct AcceptedEntry {
    slowdown: AcceptedSlowdown,
    /// The line of its case.
    line: usize,
}

/// The file as it stands.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AcceptedTables {
    #[serde(default)]
    accepted: Vec<AcceptedTable>,
}

/// `[[accepted]]`. All of it is required, and told in words of our own where it is missing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AcceptedTable {
    case: Option<String>,
    up_to: Option<String>,
    until: Option<String>,
    why: Option<String>,
}

impl AcceptedFile {
    /// Reads the file of this folder, if there is one.
    pub fn read_in(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(ACCEPTED_FILE);
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = read_limited(&path, MAX_BYTES)?;
        Self::parse(&path, &text)
    }

    /// Reads a text that stands in this file. An error names the line and the key.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let located = Located::parse(text).map_err(|e| Error::malformed(path, e))?;
        let tables: AcceptedTables = located.tables().map_err(|e| Error::malformed(path, e))?;
        let mut entries: Vec<AcceptedEntry> = Vec::new();
        for (number, table) in tables.accepted.iter().enumerate() {
            let slowdown =
                slowdown(number, table).map_err(|problem| Error::malformed(path, located.at(&problem)))?;
            let is_known = entries.iter().any(|entry| entry.slowdown.case == slowdown.case);
            let problem = wrong(number, "case", format!("{} is there twice", printable(&slowdown.case)));
            if is_known {
                return Err(Error::malformed(path, located.at(&problem)));
            }
            entries.push(AcceptedEntry { slowdown, line: located.line(&problem) });
        }
        Ok(Self { path: path.to_owned(), entries })
    }

    /// The slowdowns, in the order of the file.
    pub fn slowdowns(&self) -> Vec<AcceptedSlowdown> {
        self.entries.iter().map(|entry| entry.slowdown.clone()).collect()
    }

    /// An error where one is of a case that is not among these.
    pub fn check_cases(&self, known: &[String]) -> Result<(), Error> {
        for AcceptedEntry { slowdown, line } in &self.entries {
            if !known.contains(&slowdown.case) {
                let case = printable(&slowdown.case);
                let known = printable(&known.join(", "));
                let problem =
                    format!("line {line}: {ACCEPTED}.case: there is no case \"{case}\"; there are {known}");
                return Err(Error::malformed(&self.path, problem));
            }
        }
        Ok(())
    }

    /// The same, less what the base accepts already: a slowdown that is part of the base must not be accepted once more with
    /// every change that follows.
    pub fn beyond(mut self, base: &Self) -> Self {
        for entry in &mut self.entries {
            let slowdown = &mut entry.slowdown;
            let of_base = base.entries.iter().find(|other| other.slowdown.case == slowdown.case);
            if let Some(of_base) = of_base {
                // Slowdowns multiply: +4 % beyond a base that is 3 % slower itself leaves 1.04 / 1.03.
                let left = (1.0 + slowdown.up_to) / (1.0 + of_base.slowdown.up_to) - 1.0;
                slowdown.left = left.max(0.0);
            }
        }
        self
    }

    /// The same, where nobody knows what the base accepts: nothing is left.
    pub fn without_any_left(mut self) -> Self {
        for entry in &mut self.entries {
            entry.slowdown.left = 0.0;
        }
        self
    }
}

/// Reads the table of this number, counted from 0.
fn slowdown(number: usize, table: &AcceptedTable) -> Result<AcceptedSlowdown, Problem> {
    let case = required(number, "case", table.case.as_deref(), "the id of a case, like \"upload/10KB\"")?;
    let up_to =
        required(number, "up_to", table.up_to.as_deref(), "how much slower it may be, like \"+4 %\"")?;
    let until = required(number, "until", table.until.as_deref(), "the last day, like \"2026-12-24\"")?;
    let why = required(number, "why", table.why.as_deref(), "the reason, in a few words")?;
    // The sign is what people write, and no part of a share.
    let share = up_to.trim_start().trim_start_matches('+').parse::<Share>();
    let up_to = match share {
        Ok(Share(share)) if share > 0.0 => share,
        _ => {
            let what =
                format!("\"{}\" is not a slowdown above 0 and up to 100 %, like \"+4 %\"", printable(up_to));
            return Err(wrong(number, "up_to", what));
        }
    };
    let until = until.parse().map_err(|e| wrong(number, "until", format!("{e}")))?;
    Ok(AcceptedSlowdown { case: case.to_owned(), up_to, left: up_to, until, why: why.to_owned() })
}

/// The value of a key that has to be there; `means` is what to write.
fn required<'a>(
    number: usize,
    key: &'static str,
    value: Option<&'a str>,
    means: &str,
) -> Result<&'a str, Problem> {
    match value.map(str::trim) {
        Some(value) if !value.is_empty() => Ok(value),
        Some(_) => Err(wrong(number, key, format!("is empty; write {means}"))),
        None => Err(wrong(number, key, format!("is missing; write {means}"))),
    }
}

fn wrong(number: usize, key: &'static str, what: String) -> Problem {
    Problem { table: (ACCEPTED, number), key, what }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "[[accepted]]\ncase = \"upload/10KB\"\nup_to = \"+4 %\"\nuntil = \"2026-12-24\"\n\
                         why = \"checksums are now verified\"\n";

    fn parse(text: &str) -> Result<AcceptedFile, String> {
        AcceptedFile::parse(Path::new("accepted.toml"), text).map_err(|e| e.to_string())
    }

    /// What is said of the sound file with this line in place of that.
    fn error(line: &str, instead: &str) -> String {
        assert!(SOUND.contains(line), "{line}");
        parse(&SOUND.replace(line, instead)).expect_err(instead)
    }

    #[test]
    fn a_slowdown_has_a_case_a_size_a_day_and_a_reason() {
        let slowdowns = parse(SOUND).expect("is fine").slowdowns();
        let expected = AcceptedSlowdown {
            case: "upload/10KB".to_owned(),
            up_to: 0.04,
            left: 0.04,
            until: "2026-12-24".parse().expect("is a day"),
            why: "checksums are now verified".to_owned(),
        };
        assert_eq!(slowdowns, [expected]);
        assert_eq!(parse("").expect("accepts nothing").slowdowns(), []);
        assert_eq!(parse(&SOUND.replace("+4 %", "4%")).expect("is fine").slowdowns()[0].up_to, 0.04);
    }

    #[test]
    fn what_is_wrong_is_named_with_line_and_key() {
        assert_eq!(
            error("up_to = \"+4 %\"", "up_to = \"4\""),
            "accepted.toml: line 3: accepted.up_to: \"4\" is not a slowdown above 0 and up to 100 %, like \"+4 %\""
        );
        assert!(error("\"+4 %\"", "\"0%\"").contains("line 3: accepted.up_to: \"0%\" is not a slowdown"));
        assert!(
            error("2026-12-24", "24.12.2026")
                .contains("line 4: accepted.until: \"24.12.2026\" is not a date")
        );
        assert!(error("2026-12-24", "2026-02-30").contains("write year, month and day, like 2026-12-24"));
        let says = error("why = \"checksums are now verified\"\n", "");
        assert!(says.contains("line 2: accepted.why: is missing; write the reason"), "{says}");
        assert!(error("checksums are now verified", " ").contains("line 5: accepted.why: is empty"));
        let says = error("why = ", "because = ");
        assert!(says.contains("line 5") && says.contains("unknown field `because`"), "{says}");
        let says = error("\"+4 %\"", "4");
        assert!(says.contains("line 3: accepted.up_to: invalid type: integer"), "{says}");
        assert!(error("[[accepted]]", "[[accept]]").contains("unknown field `accept`"));
        let says = parse(&SOUND.repeat(2)).expect_err("is there twice");
        assert!(says.contains("line 7: accepted.case: upload/10KB is there twice"), "{says}");
    }

    #[test]
    fn a_case_that_there_is_not_is_refused_by_its_line() {
        let file = parse(SOUND).expect("is fine");
        let known = ["upload/10KB".to_owned(), "jwt/validate".to_owned()];
        assert!(file.check_cases(&known).is_ok());
        let error = file.check_cases(&known[1..]).expect_err("is not known").to_string();
        assert_eq!(
            error,
            "accepted.toml: line 2: accepted.case: there is no case \"upload/10KB\"; there are jwt/validate"
        );
    }

    /// What is left of the one slowdown.
    fn left(file: &AcceptedFile) -> f64 {
        file.slowdowns()[0].left
    }

    #[test]
    fn what_the_base_accepts_is_taken_off() {
        let file = parse(SOUND).expect("is fine");
        assert_eq!(left(&file.clone().beyond(&AcceptedFile::default())), 0.04);
        // A later day is no further slowdown.
        let later = parse(&SOUND.replace("12-24", "12-31")).expect("is fine");
        assert_eq!(left(&later.beyond(&file)), 0.0);
        // From 4 to 8 %: 1.08 / 1.04.
        let more = parse(&SOUND.replace("+4 %", "+8 %")).expect("is fine");
        assert!((left(&more.clone().beyond(&file)) - 0.038_461_538).abs() < 1e-9);
        assert_eq!(left(&file.beyond(&more)), 0.0);
        assert_eq!(left(&more.without_any_left()), 0.0);
    }
}
