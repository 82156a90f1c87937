//! Promise: tokens by client credentials are fetched and renewed beside a load, and the secret stays one.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use common::load::Load;
use common::server::Server;
use serde_json::Value;

/// A service whose admin module gives tokens that live for two seconds.
fn with_tokens() -> (Server, std::net::SocketAddr) {
    let issued = std::sync::Arc::new(Mutex::new(Vec::<Instant>::new()));
    let known = std::sync::Arc::clone(&issued);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(&stream);
            let (mut line, mut length) = (String::new(), 0);
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
    let server = Server::scripted(move |exchange| {
        let number =
            exchange.request.authorization.strip_prefix("Bearer token-").and_then(|n| n.parse().ok());
        let fresh = number.is_some_and(|number: usize| {
            known.lock().expect("nobody panicked")[number].elapsed() < Duration::from_secs(2)
        });
        let Some(answer) = exchange.answer() else { return false };
        if fresh { exchange.respond("201 Created", &answer) } else { exchange.respond("401 No", "expired") }
    });
    (server, address)
}

#[test]
fn a_run_that_outlives_its_token_sees_no_401() {
    let (server, admin) = with_tokens();
    let args = ["--users", "4", "--duration", "7s", "--think", "5ms", "--file-size", "1KB"];
    let load = Load::new(&[&["--url", &server.url()][..], &args].concat())
        .env("INGESTER_TOKEN_URL", format!("http://{admin}/api/v1/auth/token"))
        .env("INGESTER_CLIENT_ID", "me")
        .env("INGESTER_CLIENT_SECRET", "hush-hush");
    let run = load.run();
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.output());
    let report = load.report();
    assert_eq!(report["failed_requests"], 0, "{}", report["failures"]);
    assert!(!run.output().contains("hush-hush") && !report.to_string().contains("hush-hush"));
    let token: usize =
        server.authorization().trim_start_matches("Bearer token-").parse().expect("is one of ours");
    assert!(token >= 4, "token {token}");
}
