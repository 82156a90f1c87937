//! Promise: over a simulated network, an upload takes what the network's figures say, whatever is spoken; the figures stand
//! wherever a result does; and an upload fails no sooner for it.
//!
//! The truth is a formula: 8 bits a byte over the rate, and a round trip. Nothing may be faster. How much slower it may be
//! is the machine's affair in a test; a proof allows 3 %.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::bench::Bench;
use common::load::{Load, alone, choose, figure, ms, strict};
use common::server::{Manner, Server};
use common::tls::tls_before;
use ingester_perf::api::Api;
use ingester_perf::auth::Token;
use ingester_perf::client::{Client, Endpoint, Http, UploadBody};
use ingester_perf::payload::generate_test_file;
use ingester_perf::units::Bytes;

/// A line that is quick enough for a test, and slow against the machine.
const LINE: &str = "20ms,8mbit,8mbit";
/// The same in reports.
const NAMED: &str = "a line (20 ms, 8 Mbit/s up, 8 Mbit/s down)";

/// Milliseconds that so many bytes take at a rate in kbit/s, which are bits a millisecond, and a round trip.
fn formula(bytes: u64, kbit: u64, round_trip_ms: u64) -> f64 {
    bytes as f64 * 8.0 / kbit as f64 + round_trip_ms as f64
}

/// Asserts that a time is that of the formula or more, and at most so many times as much.
fn within(what: &str, measured: f64, expected: f64, times: f64) {
    // Beside other tests a wake-up may come late, however short the upload is.
    let most = expected * times + choose(0.0, 100.0);
    assert!((expected..=most).contains(&measured), "{what}: {measured} ms, expected {expected} ms");
}

#[test]
fn uploads_take_what_the_line_takes_over_both_protocols() {
    let _alone = alone();
    for protocol in [&[][..], &["--http2"]] {
        let args = ["--network", LINE, "--users", "2", "--requests", "6", "--file-size", "100KB"];
        let load = Load::new(&[&args[..], protocol].concat());
        let run = load.judged();
        assert_eq!(run.code, Some(0), "{}", run.output());
        assert!(
            run.stdout.contains(&format!("Measured over a simulated network: {NAMED}.")),
            "{}",
            run.stdout
        );
        let report = load.report();
        assert_eq!(report["environment"]["ingester"], format!("stub over {NAMED}"));
        // Of those on a connection that stands, as each user's first has to connect.
        within("100 KB", ms(&report, "min_latency_ms"), formula(102_400, 8000, 20), choose(1.1, 2.0));
        // Connecting has a round trip of its own.
        within("connecting", ms(&report, "load.connect.min_ms"), 20.0, choose(1.3, 2.0));
    }
}

#[test]
fn a_tls_handshake_has_its_round_trip() {
    let _alone = alone();
    let server = Server::start(Manner::Python);
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("makes a certificate");
    let port = tls_before(server.address, &key, Duration::ZERO);
    let args = ["--network", LINE, "--users", "1", "--requests", "4", "--file-size", "10KB"];
    let load = Load::against(&format!("https://localhost:{port}"), &args);
    let trusted = load.file("ca.pem");
    std::fs::write(&trusted, key.cert.pem()).expect("writes");
    let report = load.env("SSL_CERT_FILE", trusted.to_str().expect("is UTF-8")).valid();
    assert_eq!(report["failed_requests"], 0, "{}", report["failures"]);
    assert_eq!(report["environment"]["ingester"], format!("https://localhost:{port} over {NAMED}"));
    // One round trip of TCP, and one of TLS 1.3.
    within("connecting", ms(&report, "load.connect.min_ms"), 40.0, choose(1.5, 3.0));
    within("10 KB", ms(&report, "min_latency_ms"), formula(10_240, 8000, 20), choose(1.3, 3.0));
}

#[test]
fn presets_take_what_their_figures_say() {
    let _alone = alone();
    // Round trip in ms and rate up in kbit/s, as docs/network.md has them.
    let presets =
        [("slow-3g", 400, 400), ("3g", 300, 768), ("4g", 170, 9000), ("dsl", 50, 384), ("lte", 70, 12_000)];
    // The last one is the quickest.
    let tried = if strict() { &presets[..] } else { &presets[4..] };
    let size = choose("1MB", "10KB");
    let bytes = choose(1 << 20, 10 << 10);
    for &(name, round_trip_ms, kbit) in tried {
        let args = ["--network", name, "--users", "1", "--requests", "3", "--file-size", size];
        let report = Load::new(&args).valid();
        assert_eq!(report["failed_requests"], 0, "{}", report["failures"]);
        // Of those on a connection that stands, as the first has to connect.
        let measured = ms(&report, "min_latency_ms");
        let expected = formula(bytes, kbit, round_trip_ms);
        figure(
            &format!("{size} over {name}"),
            &format!("{measured:.1} ms"),
            &format!("{expected:.1} ms, at most 3 % more"),
        );
        within(name, measured, expected, choose(1.03, 2.0));
    }
}

