//! Promise: `ingester-perf load` does what its arguments say, writes what it measured, and ends in order.

mod common;

use std::io::Read;
use std::time::{Duration, Instant};

use common::bench::{Run, read_json};
use common::load::{Load, adds_up, alone, choose, figure, ms, signal};
use common::serve::Serve;
use common::server::{Manner, Server};
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use serde_json::Value;

#[test]
fn presets_run_against_the_stub_and_are_held_against_the_projects_targets() {
    let _alone = alone();
    let targets = concat!(env!("CARGO_MANIFEST_DIR"), "/baseline/targets.toml");
    for (preset, operation, requests) in
        [("normal", "concurrent_upload_10", 100), ("high", "concurrent_upload_50", 500)]
    {
        let load = Load::new(&["--preset", preset]).env("INGESTER_TARGETS", targets);
        let run = load.run();
        // 1 where a target is missed, as a debug build may, and 3 where the generator was late, beside other tests.
        assert!(matches!(run.code, Some(0 | 1 | 3)), "{}", run.output());
        // The bench of this operation has a report of its own.
        let report = read_json(&load.file(&format!("load_{operation}.json")));
        adds_up(&report);
        assert_eq!(report["load"]["scheduled"], requests, "{preset}");
        assert_eq!(report["failed_requests"], 0, "{}", report["failures"]);
    }
}

#[test]
fn a_stored_run_is_reported_again_and_held_against_other_targets() {
    let _alone = alone();
    let server = Server::start(Manner::Python);
    let args = ["--users", "2", "--requests", "20", "--file-size", "1KB", "--repeat", "2"];
    let load = Load::against(&server.url(), &args);
    let first = load.run();
    let record = load.file("load.run.json");
    let record = record.to_str().expect("is UTF-8");
    let markdown = load.file("load.md");
    let csv = load.file("tables.csv");
    // Nothing answers there any more: what is reported comes from the file.
    drop(server);
    let again = Load::new(&[
        "--replay",
        record,
        "--export",
        &format!("markdown={}", markdown.display()),
        "--export",
        &format!("csv={}", csv.display()),
    ])
    .run();
    assert_eq!((again.code, &again.stdout), (first.code, &first.stdout), "{}", again.stderr);
    let markdown = std::fs::read_to_string(markdown).expect("was written");
    assert!(markdown.starts_with("### Load\n") && markdown.contains("| `run 1` |"), "{markdown}");
    let csv = std::fs::read_to_string(csv).expect("was written");
    assert!(csv.contains("operation,n,avg,median"), "{csv}");
    // A microsecond: no upload holds that.
    let missed = Load::new(&["--replay", record, "--target", "p95_ms=0.001"]).run();
    assert!(missed.code == Some(1) || first.code == Some(3), "{}", missed.output());
    let both = Load::new(&["--replay", record, "--users", "3"]).run();
    assert_eq!(both.code, Some(2), "{}", both.output());
    let wrong = Load::new(&["--replay", record, "--export", "pdf=x"]).run();
    assert!(wrong.code == Some(2) && wrong.stderr.contains("there are text, markdown"), "{}", wrong.stderr);
    std::fs::write(record, "{}").expect("writes");
    let broken = Load::new(&["--replay", record]).run();
    assert!(broken.code == Some(2) && broken.stderr.contains("load.run.json"), "{}", broken.output());
}

#[test]
fn stress_stops_at_the_step_that_breaks() {
    let _alone = alone();
    // A microsecond: no upload holds that, and the first step is the last.
    let args = ["--preset", "stress", "--duration", "1s", "--file-size", "1KB", "--target", "p95_ms=0.001"];
    let load = Load::new(&args);
    let run = load.run();
    assert!(matches!(run.code, Some(1 | 3)), "{}", run.output());
    let report = read_json(&load.file("stress.json"));
    let runs = report["load"]["runs"].as_array().expect("has steps");
    assert_eq!((runs.len(), &runs[0]["name"]), (1, &Value::from("1 user")));
    if run.code == Some(1) {
        assert!(run.stdout.contains("It broke at 1 user."), "{}", run.stdout);
    }
}

