//! Promise: trouble that people met with load generators, clients and keys is told as what it is.
//!
//! Each test is one kind of it; servers here are written by hand on blocking sockets.

#![cfg(unix)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::bench::{Bench, Run, read_json};
use common::load::Load;
use common::server::{Manner, Server};
use serde_json::Value;
use tempfile::TempDir;

const PERF: &str = env!("CARGO_BIN_EXE_ingester-perf");

/// How a service that refuses an upload before it has read it ends the connection.
#[derive(Debug, Clone, Copy)]
enum Ending {
    /// Says `Connection: close`, and closes with unread bytes in its buffer: the client's next write is reset.
    Announced,
    /// The same, and says nothing.
    Unannounced,
    /// Closes its own direction, and waits.
    HalfClosed,
    /// Reads nothing more and stays.
    Open,
}

/// A server that answers every upload with a refusal as soon as its head is there. It shares no code with the program.
fn refusing(status: &'static str, ending: Ending) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || refuse(stream, status, ending));
        }
    });
    url
}

fn refuse(mut stream: TcpStream, status: &str, ending: Ending) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let announced = if matches!(ending, Ending::Announced) { "Connection: close\r\n" } else { "" };
    let body = r#"{"detail":"too large"}"#;
    let answer = format!("HTTP/1.1 {status}\r\n{announced}Content-Length: {}\r\n\r\n{body}", body.len());
    let _ = stream.write_all(answer.as_bytes());
    match ending {
        Ending::Announced | Ending::Unannounced => {}
        Ending::HalfClosed => {
            let _ = stream.shutdown(Shutdown::Write);
            std::thread::sleep(Duration::from_millis(500));
        }
        Ending::Open => std::thread::sleep(Duration::from_secs(20)),
    }
}

#[test]
fn an_answer_before_the_body_is_read_is_not_lost() {
    for ending in [Ending::Announced, Ending::Unannounced, Ending::HalfClosed, Ending::Open] {
        for (size, uploads) in [("10KB", 40), ("1MB", 40), ("10MB", 40), ("100MB", 4)] {
            let url = refusing("413 Payload Too Large", ending);
            let count = uploads.to_string();
            let load = Load::against(&url, &["--users", "2", "--requests", &count, "--file-size", size]);
            let run = load.run();
            let failures = &load.report()["failures"];
            let refused = &failures["http_4xx"];
            assert_eq!(refused["count"], uploads, "{ending:?} {size}: {failures} {}", run.output());
            assert_eq!(refused["statuses"]["413"], uploads, "{ending:?} {size}");
            assert_eq!(refused["example"], "413 Payload Too Large: too large");
        }
    }
    let load = Load::against(
        &refusing("401 Unauthorized", Ending::Announced),
        &["--users", "2", "--requests", "40", "--file-size", "10MB"],
    );
    // Before anything is measured, this is what the look says.
    assert!(load.run().exits(2).contains("refused the token (401 Unauthorized: too large)"));
}

#[test]
fn a_run_that_lost_a_part_of_its_uploads_fails_without_any_target() {
    let server = Server::start(Manner::EverySecond);
    let load = Load::against(&server.url(), &["--users", "2", "--requests", "40", "--file-size", "1KB"]);
    let run = load.judged();
    run.exits(1);
    assert!(run.stdout.contains("success > 95 %") && run.stdout.contains("MISSED"), "{}", run.stdout);
    let report = load.report();
    assert_eq!(report["p95_latency_ms"], Value::Null);
    assert!(run.stdout.contains("not known"), "{}", run.stdout);
    // It gives way to a limit that was asked for.
    let args = ["--users", "2", "--requests", "40", "--file-size", "1KB", "--target", "success_rate_pct=40"];
    let lenient = Load::against(&server.url(), &args);
    lenient.judged().exits(0);
    // A target on what is not known is missed.
    let strict = Load::against(&server.url(), &[&args[..], &["--target", "p95_ms=100000"]].concat());
    strict.judged().exits(1);
}

