//! Promise: what is measured of commit after commit is kept whole, a slowdown in many small steps is found though each step
//! passes the gate, and an accepted slowdown hides no more than it says.

#![cfg(unix)]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::bench::{Run, read_json};
use common::gate::{Bench, GATE, SLOWER, STEADY};
use serde_json::{Value, json};

/// A worker that is 1 % slower than `STEADY`, half of what fails a case.
const ONE_PERCENT_SLOWER: &str = "slice(2_020_000)";

/// A repository with a release and commits behind it, and a bench beside it.
struct Project {
    bench: Bench,
    /// Hashes: the release first.
    commits: Vec<String>,
}

impl Project {
    /// With so many commits behind the release `v1.0.0`.
    fn new(commits: usize) -> Self {
        let mut project = Self { bench: Bench::new(), commits: Vec::new() };
        std::fs::create_dir(project.path()).expect("makes it");
        project.git(&["init", "--quiet", "--initial-branch=main"]);
        for _ in 0..=commits {
            project.commit();
        }
        project.git(&["tag", "v1.0.0", &project.commits[0]]);
        project
    }

    fn path(&self) -> PathBuf {
        self.bench.path("project")
    }

    fn commit(&mut self) {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgSign=false"];
        self.git(&[&identity[..], &["commit", "--quiet", "--allow-empty", "--message", "a change"]].concat());
        let hash = self.git(&["rev-parse", "HEAD"]);
        self.commits.push(hash);
    }

    fn git(&self, args: &[&str]) -> String {
        let done = Command::new("git").arg("-C").arg(self.path()).args(args).output().expect("git exists");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("is text").trim().to_owned()
    }

    /// Runs `ingester-perf history` in the repository.
    fn history(&self, args: &[&str]) -> Run {
        let mut command = Command::new(GATE);
        // What a developer has set for a service of their own must not decide a test.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("INGESTER_")) {
            command.env_remove(name);
        }
        command.arg("history").args(args).current_dir(self.path()).stdin(Stdio::null());
        command.output().expect("starts").into()
    }

    /// Adds the session in the bench's folder, as one of this commit against that one.
    fn add_session(&self, base: usize, head: usize) -> Run {
        let out = self.bench.path("out");
        let out = out.to_str().expect("is UTF-8");
        self.history(&["add", out, "--base", &self.commits[base], "--commit", &self.commits[head]]).exited(0)
    }

    /// The digits of a commit that people are shown.
    fn short(&self, commit: usize) -> &str {
        &self.commits[commit][..7]
    }

    /// A line of the history: a session in which a case changed by this share.
    fn line(&self, base: usize, head: usize, share: f64) -> String {
        let change = json!({"share": share, "lower": share - 0.001, "upper": share + 0.001});
        let case = json!({"case": "jwt/validate", "change": change, "value": 20_500.0, "finding": "same"});
        let entry = json!({
            "schema_version": 1, "kind": "gate", "commit": self.commits[head], "base": self.commits[base],
            "made_at": "2026-11-26T14:00:00+00:00", "machine": null, "measure": "wall_time", "identical": false,
            "cases": [case],
        });
        format!("{entry}\n")
    }

    fn write_history(&self, text: &str) {
        std::fs::create_dir_all(self.path().join("baseline")).expect("makes it");
        std::fs::write(self.path().join("baseline/history.jsonl"), text).expect("writes");
    }

    fn read_history(&self) -> String {
        std::fs::read_to_string(self.path().join("baseline/history.jsonl")).expect("is there")
    }
}

