//! The documentation as data: its pages, with their headings, links and commands.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;

/// A page of the documentation.
pub struct Page {
    /// Its place in the repository, like `docs/gate.md`.
    pub path: PathBuf,
    pub text: String,
}

/// A line of a page.
struct Line<'a> {
    /// Counted from 1.
    number: usize,
    text: &'a str,
    /// Language of the code block that it stands in; empty where the block names none.
    code: Option<&'a str>,
}

/// A command of a shell.
#[derive(Debug, PartialEq, Eq)]
pub struct ShellCommand {
    /// Names of the variables that are set for it.
    pub variables: Vec<String>,
    /// The program and its arguments.
    pub words: Vec<String>,
}

/// A line of the documentation that is typed into a shell.
pub struct DocumentedLine {
    /// Where it ends, like `docs/gate.md:12`.
    pub place: String,
    pub commands: Vec<ShellCommand>,
}

/// The top folder of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README.md, and every page in docs/.
pub fn pages() -> Vec<Page> {
    let mut paths = vec![PathBuf::from("README.md")];
    for entry in std::fs::read_dir(root().join("docs")).expect("docs/ is there") {
        let name = entry.expect("can be read").file_name();
        let path = Path::new("docs").join(name);
        if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path);
        }
    }
    paths.sort();
    paths.into_iter().map(Page::read).collect()
}

impl Page {
    /// Reads the page at this path in the repository.
    pub fn read(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let text = std::fs::read_to_string(root().join(&path));
        let text = text.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Self { path, text }
    }

    fn lines(&self) -> Vec<Line<'_>> {
        let mut lines = Vec::new();
        let mut code = None;
        for (number, text) in (1..).zip(self.text.lines()) {
            // The fence itself belongs to neither side.
            if let Some(language) = text.trim_start().strip_prefix("```") {
                code = if code.is_none() { Some(language.trim()) } else { None };
                continue;
            }
            lines.push(Line { number, text, code });
        }
        lines
    }

    /// Everything but code blocks.
    pub fn prose(&self) -> String {
        let mut prose = String::new();
        for line in self.lines().iter().filter(|line| line.code.is_none()) {
            prose += line.text;
            prose.push('\n');
        }
        prose
    }

    /// What stands between backticks in the prose, each on one line.
    pub fn code_spans(&self) -> Vec<String> {
        code_spans_of(&self.prose())
    }

    /// The blocks of code in this language.
    pub fn blocks(&self, language: &str) -> Vec<String> {
        let fence = Regex::new(&format!(r"(?ms)^```{language}\n(.*?)^```$")).expect("is valid");
        fence.captures_iter(&self.text).map(|found| found[1].to_owned()).collect()
    }

    /// What is typed into a shell.
    pub fn shell_lines(&self) -> Vec<DocumentedLine> {
        let mut found = Vec::new();
        let mut typed = String::new();
        for line in self.lines().iter().filter(|line| line.code == Some("sh")) {
            // A line that ends with a backslash goes on in the next one.
            if let Some(begun) = line.text.strip_suffix('\\') {
                typed += begun;
                continue;
            }
            typed += line.text;
            let place = format!("{}:{}", self.path.display(), line.number);
            found.push(DocumentedLine { place, commands: commands_of(&typed) });
            typed.clear();
        }
        found
    }

    /// Where the links of the page lead.
    pub fn links(&self) -> Vec<String> {
        // What stands in backticks is an example of something. A link's own text may stand there too, and its target does not.
        let code = Regex::new("`[^`]*`").expect("is valid");
        let prose = self.prose();
        let prose = code.replace_all(&prose, "");
        let link = Regex::new(r"\]\(([^)\s]+)\)").expect("is valid");
        link.captures_iter(&prose).map(|found| found[1].to_owned()).collect()
    }

    /// The names by which links lead to its headings.
    pub fn anchors(&self) -> BTreeSet<String> {
        let mut anchors = BTreeSet::new();
        for line in self.lines() {
            if line.code.is_some() || !line.text.starts_with('#') {
                continue;
            }
            let name = anchor(line.text.trim_start_matches('#'));
            // The second heading of a name has a number behind it.
            let mut unique = name.clone();
            let mut count = 0;
            while !anchors.insert(unique.clone()) {
                count += 1;
                unique = format!("{name}-{count}");
            }
        }
        anchors
    }

    /// What stands under this heading, up to the next one.
    pub fn section(&self, heading: &str) -> String {
        let mut section = String::new();
        let mut inside = false;
        for line in self.lines() {
            if line.code.is_none() && line.text.starts_with('#') {
                inside = line.text.trim_start_matches('#').trim() == heading;
                continue;
            }
            if inside {
                section += line.text;
                section.push('\n');
            }
        }
        assert!(!section.is_empty(), "{} has no section {heading}", self.path.display());
        section
    }
}

