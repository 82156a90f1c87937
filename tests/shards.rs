//! Promise: a schedule that several processes perform is performed once: what they measured adds up to the last request, and
//! a part that is missing, doubled, foreign or broken is named.

#![cfg(target_os = "linux")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::bench::{Run, read_json};
use common::load::{Load, adds_up, alone, choose, figure, ms, signal, strict, tried};
use common::server::{Manner, Server};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use ingester_perf::load::{
    Arrivals, Function, Model, Plan, Profile, Second, Shard, Watch, WatchedService, run_at,
};
use serde_json::Value;
use tempfile::TempDir;

/// Requests a second of the run that most tests look at.
const RATE: u64 = 200;
/// How many shards it has.
const SHARDS: u64 = 4;

/// A run of four shards, in which the generators kept up.
struct WholeRun {
    load: Load,
    run: Run,
    seconds: u64,
}

impl WholeRun {
    fn measured() -> Self {
        let server = Server::start(Manner::Python);
        let seconds = choose(30, 1);
        let duration = format!("{seconds}s");
        let rate = RATE.to_string();
        let schedule = ["--rate", &rate, "--duration", &duration, "--file-size", "1KB"];
        let args = [&schedule[..], &["--shards", "4", "--start-at", "+2s"]].concat();
        tried(|| {
            let load = Load::against(&server.url(), &args);
            let run = load.run();
            if run.code == Some(3) {
                eprintln!("{}", run.output());
                return None;
            }
            Some(Self { load, run, seconds })
        })
    }

    /// Its run files, in the order of their shards.
    fn files(&self) -> Vec<PathBuf> {
        files_in(&self.load.file("load.shards"))
    }
}

/// The files in a folder, in the order of their names.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in folder.read_dir().expect("is there") {
        files.push(entry.expect("reads").path());
    }
    files.sort();
    files
}

/// A folder with these files.
fn folder_of(files: &[PathBuf]) -> TempDir {
    let dir = TempDir::new().expect("makes one");
    for file in files {
        std::fs::copy(file, dir.path().join(file.file_name().expect("has a name"))).expect("copies");
    }
    dir
}

/// The histogram of successes in a record.
fn histogram(record: &Value) -> Histogram<u64> {
    let text = record["runs"][0]["run"]["load"]["responses"]["ok"]["histogram"].as_str().expect("has one");
    let packed = STANDARD.decode(text).expect("is base64");
    Deserializer::new().deserialize(&mut packed.as_slice()).expect("is a histogram")
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// Merges these paths, with reports in a folder of the test's own.
fn merge(paths: &[&Path], args: &[&str]) -> (Run, TempDir) {
    let dir = TempDir::new().expect("makes one");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingester-perf"));
    command.args(["load", "merge"]).args(paths).args(args).arg("--report-dir").arg(dir.path());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("INGESTER_")) {
        command.env_remove(name);
    }
    let run = command.current_dir(dir.path()).output().expect("starts").into();
    (run, dir)
}

/// Changes a run file.
fn change(file: &Path, change: impl FnOnce(&mut Value)) {
    let mut record = read_json(file);
    change(&mut record);
    std::fs::write(file, record.to_string()).expect("writes");
}

#[test]
fn four_shards_are_one_run_and_one_that_is_wrong_is_named() {
    let _alone = alone();
    // Measured once for all of this, as each process takes its time to start.
    let whole = WholeRun::measured();
    adds_up_to_the_last_request(&whole);
    can_be_merged_again(&whole);
    wrong_shards_are_named(&whole);
    other_files_are_refused(&whole);
}

fn adds_up_to_the_last_request(whole: &WholeRun) {
    assert_eq!(whole.run.code, Some(0), "{}", whole.run.output());
    let report = whole.load.report();
    adds_up(&report);
    let asked = RATE * whole.seconds;
    assert_eq!(report["load"]["scheduled"], asked);
    let shards = report["load"]["shards"]["each"].as_array().expect("is an array");
    let scheduled: Vec<u64> =
        shards.iter().map(|shard| shard["scheduled"].as_u64().expect("is a count")).collect();
    // Even arrivals are dealt out in turn.
    assert_eq!(scheduled, vec![asked / SHARDS; 4]);
    if strict() {
        let rate = asked as f64 / ms(&report, "load.elapsed_s");
        figure("rate of four shards together", &format!("{rate:.2} of {RATE} a second"), "within 1 %");
        assert!((rate / RATE as f64 - 1.0).abs() < 0.01, "{rate}");
        let apart = ms(&report, "load.shards.starts_within_ms");
        figure("starts of four shards on one machine", &format!("within {apart:.3} ms"), "none");
    }

    let mut sum = Histogram::<u64>::new_with_bounds(1, 3_600_000_000_000, 3).expect("has bounds");
    let mut ok = 0;
    for file in whole.files() {
        let part = histogram(&read_json(&file));
        ok += part.len();
        sum.add(part).expect("has the same bounds");
    }
    // All of it is repeated by what was typed, without what the program told its own processes.
    let page = read(&whole.load.file("load.html"));
    assert!(page.contains(" --shards 4 ") && !page.contains("--parent"), "{page}");
    assert!(read(&whole.load.file("index.html")).contains("load.html"));

    let merged = read_json(&whole.load.file("load.run.json"));
    assert_eq!(histogram(&merged), sum);
    assert_eq!((ok, &report["successful_requests"]), (asked, &Value::from(asked)));
}

