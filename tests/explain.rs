//! Promise: where a case got slower, the gate says what its slowdown consists of, or why it cannot say so; and nothing of
//! that changes the verdict.

#![cfg(unix)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use common::bench::{Run, read_json};
use common::gate::{Bench, GATE, SLOWER, STEADY, Worker};
use ingester_perf::auth::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;

/// An operation of 2 ms, of which 1 ms is the hash. Nearly all of its CPU time is the hash as well.
const BASE: &str = concat!(
    r#"account(2_000_000, {"token": 300_000, "hash": 1_000_000}, "#,
    r#"{"stub;serve;hash": 1_000_000, "client;send": 200_000})"#,
);
/// The same, 5 % slower: 4 % in the hash, and 1 % in no phase.
const HEAD: &str = concat!(
    r#"account(2_100_000, {"token": 300_000, "hash": 1_080_000}, "#,
    r#"{"stub;serve;hash": 1_080_000, "client;send": 200_000})"#,
);

/// A worker that answers so where its time goes.
fn worker(bench: &Bench, name: &str, slice: &str, account: &str) -> PathBuf {
    bench.worker_with(name, &Worker { account: Some(account), ..Worker::default() }, slice)
}

/// Compares two such workers, of which head is 5 % slower.
fn compared(bench: &Bench, base: &str, head: &str) -> Run {
    let base = worker(bench, "base", STEADY, base);
    bench.compare(&base, &worker(bench, "head", SLOWER, head), &[])
}