#[test]
fn what_was_due_and_never_ended_is_no_success() {
    // Answers after a second: of 50 a second for two seconds, one connection at a time, nearly none end.
    let server = Server::scripted(|exchange| {
        std::thread::sleep(Duration::from_secs(1));
        exchange.created()
    });
    let args = ["--rate", "50", "--duration", "2s", "--grace", "1ms", "--at-once", "1", "--file-size", "1KB"];
    let load = Load::against(&server.url(), &args);
    let run = load.run();
    let report = load.report();
    let scheduled = report["load"]["scheduled"].as_f64().expect("is a number");
    let ok = report["successful_requests"].as_f64().expect("is a number");
    let success = report["success_rate_pct"].as_f64().expect("is a number");
    assert!((success - 100.0 * ok / scheduled).abs() < 1e-6, "{report}");
    assert!(report["load"]["unfinished"].as_u64() > Some(50), "{report}");
    assert!(matches!(run.code, Some(1 | 3)), "{}", run.output());
    assert_eq!(report["median_latency_ms"], Value::Null);
}

#[test]
fn a_service_that_fails_both_uploads_of_the_look_is_not_measured() {
    for (manner, says) in [
        (Manner::Redirect, "got 307 Temporary Redirect, a redirect to / (not followed)"),
        (Manner::Status(404), "404 Not Found: not today"),
        (Manner::NoJson, "got 201 that is not a JSON object: stored"),
    ] {
        let server = Server::start(manner);
        let args = ["--users", "1", "--requests", "10", "--file-size", "1KB"];
        let load = Load::against(&server.url(), &args).env("INGESTER_EVEN_IF_FAILING", "0");
        let said = load.run().exits(2).to_owned();
        assert!(said.contains(says), "{said}");
        let route = format!("{}/api/v1/files/upload", server.url());
        assert!(said.contains(&route) && said.contains("--even-if-failing"), "{said}");
        assert_eq!(server.uploads(), 2, "nothing was sent after the look");
        let load = Load::against(&server.url(), &[&args[..], &["--even-if-failing"]].concat());
        load.run();
        assert_eq!(load.report()["failed_requests"], 10);
    }
}

#[test]
fn http2_against_a_service_of_http1_is_said_before_any_load() {
    let server = Server::start(Manner::Python);
    let args = ["--users", "1", "--requests", "10", "--file-size", "1KB", "--http2"];
    let load = Load::against(&server.url(), &args).env("INGESTER_EVEN_IF_FAILING", "0");
    let said = load.run().exits(2).to_owned();
    assert!(said.contains("the service does not speak HTTP/2"), "{said}");
    let load = Load::against(&server.url(), &args);
    load.run();
    assert_eq!(load.report()["failures"]["protocol"]["count"], 10, "{}", load.report()["failures"]);
}

#[test]
fn a_token_is_not_told_however_a_service_writes_it() {
    let token =
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ0aGUtc2VjcmV0LW9uZSIsImV4cCI6OTk5OX0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg";
    let part = &token[..40];
    let written = [
        token.to_owned(),
        part.to_owned(),
        token[token.len() - 30..].to_owned(),
        part.to_uppercase(),
        // In hex, as in a URL, in JSON and in HTML.
        part.bytes().map(|b| format!("{b:02x}")).collect(),
        part.bytes().map(|b| format!("%{b:02X}")).collect(),
        part.bytes().map(|b| format!("\\u{b:04x}")).collect(),
        part.bytes().map(|b| format!("&#{b};")).collect(),
        // With spaces between, and backwards.
        part.chars().map(|c| format!("{c} ")).collect(),
        part.chars().rev().collect(),
    ];
    for text in written {
        let body = format!("{{\"detail\":\"bad: {}\"}}", text.replace('\\', "\\\\"));
        let server = Server::scripted(move |exchange| {
            let read = exchange.answer().is_some();
            read && exchange.respond("500 Oops", &body)
        });
        let load = Load::against(&server.url(), &["--users", "1", "--requests", "3", "--file-size", "1KB"])
            .env("INGESTER_TOKEN", token);
        let run = load.run();
        let mut told = run.output();
        for entry in load.dir.path().read_dir().expect("is there").flatten() {
            told.push_str(&std::fs::read_to_string(entry.path()).unwrap_or_default());
        }
        assert!(told.contains("[redacted"), "{text}: {told}");
        assert!(!told.contains(&text[..24.min(text.len())]), "{text}: {told}");
    }
}

/// Runs the program as in a slim container, which trusts nobody.
fn without_certificates(args: &[&str]) -> Run {
    let dir = TempDir::new().expect("makes one");
    let mut perf = Command::new(PERF);
    perf.args(args).current_dir(dir.path()).env_remove("INGESTER_URL");
    perf.env("SSL_CERT_FILE", "/nonexistent").env("SSL_CERT_DIR", "/nonexistent");
    perf.output().expect("starts").into()
}

