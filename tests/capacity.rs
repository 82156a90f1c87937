//! Promise: `load --find` finds what a service holds, asks it of two services in turn, stores every step, and says the same of
//! the record again. How well it finds is proved in src/load/capacity/simulation.rs, and for real by ci/capacity.sh.

mod common;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use common::bench::read_json;
use common::load::{Load, adds_up, alone, ms};
use common::server::{Manner, Server};
use serde_json::Value;

/// Steps of a fifth of a second: what they find is rough, and found within seconds.
const QUICK: [&str; 4] = ["--duration", "200ms", "--file-size", "1KB"];

/// A server with so many workers, each of which takes this time for a request, in the order of their arrival.
fn queue(workers: usize, service: Duration) -> Server {
    // When each worker is free.
    let free = Mutex::new(vec![Instant::now(); workers]);
    Server::scripted(move |exchange| {
        let Some(answer) = exchange.answer() else { return false };
        let end = {
            let mut free = free.lock().expect("nobody panicked");
            let first = free.iter_mut().min().expect("has a worker");
            *first = Instant::now().max(*first) + service;
            *first
        };
        std::thread::sleep(end.saturating_duration_since(Instant::now()));
        exchange.respond("201 Created", &answer)
    })
}

fn report(load: &Load) -> Value {
    read_json(&load.file("capacity.json"))
}

#[test]
fn the_rate_that_a_service_holds_is_found_and_stored() {
    let _alone = alone();
    // Two workers of 5 ms can do 400 requests a second, and hold a p99 of 50 ms at somewhat less.
    let server = queue(2, Duration::from_millis(5));
    let args = ["--find", "p99_ms=50", "--from", "100", "--find-steps", "2"];
    let load = Load::against(&server.url(), &[&args[..], &QUICK].concat());
    let run = load.run();
    // 3 where a run so short does not confirm it, or the generator was late beside other tests.
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.output());
    let report = report(&load);
    adds_up(&report);
    let service = &report["load"]["capacity"]["services"][0];
    let curve = service["curve"].as_array().expect("has rates");
    assert!(curve.iter().any(|point| point["rate"] == 100.0), "{service}");
    assert!(curve.is_sorted_by_key(|point| point["rate"].as_f64().map(f64::to_bits)), "{curve:?}");
    let steps: u64 = curve.iter().filter_map(|point| point["steps"].as_u64()).sum();
    assert_eq!(Some(steps as usize), report["load"]["runs"].as_array().map(Vec::len));
    if run.code == Some(0) {
        let rate = ms(service, "rate");
        // A machine that stood still for a moment makes it less.
        assert!((50.0..600.0).contains(&rate), "{service}");
        assert!(ms(service, "lower") <= rate && rate <= ms(service, "upper"), "{service}");
        assert_eq!(service["broke_first"], "p99_ms", "{service}");
        assert!(run.stdout.contains("p99 breaks first. A run of 0.6 s with"), "{}", run.stdout);
    }
    it_has_a_page(&load, run.code == Some(0));
    // Nothing answers there any more: what is said comes from the record.
    drop(server);
    let record = load.file("capacity.run.json");
    let again = Load::new(&["--replay", record.to_str().expect("is UTF-8")]).run();
    assert_eq!((again.code, &again.stdout), (run.code, &run.stdout), "{}", again.stderr);
}

/// The page says first what it comes to, draws what was tried, and can be found.
fn it_has_a_page(load: &Load, is_found: bool) {
    let page = std::fs::read_to_string(load.file("capacity.html")).expect("is there");
    let verdict = page.find("class=\"verdict").expect("has a verdict");
    let rates = page.find("Every rate that was tried").expect("has a section");
    assert!(verdict < rates, "{page}");
    for chart in ["Response time by rate", "Throughput by rate", "Failures by rate"] {
        assert!(page.contains(chart), "{chart}: {page}");
    }
    // The place that was found is in each chart and in its legend.
    assert!(!is_found || page.matches("class=\"found\"").count() >= 6, "{page}");
    // How it is repeated.
    assert!(page.contains("ingester-perf load --url") && page.contains("--find p99_ms=50"), "{page}");
    let index = std::fs::read_to_string(load.file("index.html")).expect("is there");
    assert!(index.contains("capacity.html") && index.contains("load &quot;capacity&quot;"), "{index}");
}

#[test]
fn a_search_of_a_flow_is_shown_while_it_runs() {
    let _alone = alone();
    // The first rate is the highest that is tried, and has to hold three times.
    let args = ["--find", "p99_ms=60000", "--from", "50", "--to", "50", "--flow", "--live", "127.0.0.1:0"];
    let load = Load::new(&[&args[..], &QUICK].concat());
    let run = load.run();
    // 3 where the generator was late beside other tests.
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.output());
    assert!(run.stderr.contains("Live: http://127.0.0.1:"), "{}", run.stderr);
    let report = report(&load);
    adds_up(&report);
    assert_eq!(report["steps"][0]["figures"]["operation"], "flow/upload");
    let runs = report["load"]["runs"].as_array().map(Vec::len);
    assert!(runs >= Some(3), "{}", run.output());
    if run.code == Some(0) {
        assert!(run.stdout.contains("It holds at least 50 a second"), "{}", run.stdout);
    }
}