#[test]
fn a_stress_run_takes_the_steps_that_it_is_told_to() {
    let _alone = alone();
    let args = [
        "--preset",
        "stress",
        "--duration",
        "200ms",
        "--file-size",
        "1KB",
        "--from",
        "2",
        "--to",
        "4",
        "--step",
        "2",
    ];
    let load =
        Load::new(&[&args[..], &["--target", "p95_ms=60000", "--target", "success_rate_pct=1"]].concat());
    let run = load.run();
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.output());
    let report = read_json(&load.file("stress.json"));
    let runs = report["load"]["runs"].as_array().expect("has steps");
    let names: Vec<_> = runs.iter().map(|run| run["name"].as_str().expect("is a text")).collect();
    // A step that is not to be trusted ends the run.
    assert!(names == ["2 users", "4 users"] || run.code == Some(3) && names[0] == "2 users", "{names:?}");
}

#[test]
fn what_was_sent_to_a_real_service_is_told_in_all() {
    let _alone = alone();
    let server = Server::start(Manner::Python);
    let load = Load::against(&server.url(), &["--users", "2", "--requests", "8", "--file-size", "1KB"]);
    let run = load.run();
    let says = format!(
        "Sent to {} in all, the look before and warming up included: 10 uploads, 10 KB",
        server.url()
    );
    // Two of the look and eight that count, 1 KB each.
    assert!(run.stderr.contains(&says), "{}", run.stderr);
    assert_eq!(server.uploads(), 10);
}

#[test]
fn wrong_arguments_are_said_in_one_line_and_nothing_starts() {
    for (args, says) in [
        (&[][..], "how much?"),
        (&["--users", "5"], "when do they end?"),
        (&["--users", "0", "--requests", "5"], "0 is not in 1..="),
        (&["--users", "5", "--rate", "5", "--duration", "1s"], "cannot be used with"),
        (&["--users", "5", "--requests", "5", "--to", "9"], "cannot be used with"),
        (&["--preset", "normal", "--from", "9"], "--from: is of a stress run"),
        (&["--preset", "stress", "--from", "9", "--to", "5"], "--to: 5 is below --from 9"),
        (&["--rate", "5"], "--duration"),
        (&["--rate", "-5", "--duration", "1s"], "above 0"),
        (&["--rate", "5", "--duration", "soon"], "30s"),
        (&["--stage", "5"], "0..50:30s"),
        (&["--stage", "0:1s"], "level 0"),
        (&["--users", "1", "--requests", "1", "--mix", "10KB"], "10KB=70"),
        (&["--users", "1", "--requests", "1", "--target", "p95=3"], "p95_ms"),
        (&["--users", "1", "--requests", "1", "--name", "../x"], "letters"),
        (&["--users", "1", "--requests", "1", "--pid", "0"], "0 is not in 1..="),
        (&["--users", "1", "--requests", "1", "--file", "/no/such/file"], "/no/such/file: cannot read"),
        (&["--users", "1", "--requests", "1", "--url", "http://127.0.0.1:9"], "without a token"),
        (&["--users", "99999", "--requests", "1"], "ulimit -n"),
    ] {
        let load = Load::new(args);
        let run = load.run();
        assert_eq!(run.code, Some(2), "{args:?}: {}", run.output());
        assert!(run.stderr.contains(says) && !run.stderr.contains("panicked"), "{args:?}: {}", run.stderr);
        assert!(run.stdout.is_empty(), "{args:?}: {}", run.stdout);
        assert!(!load.file("load.json").exists(), "{args:?}");
    }
}

#[test]
fn a_service_that_is_not_there_or_refuses_the_token_is_said_before_the_run() {
    let run = Load::against("http://127.0.0.1:9", &["--users", "1", "--requests", "1"]).run();
    assert!(run.exits(2).contains("cannot reach the ingester at http://127.0.0.1:9"), "{}", run.stderr);
    let server = Server::start(Manner::Status(401));
    let run = Load::against(&server.url(), &["--users", "1", "--requests", "1"]).run();
    assert!(run.exits(2).contains("refused the token"), "{}", run.stderr);
}

#[test]
fn no_more_is_sent_than_is_allowed() {
    let server = Server::start(Manner::Python);
    let fixed = ["--file-size", "10KB", "--max-bytes", "1MB"];
    // 200 files of 10 KB are 2 MB: known before the run begins.
    let run =
        Load::against(&server.url(), &[&["--users", "2", "--requests", "200"][..], &fixed].concat()).run();
    assert!(run.exits(2).contains("INGESTER_MAX_BYTES"), "{}", run.stderr);
    assert_eq!(server.uploads(), 2, "the look at it");
    // How much a run of some time sends is not known before: it ends when all was sent.
    let load = Load::against(&server.url(), &[&["--users", "2", "--duration", "20s"][..], &fixed].concat());
    let run = load.run();
    assert!(run.stdout.contains("It ended early: all bytes"), "{}", run.output());
    let report = load.report();
    adds_up(&report);
    // 1 MB holds 102 files of 10 KB, and two of them were those of the look.
    assert_eq!((&report["load"]["scheduled"], &report["partial"]), (&Value::from(100), &Value::from(true)));
    // Four, as the run that was refused has looked too.
    assert_eq!(server.uploads(), 4 + 100);
}