fn can_be_merged_again(whole: &WholeRun) {
    let files = whole.files();
    let folder = folder_of(&files);
    let (run, dir) = merge(&[folder.path()], &["--export", "junit=held.xml", "--export", "html=page.html"]);
    assert_eq!((run.code, &run.stdout), (Some(0), &whole.run.stdout), "{}", run.stderr);
    // What a load writes: its page, the index, and what was asked for.
    let page = read(&dir.path().join("load.html"));
    for part in ["Load: load", "4 of 4 shards", "load.run.json", "ingester-perf load merge "] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert_eq!(read(&dir.path().join("page.html")), page);
    assert!(read(&dir.path().join("index.html")).contains("load.html"));
    let held = read(&dir.path().join("held.xml"));
    assert!(held.contains("<testsuite name=\"load\"") && held.contains("something succeeded"), "{held}");
    let report = read_json(&dir.path().join("load.json"));
    assert_eq!(report["load"]["seconds"], whole.load.report()["load"]["seconds"]);
    // The record of the whole can be reported again, and that of each part.
    let record = dir.path().join("load.run.json");
    let again = Load::new(&["--replay", record.to_str().expect("is UTF-8")]).run();
    assert_eq!((again.code, again.stdout), (Some(0), run.stdout), "{}", again.stderr);
    let part = Load::new(&["--replay", files[2].to_str().expect("is UTF-8")]).run();
    assert!(part.code == Some(0) && part.stdout.contains("scheduled = "), "{}", part.output());
    // A microsecond: no upload holds that.
    let (missed, _dir) = merge(&[folder.path()], &["--target", "p95_ms=0.001"]);
    assert_eq!(missed.code, Some(1), "{}", missed.output());
}

/// Merges a copy of the run files after a change; the run must not be trusted, and say this.
#[track_caller]
fn is_named(whole: &WholeRun, prepare: impl FnOnce(&[PathBuf]), says: &[&str]) {
    let folder = folder_of(&whole.files());
    let files = files_in(folder.path());
    prepare(&files);
    let (run, dir) = merge(&[folder.path()], &[]);
    assert_eq!(run.code, Some(3), "{}", run.output());
    for text in says {
        assert!(run.stdout.contains(text), "{text}: {}", run.output());
    }
    // What is there adds up all the same.
    adds_up(&read_json(&dir.path().join("load.json")));
}

fn wrong_shards_are_named(whole: &WholeRun) {
    is_named(
        whole,
        |files| std::fs::remove_file(&files[2]).expect("removes"),
        &["NOT TO BE TRUSTED: shard 2/4 is missing", "3 of 4 shards"],
    );
    is_named(
        whole,
        |files| {
            let copy = files[1].with_file_name("copy.shard-1-of-4.run.json");
            std::fs::copy(&files[1], copy).expect("copies");
        },
        &["NOT TO BE TRUSTED: shard 1/4 is there twice", "4 of 4 shards"],
    );
    is_named(
        whole,
        |files| change(&files[0], |record| record["shard"]["plan_hash"] = Value::from("another")),
        &["(shard 0/4) is of another run than", "shard 0/4 is missing"],
    );
    is_named(
        whole,
        |files| {
            change(&files[3], |record| {
                let began =
                    record["shard"]["clock"]["started"]["secs_since_epoch"].as_u64().expect("is a time");
                record["shard"]["clock"]["started"]["secs_since_epoch"] = Value::from(began - 3_600);
            });
        },
        &["(shard 3/4) began 3600", "shard 3/4 is missing"],
    );
    is_named(
        whole,
        |files| {
            change(&files[3], |record| {
                record["runs"][0]["run"]["partial"] = Value::from(true);
                record["stopped"] = Value::from("interrupted");
            });
        },
        &["NOT TO BE TRUSTED: shard 3/4 ended before its plan did: interrupted"],
    );
    is_named(
        whole,
        |files| {
            change(&files[1], |record| {
                record["runs"][0]["run"]["generator"]["longest_pause"]["secs"] = Value::from(2);
            });
        },
        &["NOT TO BE TRUSTED: shard 1/4: the generator did not run for 2."],
    );
}