#[test]
fn two_services_are_asked_in_turn() {
    let _alone = alone();
    let first = Server::start(Manner::Python);
    let second = Server::start(Manner::Python);
    // 59.5 is the fourth level above 50, and has to hold three times.
    let args = ["--find", "p99_ms=1000", "--from", "50", "--to", "60", "--compare-url"];
    let load = Load::against(&first.url(), &[&args[..], &[second.url().as_str()], &QUICK].concat());
    let run = load.run();
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.output());
    let report = report(&load);
    let runs = report["load"]["runs"].as_array().expect("has runs");
    let names: Vec<&str> = runs.iter().filter_map(|run| run["name"].as_str()).collect();
    let of_first = format!("50/s to {}", first.url());
    assert_eq!(names[..2], [of_first.as_str(), &format!("50/s to {}", second.url())]);
    // More where a step was made again, as the generator was late in it.
    if run.code == Some(0) && names.len() == 8 {
        // The order turns round from step to step.
        let asked: Vec<bool> = names.iter().map(|name| name.ends_with(&first.url())).collect();
        assert_eq!(asked, [true, false, false, true, true, false, false, true]);
        assert!(run.stdout.contains("holds at least 59.5 a second"), "{}", run.stdout);
        assert!(run.stdout.contains("whether it holds more is not known"), "{}", run.stdout);
    }
}

#[test]
fn a_service_that_refuses_everything_holds_nothing() {
    let _alone = alone();
    let server = Server::start(Manner::Status(503));
    let args = ["--preset", "capacity", "--from", "50"];
    let load = Load::against(&server.url(), &[&args[..], &QUICK].concat());
    let run = load.run();
    // 3 where the generator was late, beside other tests.
    assert!(matches!(run.code, Some(1 | 3)), "{}", run.output());
    if run.code == Some(1) {
        assert!(run.stdout.contains("It does not hold 50 a second"), "{}", run.stdout);
    }
}

#[test]
fn a_search_that_runs_out_of_bytes_tells_what_held_until_then() {
    let _alone = alone();
    let server = Server::start(Manner::Python);
    // Ten uploads at the first rate, twenty at the second, forty at the third: with the looks between, more than 60 KB.
    let args = ["--find", "p99_ms=60000", "--from", "50", "--max-bytes", "60KB"];
    let load = Load::against(&server.url(), &[&args[..], &QUICK].concat());
    let run = load.run();
    assert_eq!(run.code, Some(3), "{}", run.output());
    assert!(run.stdout.contains("The search ended early: "), "{}", run.output());
    assert!(run.stdout.contains("INGESTER_MAX_BYTES"), "{}", run.output());
    assert!(run.stdout.contains("has no answer, as the search did not come to its end"), "{}", run.stdout);
    adds_up(&report(&load));
}

#[test]
fn a_name_does_not_change_which_limits_are_looked_for() {
    let load = Load::new(&["--preset", "capacity", "--name", "nightly"]);
    let targets = load.file("targets.toml");
    // No rate holds this one, which is told before anything starts.
    std::fs::write(&targets, "[capacity]\nmax_ms = 5\n").expect("writes");
    let run = load.env("INGESTER_TARGETS", targets.to_str().expect("is UTF-8")).run();
    assert_eq!(run.code, Some(2), "{}", run.output());
    assert!(run.stderr.contains("a limit of [capacity] in the targets' file"), "{}", run.stderr);
}

#[test]
fn what_cannot_be_looked_for_is_said_in_one_line() {
    for (args, says) in [
        (&["--find", "throughput_rps=50"][..], "--find: throughput_rps is what is looked for"),
        (&["--find", "max_ms=50"], "--find: the longest latency grows"),
        (&["--find", "p98_ms=50"], "there are avg_ms"),
        (&["--find", "p99_ms=50", "--users", "5"], "cannot be used with"),
        (&["--find", "p99_ms=50", "--target", "p95_ms=5"], "cannot be used with"),
        (&["--find", "p99_ms=50", "--abort-on", "p95_ms=5"], "cannot be used with"),
        (&["--find", "p99_ms=50", "--preset", "normal"], "--find: goes with --preset capacity"),
        (&["--find", "p99_ms=50", "--repeat", "3"], "--repeat: is not for a search"),
        (&["--find", "p99_ms=50", "--find", "p99_ms=60"], "--find: limits p99_ms twice"),
        (&["--find", "p99_ms=50", "--think", "1s"], "--think: is for users"),
        (&["--preset", "capacity", "--warm-up", "1s"], "--warm-up: is not for a search"),
        (&["--rate", "5", "--duration", "1s", "--think", "1s"], "cannot be used with"),
        (&["--find", "p99_ms=50", "--from", "9", "--to", "5"], "--to: 5 is below --from 9"),
        (&["--find", "p99_ms=50", "--duration", "100ms"], "--duration: a step of a search"),
        (&["--preset", "capacity", "--step", "9"], "--step: is of a stress run"),
        (&["--preset", "normal", "--compare-url", "http://h"], "--compare-url: is of a search"),
        (&["--preset", "capacity", "--compare-url", "http://h"], "--compare-url: is set without a token"),
        (&["--preset", "capacity", "--abort-on", "p95_ms=5"], "--abort-on: is not for a search"),
        (&["--preset", "normal", "--abort-on", "p95_ms=5,for=3s"], "after=30s"),
        (&["--find", "p99_ms=50", "--shards", "2"], "--find: a search cannot be cut into shards"),
        (&["--preset", "capacity", "--shard", "0/2"], "--preset: a search cannot be cut into shards"),
    ] {
        let load = Load::new(args);
        let run = load.run();
        assert_eq!(run.code, Some(2), "{args:?}: {}", run.output());
        assert!(run.stderr.contains(says) && !run.stderr.contains("panicked"), "{args:?}: {}", run.stderr);
        assert!(run.stdout.is_empty() && !load.file("capacity.json").exists(), "{args:?}: {}", run.stdout);
    }
}
