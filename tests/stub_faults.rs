//! Promise: the stub fails when it is asked to, as it is asked to, at the requests that the seed picks; and whatever
//! fails, an upload that was counted as good is stored.

mod common;

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use common::bench::Bench;
use common::form::{names, stored as stored_in};
use common::load::{Load, adds_up, alone, choose, figure};
use common::serve::Serve;
use ingester_perf::auth::{KeyPair, Minter};
use ingester_perf::stub::{FAULT_ROUTE, FaultOptions, Stub, StubOptions};
use ingester_perf::units::Bytes;
use serde_json::{Value, json};

/// One key for all stubs of this file: it takes longest to make.
static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate().expect("makes a key"));

/// A stub with faults, and a token that it takes.
struct Service {
    stub: Stub,
    token: String,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Service {
    /// With these faults, by the usual seed.
    fn with(faults: &[&str]) -> Self {
        Self::start(faults, FaultOptions::default())
    }

    fn start(faults: &[&str], options: FaultOptions) -> Self {
        let specs = faults.iter().map(|fault| fault.parse().expect(fault)).collect();
        let faults = FaultOptions { specs, ..options };
        let options = StubOptions { faults, ..StubOptions::new(KEY.public()) };
        let stub = Stub::start(options).expect("starts");
        let token = Minter::new(KEY.clone()).mint(Duration::from_secs(600)).expect("mints");
        Self { stub, token: token.as_str().to_owned() }
    }

    /// Sends a request on a connection of its own.
    fn send(&self, request: &[u8]) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(self.stub.address())?;
        // Longer than any fault of these tests.
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        // An answer may come while this is still sending, and end that; it is there to be read all the same.
        let _ = stream.write_all(request);
        Ok(stream)
    }

    /// Sends a request, and reads to the end of the connection. Every request asks for that.
    fn exchange(&self, request: &[u8]) -> io::Result<Answer> {
        let mut text = String::new();
        self.send(request)?.read_to_string(&mut text)?;
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("has a status");
        Ok(Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() })
    }

    /// An upload of so many bytes, as bytes.
    fn upload_of(&self, size: usize) -> Vec<u8> {
        let head = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
        let body = [head.as_bytes(), &vec![b'x'; size], b"\r\n--b--\r\n"].concat();
        let head = format!(
            "POST /api/v1/files/upload HTTP/1.1\r\nHost: stub\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
             Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n",
            self.token,
            body.len()
        );
        [head.as_bytes(), &body].concat()
    }

    /// Uploads a small file.
    fn upload(&self) -> io::Result<Answer> {
        self.exchange(&self.upload_of(1000))
    }

    /// A request with this method and body.
    fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: stub\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.exchange(request.as_bytes()).expect("is answered")
    }

    /// Numbers of the uploads that fail, of so many in a row.
    fn failing(&self, uploads: u64) -> Vec<u64> {
        (0..uploads).filter(|_| self.upload().expect("is answered").status != 201).collect()
    }

    fn stored(&self) -> u64 {
        self.stub.stored().files
    }
}

impl Answer {
    /// What its head says of the body's length.
    fn length(&self) -> usize {
        let length = self.head.lines().find_map(|line| line.strip_prefix("content-length: "));
        length.and_then(|length| length.parse().ok()).unwrap_or_else(|| panic!("no length: {}", self.head))
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }
}

#[test]
fn without_faults_nothing_fails_and_nothing_can_be_switched() {
    let service = Service::with(&[]);
    assert!(service.failing(20).is_empty());
    assert_eq!(service.ask("GET", FAULT_ROUTE, "").status, 404);
    assert_eq!(service.ask("PUT", FAULT_ROUTE, "{\"faults\":[\"reset\"]}").status, 404);
    assert_eq!(service.stored(), 20);
}

#[test]
fn a_delay_comes_before_the_answer() {
    let service = Service::with(&["delay=300ms"]);
    let begun = Instant::now();
    assert_eq!(service.upload().expect("is answered").status, 201);
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
    assert_eq!(service.stored(), 1);
}

#[test]
fn a_stalled_answer_comes_in_two_halves() {
    let service = Service::with(&["stall=1s"]);
    let mut stream = service.send(&service.upload_of(1000)).expect("is sent");
    let mut text = Vec::new();
    let mut first = None;
    let mut piece = [0; 4096];
    loop {
        let read = stream.read(&mut piece).expect("is not reset");
        if read == 0 {
            break;
        }
        text.extend_from_slice(&piece[..read]);
        // The first half and what comes before it, as they were when the second half had not come.
        let complete = String::from_utf8_lossy(&text).ends_with('}');
        if !complete {
            first = Some((Instant::now(), text.len()));
        }
    }
    let (at, first) = first.expect("does not come at once");
    // A second, less what a busy machine may take to wake this thread.
    assert!(at.elapsed() >= Duration::from_millis(500), "{:?}", at.elapsed());
    let text = String::from_utf8(text).expect("is text");
    let (head, body) = text.split_once("\r\n\r\n").expect("has a head");
    assert!(head.starts_with("HTTP/1.1 201 "), "{head}");
    assert_eq!(first, head.len() + "\r\n\r\n".len() + body.len() / 2);
    assert!(body.starts_with('{') && service.stored() == 1, "{body}");
}

