//! Promise: nothing panics, and nothing that was measured is lost, whether standard output and standard error are full,
//! or closed, or read by nobody.

#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::process::{Command, Stdio};

use common::bench::{Bench, Run, SHORT};
use common::gate::{Bench as Gate, GATE, SLOWER, STEADY};
use tempfile::TempDir;

/// Where output goes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Sink {
    Read,
    Full,
    Unread,
    /// There is no such descriptor (`>&-`).
    Closed,
}

impl Sink {
    fn stdio(self) -> Stdio {
        match self {
            // Closed by the shell that starts the command.
            Self::Read | Self::Closed => Stdio::piped(),
            Self::Full => File::options().write(true).open("/dev/full").expect("Linux has it").into(),
            Self::Unread => {
                // The reader is gone before anything is written.
                let (reader, writer) = std::io::pipe().expect("there are descriptors");
                drop(reader);
                writer.into()
            }
        }
    }
}

/// Runs a command with each kind of output. It must exit with `read` where its standard output is read, and with `unread`
/// where it is not.
fn check(name: &str, command: &dyn Fn() -> Command, read: i32, unread: i32) {
    // Standard error never decides: it is written as far as possible.
    const SINKS: [Sink; 4] = [Sink::Read, Sink::Full, Sink::Unread, Sink::Closed];
    for stdout in SINKS {
        for stderr in SINKS {
            let mut command = closing(command(), stdout, stderr);
            let child = command.stdin(Stdio::null()).stdout(stdout.stdio()).stderr(stderr.stdio()).spawn();
            let run: Run = child.expect("starts").wait_with_output().expect("ends").into();
            // Where there is no descriptor, what is printed goes nowhere: nobody asked for it.
            let code = if matches!(stdout, Sink::Read | Sink::Closed) { read } else { unread };
            // Beside other tests a generator may be late, and says so.
            let late = name == "load" && code == 0 && run.code == Some(3);
            assert!(
                late || run.code == Some(code),
                "{name}, {stdout:?}, {stderr:?}: {:?} {}",
                run.code,
                run.output()
            );
            assert!(!run.stderr.contains("panicked"), "{name}, {stdout:?}, {stderr:?}: {}", run.stderr);
        }
    }
}

/// The command, started by a shell that closes what is to be closed.
fn closing(command: Command, stdout: Sink, stderr: Sink) -> Command {
    let mut script = String::from("exec \"$0\" \"$@\"");
    if stdout == Sink::Closed {
        script += " >&-";
    }
    if stderr == Sink::Closed {
        script += " 2>&-";
    }
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        shell.current_dir(dir);
    }
    shell
}

/// The program with these arguments, in a folder of its own.
fn perf(dir: &TempDir, args: &[&str]) -> Command {
    let mut command = Command::new(GATE);
    command.args(args).current_dir(dir.path()).env("INGESTER_REPORT_DIR", dir.path().join("reports"));
    command
}

#[test]
fn every_subcommand_ends_in_order() {
    let dir = TempDir::new().expect("makes one");
    // What prints its result: 2 where that cannot be printed.
    check("load", &|| perf(&dir, &["load", "--users", "1", "--requests", "5", "--file-size", "1KB"]), 0, 2);
    assert!(dir.path().join("reports/load.json").exists(), "what was measured is saved");
    check(
        "serve",
        &|| perf(&dir, &["serve", "--listen", "127.0.0.1:0", "--private-key", "no/such/key"]),
        2,
        2,
    );
    // What fails says so on standard error alone.
    check("compare of reports", &|| perf(&dir, &["compare", "reports/load.json", "reports/load.json"]), 0, 2);
    check("compare", &|| perf(&dir, &["compare", "one", "other"]), 2, 2);
    check("baseline", &|| perf(&dir, &["baseline", "export", "none"]), 2, 2);
    check("gate", &|| perf(&dir, &["gate", "--replay", "no/such/folder"]), 2, 2);
    check("history", &|| perf(&dir, &["history", "check"]), 2, 2);
    check("help", &|| perf(&dir, &["--help"]), 0, 0);
    check("completions", &|| perf(&dir, &["completions", "bash"]), 0, 2);
    check("man", &|| perf(&dir, &["man"]), 0, 2);
    check("bench", &|| perf(&dir, &["bench", "--list"]), 0, 2);
    check("worker", &|| perf(&dir, &["worker"]), 0, 2);
}

#[test]
fn a_token_that_cannot_be_printed_ends_serve() {
    for stdout in [Sink::Full, Sink::Unread] {
        let mut serve = Command::new(GATE);
        serve.args(["serve", "--listen", "127.0.0.1:0", "--print-token"]).stdin(Stdio::null());
        let run: Run = serve.stdout(stdout.stdio()).output().expect("starts").into();
        assert_eq!(run.code, Some(2), "{stdout:?}: {}", run.stderr);
        assert!(run.stderr.contains("cannot print"), "{}", run.stderr);
    }
}

#[test]
fn a_verdict_is_stored_though_nobody_reads_it() {
    let gate = Gate::new();
    let base = gate.worker("base", STEADY);
    let head = gate.worker("head", SLOWER);
    // A regression would be 1: it is 2 because nobody could read that.
    let run =
        gate.gate(&Gate::arms(&base, &head)).stdout(Sink::Unread.stdio()).stderr(Sink::Full.stdio()).status();
    assert_eq!(run.expect("starts").code(), Some(2));
    let verdict = common::bench::read_json(&gate.path("out/verdict.json"));
    assert_eq!(verdict["conclusion"], "regression");
    check("gate --replay", &|| replay(&gate), 1, 2);
}

/// Computes the verdict again from the slices of the last session.
fn replay(gate: &Gate) -> Command {
    let mut command = Command::new(GATE);
    command.args(["gate", "--replay"]).arg(gate.path("out"));
    command
}

#[test]
fn a_bench_saves_what_it_measured_though_nobody_reads_it() {
    let bench = Bench::new("jwt");
    check("jwt --test", &|| bench.command(&["--test"]), 0, 2);
    check("jwt", &|| bench.command(&SHORT), 0, 2);
    for name in ["floor", "load", "upload"] {
        check(name, &|| Bench::new(name).command(&["--list"]), 0, 2);
    }

    let bench = Bench::new("jwt");
    let status = bench.command(&SHORT).stdout(Sink::Unread.stdio()).stderr(Sink::Unread.stdio()).status();
    assert_eq!(status.expect("starts").code(), Some(2));
    assert!(bench.reports().join("jwt_validation.json").exists());
    assert!(bench.criterion().join("jwt/validate/base/sample.json").exists(), "Criterion's samples too");
}
