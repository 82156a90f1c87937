//! Promise: whatever a service does wrong, it lands in its class, the counts add up, and nothing is a success that
//! was none. Run with the real bench binary against a server that is not the stub.

mod common;

use std::time::{Duration, Instant};

use common::bench::{Bench, Run};
use common::server::{Manner, Server};
use serde_json::Value;

const OPERATION: &str = "upload_small_file";

/// Starts a server of this manner, and sets the bench of uploads up against it.
fn against(manner: Manner) -> (Server, Bench) {
    let server = Server::start(manner);
    // However busy the machine is, only a server that never answers may run into it.
    let timeout = if manner == Manner::Hang { "200ms" } else { "10s" };
    let bench = Bench::new("upload")
        .env("INGESTER_URL", server.url())
        .env("INGESTER_TOKEN", "a.bearer.token")
        .env("INGESTER_TIMEOUT", timeout);
    (server, bench)
}

/// A count of a report.
fn count(report: &Value, key: &str) -> u64 {
    report[key].as_u64().unwrap_or_else(|| panic!("{key} is not a count: {report}"))
}

/// Asserts what holds of every report, and returns it.
fn sound(bench: &Bench) -> Value {
    let report = bench.report(OPERATION);
    let by_class: u64 = report["failures"]
        .as_object()
        .expect("is an object")
        .values()
        .map(|failed| failed["count"].as_u64().expect("is a count"))
        .sum();
    assert_eq!(
        count(&report, "total_requests"),
        count(&report, "successful_requests") + count(&report, "failed_requests")
    );
    assert_eq!(count(&report, "failed_requests"), by_class);
    // Without a success there is no mean: a division by zero would show here.
    assert!(!report.to_string().contains("NaN"), "{report}");
    report
}

/// Runs against the manner; all must fail as `class`, and the bench must say so with exit code 1.
fn all_fail_as(manner: Manner, class: &str, says: &str) -> (Run, Value) {
    let (_server, bench) = against(manner);
    let started = Instant::now();
    let run = bench.short(&["10KB"]);
    // A case in which nothing succeeds is given up, and not measured to its end.
    assert!(started.elapsed() < Duration::from_secs(60), "{manner:?} took {:?}", started.elapsed());

    let why = run.exits(1);
    assert!(why.contains("upload/10KB: stopped after"), "{manner:?}: {why}");
    let report = sound(&bench);
    assert_eq!(report["successful_requests"], 0, "{manner:?}");
    assert!(report["avg_latency_ms"].is_null() && report["p99_latency_ms"].is_null(), "{manner:?}");
    assert_eq!(report["partial"], true, "{manner:?}");
    let classes: Vec<_> = report["failures"].as_object().expect("is an object").keys().collect();
    assert_eq!(classes, [class], "{manner:?}: {}", report["failures"]);
    let example = report["failures"][class]["example"].as_str().expect("has an example");
    assert!(example.contains(says), "{manner:?}: {example}");
    // Criterion would compare the next run with it.
    assert!(
        !bench.criterion().join("upload/10KB/base/sample.json").exists(),
        "{manner:?}: saved as a baseline"
    );
    (run, report)
}

#[test]
fn refusals_by_status_are_told_apart() {
    let (_, report) = all_fail_as(Manner::Status(503), "http_5xx", "not today");
    let failed = &report["failures"]["http_5xx"];
    assert_eq!(failed["statuses"]["503"], failed["count"]);
    all_fail_as(Manner::Status(429), "http_4xx", "429");
}

#[test]
fn broken_connections_are_resets() {
    all_fail_as(Manner::CutShort, "reset", "end of file");
    all_fail_as(Manner::Silent, "reset", "closed");
    all_fail_as(Manner::Reset, "reset", "connection");
}

#[test]
fn what_is_no_answer_of_this_api_is_a_protocol_failure() {
    all_fail_as(Manner::Garbage, "protocol", "not HTTP");
    all_fail_as(Manner::NoJson, "protocol", "got 201 that is not a JSON object: stored");
    all_fail_as(Manner::Redirect, "protocol", "307");
}

#[test]
fn a_wrong_checksum_or_size_is_corrupt() {
    all_fail_as(Manner::WrongChecksum, "corrupt", "checksum");
    all_fail_as(Manner::WrongSize, "corrupt", "10241");
}

