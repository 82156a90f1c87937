//! Promise: of an operation of several requests, each step has its own figures, and they add up to those of the whole; whatever
//! goes wrong in a step ends the operation, and is counted once there and once in the whole.
#![cfg(unix)]

mod common;

use std::collections::BTreeMap;

use common::bench::{Run, read_json};
use common::load::{Load, adds_up, alone, ms};
use common::serve::Serve;
use serde_json::Value;
use tempfile::TempDir;

const FLOW: [&str; 5] = ["--flow", "--users", "2", "--file-size", "10KB"];
/// The steps of the ingester.
const STEPS: [&str; 4] = ["flow/upload", "flow/finalize", "flow/ready", "flow/download"];

// A service of somebody else's, and how it is spoken to.
const SERVICE: &str = include_str!("common/flow_service.py");
const CONFIG: &str = r#"
[service]
serve = "exec python3 flow_service.py {port} BEHAVIOUR"
ready = "/health"

[api]
method = "POST"
path = "/files"
body = "raw"
token = "none"
id = "/id"

[[flow.step]]
name = "upload"

[[flow.step]]
name = "finalize"
path = "/files/{id}/finalize"
body = '{"file": "{id}"}'
success = [202]
take = { job = "/job/id" }

[[flow.step]]
name = "ready"
path = "/jobs/{job}"
until = { pointer = "/done", equals = true, fails = "broken" }
every = "5ms"
timeout = "TIMEOUT"

[[flow.step]]
name = "content"
path = "/files/{id}"
compare = true
"#;

/// A flow against the stub, of so many operations.
fn against_the_stub(requests: &str) -> Load {
    Load::new(&[&FLOW[..], &["--requests", requests]].concat())
}

/// A flow against the other service, with these tables behind those of the configuration.
fn against_another(behaviour: &str, timeout: &str, more: &str) -> Load {
    let load = Load::new(&[&FLOW[..], &["--requests", "8"]].concat());
    let config = CONFIG.replace("BEHAVIOUR", behaviour).replace("TIMEOUT", timeout);
    std::fs::write(load.file("ingester-perf.toml"), format!("{config}{more}")).expect("writes");
    std::fs::write(load.file("flow_service.py"), SERVICE).expect("writes");
    load
}

/// Runs it, and returns the report, whose steps add up. Whether the generator kept up does not matter here: counts are right
/// either way.
#[track_caller]
fn reported(load: &Load, code: i32) -> (Run, Value) {
    let run = load.run();
    assert!(run.code == Some(code) || run.code == Some(3), "{}", run.output());
    let report = read_json(&load.file("flow.json"));
    adds_up(&report);
    steps_add_up(&report, &read_json(&load.file("flow.run.json")));
    (run, report)
}

/// Asserts that the steps of a report come to its operations.
#[track_caller]
fn steps_add_up(report: &Value, record: &Value) {
    let ended = count(&report["total_requests"]);
    let mut reached = ended;
    let mut classes = BTreeMap::new();
    for step in steps(report) {
        let figures = &step["figures"];
        let ok = count(&figures["successful_requests"]);
        let failed = count(&figures["failed_requests"]);
        // Begun is ok or failed, and every operation that has ended began it or did not reach it.
        assert_eq!((ok + failed, ok + failed + count(&step["not_reached"])), (reached, ended), "{step}");
        for (class, of_class) in failures(figures) {
            *classes.entry(class).or_default() += of_class;
        }
        reached = ok;
    }
    assert_eq!(reached, count(&report["successful_requests"]));
    assert_eq!(classes, failures(report));
    // To the nanosecond, which the report has not got.
    let load = &record["runs"][0]["run"]["load"];
    let mut ns = 0;
    for step in load["steps"].as_array().expect("is an array") {
        ns += count(&step["in_successes_ns"]);
    }
    assert_eq!(ns, count(&load["times"]["service"]["sum_ns"]));
}

fn steps(report: &Value) -> &[Value] {
    report["steps"].as_array().expect("has steps")
}

fn names(report: &Value) -> Vec<&str> {
    steps(report).iter().map(|step| step["figures"]["operation"].as_str().expect("is a text")).collect()
}

/// How many failed in which class.
fn failures(figures: &Value) -> BTreeMap<String, u64> {
    let mut failures = BTreeMap::new();
    for (class, failed) in figures["failures"].as_object().expect("is an object") {
        failures.insert(class.clone(), count(&failed["count"]));
    }
    failures
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is not a count"))
}

#[test]
fn the_steps_of_the_stub_add_up_to_the_whole() {
    let _alone = alone();
    let (run, report) = reported(&against_the_stub("20"), 0);
    assert_eq!(names(&report), STEPS);
    assert_eq!(report["successful_requests"], 20);
    let mut share = 0.0;
    for step in steps(&report) {
        assert_eq!(step["figures"]["successful_requests"], 20);
        share += ms(step, "share_pct");
    }
    assert!((share - 100.0).abs() < 1e-6, "{share}");
    // One request for each of the others; the one that waits may ask several times.
    let requests: Vec<u64> = steps(&report).iter().map(|step| count(&step["requests"])).collect();
    assert!([requests[0], requests[1], requests[3]] == [20; 3] && requests[2] >= 20, "{requests:?}");
    assert!(run.stdout.contains(" flow/download "), "{}", run.stdout);
    let says = "Each of them goes through these steps: upload, finalize, ready, download\n";
    assert!(run.stderr.contains(says), "{}", run.stderr);
}

