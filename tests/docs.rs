//! Promise: the documentation is what the program does: every command in it is accepted, every option and variable exists, every
//! link leads somewhere, what it quotes is printed, and docs/reference.md is `--help`, word for word.
//!
//! `SNAPSHOTS=overwrite cargo test --test docs` writes docs/reference.md anew.

#![cfg(unix)]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use common::bench::{Bench, Run};
use common::docs::{Page, ShellCommand, anchor, code_spans_of, commands_of, pages, root};
use common::load::tried;
use ingester_perf::Exit;
use ingester_perf::cli::check_arguments;
use ingester_perf::config::{AcceptedFile, Config};
use regex::Regex;
use snapbox::{Data, assert_data_eq};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ingester-perf");

/// What commands in the documentation hold in place of a value of the reader's, and a value that stands in for it.
const STAND_INS: [(&str, &str); 8] = [
    ("DIR", "reports"),
    ("FILE", "file"),
    ("N", "10"),
    ("PID", "4711"),
    ("REF", "HEAD"),
    ("TIME", "10s"),
    ("URL", "http://127.0.0.1:8020"),
    ("SIZE", "10KB"),
];
/// What the words that a shell would fill in stand for: all of them are process ids.
const FILLED_IN: &str = "4711";

/// Commands that the list of commands leaves out, and the documentation does not.
const HIDDEN: [&str; 1] = ["counters"];
/// Benches that are not this project's: that of examples/own_router.
const FOREIGN_BENCHES: [&str; 1] = ["perf"];
/// Options in the documentation that are cargo's, git's, pip's and docker's.
const FOREIGN_OPTIONS: [&str; 18] = [
    "--benches",
    "--bin",
    "--cpuset-cpus",
    "--example",
    "--features",
    "--first-parent",
    "--init",
    "--lib",
    "--locked",
    "--no-default-features",
    "--no-fail-fast",
    "--nocapture",
    "--path",
    "--release",
    "--rm",
    "--target-dir",
    "--test",
    "--web",
];

/// A variable of the environment, for the reference.
struct Variable {
    name: String,
    meaning: String,
}

/// Variables that the help of the benches does not name.
const OTHER_VARIABLES: [[&str; 2]; 10] = [
    ["INGESTER_SERVICE", "`none` leaves `[service]` of ingester-perf.toml out"],
    ["INGESTER_COMMIT", "set by the gate for `build` and `serve`: the commit that is built or started"],
    [
        "INGESTER_PERF_SLOWDOWN",
        "for trying comparisons out: makes a case of the benches slower, like `upload/10KB=0.3` by 30 % of its time",
    ],
    [
        "INGESTER_PERF_PROOF",
        "1: tests run at length, with the limits of docs/proof.md; `ci/proof.sh` sets it",
    ],
    ["GATE_BASE", "the main branch, for the gate [GITHUB_BASE_REF, or else main or master]"],
    ["CRITERION_HOME", "where Criterion keeps samples and plots [criterion in cargo's target folder]"],
    ["CARGO_TARGET_DIR", "cargo's target folder; Criterion's folder and the builds of the gate move along"],
    ["SSL_CERT_FILE", "PEM file with the certificates that are trusted for https, in place of the system's"],
    ["VALGRIND", "the Valgrind that counts instructions [the one in PATH]"],
    ["DIAL9_FORCE_CTIMER", "1: stacks are sampled by timers, not by perf_event_open"],
];
/// Variables between the program and itself, or its build script.
const INTERNAL_VARIABLES: [&str; 4] = [
    "INGESTER_PERF_BENCH_GROUP",
    "INGESTER_PERF_FRAME_POINTERS",
    "INGESTER_PERF_RUSTC",
    "INGESTER_PERF_SOURCE",
];
/// Variables that tests read and the program does not.
const VARIABLES_OF_TESTS: [&str; 1] = ["INGESTER_PERF_PROOF"];

// The program, asked.

/// What a command says of itself.
struct Help {
    /// Its words, like `baseline export`; empty for the program itself.
    words: Vec<String>,
    text: String,
}

