//! Running the real bench binaries, as `cargo bench` would.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use serde_json::Value;
use tempfile::TempDir;

/// Sampling that ends within a second.
pub const SHORT: [&str; 7] =
    ["--noplot", "--sample-size", "10", "--warm-up-time", "0.01", "--measurement-time", "0.1"];

/// The bench executables by name, built once a process by the cargo that runs the tests.
static BENCHES: LazyLock<BTreeMap<String, PathBuf>> = LazyLock::new(|| {
    let cargo = std::env::var_os("CARGO").expect("CARGO names the cargo that runs these tests");
    // The profile that the tests were built with, so that the dependencies are not compiled once more.
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let built = Command::new(cargo)
        .args(["build", "--locked", "--benches", "--profile", profile, "--message-format=json", "--quiet"])
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo can be started");
    assert!(built.status.success(), "the benches do not build");
    // Only cargo knows the names of the executables, as each ends with a hash.
    let messages = String::from_utf8(built.stdout).expect("cargo prints JSON");
    messages.lines().filter_map(|line| serde_json::from_str(line).ok()).filter_map(executable).collect()
});

/// Name and path of the bench that a message of cargo's is about.
fn executable(message: Value) -> Option<(String, PathBuf)> {
    let target = message.get("target")?;
    // Cargo tells of every library that it builds as well, and of the program.
    if !target["kind"].as_array()?.contains(&"bench".into()) {
        return None;
    }
    let path = message.get("executable")?.as_str()?;
    let name = target["name"].as_str().unwrap_or_default();
    Some((name.to_owned(), path.into()))
}

/// A bench to run, with folders of its own for what it writes.
pub struct Bench {
    name: &'static str,
    pub dir: TempDir,
    env: Vec<(String, String)>,
}

/// How a run ended.
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Bench {
    pub fn new(name: &'static str) -> Self {
        Self { name, dir: TempDir::new().expect("makes a folder"), env: Vec::new() }
    }

    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// The command as cargo would start it; `--bench` included.
    pub fn command(&self, args: &[&str]) -> Command {
        let path = BENCHES.get(self.name).unwrap_or_else(|| panic!("cargo built no bench {}", self.name));
        let mut command = Command::new(path);
        // What a developer has set for a service of their own must not decide a test.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("INGESTER_")) {
            command.env_remove(name);
        }
        command
            // Cargo starts benches in the package's folder.
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            // Most servers of the tests fail: without this, the two uploads before measuring would end the run.
            .env("INGESTER_EVEN_IF_FAILING", "1")
            .env("CRITERION_HOME", self.criterion())
            .env("INGESTER_REPORT_DIR", self.reports())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .arg("--bench")
            .args(args)
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Run {
        self.command(args).output().expect("the bench can be started").into()
    }

    /// A run with few and short samples.
    pub fn short(&self, args: &[&str]) -> Run {
        self.run(&[&SHORT, args].concat())
    }

    pub fn criterion(&self) -> PathBuf {
        self.dir.path().join("criterion")
    }

    pub fn reports(&self) -> PathBuf {
        self.dir.path().join("reports")
    }

    pub fn report(&self, operation: &str) -> Value {
        read_json(&self.reports().join(format!("{operation}.json")))
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        // What is not UTF-8 must not end the test here: its assertions are to say what is wrong.
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { code: output.status.code(), stdout, stderr }
    }
}

impl Run {
    /// Asserts the exit code and returns the last line on standard error, which says why.
    #[track_caller]
    pub fn exits(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        // A panic in a thread leaves the exit code as it is.
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self.stderr.lines().last().unwrap_or_default()
    }

    /// The same for a run whose output is looked at.
    #[track_caller]
    pub fn exited(self, code: i32) -> Self {
        self.exits(code);
        self
    }

    pub fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

pub fn read_json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
