//! Running `ingester-perf gate`, on workers that do as a test tells them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::bench::Run;

pub const GATE: &str = env!("CARGO_BIN_EXE_ingester-perf");

/// How a fake worker answers a request for a slice; `$line` is the request, `$n` counts them.
pub const STEADY: &str = "slice 2000000";
pub const SLOWER: &str = "slice 2100000";

/// A folder for workers and for what the gate writes.
pub struct Bench(pub TempDir);

impl Bench {
    pub fn new() -> Self {
        Self(TempDir::new().expect("makes a folder"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A worker that has one case, and says what it likes.
    pub fn worker(&self, name: &str, slice: &str) -> PathBuf {
        self.worker_with(name, 1, "\"jwt/validate\"", slice)
    }

    pub fn worker_with(&self, name: &str, protocol: u32, cases: &str, slice: &str) -> PathBuf {
        let cases = cases.replace('"', "\\\"");
        let text = format!(
            r#"#!/bin/sh
sum=$(sha256sum "$0"); sum=${{sum%% *}}
slice() {{
  case $line in *'"spin":0.05'*) spun=$(($1 / 20));; *'"spin":0.25'*) spun=$(($1 / 4));; *) spun=0;; esac
  echo "{{\"slice\":{{\"ns\":$1,\"spun_ns\":$spun}}}}"
}}
n=0
echo "{{\"protocol\":{protocol},\"build\":{{\"version\":\"0\",\"rustc\":\"none\",\"profile\":\"{name}\",\"sha256\":\"$sum\"}},\"cases\":[{cases}]}}"
while read -r line; do
  case $line in
    *begin*) echo '{{"ready":{{"ingester":"stub"}}}}';;
    *prepare*) echo '"prepared"';;
    *quit*) exit;;
    *slice*) n=$((n + 1)); {slice};;
  esac
done
"#
        );
        let path = self.path(name);
        std::fs::write(&path, text).expect("writes");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("may");
        path
    }

    pub fn gate(&self, args: &[&str]) -> Command {
        let mut command = Command::new(GATE);
        for name in ["URL", "TOKEN", "TOKEN_FILE", "PRIVATE_KEY", "MAX_BYTES", "TARGETS", "PLACEMENT"] {
            command.env_remove(format!("INGESTER_{name}"));
        }
        command
            .arg("gate")
            .args(if args.contains(&"--budget") { [].as_slice() } else { &["--budget", "1s"] })
            .args(["--seed", "1", "--out"])
            .arg(self.path("out"))
            .args(args)
            // A worker that hangs is given up after this and five seconds.
            .env("INGESTER_TIMEOUT", "500ms")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Run {
        self.gate(args).output().expect("starts").into()
    }

    pub fn compare(&self, base: &Path, head: &Path, args: &[&str]) -> Run {
        let text = |path: &Path| path.to_str().expect("is UTF-8").to_owned();
        self.run(&[&["--base-exe", &text(base), "--head-exe", &text(head)], args].concat())
    }

    /// Runs a head that does this instead of a slice; the line that says why it could not be measured.
    pub fn fails(&self, name: &str, slice: &str) -> String {
        let run = self.compare(&self.worker("base", STEADY), &self.worker(name, slice), &[]);
        let why = run.exits(2).to_owned();
        assert!(!self.path("out/verdict.json").exists(), "no old verdict stands for this one");
        why
    }
}
