//! Promise: `ingester-perf serve` is the stub as a process: it takes what the benches send, at flat memory.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::bench::Bench;
use rsa::pkcs8::{EncodePrivateKey, LineEnding};
use tempfile::TempDir;

const GIB: u64 = 1 << 30;

struct Serve {
    child: Child,
    address: String,
    token: String,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Serve {
    fn start() -> Self {
        Self::with(&[])
    }

    fn with(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ingester-perf"))
            .args(["serve", "--listen", "127.0.0.1:0", "--print-token"])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("is piped"));
        let mut line = String::new();
        stderr.read_line(&mut line).expect("says where it listens");
        let address =
            line.split("http://").nth(1).and_then(|rest| rest.split(';').next()).expect(&line).to_owned();
        let mut token = String::new();
        BufReader::new(child.stdout.take().expect("is piped")).read_line(&mut token).expect("prints a token");
        Self { child, address, token: token.trim().to_owned(), stderr }
    }

    /// Peak of its resident memory so far, in KB.
    fn peak_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmHWM")).expect("Linux tells");
        line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).expect("is a number")
    }

    /// Uploads a file of `size` bytes without holding it; the answer's status.
    fn upload(&self, size: u64) -> String {
        let head = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"big\"\r\n\r\n";
        let tail = "\r\n--b--\r\n";
        let length = head.len() as u64 + size + tail.len() as u64;
        let mut stream = TcpStream::connect(&self.address).expect("connects");
        write!(
            stream,
            "POST /api/v1/files/upload HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
             Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {length}\r\n\r\n{head}",
            self.address, self.token
        )
        .expect("sends");
        let sent = std::io::copy(&mut std::io::repeat(b'x').take(size), &mut stream);
        // A refusal may come while it is sending.
        if sent.is_ok() {
            let _ = stream.write_all(tail.as_bytes());
        }
        let mut status = String::new();
        BufReader::new(stream).read_line(&mut status).expect("answers");
        status.split(' ').nth(1).expect("has a status").to_owned()
    }

    fn interrupt(mut self) -> (Option<i32>, String) {
        let killed = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(killed.expect("kill exists").success());
        let code = self.child.wait().expect("ends").code();
        let mut last = String::new();
        self.stderr.read_to_string(&mut last).expect("is text");
        (code, last)
    }
}

impl Drop for Serve {
    /// Nothing is left of it where a test fails.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes an RSA key in a PEM file; its path.
fn key_file(dir: &TempDir, name: &str) -> String {
    let key = rsa::PrivateKey::new(&mut rand::rng(), 2048).expect("makes a key");
    let path = dir.path().join(name);
    let pem = key.to_pkcs8_pem(LineEnding::LF).expect("encodes");
    std::fs::write(&path, pem.as_bytes()).expect("can be written");
    path.to_str().expect("is UTF-8").to_owned()
}

#[test]
#[cfg(target_os = "linux")]
fn a_gigabyte_passes_at_flat_memory_and_one_byte_more_does_not() {
    let serve = Serve::start();
    assert_eq!(serve.upload(1000), "201");
    let before = serve.peak_kb();
    assert_eq!(serve.upload(GIB), "201");
    let grown = serve.peak_kb() - before;
    assert!(grown <= 16 << 10, "1 GiB raised the resident memory by {grown} KB");
    assert_eq!(serve.upload(GIB + 1), "413");
    let (code, last) = serve.interrupt();
    assert_eq!(code, Some(0));
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

#[test]
fn a_private_key_of_ones_own_opens_it_and_another_does_not() {
    let dir = TempDir::new().expect("makes a folder");
    let key = key_file(&dir, "key.pem");
    let serve = Serve::with(&["--private-key", &key]);
    let with = |key: &str| {
        let url = format!("http://{}", serve.address);
        Bench::new("upload").env("INGESTER_URL", url).env("INGESTER_PRIVATE_KEY", key)
    };
    let bench = with(&key);
    bench.short(&["10KB"]).exits(0);
    assert_eq!(bench.report("upload_small_file")["success_rate_pct"], 100.0);

    let stranger = with(&key_file(&dir, "other.pem"));
    let run = stranger.short(&["10KB"]);
    assert!(run.exits(2).contains("refused the token"), "{}", run.stderr);
    assert!(!stranger.reports().exists(), "measured all the same");
    serve.interrupt();
}

#[test]
fn what_cannot_start_exits_2_and_says_why() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("is bound").to_string();
    for (args, says) in [
        (["serve", "--listen", &address], "cannot listen on"),
        (["serve", "--listen", "here"], "invalid value 'here'"),
        (["serve", "--private-key", "no/such.pem"], "no/such.pem: cannot read"),
        (["serve", "--private-key", "Cargo.toml"], "Cargo.toml: not an RSA private key"),
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
    let mut half = TcpStream::connect(&serve.address).expect("connects");
    half.write_all(b"POST /api/v1/files/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        .expect("sends");
    std::thread::sleep(Duration::from_millis(100));
    let started = std::time::Instant::now();
    assert_eq!(serve.interrupt().0, Some(0));
    assert!(started.elapsed() < Duration::from_secs(10));
}
