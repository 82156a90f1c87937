//! Promise: whatever a service does, every request that was due is counted once, in the class of what was done to it,
//! and the run ends on time.

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::load::{Load, adds_up, alone};
use common::server::{Exchange, Server};
use serde_json::Value;

/// What is done to uploads in turn, and the class in which it has to be counted.
const DEEDS: [(Deed, &str); 12] = [
    (Deed::Answer, "ok"),
    (Deed::Reset, "reset"),
    (Deed::HalfClose, "reset"),
    (Deed::Garbage, "protocol"),
    (Deed::Truncate, "reset"),
    (Deed::Dribble, "ok"),
    (Deed::Status(429), "http_4xx"),
    (Deed::Status(500), "http_5xx"),
    (Deed::Status(503), "http_5xx"),
    (Deed::WrongSum, "corrupt"),
    (Deed::Hang, "timeout"),
    (Deed::Answer, "ok"),
];

#[derive(Debug, Clone, Copy)]
enum Deed {
    Answer,
    /// Closes with what was sent still unread.
    Reset,
    /// Reads everything, and closes its own direction without a word.
    HalfClose,
    Garbage,
    /// Announces more than it sends.
    Truncate,
    /// A correct answer, byte by byte.
    Dribble,
    Status(u16),
    WrongSum,
    /// Answers after the time limit.
    Hang,
}

fn perform(exchange: &mut Exchange<'_>, deed: Deed) -> bool {
    if matches!(deed, Deed::Reset) {
        return false;
    }
    let Some(answer) = exchange.answer() else { return false };
    match deed {
        Deed::Answer | Deed::Reset => exchange.respond("201 Created", &answer),
        Deed::HalfClose => {
            let _ = exchange.stream.shutdown(std::net::Shutdown::Write);
            // Else the connection would be closed in both directions at once.
            std::thread::sleep(Duration::from_millis(50));
            false
        }
        Deed::Garbage => {
            exchange.send(b"\x00\x01garbage\r\n\r\nmore\r\n\r\n");
            false
        }
        Deed::Truncate => {
            exchange.send(b"HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{\"file_size\": 1");
            false
        }
        Deed::Dribble => {
            let head = format!("HTTP/1.1 201 Created\r\nContent-Length: {}\r\n\r\n", answer.len());
            head.bytes().chain(answer.bytes()).all(|byte| exchange.send(&[byte]))
        }
        Deed::Status(status) => {
            exchange.respond(&format!("{status} No\r\nRetry-After: 7"), "{\"detail\":\"no\"}")
        }
        Deed::WrongSum => {
            exchange.respond("201 Created", &answer.replace("\"checksum\":\"", "\"checksum\":\"0"))
        }
        Deed::Hang => {
            // Three times the time limit of the run.
            std::thread::sleep(Duration::from_secs(3));
            false
        }
    }
}

/// A server that does all of that in turn, and the number of times it has done so by class.
fn wicked() -> (Server, Arc<Mutex<BTreeMap<&'static str, u64>>>) {
    let done = Arc::new(Mutex::new(BTreeMap::new()));
    let noted = Arc::clone(&done);
    let server = Server::scripted(move |exchange| {
        // The command's look at the ingester, before anything counts.
        if exchange.number <= 2 {
            return exchange.created();
        }
        let (deed, class) = DEEDS[(exchange.number as usize - 3) % DEEDS.len()];
        *noted.lock().expect("nobody panicked").entry(class).or_default() += 1;
        perform(exchange, deed)
    });
    (server, done)
}

/// Requests of a report by class, successes included.
fn classes(report: &Value) -> BTreeMap<&str, u64> {
    let failures = report["failures"].as_object().expect("is an object");
    let mut classes = BTreeMap::new();
    for (class, failed) in failures {
        classes.insert(class.as_str(), failed["count"].as_u64().expect("is a count"));
    }
    classes.insert("ok", report["successful_requests"].as_u64().expect("is a count"));
    classes
}

