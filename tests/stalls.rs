//! Promise: a stall of the server shows in full in the quantiles of an open run, wherever it happens.
//! The truth comes from a server on blocking sockets that shares no code with the stub or the client.
//!
//! Limits are ten times those of the proof; `ci/proof.sh` runs the same with the proof's, on longer runs.

mod common;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use common::load::{Load, alone, choose, figure, ms, signal, tried, wait_until, wide};
use common::serve::Serve;
use common::server::Server;

/// Uploads of the command's look at the ingester, before any that count.
const PROBES: u64 = 2;
/// Requests a second against a stalling server: the backlog of two seconds drains in ten milliseconds, even where each
/// needs a connection of its own.
const RATE: u64 = 50;

/// The length of a run with a stall, and of the stall, in seconds.
fn lengths() -> (f64, f64) {
    // A tenth and a fifth of the run: p95, p99 and p99.9 all lie within the stall.
    choose((20.0, 2.0), (4.0, 0.8))
}

/// A load at an even rate.
fn evenly(url: &str, token: &str) -> Load {
    let (run, _) = lengths();
    let rate = RATE.to_string();
    let duration = format!("{run}s");
    let args = ["--rate", &rate, "--duration", &duration, "--file-size", "1KB", "--seed", "7"];
    Load::against(url, &args).env("INGESTER_TOKEN", token)
}

/// Holds the quantiles of a run against the stall that this server makes. Every try has a server of its own.
fn holds_for_a_stall(what: &str, server: impl Fn() -> Server) {
    let (run, stall) = lengths();
    let report = tried(|| evenly(&server().url(), "a.b.c").once());
    check_stall(what, &report, run, stall);
}

/// A request that arrives `t` into the stall waits for the rest of it. With even arrivals a share of
/// `(stall - x) / run` waits longer than `x`, so the quantile q is at `stall - (1 - q) run`.
fn check_stall(what: &str, report: &serde_json::Value, run: f64, stall: f64) {
    for (q, key) in [(0.95, "p95_latency_ms"), (0.99, "p99_latency_ms"), (0.999, "load.p999_latency_ms")] {
        let expected = 1e3 * (stall - (1.0 - q) * run);
        let measured = ms(report, key);
        // At least 25 ms: arrivals are 20 ms apart, and a quantile lies up to that much too low.
        let allowed = wide((0.03 * expected).max(25.0));
        figure(
            &format!("{what}, quantile {q}"),
            &format!("{measured:.1} ms"),
            &format!("{expected:.0} ms, at most {allowed:.0} ms off"),
        );
        assert!(
            (measured - expected).abs() <= allowed,
            "{what}: quantile {q} is {measured} ms, not {expected}"
        );
    }
    // What is not touched by the stall is not made longer by it.
    let median = ms(report, "median_latency_ms");
    assert!(median < wide(5.0), "{what}: median {median} ms");
}

/// A server that holds back every answer which would come within a span of the run.
fn stalling(from: f64, stall: f64, in_body: bool) -> Server {
    let first = OnceLock::new();
    Server::scripted(move |exchange| {
        let Some(answer) = exchange.answer() else { return false };
        if exchange.number <= PROBES {
            return exchange.respond("201 Created", &answer);
        }
        // The first upload that counts stands for the beginning of the run.
        let begun = *first.get_or_init(Instant::now);
        let half = answer.len() / 2;
        if in_body {
            exchange
                .send(format!("HTTP/1.1 201 Created\r\nContent-Length: {}\r\n\r\n", answer.len()).as_bytes());
            exchange.send(&answer.as_bytes()[..half]);
        }
        sit_out(begun, from, stall);
        if in_body {
            exchange.send(&answer.as_bytes()[half..])
        } else {
            exchange.respond("201 Created", &answer)
        }
    })
}

/// Waits for the end of the stall where it has begun and not ended. Returns for how long, in seconds.
fn sit_out(begun: Instant, from: f64, stall: f64) -> Option<f64> {
    let since = begun.elapsed().as_secs_f64();
    if !(from..from + stall).contains(&since) {
        return None;
    }
    wait_until(begun + Duration::from_secs_f64(from + stall));
    Some(begun.elapsed().as_secs_f64() - since)
}

#[test]
fn a_stall_shows_in_full() {
    let _alone = alone();
    let (_, stall) = lengths();
    holds_for_a_stall("stall before the answer", || stalling(1.5, stall, false));
}

#[test]
fn a_stall_at_the_end_shows_in_full() {
    let _alone = alone();
    let (run, stall) = lengths();
    holds_for_a_stall("stall at the end", || stalling(run - stall, stall, false));
}

#[test]
fn a_stall_in_the_middle_of_an_answer_shows_in_full() {
    let _alone = alone();
    let (_, stall) = lengths();
    holds_for_a_stall("stall during the body", || stalling(1.5, stall, true));
}

/// A server that accepts nothing for a span of the run, and how long that was: from the first connection that had to wait,
/// as the one that `accept` is waiting for when the span begins is let in. Every upload needs a connection of its own.
fn stalling_in_accept(from: f64, stall: f64) -> (Server, Arc<OnceLock<f64>>) {
    let first: Arc<OnceLock<Instant>> = Arc::new(OnceLock::new());
    let stalled: Arc<OnceLock<f64>> = Arc::new(OnceLock::new());
    let begun = Arc::clone(&first);
    let lasted = Arc::clone(&stalled);
    let server = Server::accepting(
        move || {
            // Until an upload that counts has come, the run has not begun.
            let Some(begun) = begun.get() else { return };
            if let Some(waited) = sit_out(*begun, from, stall) {
                lasted.get_or_init(|| waited);
            }
        },
        move |exchange| {
            if exchange.number > PROBES {
                first.get_or_init(Instant::now);
            }
            if let Some(answer) = exchange.answer() {
                exchange.respond("201 Created\r\nConnection: close", &answer);
            }
            false
        },
    );
    (server, stalled)
}

#[test]
fn a_stall_in_accept_shows_in_full() {
    let _alone = alone();
    let (run, stall) = lengths();
    let (report, stalled) = tried(|| {
        let (server, stalled) = stalling_in_accept(1.5, stall);
        Some((evenly(&server.url(), "a.b.c").once()?, *stalled.get().expect("it stalled")))
    });
    check_stall("stall in accept", &report, run, stalled);
}

#[test]
fn a_server_that_is_stopped_and_continued_shows_in_full() {
    let _alone = alone();
    let (run, stall) = lengths();
    let serve = Serve::start();
    let (report, stopped) = tried(|| {
        let load = evenly(&format!("http://{}", serve.address), &serve.token);
        let child = load.start();
        // By then the run has begun, and more of it is left than the stall takes.
        std::thread::sleep(Duration::from_secs_f64(2.0));
        signal(&serve.child, "STOP");
        let stopped = Instant::now();
        std::thread::sleep(Duration::from_secs_f64(stall));
        // A sleep may be longer than it was asked to be: what counts is how long the server really stood still.
        signal(&serve.child, "CONT");
        let stopped = stopped.elapsed().as_secs_f64();
        Some((load.ended(child.wait_with_output().expect("ends").into())?, stopped))
    });
    check_stall("server stopped by signal", &report, run, stopped);
}
