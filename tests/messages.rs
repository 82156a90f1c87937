//! Promise: whole messages and tables read as they stand here. After a change of wording, `SNAPSHOTS=overwrite cargo test
//! --test messages` writes the new one into this file, and the difference is there to be read.

#![cfg(unix)]

mod common;

use std::process::Command;
use std::time::Duration;

use common::bench::Run;
use common::load::Load;
use common::server::Server;
use ingester_perf::document::Document;
use ingester_perf::recording::{Class, Failure, Finished, Recorder};
use ingester_perf::report::{self, PerformanceReport};
use ingester_perf::targets::Targets;
use snapbox::{assert_data_eq, str};
use tempfile::TempDir;

/// All that a load says on standard error of a server that it refuses to measure.
fn look_at(server: &Server) -> String {
    let load = Load::against(&server.url(), &["--users", "1", "--requests", "1", "--file-size", "1KB"])
        .env("INGESTER_EVEN_IF_FAILING", "0");
    let run = load.run();
    assert_eq!(run.code, Some(2), "{}", run.output());
    // The port is another one each time.
    run.stderr.replace(&server.url(), "http://HOST")
}

/// What a load says of a service that answers every upload with this, from the status on.
fn answered(answer: &'static str) -> String {
    look_at(&Server::scripted(move |exchange| {
        exchange.answer().is_some() && exchange.send(format!("HTTP/1.1 {answer}").as_bytes())
    }))
}

