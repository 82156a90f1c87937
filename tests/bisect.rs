//! Promise: a search over commits names the one with which a case got slower, says so where it can only name several, and goes
//! on where it was interrupted. What cannot be searched is refused before anything is measured.

#![cfg(unix)]

mod common;

use std::path::Path;

use common::bench::{Run, read_json};
use common::gate::{ACCEPTED, Bench, FAKE_CARGO, Repository, SLOWER, STEADY};

/// Searches the one case of the workers.
fn bisect(repository: &Repository<'_>, cargo: &Path, args: &[&str]) -> Run {
    let all = [&["--case", "jwt/validate"][..], args].concat();
    repository.gate(cargo, &all).output().expect("starts").into()
}

/// Seven digits of a commit's hash.
fn short(repository: &Repository<'_>, name: &str) -> String {
    repository.git(&["rev-parse", "--short=7", name])
}

/// Commits a worker with this message. The comment makes it another file than that of any other commit.
fn commit(repository: &Repository<'_>, message: &str, slice: &str) {
    repository.commit_as(message, &[("worker", &format!("{slice}  # {message}"))]);
}

#[test]
fn the_slow_commit_is_found_and_an_interrupted_search_goes_on() {
    let bench = Bench::new();
    let repository = Repository::new(&bench);
    commit(&repository, "Begin", STEADY);
    repository.git(&["tag", "good"]);
    // That somebody agreed to it makes no difference to a search.
    let worker = format!("{SLOWER}  # Parse twice");
    repository.commit_as("Parse twice", &[("worker", &worker), ("baseline/accepted.toml", ACCEPTED)]);
    // The middle of the line.
    commit(&repository, "This does not build", SLOWER);
    commit(&repository, "Mend it", SLOWER);
    commit(&repository, "Write more", SLOWER);
    let cargo = bench.script("cargo", FAKE_CARGO);
    let run = bisect(&repository, &cargo, &["--bisect", "good..main"]);
    run.exits(1);
    let good = short(&repository, "good");
    let slow = short(&repository, "main~3");
    let says = format!(
        "\nFOUND: {slow} made jwt/validate slower, +5.0 % [+5.0 %, +5.0 %] against {good}: Parse twice\n"
    );
    assert!(run.stdout.ends_with(&says), "{}", run.stdout);
    assert!(run.stdout.contains("does not build"), "{}", run.stdout);
    let middle = short(&repository, "main~2");
    let step = format!("Step 2 of about 4: {middle} (This does not build) against good ({good})\n");
    assert!(run.stderr.contains(&step), "{}", run.stderr);

    let out = bench.path("out");
    let verdict = read_json(&out.join("verdict.json"));
    assert_eq!(verdict["finding"], "found", "{verdict}");
    assert_eq!(verdict["commits"], serde_json::json!([repository.git(&["rev-parse", "main~3"])]));
    let summary = std::fs::read_to_string(out.join("summary.md")).expect("is there");
    assert!(summary.starts_with("### Bisect: FOUND"), "{summary}");
    // The sessions of the ends, of the slow commit, and the last one: the second step built nothing.
    let sessions = ["01", "02", "03", "04"].map(|step| out.join(step).join("slices.json").exists());
    assert_eq!(sessions, [true, false, true, true]);

    // As if it had been interrupted in the last session.
    let path = out.join("bisect.json");
    let mut record = read_json(&path);
    record["steps"].as_array_mut().expect("has steps").pop();
    std::fs::write(&path, record.to_string()).expect("writes");
    let resumed = bisect(&repository, &cargo, &["--bisect", "good..main", "--resume"]);
    resumed.exits(1);
    assert_eq!(resumed.stdout, run.stdout);
    assert!(resumed.stderr.contains("Step 4 of about 4"), "{}", resumed.stderr);
    assert!(!resumed.stderr.contains("Step 1"), "{}", resumed.stderr);
    let other = bisect(&repository, &cargo, &["--bisect", "good..main", "--resume", "--budget", "600ms"]);
    let why = other.exits(2);
    assert!(why.contains("--resume: ") && why.contains("is of other options"), "{why}");
}

#[test]
fn commits_that_cannot_be_measured_are_named_together() {
    let bench = Bench::new();
    let repository = Repository::new(&bench);
    commit(&repository, "Begin", STEADY);
    commit(&repository, "This does not build", STEADY);
    commit(&repository, "This dies", "sys.exit(3)");
    commit(&repository, "End", SLOWER);
    let cargo = bench.script("cargo", FAKE_CARGO);
    let run = bisect(&repository, &cargo, &["--bisect", "main~3..main"]);
    run.exits(3);
    let [first, second, third] = ["main~2", "main~1", "main"].map(|name| short(&repository, name));
    let says = format!(
        "\ncannot tell which: one of 3 commits ({first}, {second}, {third}) made jwt/validate slower, +5.0 %"
    );
    assert!(run.stdout.contains(&says), "{}", run.stdout);
    assert!(run.stdout.contains("error: no luck."), "{}", run.stdout);
    assert!(
        run.stdout.contains(&format!("head ({second}): its worker ended unexpectedly")),
        "{}",
        run.stdout
    );
}

#[test]
fn without_a_slowdown_there_is_nothing_to_find() {
    let bench = Bench::new();
    let repository = Repository::new(&bench);
    for message in ["Begin", "Write", "End"] {
        commit(&repository, message, STEADY);
    }
    let cargo = bench.script("cargo", FAKE_CARGO);
    let run = bisect(&repository, &cargo, &["--bisect", "main~2.."]);
    run.exits(0);
    assert!(
        run.stdout.contains("\nnothing to find: jwt/validate did not get slower from "),
        "{}",
        run.stdout
    );
    assert!(!bench.path("out/02").exists(), "one session tells that");
}

#[test]
fn what_is_no_line_of_commits_is_refused() {
    let bench = Bench::new();
    let repository = Repository::new(&bench);
    commit(&repository, "Begin", STEADY);
    repository.git(&["checkout", "--quiet", "-b", "side"]);
    commit(&repository, "Beside", STEADY);
    repository.git(&["checkout", "--quiet", "main"]);
    commit(&repository, "End", SLOWER);
    // Nothing may be built.
    let cargo = Path::new("/no/cargo");
    let advice = format!("is {}: give that for GOOD", short(&repository, "main~1"));
    for (args, says) in [
        (&["--bisect", "side..main"][..], "is not an ancestor of main ("),
        (&["--bisect", "side..main"], advice.as_str()),
        (&["--bisect", "main..HEAD"], "are one commit: there is nothing to search"),
        (&["--bisect", "nowhere..main"], "\"nowhere\" is not a commit of this repository"),
        (&["--bisect", "main"], "write two commits with two dots between them"),
        (&["--bisect", "main~1..main", "--case", "upload/10KB"], "--case: a search follows one case"),
        (&["--bisect", "main~1..main", "--base", "main"], "cannot be used with"),
        (&["--bisect", "main~1..main", "--base-release"], "cannot be used with"),
        (&["--bisect", "main~1..main", "--resume"], "--resume: there is no "),
        (&["--resume"], "required arguments were not provided"),
    ] {
        let run = bisect(&repository, cargo, args);
        assert_eq!(run.code, Some(2), "{args:?}: {}", run.output());
        assert!(run.stderr.contains(says) && run.stdout.is_empty(), "{args:?}: {}", run.output());
    }
    // A search without a case does not know what to follow.
    let run: Run = repository.gate(cargo, &["--bisect", "main~1..main"]).output().expect("starts").into();
    assert!(run.stderr.contains("--case <ID>"), "{}", run.output());
}