#[test]
fn a_time_limit_is_the_services_and_not_the_networks() {
    let _alone = alone();
    // The line alone needs 122 ms for an upload.
    let limit = ["--timeout", "100ms", "--grace", "1ms"];
    let args = ["--network", LINE, "--users", "1", "--requests", "3", "--file-size", "100KB"];
    let report = Load::new(&[&args[..], &limit].concat()).valid();
    assert_eq!((&report["successful_requests"], &report["failed_requests"]), (&3.into(), &0.into()));
}

#[test]
fn a_bench_says_over_which_network_it_measured() {
    let _alone = alone();
    let bench = Bench::new("upload").env("INGESTER_NETWORK", LINE);
    // An upload over the line may take longer than the project's own targets allow.
    let targets = bench.dir.path().join("targets.toml");
    std::fs::write(&targets, "[upload_small_file]\nsuccess_rate_pct = 99\n").expect("writes");
    let bench = bench.env("INGESTER_TARGETS", targets.to_str().expect("is UTF-8"));
    let run = bench.short(&["10KB"]).exited(0);
    let says = format!("Measuring the stub in this process over {NAMED}; placement ");
    assert!(run.stderr.contains(&says), "{}", run.stderr);
    assert!(run.stdout.contains(&format!("Measured over a simulated network: {NAMED}.")), "{}", run.stdout);
    let report = bench.report("upload_small_file");
    assert_eq!(report["environment"]["ingester"], format!("stub over {NAMED}"));
    within("10 KB", ms(&report, "min_latency_ms"), formula(10_240, 8000, 20), choose(1.3, 3.0));
    // The token check is none of the network's business.
    let run = Bench::new("jwt").env("INGESTER_NETWORK", LINE).short(&[]).exited(0);
    assert!(run.stderr.contains("INGESTER_NETWORK is set, but this measures the machine"), "{}", run.stderr);
    assert!(!run.stdout.contains("simulated network"), "{}", run.stdout);
}

#[test]
fn a_wrong_network_is_told_before_anything_starts() {
    let once = ["--users", "1", "--requests", "1"];
    let flag = Load::new(&[&once[..], &["--network", "5g"]].concat()).run();
    let says = "\"5g\" is not a network: there are slow-3g, lossy, 3g, dsl, 4g, lte, and RTT,UP,DOWN[,JITTER[,LOSS]]";
    assert!(flag.exits(2).starts_with(&format!("error: --network: {says}")), "{}", flag.output());
    let variable = Load::new(&once).env("INGESTER_NETWORK", "5g").run();
    assert!(
        variable.exits(2).starts_with(&format!("error: INGESTER_NETWORK: {says}")),
        "{}",
        variable.output()
    );
}

#[test]
fn a_flag_stands_above_the_variable() {
    let _alone = alone();
    let args = ["--users", "1", "--requests", "2", "--file-size", "1KB", "--network", "none"];
    // Two uploads and two looks would take seconds over it.
    let load = Load::new(&args).env("INGESTER_NETWORK", "slow-3g");
    assert_eq!(load.valid()["environment"]["ingester"], "stub");
}

/// A server that answers each upload, and closes the connection a while later without a word.
fn closing_later() -> Server {
    Server::scripted(|exchange| {
        exchange.created();
        std::thread::sleep(Duration::from_millis(100));
        false
    })
}

#[test]
fn a_connection_that_was_closed_while_idle_is_not_used_again() {
    let server = closing_later();
    let url = server.url().parse().expect("is a URL");
    let network = LINE.parse().expect("is a network");
    let endpoint = Endpoint::resolve(&url, Http::One).expect("resolves").over(Some(network));
    let api = Arc::new(Api::default());
    let token = Some(Token::new("a.b.c"));
    let mut client = Client::new(endpoint, &api, token, Duration::from_secs(10)).expect("is a token");
    let upload = UploadBody::whole(&generate_test_file(Bytes(10)), &api);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
    // Long enough for the service to close, and for that to arrive.
    let pause = Duration::from_millis(400);
    let first = runtime.block_on(client.upload(&upload));
    assert_eq!(first.finished.outcome, Ok(()));
    // A user who thinks, while the event loop runs.
    runtime.block_on(async { tokio::time::sleep(pause).await });
    let second = runtime.block_on(client.upload(&upload));
    assert_eq!(second.finished.outcome, Ok(()));
    // Between two samples of a bench nothing runs at all.
    std::thread::sleep(pause);
    runtime.block_on(client.prepare());
    let third = runtime.block_on(client.upload(&upload));
    assert_eq!(third.finished.outcome, Ok(()));
}

#[cfg(unix)]
#[test]
fn a_gate_refuses_a_worker_that_knows_no_network() {
    use common::gate::{Bench as Gate, STEADY};

    let bench = Gate::new();
    let base = bench.worker("base", STEADY);
    let head = bench.worker("head", STEADY);
    let mut gate = bench.gate(&Gate::arms(&base, &head));
    let run: common::bench::Run = gate.env("INGESTER_NETWORK", LINE).output().expect("starts").into();
    let says = format!("measures itself, and not over the network of INGESTER_NETWORK, {NAMED}");
    assert!(run.exits(2).contains(&says), "{}", run.output());
}