#[test]
fn a_missed_target_is_exit_1_and_a_finding() {
    let _alone = alone();
    let server = Server::start(Manner::Python);
    let args = ["--users", "2", "--requests", "50", "--target", "avg_ms=0.0001", "--target", "p95_ms=10000"];
    let load = Load::against(&server.url(), &args);
    let run = load.judged();
    assert_eq!(run.code, Some(1), "{}", run.output());
    assert!(run.stdout.contains("MISSED") && run.stdout.contains("Finding: avg is"), "{}", run.stdout);
    // Beside it there may be others: of a few milliseconds, one that was disturbed is a tail.
    let report = load.report();
    let findings = report["load"]["findings"].as_array().expect("is an array");
    assert!(
        findings.iter().any(|finding| finding["what"].as_str().expect("is text").starts_with("avg is")),
        "{findings:?}"
    );
}

#[test]
fn mixes_stages_and_warm_up_do_as_they_say() {
    let _alone = alone();
    let server = Server::start(Manner::Python);
    let stages = ["--stage", "0..100:2s", "--stage", "100:1s", "--arrivals", "constant"];
    let mix = ["--mix", "1KB=3,2KB=1", "--warm-up", "500ms", "--seed", "5"];
    let report = Load::against(&server.url(), &[&stages[..], &mix].concat()).valid();
    // 100 on the ramp, 100 after it; 50 of the warm-up do not count.
    assert_eq!(report["load"]["scheduled"], 200);
    assert_eq!(server.uploads(), 2 + 50 + 200);
    // In each second of the ramp the rate grows by 50 a second: the area under it is 25 in the first, 75 in the second.
    assert_eq!((begun(&report, 0), begun(&report, 1), begun(&report, 2)), (Some(25), Some(75), Some(100)));
}

/// How many requests began in this second of the run.
fn begun(report: &Value, second: usize) -> Option<u64> {
    report["load"]["seconds"][second]["begun"].as_u64()
}

#[test]
fn runs_in_which_nothing_was_due_are_reported() {
    let server = Server::start(Manner::Python);
    // The first of a thousand seconds, and of most seeds nothing arrives in it.
    let args = ["--rate", "0.001", "--arrivals", "poisson", "--duration", "1s", "--repeat", "2"];
    let run = Load::against(&server.url(), &args).run();
    assert!(matches!(run.code, Some(1 | 3)), "{}", run.output());
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
}

#[test]
fn repeats_report_the_median_run_and_clean_up_between() {
    let _alone = alone();
    let server = Server::start(Manner::Python);
    let args = ["--users", "2", "--requests", "20", "--repeat", "3", "--cleanup", "echo cleaned >> log"];
    let load = Load::against(&server.url(), &args);
    let run = load.run();
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.output());
    let report = load.report();
    let runs = report["load"]["runs"].as_array().expect("has runs");
    let mut p95: Vec<f64> = runs.iter().map(|run| run["p95_ms"].as_f64().expect("is there")).collect();
    p95.sort_by(f64::total_cmp);
    // The run in the middle is the one that is reported.
    assert_eq!(report["p95_latency_ms"].as_f64(), Some(p95[1]));
    assert!(run.stdout.contains("p95 of 3 runs"), "{}", run.stdout);
    // Twice: between three runs, and not after the last.
    assert_eq!(std::fs::read_to_string(load.file("log")).expect("is there"), "cleaned\ncleaned\n");
    // The last argument is the command; `false` fails.
    let run = Load::against(&server.url(), &[&args[..7], &["false"]].concat()).run();
    assert!(run.exits(2).contains("--cleanup"), "{}", run.stderr);
}