fn other_files_are_refused(whole: &WholeRun) {
    let record = whole.load.file("load.run.json");
    let (run, _dir) = merge(&[&record], &[]);
    assert!(run.exits(2).contains("load.run.json: is not the record of a shard"), "{}", run.stderr);
    let broken = folder_of(&whole.files());
    std::fs::write(broken.path().join("load.shard-9-of-4.x.run.json"), "{\"shard\": {\"shard\": \"9/4\"")
        .expect("writes");
    let (run, _dir) = merge(&[broken.path()], &[]);
    assert!(run.exits(2).contains("load.shard-9-of-4.x.run.json"), "{}", run.stderr);
    let empty = TempDir::new().expect("makes one");
    let (run, _dir) = merge(&[empty.path()], &[]);
    assert!(run.exits(2).contains("there is no run file of a shard in"), "{}", run.stderr);
}

#[test]
fn the_stub_is_started_once_for_all_shards() {
    let _alone = alone();
    let args =
        ["--users", "4", "--requests", "40", "--file-size", "1KB", "--shards", "2", "--start-at", "+2s"];
    let load = Load::new(&args);
    let run = load.run();
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.output());
    let report = load.report();
    adds_up(&report);
    assert_eq!(report["load"]["scheduled"], 40, "{}", run.output());
    assert_eq!(
        (&report["failed_requests"], &report["environment"]["ingester"]),
        (&Value::from(0), &Value::from("stub"))
    );
}

#[test]
fn wrong_arguments_are_said_before_anything_starts() {
    for (args, says) in [
        (
            &["--rate", "5", "--duration", "1s", "--shard", "0/4"][..],
            "each shard would start a service of its own",
        ),
        (&["--rate", "5", "--duration", "1s", "--shard", "4/4"], "the last one is 3/4"),
        (&["--rate", "5", "--duration", "1s", "--shard", "0/4", "--shards", "5"], "leave --shards out"),
        (&["--rate", "5", "--duration", "1s", "--shard", "env"], "none of OMPI_COMM_WORLD_RANK"),
        (&["--rate", "5", "--duration", "1s", "--start-at", "+1s"], "is for shards"),
        (&["--rate", "5", "--duration", "1s", "--out", "x"], "is for shards"),
        (&["--rate", "5", "--duration", "1s", "--shards", "2", "--repeat", "3"], "cannot be used with"),
        (&["--users", "3", "--duration", "1s", "--shards", "4"], "4 shards cannot share 3 users"),
        (&["--preset", "stress", "--shards", "4"], "stress cannot be cut into shards"),
        (
            &["--rate", "5", "--duration", "1s", "--shards", "2", "--metrics-addr", "127.0.0.1:0"],
            "--metrics-addr: is for a single generator",
        ),
        (&["--rate", "5", "--duration", "1s", "--shard", "0/2", "--profile"], "cannot be used with"),
        (
            &["--rate", "5", "--duration", "1s", "--shards", "2", "--abort-on", "p95_ms=5"],
            "--abort-on: is for a single generator",
        ),
        (
            &["--rate", "5", "--duration", "1s", "--shards", "2", "--compare-url", "http://h"],
            "--compare-url: is of a search",
        ),
    ] {
        let load = Load::new(args);
        let mut command = load.command();
        for name in
            ["SLURM_PROCID", "JOB_COMPLETION_INDEX", "OMPI_COMM_WORLD_RANK", "AWS_BATCH_JOB_ARRAY_INDEX"]
        {
            command.env_remove(name);
        }
        let run = Run::from(command.output().expect("starts"));
        assert_eq!(run.code, Some(2), "{args:?}: {}", run.output());
        assert!(run.stderr.contains(says), "{args:?}: {}", run.stderr);
    }
}

/// Watches a run, and never ends it.
struct Patient;

impl Watch for Patient {
    fn seconds(&mut self, _: &[Second]) -> bool {
        true
    }
}

#[test]
fn a_run_begins_when_the_clock_shows_the_agreed_time() {
    let _alone = alone();
    let rate = Profile::constant(100.0, Duration::from_millis(100));
    let plan = Plan {
        shard: "1/2".parse::<Shard>().expect("is one"),
        ..Plan::new(Model::Open { rate, arrivals: Arrivals::Constant })
    };
    for (ahead, most) in
        [(Duration::from_millis(400), Duration::from_secs(2)), (Duration::ZERO, Duration::from_secs(5))]
    {
        let agreed = SystemTime::now() + ahead;
        let operation = Function(async |_: u64| Ok::<(), &str>(()));
        let run =
            run_at(&plan, vec![(operation, None)], &WatchedService::Unknown, Some(agreed), &mut Patient)
                .expect("runs");
        let late = run.started_at.duration_since(agreed).unwrap_or_default();
        let early = agreed.duration_since(run.started_at).unwrap_or_default();
        // Two clocks are read one after the other, and the thread may be held up between.
        assert!(early < Duration::from_millis(20) && late < most, "{early:?} early, {late:?} late");
        // One of two shards has every second of ten requests.
        assert_eq!((run.load.scheduled, run.load.responses.ok.count()), (5, 5));
    }
}