#[test]
fn without_certificates_http_works() {
    // 3 where the generator was late, beside other tests.
    let run = without_certificates(&["load", "--users", "1", "--requests", "2", "--file-size", "1KB"]);
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.output());
    let dir = TempDir::new().expect("makes one");
    let token = dir.path().join("token");
    std::fs::write(&token, "a.b.c").expect("writes");
    let token = token.to_str().expect("is UTF-8");
    // Somebody listens: that is found out without certificates.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("https://{}", listener.local_addr().expect("it is bound"));
    let https = ["load", "--users", "1", "--requests", "2", "--url", &url, "--token-file", token];
    let said = without_certificates(&https).exits(2).to_owned();
    assert!(said.contains("SSL_CERT_FILE names /nonexistent, which is no file"), "{said}");
}

#[test]
fn only_plain_files_are_sent_and_read() {
    let dir = TempDir::new().expect("makes one");
    let pipe = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo exists").success());
    let pipe = pipe.to_str().expect("is UTF-8");
    for (file, says) in [
        (pipe, "is a pipe; a plain file is needed"),
        ("/dev/zero", "is a device; a plain file is needed"),
        ("/proc/version", "says that it has 0 bytes, and has more"),
        ("/", "is a folder; a plain file is needed"),
    ] {
        let said = Load::new(&["--users", "1", "--requests", "1", "--file", file]).run().exits(2).to_owned();
        assert!(
            said.contains(says) || file == "/proc/version" && !std::fs::exists(file).is_ok_and(|yes| yes),
            "{said}"
        );
    }
    let url = "http://127.0.0.1:9";
    let files = Load::new(&["--users", "1", "--requests", "1", "--url", url, "--token-file", pipe]);
    assert!(files.run().exits(2).contains("it is a pipe; a plain file is needed"));
    let keys = Load::new(&["--users", "1", "--requests", "1", "--url", url, "--private-key", pipe]);
    assert!(keys.run().exits(2).contains("it is a pipe; a plain file is needed"));
    let targets = Load::new(&["--users", "1", "--requests", "1"]).env("INGESTER_TARGETS", pipe);
    assert!(targets.run().exits(2).contains("pipe: is a pipe; a plain file is needed"));
}

/// Runs a short load in this folder.
fn load_in(dir: &TempDir, args: &[&str]) -> Run {
    let all = [&["load", "--users", "1", "--requests", "2"][..], args].concat();
    Command::new(PERF).args(all).current_dir(dir.path()).output().expect("starts").into()
}

#[test]
fn what_can_be_checked_before_measuring_is() {
    let dir = TempDir::new().expect("makes one");
    let file = dir.path().join("file");
    std::fs::write(&file, "").expect("writes");
    let said = load_in(&dir, &["--report-dir", file.to_str().expect("is UTF-8")]);
    assert!(said.exits(2).contains("file: cannot make the folder"), "{}", said.output());
    assert!(!said.stderr.contains("Loading"), "{}", said.stderr);
    let bench = Bench::new("jwt");
    let mut command = bench.command(&common::bench::SHORT);
    let measured: Run = command.env("INGESTER_REPORT_DIR", &file).output().expect("starts").into();
    assert!(measured.exits(2).contains("file: cannot make the folder"), "{}", measured.output());
    assert!(!measured.stderr.contains("Measuring"), "{}", measured.stderr);
    // A file's name has at most 255 bytes on most systems, and some of them are for what is put behind it.
    let said = load_in(&dir, &["--name", &"x".repeat(250)]);
    assert!(said.exits(2).contains("at most 200 characters"), "{}", said.output());
    let said = load_in(&dir, &["--timeout", "1ns"]);
    assert!(said.exits(2).contains("1ns is too short: timers have steps of 1 ms"), "{}", said.output());
}

