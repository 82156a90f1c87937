//! Promise: whoever looks at a run while it goes on, by page, by metrics or by what is pushed, sees its totals, and in the end
//! exactly those of its report; and looking changes nothing of the run.

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStderr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::bench::Run;
use common::load::{Load, adds_up, alone, ms};
use common::server::{Manner, Server};

/// Figures by name and labels, like `ingester_perf_requests_total{operation="load",outcome="ok"}`.
type Figures = BTreeMap<String, f64>;

/// A load that runs, and says where it is to be seen.
struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl Running {
    fn start(load: &Load) -> Self {
        let mut child = load.start();
        let stderr = BufReader::new(child.stderr.take().expect("is piped"));
        Self { child, stderr, said: String::new() }
    }

    /// The address in the line that begins like this.
    fn address(&mut self, begins: &str) -> String {
        loop {
            let mut line = String::new();
            let read = self.stderr.read_line(&mut line).expect("is text");
            assert!(read > 0, "{begins} is not in:\n{}", self.said);
            self.said += &line;
            if let Some(url) = line.trim().strip_prefix(begins) {
                return url.trim_start_matches("http://").split('/').next().expect("has a host").to_owned();
            }
        }
    }

    /// Waits for its end.
    fn end(mut self) -> Run {
        self.stderr.read_to_string(&mut self.said).expect("is text");
        let output = self.child.wait_with_output().expect("ends");
        let mut run = Run::from(output);
        run.stderr = self.said;
        run
    }
}

/// What is answered to a GET, from its status on. By HTTP/1.0, whose bodies end with the connection.
fn get(address: &str, path: &str, host: &str, accept: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\nAccept: {accept}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The metrics there; nothing where nobody answers any more.
fn fetched(address: &str) -> Figures {
    let answer = get(address, "/metrics", "prometheus.example", "*/*").unwrap_or_default();
    let mut figures = Figures::new();
    for line in answer.split("\r\n\r\n").nth(1).unwrap_or_default().lines() {
        if line.starts_with('#') {
            continue;
        }
        let (name, value) = line.rsplit_once(' ').expect("is a figure");
        figures.insert(name.to_owned(), value.parse().expect("is a number"));
    }
    figures
}

/// All requests of a run, by all outcomes.
fn requests(figures: &Figures) -> f64 {
    let mut requests = 0.0;
    for (name, count) in figures {
        if name.starts_with("ingester_perf_requests_total{") {
            requests += count;
        }
    }
    requests
}

fn outcome(figures: &Figures, outcome: &str) -> f64 {
    let name = format!("ingester_perf_requests_total{{operation=\"load\",outcome=\"{outcome}\"}}");
    *figures.get(&name).unwrap_or_else(|| panic!("{name} is not in {figures:?}"))
}

/// A push as it came.
struct Push {
    /// What was fetched while its sender waited for the answer.
    fetched: Figures,
    pushed: Figures,
    authorization: String,
}

/// A server that takes what is pushed, and answers with a status.
struct Receiver {
    address: String,
    pushes: Arc<Mutex<Vec<Push>>>,
    /// Where the metrics can be fetched.
    metrics: Arc<Mutex<String>>,
}

impl Receiver {
    fn answering(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("is bound").to_string();
        let pushes = Arc::new(Mutex::new(Vec::new()));
        let metrics = Arc::new(Mutex::new(String::new()));
        let receiver = Self { address, pushes: Arc::clone(&pushes), metrics: Arc::clone(&metrics) };
        // It ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (authorization, body) = received(&stream);
                let metrics = metrics.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let fetched = if metrics.is_empty() { Figures::new() } else { fetched(&metrics) };
                let push = Push { fetched, pushed: decoded(&body), authorization };
                pushes.lock().unwrap_or_else(PoisonError::into_inner).push(push);
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                (&stream).write_all(answer.as_bytes()).expect("is still there");
            }
        });
        receiver
    }

    fn last(&self) -> Push {
        self.pushes.lock().unwrap_or_else(PoisonError::into_inner).pop().expect("something was pushed")
    }
}