/// The processes that this one has started, with their command lines.
fn children(parent: u32) -> Vec<(u32, String)> {
    let mut children = Vec::new();
    for entry in Path::new("/proc").read_dir().expect("is there").flatten() {
        let Ok(id) = entry.file_name().to_string_lossy().parse() else { continue };
        // Of one that has ended meanwhile there is nothing to read.
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // Behind the name, which may have spaces of its own: the state, and the parent's id (proc(5)).
        let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        if rest.split(' ').nth(1) == Some(parent.to_string().as_str()) {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            children.push((id, String::from_utf8_lossy(&line).replace('\0', " ")));
        }
    }
    children
}

/// Waits until so many shards of this process run; they are returned.
fn shards_of(parent: u32, number: usize) -> Vec<(u32, String)> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let mut found = children(parent);
        found.retain(|(_, line)| line.contains("--parent"));
        if found.len() == number || Instant::now() > deadline {
            assert_eq!(found.len(), number, "shards have started");
            return found;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn kill(process: u32) {
    let killed = Command::new("kill").args(["-KILL", &process.to_string()]).status();
    assert!(killed.expect("kill exists").success());
}

#[test]
fn a_shard_that_dies_ends_the_run_and_is_named() {
    let _alone = alone();
    let server = Server::start(Manner::Python);
    // Its requests would take a minute.
    let args =
        ["--rate", "60", "--duration", "60s", "--file-size", "1KB", "--shards", "3", "--start-at", "+2s"];
    let load = Load::against(&server.url(), &args);
    let child = load.start();
    let shards = shards_of(child.id(), 3);
    // Each looks at the service with two uploads first: the run has begun.
    while server.uploads() < 3 * 2 + 30 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let begun = Instant::now();
    let (second, _) = shards.iter().find(|(_, line)| line.contains("--shard 1/3")).expect("runs");
    kill(*second);
    let run = Run::from(child.wait_with_output().expect("ends"));
    assert!(begun.elapsed() < Duration::from_secs(30), "the others were not ended");
    assert_eq!(run.code, Some(3), "{}", run.output());
    assert!(run.stderr.contains("Shard 1/3 failed"), "{}", run.stderr);
    for says in ["shard 1/3 is missing", "shard 0/3 ended before its plan did: interrupted", "2 of 3 shards"]
    {
        assert!(run.stdout.contains(says), "{says}: {}", run.output());
    }
    adds_up(&load.report());
}

#[test]
fn a_signal_ends_all_shards_with_what_they_have_measured() {
    let _alone = alone();
    let server = Server::start(Manner::Python);
    let args =
        ["--rate", "40", "--duration", "60s", "--file-size", "1KB", "--shards", "2", "--start-at", "+2s"];
    let load = Load::against(&server.url(), &args);
    let child = load.start();
    // Each looks at the service with two uploads first.
    while server.uploads() < 2 * 2 + 20 {
        std::thread::sleep(Duration::from_millis(10));
    }
    signal(&child, "INT");
    let run = Run::from(child.wait_with_output().expect("ends"));
    assert_eq!(run.code, Some(130), "{}", run.output());
    for says in ["shard 0/2 ended before its plan did: interrupted", "shard 1/2 ended before its plan did"] {
        assert!(run.stdout.contains(says), "{says}: {}", run.output());
    }
    let report = load.report();
    adds_up(&report);
    assert_eq!(
        (&report["partial"], &report["load"]["shards"]["counted"]),
        (&Value::from(true), &Value::from(2))
    );
}

#[test]
fn shards_end_with_the_process_that_started_them() {
    let _alone = alone();
    let server = Server::start(Manner::Python);
    let args =
        ["--rate", "10", "--duration", "60s", "--file-size", "1KB", "--shards", "2", "--start-at", "+60s"];
    let load = Load::against(&server.url(), &args);
    let mut child = load.start();
    let shards = shards_of(child.id(), 2);
    kill(child.id());
    child.wait().expect("ends");
    let deadline = Instant::now() + Duration::from_secs(20);
    for (id, line) in shards {
        // One that has ended may wait as a zombie for whoever took it in.
        let stat = format!("/proc/{id}/stat");
        while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(Instant::now() < deadline, "left behind: {line}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
