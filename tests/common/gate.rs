//! Running `ingester-perf gate`, on workers that do as a test tells them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use super::bench::Run;

pub const GATE: &str = env!("CARGO_BIN_EXE_ingester-perf");

/// How a worker answers a request for a slice, as a line of Python: `n` counts slices, `start` counts processes of this
/// worker, and `slice(ns)` takes that time and says so.
pub const STEADY: &str = "slice(2_000_000)";
/// As `STEADY`, and 5 % slower: the threshold is 2 %.
pub const SLOWER: &str = "slice(2_100_000)";

/// A worker in Python. Its times are as told to the nanosecond, so that a verdict is the same on a busy machine; it sleeps
/// for as long, so that the gate's clock agrees.
const WORKER: &str = r#"#!PYTHON -IS
import hashlib, json, os, signal, sys, time

def say(message):
    print(json.dumps(message), flush=True)

def slice(ns, clock=1.0, hidden_ns=0, spins=True):
    # A few nanoseconds more or less: a clock that says the same each time stands still.
    value = int(ns * clock) + n % 7
    spun = int(ns * request["slice"]["spin"]) if spins else 0
    time.sleep((ns + hidden_ns + spun) / 1e9)
    say({"slice": {"value": value, "spun": spun}})

def account(latency_ns, phases, stacks={}):
    # Of one operation each; a slice of this worker is one operation.
    global told
    operations, told = n - told, n
    path = request["explain"].get("stacks")
    if path:
        with open(path, "w") as file:
            file.writelines(f"{stack} {operations * ns}\n" for stack, ns in stacks.items())
    phases = [{"phase": name, "ns": operations * ns} for name, ns in phases.items()]
    say({"explained": {"operations": operations, "latency_ns": operations * latency_ns, "phases": phases}})

counter = __file__ + ".starts"
start = int(open(counter).read()) + 1 if os.path.exists(counter) else 1
open(counter, "w").write(str(start))
n = told = 0
latencies = []
with open(__file__, "rb") as file:
    sha256 = hashlib.sha256(file.read()).hexdigest()
say({"protocol": PROTOCOL, "build": {"profile": "NAME", "sha256": sha256}, "measure": "MEASURE", "cases": [CASES],
     "explains": TELLS})
for line in sys.stdin:
    request = json.loads(line)
    if request == "quit":
        break
    elif request == "latencies":
        say({"latencies": latencies})
    elif "begin" in request:
        say({"ready": {"subject": "itself"}})
    elif "prepare" in request:
        case = request["prepare"]["case"]
        say("prepared")
    elif "explain" in request:
        ACCOUNT
    else:
        n += 1
        SLICE
"#;

/// The interpreter itself, which `python3` may be a script in front of: a session starts forty workers, and each of them
/// would pay for that script.
fn python() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| {
        let path = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
        let path = path.expect("the tests need Python 3").stdout;
        String::from_utf8(path).expect("is UTF-8").trim().to_owned()
    })
}

/// A folder for workers and for what the gate writes.
pub struct Bench(pub TempDir);

/// What a worker is beside its slices.
pub struct Worker<'a> {
    pub protocol: u32,
    pub measure: &'a str,
    pub cases: &'a [&'a str],
    /// How it answers where its time goes, as a line of Python: `account(ns, phases, stacks)` says so for one operation.
    /// Nothing if it says that it cannot.
    pub account: Option<&'a str>,
}

impl Default for Worker<'_> {
    fn default() -> Self {
        Self { protocol: 2, measure: "wall_time", cases: &["jwt/validate"], account: None }
    }
}

