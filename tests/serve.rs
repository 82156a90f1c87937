//! Promise: `ingester-perf serve` is the stub as a process: it takes what the benches send, at flat memory.

mod common;

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use common::bench::Bench;
use common::serve::{Serve, key_file};
use tempfile::TempDir;

/// Size of the largest file that is taken (`MAX_FILE` in `stub/upload.rs`).
const GIB: u64 = 1 << 30;

#[test]
#[cfg(target_os = "linux")]
fn a_gigabyte_passes_at_flat_memory_and_one_byte_more_does_not() {
    let serve = Serve::start();
    // A small one first, so that what the first upload allocates once does not count.
    assert_eq!(serve.upload(1000), "201");
    let before = serve.peak_kb();
    assert_eq!(serve.upload(GIB), "201");
    let grown = serve.peak_kb() - before;
    // 16 MB in KB, a sixty-fourth of the file: far less than the file would take, far more than the buffers.
    assert!(grown <= 16 << 10, "1 GiB raised the resident memory by {grown} KB");
    assert_eq!(serve.upload(GIB + 1), "413");
    let (code, last) = serve.interrupt();
    assert_eq!(code, Some(0));
    // The small one and the large one; what was refused does not count.
    assert!(last.contains("Took in 2 files"), "{last}");
}

#[test]
fn the_benches_measure_it_by_its_url() {
    let serve = Serve::start();
    let url = format!("http://{}", serve.address);
    let bench = Bench::new("upload").env("INGESTER_URL", url).env("INGESTER_TOKEN", serve.token.as_str());
    bench.short(&["10KB"]).exits(0);
    assert_eq!(bench.report("upload_small_file")["success_rate_pct"], 100.0);
    serve.interrupt();
}

/// The bench of uploads against it, with tokens signed by this key.
fn signing(serve: &Serve, key: &str) -> Bench {
    let url = format!("http://{}", serve.address);
    Bench::new("upload").env("INGESTER_URL", url).env("INGESTER_PRIVATE_KEY", key)
}

#[test]
fn a_private_key_of_ones_own_opens_it_and_another_does_not() {
    let dir = TempDir::new().expect("makes a folder");
    let key = key_file(&dir, "key.pem");
    let serve = Serve::with(&["--private-key", &key]);
    let bench = signing(&serve, &key);
    bench.short(&["10KB"]).exits(0);
    assert_eq!(bench.report("upload_small_file")["success_rate_pct"], 100.0);

    let stranger = signing(&serve, &key_file(&dir, "other.pem"));
    let run = stranger.short(&["10KB"]);
    assert!(run.exits(2).contains("refused the token"), "{}", run.stderr);
    assert!(!stranger.reports().exists(), "measured all the same");
    serve.interrupt();
}

#[test]
fn what_cannot_start_exits_2_and_says_why() {
    // Held until the end of the test: nobody else can listen there.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("is bound").to_string();
    for (args, says) in [
        (["serve", "--listen", &address], "cannot listen on"),
        (["serve", "--listen", "here"], "invalid value 'here'"),
        (["serve", "--private-key", "no/such.pem"], "no/such.pem: cannot read"),
        (["serve", "--private-key", "Cargo.toml"], "Cargo.toml: no RSA private key in PEM form"),
        (["serve", "--no-such", "x"], "unexpected argument"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_ingester-perf")).args(args).output().expect("starts");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(says) && !text.contains("panicked"), "{text}");
    }
}

#[test]
fn a_signal_during_an_upload_does_not_keep_it_for_ever() {
    let serve = Serve::start();
    // A head that announces a body which never comes.
    let mut half = TcpStream::connect(&serve.address).expect("connects");
    half.write_all(b"POST /api/v1/files/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        .expect("sends");
    // Until the head has arrived: an idle connection would be closed at once.
    std::thread::sleep(Duration::from_millis(100));
    let started = std::time::Instant::now();
    assert_eq!(serve.interrupt().0, Some(0));
    // Uploads under way may take two seconds to end (`GRACE` in `stub/server.rs`); the rest is for a busy machine.
    assert!(started.elapsed() < Duration::from_secs(10));
}
