//! Promise: manual pages and completions have every subcommand and option that `--help` has.

mod common;

use std::path::Path;
use std::process::Command;

use common::bench::Run;
use tempfile::TempDir;

/// Requests that a page may have. Whatever else begins a line with a dot would be swallowed by the formatter.
const REQUESTS: [&str; 12] =
    [".TH", ".SH", ".TP", ".PP", ".IP", ".RS", ".RE", ".br", ".nf", ".fi", ".ie", ".el"];

fn perf(args: &[&str]) -> Run {
    let program = Command::new(env!("CARGO_BIN_EXE_ingester-perf")).args(args).output();
    program.expect("starts").into()
}

/// Names of the subcommands, as the help lists them.
fn subcommands() -> Vec<String> {
    let help = perf(&["--help"]).exited(0).stdout;
    let (_, listed) = help.split_once("Commands:\n").expect("lists them");
    let listed = listed.lines().take_while(|line| line.starts_with("  "));
    let names = listed.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The long options in a help text: words that begin a line.
fn options(help: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for line in help.lines() {
        // `-h, --help` and `    --out <DIR>`.
        let line = line.trim_start();
        let line = line.split_once(", ").filter(|(short, _)| short.len() == 2).map_or(line, |(_, long)| long);
        if line.starts_with("--") {
            found.extend(line.split([' ', '=', ',', '[']).next());
        }
    }
    found
}

#[test]
fn every_subcommand_has_a_page_with_all_of_its_options() {
    let dir = TempDir::new().expect("makes one");
    // Not there yet: it is made.
    let pages = dir.path().join("man1");
    let run = perf(&["man", "--out", pages.to_str().expect("is text")]);
    run.exits(0);
    let names = subcommands();
    assert!(names.len() > 5, "{names:?}");
    for name in &names {
        let page = read(&pages.join(format!("ingester-perf-{name}.1")));
        assert!(page.contains(&format!(".TH ingester-perf-{name} 1 ")), "{page}");
        // The help of `bench` is that of the benches, whose options are not this program's.
        if name == "bench" {
            continue;
        }
        let help = perf(&[name, "--help"]).exited(0).stdout;
        let options = options(&help);
        assert!(options.contains(&"--help"), "{name}: {options:?}");
        for option in options {
            assert!(page.contains(&option.replace('-', "\\-")), "{name} {option}: {page}");
        }
    }
    assert!(pages.join("ingester-perf-baseline-export.1").exists());
    // A subcommand of one that has options of its own.
    let merge = read(&pages.join("ingester-perf-load-merge.1"));
    let help = perf(&["load", "merge", "--help"]).exited(0).stdout;
    for option in options(&help) {
        assert!(merge.contains(&option.replace('-', "\\-")), "load merge {option}: {merge}");
    }
    assert!(!pages.join("ingester-perf-worker.1").exists(), "what is hidden stays so");
    let program = read(&pages.join("ingester-perf.1"));
    assert_eq!(perf(&["man"]).exited(0).stdout, program, "without a folder it is printed");
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn a_page_has_no_line_that_a_formatter_swallows() {
    let dir = TempDir::new().expect("makes one");
    perf(&["man", "--out", dir.path().to_str().expect("is text")]).exits(0);
    for entry in dir.path().read_dir().expect("lists") {
        let page = read(&entry.expect("reads").path());
        for line in page.lines().filter(|line| line.starts_with(['.', '\''])) {
            let request = line.split(' ').next().unwrap_or_default();
            assert!(REQUESTS.contains(&request), "{line}");
        }
        // Every block of lines that are not filled ends.
        assert_eq!(page.matches("\n.nf\n").count(), page.matches("\n.fi\n").count(), "{page}");
    }
}

#[test]
#[cfg(unix)]
fn bash_completes_subcommands_and_their_options() {
    let script = perf(&["completions", "bash"]).exited(0).stdout;
    let dir = TempDir::new().expect("makes one");
    let file = dir.path().join("completions");
    std::fs::write(&file, script).expect("writes");
    let parsed = Command::new("bash").arg("-n").arg(&file).output().expect("bash exists");
    assert!(parsed.status.success(), "{}", String::from_utf8_lossy(&parsed.stderr));

    // As bash calls the function: the program, the word to complete, the word before it.
    let complete = r#"
        source "$0"
        call=$(complete -p ingester-perf | sed 's/.*-F \([^ ]*\).*/\1/')
        COMP_WORDS=(ingester-perf "$@") COMP_CWORD=$#
        "$call" ingester-perf "${@: -1}" "${COMP_WORDS[$# - 1]}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let cases = [
        (&["ga"][..], "gate"),
        (&["gate", "--base-u"], "--base-url"),
        (&["load", "me"], "merge"),
        (&["load", "merge", "--rep"], "--report-dir"),
    ];
    for (words, wanted) in cases {
        let shell = Command::new("bash").arg("-c").arg(complete).arg(&file).args(words).output();
        let shell: Run = shell.expect("bash exists").into();
        assert_eq!(shell.stdout, format!("{wanted}\n"), "{words:?}: {}", shell.stderr);
    }
}

#[test]
fn other_shells_have_scripts_and_what_is_not_a_shell_is_named() {
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let script = perf(&["completions", shell]).exited(0).stdout;
        assert!(script.contains("base-url"), "{shell}: {script}");
    }
    let refused = perf(&["completions", "tcsh"]);
    refused.exits(2);
    assert!(refused.stderr.contains("tcsh") && refused.stderr.contains("bash"), "{}", refused.stderr);
}