impl Bench {
    pub fn new() -> Self {
        Self(TempDir::new().expect("makes a folder"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A worker that has one case, and takes as long as it likes.
    pub fn worker(&self, name: &str, slice: &str) -> PathBuf {
        self.worker_with(name, &Worker::default(), slice)
    }

    pub fn worker_with(&self, name: &str, worker: &Worker<'_>, slice: &str) -> PathBuf {
        let cases: Vec<String> = worker.cases.iter().map(|case| format!("{case:?}")).collect();
        // The slice is put in last: whatever a test writes there stays as it is.
        let text = WORKER
            .replace("PYTHON", python())
            .replace("PROTOCOL", &worker.protocol.to_string())
            .replace("NAME", name)
            .replace("MEASURE", worker.measure)
            .replace("CASES", &cases.join(", "))
            .replace("TELLS", if worker.account.is_some() { "True" } else { "False" })
            .replace("ACCOUNT", worker.account.unwrap_or("sys.exit('was asked what it cannot tell')"))
            .replace("SLICE", slice);
        self.script(name, &text)
    }

    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("writes");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("may");
        path
    }

    pub fn gate(&self, args: &[&str]) -> Command {
        let mut command = Command::new(GATE);
        // What a developer has set for a service of their own must not decide a test.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("INGESTER_")) {
            command.env_remove(name);
        }
        command.arg("gate");
        // Ten pairs: all signs of twenty take a debug build a second.
        for (flag, value) in
            [("--budget", "500ms"), ("--pairs", "10"), ("--max-pairs", "10"), ("--seed", "1")]
        {
            // The program refuses a flag that is there twice.
            if !args.contains(&flag) {
                command.args([flag, value]);
            }
        }
        command
            .arg("--out")
            .arg(self.path("out"))
            .args(args)
            // A worker that hangs is given up after this and five seconds.
            .env("INGESTER_TIMEOUT", "500ms")
            // All that it starts inherits this: by it a test finds what is left running.
            .env("GATE_BENCH", self.0.path())
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Run {
        self.gate(args).output().expect("starts").into()
    }

    /// Arguments that compare two workers.
    pub fn arms<'a>(base: &'a Path, head: &'a Path) -> [&'a str; 4] {
        let base = base.to_str().expect("is UTF-8");
        let head = head.to_str().expect("is UTF-8");
        ["--base-exe", base, "--head-exe", head]
    }

    pub fn compare(&self, base: &Path, head: &Path, args: &[&str]) -> Run {
        self.run(&[&Self::arms(base, head), args].concat())
    }

    /// Runs a head that does this instead of a slice. Returns the line that says why it could not be measured.
    pub fn fails(&self, name: &str, slice: &str) -> String {
        let run = self.compare(&self.worker("base", STEADY), &self.worker(name, slice), &[]);
        let why = run.exits(2).to_owned();
        assert!(!self.path("out/verdict.json").exists(), "no old verdict stands for this one");
        why
    }
}

/// The text of baseline/accepted.toml that accepts what `SLOWER` takes longer than `STEADY`.
pub const ACCEPTED: &str =
    "[[accepted]]\ncase = \"jwt/validate\"\nup_to = \"+6 %\"\nuntil = \"2999-12-31\"\nwhy = \"a check\"\n";

/// A program in cargo's place: it prints what cargo prints of a build, and its executables are files of the commit: the
/// worker, and where it is asked for the source of the program that counts, which is a script too. A worker that says so does
/// not build.
pub const FAKE_CARGO: &str = r#"#!/usr/bin/env python3
import json, os, shutil, sys
if sys.argv[1] == "build":
    given = lambda flag: sys.argv[sys.argv.index(flag) + 1]
    source = os.path.dirname(given("--manifest-path"))
    os.makedirs(given("--target-dir"), exist_ok=True)
    for name, file in [("ingester-perf", "worker"), ("ingester-perf-counting", "src/bin/ingester-perf-counting.rs")]:
        if name in sys.argv:
            built = given("--target-dir") + "/" + name
            if "does not build" in open(source + "/" + file).read():
                sys.exit("error: no luck")
            shutil.copy(source + "/" + file, built)
            os.chmod(built, 0o755)
            print(json.dumps({"target": {"kind": ["bin"], "name": name}, "executable": built}))
"#;

/// A repository of this package's name, whose commits hold workers.
pub struct Repository<'a> {
    bench: &'a Bench,
    /// Its folder.
    pub path: PathBuf,
}

impl<'a> Repository<'a> {
    pub fn new(bench: &'a Bench) -> Self {
        let repository = Self { bench, path: bench.path("repository") };
        std::fs::create_dir_all(repository.path.join("baseline")).expect("makes it");
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        std::fs::write(repository.path.join("Cargo.toml"), "[package]\nname = \"ingester-perf\"\n")
            .expect("writes");
        std::fs::write(repository.path.join(".gitignore"), "target\n").expect("writes");
        repository
    }

    /// Runs git with these arguments. Returns what it prints.
    pub fn git(&self, args: &[&str]) -> String {
        let done = Command::new("git")
            .arg("-C")
            .arg(&self.path)
            .args(["-c", "user.name=a", "-c", "user.email=a@b"])
            .args(args)
            .output()
            .expect("git exists");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
    }

    /// Commits these files; what is given for the file `worker` is how it answers.
    pub fn commit(&self, files: &[(&str, &str)]) {
        self.commit_as("a change", files);
    }

    /// The same with this message.
    pub fn commit_as(&self, message: &str, files: &[(&str, &str)]) {
        for (name, text) in files {
            let target = self.path.join(name);
            std::fs::create_dir_all(target.parent().expect("is in the repository")).expect("makes it");
            if *name == "worker" {
                std::fs::rename(self.bench.worker("made", text), target).expect("moves");
            } else {
                std::fs::write(target, text).expect("writes");
            }
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
    }

    pub fn gate(&self, cargo: &Path, args: &[&str]) -> Command {
        let mut gate = self.bench.gate(args);
        gate.current_dir(&self.path).env("CARGO", cargo).env_remove("CARGO_TARGET_DIR");
        gate
    }
}