/// What a request shows of its sender, and its body.
fn received(stream: &TcpStream) -> (String, Vec<u8>) {
    let mut reader = BufReader::new(stream);
    let mut headers = BTreeMap::new();
    let mut line = String::new();
    // A line of two bytes is empty, and ends the head.
    while reader.read_line(&mut line).expect("reads") > 2 {
        if let Some((name, value)) = line.split_once(": ") {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        line.clear();
    }
    assert_eq!(headers["content-encoding"], "snappy");
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let mut body = vec![0; headers["content-length"].parse().expect("is a number")];
    reader.read_exact(&mut body).expect("reads");
    (headers.remove("authorization").unwrap_or_default(), body)
}

/// The figures in the body of a remote write, read by hand. Labels that only a push has are left out.
fn decoded(body: &[u8]) -> Figures {
    let plain = snap::raw::Decoder::new().decompress_vec(body).expect("is compressed");
    let mut figures = Figures::new();
    for series in messages(&plain, 1) {
        let mut name = String::new();
        let mut labels = Vec::new();
        for label in messages(series, 1) {
            let key = text(label, 1);
            let value = text(label, 2);
            match key.as_str() {
                "__name__" => name = value,
                "job" | "instance" => {}
                _ => labels.push(format!("{key}=\"{value}\"")),
            }
        }
        let [sample] = messages(series, 2)[..] else { panic!("{name} has not one value") };
        // Field 1, 64 bits: nothing at all where they are 0.
        let value = if sample.first() == Some(&0x09) {
            f64::from_le_bytes(sample[1..9].try_into().expect("has eight bytes"))
        } else {
            0.0
        };
        figures.insert(format!("{name}{{{}}}", labels.join(",")), value);
    }
    figures
}

/// The fields of a message that have this number and a length, of a message that has no others but varints and 64 bits.
fn messages(mut message: &[u8], number: u64) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        match key & 7 {
            0 => {
                varint(&mut message);
            }
            1 => message = &message[8..],
            2 => {
                let length = usize::try_from(varint(&mut message)).expect("fits");
                let (field, rest) = message.split_at(length);
                message = rest;
                if key >> 3 == number {
                    found.push(field);
                }
            }
            kind => panic!("there is no field of kind {kind}"),
        }
    }
    found
}

fn varint(message: &mut &[u8]) -> u64 {
    let mut number = 0;
    for place in 0.. {
        let (byte, rest) = message.split_first().expect("goes on");
        *message = rest;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            break;
        }
    }
    number
}

fn text(message: &[u8], number: u64) -> String {
    let field = messages(message, number).pop().expect("has the field");
    String::from_utf8(field.to_vec()).expect("is text")
}

/// Fetches again and again while somebody answers. The requests that were told of each time.
fn fetching(address: &str) -> JoinHandle<Vec<f64>> {
    let address = address.to_owned();
    thread::spawn(move || {
        let mut totals = Vec::new();
        loop {
            let figures = fetched(&address);
            if figures.is_empty() {
                return totals;
            }
            totals.push(requests(&figures));
            thread::sleep(Duration::from_millis(100));
        }
    })
}

