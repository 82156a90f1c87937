//! Promise: the benches take Criterion's command line, save and compare baselines, and never panic over a bad value.

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use common::bench::{Bench, Run, SHORT, read_json};
use ingester_perf::case::Suite;
use tempfile::TempDir;

#[test]
fn a_baseline_is_saved_and_compared_with() {
    for (name, filter) in [("upload", "10KB"), ("jwt", "validate"), ("load", "10_users")] {
        let bench = Bench::new(name);
        bench.short(&[filter, "--save-baseline", "main"]).exits(0);
        let run = bench.short(&[filter, "--baseline", "main"]);
        run.exits(0);
        assert!(run.stdout.contains("change:"), "{name} compares nothing: {}", run.stdout);
        // The baseline against itself: nothing is measured, and nothing can differ.
        let loaded = bench.short(&[filter, "--baseline", "main", "--load-baseline", "main"]);
        loaded.exits(0);
        assert!(loaded.stdout.contains("No change"), "{name}: {}", loaded.stdout);
    }
}

#[test]
fn reports_are_kept_beside_a_saved_baseline() {
    let bench = Bench::new("jwt");
    bench.short(&["--save-baseline", "main"]).exits(0);
    let kept = read_json(&bench.reports().join("main/jwt_validation.json"));
    assert_eq!(kept, bench.report("jwt_validation"));
    bench.short(&["--baseline", "main"]).exits(0);
    assert_ne!(bench.report("jwt_validation"), kept, "the last run has a report of its own");
    assert_eq!(read_json(&bench.reports().join("main/jwt_validation.json")), kept);
}

#[test]
fn a_quick_run_saves_a_baseline_and_fails_nothing() {
    let bench = Bench::new("jwt");
    // With `--quick` Criterion decides for itself after which sample it is done.
    bench.run(&["--noplot", "--quick", "--measurement-time", "1", "--save-baseline", "q"]).exits(0);
    assert!(bench.criterion().join("jwt/validate/q/sample.json").exists());
    let report = bench.report("jwt_validation");
    assert_eq!(report["failed_requests"], 0, "{report}");
    assert!(report["total_requests"].as_u64() > Some(0), "{report}");
}

#[test]
fn a_report_counts_what_criterion_measured_and_no_warm_up() {
    for (name, id, operation) in
        [("jwt", "jwt/validate", "jwt_validation"), ("load", "load/10_users", "concurrent_upload_10")]
    {
        let bench = Bench::new(name);
        let args = ["--noplot", "--sample-size", "12", "--warm-up-time", "0.3", "--measurement-time", "0.3"];
        bench.run(&[&args[..], &["--exact", id]].concat()).exits(0);
        let sample = read_json(&bench.criterion().join(id).join("base/sample.json"));
        let iterations: f64 =
            sample["iters"].as_array().expect("is a list").iter().filter_map(serde_json::Value::as_f64).sum();
        // Criterion's own file is the witness. It has no warm-up in it; an iteration of `load` is a pass of many requests.
        let report = bench.report(operation);
        let per_iteration = report["plan"]["requests_per_pass"].as_f64().unwrap_or(1.0);
        assert_eq!(report["total_requests"].as_f64(), Some(iterations * per_iteration), "{id}");
        assert_eq!(report["failed_requests"], 0, "{id}");
    }
}

#[test]
fn a_missing_baseline_is_one_line_and_nothing_is_measured() {
    // Criterion would measure first, and then panic.
    for args in [["--baseline", "nope"].as_slice(), &["--baseline", "nope", "--load-baseline", "nope"]] {
        let bench = Bench::new("upload");
        let run = bench.run(args);
        let why = run.exits(2);
        assert!(why.contains("baseline \"nope\" has no upload/10KB"), "{why}");
        assert_eq!((run.stdout.as_str(), run.stderr.lines().count()), ("", 1), "{}", run.stderr);
    }
    Bench::new("jwt").short(&["--baseline-lenient", "nope"]).exits(0);
    // Cargo runs benches in order of their names: this one first, and it would take its time.
    assert!(Bench::new("floor").run(&["--baseline", "nope"]).exits(2).contains("has no upload/10KB"));
}

#[test]
fn a_truncated_sample_is_one_line_that_names_it() {
    let bench = Bench::new("jwt");
    bench.short(&["--save-baseline", "main"]).exits(0);
    let path = bench.criterion().join("jwt/validate/main/sample.json");
    let whole = fs::read(&path).expect("was saved");
    // What a full disk or a killed run leaves. Criterion would print a line, and exit with 0.
    fs::write(&path, &whole[..whole.len() / 2]).expect("can be written");
    for args in [
        ["--baseline", "main"].as_slice(),
        &["--baseline-lenient", "main"],
        &["--baseline", "main", "--load-baseline", "main"],
    ] {
        let run = bench.run(args);
        let why = run.exits(2);
        assert!(why.contains("jwt/validate/main/sample.json"), "{why}");
        assert_eq!((run.stdout.as_str(), run.stderr.lines().count()), ("", 1), "{}", run.stderr);
    }
    // Saving it anew is the way out, and must not fail over the old one.
    bench.short(&["--save-baseline", "main"]).exits(0);
}