/// What stands between backticks in a text without code blocks, each on one line.
pub fn code_spans_of(prose: &str) -> Vec<String> {
    let code = Regex::new("`([^`]+)`").expect("is valid");
    code.captures_iter(prose).map(|found| found[1].replace('\n', " ")).collect()
}

/// The name of a heading in links, as GitHub makes it.
pub fn anchor(heading: &str) -> String {
    let mut anchor = String::new();
    for c in heading.trim().to_lowercase().chars() {
        if c == ' ' {
            anchor.push('-');
        } else if c.is_alphanumeric() || c == '-' || c == '_' {
            anchor.push(c);
        }
    }
    anchor
}

/// The commands of a line, without comments and redirections.
pub fn commands_of(line: &str) -> Vec<ShellCommand> {
    let shell = Shell { rest: line };
    let mut commands = Vec::new();
    for mut words in shell.split() {
        // `export` sets variables for the commands of the lines behind it.
        if words[0] == "export" {
            words.remove(0);
        }
        let mut variables = Vec::new();
        while let Some(name) = words.first().and_then(|word| variable_of(word)) {
            variables.push(name);
            words.remove(0);
        }
        commands.push(ShellCommand { variables, words });
    }
    commands
}

/// The name of the variable that a word like `NAME=value` sets.
fn variable_of(word: &str) -> Option<String> {
    let (name, _) = word.split_once('=')?;
    let is_name =
        !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    if is_name { Some(name.to_owned()) } else { None }
}

/// A line of a shell, read from the left: as much of its grammar as the documentation needs.
struct Shell<'a> {
    rest: &'a str,
}

impl Shell<'_> {
    /// The words of each command.
    fn split(mut self) -> Vec<Vec<String>> {
        let mut commands = vec![Vec::new()];
        loop {
            self.rest = self.rest.trim_start();
            match self.rest.chars().next() {
                // A comment lasts to the end of the line.
                None | Some('#') => break,
                Some('|' | '&' | ';') => {
                    self.rest = &self.rest[1..];
                    commands.push(Vec::new());
                }
                Some('>' | '<') => {
                    self.rest = self.rest[1..].trim_start();
                    // The name of the file.
                    self.word();
                }
                Some(_) => {
                    let word = self.word();
                    commands.last_mut().expect("there is always one").push(word);
                }
            }
        }
        commands.retain(|words| !words.is_empty());
        commands
    }

    /// The word at the beginning of the rest. What stands in quotes or in `$(...)` does not end it.
    fn word(&mut self) -> String {
        let mut word = String::new();
        let mut closing = None;
        let mut end = self.rest.len();
        for (at, c) in self.rest.char_indices() {
            match closing {
                Some(close) if c == close => {
                    closing = None;
                    // Quotes are not a part of the word. Brackets are kept: they show that it is not to be taken literally.
                    if c == ')' {
                        word.push(c);
                    }
                }
                Some(_) => word.push(c),
                None if c == '\'' || c == '"' => closing = Some(c),
                None if c == '(' => {
                    closing = Some(')');
                    word.push(c);
                }
                None if c == ' ' || "|&;<>".contains(c) => {
                    end = at;
                    break;
                }
                None => word.push(c),
            }
        }
        self.rest = &self.rest[end..];
        word
    }
}