#[test]
fn every_request_is_in_the_class_of_what_was_done_to_it() {
    let _alone = alone();
    // 240 requests in either model: each of the twelve deeds is done twenty times.
    for args in [&["--users", "8", "--requests", "240"][..], &["--rate", "80", "--duration", "3s"]] {
        let (server, done) = wicked();
        // Without a target of its own a run fails with less than 95 % of successes.
        let limits = ["--timeout", "1s", "--file-size", "1KB", "--target", "success_rate_pct=0"];
        let load = Load::against(&server.url(), &[args, &limits].concat());
        let begun = Instant::now();
        let run = load.run();
        assert!(begun.elapsed() < Duration::from_secs(30), "{args:?} took {:?}", begun.elapsed());
        assert!(matches!(run.code, Some(0 | 3)), "{}", run.output());
        let report = load.report();
        adds_up(&report);
        assert_eq!(report["load"]["scheduled"], 240, "{args:?}");
        let done = done.lock().expect("nobody panicked");
        assert_eq!(classes(&report), *done, "{args:?}: {}", report["failures"]);
        // Counted, told, and not obeyed.
        let busy = &report["failures"]["http_4xx"];
        assert_eq!((&busy["retry_after"], &busy["retry_after_max_s"]), (&busy["count"], &Value::from(7.0)));
        assert_eq!(report["failures"]["http_5xx"]["statuses"]["503"], 20);
        // The time of a failure is not a latency: nothing that was answered took as long as the time limit.
        assert!(report["max_latency_ms"].as_f64() < Some(950.0), "{}", report["max_latency_ms"]);
    }
}

#[test]
fn requests_that_never_end_are_unfinished_with_their_age() {
    let _alone = alone();
    // The 100 requests of the open run have the numbers 3 to 102, after the two of the look: ten of them hang.
    let server = Server::scripted(|exchange| {
        if exchange.number.is_multiple_of(10) {
            std::thread::sleep(Duration::from_secs(60));
        }
        exchange.created()
    });
    for args in [&["--rate", "50", "--duration", "2s"][..], &["--users", "40", "--duration", "2s"]] {
        let load = Load::against(&server.url(), &[args, &["--grace", "1s", "--file-size", "1KB"]].concat());
        let begun = Instant::now();
        let run = load.run();
        assert!(begun.elapsed() < Duration::from_secs(20), "{args:?} took {:?}", begun.elapsed());
        // What never ended is not a success, and one in ten of them is too much.
        assert!(matches!(run.code, Some(1 | 3)), "{}", run.output());
        let report = load.report();
        adds_up(&report);
        let unfinished = report["load"]["unfinished"].as_u64().expect("is a count");
        assert!(unfinished >= 10, "{args:?}: {unfinished}");
        // It began within the two seconds of the run, and the grace of one second came after them.
        let oldest = report["load"]["unfinished_oldest_ms"].as_f64().expect("is there");
        assert!((900.0..4000.0).contains(&oldest), "{args:?}: {oldest}");
    }
}

#[test]
fn a_service_that_dies_and_returns_is_counted_out_and_in() {
    let _alone = alone();
    for args in [["--rate", "100"], ["--users", "10"]] {
        let alive = Arc::new(AtomicBool::new(true));
        let server = Server::mortal(Arc::clone(&alive));
        let fixed = ["--duration", "4s", "--file-size", "1KB", "--target", "success_rate_pct=0"];
        let load = Load::against(&server.url(), &[&args[..], &fixed].concat());
        let child = load.start();
        // So many that the run has certainly begun: the look before sends two.
        while server.uploads() < 100 {
            std::thread::sleep(Duration::from_millis(10));
        }
        alive.store(false, Ordering::SeqCst);
        std::thread::sleep(Duration::from_secs(1));
        alive.store(true, Ordering::SeqCst);
        let output = child.wait_with_output().expect("ends");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(matches!(output.status.code(), Some(0 | 3)), "{args:?}: {said}");
        let report = load.report();
        adds_up(&report);
        let classes = classes(&report);
        assert!(classes["connect"] >= 5, "{args:?}: {classes:?}");
        // Of 100 a second, 100 fail in that second. Users that cannot connect wait 100 ms before they try again
        // (`RECONNECT` in `load/drive.rs`), so that ten of them fail as often; without the pause it would be thousands
        // of times.
        assert!(classes["connect"] <= 300, "{args:?}: {classes:?}");
        let seconds = report["load"]["seconds"].as_array().expect("is an array");
        let ok: Vec<u64> = seconds.iter().map(|second| second["ok"].as_u64().expect("is a count")).collect();
        let first = ok[0];
        let last = ok[3];
        assert!(last * 3 > first, "{args:?}: the rate has not recovered: {ok:?}");
    }
}