#[test]
fn a_filter_selects_and_a_mistyped_one_is_refused() {
    let bench = Bench::new("upload");
    bench.short(&["1MB"]).exits(0);
    assert!(bench.reports().join("upload_medium_file.json").exists());
    assert!(!bench.reports().join("upload_small_file.json").exists());

    // `cargo bench -- 10MB` hands the filter to every bench: one that has no such case has nothing to do, which is not an
    // error as long as another bench has it.
    let elsewhere = Bench::new("jwt");
    elsewhere.run(&["10MB"]).exits(0);
    assert!(!elsewhere.reports().exists(), "another bench's case ran here");
    let why = elsewhere.run(&["10XB"]);
    assert!(why.exits(2).contains("filter \"10XB\" matches no case; there are upload/10KB"));
    assert!(elsewhere.run(&["--exact", "upload"]).exits(2).contains("matches no case"));
}

#[test]
fn a_list_starts_nothing() {
    // Nobody listens at port 1: a look at the service would fail.
    for name in ["upload", "jwt", "load"] {
        let bench = Bench::new(name).env("INGESTER_URL", "http://127.0.0.1:1").env("INGESTER_TOKEN", "a.b.c");
        let run = bench.run(&["--list", "--format", "terse"]);
        run.exits(0);
        let ids: Vec<_> =
            Suite::default().cases().iter().filter(|spec| spec.group == name).map(|spec| spec.id()).collect();
        let listed: Vec<_> = run.stdout.lines().filter_map(|line| line.strip_suffix(": benchmark")).collect();
        assert_eq!(listed, ids);
    }
    let floor = Bench::new("floor").run(&["--list"]);
    assert!(floor.stdout.contains("floor/upload/10KB: benchmark"), "{}", floor.stdout);
}

#[test]
fn testing_and_profiling_write_no_report() {
    for name in ["upload", "jwt", "load", "floor"] {
        let bench = Bench::new(name);
        bench.run(&["--test"]).exits(0);
        assert!(!bench.reports().exists(), "{name} --test");
    }
    let bench = Bench::new("jwt");
    bench.run(&["--profile-time", "1"]).exits(0);
    assert!(!bench.reports().exists(), "--profile-time");
}

#[test]
fn floor_sets_every_case_against_its_lower_bound() {
    // Each case and its lower bound take turns: the ratio of the two is what a report of `floor` is about.
    let bench = Bench::new("floor");
    let run = bench.run(&["--measurement-time", "0.05"]);
    run.exits(0);
    let floor = bench.report("floor");
    let ratios = floor["ratios"].as_array().expect("is a list");
    let cases: Vec<_> = ratios.iter().filter_map(|ratio| ratio["case"].as_str()).collect();
    assert_eq!(cases, ["upload/10KB", "upload/1MB", "upload/10MB", "jwt/validate", "recording"]);
    for ratio in ratios {
        let value = ratio["ratio"].as_f64().expect("is a number");
        let lower = ratio["lower"].as_f64();
        let upper = ratio["upper"].as_f64();
        // The interval has to hold its ratio. How large that is says nothing after so short a run.
        assert!(value > 0.0 && lower <= Some(value) && Some(value) <= upper, "{ratio}");
    }
}

#[test]
fn bad_values_are_one_line_and_exit_2() {
    // Criterion's own parser panics on some of these, and exits with 1 on others.
    let bench = Bench::new("jwt");
    for (args, says) in [
        (["--sample-size", "9"].as_slice(), "--sample-size 9: must be a number from 10"),
        (&["--sample-size=many"], "--sample-size many"),
        (&["--measurement-time", "0"], "--measurement-time 0"),
        (&["--warm-up-time=-1"], "--warm-up-time -1"),
        (&["--measurement-time", "inf"], "--measurement-time inf"),
        (&["--noise-threshold", "NaN"], "--noise-threshold NaN"),
        (&["--significance-level", "1"], "--significance-level 1"),
        (&["--confidence-level", "0"], "--confidence-level 0"),
        (&["--nresamples", "0"], "--nresamples 0"),
        (&["--profile-time", "0.5"], "--profile-time 0.5"),
        (&["--save-baseline", "../main"], "no name for a baseline"),
        (&["-s", "new"], "folder of Criterion's own"),
        (&["-b", "a", "-s", "b"], "cannot be used with"),
        (&["--load-baseline", "a"], "required"),
        (&["--color", "blue"], "blue"),
        (&["--no-such-option"], "--no-such-option"),
        (&["("], "not a valid regular expression"),
    ] {
        let run = bench.run(args);
        let why = run.exits(2);
        assert!(why.starts_with("error: ") && why.contains(says), "{args:?}: {why}");
        assert_eq!(run.stderr.lines().count(), 1, "{args:?}: {}", run.stderr);
    }
    // Refused before anything was made.
    assert!(!bench.criterion().exists() && !bench.reports().exists());
}