/// What stands in a file of the session.
fn written(bench: &Bench, name: &str) -> String {
    std::fs::read_to_string(bench.path("out").join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn a_slower_case_is_explained_and_a_replay_says_the_same() {
    let bench = Bench::new();
    let run = compared(&bench, BASE, HEAD);
    run.exits(1);
    let says = "Why: jwt/validate +5.0 % [+5.0 %, +5.0 %] is: hash +4.0 % [+4.0 %, +4.0 %], outside the phases +1.0 % \
                [+1.0 %, +1.0 %], rest +0.0 % (10 further pairs; judged: +5.0 % [+5.0 %, +5.0 %]).";
    assert!(run.stdout.lines().any(|line| line == says), "{}", run.stdout);
    let rows: Vec<Vec<&str>> = run.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    let row = "hash 1 ms 1.08 ms +80 µs +4.0 % [+4.0 %, +4.0 %]";
    assert!(rows.contains(&row.split(' ').collect()), "{}", run.stdout);
    assert!(run.stdout.ends_with("\nFAILED, slower: jwt/validate\n"), "{}", run.stdout);
    assert!(run.stderr.contains("Explaining jwt/validate (1 of 1)"), "{}", run.stderr);

    // The same in what is stored, with the picture and what it was made of.
    assert!(written(&bench, "summary.md").contains("* Why: jwt/validate +5.0 %"));
    let verdict = read_json(&bench.path("out/verdict.json"));
    let hash = &verdict["explanations"][0]["phases"][1];
    assert_eq!((hash["name"].as_str(), hash["head_ns"].as_f64()), (Some("hash"), Some(1_080_000.0)));
    assert_eq!(verdict["explanations"][0]["agrees"], true, "{verdict}");
    let pairs = &read_json(&bench.path("out/explanation.json"))["cases"][0]["pairs"];
    assert_eq!(pairs.as_array().map(Vec::len), Some(10), "{pairs}");
    assert!(written(&bench, "jwt_validate.base.folded").contains("stub;serve;hash "));
    assert!(written(&bench, "jwt_validate.diff.svg").contains("hash (1,080,000 ns an operation"));
    let path = bench.path("out").join("jwt_validate.diff.svg");
    let told = format!("Differential flame graph: {}", path.display());
    assert!(run.stderr.contains(&told), "{}", run.stderr);

    let replay = replayed(&bench);
    assert_eq!((replay.code, replay.stdout), (Some(1), run.stdout));
    // What explains another session is not told of this one, which has its verdict nevertheless.
    let record = written(&bench, "explanation.json").replace(r#""session":""#, r#""session":"0"#);
    std::fs::write(bench.path("out/explanation.json"), record).expect("writes");
    let replay = replayed(&bench);
    assert!(replay.exits(1).contains("explains another session"), "{}", replay.stderr);
    assert!(replay.stdout.contains("FAILED") && !replay.stdout.contains("Why:"), "{}", replay.stdout);

    // A head that is not slower is not explained, and what explained the last one is gone.
    bench.compare(&bench.path("head"), &bench.path("base"), &[]).exits(0);
    for name in ["explanation.json", "jwt_validate.diff.svg", "jwt_validate.head.folded"] {
        assert!(!bench.path("out").join(name).exists(), "{name} is left");
    }
}

fn replayed(bench: &Bench) -> Run {
    Command::new(GATE).arg("gate").arg("--replay").arg(bench.path("out")).output().expect("starts").into()
}

#[test]
fn without_phases_functions_are_named_and_what_cannot_be_stored_is_told() {
    let bench = Bench::new();
    // Where the explanation would be written there is a folder.
    let blocks = "os.makedirs(os.path.dirname(__file__) + '/out/explanation.json', exist_ok=True)";
    let base = r#"account(2_000_000, {}, {"client;verify": 1_900_000})"#;
    let head = format!(r#"{blocks}; account(2_100_000, {{}}, {{"client;verify": 2_000_000}})"#);
    let run = compared(&bench, base, &head);
    run.exits(1);
    let says = "jwt/validate +5.0 % [+5.0 %, +5.0 %] is: client: verify +5.0 % [+5.0 %, +5.0 %], rest +0.0 %";
    assert!(run.stdout.contains(says), "{}", run.stdout);
    assert!(run.stderr.contains("What explains the verdict is printed, and not stored"), "{}", run.stderr);
    assert_eq!(read_json(&bench.path("out/verdict.json"))["conclusion"], "regression");
}

#[test]
fn who_cannot_tell_is_said_in_a_line_and_nobody_is_asked() {
    let bench = Bench::new();
    // A build from before there were explanations.
    let older = bench.worker("older", STEADY);
    let run = bench.compare(&older, &worker(&bench, "head", SLOWER, HEAD), &[]);
    run.exits(1);
    let says = "Not explained: base cannot tell where its time goes (docs/gate.md, \"Why\").";
    assert!(run.stdout.lines().any(|line| line == says), "{}", run.stdout);
    assert!(!run.stderr.contains("Explaining"), "{}", run.stderr);
    let replay = replayed(&bench);
    assert_eq!((replay.code, replay.stdout), (Some(1), run.stdout));

    let base = worker(&bench, "base", STEADY, BASE);
    let run = bench.compare(&base, &bench.path("head"), &["--no-explain"]);
    run.exits(1);
    assert!(!run.stdout.contains("Why:") && !run.stdout.contains("explained"), "{}", run.stdout);
    assert!(!run.stderr.contains("Explaining") && !bench.path("out/explanation.json").exists());
}

#[test]
fn a_worker_that_dies_while_it_explains_changes_no_verdict() {
    let bench = Bench::new();
    let run = compared(&bench, BASE, "sys.exit(1)");
    run.exits(1);
    assert!(run.stdout.contains("Not explained: jwt/validate: head ("), "{}", run.stdout);
    assert!(run.stdout.contains("its worker ended unexpectedly"), "{}", run.stdout);
    assert!(run.stdout.ends_with("FAILED, slower: jwt/validate\n"), "{}", run.stdout);
    assert_eq!(read_json(&bench.path("out/verdict.json"))["conclusion"], "regression");
    assert!(bench.path("out/slices.json").exists() && !bench.path("out/arms").exists());

    // One that answers, and has done nothing, says nothing about an operation either.
    let idle = r#"say({"explained": {"operations": 0, "latency_ns": 0}})"#;
    let run = compared(&bench, BASE, idle);
    run.exits(1);
    assert!(run.stdout.contains("the worker of head tells of no operations"), "{}", run.stdout);
}

#[test]
fn an_effect_that_is_not_seen_again_is_not_explained_wrongly() {
    let bench = Bench::new();
    let run = compared(&bench, BASE, BASE);
    run.exits(1);
    let says = "Why: jwt/validate is not explained: +5.0 % [+5.0 %, +5.0 %] was judged, and +0.0 % [+0.0 %, +0.0 %] was \
                seen in the 10 pairs";
    assert!(run.stdout.contains(says), "{}", run.stdout);
    assert!(!run.stdout.contains(" is: "), "{}", run.stdout);
    assert_eq!(read_json(&bench.path("out/verdict.json"))["explanations"][0]["agrees"], false);
}

/// This build as a worker.
struct RealWorker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl RealWorker {
    /// Starts it in this folder. Returns its greeting, too.
    fn start(folder: &Path) -> (Self, Value) {
        let mut command = Command::new(GATE);
        // What a developer has set for a service of their own must not decide a test.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("INGESTER_")) {
            command.env_remove(name);
        }
        let mut child = command
            .arg("worker")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let input = child.stdin.take().expect("is piped");
        let output = BufReader::new(child.stdout.take().expect("is piped"));
        let mut worker = Self { child, input, output };
        let hello = worker.read();
        (worker, hello)
    }

    fn ask(&mut self, request: &Value) -> Value {
        writeln!(self.input, "{request}").expect("reads on");
        self.read()
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("is text");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line:?}: {e}"))
    }
}

#[test]
fn this_build_tells_where_the_time_of_its_uploads_goes() {
    let folder = TempDir::new().expect("makes one");
    let (mut worker, hello) = RealWorker::start(folder.path());
    assert_eq!(hello["explains"], true, "{hello}");
    let key = KeyPair::generate_pem().expect("makes one");
    let begin = json!({"begin": {"key": key, "client": null, "stub": null, "explain": true}});
    assert_eq!(worker.ask(&begin)["ready"]["subject"], "stub (phases timed)");
    assert_eq!(worker.ask(&json!({"prepare": {"case": "upload/10KB"}})), "prepared");
    // A warm-up that does not count.
    worker.ask(&json!({"slice": {"iters": 5, "spin": 0.0}}));
    assert_eq!(worker.ask(&json!({"explain": {}}))["explained"]["operations"], 5);

    worker.ask(&json!({"slice": {"iters": 150, "spin": 0.0}}));
    worker.ask(&json!({"slice": {"iters": 150, "spin": 0.0}}));
    let file = folder.path().join("stacks");
    let answer = worker.ask(&json!({"explain": {"stacks": file}}));
    let explained = &answer["explained"];
    assert_eq!(explained["operations"], 300, "{answer}");
    let mut sum = 0;
    let mut names = Vec::new();
    for phase in explained["phases"].as_array().expect("is a list") {
        sum += phase["ns"].as_u64().expect("is a number");
        names.push(phase["phase"].as_str().expect("is a text"));
    }
    assert!(names.contains(&"token") && names.contains(&"hash"), "{answer}");
    // The client waits for all of them, and for the network.
    let latency = explained["latency_ns"].as_u64().expect("is a number");
    assert!(sum > 0 && sum < latency, "{answer}");
    sampled(explained, &file);

    assert_eq!(worker.ask(&json!({"explain": {}}))["explained"]["operations"], 0, "told once");
    writeln!(worker.input, r#""quit""#).expect("reads on");
    assert!(worker.child.wait().expect("ends").success());
}

/// Asserts that client and stub are in the stacks.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn sampled(explained: &Value, file: &Path) {
    assert!(explained.get("without_stacks").is_none(), "{explained}");
    let folded = std::fs::read_to_string(file).expect("was written");
    for role in ["client;", "stub;"] {
        assert!(folded.lines().any(|line| line.starts_with(role)), "{role} {folded}");
    }
}

/// Asserts that it says why there are no stacks.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn sampled(explained: &Value, file: &Path) {
    let why = explained["without_stacks"].as_str().expect("says so");
    assert!(why.contains("on Linux on x86-64 and ARM64 only") && !file.exists(), "{why}");
}
