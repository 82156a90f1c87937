//! Promise: what a load run says of latencies and arrivals is what happened, and the generator says where it failed.
//! The truth comes from a server on blocking sockets that shares no code with the stub or the client.
//!
//! Limits are ten times those of the proof; `ci/proof.sh` runs the same with the proof's, on longer runs.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::load::{Load, alone, choose, figure, ms, signal, tried, wait_until, wide};
use common::serve::Serve;
use common::server::{Exchange, Manner, Server};
use common::tls::tls_before;
use ingester_perf::api::Api;
use ingester_perf::auth::Token;
use ingester_perf::client::{Client, Endpoint, Http, UploadBody};
use ingester_perf::load::{Arrivals, Function, Model, Plan, Profile, run};
use ingester_perf::payload::generate_test_file;
use ingester_perf::units::Bytes;

/// Waits, and returns for how long it really did, in µs.
fn delay(ms: u64) -> u64 {
    let begun = Instant::now();
    wait_until(begun + Duration::from_millis(ms));
    begun.elapsed().as_micros() as u64
}

/// A server that waits before the head of its answer, and before its last byte.
fn delaying(before_head: u64, before_end: u64) -> Server {
    Server::scripted(move |exchange| respond_late(exchange, before_head, before_end))
}

fn respond_late(exchange: &mut Exchange<'_>, before_head: u64, before_end: u64) -> bool {
    let Some(answer) = exchange.answer() else { return false };
    delay(before_head);
    // All but the last byte, so that the client has to wait for the end of the answer.
    let (start, end) = answer.split_at(answer.len() - 1);
    exchange
        .send(format!("HTTP/1.1 201 Created\r\nContent-Length: {}\r\n\r\n{start}", answer.len()).as_bytes());
    delay(before_end);
    exchange.send(end.as_bytes())
}

#[test]
fn a_delay_shows_in_its_phase_and_nowhere_else() {
    let _alone = alone();
    for (head, end) in [(0, 0), (1, 0), (5, 0), (50, 0), (0, 1), (0, 5), (0, 50), (5, 50)] {
        let requests = choose("200", "20");
        let server = delaying(head, end);
        let report =
            Load::against(&server.url(), &["--users", "1", "--requests", requests, "--file-size", "1KB"])
                .valid();
        let first = ms(&report, "load.first_byte.p50_ms");
        let last = ms(&report, "load.last_byte.p50_ms");
        // A round trip on loopback, and in a test a build without optimisation.
        let allowed = choose(0.3, 3.0);
        figure(
            &format!("{head} ms before the head, {end} ms within the answer"),
            &format!("first byte {first:.3} ms, last byte {last:.3} ms"),
            &format!("at most {allowed} ms off"),
        );
        for (measured, injected) in [(first, head as f64), (last, end as f64)] {
            let extra = measured - injected;
            // A phase begins when this end has seen the one before, which is a little after the server ended it.
            assert!((-allowed..=allowed).contains(&extra), "{head}, {end}: first {first}, last {last}");
        }
        // The connection was made before the first delay: nothing of that may show in it.
        let connect = ms(&report, "load.connect.max_ms");
        assert!(connect < choose(10.0, 100.0), "{head}, {end}: {connect}");
    }
}

#[test]
fn a_delay_before_the_connection_shows_there() {
    let _alone = alone();
    // Every upload needs a connection of its own, so that all of them meet the delay.
    let server = Server::start(Manner::CloseEach);
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("makes a certificate");
    for delay in [0, 5, 50] {
        let port = tls_before(server.address, &key, Duration::from_millis(delay));
        let url = format!("https://localhost:{port}");
        let load =
            Load::against(&url, &["--users", "1", "--requests", choose("100", "10"), "--file-size", "1KB"]);
        let trusted = load.file("ca.pem");
        std::fs::write(&trusted, key.cert.pem()).expect("writes");
        let report = load.env("SSL_CERT_FILE", trusted.to_str().expect("is UTF-8")).valid();
        let connect = ms(&report, "load.connect.p50_ms");
        let first = ms(&report, "load.first_byte.p50_ms");
        // A TLS handshake at both ends; the answer passes through one more process.
        let allowed = choose(4.0, 40.0);
        figure(
            &format!("{delay} ms before the TLS handshake"),
            &format!("connect {connect:.3} ms, first byte {first:.3} ms"),
            &format!("at most {allowed} ms more"),
        );
        assert!((0.0..=allowed).contains(&(connect - delay as f64)), "{delay}: connect {connect} ms");
        assert!(first <= allowed, "{delay}: first byte {first} ms");
    }
}