#[test]
fn a_file_that_shrinks_ends_the_run_and_says_why() {
    let dir = TempDir::new().expect("makes one");
    let path = dir.path().join("shrinks.bin");
    // Larger than what is kept in memory.
    std::fs::write(&path, vec![7; 80 << 20]).expect("writes");
    let shrinks = path.clone();
    let server = Server::scripted(move |exchange| {
        // After the look, which sends a smaller one.
        if exchange.number == 3 {
            let file = std::fs::File::options().write(true).open(&shrinks).expect("is there");
            file.set_len(1 << 20).expect("can be cut");
        }
        exchange.created()
    });
    let file = path.to_str().expect("is UTF-8");
    let args = ["--users", "1", "--requests", "1000", "--max-bytes", "100GB", "--file", file];
    let load = Load::against(&server.url(), &args);
    let run = load.run();
    let report = load.report();
    assert_eq!(report["partial"], true, "{}", run.output());
    assert!(report["failures"]["local"]["count"].as_u64() <= Some(2), "{}", report["failures"]);
    let said = "It ended early: cannot read the file: the file has become shorter.";
    assert!(run.stdout.contains(said), "{}", run.output());
    run.exits(3);
}

#[test]
fn a_bench_runs_in_another_folder_with_the_limits_that_are_built_in() {
    let bench = Bench::new("jwt");
    let mut command = bench.command(&common::bench::SHORT);
    let run: Run = command.current_dir(bench.dir.path()).output().expect("starts").into();
    run.exits(0);
    assert!(run.stdout.contains("success = 100 %"), "{}", run.stdout);
    assert_eq!(read_json(&bench.reports().join("jwt_validation.json"))["partial"], false);
}

#[test]
fn a_connection_that_the_service_closed_while_it_was_idle_is_told_from_one_that_broke() {
    // Reads the next request, and closes without a word.
    let server = Server::scripted(|exchange| {
        if exchange.number % 2 == 1 { exchange.created() } else { exchange.answer().is_none() }
    });
    let load = Load::against(&server.url(), &["--users", "1", "--requests", "8", "--file-size", "1KB"]);
    load.run();
    let example = load.report()["failures"]["reset"]["example"].clone();
    let example = example.as_str().expect("there is one");
    assert!(example.starts_with("the service closed a kept connection without an answer ("), "{example}");
    assert!(example.contains("before this upload it had been idle for "), "{example}");

    // One that breaks in the middle of an answer, or at once, was not idle.
    for manner in [Manner::CutShort, Manner::Silent] {
        let server = Server::start(manner);
        let load = Load::against(&server.url(), &["--users", "1", "--requests", "8", "--file-size", "1KB"]);
        load.run();
        let failures = load.report()["failures"].to_string();
        assert!(failures.contains("reset") && !failures.contains("idle"), "{failures}");
    }
}

/// Connections that a server has open, and had at most.
#[derive(Default)]
struct Connections {
    open: AtomicU64,
    most: AtomicU64,
}

/// An HTTP/2 server that answers the head of every upload with a refusal, reads nothing more, and closes. Its frames are
/// written by hand (RFC 9113, 4.1): it shares no code with the program.
fn refusing_over_http2(ending: Ending, connections: &Arc<Connections>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let connections = Arc::clone(connections);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connections = Arc::clone(&connections);
            std::thread::spawn(move || {
                let open = 1 + connections.open.fetch_add(1, Ordering::SeqCst);
                connections.most.fetch_max(open, Ordering::SeqCst);
                refuse_over_http2(stream, ending);
                connections.open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    url
}

/// A frame: the length of its payload in three bytes, kind, flags, the stream's id, and the payload.
fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(id.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Talks to one client until either of both ends the connection.
fn refuse_over_http2(mut stream: TcpStream, ending: Ending) -> Option<()> {
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const GOAWAY: u8 = 7;
    // Else the answer waits for the client to acknowledge the settings, and is lost when the connection is reset.
    stream.set_nodelay(true).ok()?;
    // The preface of the client (RFC 9113, 3.4).
    stream.read_exact(&mut [0; 24]).ok()?;
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).ok()?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).ok()?;
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        // Settings are acknowledged.
        if head[3] == SETTINGS && head[4] == 0 {
            stream.write_all(&frame(SETTINGS, 1, 0, &[])).ok()?;
        }
        if head[3] == HEADERS {
            // `:status` is name 8 of the static table; the flags are END_HEADERS and END_STREAM (RFC 7541, 6.2.2).
            stream.write_all(&frame(HEADERS, 0x05, id, b"\x08\x03413")).ok()?;
            match ending {
                Ending::Announced => {
                    let last = [id.to_be_bytes(), 0_u32.to_be_bytes()].concat();
                    stream.write_all(&frame(GOAWAY, 0, 0, &last)).ok()?;
                    return Some(());
                }
                Ending::Unannounced => return Some(()),
                Ending::HalfClosed => {
                    stream.shutdown(Shutdown::Write).ok()?;
                    std::thread::sleep(Duration::from_millis(500));
                    return Some(());
                }
                // Reads what follows, and answers nothing more.
                Ending::Open => {}
            }
        }
    }
}