#[test]
fn a_status_is_answered_and_nothing_is_stored() {
    let service = Service::with(&["status=503"]);
    let answer = service.upload().expect("is answered");
    assert_eq!((answer.status, answer.json()), (503, json!({"detail": "A fault was asked for"})));
    // 20 MB do not fit into the buffers between: the answer comes while the client is still sending.
    assert_eq!(service.exchange(&service.upload_of(20 << 20)).expect("is answered").status, 503);
    assert_eq!(service.stored(), 0);
}

#[test]
fn a_reset_ends_the_connection_without_a_word() {
    let service = Service::with(&["reset"]);
    for _ in 0..5 {
        let error = service.upload().expect_err("is not answered");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
    }
    // Here the connection breaks while the client is sending, which is told once: to who sends, or to who reads.
    let mut stream = TcpStream::connect(service.stub.address()).expect("connects");
    let sent = stream.write_all(&service.upload_of(20 << 20));
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    assert!((sent.is_err() || read.is_err()) && answer.is_empty(), "{sent:?} {read:?}");
    assert_eq!(service.stored(), 0);
}

#[test]
fn a_truncated_answer_announces_all_of_itself() {
    let service = Service::with(&["truncate"]);
    let answer = service.upload().expect("is not reset");
    assert_eq!((answer.status, answer.body.len()), (201, answer.length() / 2));
    assert!(answer.body.starts_with('{') && !answer.body.ends_with('}'), "{}", answer.body);
    // The client cannot know, but the file is there.
    assert_eq!(service.stored(), 1);
}

#[test]
fn a_storage_that_fails_has_the_status_of_its_trouble() {
    for (fault, status) in [("full", 507), ("down", 502)] {
        let service = Service::with(&[fault]);
        let answer = service.upload().expect("is answered");
        assert_eq!(answer.status, status, "{fault}");
        assert!(answer.json()["detail"].as_str().is_some_and(|detail| detail.contains("Storage")), "{fault}");
        assert_eq!(service.stored(), 0, "{fault}");
        // No other route stores anything.
        assert_eq!(service.ask("GET", "/health/live", "").status, 200, "{fault}");
    }
}

#[test]
fn the_seed_picks_the_requests() {
    // Computed by hand in src/stub/fault/draw.rs, here for 40 requests.
    let of_42 = [4, 5, 6, 7, 8, 16, 19, 26, 30, 32];
    let of_7 = [9, 10, 13, 16, 20, 28];
    for (seed, failing) in [(42, &of_42[..]), (42, &of_42[..]), (7, &of_7[..])] {
        let service =
            Service::start(&["status=503,share=25%"], FaultOptions { seed, ..FaultOptions::default() });
        assert_eq!(service.failing(40), failing, "seed {seed}");
        assert_eq!(service.stored(), 40 - failing.len() as u64);
    }
}

#[test]
fn a_fault_keeps_to_its_route() {
    let service = Service::with(&["status=500,route=/health/*", "status=418,route=/nothing"]);
    assert_eq!(service.ask("GET", "/health/live", "").status, 500);
    assert_eq!(service.ask("GET", "/health/ready?verbose", "").status, 500);
    // Also where no route is.
    assert_eq!(service.ask("GET", "/health/", "").status, 500);
    assert_eq!(service.ask("GET", "/nothing", "").status, 418);
    assert_eq!(service.ask("GET", "/nothing/else", "").status, 404);
    assert_eq!(service.upload().expect("is answered").status, 201);
}