/// The client and a blocking one, which does nothing but write and read, upload to the same server in turn.
#[test]
fn the_client_adds_little_to_a_blocking_one() {
    let _alone = alone();
    for delays in [vec![0], vec![1], vec![5], vec![50], vec![0, 1, 5, 50]] {
        let delays_of = delays.clone();
        let (stamps, stamped) = std::sync::mpsc::channel();
        let server = Server::scripted(move |exchange| {
            let Some(answer) = exchange.answer() else { return false };
            // Two in a row get the same delay: one of either client.
            let waited = delay(delays_of[(exchange.number as usize - 1) / 2 % delays_of.len()]);
            stamps.send(waited).is_ok() && exchange.respond("201 Created", &answer)
        });
        let file = generate_test_file(Bytes::kb(1));
        let api = Arc::new(Api::default());
        let body = api.body.encode(&file);
        let url = server.url().parse().expect("is a URL");
        let endpoint = Endpoint::resolve(&url, Http::One).expect("resolves");
        let limit = Duration::from_secs(10);
        let token = Some(Token::new("a.b.c"));
        let mut uploader = Client::new(endpoint, &api, token, limit).expect("is a token");
        let upload = UploadBody::whole(&file, &api);
        let mut raw = raw::Client::connect(server.address, &body);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
        // In turn, so that a slow spell of the machine meets both. What the server says that it waited is taken off, as it
        // may be more than was asked for.
        let mut of_raw = Vec::new();
        let mut of_ours = Vec::new();
        for _ in 0..choose(400, 30) {
            let took = raw.exchange().as_secs_f64() * 1e6;
            of_raw.push(took - stamped.recv().expect("was stamped") as f64);
            let performed = runtime.block_on(uploader.upload(&upload));
            assert_eq!(performed.finished.outcome, Ok(()));
            let took = performed.finished.latency.as_secs_f64() * 1e6;
            of_ours.push(took - stamped.recv().expect("was stamped") as f64);
        }
        let raw = median(&mut of_raw);
        let ours = median(&mut of_ours);
        let more = ours - raw;
        figure(
            &format!("delays of {delays:?} ms: median above the stamped delay"),
            &format!("{ours:.0} µs, blocking client {raw:.0} µs"),
            "at most 100 µs more",
        );
        assert!(more <= wide(100.0), "{delays:?}: {ours} µs, blocking {raw} µs");
    }
}

mod raw {
    //! A client that only writes and reads.

    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::time::{Duration, Instant};

    use ingester_perf::payload::EncodedBody;

    pub struct Client {
        stream: TcpStream,
        request: Vec<u8>,
    }

    impl Client {
        pub fn connect(address: SocketAddr, body: &EncodedBody) -> Self {
            let stream = TcpStream::connect(address).expect("connects");
            stream.set_nodelay(true).expect("can be set");
            let kind = &body.content_type;
            let length = body.bytes.len();
            let head = format!(
                "POST /api/v1/files/upload HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer a.b.c\r\n\
                 Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
            );
            Self { stream, request: [head.as_bytes(), &body.bytes].concat() }
        }

