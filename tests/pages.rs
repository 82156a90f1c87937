//! Promise: every command leaves a page that says what came of it; the index of a folder leads to all of them, whatever else
//! lies there; and no secret stands on any.

#![cfg(unix)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::bench::{Bench, Run};
use common::gate::{Bench as Gate, GATE, SLOWER, STEADY};
use common::load::{Load, alone, signal};
use common::server::{Manner, Server};

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The names of all that lies in a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in folder.read_dir().expect("can be listed") {
        names.push(entry.expect("reads").file_name().to_string_lossy().into_owned());
    }
    names.sort();
    names
}

const ARGS: [&str; 8] = ["--users", "2", "--requests", "20", "--file-size", "1KB", "--name", "peak"];

#[test]
fn a_load_leaves_a_page_and_the_index_leads_to_it_whatever_else_lies_there() {
    let _alone = alone();
    let server = Server::start(Manner::Python);
    let load = Load::against(&server.url(), &ARGS);
    fs::write(load.file("broken.json"), "{").expect("writes");
    fs::write(load.file("mine.html"), "mine").expect("writes");
    fs::create_dir(load.file("folder.json")).expect("makes it");
    let run = load.run();
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.output());
    let page = read(&load.file("peak.html"));
    for part in ["Load: peak", "What stands out", "Percentiles", "Where it was measured", "peak.run.json"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    // How it is repeated, with the name of the secret in its place.
    assert!(page.contains("--name peak") && page.contains("$INGESTER_TOKEN"), "{page}");
    assert!(!page.contains("a.bearer.token"), "{page}");
    let index = read(&load.file("index.html"));
    assert!(index.contains("peak.html") && index.contains("1 report: "), "{index}");
    assert!(!index.contains("mine.html") && !index.contains("broken.json"), "{index}");
    assert!(!index.contains("folder.json"), "{index}");
    assert_eq!(read(&load.file("mine.html")), "mine");
}

#[test]
fn a_replay_makes_the_same_page_and_the_tests_of_a_ci_and_nothing_else() {
    let _alone = alone();
    let server = Server::start(Manner::Python);
    let load = Load::against(&server.url(), &ARGS);
    let first = load.run();
    assert!(matches!(first.code, Some(0 | 3)), "{}", first.output());
    let record = load.file("peak.run.json");
    let record = record.to_str().expect("is UTF-8");
    let again = Load::new(&["--replay", record, "--export", "html=again.html", "--export", "junit=held.xml"]);
    assert_eq!(again.run().code, first.code);
    // No index, and no report: only what was asked for.
    assert_eq!(names(again.dir.path()), ["again.html", "held.xml"]);
    let page = read(&again.file("again.html"));
    assert!(page.contains("Load: peak") && page.contains("--name peak"), "{page}");
    let held = read(&again.file("held.xml"));
    assert!(held.contains("<testsuite name=\"peak\"") && held.contains("something succeeded"), "{held}");
    assert_eq!(held.contains("<error"), first.code == Some(3), "{held}");
    // A microsecond: no upload holds that.
    let missed = Load::new(&["--replay", record, "--target", "p95_ms=0.001", "--export", "junit=missed.xml"]);
    let code = missed.run().code;
    let missed = read(&missed.file("missed.xml"));
    let says = if code == Some(1) { "<failure type=\"missed\"" } else { "<error type=\"undecided\"" };
    assert!(missed.contains(says) && missed.contains("p95 &lt; 1 µs"), "{missed}");
}

#[test]
fn an_interrupted_load_says_so_at_the_top_of_its_page() {
    let _alone = alone();
    let server = Server::start(Manner::Python);
    let load = Load::against(&server.url(), &["--users", "2", "--duration", "30s", "--file-size", "1KB"]);
    let mut child = load.start();
    // Two of the look, and some that count.
    while server.uploads() < 10 {
        std::thread::sleep(Duration::from_millis(10));
    }
    signal(&child, "INT");
    assert_eq!(child.wait().expect("ends").code(), Some(130));
    let page = read(&load.file("load.html"));
    assert!(page.contains("PARTIAL (interrupted)"), "{page}");
    assert!(read(&load.file("index.html")).contains("PARTIAL (interrupted)"));
}

#[test]
fn a_load_with_the_name_of_another_page_has_one_of_its_own() {
    let _alone = alone();
    let server = Server::start(Manner::Python);
    let args = ["--users", "1", "--requests", "3", "--file-size", "1KB", "--name", "index"];
    let load = Load::against(&server.url(), &args);
    let run = load.run();
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.output());
    assert!(read(&load.file("load_index.html")).contains("Load: index"));
    assert!(read(&load.file("index.html")).contains("load_index.html"));
}

#[test]
fn a_comparison_has_a_page_and_one_that_cannot_be_written_costs_no_table() {
    let _alone = alone();
    let server = Server::start(Manner::Python);
    let load = Load::against(&server.url(), &ARGS);
    load.run();
    let report = load.file("peak.json");
    let report = report.to_str().expect("is UTF-8");
    for (reports, has_page) in [(load.dir.path(), true), (Path::new("/dev/null/x"), false)] {
        let mut compare = Command::new(GATE);
        compare.args(["compare", report, report]).current_dir(load.dir.path());
        let run: Run = compare.env("INGESTER_REPORT_DIR", reports).output().expect("starts").into();
        run.exits(0);
        assert!(run.stdout.contains("peak") && run.stdout.contains("+0.0 %"), "{}", run.stdout);
        assert_eq!(run.stderr.contains("Page: "), has_page, "{}", run.stderr);
    }
    assert!(read(&load.file("compare.html")).contains("no verdict"));
    assert!(read(&load.file("index.html")).contains("compare.html"));
}

#[test]
fn a_gate_leaves_a_page_beside_its_verdict_and_the_next_one_takes_it_away() {
    let gate = Gate::new();
    let junit = gate.path("gate.xml");
    let export = format!("junit={}", junit.display());
    let base = gate.worker("base", STEADY);
    let run = gate.compare(&base, &gate.worker("head", SLOWER), &["--export", &export]);
    run.exits(1);
    let page = read(&gate.path("out/gate.html"));
    assert!(page.contains("FAILED, slower: jwt/validate") && page.contains("slices.json"), "{page}");
    let junit = read(&junit);
    assert!(junit.contains("jwt/validate is not slower by 2 % or more"), "{junit}");
    assert!(
        junit.contains("<failure type=\"missed\" message=\"SLOWER: +5.0 % [+5.0 %, +5.0 %]\""),
        "{junit}"
    );
    // A gate that cannot measure leaves no page of the last one.
    gate.fails("dies", "sys.exit(3)");
    assert!(!gate.path("out/gate.html").exists());
}

#[test]
fn all_benches_share_one_page() {
    let jwt = Bench::new("jwt");
    jwt.short(&[]).exits(0);
    let reports = jwt.reports();
    let page = read(&reports.join("bench.html"));
    assert!(page.contains("jwt/validate") && !page.contains("upload/10KB"), "{page}");
    let upload = Bench::new("upload").env("INGESTER_REPORT_DIR", reports.to_str().expect("is UTF-8"));
    upload.short(&["10KB"]).exits(0);
    let page = read(&reports.join("bench.html"));
    assert!(page.contains("jwt/validate") && page.contains("upload/10KB"), "{page}");
    let index = read(&reports.join("index.html"));
    assert!(index.contains("bench.html") && index.contains("upload_small_file"), "{index}");
}