#[test]
fn what_was_wanted_and_what_came() {
    // Another status than that of a success, and neither of the two fields.
    assert_data_eq!(
        answered("200 OK\r\nContent-Length: 2\r\n\r\n{}"),
        str![[r#"
error: both uploads to http://HOST/api/v1/files/upload before measuring failed alike: wanted 201 with file_size (or size) and checksum; got 200 OK with {}. Measured would be failures; INGESTER_EVEN_IF_FAILING=1 (--even-if-failing) does that

"#]]
    );
    assert_data_eq!(
        answered("201 Created\r\nContent-Length: 16\r\n\r\n{\"size\": \"many\"}"),
        str![[r#"
error: both uploads to http://HOST/api/v1/files/upload before measuring failed alike: wanted 201 with file_size (or size) and checksum; got 201 whose size is not a number: {"size": "many"}. Measured would be failures; INGESTER_EVEN_IF_FAILING=1 (--even-if-failing) does that

"#]]
    );
    assert_data_eq!(
        answered("204 No Content\r\n\r\n"),
        str![[r#"
error: both uploads to http://HOST/api/v1/files/upload before measuring failed alike: wanted 201 with file_size (or size) and checksum; got 204 No Content with no body. Measured would be failures; INGESTER_EVEN_IF_FAILING=1 (--even-if-failing) does that

"#]]
    );
    // A redirect that was followed would measure another route than the one that was asked for.
    assert_data_eq!(
        answered("307 Temporary Redirect\r\nLocation: /v2/upload\r\nContent-Length: 0\r\n\r\n"),
        str![[r#"
error: both uploads to http://HOST/api/v1/files/upload before measuring failed alike: wanted 201 with file_size (or size) and checksum; got 307 Temporary Redirect, a redirect to /v2/upload (not followed). Measured would be failures; INGESTER_EVEN_IF_FAILING=1 (--even-if-failing) does that

"#]]
    );
    assert_data_eq!(
        answered("404 Not Found\r\nContent-Length: 22\r\n\r\n{\"detail\":\"Not Found\"}"),
        str![[r#"
error: both uploads to http://HOST/api/v1/files/upload before measuring failed alike: 404 Not Found: Not Found. Measured would be failures; INGESTER_EVEN_IF_FAILING=1 (--even-if-failing) does that

"#]]
    );
    // A refused token has a message of its own, which names all places that a token comes from.
    assert_data_eq!(
        answered("401 Unauthorized\r\nContent-Length: 7\r\n\r\nexpired"),
        str![[r#"
error: the ingester at http://HOST refused the token (401 Unauthorized: expired); it may have expired or be signed by another key: check INGESTER_TOKEN_FILE, INGESTER_TOKEN or INGESTER_PRIVATE_KEY

"#]]
    );
    // Bytes that are not text could rule a terminal: their number is told instead.
    assert_data_eq!(
        answered("201 Created\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\u{1}\u{2}\u{3}"),
        str![[r#"
error: both uploads to http://HOST/api/v1/files/upload before measuring failed alike: wanted 201 with file_size (or size) and checksum; got 201 that is not a JSON object: 3 bytes with Content-Encoding: gzip, which was not asked for. Measured would be failures; INGESTER_EVEN_IF_FAILING=1 (--even-if-failing) does that

"#]]
    );
    // The reason phrase is whatever the service likes: the status is told by its standard name.
    assert_data_eq!(
        answered("503 CpuShare\r\nContent-Length: 0\r\n\r\n"),
        str![[r#"
error: both uploads to http://HOST/api/v1/files/upload before measuring failed alike: 503 Service Unavailable: no body. Measured would be failures; INGESTER_EVEN_IF_FAILING=1 (--even-if-failing) does that

"#]]
    );
}

#[test]
fn nobody_there_or_another_protocol() {
    // Nobody listens at port 9 (discard).
    let nobody = Load::against("http://127.0.0.1:9", &["--users", "1", "--requests", "1"]);
    assert_data_eq!(
        nobody.run().stderr,
        str![[r#"
error: cannot reach the ingester at http://127.0.0.1:9: Connection refused (os error [..]); is it running, and is the URL right?

"#]]
    );
    // A service that is well, and speaks HTTP/1.1 only.
    let one = Server::scripted(|exchange| exchange.created());
    let load = Load::against(&one.url(), &["--users", "1", "--requests", "1", "--http2"])
        .env("INGESTER_EVEN_IF_FAILING", "0");
    assert_data_eq!(
        load.run().stderr.replace(&one.url(), "http://HOST"),
        str![[r#"
error: both uploads to http://HOST/api/v1/files/upload before measuring failed alike: the service does not speak HTTP/2. Measured would be failures; INGESTER_EVEN_IF_FAILING=1 (--even-if-failing) does that

"#]]
    );
}

/// What a load says of these arguments, in a folder with these files.
fn of_arguments(args: &[&str], files: &[(&str, &str)]) -> String {
    let dir = TempDir::new().expect("makes one");
    for (name, content) in files {
        std::fs::write(dir.path().join(name), content).expect("writes");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingester-perf"));
    command.args(["load", "--users", "1", "--requests", "1"]).args(args).current_dir(dir.path());
    let run: Run = command.output().expect("starts").into();
    assert_eq!(run.code, Some(2), "{}", run.output());
    run.stderr
}

#[test]
fn flags_that_cannot_be_used() {
    assert_data_eq!(
        of_arguments(&["--url", "localhost:8020"], &[]),
        str![[r#"
error: --url: must begin with http:// or https:// and name a host

"#]]
    );
    assert_data_eq!(
        of_arguments(&["--url", "http://127.0.0.1:9"], &[]),
        str![[r#"
error: --url: is set without a token; set INGESTER_TOKEN_FILE, INGESTER_TOKEN, INGESTER_PRIVATE_KEY or INGESTER_TOKEN_URL

"#]]
    );
    assert_data_eq!(
        of_arguments(&["--timeout", "soon"], &[]),
        str![[r#"
error: --timeout: "soon" is not a time limit; write 30s or 500ms

"#]]
    );
    assert_data_eq!(
        of_arguments(&["--name", "a/b"], &[]),
        str![[r#"
error: a/b: an operation is named with letters, digits, _ - and . only, for its file's sake

"#]]
    );
    assert_data_eq!(
        of_arguments(&["--file", "."], &[]),
        str![[r#"
error: .: is a folder; a plain file is needed

"#]]
    );
    assert_data_eq!(
        of_arguments(&["--report-dir", "taken"], &[("taken", "")]),
        str![[r#"
error: taken: cannot make the folder: File exists (os error [..])

"#]]
    );
    assert_data_eq!(
        of_arguments(&["--step", "5"], &[]),
        str![[r#"
error: the argument '--users <N>' cannot be used with '--step <N>'

Usage: ingester-perf load --users <N> --requests <N>

For more information, try '--help'.

"#]]
    );
}

/// What a load says of this flag, which names a file with this content.
fn of_file(flag: &str, content: &str) -> String {
    of_arguments(&["--url", "http://127.0.0.1:9", flag, "file"], &[("file", content)])
}

/// A block of PEM that holds nothing of use.
fn block(label: &str) -> String {
    format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n")
}

#[test]
fn tokens_and_keys_that_cannot_be_used() {
    // Nothing that was copied along is quoted: it may be the secret.
    assert_data_eq!(
        of_file("--token-file", "{\"access_token\": \"a.b.c\"}"),
        str![[r#"
error: --token-file: does not hold one token (printable characters, no spaces)

"#]]
    );
    assert_data_eq!(
        of_file("--token-file", "one.two.three\nfour.five.six"),
        str![[r#"
error: --token-file: holds several lines; it must be one token

"#]]
    );
    // Files that people have beside their key: it is told what they are.
    assert_data_eq!(
        of_file("--private-key", &block("CERTIFICATE")),
        str![[r#"
error: --private-key: no RSA private key in PEM form (PKCS#1 or PKCS#8, not encrypted): it holds a certificate

"#]]
    );
    assert_data_eq!(
        of_file("--private-key", &block("ENCRYPTED PRIVATE KEY")),
        str![[r#"
error: --private-key: no RSA private key in PEM form (PKCS#1 or PKCS#8, not encrypted): it holds an encrypted private key (openssl pkey -in FILE decrypts it)

"#]]
    );
    assert_data_eq!(
        of_file("--private-key", &block("PUBLIC KEY")),
        str![[r#"
error: --private-key: no RSA private key in PEM form (PKCS#1 or PKCS#8, not encrypted): it holds a public key

"#]]
    );
    assert_data_eq!(
        of_file("--private-key", "ssh-rsa AAAA me@here"),
        str![[r#"
error: --private-key: no RSA private key in PEM form (PKCS#1 or PKCS#8, not encrypted): it has no block from -----BEGIN ...----- to -----END ...-----

"#]]
    );
    assert_data_eq!(
        of_arguments(&["--url", "http://127.0.0.1:9", "--token-file", "no-such-file"], &[]),
        str![[r#"
error: --token-file: the file that it names cannot be read: No such file or directory (os error [..])

"#]]
    );
}

#[test]
fn tables_of_a_run_that_lost_a_part() {
    // 90 successes of 1, 2, ... 90 ms: 45.5 on the average. The median of all 100 is the 50th, 50 ms, as whatever failed
    // counts as slower than any success; the 95th and the 99th are among those, and are not known.
    let mut recorder = Recorder::default();
    for ms in 1..=90 {
        recorder.record(Finished { latency: Duration::from_millis(ms), outcome: Ok(()) });
    }
    let mut busy = Failure::status(503, "503 Service Unavailable: busy");
    busy.retry_after = Some(Duration::from_secs(30));
    for _ in 0..9 {
        recorder.record(Finished { latency: Duration::from_millis(1), outcome: Err(busy.clone()) });
    }
    let late = Failure::new(Class::Timeout, "no answer within 30s");
    recorder.record(Finished { latency: Duration::from_secs(30), outcome: Err(late) });
    // 90 in two seconds are 45 a second.
    recorder.pass(Duration::from_secs(2));
    let limits =
        "[op]\navg_ms = 46\nmedian_ms = 1000\np95_ms = 1000\nthroughput_rps = 10\nsuccess_rate_pct = 95";
    let targets = Targets::parse(limits, &["op"]).expect("is valid");
    let reports = [PerformanceReport::new("op", &recorder.finish()).judge(&targets)];
    let mut document = Document::new("Benchmarks");
    document.table(report::figures(&reports));
    document.table(report::targets(&reports));
    document.lines(report::failures(&reports));
    assert_data_eq!(
        document.to_string(),
        str![[r#"
 operation    n      avg   median  p95 [95 % interval]        p99  throughput  success 
 op         100  45.5 ms  50.0 ms            not known  not known        45/s     90 % 
 operation               target                               measured                 verdict 
 op                 avg < 46 ms                                45.5 ms  held (within interval) 
 op                median < 1 s                                50.0 ms                    held 
 op                   p95 < 1 s  not known: 10 % failed or never ended                  MISSED 
 op              success > 95 %                                   90 %                  MISSED 
 op         throughput > 10 RPS                                 45 RPS                    held 
op: 1 failed as timeout, the first: no answer within 30s
op: 9 failed as http_5xx, the first: 503 Service Unavailable: busy
op: 9 of them asked to be tried again later (Retry-After, up to 30 s), which they were not
op: 10.0 % failed or never ended; a percentile beyond that is not known

"#]]
    );
}
