//! Promise: what is counted is exact: two runs of one build count the same, and what cannot be counted is said.

mod common;

use std::process::Command;

use common::bench::{Bench, Run};
use common::load::{figure, strict};
use serde_json::Value;

/// The program whose allocator counts.
const COUNTING: &str = env!("CARGO_BIN_EXE_ingester-perf-counting");
/// The one whose allocator does not.
const USUAL: &str = env!("CARGO_BIN_EXE_ingester-perf");

fn counters(program: &str, args: &[&str]) -> Run {
    Command::new(program).arg("counters").args(args).output().expect("starts").into()
}

/// What was counted, a line for each case.
fn lines(run: &Run) -> Vec<Value> {
    run.exits(0);
    run.stdout.lines().map(|line| serde_json::from_str(line).expect("is JSON")).collect()
}

fn count(line: &Value, key: &str) -> u64 {
    line[key].as_u64().unwrap_or_else(|| panic!("{key} is no count: {line}"))
}

#[cfg(not(feature = "heap-profile"))]
#[test]
fn two_runs_of_a_build_count_the_same() {
    // Large files take a debug build a while.
    let large = common::load::choose("20", "3");
    for (iterations, cases) in [
        ("20", &["jwt/validate", "upload/10KB"][..]),
        (large, &["multipart/1MB", "upload/1MB", "upload/10MB"]),
    ] {
        let mut args = vec!["--iterations", iterations];
        for case in cases {
            args.extend(["--case", *case]);
        }
        let first = counters(COUNTING, &args);
        let second = counters(COUNTING, &args);
        assert_eq!(first.stdout, second.stdout);
        for (line, case) in lines(&first).iter().zip(cases) {
            assert_eq!(line["case"], *case, "{line}");
            // A check makes the claims, and an upload an answer at least.
            assert!(count(line, "allocations") >= count(line, "iterations"), "{line}");
            assert!(count(line, "bytes") > 0, "{line}");
        }
        assert_eq!(lines(&first).len(), cases.len());
    }
}

#[cfg(not(feature = "heap-profile"))]
#[test]
fn every_iteration_counts_alike() {
    // Whole numbers, whatever the number of iterations. The stub streams: what it holds is a piece of 64 KB and what it
    // knows of the request, and never the file.
    let five = lines(&counters(COUNTING, &["--iterations", "5", "--case", "upload/1MB"]));
    let ten = lines(&counters(COUNTING, &["--iterations", "10", "--case", "upload/1MB"]));
    for key in ["allocations", "bytes"] {
        assert_eq!(2 * count(&five[0], key), count(&ten[0], key), "{key}: {} {}", five[0], ten[0]);
    }
    let held = count(&ten[0], "held");
    assert_eq!(count(&five[0], "held"), held);
    assert!((65_536..200_000).contains(&held), "{held}");
    // Less than a tenth of the file, which is never copied as a whole.
    assert!(count(&ten[0], "bytes") / 10 < 104_857, "{}", ten[0]);
}

#[test]
fn a_program_that_does_not_count_says_nothing_of_allocations() {
    let run = counters(USUAL, &["--iterations", "1", "--case", "jwt/validate"]);
    run.exits(0);
    assert_eq!(run.stdout, "{\"case\":\"jwt/validate\",\"iterations\":1}\n");
}

#[test]
fn wrong_arguments_are_one_line() {
    let listed = counters(USUAL, &["--list"]);
    listed.exits(0);
    let ids = "jwt/validate\nmultipart/1MB\nupload/10KB\nupload/1MB\nupload/10MB\n";
    assert_eq!(listed.stdout, ids);

    let unknown = counters(USUAL, &["--case", "upload/1TB"]);
    let ids = ids.trim_end().replace('\n', ", ");
    assert_eq!(unknown.exits(2), format!("error: --case: there is no upload/1TB; there are {ids}"));
    assert_eq!(counters(USUAL, &["--iterations", "0"]).code, Some(2));

    let mut without = Command::new(USUAL);
    without
        .args(["counters", "--case", "jwt/validate", "--instructions"])
        .env("VALGRIND", "/no/such/program");
    let without: Run = without.output().expect("starts").into();
    assert_eq!(
        without.exits(2),
        "error: --instructions: valgrind is not installed; install it, or name it in VALGRIND"
    );
}

