//! Promise: a service that fell over is let go within the window that was asked for, and what was measured until then is
//! reported whole.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::bench::Run;
use common::load::{Load, adds_up, alone, tried};
use common::server::{Manner, Server};
use serde_json::Value;

/// How long a service lives that dies in mid-run.
const ALIVE: Duration = Duration::from_millis(2500);
/// A tenth of what was planned at most, once the service is dead: the window of 2 s, the second that death came in, the end
/// of what was under way, and time for a busy machine.
const LET_GO: Duration = Duration::from_secs(12);

/// Loads a service that dies, for two minutes if nothing ends that. The run, how long it took from the death on, and its
/// files; nothing where the generator was late.
fn of_a_death(rule: &str) -> Option<(Run, Duration, Load)> {
    let alive = Arc::new(AtomicBool::new(true));
    let server = Server::mortal(Arc::clone(&alive));
    let args =
        ["--rate", "50", "--duration", "2m", "--grace", "1s", "--file-size", "1KB", "--abort-on", rule];
    let load = Load::against(&server.url(), &args);
    let child = load.start();
    std::thread::sleep(ALIVE);
    alive.store(false, Ordering::SeqCst);
    let died = Instant::now();
    let run: Run = child.wait_with_output().expect("ends").into();
    let took = died.elapsed();
    if run.code == Some(3) { None } else { Some((run, took, load)) }
}

#[test]
fn a_service_that_dies_in_mid_run_is_let_go() {
    let _alone = alone();
    let (run, took, load) = tried(|| of_a_death("success_rate_pct=90,after=2s"));
    assert_eq!(run.code, Some(1), "{}", run.output());
    assert!(took < LET_GO, "{took:?}");
    let says =
        "It was ended by --abort-on: success_rate_pct=90 was missed in every second of 2 s; ended after ";
    assert!(run.stdout.contains(says), "{}", run.output());
    // Identity and seconds are exact, as in every report; and it says that it is one of a part.
    let report = load.report();
    adds_up(&report);
    assert_eq!(report["partial"], true);
    let failed = report["failed_requests"].as_u64().expect("is a count");
    assert!(failed >= 50 && report["successful_requests"].as_u64() > Some(50), "{report}");
    // The record comes to the same.
    let record = load.file("load.run.json");
    let again = Load::new(&["--replay", record.to_str().expect("is UTF-8")]).run();
    assert_eq!((again.code, &again.stdout), (run.code, &run.stdout), "{}", again.stderr);
}

#[test]
fn a_rate_that_cannot_be_reached_any_more_ends_the_run_at_once() {
    let _alone = alone();
    let server = Server::start(Manner::EverySecond);
    // Of 40 requests 20 would fail; with the fourth, more than 90 % cannot be reached any more.
    let args = ["--users", "1", "--requests", "40", "--think", "100ms", "--file-size", "1KB"];
    let rule = ["--abort-on", "success_rate_pct=90,after=1h"];
    let load = Load::against(&server.url(), &[&args[..], &rule].concat());
    let run = load.run();
    assert!(matches!(run.code, Some(1 | 3)), "{}", run.output());
    assert!(run.stdout.contains("cannot be reached any more, as "), "{}", run.output());
    let report = load.report();
    adds_up(&report);
    assert!(report["load"]["scheduled"].as_u64() < Some(40), "{}", report["load"]["scheduled"]);
}

#[test]
fn a_run_whose_limits_hold_goes_on_to_its_end() {
    let _alone = alone();
    let server = Server::start(Manner::Python);
    let args = ["--rate", "50", "--duration", "2s", "--file-size", "1KB"];
    let rules = ["--abort-on", "max_ms=30000,after=1s", "--abort-on", "success_rate_pct=99"];
    let load = Load::against(&server.url(), &[&args[..], &rules].concat());
    let report = load.valid();
    assert_eq!((&report["partial"], &report["load"]["scheduled"]), (&Value::from(false), &Value::from(100)));
}

#[test]
fn a_limit_may_be_one_of_every_window() {
    let _alone = alone();
    let server = Server::start(Manner::Python);
    let load = Load::against(&server.url(), &["--rate", "20", "--duration", "3s", "--file-size", "1KB"]);
    load.valid();
    let record = load.file("load.run.json");
    let record = record.to_str().expect("is UTF-8");
    let targets = load.file("targets.toml");
    // A microsecond is missed in every window, and a minute in none.
    for (limit, code, says) in [("0.001", 1, "MISSED"), ("60000", 0, "held")] {
        let text = format!("[load]\np99_ms = {{ limit = {limit}, window = \"2s\" }}\n");
        std::fs::write(&targets, text).expect("writes");
        let again =
            Load::new(&["--replay", record]).env("INGESTER_TARGETS", targets.to_str().expect("is UTF-8"));
        let run = again.run();
        assert_eq!(run.code, Some(code), "{}", run.output());
        let row = run.stdout.lines().find(|line| line.contains("in every 2 s")).expect("has a row");
        assert!(row.contains("from second") && row.contains(says), "{row}");
    }
    std::fs::write(&targets, "[load]\np99_ms = { limit = 5, window = \"soon\" }\n").expect("writes");
    let wrong =
        Load::new(&["--replay", record]).env("INGESTER_TARGETS", targets.to_str().expect("is UTF-8")).run();
    assert!(
        wrong.code == Some(2) && wrong.stderr.contains("line 2: load.p99_ms: window: must be"),
        "{}",
        wrong.stderr
    );
}