#[test]
fn csv_and_interval_log_say_the_same_as_the_report() {
    let _alone = alone();
    // One upload fails: with more of them p99 would not be known.
    let server = Server::scripted(|exchange| {
        if exchange.number == 60 { exchange.respond("500 Once", "once") } else { exchange.created() }
    });
    let args = ["--rate", "50", "--duration", "3s", "--file-size", "1KB", "--target", "success_rate_pct=0"];
    let load = Load::against(&server.url(), &args);
    let run = load.run();
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.output());
    let report = load.report();
    let seconds = report["load"]["seconds"].as_array().expect("is an array");

    // Every cell of the table is the value of that name in the report's second.
    let csv = std::fs::read_to_string(load.file("load.csv")).expect("is there");
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().expect("has a header").split(',').collect();
    for (second, line) in seconds.iter().zip(lines.by_ref()) {
        for (key, cell) in header.iter().zip(line.split(',')) {
            let value = second.get(key).expect(key);
            // What is not known is null there, and an empty cell here.
            if value.is_null() && cell.is_empty() {
                continue;
            }
            let value = value.as_f64().expect(key);
            let cell: f64 = cell.parse().expect(key);
            assert!((value - cell).abs() < 1e-6, "{key}: {value} {cell}");
        }
    }
    assert_eq!(lines.next(), None);

    // Read by HdrHistogram's own reader, as its tools would.
    let log = std::fs::read(load.file("load.hlog")).expect("is there");
    let mut whole = hdrhistogram::Histogram::<u64>::new(3).expect("is one");
    let mut intervals = 0;
    for entry in IntervalLogIterator::new(&log) {
        if let LogEntry::Interval(interval) = entry.expect("is a log") {
            use base64::Engine;
            let packed = base64::engine::general_purpose::STANDARD
                .decode(interval.encoded_histogram())
                .expect("is base64");
            let histogram: hdrhistogram::Histogram<u64> =
                Deserializer::new().deserialize(&mut packed.as_slice()).expect("is a histogram");
            whole.add(histogram).expect("fits");
            intervals += 1;
        }
    }
    assert_eq!((intervals, Some(whole.len())), (seconds.len(), report["successful_requests"].as_u64()));
    // The log has successes only; the report's percentile is one of all requests, failures last.
    let rank = (0.99 * ms(&report, "total_requests")).ceil();
    let p99 = whole.value_at_quantile((rank - 0.5) / whole.len() as f64) as f64 / 1e6;
    // Both have three significant digits.
    assert!((p99 / ms(&report, "p99_latency_ms") - 1.0).abs() < 2e-3, "{p99}");
}

#[test]
fn an_interrupted_run_leaves_a_whole_report_of_what_there_was() {
    let _alone = alone();
    let server = Server::start(Manner::Python);
    let times = choose(100, 6);
    let mut partial = 0;
    for round in 0..times {
        let args = if round % 2 == 0 { ["--rate", "200"] } else { ["--users", "8"] };
        let load =
            Load::against(&server.url(), &[&args[..], &["--duration", "20s", "--file-size", "1KB"]].concat());
        let mut child = load.start();
        // Spread over the start of the program, the look at the ingester, and the first second of the run.
        std::thread::sleep(Duration::from_millis(50 + round * 1237 % 1000));
        let (name, code) = if round % 3 == 0 { ("TERM", 143) } else { ("INT", 130) };
        let begun = Instant::now();
        signal(&child, name);
        let output = child.wait().expect("ends");
        assert!(begun.elapsed() < Duration::from_secs(5), "{args:?} took {:?}", begun.elapsed());
        let mut said = String::new();
        child.stderr.take().expect("is piped").read_to_string(&mut said).expect("is text");
        assert!(!said.contains("panicked"), "{said}");
        // There is no report where the signal came before the run had begun.
        if load.file("load.json").exists() {
            let report = load.report();
            adds_up(&report);
            assert_eq!((report["partial"].as_bool(), output.code()), (Some(true), Some(code)), "{said}");
            partial += 1;
        }
    }
    figure(
        "reports of interrupted runs, all whole",
        &format!("{partial} of {times} interrupts"),
        "identity holds",
    );
    assert!(partial * 2 > times, "only {partial} of {times} left a report");
}