#[test]
fn ten_steps_of_one_percent_pass_the_gate_and_fail_together() {
    let project = Project::new(10);
    let steady = project.bench.worker("steady", STEADY);
    let slower = project.bench.worker("slower", ONE_PERCENT_SLOWER);
    // Each of the ten sessions is this one: its head is 1 % slower, and passes.
    let session = project.bench.compare(&steady, &slower, &[]);
    session.exits(0);
    assert!(session.stdout.contains("+1.0 % [+1.0 %, +1.0 %]"), "{}", session.stdout);
    for head in 1..=9 {
        let added = project.add_session(head - 1, head).stdout;
        let says = format!("added {} against {}, 1 cases\n", project.short(head), project.short(head - 1));
        assert!(added.ends_with(&says), "{added}");
    }
    assert_eq!(project.read_history().lines().count(), 9);

    let broken = project.history(&["check"]).exited(3);
    let says = format!(
        "Chain broken: jwt/validate: no session leads on from {from}, to {to} or beyond. Measure it (ingester-perf gate \
         --base {from} --head {to}), and add it (ingester-perf history add).",
        from = project.short(9),
        to = project.short(10)
    );
    assert!(broken.stdout.lines().any(|line| line == says), "{}", broken.stdout);

    project.add_session(9, 10);
    let check = project.history(&["check", "--export", "json=check.json"]).exited(1);
    // 1.01 to the tenth.
    let says =
        format!("FAILED, crept by more than 5 % since v1.0.0 ({}): jwt/validate +10.5 %\n", project.short(0));
    assert!(check.stdout.ends_with(&says), "{}", check.stdout);
    let document = read_json(&project.path().join("check.json"));
    assert_eq!(
        (&document["verdict"], &document["checks"][0]["outcome"]),
        (&json!("missed"), &json!("missed"))
    );

    project.history(&["check", "--limit", "15%"]).exits(0);
    // 1.01 to the fourth is 4.06 %.
    let four = project.history(&["check", "--since", "HEAD~4"]).exited(0);
    assert!(four.stdout.contains("+4.1 % [+4.1 %, +4.1 %]"), "{}", four.stdout);
    let unknown = project.history(&["check", "--case", "jwt/valid"]);
    assert!(unknown.exits(2).contains("no session since then has jwt/valid; there are jwt/validate"));
}

#[test]
fn identical_builds_keep_the_chain_whole() {
    let project = Project::new(2);
    project.write_history(&project.line(0, 1, 0.01));
    let own = Path::new(GATE);
    project.bench.compare(own, own, &[]).exits(0);
    let added = project.add_session(1, 2);
    assert!(added.stdout.ends_with("identical builds\n"), "{}", added.stdout);
    let check = project.history(&["check"]).exited(0);
    assert!(check.stdout.contains("+1.0 % [+0.9 %, +1.1 %]"), "{}", check.stdout);

    // A session of executables does not know of which commits they are.
    let out = project.bench.path("out");
    let unnamed = project.history(&["add", out.to_str().expect("is UTF-8")]);
    assert!(unnamed.exits(2).contains("does not say of which commits: name them with --base and --commit"));
    let nothing = project.history(&["add"]);
    assert!(
        nothing.exits(2).contains("target/gate/report: holds no session of the gate"),
        "{}",
        nothing.stderr
    );
}

#[test]
fn torn_doubled_and_newer_lines_are_told() {
    let project = Project::new(3);
    assert!(project.history(&["check"]).exits(2).contains("baseline/history.jsonl: is not there"));

    // The second line was being written when the machine went down; the first commit was measured twice.
    let sound = [project.line(0, 1, 0.08), project.line(0, 1, 0.01), project.line(1, 3, 0.01)];
    let torn = &project.line(1, 2, 0.01)[..60];
    project.write_history(&format!("{}{torn}\n{}{}", sound[0], sound[1], sound[2]));
    let check = project.history(&["check"]).exited(0);
    let says = "Note: line 2 is torn, and was skipped: whoever wrote it was interrupted.";
    assert!(check.stdout.lines().any(|line| line == says), "{}", check.stdout);
    let says = format!(
        "Note: jwt/validate of {} against {} is there 2 times: the last one counts.",
        project.short(1),
        project.short(0)
    );
    assert!(check.stdout.lines().any(|line| line == says), "{}", check.stdout);

    for (line, says) in [
        ("{\"schema_version\":2}\n", "line 1: has version 2, and 1 is understood"),
        ("<<<<<<< HEAD\n", "line 1: is not an entry of a history"),
    ] {
        project.write_history(line);
        for command in [["check"].as_slice(), &["show"], &["add", "x.json"]] {
            let run = project.history(command);
            // Nothing is added to a file that nobody here understands: the input is looked at first.
            let expected = if command[0] == "add" { "x.json" } else { says };
            assert!(run.exits(2).contains(expected), "{command:?}: {}", run.stderr);
        }
        assert_eq!(project.read_history(), line);
    }
}