/// The help of the program and of every command, each before the commands below it.
static HELPS: LazyLock<Vec<Help>> = LazyLock::new(|| {
    let mut helps = Vec::new();
    // A stack: the next one is at its end.
    let mut waiting: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(words) = waiting.pop() {
        let text = help_of(&words);
        let mut below = commands_in(&text);
        if words.is_empty() {
            below.extend(HIDDEN.map(str::to_owned));
        }
        for name in below.into_iter().rev() {
            waiting.push([words.clone(), vec![name]].concat());
        }
        helps.push(Help { words, text });
    }
    helps
});

/// The program in a folder of its own, without the variables that a developer has set.
fn program(dir: &TempDir) -> Command {
    let mut command = Command::new(PROGRAM);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("INGESTER_")) {
        command.env_remove(name);
    }
    command.env("CRITERION_HOME", dir.path().join("criterion"));
    command.current_dir(dir.path()).stdin(Stdio::null());
    command
}

/// Runs it.
fn run(dir: &TempDir, arguments: &[impl AsRef<str>]) -> Run {
    let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
    program(dir).args(arguments).output().expect("starts").into()
}

fn help_of(words: &[String]) -> String {
    let dir = TempDir::new().expect("makes a folder");
    let run = run(&dir, &[words, &["--help".to_owned()]].concat()).exited(0);
    // Help has blanks at the ends of some lines, which editors take off.
    let lines: Vec<&str> = run.stdout.lines().map(str::trim_end).collect();
    lines.join("\n").trim_end().to_owned()
}

/// The names in the list of commands of a help; none where it has no such list.
fn commands_in(help: &str) -> Vec<String> {
    let mut names = Vec::new();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    for line in listed.take_while(|line| !line.is_empty()) {
        // A description that is too long for its line stands further to the right, on the next one.
        let is_name = line.starts_with("  ") && !line.starts_with("   ");
        let name = line.split_whitespace().next().unwrap_or_default();
        // clap's own command prints the help that is read here.
        if is_name && name != "help" {
            names.push(name.to_owned());
        }
    }
    names
}

/// Every file of the program's source.
fn source() -> Vec<String> {
    let mut texts = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("can be listed") {
            let path = entry.expect("can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                texts.push(std::fs::read_to_string(path).expect("can be read"));
            }
        }
    }
    texts
}

/// The source with every text that goes on in the next line on one line, as it is printed.
fn unfolded(source: &str) -> String {
    let fold = Regex::new(r"\\\n\s*").expect("is valid");
    fold.replace_all(source, "").replace("\\\"", "\"")
}