#[test]
fn faults_are_switched_while_it_runs() {
    let service = Service::start(&[], FaultOptions { api: true, ..FaultOptions::default() });
    let none = json!({"faults": [], "seed": 42});
    assert_eq!(service.ask("GET", FAULT_ROUTE, "").json(), none);
    assert!(service.failing(10).is_empty());

    // What was uploaded before does not count: numbers begin at 0.
    let wanted = json!({"faults": ["status=503,share=25%"], "seed": 7});
    let answer = service.ask("PUT", FAULT_ROUTE, &wanted.to_string());
    assert_eq!((answer.status, answer.json()), (200, wanted.clone()));
    assert_eq!(service.failing(12), [9, 10]);

    // What is wrong switches nothing.
    let answer = service.ask("PUT", FAULT_ROUTE, r#"{"faults": ["reset", "slow"]}"#);
    let detail = answer.json()["detail"].as_str().expect("is a text").to_owned();
    assert_eq!(answer.status, 422);
    assert!(detail.starts_with("faults[1]: \"slow\" is not a fault: there are delay=50ms"), "{detail}");
    assert_eq!(service.ask("GET", FAULT_ROUTE, "").json(), wanted);

    // Not even a fault of all routes shuts out whoever wants to end it.
    service.ask("PUT", FAULT_ROUTE, r#"{"faults": ["reset", "status=500,route=/*"]}"#);
    assert_eq!(service.ask("GET", "/health/live", "").status, 500);
    assert_eq!(service.upload().expect_err("is reset").kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(service.ask("DELETE", FAULT_ROUTE, "").json(), none);
    assert!(service.failing(10).is_empty());
    assert_eq!(service.ask("POST", FAULT_ROUTE, "").status, 405);
}

#[test]
fn serve_says_what_is_on() {
    let faults = ["--fault", "delay=1ms,share=10%", "--fault", "full", "--fault-seed", "7", "--fault-api"];
    let serve = Serve::with(&faults);
    assert_eq!(serve.upload(1000), "507");
    let route = format!("http://{}{FAULT_ROUTE}", serve.address);
    let (code, said) = serve.interrupt();
    assert_eq!(code, Some(0));
    let lines: Vec<&str> = said.lines().collect();
    let switched = format!("Faults are switched at {route} (GET, PUT, DELETE)");
    let expected = [
        "Fault: delay=1ms,share=10% (seed 7)",
        "Fault: full (seed 7)",
        switched.as_str(),
        "Took in 0 files, 0 B",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn serve_refuses_what_is_not_a_fault_and_to_let_anybody_switch() {
    for (args, says) in [
        (&["--fault", "slow"][..], "\"slow\" is not a fault: there are delay=50ms"),
        (&["--fault", "reset,share=5"][..], "\"5\" is not a share"),
        (&["--fault-api", "--listen", "0.0.0.0:0"][..], "whoever reaches 0.0.0.0:0 could switch faults"),
        (&["--fault-api", "--listen", "[::]:0"][..], "whoever reaches [::]:0 could switch faults"),
    ] {
        let mut serve = Command::new(env!("CARGO_BIN_EXE_ingester-perf"));
        let output = serve.arg("serve").args(args).output().expect("starts");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(says) && !text.contains("panicked"), "{text}");
    }
}

/// What a run of `load` is told, beside its number of uploads. A run without a target of its own fails with less than
/// 95 % of successes.
const RUN: [&str; 6] = ["--users", "8", "--file-size", "1KB", "--target", "success_rate_pct=0"];

/// The report of a run. Whether its generator kept up does not matter: nothing here is timed.
fn report(load: &Load) -> Value {
    let run = load.run();
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.output());
    let report = load.report();
    adds_up(&report);
    report
}

/// A count of a report, like `/failures/http_5xx/statuses/503`; 0 where nothing was counted.
fn count(report: &Value, pointer: &str) -> u64 {
    report.pointer(pointer).map_or(0, |count| count.as_u64().expect("is a count"))
}

#[test]
fn the_stub_in_this_process_takes_faults_from_the_environment() {
    let _alone = alone();
    let load = Load::new(&[&RUN[..], &["--requests", "200"]].concat())
        .env("INGESTER_FAULTS", "status=503,share=10% delay=1ms");
    let run = load.run();
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.output());
    let said = "Measuring the stub in this process, with faults: status=503,share=10% delay=1ms\n";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    let report = load.report();
    // Of the requests 2 to 201, as the look before has sent 0 and 1: computed as in src/stub/fault/draw.rs.
    assert_eq!(count(&report, "/failures/http_5xx/statuses/503"), 21, "{}", report["failures"]);
    assert_eq!(count(&report, "/successful_requests"), 179);
    // A report of a stub that fails does not pass for one of a sound stub.
    assert_eq!(report["environment"]["ingester"], "stub (faults: status=503,share=10% delay=1ms)");
}

#[test]
fn the_benches_say_that_the_stub_has_faults() {
    let bench = Bench::new("upload").env("INGESTER_FAULTS", "delay=1ms");
    let run = bench.run(&["--test", "--exact", "upload/10KB"]).exited(0);
    let said = "Measuring the stub in this process, with faults: delay=1ms; placement ";
    assert!(run.stderr.contains(said), "{}", run.stderr);
}

/// What becomes of the uploads of a run.
struct Expected {
    uploads: u64,
    ok: u64,
    status: u64,
    full: u64,
    down: u64,
    reset: u64,
}

/// Faults that act before anything is stored.
const BEFORE_STORING: [&str; 5] =
    ["delay=exp:2ms,share=5%", "status=500,share=3%", "reset,share=3%", "full,share=3%", "down,share=3%"];

/// Computed as in src/stub/fault/draw.rs, for the seed 1, under which the two uploads of the look before are not hit; a
/// request is hit by the first of the faults that pick it, and the storage is asked for those that are left.
fn expected() -> Expected {
    choose(
        Expected { uploads: 10_000, ok: 8862, status: 318, full: 265, down: 265, reset: 290 },
        Expected { uploads: 500, ok: 450, status: 15, full: 12, down: 13, reset: 10 },
    )
}

/// Starts the stub with these faults by the seed 1.
fn serving(faults: &[&str], more: &[&str]) -> Serve {
    let mut args = [&["--fault-seed", "1"], more].concat();
    for fault in faults {
        args.extend(["--fault", *fault]);
    }
    Serve::with(&args)
}

/// A run of so many uploads against it.
fn loading(serve: &Serve, uploads: u64, args: &[&str]) -> Load {
    let requests = uploads.to_string();
    let url = format!("http://{}", serve.address);
    let load =
        Load::new(&[&RUN[..], &["--url", url.as_str(), "--requests", requests.as_str()][..], args].concat());
    load.env("INGESTER_TOKEN", serve.token.as_str())
}

#[test]
fn with_faults_before_storing_exactly_the_good_uploads_are_stored() {
    let _alone = alone();
    let expected = expected();
    for (http, args) in [("HTTP/1.1", &[][..]), ("HTTP/2", &["--http2"][..])] {
        let place = tempfile::tempdir().expect("makes a folder");
        let files = place.path().join("files");
        let storage = format!("dir:{}", files.display());
        let serve = serving(&BEFORE_STORING, &["--storage", storage.as_str()]);
        let report = report(&loading(&serve, expected.uploads, args));
        let statuses = ["500", "507", "502"].map(|status| {
            let pointer = format!("/failures/http_5xx/statuses/{status}");
            count(&report, &pointer)
        });
        // The same requests under the same seed, in whatever order eight users send them.
        assert_eq!(
            statuses,
            [expected.status, expected.full, expected.down],
            "{http}: {}",
            report["failures"]
        );
        assert_eq!(count(&report, "/failures/reset/count"), expected.reset, "{http}: {}", report["failures"]);
        let ok = count(&report, "/successful_requests");
        assert_eq!(ok, expected.ok, "{http}");
        // Nothing is there that the client does not know of: the two files more are those of the look before.
        let (_, said) = serve.interrupt();
        let stored = format!("Took in {} files, {}", ok + 2, Bytes::kb(ok + 2));
        assert!(said.ends_with(&format!("{stored}\n")), "{http}: {ok} are ok; {said}");
        // Each is on the disk once, whole, with the checksum in its record. The client sent the same file each time, and
        // has compared the checksum of each answer with that file's.
        let (visible, hidden) = names(&files);
        assert_eq!((visible.len() as u64, hidden), (ok + 2, Vec::new()), "{http}");
        let mut checksums = BTreeSet::new();
        for id in visible {
            checksums.insert(stored_in(&files, &id)["sha256"].to_string());
        }
        assert_eq!(checksums.len(), 1, "{http}: {checksums:?}");
        figure(&format!("{} uploads over {http} under faults, stored", expected.uploads), &stored, "ok + 2");
    }
}

#[test]
fn with_faults_behind_storing_every_good_upload_is_stored() {
    let _alone = alone();
    let expected = expected();
    // Longer than the client waits: these are stored, and count as failures.
    let behind = ["truncate,share=3%", "stall=20s,share=1%"];
    let serve = serving(&[&BEFORE_STORING[..], &behind].concat(), &[]);
    let report = report(&loading(&serve, expected.uploads, &["--timeout", "2s"]));
    let ok = count(&report, "/successful_requests");
    let (_, said) = serve.interrupt();
    let stored = said.split("Took in ").nth(1).and_then(|rest| rest.split(' ').next());
    let stored: u64 = stored.and_then(|number| number.parse().ok()).expect(&said);
    // The two of the look before are not in the report. Of those whose answer broke, more are stored than are good.
    assert!(ok + 2 < stored, "{ok} are ok, {stored} stored");
    // What failed before it was stored is not there.
    assert!(stored <= expected.ok + 2, "{stored} stored");
    // Resets and truncated answers look alike to the client, so both are in this count.
    assert!(count(&report, "/failures/reset/count") > expected.reset, "{}", report["failures"]);
    assert!(count(&report, "/failures/timeout/count") > 0, "{}", report["failures"]);
}
