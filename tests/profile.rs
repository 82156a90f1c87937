//! Promise: a profile shows where the CPU time goes, by function and by thread, whatever the system allows it to sample by; and
//! it harms nothing, however often it is taken.

#![cfg(sampler)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::bench::{Bench, Run};
use common::load::{Load, alone, choose, signal};
use common::serve::Serve;
use common::tls::tls_before;
use tempfile::TempDir;

/// Makes the sampler use timers, as it does by itself where perf is not allowed.
const TIMERS: (&str, &str) = ("DIAL9_FORCE_CTIMER", "1");

/// `ingester-perf profile` with these arguments, which writes to this folder.
fn profile(dir: &Path, args: &[&str]) -> Command {
    program(Path::new(env!("CARGO_BIN_EXE_ingester-perf")), dir, args)
}

/// The same, of this copy of the program.
fn program(executable: &Path, dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(executable);
    // What a developer has set for a service of their own must not decide a test.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("INGESTER_")) {
        command.env_remove(name);
    }
    command.arg("profile").args(args).current_dir(dir).env("INGESTER_REPORT_DIR", dir);
    command.env_remove(TIMERS.0);
    command
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Whether threads of this role were met in a frame like this.
fn met(folded: &str, role: &str, is_like: impl Fn(&str) -> bool) -> bool {
    for line in folded.lines() {
        let (stack, _) = line.rsplit_once(' ').expect("a line ends with its time");
        let stack = stack.to_lowercase();
        let mut frames = stack.split(';');
        if frames.next() == Some(role) && frames.any(&is_like) {
            return true;
        }
    }
    false
}

/// A call that reads from a socket or writes to one: libc's, by itself or with underscores before it, or std's.
fn is_socket_call(frame: &str) -> bool {
    let name = frame.rsplit(['_', ':']).next().unwrap_or_default();
    ["send", "sendto", "recv", "recvfrom", "read", "write", "writev"].contains(&name)
}

/// Profiles an upload of 10 MB. Returns what was said, and the folded stacks.
fn of_a_large_upload(command: &mut Command, dir: &Path) -> (Run, String) {
    let run: Run = command.output().expect("starts").into();
    run.exits(0);
    let folder = dir.join("profile/upload_10MB");
    let svg = folder.join("flamegraph.svg");
    assert!(run.stdout.contains(&format!("Flame graph: {}\n", svg.display())), "{}", run.output());
    let picture = read(&svg);
    assert!(picture.starts_with("<?xml") && picture.contains(">upload/10MB</text>"), "{picture}");
    assert!(picture.to_lowercase().contains("sha256"));
    (run, read(&folder.join("stacks.folded")))
}

#[test]
fn hash_parser_and_socket_calls_are_seen_by_perf_and_by_timers() {
    let _alone = alone();
    for timers in [false, true] {
        let dir = TempDir::new().expect("makes one");
        let mut command = profile(dir.path(), &["upload/10MB", "--duration", "2s"]);
        if timers {
            command.env(TIMERS.0, TIMERS.1);
        }
        let (run, folded) = of_a_large_upload(&mut command, dir.path());
        // Without the variable it depends on the system.
        assert!(!timers || run.stderr.contains("by CPU timers"), "{}", run.stderr);
        assert!(met(&folded, "stub", |frame| frame.contains("sha256")), "{folded}");
        assert!(met(&folded, "stub", |frame| frame.contains("multipart")), "{folded}");
        assert!(met(&folded, "stub", is_socket_call), "{folded}");
        assert!(met(&folded, "client", is_socket_call), "{folded}");
        // What only one of them does is not seen in the other.
        assert!(!met(&folded, "client", |frame| frame.contains("stub::multipart")), "{folded}");
    }
}