#[test]
fn an_answer_before_the_body_is_read_is_not_lost_over_http2() {
    for ending in [Ending::Announced, Ending::Unannounced, Ending::HalfClosed, Ending::Open] {
        for (size, uploads) in [("10KB", 40), ("1MB", 40), ("10MB", 40), ("100MB", 4)] {
            let count = uploads.to_string();
            let args = ["--http2", "--users", "2", "--requests", &count, "--file-size", size];
            let connections = Arc::new(Connections::default());
            let load = Load::against(&refusing_over_http2(ending, &connections), &args);
            let run = load.run();
            let failures = &load.report()["failures"];
            let refused = &failures["http_4xx"];
            assert_eq!(refused["count"], uploads, "{ending:?} {size}: {failures} {}", run.output());
            assert_eq!(refused["statuses"]["413"], uploads, "{ending:?} {size}");
            // Two users, each with a connection; where the server closes late, some more.
            let most = connections.most.load(Ordering::SeqCst);
            assert!(most <= 8 || matches!(ending, Ending::HalfClosed), "{ending:?} {size}: {most} at once");
        }
    }
}

#[test]
fn chunk_extensions_and_trailers_without_end_are_no_answer() {
    let endless_extension = format!("5;{}", "x".repeat(1 << 20));
    let endless_trailers = format!("0\r\n{}", "x-more: of this\r\n".repeat(1 << 16));
    for body in [endless_extension, endless_trailers] {
        let server = Server::scripted(move |exchange| {
            exchange.answer();
            let head = "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n";
            exchange.send(format!("{head}{body}").as_bytes());
            false
        });
        let load = Load::against(&server.url(), &["--users", "1", "--requests", "5", "--file-size", "1KB"]);
        load.run();
        let failures = &load.report()["failures"];
        assert_eq!(failures["protocol"]["count"], 5, "{failures}");
    }
}

#[test]
fn a_file_that_shrinks_is_told_while_warming_up_and_over_http2() {
    for args in [&["--warm-up", "3s"][..], &["--http2"], &["--http2", "--warm-up", "3s"]] {
        let dir = TempDir::new().expect("makes one");
        let path = dir.path().join("shrinks.bin");
        std::fs::write(&path, vec![7; 80 << 20]).expect("writes");
        let file = path.to_str().expect("is UTF-8");
        let always = ["--users", "1", "--duration", "60s", "--file", file];
        let load = Load::new(&[&always[..], args].concat());
        let mut child = load.start();
        // It has been opened and hashed once it is being loaded.
        let mut told = BufReader::new(child.stderr.take().expect("is piped"));
        let mut line = String::new();
        while !line.contains("Loading") {
            line.clear();
            assert_ne!(told.read_line(&mut line).expect("is text"), 0, "{args:?}: it has ended");
        }
        std::thread::sleep(Duration::from_millis(500));
        let file = std::fs::File::options().write(true).open(&path).expect("is there");
        file.set_len(1 << 20).expect("can be cut");
        std::io::copy(&mut told, &mut std::io::sink()).expect("reads");
        let run: Run = child.wait_with_output().expect("ends").into();
        // 3 where a request failed for it, 1 where none was begun.
        assert!(matches!(run.code, Some(1 | 3)), "{args:?}: {}", run.output());
        assert_eq!(load.report()["partial"], true, "{args:?}: {}", run.output());
        let said = "It ended early: cannot read the file: the file has become shorter.";
        assert!(run.stdout.contains(said), "{args:?}: {}", run.output());
    }
}

#[test]
fn a_service_that_is_not_well_is_said_to_be_so() {
    // Says that it is not ready, and takes its time for the two uploads of the look; after that it is quick.
    let server = Server::unready(|exchange| {
        if exchange.number <= 2 {
            std::thread::sleep(Duration::from_secs(1));
        }
        exchange.created()
    });
    let load = Load::against(&server.url(), &["--users", "1", "--requests", "50", "--file-size", "1KB"]);
    let run = load.run();
    assert!(
        run.stderr.contains("/health/ready: 503 Service Unavailable: no storage element"),
        "{}",
        run.stderr
    );
    let report = load.report();
    assert!(report["load"]["look"]["second_ms"].as_f64() > Some(1000.0), "{report}");
    assert!(run.stdout.contains("Finding: the look before took 1"), "{}", run.stdout);
}