        /// Uploads once. Returns how long it took until the closing brace of the answer had come.
        pub fn exchange(&mut self) -> Duration {
            let begun = Instant::now();
            self.stream.write_all(&self.request).expect("writes");
            let mut buffer = [0; 4096];
            let mut n = 0;
            // The answer is one JSON object, and has no brace within.
            while buffer[..n].last() != Some(&b'}') {
                n += self.stream.read(&mut buffer[n..]).expect("reads");
            }
            begun.elapsed()
        }
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn requests_begin_when_they_are_due() {
    let _alone = alone();
    let serve = Serve::start();
    let url = format!("http://{}", serve.address);
    // A debug build does not send as many.
    let rate = choose("2000", "200");
    let duration = choose("20s", "3s");
    let args = ["--rate", rate, "--arrivals", "poisson", "--duration", duration, "--file-size", "1KB"];
    let report = Load::against(&url, &args).env("INGESTER_TOKEN", &serve.token).valid();
    let p50 = ms(&report, "load.send_delay.p50_ms");
    let p99 = ms(&report, "load.send_delay.p99_ms");
    figure("send delay at 2,000 a second, p50 and p99", &format!("{p50:.3} ms, {p99:.3} ms"), "0.1 ms, 1 ms");
    assert!(p50 <= wide(0.1) && p99 <= wide(1.0), "send delay p50 {p50} ms, p99 {p99} ms");
}

#[test]
fn actual_arrivals_are_exponential() {
    let _alone = alone();
    // What the machine needs to wake up, some 0.06 ms, joins arrivals that are closer together: a small share at this rate.
    let rate = choose(100.0, 50.0);
    let mut gaps = tried(|| {
        let begun = std::sync::Mutex::new(Vec::new());
        let note = Function(async |_: u64| {
            begun.lock().expect("nobody panicked").push(Instant::now());
            Ok::<(), &str>(())
        });
        let profile = Profile::constant(rate, Duration::from_secs(choose(40, 4)));
        let plan = Plan::new(Model::Open { rate: profile, arrivals: Arrivals::Poisson });
        // Sends nothing: this is about when requests begin, and not about what they do.
        let health = run(&plan, vec![(note, None)], |_| true).expect("runs").health();
        if !health.is_valid() {
            return None;
        }
        // In units of the mean gap, so that they have to be exponential with mean 1.
        let begun = begun.into_inner().expect("nobody panicked");
        let gaps: Vec<f64> = begun.windows(2).map(|pair| rate * (pair[1] - pair[0]).as_secs_f64()).collect();
        Some(gaps)
    });
    gaps.sort_by(f64::total_cmp);
    let n = gaps.len() as f64;
    let distances = gaps.iter().zip(1..).map(|(gap, rank)| (1.0 - (-gap).exp() - f64::from(rank) / n).abs());
    let distance = distances.fold(0.0, f64::max);
    // Critical at 1 % (Kolmogorov's distribution).
    let critical = 1.63 / n.sqrt();
    let allowed = critical + choose(0.0, 0.2);
    figure("distance of the gaps from exponential (KS)", &format!("{distance:.4}"), &format!("{allowed:.4}"));
    assert!(distance < allowed, "{distance} of {n} gaps");
}

#[test]
fn requests_under_way_are_rate_times_latency() {
    let _alone = alone();
    let server = delaying(20, 0);
    for args in [["--rate", "100"], ["--users", "5"]] {
        let duration = choose("20s", "3s");
        let common = ["--duration", duration, "--file-size", "1KB"];
        let report = Load::against(&server.url(), &[&args[..], &common].concat()).valid();
        // Little's law. The number under way is an integral over time, kept as requests begin and end, and not computed from
        // the other two.
        let in_flight = ms(&report, "load.mean_in_flight");
        let rate = ms(&report, "load.service_time.count") / ms(&report, "load.elapsed_s");
        let expected = rate * ms(&report, "load.service_time.avg_ms") / 1e3;
        let off = in_flight / expected - 1.0;
        figure(
            &format!("under way with {}, against rate times latency", args.join(" ")),
            &format!("{in_flight:.3}, {expected:.3}"),
            "1 %",
        );
        assert!(off.abs() <= wide(0.01), "{args:?}: {in_flight} under way, expected {expected}");
    }
}

#[test]
fn a_generator_that_was_stopped_says_so_and_counts_the_time() {
    let _alone = alone();
    let server = delaying(1, 0);
    for args in [["--rate", "100"], ["--users", "5"]] {
        let load =
            Load::against(&server.url(), &[&args[..], &["--duration", "3s", "--file-size", "1KB"]].concat());
        let child = load.start();
        // In the middle of the run, and for twice as long as makes a run invalid (`PAUSE` in `load/health.rs`).
        std::thread::sleep(Duration::from_millis(1500));
        signal(&child, "STOP");
        std::thread::sleep(Duration::from_millis(500));
        signal(&child, "CONT");
        let output = child.wait_with_output().expect("ends");
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(3), "{args:?}: {said}");
        assert!(said.contains("NOT TO BE TRUSTED") && said.contains("targets are not judged"), "{said}");
        let report = load.report();
        assert!(report["targets"].as_array().is_some_and(Vec::is_empty), "{report}");
        assert!(!report["load"]["health"]["problems"].as_array().expect("is one").is_empty(), "{report}");
        if args[0] == "--rate" {
            // What was due while it was stopped has waited, whatever the server did.
            let longest = ms(&report, "max_latency_ms");
            let delay = ms(&report, "load.send_delay.max_ms");
            assert!(longest > 450.0 && delay > 450.0, "longest {longest} ms, send delay {delay} ms");
        }
    }
}

#[test]
fn a_generator_that_is_asked_for_too_much_says_so() {
    let _alone = alone();
    let serve = Serve::start();
    let url = format!("http://{}", serve.address);
    // Several times what it can send (docs/proof.md). With 64 at once, all others have to wait in the generator.
    let args =
        ["--rate", "150000", "--at-once", "64", "--duration", "2s", "--grace", "1s", "--file-size", "1KB"];
    let load = Load::against(&url, &args).env("INGESTER_TOKEN", &serve.token);
    let run = load.run();
    assert_eq!(run.code, Some(3), "{}", run.output());
    assert!(run.stdout.contains("the generator was late"), "{}", run.stdout);
    let report = load.report();
    common::load::adds_up(&report);
    assert_eq!(report["load"]["scheduled"], 300_000, "all that was asked for");
    assert!(report["load"]["unfinished"].as_u64() > Some(0));
}