#[test]
fn without_a_release_or_a_repository_it_is_said_what_to_do() {
    let project = Project::new(1);
    project.write_history(&project.line(0, 1, 0.01));
    project.git(&["tag", "--delete", "v1.0.0"]);
    let check = project.history(&["check"]);
    let why = check.exits(2);
    assert!(why.contains("has no release before it") && why.contains("name a commit with --since"), "{why}");
    let show = project.history(&["show"]).exited(0);
    assert!(show.stdout.contains("--since names a commit to tell changes from"), "{}", show.stdout);

    let elsewhere = tempfile::tempdir().expect("makes one");
    let file = project.path().join("baseline/history.jsonl");
    let run: Run = Command::new(GATE)
        .args(["history", "check", "--file"])
        .arg(&file)
        .current_dir(elsewhere.path())
        .output()
        .expect("starts")
        .into();
    assert!(run.exits(2).contains("not in a git repository"), "{}", run.stderr);
}

#[test]
fn since_a_later_commit_there_is_nothing_that_holds() {
    let project = Project::new(2);
    project.write_history(&project.line(0, 1, 0.2));
    project.git(&["tag", "later", &project.commits[2]]);
    project.git(&["checkout", "--quiet", &project.commits[1]]);
    for command in ["check", "show"] {
        let run = project.history(&[command, "--since", "later"]);
        assert!(run.exits(2).contains("comes after HEAD"), "{command}: {}", run.stderr);
    }
    // The commit itself is not later: nothing came since then.
    let same = project.history(&["check", "--since", "HEAD"]).exited(0);
    assert!(same.stdout.contains("held: no commit since HEAD"), "{}", same.stdout);
}

#[test]
fn a_trend_shows_sessions_runs_and_changes() {
    let project = Project::new(24);
    let mut text = String::new();
    for head in 1..=24 {
        let share = if head <= 12 { 0.0 } else { 0.01 };
        // All different, and in no order within a level.
        text.push_str(&project.line(head - 1, head, share + 0.0001 * (7 * head % 10) as f64));
    }
    project.write_history(&text);
    let reports = project.path().join("reports");
    for (commit, slower) in [(0, 1.0), (24, 1.1)] {
        std::fs::create_dir_all(&reports).expect("makes it");
        std::fs::write(reports.join("jwt_validation.json"), report(slower).to_string()).expect("writes");
        let added = project.history(&["add", "reports", "--commit", &project.commits[commit]]).exited(0);
        assert!(added.stdout.contains("added a run of"), "{}", added.stdout);
    }
    let show = project.history(&["show", "--export", "json=trend.json"]).exited(0);
    let change = format!("Change point: jwt/validate from {} on: a step is +1.0 %", project.short(13));
    assert!(show.stdout.contains(&change), "{}", show.stdout);
    let rows: Vec<&str> = show.stdout.lines().filter(|line| line.starts_with(" jwt/validate")).collect();
    // Of the sessions, and of the runs, which became a tenth slower since the release.
    assert_eq!(rows.len(), 2, "{}", show.stdout);
    assert!(rows[0].contains("20.5 µs") && rows[0].contains('█'), "{}", rows[0]);
    assert!(rows[1].contains("+10.") || rows[1].contains("+9.9"), "{}", rows[1]);

    let document = read_json(&project.path().join("trend.json"));
    let mut charts = Vec::new();
    for part in document["parts"].as_array().expect("is a list") {
        charts.extend(part["section"]["parts"].as_array().into_iter().flatten().map(|part| &part["chart"]));
    }
    assert_eq!(charts.len(), 2, "{document}");
    let labels = charts[0]["series"][0]["labels"].as_array().expect("are a list");
    assert_eq!((labels.len(), &labels[24]), (25, &json!(project.short(24))));
    assert_eq!(charts[1]["y"]["quantity"], "duration", "{document}");
}

/// A report as this build writes it on this machine.
fn report(slower: f64) -> Value {
    use ingester_perf::machine::{Environment, Placement};
    use ingester_perf::recording::{Finished, Recorder};
    use ingester_perf::report::PerformanceReport;

    let mut recorder = Recorder::default();
    let latency = std::time::Duration::from_micros(20).mul_f64(slower);
    for _ in 0..100 {
        recorder.record(Finished { latency, outcome: Ok(()) });
    }
    let environment = Environment::read(&Placement::none(), "stub");
    let report = PerformanceReport::new("jwt_validation", &recorder.finish()).at(environment);
    serde_json::to_value(report).expect("serialises")
}