#[test]
fn functions_have_names_where_the_program_is_gone_from_its_disk() {
    let _alone = alone();
    let dir = TempDir::new().expect("makes one");
    // As the gate starts it.
    let copy = dir.path().join("copy");
    fs::copy(env!("CARGO_BIN_EXE_ingester-perf"), &copy).expect("can be copied");
    let mut command = program(&copy, dir.path(), &["jwt/validate", "--duration", "2s"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("is piped")).lines();
    stderr.next().expect("says something").expect("is text");
    fs::remove_file(&copy).expect("can be removed");
    // Until it ends: a pipe that nobody reads would end it.
    stderr.for_each(drop);
    assert_eq!(child.wait().expect("ends").code(), Some(0));
    let folded = read(&dir.path().join("profile/jwt_validate/stacks.folded"));
    assert!(met(&folded, "client", |frame| frame.contains("verif")), "{folded}");
}

#[test]
fn what_cannot_be_profiled_is_told_before_anything_starts() {
    let dir = TempDir::new().expect("makes one");
    let run: Run = profile(dir.path(), &["upload/1TB"]).output().expect("starts").into();
    let why = run.exits(2);
    assert!(why.contains("there is no case upload/1TB; there are upload/10KB, "), "{why}");
    let run: Run = profile(dir.path(), &["--out", "/dev/null/x"]).output().expect("starts").into();
    assert!(run.exits(2).contains("/dev/null/x: cannot make the folder"), "{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
}

#[test]
fn an_interrupt_leaves_what_was_sampled() {
    let _alone = alone();
    let dir = TempDir::new().expect("makes one");
    let mut command = profile(dir.path(), &["jwt/validate", "--duration", "10m"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("is piped")).lines();
    let begun = stderr.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("Profiling ")));
    assert!(begun.is_some(), "it says when it begins");
    // It warms up for half a second.
    std::thread::sleep(Duration::from_secs(2));
    signal(&child, "INT");
    assert_eq!(child.wait().expect("ends").code(), Some(130));
    let folded = read(&dir.path().join("profile/jwt_validate/stacks.folded"));
    assert!(met(&folded, "client", |frame| frame.contains("verif")), "{folded}");
}

#[test]
fn a_load_run_is_drawn_beside_its_report() {
    let _alone = alone();
    let args =
        ["--users", "2", "--duration", "1s", "--warm-up", "200ms", "--file-size", "100KB", "--profile"];
    let load = Load::new(&args);
    // Whether the generator kept up beside other tests is another question.
    let run = load.run();
    let svg = load.file("load.flamegraph.svg");
    assert!(run.stdout.contains(&format!("Flame graph: {}\n", svg.display())), "{}", run.output());
    assert!(read(&svg).contains(">load</text>"));
    let folded = read(&load.file("load.folded"));
    assert!(met(&folded, "generator", is_socket_call) && met(&folded, "stub", is_socket_call), "{folded}");
}

#[test]
fn a_bench_draws_what_criterion_profiles() {
    let _alone = alone();
    let bench = Bench::new("jwt");
    let run = bench.run(&["--profile-time", "1"]).exited(0);
    let folder = bench.criterion().join("jwt/validate/profile");
    let svg = folder.join("flamegraph.svg");
    assert!(run.stdout.contains(&format!("Flame graph: {}\n", svg.display())), "{}", run.output());
    assert!(read(&svg).contains(">jwt/validate</text>"));
    assert!(met(&read(&folder.join("stacks.folded")), "client", |frame| frame.contains("verif")));
}

#[test]
fn profiles_of_a_load_over_https_crash_nothing() {
    let _alone = alone();
    let serve = Serve::start();
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("makes a certificate");
    let plain = serve.address.parse().expect("is an address");
    let port = tls_before(plain, &key, Duration::ZERO);
    let dir = TempDir::new().expect("makes one");
    let trusted = dir.path().join("ca.pem");
    fs::write(&trusted, key.cert.pem()).expect("can be written");
    let url = format!("https://localhost:{port}");
    for timers in [false, true] {
        for number in 0..choose(100, 1) {
            let args =
                ["--url", &url, "--users", "4", "--duration", "500ms", "--file-size", "10KB", "--profile"];
            let mut load = Load::new(&args)
                .env("INGESTER_TOKEN", serve.token.as_str())
                .env("INGESTER_EVEN_IF_FAILING", "0")
                .env("SSL_CERT_FILE", trusted.to_str().expect("is UTF-8"));
            if timers {
                load = load.env(TIMERS.0, TIMERS.1);
            }
            let run = load.run();
            // One that a signal ended has no code; 2 is for what could not be measured.
            assert!(matches!(run.code, Some(0 | 1 | 3)), "{number}: {:?} {}", run.code, run.output());
            let folded = read(&load.file("load.folded"));
            assert!(met(&folded, "generator", |_| true), "{number}: {folded}");
        }
    }
    serve.interrupt();
}