#[test]
fn retry_after_is_on_the_terminal_and_a_cause_stands_beside_most_failures() {
    let server = Server::scripted(|exchange| {
        exchange.answer().is_some() && exchange.respond("503 CpuShare\r\nRetry-After: 30", "busy")
    });
    let load = Load::against(&server.url(), &["--users", "1", "--requests", "4", "--file-size", "1KB"]);
    let run = load.run();
    let said = "4 of them asked to be tried again later (Retry-After, up to 30 s), which they were not";
    assert!(run.stdout.contains(said), "{}", run.stdout);
    assert!(run.stdout.contains("likely: the service sheds load"), "{}", run.stdout);

    let lost = Server::start(Manner::Status(404));
    let load = Load::against(&lost.url(), &["--users", "1", "--requests", "4", "--file-size", "1KB"]);
    assert!(load.run().stdout.contains("likely: the service has no such route"));
}

#[test]
fn a_message_names_the_flag_that_was_given() {
    for (flag, value) in
        [("--url", "host:8020"), ("--timeout", "soon"), ("--max-bytes", "much"), ("--placement", "left")]
    {
        let run = Load::new(&["--users", "1", "--requests", "1", flag, value]).run();
        assert!(run.exits(2).starts_with(&format!("error: {flag}: ")), "{}", run.output());
    }
    let variable = Load::new(&["--users", "1", "--requests", "1"]).env("INGESTER_TIMEOUT", "soon").run();
    assert!(variable.exits(2).starts_with("error: INGESTER_TIMEOUT: "), "{}", variable.output());
}

#[test]
fn off_a_terminal_a_run_shows_every_ten_seconds_that_it_lives() {
    // Twelve seconds have one line after ten, and none at the end.
    let load = Load::new(&["--users", "1", "--think", "100ms", "--duration", "12s", "--file-size", "1KB"]);
    let run = load.run();
    let lines = run.stderr.lines().filter(|line| line.starts_with("after ") && line.contains("/s, p50 "));
    assert_eq!(lines.count(), 1, "{}", run.stderr);
}

#[test]
fn what_was_measured_before_a_repeat_failed_is_not_lost() {
    let load = Load::new(&[
        "--users",
        "1",
        "--requests",
        "5",
        "--file-size",
        "1KB",
        "--repeat",
        "3",
        "--cleanup",
        "exit 7",
    ]);
    let run = load.run();
    assert!(run.exits(2).contains("--cleanup: `exit 7` ended with exit status: 7"), "{}", run.output());
    assert_eq!(load.report()["successful_requests"], 5);

    // What ended one run early would end all that follow, which are not begun. 12 MB are the two files of the look and ten
    // more.
    let server = Server::start(Manner::Python);
    let args =
        ["--users", "1", "--duration", "20s", "--file-size", "1MB", "--max-bytes", "12MB", "--repeat", "3"];
    let load = Load::against(&server.url(), &args);
    let run = load.run();
    assert_eq!(load.report()["successful_requests"], 10, "{}", run.output());
    assert_eq!(server.uploads(), 12);
}

#[test]
fn a_report_of_a_running_service_names_no_core_of_a_stub() {
    let server = Server::start(Manner::Python);
    let load = Load::against(&server.url(), &["--users", "1", "--requests", "2", "--file-size", "1KB"]);
    load.run();
    let placement = load.report()["environment"]["placement"].to_string();
    assert!(!placement.contains("stub"), "{placement}");
    assert!(placement.contains("generator on cores") || placement.contains("none"), "{placement}");
}

#[test]
fn a_bench_says_what_it_sent_to_a_running_service() {
    let server = Server::start(Manner::Python);
    let bench = Bench::new("upload").env("INGESTER_URL", server.url()).env("INGESTER_TOKEN", "a.b.c");
    // The case once, after two uploads of the look.
    let run = bench.run(&["--test", "upload/10KB"]);
    run.exits(0);
    let said = format!(
        "Sent to {} in all, the look before and warming up included: at most 3 uploads, 30 KB",
        server.url()
    );
    assert!(run.stderr.contains(&said), "{}", run.stderr);
    assert_eq!(server.uploads(), 3);
}
