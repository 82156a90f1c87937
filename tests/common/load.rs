//! Running `ingester-perf load`, and how strictly its figures are held against the truth.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::bench::{Run, read_json};

/// How often a run is tried until its own health check calls it valid.
// Beside other tests a generator may be late now and then.
const TRIES: usize = 3;

/// Held by every test that times something, as tests of one binary would run beside each other.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // A test that failed has poisoned the lock; the others are to run all the same.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the limits of `docs/proof.md` are to hold, on longer runs: as `ci/proof.sh` asks.
pub fn strict() -> bool {
    std::env::var_os("INGESTER_PERF_PROOF").is_some()
}

/// A limit of the proof; ten times as wide where other things run beside and the build is not optimised.
pub fn wide(limit: f64) -> f64 {
    if strict() { limit } else { 10.0 * limit }
}

/// The first in a proof, the second in a test.
pub fn choose<T>(proof: T, test: T) -> T {
    if strict() { proof } else { test }
}

/// A line for `docs/proof.md`.
pub fn figure(what: &str, measured: &str, limit: &str) {
    if strict() {
        println!("| {what} | {measured} | {limit} |");
    }
}

/// The command, with a folder of its own for what it writes.
pub struct Load {
    pub dir: TempDir,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl Load {
    /// Against the stub.
    pub fn new(args: &[&str]) -> Self {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Self { dir: TempDir::new().expect("makes a folder"), args, env: Vec::new() }
    }

    /// Against a server, with a token that nobody checks.
    pub fn against(url: &str, args: &[&str]) -> Self {
        Self::new(&[&["--url", url][..], args].concat())
            .env("INGESTER_TOKEN", "a.bearer.token")
            // Most tests are about what fails.
            .env("INGESTER_EVEN_IF_FAILING", "1")
    }

    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ingester-perf"));
        command.arg("load").args(&self.args).arg("--report-dir").arg(self.dir.path());
        // What a developer has set for a service of their own must not decide a test.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("INGESTER_")) {
            command.env_remove(name);
        }
        // In a folder without `baseline/targets.toml`: none of the project's limits, unless a test asks for some.
        command.current_dir(self.dir.path()).envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    pub fn run(&self) -> Run {
        self.command().output().expect("starts").into()
    }

    /// Starts it in the background.
    pub fn start(&self) -> Child {
        self.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts")
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn report(&self) -> Value {
        read_json(&self.file("load.json"))
    }

    /// Runs it. Returns the report, unless its own health check says that the generator did not keep up.
    pub fn once(&self) -> Option<Value> {
        self.ended(self.run())
    }

    /// The report of a run that has ended, unless it is invalid.
    pub fn ended(&self, run: Run) -> Option<Value> {
        if run.code == Some(3) {
            eprintln!("{}", run.output());
            return None;
        }
        // 1 where failures are what was asked for: a run has a limit of success unless it is told another.
        assert!(matches!(run.code, Some(0 | 1)), "{}", run.output());
        let report = self.report();
        adds_up(&report);
        Some(report)
    }

    /// Runs it, again where it is invalid: its targets are not judged then.
    pub fn judged(&self) -> Run {
        tried(|| Some(self.run()).filter(|run| run.code != Some(3)))
    }

    /// Runs it, again where it is invalid; the report.
    pub fn valid(&self) -> Value {
        tried(|| self.once())
    }
}

/// The result of the first run that its own health check calls valid; `once` returns `None` for one that is not.
pub fn tried<T>(once: impl FnMut() -> Option<T>) -> T {
    let runs = std::iter::repeat_with(once).take(TRIES);
    runs.flatten().next().expect("the generator keeps up in one of three runs")
}

/// Every request that was due is accounted for, in every report.
pub fn adds_up(report: &Value) {
    let load = &report["load"];
    let failures = report["failures"].as_object().expect("is an object");
    let by_class: u64 = failures.values().map(|failed| count(report, &failed["count"])).sum();
    let ok = count(report, &report["successful_requests"]);
    let failed = count(report, &report["failed_requests"]);
    // Every failure has one class.
    assert_eq!(failed, by_class);
    assert_eq!(count(report, &report["total_requests"]), ok + failed);
    // What was due has ended well, has failed, or was given up after the grace.
    assert_eq!(count(report, &load["scheduled"]), ok + failed + count(report, &load["unfinished"]));
    // The seconds are counted apart from the totals, and have to come to the same.
    assert_eq!((of_seconds(report, "ok"), of_seconds(report, "failed")), (ok, failed));
    assert_eq!(of_seconds(report, "begun"), count(report, &load["scheduled"]));
}

/// A count; the report is for the message where it is not one.
fn count(report: &Value, value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is not a count: {report}"))
}

/// The sum of this count over the seconds of a report.
fn of_seconds(report: &Value, key: &str) -> u64 {
    let seconds = report["load"]["seconds"].as_array().expect("is an array");
    seconds.iter().map(|second| count(report, &second[key])).sum()
}

/// A figure of a report, like `load.send_delay.p99_ms`.
pub fn ms(report: &Value, path: &str) -> f64 {
    let value = path.split('.').fold(report, |value, key| &value[key]);
    value.as_f64().unwrap_or_else(|| panic!("{path} is {value}: {report}"))
}

/// Waits until then, to some microseconds.
pub fn wait_until(at: Instant) {
    // A machine needs some 0.06 ms to wake up (docs/proof.md), a busy one more: the last 0.3 ms are waited for awake.
    loop {
        let left = at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        if left > Duration::from_micros(300) {
            std::thread::sleep(left - Duration::from_micros(300));
        } else {
            std::hint::spin_loop();
        }
    }
}

/// Sends a signal, like `STOP`.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(sent.expect("kill exists").success());
}