#[test]
fn whoever_looks_at_a_run_sees_its_totals_grow_to_those_of_its_report() {
    let _alone = alone();
    // Every tenth upload fails.
    let server = Server::scripted(|exchange| {
        if exchange.number.is_multiple_of(10) {
            exchange.answer().is_some() && exchange.respond("500 Tenth", "every tenth")
        } else {
            exchange.created()
        }
    });
    // Nothing fails in the run before: of one with failures, a percentile may not be known.
    let calm = Server::start(Manner::Python);
    let earlier = Load::against(&calm.url(), &["--users", "2", "--requests", "20"]);
    let run = earlier.run();
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.output());
    let baseline = earlier.file("load.json");

    let receiver = Receiver::answering("204 No Content");
    let push_url = format!("http://{}/write", receiver.address);
    let baseline_path = baseline.to_str().expect("is UTF-8");
    let args = [
        ["--rate", "40", "--duration", "3s", "--file-size", "1KB", "--live", "127.0.0.1:0"],
        [
            "--metrics-addr",
            "127.0.0.1:0",
            "--push-url",
            &push_url,
            "--baseline",
            baseline_path,
            "--seed",
            "7",
        ],
    ];
    let load = Load::against(&server.url(), &args.concat());
    let mut running = Running::start(&load);
    let page = running.address("Live: ");
    let metrics = running.address("Metrics: ");
    *receiver.metrics.lock().expect("nobody panicked") = metrics.clone();
    let totals = fetching(&metrics);
    let events = {
        let page = page.clone();
        thread::spawn(move || get(&page, "/events", "localhost", "*/*").expect("is answered"))
    };
    // A browser that opens the page, and one that leaves at once.
    let opened = get(&page, "/", &page, "*/*").expect("is answered");
    assert!(opened.contains(" 200 OK\r\n") && opened.contains("new EventSource("), "{opened}");
    let mut leaving = TcpStream::connect(&page).expect("is there");
    write!(leaving, "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sends");
    drop(leaving);
    // Another site whose name was made to lead here.
    let refused = get(&page, "/events", "evil.example", "*/*").expect("is answered");
    assert!(refused.contains(" 403 Forbidden\r\n") && !refused.contains("data:"), "{refused}");
    let open_metrics = get(&metrics, "/metrics", "x", "application/openmetrics-text").expect("is answered");
    assert!(open_metrics.ends_with("# EOF\n"), "{open_metrics}");

    let run = running.end();
    assert!(matches!(run.code, Some(1 | 3)), "one in ten fails: {}", run.output());
    let report = load.report();
    adds_up(&report);
    let scheduled = ms(&report, "load.scheduled");
    let totals = totals.join().expect("does not panic");
    assert!(totals.is_sorted() && totals.iter().all(|total| *total <= scheduled), "{totals:?}");
    let grown = totals.iter().filter(|total| **total > 0.0 && **total < scheduled).count();
    assert!(grown >= 1, "nothing was told while it ran: {totals:?}");

    let last = receiver.last();
    for figures in [&last.pushed, &last.fetched] {
        assert_eq!(requests(figures), scheduled);
        assert_eq!(outcome(figures, "ok"), ms(&report, "successful_requests"));
        assert_eq!(outcome(figures, "http_5xx"), ms(&report, "failed_requests"));
        assert_eq!(outcome(figures, "unfinished"), ms(&report, "load.unfinished"));
        let count = figures["ingester_perf_latency_seconds_count{operation=\"load\"}"];
        assert_eq!(count, ms(&report, "successful_requests"));
        // The sum is exact, and so is the mean that follows from it.
        let mean_ms = 1e3 * figures["ingester_perf_latency_seconds_sum{operation=\"load\"}"] / count;
        assert!((mean_ms / ms(&report, "avg_latency_ms") - 1.0).abs() < 1e-9, "{mean_ms}");
        // That of the last second: 0, if a request ended after the last one was due.
        let rate = figures["ingester_perf_scheduled_rate{operation=\"load\"}"];
        assert!(rate == 40.0 || rate == 0.0, "{rate}");
        let p95_s = figures["ingester_perf_baseline_latency_seconds{operation=\"load\",quantile=\"0.95\"}"];
        let earlier_ms = ms(&earlier.report(), "p95_latency_ms");
        assert!((1e3 * p95_s / earlier_ms - 1.0).abs() < 1e-9, "{p95_s} s, {earlier_ms} ms");
        // It may have had nothing to do for a whole second; of the other systems it is not known.
        let cpu = figures.get("ingester_perf_cpu_cores{operation=\"load\",side=\"generator\"}");
        assert_eq!(cpu.is_some(), cfg!(target_os = "linux"), "{figures:?}");
    }

    let events = events.join().expect("does not panic");
    let events: Vec<&str> = events.trim_end().split("\n\n").collect();
    // One as it was opened, one a second at least, and the last.
    assert!(events.len() >= 4, "{events:?}");
    let last = events.last().expect("is there");
    assert!(last.starts_with("event: ended\n") && last.contains("The run has ended."), "{last}");
    assert!(last.contains(&format!("{scheduled} scheduled")), "{last}");
    assert!(!run.stderr.contains("pushes to"), "{}", run.stderr);
}