#[test]
fn a_second_interrupt_leaves_at_once() {
    let _alone = alone();
    // The two uploads of the look are answered at once, and those that count never within this test.
    let server = Server::scripted(|exchange| {
        if exchange.number > 2 {
            std::thread::sleep(Duration::from_secs(30));
        }
        exchange.created()
    });
    let load = Load::against(
        &server.url(),
        &["--users", "2", "--requests", "9", "--grace", "20s", "--timeout", "1m"],
    );
    let mut child = load.start();
    while server.uploads() < 4 {
        std::thread::sleep(Duration::from_millis(10));
    }
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(child.try_wait().expect("can be asked"), None, "it drains");
    signal(&child, "INT");
    let begun = Instant::now();
    assert_eq!(child.wait().expect("ends").code(), Some(130));
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[test]
fn large_files_are_streamed_at_flat_memory_and_http_2_is_spoken() {
    let _alone = alone();
    let serve = Serve::start();
    let url = format!("http://{}", serve.address);
    for protocol in [&[][..], &["--http2"]] {
        let args = [&["--users", "2", "--requests", "4", "--file-size", "100MB"][..], protocol].concat();
        let load = Load::against(&url, &args).env("INGESTER_TOKEN", &serve.token);
        let (run, peak) = watched(&load);
        assert!(matches!(run.code, Some(0 | 3)), "{}", run.output());
        let report = load.report();
        assert_eq!(
            (&report["successful_requests"], &report["failed_requests"]),
            (&4.into(), &0.into()),
            "{}",
            report["failures"]
        );
        // Less than one of the files: below 64 MB where two of 100 MB are under way.
        assert!((1..65_536).contains(&peak), "{peak} KB");
    }
    let args = ["--users", "3", "--requests", "60", "--file-size", "10KB", "--http2"];
    let report = Load::against(&url, &args).env("INGESTER_TOKEN", &serve.token).valid();
    // One connection a user, kept for all of its uploads.
    assert_eq!(report["load"]["connect"]["count"], 3);
}

/// Runs it. Returns how it ended, and its peak of resident memory in KB.
fn watched(load: &Load) -> (Run, u64) {
    let mut child = load.start();
    // The kernel keeps the peak, but only for as long as the process lives: the last look before its end counts.
    let mut peak = 0;
    while child.try_wait().expect("can be asked").is_none() {
        peak = peak.max(peak_kb(child.id()).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(5));
    }
    (child.wait_with_output().expect("ends").into(), peak)
}

fn peak_kb(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find(|line| line.starts_with("VmHWM"))?.split_whitespace().nth(1)?.parse().ok()
}

/// Runs a load in which every upload succeeds. Returns its report, and its peak of memory in KB.
fn ends_cleanly(serve: &Serve, schedule: &[&str], size: &str) -> (Value, u64) {
    let url = format!("http://{}", serve.address);
    // Many at once wait long for each other on a small machine.
    let patient = ["--timeout", "5m", "--grace", "5m"];
    let fixed = [&["--file-size", size, "--max-bytes", "100GB", "--threads", "2"][..], &patient].concat();
    let load = Load::against(&url, &[schedule, &fixed].concat()).env("INGESTER_TOKEN", &serve.token);
    let (run, peak) = watched(&load);
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.output());
    let report = load.report();
    adds_up(&report);
    assert_eq!(report["failed_requests"], 0, "{}", report["failures"]);
    assert_eq!(report["load"]["unfinished"], 0);
    (report, peak)
}

#[test]
fn many_users_and_many_arrivals_end_cleanly() {
    let _alone = alone();
    let serve = Serve::start();
    let size = choose("10MB", "10KB");
    for (users, requests) in choose(vec![("200", "2000"), ("1000", "2000")], vec![("200", "600")]) {
        let (report, peak) = ends_cleanly(&serve, &["--users", users, "--requests", requests], size);
        assert_eq!(report["successful_requests"].to_string(), requests);
        // 64 MB for the program and its files, which all users share, and 64 KB for each user.
        let most = 64 * 1024 + 64 * users.parse::<u64>().expect("is a number");
        figure(
            &format!("peak memory of {users} users, {size} each"),
            &format!("{} MB", peak / 1024),
            &format!("{} MB", most / 1024),
        );
        assert!((1..=most).contains(&peak), "{users} users: {peak} KB");
    }
    let (rate, seconds) = choose((1000, 60), (200, 2));
    let per_second = rate.to_string();
    let duration = format!("{seconds}s");
    let (report, _) = ends_cleanly(&serve, &["--rate", &per_second, "--duration", &duration], "10KB");
    assert_eq!(report["successful_requests"], rate * seconds);
    figure(
        &format!("uploads in {seconds} s at {rate} a second, and their p99"),
        &format!("{}, {:.2} ms", report["successful_requests"], ms(&report, "p99_latency_ms")),
        &format!("{}", rate * seconds),
    );
}