#[test]
fn the_other_dialect_has_the_same_steps() {
    let _alone = alone();
    let dir = TempDir::new().expect("makes a folder");
    let storage = format!("dir:{}", dir.path().display());
    let serve = Serve::with(&["--dialect", "go", "--storage", &storage]);
    let url = format!("http://{}", serve.address);
    let load = Load::new(&[&FLOW[..], &["--requests", "10", "--url", &url]].concat())
        .env("INGESTER_TOKEN", serve.token.as_str());
    let (_, report) = reported(&load, 0);
    assert_eq!((names(&report), &report["successful_requests"]), (STEPS.to_vec(), &Value::from(10)));
}

#[test]
fn arrivals_wait_for_no_flow_and_a_network_is_in_every_step() {
    let _alone = alone();
    let args = ["--flow", "--file-size", "10KB", "--rate", "20", "--duration", "1s", "--phases"];
    let load = Load::new(&[&args[..], &["--network", "20ms,100mbit,100mbit"]].concat());
    let (_, report) = reported(&load, 0);
    assert_eq!(report["load"]["schedule"]["model"], "open");
    assert_eq!(report["load"]["scheduled"], 20);
    for step in steps(&report) {
        // No request is answered before its round trip of 20 ms is over; clocks may differ by less than that.
        assert!(ms(step, "figures.min_latency_ms") >= 19.0, "{step}");
    }
    let phases = report["load"]["service_phases"].as_array().expect("the stub told them");
    assert_eq!(phases.len(), 1, "all files are of one size");
}

#[test]
fn a_step_that_fails_ends_its_operation() {
    let _alone = alone();
    let load = against_the_stub("40").env("INGESTER_FAULTS", "status=503,share=30%,route=/api/v1/finalize/*");
    let (run, report) = reported(&load, 1);
    let failed: Vec<u64> =
        steps(&report).iter().map(|step| count(&step["figures"]["failed_requests"])).collect();
    assert!(failed[0] == 0 && failed[1] > 0 && failed[2] > 0 && failed[3] == 0, "{failed:?}");
    assert_eq!(count(&steps(&report)[3]["not_reached"]), failed[1] + failed[2]);
    let example = report["failures"]["http_5xx"]["example"].as_str().expect("is there");
    assert!(example.starts_with("finalize: 503") || example.starts_with("ready: 503"), "{example}");
    for step in ["flow/finalize", "flow/ready"] {
        assert!(run.stdout.contains(&format!("{step}: ")), "{}", run.stdout);
    }
}

#[test]
fn content_that_differs_is_told_from_content_that_was_cut_off() {
    let _alone = alone();
    for (fault, class, says) in [
        ("flip", "content_differs", "read back as many, with another SHA-256"),
        // It announces all of the file: what came is no content, but the end of a connection.
        ("truncate", "reset", "download: "),
    ] {
        let fault = format!("{fault},route=/api/v1/files/*/download");
        let (_, report) = reported(&against_the_stub("6").env("INGESTER_FAULTS", fault), 1);
        assert_eq!(failures(&report), BTreeMap::from([(class.to_owned(), 6)]));
        assert_eq!(steps(&report)[3]["figures"]["failed_requests"], 6);
        let example = report["failures"][class]["example"].as_str().expect("is there");
        assert!(example.contains(says), "{example}");
    }
}

#[test]
fn any_service_can_have_a_flow() {
    let _alone = alone();
    let (run, report) = reported(&against_another("well", "10s", ""), 0);
    assert_eq!(names(&report), ["flow/upload", "flow/finalize", "flow/ready", "flow/content"]);
    // The job is done when it is asked for the third time.
    assert_eq!(report["successful_requests"], 8);
    assert_eq!(steps(&report)[2]["requests"], 24);
    // Answers say neither size nor checksum, but the content is read back.
    assert!(!run.stdout.contains("not verified"), "{}", run.stdout);
    // Two pauses of 5 ms belong to the step that waits.
    assert!(ms(&steps(&report)[2], "figures.min_latency_ms") >= 10.0, "{report}");
}

#[test]
fn each_way_of_failing_has_its_class_and_its_step() {
    let _alone = alone();
    for (behaviour, step, class, says) in [
        ("nothing", 1, "protocol", "finalize: wanted an answer with /job/id, which later steps need; got {}"),
        ("fails", 2, "other", "ready: the service says that it failed: done is \"broken\""),
        ("never", 2, "timeout", "the last answer: done is false"),
        ("short", 3, "content_differs", "sent 10240 bytes, read back 5120 bytes"),
    ] {
        let (_, report) = reported(&against_another(behaviour, "300ms", ""), 1);
        assert_eq!(failures(&report), BTreeMap::from([(class.to_owned(), 8)]), "{behaviour}");
        let failed = &steps(&report)[step]["figures"]["failures"][class];
        assert_eq!(failed["count"], 8, "{behaviour}");
        let example = report["failures"][class]["example"].as_str().expect("is there");
        assert!(example.contains(says), "{example}");
        // The time that it waited is the step's.
        assert!(class != "timeout" || ms(failed, "avg_latency_ms") >= 300.0, "{failed}");
    }
}