#[test]
fn settings_that_make_no_sense_are_named() {
    for (name, value) in [
        ("INGESTER_TIMEOUT", "soon"),
        ("INGESTER_MAX_BYTES", "lots"),
        ("INGESTER_PLACEMENT", "up"),
        ("INGESTER_URL", "nowhere"),
        ("INGESTER_PERF_SLOWDOWN", "jwt=fast"),
    ] {
        let run = Bench::new("jwt").env(name, value).run(&SHORT);
        assert!(run.exits(2).contains(name), "{}", run.stderr);
    }
}

/// Runs a bench that is held against these targets, which are written to this file.
fn judged_by(path: &Path, targets: &str) -> Run {
    fs::write(path, targets).expect("can be written");
    let path = path.to_str().expect("is UTF-8");
    Bench::new("jwt").env("INGESTER_TARGETS", path).short(&[])
}

#[test]
fn a_missed_target_is_a_row_and_exit_1_and_a_broken_one_names_its_line() {
    let bench = Bench::new("jwt");
    let path = bench.dir.path().join("targets.toml");
    // One nanosecond is missed by any check of a token, and one second is held.
    let run = judged_by(&path, "[jwt_validation]\navg_ms = 0.000001\np95_ms = 1000\n");
    run.exits(1);
    let missed: Vec<_> = run.stdout.lines().filter(|line| line.contains("MISSED")).collect();
    assert!(
        missed.len() == 1 && missed[0].contains("jwt_validation") && missed[0].contains("avg <"),
        "{missed:?}"
    );
    assert!(
        run.stdout.lines().any(|line| line.contains("p95 < 1 s") && line.contains("held")),
        "{}",
        run.stdout
    );

    let run = judged_by(&path, "[jwt_validation]\n\navg = 1\n");
    assert!(
        run.exits(2).contains("targets.toml: line 3: jwt_validation.avg: no such metric"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_report_that_cannot_be_written_is_named() {
    // Nothing can be made below a device, whoever runs the tests: not even root.
    let run = Bench::new("jwt").env("INGESTER_REPORT_DIR", "/dev/null/reports").short(&[]);
    assert!(run.exits(2).contains("/dev/null/reports: cannot make the folder"), "{}", run.stderr);
}

/// Returns once Criterion says that it collects samples. What it says later is read and dropped: a full pipe would
/// stop it.
#[cfg(unix)]
fn wait_until_measuring(child: &mut Child) {
    let mut stderr = BufReader::new(child.stderr.take().expect("is piped"));
    let mut line = String::new();
    let mut said = String::new();
    while !line.contains("Collecting") {
        said.push_str(&line);
        line.clear();
        let read = stderr.read_line(&mut line).expect("is text");
        assert!(read > 0, "it ended without measuring: {said}");
    }
    thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
}

#[test]
#[cfg(unix)]
fn an_interrupted_run_reports_what_it_has() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        // A minute of measuring, of which a fraction of a second takes place.
        let bench = Bench::new("jwt");
        let mut child = bench
            .command(&["--noplot", "--warm-up-time", "0.1", "--measurement-time", "60"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        wait_until_measuring(&mut child);
        // For some samples.
        thread::sleep(Duration::from_millis(300));
        let killed = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(killed.expect("kill exists").success());
        assert_eq!(child.wait().expect("ends").code(), Some(code));
        let report = bench.report("jwt_validation");
        assert_eq!(report["partial"], true);
        assert!(report["total_requests"].as_u64() > Some(0), "{report}");
        assert!(!bench.criterion().join("jwt/validate/base").exists(), "half a baseline was saved");
    }
}

/// Runs `ingester-perf bench` in this folder.
fn suite(dir: &TempDir, args: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingester-perf"));
    command.arg("bench").args(args).current_dir(dir.path());
    command.env("CRITERION_HOME", dir.path().join("criterion")).env_remove("INGESTER_URL");
    command.output().expect("starts").into()
}

#[test]
fn bench_runs_the_suite_without_cargo() {
    let dir = TempDir::new().expect("makes one");
    let listed = suite(&dir, &["--list"]);
    listed.exits(0);
    for id in Suite::default().ids() {
        assert!(listed.stdout.contains(&format!("{id}: benchmark")), "{}", listed.stdout);
    }
    suite(&dir, &["--test", "--exact", "jwt/validate"]).exits(0);
    assert!(suite(&dir, &["--exact", "jwt/invalid"]).exits(2).contains("matches no case"));
    assert!(suite(&dir, &["--nonsense"]).exits(2).ends_with("see ingester-perf bench --help"));
    // The help is that of the benches, with the name of this program in place of cargo's.
    let help = suite(&dir, &["--help"]);
    help.exits(0);
    assert_eq!(
        help.stdout.matches("  ingester-perf bench --save-baseline main ").count(),
        1,
        "{}",
        help.stdout
    );
    assert!(!help.stdout.contains("cargo bench"), "{}", help.stdout);
}