/// Variables of this project that the program reads or sets, and those of its tests.
fn known_variables() -> BTreeSet<String> {
    let literal = Regex::new(r#""(INGESTER_[A-Z_]*[A-Z])""#).expect("is valid");
    let mut names: BTreeSet<String> = VARIABLES_OF_TESTS.map(str::to_owned).into();
    for text in source() {
        names.extend(literal.captures_iter(&text).map(|found| found[1].to_owned()));
    }
    names
}

/// Variables of this project that a text names.
fn variables_in(text: &str) -> BTreeSet<String> {
    let name = Regex::new("INGESTER_[A-Z_]*[A-Z]").expect("is valid");
    name.find_iter(text).map(|found| found.as_str().to_owned()).collect()
}

// docs/reference.md, made from what the program says.

const INTRODUCTION: &str = "\
# Reference

Everything that can be typed or set. This page is what the program says of itself, written by a test: after a change of an option
or a help text, `SNAPSHOTS=overwrite cargo test --test docs` writes it anew.

## Commands

The benches (`cargo bench -- OPTIONS`) take the options of `ingester-perf bench`.
";

const VARIABLES: &str = "
## Environment variables

Options stand above variables, and variables above ingester-perf.toml. An empty variable counts as one that is not set.

| variable | meaning [default] |
| --- | --- |
";

const CONFIGURATION: &str = "
## Keys of ingester-perf.toml

What each key means: [own-service.md](own-service.md#the-file). A variable stands above the key in its row.

| table | key | variable |
| --- | --- | --- |
";

const ACCEPTED: &str = "
## Keys of baseline/accepted.toml

What each key means: [history.md](history.md#accepted-slowdowns). All of them are required.

| table | key |
| --- | --- |
";

const EXIT_CODES: &str = "
## Exit codes

| code | meaning |
| --- | --- |
";

/// The whole page.
fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    for help in HELPS.iter() {
        let name = ["ingester-perf"].into_iter().chain(help.words.iter().map(String::as_str));
        let name: Vec<&str> = name.collect();
        page += &format!("\n### {}\n\n```text\n{}\n```\n", name.join(" "), help.text);
    }
    page += VARIABLES;
    for Variable { name, meaning } in variables() {
        page += &format!("| `{name}` | {} |\n", meaning.replace('|', "\\|"));
    }
    page += CONFIGURATION;
    let known = known_variables();
    for table in keys_of("") {
        for key in keys_of(&table) {
            let variable = variable_above(&table, &key);
            let variable = if known.contains(&variable) { format!("`{variable}`") } else { String::new() };
            page += &format!("| `{table}` | `{key}` | {variable} |\n");
        }
    }
    for key in target_keys() {
        page += &format!("| `targets.OPERATION` | `{key}` | |\n");
    }
    page += ACCEPTED;
    for key in accepted_keys() {
        page += &format!("| `accepted` | `{key}` |\n");
    }
    page += EXIT_CODES;
    for code in [0, 1, 2, 3, 4, 129, 130, 143] {
        page += &format!("| {code} | {} |\n", meaning_of(Exit::of_code(code)));
    }
    page
}

/// Those in the help of the benches, and the others.
fn variables() -> Vec<Variable> {
    let help = help_of(&["bench".to_owned()]);
    let mut variables: Vec<Variable> = Vec::new();
    let listed = help.lines().skip_while(|line| *line != "Environment:").skip(1);
    for line in listed.take_while(|line| !line.is_empty()) {
        let text = line.trim();
        // Further to the right, the line before goes on.
        if line.starts_with("   ") {
            let last = variables.last_mut().expect("a name comes first");
            last.meaning += &format!(" {text}");
            continue;
        }
        let (name, meaning) = text.split_once(' ').expect("a name, and what it means");
        let meaning = meaning.trim().to_owned();
        variables.push(Variable { name: name.to_owned(), meaning });
    }
    for [name, meaning] in OTHER_VARIABLES {
        variables.push(Variable { name: name.to_owned(), meaning: meaning.to_owned() });
    }
    variables
}

/// Keys of a table of ingester-perf.toml, or its tables, as its reader lists them where it meets one that there is not.
fn keys_of(table: &str) -> Vec<String> {
    let headings = match table {
        "" => vec![String::new()],
        // Nothing but the reader knows which tables can be there several times.
        table => vec![format!("[{table}]\n"), format!("[[{table}]]\n")],
    };
    for heading in headings {
        let error = Config::parse(Path::new("ingester-perf.toml"), &format!("{heading}no_such_key = 1\n"));
        let error = error.expect_err("there is no such key").to_string();
        if error.contains("unknown field") {
            return expected_keys(&error);
        }
    }
    panic!("ingester-perf.toml has no table {table}");
}

/// Keys of a table of baseline/accepted.toml, likewise.
fn accepted_keys() -> Vec<String> {
    let error = AcceptedFile::parse(Path::new("accepted.toml"), "[[accepted]]\nno_such_key = 1\n");
    expected_keys(&error.expect_err("there is no such key").to_string())
}

/// The keys that there are, in an error about one that there is not.
fn expected_keys(error: &str) -> Vec<String> {
    let name = Regex::new("`([a-z0-9_]+)`").expect("is valid");
    let (_, expected) = error.split_once("expected").expect("says what there is");
    name.captures_iter(expected).map(|found| found[1].to_owned()).collect()
}

/// What can have a limit, likewise.
fn target_keys() -> Vec<String> {
    let text = "[targets.upload_small_file]\nno_such_key = 1\n";
    let error = Config::parse(Path::new("ingester-perf.toml"), text).expect_err("there is no such key");
    let error = error.to_string();
    let (_, known) = error.split_once("there are ").expect("says what there is");
    known.replace(" and ", ", ").split(", ").map(str::to_owned).collect()
}

/// The variable that stands above a key, if there is one.
fn variable_above(table: &str, key: &str) -> String {
    format!("INGESTER_{table}_{key}").to_uppercase()
}

fn meaning_of(exit: Exit) -> &'static str {
    match exit {
        Exit::Held => "measured, and everything held",
        Exit::Missed => {
            "measured: a target was missed, a case got slower or crept, a counter rose, or memory leaks"
        }
        Exit::CouldNotMeasure => "could not measure; the message says what is wrong, where, and what to do",
        Exit::Untrusted => "measured, and not to be trusted, or not decided",
        Exit::NotComparable => {
            "measured on another machine, with another build profile, or by other benchmark source"
        }
        Exit::Interrupted(_) => {
            "ended by a signal (128 and its number); what was measured until then is in the report"
        }
    }
}

#[test]
fn the_reference_is_what_the_program_says() {
    let path = root().join("docs/reference.md");
    // Raw, as help is full of what snapbox would take for a pattern.
    assert_data_eq!(reference(), Data::read_from(&path, None).raw());
}

#[test]
fn every_variable_is_in_the_reference_and_in_the_program() {
    let mut of_program = known_variables();
    for name in INTERNAL_VARIABLES {
        assert!(of_program.remove(name), "{name} is not read any more");
    }
    // What is missing in the page goes into the help of the benches (src/harness/command.rs), or into OTHER_VARIABLES above.
    assert_eq!(variables_in(&reference()), of_program);
}

#[test]
fn every_key_of_accepted_slowdowns_is_in_their_example() {
    let example = Page::read("docs/history.md").blocks("toml").join("\n");
    let file = AcceptedFile::parse(Path::new("accepted.toml"), &example).expect("is one that is read");
    assert_eq!(file.slowdowns().len(), 1);
    for key in accepted_keys() {
        assert!(example.contains(&format!("\n{key} = ")), "docs/history.md does not have {key}");
    }
}

#[test]
fn every_key_of_the_configuration_is_explained() {
    let page = Page::read("docs/own-service.md");
    let known = known_variables();
    for table in keys_of("") {
        let one = format!("[{table}]");
        let several = format!("[{one}]");
        let heading = if page.text.contains(&format!("# {several}\n")) { several } else { one };
        let explained = code_spans_of(&page.section(&heading));
        for key in keys_of(&table) {
            assert!(explained.contains(&key), "docs/own-service.md does not explain {key} of {heading}");
            // The page says so of these tables.
            let variable = variable_above(&table, &key);
            let has_variable = known.contains(&variable);
            let wants_one = ["service", "api", "cleanup"].contains(&table.as_str());
            assert_eq!(has_variable, wants_one, "{variable}");
        }
    }
}

// Commands.

/// An error where the command would be refused.
fn check(ShellCommand { variables, words }: &ShellCommand, known: &BTreeSet<String>) -> Result<(), String> {
    for name in variables.iter().filter(|name| name.starts_with("INGESTER_")) {
        if !known.contains(name) {
            return Err(format!("the program reads no variable {name}"));
        }
    }
    let words: Vec<&str> = words.iter().map(|word| stand_in(word)).collect();
    match words.as_slice() {
        ["cargo", "bench", options @ ..] => check_cargo_bench(options),
        ["cargo", "run", options @ ..] => check_cargo_run(options),
        ["cargo", ..] | [] => Ok(()),
        [program, arguments @ ..] => match Path::new(program).file_name().and_then(|name| name.to_str()) {
            Some("ingester-perf" | "ingester-perf-counting") => check_arguments(arguments),
            // A typing error must not look like a program of somebody else's.
            Some(name) if name.contains("ingest") => Err(format!("there is no program {program}")),
            _ => Ok(()),
        },
    }
}

/// A value in place of a word that stands for one of the reader's.
fn stand_in(word: &str) -> &str {
    if word.starts_with('$') {
        return FILLED_IN;
    }
    let known = STAND_INS.iter().find(|(placeholder, _)| *placeholder == word);
    known.map_or(word, |(_, value)| *value)
}

fn check_cargo_bench(options: &[&str]) -> Result<(), String> {
    let mut of_cargo = options.iter();
    let mut of_bench = vec!["bench"];
    while let Some(option) = of_cargo.next() {
        match *option {
            "--bench" => {
                let name = *of_cargo.next().ok_or("--bench names no bench")?;
                let is_there = root().join(format!("benches/{name}.rs")).exists();
                if !is_there && !FOREIGN_BENCHES.contains(&name) {
                    return Err(format!("there is no bench {name}"));
                }
            }
            "--no-fail-fast" | "--locked" => {}
            // The others are the bench's.
            "--" => of_bench.extend(of_cargo.by_ref()),
            other => return Err(format!("{other} belongs behind --")),
        }
    }
    check_arguments(&of_bench)
}

fn check_cargo_run(options: &[&str]) -> Result<(), String> {
    let end = options.iter().position(|option| *option == "--").unwrap_or(options.len());
    // An example has a command line of its own.
    if options[..end].contains(&"--example") {
        return Ok(());
    }
    check_arguments(options.get(end + 1..).unwrap_or_default())
}

/// The examples in a help, where two blanks stand before what an example is for.
fn examples_in(help: &str) -> Vec<ShellCommand> {
    let begins = Regex::new(r"^([A-Z_]+=\S+ )*(cargo|ingester-perf[a-z-]*) ").expect("is valid");
    let mut examples = Vec::new();
    let mut typed = String::new();
    for line in help.lines().map(str::trim) {
        // A line that ends with a backslash goes on in the next one.
        if typed.is_empty() && !begins.is_match(line) {
            continue;
        }
        if let Some(begun) = line.strip_suffix('\\') {
            typed += begun;
            continue;
        }
        typed += line.split("  ").next().unwrap_or_default();
        examples.extend(commands_of(&typed));
        typed.clear();
    }
    examples
}

#[test]
fn every_command_is_one_that_the_program_takes() {
    let known = known_variables();
    let mut wrong = Vec::new();
    let mut checked = 0;
    for page in pages() {
        for line in page.shell_lines() {
            for command in line.commands {
                checked += 1;
                if let Err(problem) = check(&command, &known) {
                    wrong.push(format!("{}: {}\n{problem}", line.place, command.words.join(" ")));
                }
            }
        }
    }
    for help in HELPS.iter() {
        for command in examples_in(&help.text) {
            checked += 1;
            if let Err(problem) = check(&command, &known) {
                let place = help.words.join(" ");
                wrong.push(format!("{place} --help: {}\n{problem}", command.words.join(" ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // There were 80 in pages and 60 in help when this was written. Where they are not found, nothing is checked.
    assert!(checked > 100, "only {checked} commands were found");
}

#[test]
fn a_command_that_the_program_refuses_is_noticed() {
    let known = known_variables();
    for wrong in [
        "ingester-perf lode --preset normal",
        "ingester-perf load --preset usual",
        "ingester-perf gate --rate 0.5%",
        "ingester-perf bench --sample-size few",
        "target/release/ingester-perf leak --duration soon",
        "cargo bench --baseline main",
        "cargo bench --bench uploads",
        "cargo bench -- --save-baselines main",
        "cargo run --release -- compare main",
        "cargo run --release",
        "ingest-perf load --preset normal",
        "INGESTER_TOKENFILE=token ingester-perf load --preset normal",
    ] {
        let commands = commands_of(wrong);
        let [command] = commands.as_slice() else { panic!("{wrong} is one command") };
        assert!(check(command, &known).is_err(), "{wrong}");
    }
}

#[test]
fn a_line_is_read_as_a_shell_reads_it() {
    let line = "A=1 B_2='x y' run --pid $(pgrep -f x) \"two words\" > file 'a#b'  # why | what";
    let first = ShellCommand {
        variables: vec!["A".to_owned(), "B_2".to_owned()],
        words: ["run", "--pid", "$(pgrep -f x)", "two words", "a#b"].map(str::to_owned).to_vec(),
    };
    assert_eq!(commands_of(line), [first]);
    let words: Vec<Vec<String>> =
        commands_of("a -b|c >d && e; f").into_iter().map(|command| command.words).collect();
    assert_eq!(words, [vec!["a", "-b"], vec!["c"], vec!["e"], vec!["f"]]);
    assert_eq!(commands_of("  # nothing"), []);
    assert_eq!(commands_of("export A=1  # for the next line")[0].variables, ["A"]);
}

#[test]
fn every_option_and_variable_in_the_text_exists() {
    let option = Regex::new("--[a-z][a-z0-9-]*").expect("is valid");
    let mut known: BTreeSet<String> = FOREIGN_OPTIONS.map(str::to_owned).into();
    for help in HELPS.iter() {
        known.extend(option.find_iter(&help.text).map(|found| found.as_str().to_owned()));
    }
    let commands: BTreeSet<&str> =
        HELPS.iter().filter_map(|help| help.words.first()).map(String::as_str).collect();
    let variables = known_variables();
    let mut wrong = Vec::new();
    for page in pages() {
        let place = page.path.display();
        for code in page.code_spans() {
            for found in option.find_iter(&code).filter(|found| !known.contains(found.as_str())) {
                wrong.push(format!("{place}: there is no option {}", found.as_str()));
            }
            for name in variables_in(&code).difference(&variables) {
                wrong.push(format!("{place}: the program reads no variable {name}"));
            }
            let second = code.strip_prefix("ingester-perf ").and_then(|rest| rest.split(' ').next());
            if let Some(command) = second.filter(|word| !word.starts_with('-') && !commands.contains(word)) {
                wrong.push(format!("{place}: there is no command {command}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

// Links.

/// Pages whose links are followed: those of the documentation, and all others at the top.
fn linking_pages() -> Vec<Page> {
    let mut linking = pages();
    for entry in std::fs::read_dir(root()).expect("can be listed") {
        let name = entry.expect("can be read").file_name();
        let path = PathBuf::from(name);
        if path.extension().is_some_and(|extension| extension == "md") && path != Path::new("README.md") {
            linking.push(Page::read(path));
        }
    }
    linking
}

/// The problem with a link of this page, if it leads nowhere.
fn broken(page: &Page, link: &str) -> Option<String> {
    if link.contains("://") {
        return None;
    }
    let (path, name) = link.split_once('#').unwrap_or((link, ""));
    let path = if path.is_empty() {
        page.path.clone()
    } else {
        page.path.parent().expect("a file is in a folder").join(path)
    };
    if !root().join(&path).exists() {
        return Some(format!("{}: {link}: there is no such file", page.path.display()));
    }
    if !name.is_empty() && !Page::read(&path).anchors().contains(name) {
        return Some(format!("{}: {link}: there is no such heading", page.path.display()));
    }
    None
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    for page in linking_pages() {
        wrong.extend(page.links().iter().filter_map(|link| broken(&page, link)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_link_that_leads_nowhere_is_noticed() {
    let page = Page {
        path: "docs/a.md".into(),
        text: "[a](gate.md#how-it-works)\n[`b`](no.md) [c\nd](gate.md#no) `[e](f)`\n```\n[g](h)\n```\n[i](../src)"
            .to_owned(),
    };
    assert_eq!(page.links(), ["gate.md#how-it-works", "no.md", "gate.md#no", "../src"]);
    let broken: Vec<String> = page.links().iter().filter_map(|link| broken(&page, link)).collect();
    assert_eq!(
        broken,
        ["docs/a.md: no.md: there is no such file", "docs/a.md: gate.md#no: there is no such heading"]
    );
}

#[test]
fn headings_are_named_as_on_a_forge() {
    assert_eq!(anchor(" How it works "), "how-it-works");
    assert_eq!(anchor("[[case]]"), "case");
    assert_eq!(anchor("What a report's `p95` is, in ms"), "what-a-reports-p95-is-in-ms");
    let page = Page {
        path: "a.md".into(),
        text: "# A\n## Measured\n## Measured\n```\n# no heading\n```\n".to_owned(),
    };
    let names: Vec<String> = page.anchors().into_iter().collect();
    assert_eq!(names, ["a", "measured", "measured-1"]);
}

#[test]
fn every_page_can_be_reached_from_the_readme() {
    let links = Page::read("README.md").links();
    for page in pages() {
        let path = page.path.to_str().expect("is text");
        let is_linked = links.iter().any(|link| link.split('#').next() == Some(path));
        assert!(is_linked || path == "README.md", "README.md has no row for {path}");
    }
}

// What the program prints.

/// Files whose messages are the rows of docs/reading-results.md.
const FINDINGS: [&str; 4] =
    ["src/report/findings.rs", "src/report/resource_findings.rs", "src/load/health.rs", "src/load/roll.rs"];

/// The parts of a message that are the same in every run: what stands between the places of its figures.
fn fixed_parts<'a>(message: &'a str, place: &Regex) -> Vec<&'a str> {
    place.split(message).map(str::trim).filter(|part| !part.is_empty()).collect()
}

#[test]
fn every_finding_has_a_row() {
    let written = Regex::new(r#"(?:format|write)!\(\s*(?:f,\s*)?"((?:[^"\\]|\\.)*)""#).expect("is valid");
    let place = Regex::new(r"\{[^}]*\}").expect("is valid");
    let page = Page::read("docs/reading-results.md").text;
    let mut found = 0;
    for path in FINDINGS {
        let text = std::fs::read_to_string(root().join(path)).expect("can be read");
        // Tests stand at the foot of a file.
        let code = text.split("\nmod tests {").next().expect("a file has a beginning");
        let code = unfolded(code);
        for message in written.captures_iter(&code) {
            let parts = fixed_parts(&message[1], &place);
            // The first words that tell it from others. What has none is a part of another message.
            let Some(words) = parts.into_iter().find(|part| part.len() >= 8) else { continue };
            found += 1;
            assert!(page.contains(words), "docs/reading-results.md has no row for \"{words}\" of {path}");
        }
    }
    assert!(found >= 25, "only {found} messages were found");
}

#[test]
fn what_is_quoted_is_printed() {
    let source = unfolded(&source().join("\n"));
    let place = Regex::new("…").expect("is valid");
    let mut quoted = 0;
    let mut wrong = Vec::new();
    let mut is_quoting = false;
    for line in Page::read("docs/reading-results.md").prose().lines() {
        let cells: Vec<&str> = line.split(" | ").collect();
        if !line.starts_with('|') {
            is_quoting = false;
        } else if line.starts_with("| printed") {
            is_quoting = true;
        } else if is_quoting {
            for code in code_spans_of(cells[0]) {
                for part in fixed_parts(&code, &place) {
                    quoted += 1;
                    if !source.contains(part) {
                        wrong.push(format!("the program never prints \"{part}\""));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(quoted >= 60, "only {quoted} quotations were found");
}

// Commands that are run, as they stand in the documentation.

/// The arguments of a command that the documentation has.
fn documented(line: &str) -> Vec<String> {
    let wanted = commands_of(line);
    let mut lines = pages().into_iter().flat_map(|page| page.shell_lines());
    let is_there = lines.any(|line| line.commands == wanted);
    assert!(is_there, "the documentation does not have `{line}` any more: nothing runs what it says now");
    let [ShellCommand { words, .. }] = wanted.as_slice() else { panic!("{line} is one command") };
    match words.iter().position(|word| word == "--") {
        Some(end) => words[end + 1..].to_vec(),
        None => words[1..].to_vec(),
    }
}

/// Files so small, and limits so wide, that any machine holds them.
const EASY: [&str; 6] = ["--file-size", "1KB", "--target", "avg_ms=60000", "--target", "throughput_rps=0.01"];

/// Runs a load as it is documented, with files and limits that are easy. Again, if its own health check says that the generator
/// did not keep up.
fn easy_load(dir: &TempDir, arguments: &[String]) -> Run {
    let arguments = [arguments, &EASY.map(str::to_owned)].concat();
    tried(|| Some(run(dir, &arguments)).filter(|run| run.code != Some(3))).exited(0)
}

#[test]
fn the_first_load_and_two_reports_are_as_told() {
    let dir = TempDir::new().expect("makes a folder");
    let first = easy_load(&dir, &documented("cargo run --release -- load --preset normal"));
    let says = "100 scheduled = 100 ok + 0 failed + 0 unfinished, in ";
    assert!(first.stdout.contains(says), "{}", first.stdout);
    assert!(dir.path().join("target/performance_reports/load_concurrent_upload_10.json").exists());

    for line in [
        "ingester-perf load --preset normal --report-dir reports/monday",
        "ingester-perf load --preset normal --report-dir reports/tuesday",
    ] {
        easy_load(&dir, &documented(line));
    }
    let compared = run(&dir, &documented("ingester-perf compare reports/monday reports/tuesday")).exited(0);
    assert!(compared.stdout.contains("load/10_users"), "{}", compared.stdout);
}

#[test]
fn baselines_are_saved_compared_and_kept_as_told() {
    let bench = Bench::new("jwt");
    for line in ["cargo bench -- --save-baseline main", "cargo bench -- --baseline main"] {
        let options = documented(line);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        bench.short(&options).exits(0);
    }
    for line in [
        "cargo run --release -- compare main new",
        "cargo run --release -- baseline export main",
        "ingester-perf baseline import baseline/main.json --replace",
    ] {
        let output =
            program(&bench.dir).args(documented(line)).env("INGESTER_REPORT_DIR", bench.reports()).output();
        Run::from(output.expect("starts")).exits(0);
    }
    assert!(bench.dir.path().join("baseline/main.json").exists());
}

#[test]
fn a_service_is_measured_after_the_edits_that_are_told() {
    let dir = TempDir::new().expect("makes a folder");
    run(&dir, &documented("ingester-perf init")).exits(0);
    let file = dir.path().join("ingester-perf.toml");
    let mut config = std::fs::read_to_string(&file).expect("was written");
    let blocks = Page::read("docs/getting-started.md").blocks("toml");
    let edits = blocks.first().expect("the page has a block of edits");
    for edit in edits.lines() {
        let key = edit.split(" = ").next().expect("is a key");
        // The template has each key, some of them as comments.
        let line = Regex::new(&format!("(?m)^(?:# )?{key} = .*$")).expect("is valid");
        assert_eq!(line.find_iter(&config).count(), 1, "{key}");
        // The service of the page needs packages that are not here; one with the same answers stands in for it.
        let edit = if key == "serve" { "serve = \"exec python3 service.py {port} {dir}\"" } else { edit };
        config = line.replace(&config, regex::NoExpand(edit)).into_owned();
    }
    std::fs::write(&file, config).expect("writes");
    let service = include_str!("common/service.py");
    let service = service.replace("name=\"upload\"", "name=\"file\"").replace("bytes", "size");
    std::fs::write(dir.path().join("service.py"), service.replace("md5", "sha256")).expect("writes");

    let loaded = easy_load(&dir, &documented("ingester-perf load --preset normal"));
    assert!(loaded.stdout.contains("100 ok + 0 failed"), "{}", loaded.stdout);
    // Size and checksum are found where the page says that they are.
    assert!(!loaded.stdout.contains("not verified"), "{}", loaded.stdout);
}