#[test]
fn a_shard_tells_of_its_own_part_under_its_name() {
    let _alone = alone();
    let server = Server::start(Manner::Python);
    let receiver = Receiver::answering("204 No Content");
    let push_url = format!("http://{}/write", receiver.address);
    let schedule = ["--rate", "40", "--duration", "1s", "--file-size", "1KB"];
    let args = [&schedule[..], &["--shard", "1/2", "--push-url", &push_url]].concat();
    let run = Load::against(&server.url(), &args).run();
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.output());
    let pushed = receiver.last().pushed;
    // Every other one of 40 requests.
    assert_eq!(requests(&pushed), 20.0);
    let ok = "ingester_perf_requests_total{operation=\"load\",outcome=\"ok\",shard=\"1/2\"}";
    assert_eq!(pushed[ok], 20.0, "{pushed:?}");
    // That of the last second: 0, if a request ended after the last one was due.
    let rate = pushed["ingester_perf_scheduled_rate{operation=\"load\",shard=\"1/2\"}"];
    assert!(rate == 20.0 || rate == 0.0, "{rate}");
}

#[test]
fn a_receiver_that_fails_changes_nothing_and_is_told_without_its_password() {
    let _alone = alone();
    let server = Server::start(Manner::Python);
    let receiver = Receiver::answering("500 Broken");
    let push_url = format!("http://me:pa55word@{}/write?key=5ecret", receiver.address);
    let args = ["--users", "2", "--requests", "50", "--file-size", "1KB", "--push-url", &push_url];
    let load = Load::against(&server.url(), &args);
    let run = load.judged();
    assert_eq!(run.code, Some(0), "{}", run.output());
    assert_eq!(load.report()["successful_requests"], 50);
    let shown = format!("http://{}/write", receiver.address);
    let told = format!("--push-url: {shown} did not take the metrics: it answered 500");
    assert_eq!(run.stderr.matches(&told).count(), 1, "{}", run.stderr);
    assert!(run.stderr.contains(&format!("1 of 1 pushes to {shown} failed")), "{}", run.stderr);
    assert!(!run.output().contains("pa55word") && !run.output().contains("5ecret"), "{}", run.output());
    // The command that repeats the run stands on its page.
    let page = std::fs::read_to_string(load.file("load.html")).expect("was written");
    assert!(page.contains("$PUSH_URL") && !page.contains("pa55word") && !page.contains("5ecret"), "{page}");
    // It was shown to whom it is for.
    let push = receiver.last();
    assert_eq!(push.authorization, format!("Basic {}", STANDARD.encode("me:pa55word")));
    assert_eq!(outcome(&push.pushed, "ok"), 50.0);
}

#[test]
fn what_cannot_be_told_is_said_before_anything_is_sent() {
    let server = Server::start(Manner::Python);
    for (args, says) in [
        (["--live", "0.0.0.0:0"], "--live: 0.0.0.0:0 can be reached from other machines"),
        (["--push-url", "host/write?key=5ecret"], "--push-url: is not a URL"),
        (["--baseline", "no/such/report.json"], "no/such/report.json"),
    ] {
        let load = Load::against(&server.url(), &[&["--users", "1", "--requests", "1"][..], &args].concat());
        let run = load.run();
        assert!(run.exits(2).contains(says), "{args:?}: {}", run.stderr);
        assert!(!run.stderr.contains("5ecret"), "{}", run.stderr);
    }
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("is bound").to_string();
    let args = ["--users", "1", "--requests", "1", "--metrics-addr", &address];
    let run = Load::against(&server.url(), &args).run();
    assert!(run.exits(2).contains(&format!("--metrics-addr: cannot listen on {address}")), "{}", run.stderr);
    assert_eq!(server.uploads(), 0);
}

#[test]
fn an_earlier_run_is_for_those_who_look() {
    let _alone = alone();
    let server = Server::start(Manner::Python);
    let earlier = Load::against(&server.url(), &["--users", "1", "--requests", "5", "--name", "before"]);
    let run = earlier.run();
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.output());
    let report = earlier.file("before.json");
    let sent = server.uploads();
    let args = ["--users", "1", "--requests", "1", "--baseline", report.to_str().expect("is UTF-8")];
    let run = Load::against(&server.url(), &args).run();
    assert!(run.exits(2).contains("add --live, --metrics-addr or --push-url"), "{}", run.stderr);
    assert_eq!(server.uploads(), sent);
}
