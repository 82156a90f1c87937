//! Promise: tokens by client credentials are fetched and renewed beside a load, and the secret stays one.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use common::load::Load;
use common::server::Server;
use serde_json::Value;

/// A service, and the address of its admin module, whose tokens live for two seconds: the shortest life that is accepted
/// (`SHORTEST` in `ingester/client_credentials.rs`).
fn with_tokens() -> (Server, std::net::SocketAddr) {
    let issued = std::sync::Arc::new(Mutex::new(Vec::<Instant>::new()));
    let known = std::sync::Arc::clone(&issued);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    // The admin module: one request a connection.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(&stream);
            let mut line = String::new();
            let mut length = 0;
            // A line of two bytes is empty, and ends the head.
            while reader.read_line(&mut line).expect("reads") > 2 {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                    length = value.trim().parse().expect("is a number");
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("reads");
            let body: Value = serde_json::from_slice(&body).expect("is JSON");
            assert_eq!((&body["client_id"], &body["client_secret"]), (&"me".into(), &"hush-hush".into()));
            // The name of a token is its place in the list, which knows when it was issued.
            let mut issued = issued.lock().expect("nobody panicked");
            issued.push(Instant::now());
            let answer = format!(
                "{{\"access_token\":\"token-{}\",\"token_type\":\"Bearer\",\"expires_in\":2}}",
                issued.len() - 1
            );
            let head =
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", answer.len());
            (&stream).write_all(format!("{head}{answer}").as_bytes()).expect("writes");
        }
    });
    // The service: it refuses a token that has expired, as a real one would.
    let server = Server::scripted(move |exchange| {
        let number =
            exchange.request.authorization.strip_prefix("Bearer token-").and_then(|n| n.parse().ok());
        let fresh = number.is_some_and(|number: usize| {
            known.lock().expect("nobody panicked")[number].elapsed() < Duration::from_secs(2)
        });
        // The body is read in either case, so that the connection can be kept.
        let Some(answer) = exchange.answer() else { return false };
        if fresh { exchange.respond("201 Created", &answer) } else { exchange.respond("401 No", "expired") }
    });
    (server, address)
}

#[test]
fn a_run_that_outlives_its_token_sees_no_401() {
    let (server, admin) = with_tokens();
    // Seven seconds are more than three lives of a token.
    let args = ["--users", "4", "--duration", "7s", "--think", "5ms", "--file-size", "1KB"];
    let load = Load::new(&[&["--url", &server.url()][..], &args].concat())
        .env("INGESTER_TOKEN_URL", format!("http://{admin}/api/v1/auth/token"))
        .env("INGESTER_CLIENT_ID", "me")
        .env("INGESTER_CLIENT_SECRET", "hush-hush");
    let run = load.run();
    // 3 where the generator was late, beside other tests.
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.output());
    let report = load.report();
    assert_eq!(report["failed_requests"], 0, "{}", report["failures"]);
    assert!(!run.output().contains("hush-hush") && !report.to_string().contains("hush-hush"));
    // Renewed once a second, at half of a token's life: the last is number 7 or so, and 4 leaves room for a busy machine.
    let token: usize =
        server.authorization().trim_start_matches("Bearer token-").parse().expect("is one of ours");
    assert!(token >= 4, "token {token}");
}