#[test]
fn a_step_has_limits_of_its_own() {
    let _alone = alone();
    // A microsecond: nothing is read back within that.
    let limits = "\n[targets.flow]\navg_ms = 60000\n\n[targets.\"flow/content\"]\np95_ms = 0.001\n";
    let load = against_another("well", "10s", limits);
    let run = load.judged();
    assert_eq!(run.code, Some(1), "{}", run.output());
    let missed = run.stdout.lines().find(|line| line.contains("MISSED")).expect("one is missed");
    assert!(missed.contains("flow/content") && missed.contains("p95 < 1 µs"), "{missed}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_steps_of_shards_are_added() {
    let _alone = alone();
    let args = [&FLOW[..], &["--requests", "12", "--shards", "2", "--start-at", "+2s"]].concat();
    let (_, report) = reported(&Load::new(&args), 0);
    assert_eq!((names(&report), &report["load"]["shards"]["counted"]), (STEPS.to_vec(), &Value::from(2)));
    for step in steps(&report) {
        assert_eq!(step["figures"]["successful_requests"], 12, "{step}");
    }
}

#[test]
fn a_stored_flow_is_reported_again() {
    let _alone = alone();
    let load = against_the_stub("10");
    let (first, _) = reported(&load, 0);
    let record = load.file("flow.run.json");
    let csv = load.file("tables.csv");
    let export = format!("csv={}", csv.display());
    let again = Load::new(&["--replay", record.to_str().expect("is UTF-8"), "--export", &export]).run();
    assert_eq!((again.code, &again.stdout), (first.code, &first.stdout), "{}", again.stderr);
    let csv = std::fs::read_to_string(csv).expect("was written");
    assert!(csv.contains("step,n,p50,p95,p99,max,avg,share,requests,failed,not reached\n"), "{csv}");
    assert!(csv.contains("\nflow/finalize,10,"), "{csv}");
}

#[test]
fn without_a_flow_there_are_no_steps() {
    let _alone = alone();
    let load = Load::new(&["--users", "1", "--requests", "2", "--file-size", "1KB"]);
    let run = load.run();
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.output());
    assert!(load.report().get("steps").is_none() && !run.stdout.contains("not reached"), "{}", run.stdout);
    let record = read_json(&load.file("load.run.json"));
    assert!(record["runs"][0]["run"]["load"].get("steps").is_none());
}

#[test]
fn a_wrong_flow_is_told_with_its_line_before_anything_starts() {
    const API: &str =
        "[api]\npath = \"/u\"\ntoken = \"none\"\n[[flow.step]]\nname = \"upload\"\n[[flow.step]]\n";
    let wrong: [(&str, &str); 5] = [
        ("[flow]\n", "line 1: flow.step: is missing; write [[flow.step]] with name = \"upload\""),
        (
            &format!("{API}name = \"ready\"\npath = \"/{{id}}\"\n"),
            "line 8: flow.step.path: has {id}, and api.id does not say where that stands in an answer",
        ),
        (
            &format!("{API}name = \"ready\"\npath = \"/{{job}}\"\n"),
            "line 8: flow.step.path: \"/{job}\" has {job}, which nothing before this step fills; there are {name}",
        ),
        (
            &format!("{API}name = \"ready\"\npath = \"/a\"\nuntil = {{ pointer = \"/done\" }}\n"),
            "line 9: flow.step.until: has a pointer without equals, the value that is waited for",
        ),
        (
            &format!("{API}name = \"ready\"\npath = \"/a\"\ntimeout = \"soon\"\n"),
            "line 9: flow.step.timeout: is set without until, which says what is waited for",
        ),
    ];
    for (text, says) in wrong {
        let load = against_the_stub("1");
        std::fs::write(load.file("ingester-perf.toml"), text).expect("writes");
        let run = load.run();
        let why = run.exits(2);
        assert!(why.contains(&format!("ingester-perf.toml: {says}")), "{why}");
    }
}

#[test]
fn a_flow_that_nobody_described_is_refused() {
    let load = against_the_stub("1");
    std::fs::write(load.file("ingester-perf.toml"), "[api]\npath = \"/u\"\ntoken = \"none\"\n")
        .expect("writes");
    let run = load.run();
    let why = run.exits(2);
    assert!(
        why.contains("--flow: the file describes a service ([api]), and does not say what follows"),
        "{why}"
    );
    let run = against_the_stub("1").env("INGESTER_STORAGE", "discard").run();
    assert!(run.exits(2).contains("--flow: needs a stub that keeps files"), "{}", run.stderr);
}