/// Writes the file of accepted slowdowns into the bench's folder.
fn accept(bench: &Bench, text: &str) {
    std::fs::create_dir_all(bench.path("baseline")).expect("makes it");
    std::fs::write(bench.path("baseline/accepted.toml"), text).expect("writes");
}

/// A slowdown of the token check that is accepted up to this size, and until this day.
fn slowdown(up_to: &str, until: &str) -> String {
    format!(
        "[[accepted]]\ncase = \"jwt/validate\"\nup_to = \"{up_to}\"\nuntil = \"{until}\"\nwhy = \"it checks more\"\n"
    )
}

/// Compares two workers, of which head is 5 % slower, in the bench's folder.
fn compared_in(bench: &Bench) -> Run {
    let base = bench.worker("base", STEADY);
    let head = bench.worker("head", SLOWER);
    let mut gate = bench.gate(&Bench::arms(&base, &head));
    gate.current_dir(bench.0.path()).output().expect("starts").into()
}

#[test]
fn an_accepted_slowdown_passes_and_is_named_in_every_form() {
    let bench = Bench::new();
    accept(&bench, &slowdown("+6 %", "2999-12-31"));
    let run = compared_in(&bench).exited(0);
    let says =
        "Accepted until 2999-12-31: jwt/validate up to +6 %, because it checks more. It is at most +5.0 %.";
    assert!(run.stdout.lines().any(|line| line == says), "{}", run.stdout);
    assert!(run.stdout.ends_with("\npassed, slower only as was accepted: jwt/validate\n"), "{}", run.stdout);
    let summary = std::fs::read_to_string(bench.path("out/summary.md")).expect("is there");
    assert!(summary.contains(&format!("* {says}")), "{summary}");
    let verdict = read_json(&bench.path("out/verdict.json"));
    assert_eq!(verdict["conclusion"], "pass", "{verdict}");
    assert_eq!(verdict["cases"][0]["finding"], "accepted", "{verdict}");
    assert_eq!(verdict["accepted"][0]["state"], "covers", "{verdict}");
    assert_eq!(verdict["accepted"][0]["why"], "it checks more", "{verdict}");

    // The file is not looked at again: what was accepted, and when, is part of the record.
    std::fs::remove_file(bench.path("baseline/accepted.toml")).expect("was there");
    let replay = Command::new(GATE).arg("gate").arg("--replay").arg(bench.path("out")).output();
    let replay: Run = replay.expect("starts").into();
    assert_eq!((replay.code, replay.stdout), (Some(0), run.stdout));
}

#[test]
fn accepted_slowdowns_hide_no_more_and_no_longer_than_they_say() {
    let bench = Bench::new();
    accept(&bench, &slowdown("+4 %", "2999-12-31"));
    let run = compared_in(&bench).exited(1);
    assert!(run.stdout.contains("That is not enough: the case may be +5.0 % slower."), "{}", run.stdout);
    assert!(run.stdout.ends_with("FAILED, slower: jwt/validate\n"), "{}", run.stdout);

    accept(&bench, &slowdown("+6 %", "2020-01-01"));
    let run = compared_in(&bench).exited(1);
    let says = "No longer accepted, as 2020-01-01 is past: jwt/validate up to +6 %, because it checks more.";
    assert!(run.stdout.lines().any(|line| line == says), "{}", run.stdout);
}

#[test]
fn a_file_of_accepted_slowdowns_with_a_mistake_measures_nothing() {
    let sound = slowdown("+6 %", "2999-12-31");
    for (from, to, says) in [
        (
            "why = \"it checks more\"\n",
            "",
            "line 2: accepted.why: is missing; write the reason, in a few words",
        ),
        ("2999-12-31", "31.12.2999", "line 4: accepted.until: \"31.12.2999\" is not a date"),
        ("+6 %", "6", "line 3: accepted.up_to: \"6\" is not a slowdown above 0 and up to 100 %"),
        (
            "jwt/validate",
            "jwt/valid",
            "line 2: accepted.case: there is no case \"jwt/valid\"; there are upload/10KB",
        ),
    ] {
        let bench = Bench::new();
        accept(&bench, &sound.replace(from, to));
        let run = compared_in(&bench);
        let why = run.exits(2);
        assert!(why.contains("baseline/accepted.toml: ") && why.contains(says), "{why}");
        assert!(run.stdout.is_empty() && !bench.path("out/slices.json").exists());
    }
}