#[test]
fn a_service_that_never_answers_times_out() {
    let (_, report) = all_fail_as(Manner::Hang, "timeout", "no answer within 200ms");
    let waited = report["failures"]["timeout"]["avg_latency_ms"].as_f64().expect("has a mean");
    // The time limit that was set for it: a failure lasts until it is given up, not 0.
    assert!(waited >= 200.0, "{waited}");
}

#[test]
fn a_service_that_fails_half_way_keeps_its_successes_and_loses_its_verdict() {
    // Two to look, one to warm up, ten that are measured. Any upload takes longer than these microseconds, and so
    // Criterion warms up once and gives each of the 30 samples one iteration: the eleventh sample is the first to fail.
    let (server, bench) = against(Manner::Wears(2 + 1 + 10));
    let once = ["--warm-up-time", "0.000001", "--measurement-time", "0.000001", "--sample-size", "30"];
    let run = bench.run(&[&["--noplot"], &once[..], &["10KB"]].concat());
    assert!(run.exits(1).contains("without one success"), "{}", run.stderr);
    let report = sound(&bench);
    assert_eq!(report["successful_requests"], 10, "{report}");
    assert_eq!(report["failures"]["http_5xx"]["count"], report["failed_requests"]);
    assert!(report["failed_requests"].as_u64() >= Some(5), "{report}");
    assert_eq!(report["partial"], true, "{report}");
    // The look before and the warm-up are counted by the server only.
    assert_eq!(server.uploads(), 2 + 1 + report["total_requests"].as_u64().expect("is a count"));
}

#[test]
fn a_service_that_fails_every_second_time_is_reported_and_no_baseline() {
    let (_server, bench) = against(Manner::EverySecond);
    bench.short(&["10KB"]).exits(1);
    let report = sound(&bench);
    assert!(report["successful_requests"].as_u64() > Some(0), "{report}");
    assert!(report["failed_requests"].as_u64() > Some(0), "{report}");
    assert_eq!(report["failures"]["http_5xx"]["count"], report["failed_requests"], "{report}");
    assert!(
        !bench.criterion().join("upload/10KB/base/sample.json").exists(),
        "a missed success rate was saved as a baseline"
    );
}

#[test]
fn a_refused_token_is_told_before_anything_is_measured() {
    for status in [401, 403] {
        let (server, bench) = against(Manner::Status(status));
        let run = bench.short(&[]);
        let why = run.exits(2);
        assert!(why.contains("refused the token") && why.contains(&server.url()), "{why}");
        assert!(!bench.reports().exists() && server.uploads() == 1, "measured all the same");
    }
}

#[test]
fn a_service_that_is_not_there_is_told_before_anything_is_measured() {
    // The listener is closed again at the end of the statement, and its port is free.
    let nobody =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free").local_addr().expect("is bound");
    let url = format!("http://{nobody}");
    let bench = Bench::new("load").env("INGESTER_URL", &url).env("INGESTER_TOKEN", "a.b.c");
    let run = bench.short(&[]);
    let why = run.exits(2);
    assert!(why.contains("cannot reach the ingester") && why.contains(&url), "{why}");
    assert!(!bench.reports().exists(), "measured all the same");
}

#[test]
fn load_counts_every_failure_too() {
    // The look before has 2 uploads and a pass has 100: it wears out in the middle of the third pass.
    let server = Server::start(Manner::Wears(220));
    let bench = Bench::new("load").env("INGESTER_URL", server.url()).env("INGESTER_TOKEN", "a.b.c");
    let run = bench.short(&["10_users"]);
    assert!(run.exits(1).contains("load/10_users"), "{}", run.stderr);
    let report = bench.report("concurrent_upload_10");
    assert_eq!(
        count(&report, "total_requests"),
        count(&report, "successful_requests") + count(&report, "failed_requests")
    );
    // Two failures in a row for each of the ten users end it, in the middle of a pass.
    assert!(report["partial"] == true && count(&report, "failed_requests") >= 20, "{report}");
    let passes = report["plan"]["passes"].as_u64().expect("is a count");
    assert!(count(&report, "total_requests") <= 100 * passes, "{report}");
}