#[test]
fn a_program_without_heap_profiles_says_how_one_is_built() {
    let folder = tempfile::tempdir().expect("makes one");
    let path = folder.path().join("heap.json");
    let path = path.to_str().expect("is UTF-8");
    // In a build with the feature too: the allocator of the usual program is the usual one.
    let one = counters(USUAL, &["--case", "jwt/validate", "--heap-profile", path]);
    assert!(one.exits(2).contains("cargo run --release --features heap-profile"), "{}", one.stderr);
    let several = counters(USUAL, &["--heap-profile", path]);
    assert_eq!(several.exits(2), "error: --heap-profile: is of one case; choose it with --case");
    let serve =
        Command::new(USUAL).args(["serve", "--listen", "127.0.0.1:0", "--heap-profile", path]).output();
    let serve: Run = serve.expect("starts").into();
    assert!(serve.exits(2).contains("cargo run --release --features heap-profile"), "{}", serve.stderr);
}

#[cfg(feature = "heap-profile")]
#[test]
fn a_heap_profile_is_what_the_viewer_reads() {
    let folder = tempfile::tempdir().expect("makes one");
    let path = folder.path().join("heap.json");
    let args =
        ["--case", "upload/10KB", "--iterations", "2", "--heap-profile", path.to_str().expect("is UTF-8")];
    counters(COUNTING, &args).exits(0);
    let profile = common::bench::read_json(&path);
    assert_eq!(profile["mode"], "rust-heap");
    let names = profile["ftbl"].to_string();
    assert!(names.contains("ingester_perf::stub::upload"), "{names}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("is there").count(), 1, "nothing is left beside it");
}

#[test]
fn the_bench_counts_each_case_twice_and_filters() {
    let bench = Bench::new("alloc");
    let tested = bench.run(&["--test"]);
    tested.exits(0);
    assert_eq!(tested.stdout, "", "two rounds agree");

    let run = bench.run(&["jwt"]);
    run.exits(0);
    let row = run.stdout.lines().nth(1).unwrap_or_default();
    assert!(row.trim_start().starts_with("alloc/jwt/validate "), "{}", run.stdout);
    assert!(!run.stdout.contains("upload"), "{}", run.stdout);

    let listed = bench.run(&["--list"]);
    assert!(
        listed.stdout.starts_with("alloc/jwt/validate: benchmark\nalloc/multipart/1MB: benchmark\n"),
        "{}",
        listed.stdout
    );
    assert!(bench.run(&["10XB"]).exits(2).contains("matches no case"));
}

/// Instructions of so many iterations.
fn instructions(case: &str, iterations: &str) -> u64 {
    let run = counters(USUAL, &["--instructions", "--case", case, "--iterations", iterations]);
    count(&lines(&run)[0], "instructions")
}

#[test]
fn two_counts_of_instructions_differ_by_less_than_a_thousandth() {
    // Valgrind takes a debug build half a minute.
    if !strict() {
        return;
    }
    for (case, iterations) in
        [("jwt/validate", "50"), ("multipart/1MB", "20"), ("upload/10KB", "20"), ("upload/1MB", "4")]
    {
        let first = instructions(case, iterations);
        let second = instructions(case, iterations);
        let difference = first.abs_diff(second) as f64 / first as f64;
        figure(
            &format!("instructions of {case}, counted twice"),
            &format!("{:.4} %", 100.0 * difference),
            "0.1 %",
        );
        assert!(difference < 0.001, "{case}: {first} and {second}");
    }
}
