//! Promise: any service that takes files can be measured with one small file beside it: started, spoken to, cleaned up
//! after, and compared by the gate, commit with commit.
#![cfg(unix)]

mod common;

use std::io::Read;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use common::bench::{Run, read_json};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ingester-perf");
// The pieces of a configuration: tests put together what they need.
const SERVICE: &str = include_str!("common/service.py");
const SERVE: &str = "[service]\nserve = \"exec python3 service.py {port} {dir}\"\nready = \"/health\"\n";
const MULTIPART: &str = "[api]\npath = \"/upload\"\nfile_field = \"upload\"\ntoken = \"none\"\n";
const CHECKED: &str = "size = \"/bytes\"\nchecksum = \"/md5\"\nchecksum_algorithm = \"md5\"\nid = \"/id\"\n";
const CASE: &str = "[[case]]\ngroup = \"upload\"\nname = \"100KB\"\nfile_size = \"100KB\"\n";

/// Held for writing by tests that compare speeds, and by all others for reading.
static QUIET: RwLock<()> = RwLock::new(());

/// A folder with the service and a configuration.
struct Own {
    dir: TempDir,
    _quiet: Quiet,
}

#[expect(dead_code, reason = "held until the test ends")]
enum Quiet {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

impl Own {
    fn new(config: &str) -> Self {
        Self::with(config, Quiet::Shared(QUIET.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// While no other test of this file runs.
    fn alone(config: &str) -> Self {
        Self::with(config, Quiet::Alone(QUIET.write().unwrap_or_else(PoisonError::into_inner)))
    }

    fn with(config: &str, quiet: Quiet) -> Self {
        let own = Self { dir: TempDir::new().expect("makes a folder"), _quiet: quiet };
        own.write("service.py", SERVICE);
        own.write("ingester-perf.toml", config);
        own
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("writes");
    }

    fn command(&self, args: &[&str]) -> Command {
        // A variable stands above the file: one that is set here and now would decide a test.
        let mut command = Command::new(PROGRAM);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("INGESTER_")) {
            command.env_remove(name);
        }
        // The service's folder has to be found below this one, and nothing of another run.
        command.args(args).current_dir(self.path()).env("TMPDIR", self.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Run {
        self.command(args).output().expect("starts").into()
    }

    fn report(&self, name: &str) -> serde_json::Value {
        read_json(&self.path().join(format!("target/performance_reports/{name}.json")))
    }

    fn git(&self, args: &[&str]) {
        let git = Command::new("git")
            .args(["-c", "user.name=x", "-c", "user.email=x@localhost"])
            .args(args)
            .current_dir(self.path())
            .output()
            .expect("git exists");
        assert!(git.status.success(), "{}", String::from_utf8_lossy(&git.stderr));
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "a change"]);
    }

    /// Processes of the service, by the folder that they were told.
    fn services(&self) -> usize {
        let mark = self.path().to_str().expect("is text");
        let mut running = 0;
        for entry in std::fs::read_dir("/proc").expect("Linux tells").flatten() {
            // Not every entry is a process, and one that was may have ended. Arguments have zero bytes between them.
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if line.contains("service.py") && line.contains(mark) {
                running += 1;
            }
        }
        running
    }

    /// Folders that were made for services and are still there.
    fn folders(&self) -> Vec<PathBuf> {
        let listed = std::fs::read_dir(self.path()).expect("is there").flatten().map(|entry| entry.path());
        listed
            .filter(|path| path.file_name().expect("has one").to_string_lossy().starts_with("ingester-perf-"))
            .collect()
    }
}

/// Waits until something holds; where it never does, `what` says what was waited for.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

const LOAD: [&str; 7] = ["load", "--users", "2", "--requests", "40", "--file-size", "10KB"];

#[test]
fn a_service_is_started_measured_checked_and_stopped() {
    let own = Own::new(&format!("{SERVE}{MULTIPART}{CHECKED}"));
    let run = own.run(&LOAD).exited(0);
    let report = own.report("load");
    assert_eq!(report["successful_requests"], 40);
    assert_eq!(report["environment"]["ingester"], "the configured service");
    assert!(report.get("unverified").is_none() && !run.stdout.contains("not verified"), "{}", run.stdout);
    assert_eq!((own.services(), own.folders().len()), (0, 0), "something is left");
}

#[test]
fn what_was_not_verified_is_said() {
    let own = Own::new(&format!("{SERVE}{MULTIPART}"));
    let run = own.run(&LOAD).exited(0);
    assert!(
        run.stdout.contains(
            "Content not verified: answers carry neither size nor checksum (api.size, api.checksum)."
        ),
        "{}",
        run.stdout
    );
    assert!(own.report("load")["unverified"].as_str().expect("is said").starts_with("Content not verified"));
}

#[test]
fn a_wrong_checksum_is_corrupt() {
    let own = Own::new(&format!("{SERVE}{MULTIPART}{CHECKED}"));
    own.write("service.py", &SERVICE.replace("return hashlib.md5(body)", "return hashlib.md5(body[1:])"));
    // 2 and not 1: both uploads of the look fail alike, and nothing is measured.
    let run = own.run(&LOAD).exited(2);
    assert!(run.stderr.contains("the service's checksum is not the file's MD5"), "{}", run.stderr);
}

#[test]
fn raw_bodies_are_put_under_names_of_their_own_and_removed() {
    let api = "[api]\npath = \"/files/{uuid}\"\nbody = \"raw\"\ntoken = \"none\"\n[cleanup]\npath = \"/files/{uuid}\"\n";
    let own = Own::new(&format!("{SERVE}{api}"));
    let run = own.run(&LOAD).exited(0);
    // 40 uploads and the two of the look.
    assert!(run.stderr.contains("Removed 42 of 42 files that this run left behind\n"), "{}", run.stderr);
}

#[test]
fn a_cleanup_that_finds_nothing_is_told() {
    let api = "[api]\npath = \"/files/{uuid}\"\nbody = \"raw\"\ntoken = \"none\"\n";
    let own = Own::new(&format!("{SERVE}{api}[cleanup]\npath = \"/files/{{uuid}}.old\"\n"));
    // Every removal is answered with 404. That does not fail the run, and is told all the same: files are left.
    let run = own.run(&LOAD).exited(0);
    let says = "Removed 0 of 42 files that this run left behind; 42 were not there: never stored, or cleanup.path is wrong";
    assert!(run.stderr.contains(says), "{}", run.stderr);
}

#[test]
fn what_was_sent_before_an_error_is_removed_too() {
    let api = "[api]\npath = \"/files/{uuid}\"\nbody = \"raw\"\ntoken = \"none\"\n[cleanup]\npath = \"/files/{uuid}\"\n";
    let own = Own::new(&format!("{SERVE}{api}"));
    // A terabyte in all, which is refused once the service runs and the look has sent its two files.
    let run = own.run(&["load", "--users", "1", "--requests", "1000000", "--file-size", "1MB"]).exited(2);
    assert!(run.stderr.contains("INGESTER_MAX_BYTES"), "{}", run.stderr);
    assert!(run.stderr.contains("Removed 2 of 2 files"), "{}", run.stderr);
}

/// How many files this folder holds.
fn files_in(folder: &Path) -> usize {
    std::fs::read_dir(folder).expect("is there").count()
}

#[test]
fn after_a_run_and_after_an_interrupt_nothing_is_left() {
    // Started by the test: a service that the program starts is gone, with its folder, before its files can be counted.
    let cleanup = "[cleanup]\npath = \"/files/{id}\"\n";
    let own = Own::new(&format!("{MULTIPART}{CHECKED}{cleanup}"));
    let data = own.path().join("data");
    std::fs::create_dir(&data).expect("makes it");
    // The listener is closed again, and the service takes its port a moment later.
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("is free").port();
    let mut service = Command::new("python3")
        .args(["service.py", &port.to_string(), "data"])
        .current_dir(own.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("python3 exists");
    until("the service listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let url = format!("http://127.0.0.1:{port}");

    let run: Run = own.command(&LOAD).args(["--url", &url]).output().expect("starts").into();
    assert!(run.exited(0).stderr.contains("Removed 42 of 42 files"));
    assert_eq!(files_in(&data), 0, "after a run");

    let args = ["load", "--users", "4", "--duration", "60s", "--file-size", "10KB", "--url", &url];
    let mut running =
        own.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
    // More than the look sends: the interrupt comes in the middle of the run.
    until("files are there", || files_in(&data) > 20);
    let interrupted = Command::new("kill").args(["-INT", &running.id().to_string()]).status();
    assert!(interrupted.expect("kill exists").success());
    assert_eq!(running.wait().expect("ends").code(), Some(130));
    let mut said = String::new();
    running.stderr.take().expect("is piped").read_to_string(&mut said).expect("is text");
    assert_eq!(files_in(&data), 0, "after Ctrl-C: {said}");

    service.kill().expect("is there");
    service.wait().expect("ends");
}

#[test]
fn a_suite_that_is_killed_leaves_no_service_behind() {
    let own = Own::new(&format!("{SERVE}{MULTIPART}"));
    let args = ["load", "--users", "2", "--duration", "60s", "--file-size", "10KB"];
    for n in 0_u64..10 {
        let mut running =
            own.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
        // From before the service is started to well into the run.
        std::thread::sleep(Duration::from_millis(n * n * 15));
        // SIGKILL: it cannot tidy up. The shell above the service notices that its input has ended.
        running.kill().expect("is there");
        running.wait().expect("ends");
        let killed = Instant::now();
        while own.services() > 0 {
            assert!(killed.elapsed() < Duration::from_secs(5), "a service outlived a killed suite, try {n}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    until("folders are removed", || own.folders().is_empty());
}

#[test]
fn a_service_that_does_not_start_is_quoted() {
    let own = Own::new(&format!("{}{MULTIPART}", SERVE.replace("service.py {port}", "nothing.py {port}")));
    let run = own.run(&LOAD).exited(2);
    assert!(
        run.stderr.contains("the service ended with code 2 before it was ready (service.serve)"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("No such file or directory"), "{}", run.stderr);
}

#[test]
fn a_service_that_dies_is_quoted_too() {
    let own = Own::new(&format!("{SERVE}{MULTIPART}"));
    // It dies over an upload in the middle of the run, once more than 30 files have been stored.
    let dies = "        if len(os.listdir(FOLDER)) > 30:\n            print('out of luck', flush=True)\n            os._exit(7)\n";
    own.write(
        "service.py",
        &SERVICE.replace("        body = self.body()\n", &format!("{dies}        body = self.body()\n")),
    );
    let run = own.run(&LOAD).exited(1);
    assert!(run.stderr.contains("The service ended by itself with code 7"), "{}", run.stderr);
    assert!(run.stderr.contains("  out of luck\n"), "{}", run.stderr);
}

#[test]
fn a_secret_of_a_header_is_not_told() {
    let headers = "headers = { X-Api-Key = \"${OWN_KEY}\" }\n";
    let own = Own::new(&format!("{SERVE}env = {{ API_KEY = \"another-key\" }}\n{MULTIPART}{headers}"));
    // A header without its secret would be refused by the service, which says less about why.
    let without = own.run(&LOAD).exited(2);
    assert!(
        without.stderr.contains("api.headers: X-Api-Key: the variable OWN_KEY is not set"),
        "{}",
        without.stderr
    );
    // The service repeats a wrong key in its refusal.
    let run: Run = own.command(&LOAD).env("OWN_KEY", "hush-hush-hush").output().expect("starts").into();
    let run = run.exited(2);
    assert!(run.stderr.contains("401 Unauthorized: [redacted"), "{}", run.stderr);
    assert!(!run.stderr.contains("hush") && !run.stdout.contains("hush"), "{}", run.stderr);
    let right: Run = own.command(&LOAD).env("OWN_KEY", "another-key").output().expect("starts").into();
    right.exited(0);
}

#[test]
fn cases_are_data() {
    let own = Own::new(&format!("{SERVE}{MULTIPART}{CASE}\n[targets.upload_100KB]\np95_ms = 0.001\n"));
    let listed = own.run(&["bench", "--list"]).exited(0);
    assert!(listed.stdout.contains("upload/100KB: benchmark\n"), "{}", listed.stdout);
    assert!(!listed.stdout.contains("10MB"), "{}", listed.stdout);
    let short = [
        "bench",
        "--noplot",
        "--sample-size",
        "10",
        "--warm-up-time",
        "0.01",
        "--measurement-time",
        "0.1",
        "upload/",
    ];
    // A limit of a microsecond, which no upload holds.
    let run = own.run(&short).exited(1);
    assert!(run.stdout.contains("upload_100KB  p95 < 1 µs"), "{}", run.stdout);
    assert_eq!(own.report("upload_100KB")["plan"]["file_size_bytes"], 102_400);
    // The cases of the file stand in place of those that are built in.
    let exact = own.run(&["bench", "--exact", "upload/10MB"]).exited(2);
    assert!(exact.stderr.contains("upload/10MB"), "{}", exact.stderr);
}

/// Runs `ingester-perf init` in this folder.
fn init(dir: &TempDir) -> Run {
    Command::new(PROGRAM).arg("init").current_dir(dir.path()).output().expect("starts").into()
}

#[test]
fn init_writes_a_file_once() {
    let dir = TempDir::new().expect("makes a folder");
    let first = init(&dir).exited(0);
    assert!(first.stderr.starts_with("Wrote ingester-perf.toml: edit"), "{}", first.stderr);
    let path = dir.path().join("ingester-perf.toml");
    std::fs::write(&path, "# mine\n").expect("writes");
    // What somebody has written is never overwritten.
    let second = init(&dir).exited(2);
    assert!(second.stderr.contains("is there already"), "{}", second.stderr);
    assert_eq!(std::fs::read_to_string(path).expect("reads"), "# mine\n");
}

#[test]
fn a_variable_stands_above_the_file() {
    let own = Own::new(&format!("{SERVE}{MULTIPART}"));
    // With 200 alone, the 201 of the service is not a success.
    let command = &mut own.command(&LOAD);
    let run: Run = command.env("INGESTER_API_SUCCESS", "[200]").output().expect("starts").into();
    assert!(run.exited(2).stderr.contains("wanted 200; got 201 Created"));
    let command = &mut own.command(&LOAD);
    let run: Run = command.env("INGESTER_API_METHOD", "post").output().expect("starts").into();
    let run = run.exited(2);
    assert!(
        run.stderr.contains("INGESTER_API_METHOD: \"post\" is not a method in capitals"),
        "{}",
        run.stderr
    );
    let command = &mut own.command(&LOAD);
    let run: Run = command.env("INGESTER_CONFIG", "none.toml").output().expect("starts").into();
    assert!(run.exited(2).stderr.contains("none.toml: cannot read"));
}

#[test]
fn a_broken_file_is_told_with_its_line() {
    // Two lines that every test of another key of this table needs, as `path` must not be missing.
    const OF_API: &str = "[api]\npath = \"/u\"\n";
    let broken: [(&str, usize, &str); 27] = [
        ("[service", 1, "expected `]`"),
        ("\n[server]\n", 2, "server: unknown field `server`, expected one of"),
        ("[service]\nserv = \"x\"\n", 2, "service.serv: unknown field `serv`, expected one of"),
        ("[service]\nserve = 3\n", 2, "service.serve: invalid type: integer `3`, expected a string"),
        ("[service]\nserve = \"\"\n", 2, "service.serve: is empty"),
        ("[service]\nbuild = \"make\"\n", 2, "service.build: is set without serve"),
        ("[service]\nserve = \"x\"\nready = \"health\"\n", 3, "service.ready: \"health\" is not a path"),
        (
            "[service]\nserve = \"x\"\n\nready_timeout = \"soon\"\n",
            4,
            "service.ready_timeout: \"soon\" is not a time",
        ),
        ("[service]\nserve = \"x\"\ndir = \"none\"\n", 3, "is not a folder"),
        (
            "[service]\nserve = \"x\"\nrestart = \"no\"\n",
            3,
            "service.restart: \"no\" is not \"pair\" or \"session\"",
        ),
        ("[service]\nserve = \"x\"\nkeep = [\"/etc\"]\n", 3, "service.keep: \"/etc\" is not a path below"),
        ("[service]\nurl = \"localhost\"\n", 2, "service.url: "),
        ("[service]\nserve = \"x\"\nurl = \"http://h\"\n", 3, "service.url: is set together with serve"),
        ("[api]\nmethod = \"POST\"\n", 2, "api.path: is missing"),
        ("[api]\npath = \"u\"\n", 2, "api.path: \"u\" must begin with a slash"),
        ("[api]\npath = \"/{id}\"\n", 2, "api.path: \"/{id}\" has a place that is not known here"),
        (
            &format!("{OF_API}body = \"form\"\n"),
            3,
            "api.body: unknown variant `form`, expected `multipart` or `raw`",
        ),
        (&format!("{OF_API}body = \"raw\"\nfields = {{}}\n"), 4, "api.fields: are of body = \"multipart\""),
        (&format!("{OF_API}success = [700]\n"), 3, "api.success: 700 is not a status from 200 to 399"),
        (&format!("{OF_API}size = \"bytes\"\n"), 3, "api.size: \"bytes\" is not a JSON pointer"),
        (&format!("{OF_API}checksum_prefix = \"x\"\n"), 3, "api.checksum_prefix: is set without checksum"),
        (&format!("{OF_API}token = \"a b\"\n"), 3, "api.token: \"a b\" is not the name of a header"),
        (
            &format!("{OF_API}headers = {{ X = \"${{NO_SUCH_ONE}}\" }}\n"),
            3,
            "the variable NO_SUCH_ONE is not set",
        ),
        (
            &format!("{OF_API}[cleanup]\npath = \"/{{id}}\"\n"),
            4,
            "cleanup.path: has {id}, and api.id does not say",
        ),
        ("[[case]]\ngroup = \"a\"\nname = \"b\"\n", 2, "case.file_size: is missing"),
        (&format!("{CASE}\n{CASE}"), 8, "case.name: upload/100KB is there twice"),
        (&format!("{CASE}\n[targets.upload_1MB]\n"), 6, "targets.upload_1MB: no such operation"),
    ];
    let own = Own::new("");
    for (text, line, problem) in broken {
        own.write("ingester-perf.toml", text);
        // All three commands read the file, and refuse it before anything is started.
        for command in [&["load", "--preset", "normal"][..], &["bench", "--list"], &["gate"]] {
            let run = own.run(command).exited(2);
            let place = format!("ingester-perf.toml: line {line}: ");
            assert!(run.stderr.contains(&place) && run.stderr.contains(problem), "{text}\n{}", run.stderr);
        }
    }
}

/// A repository with the service, and on branch `change` another commit.
fn repository(config: &str, changed: &str) -> Own {
    let own = Own::alone(config);
    // What runs leave behind is not a change.
    own.write(".gitignore", "target/\n*.log\ningester-perf-*\n");
    own.git(&["init", "--quiet", "--initial-branch=main"]);
    own.commit();
    own.git(&["checkout", "--quiet", "-b", "change"]);
    own.write("service.py", changed);
    own.commit();
    own
}

#[test]
fn the_gate_compares_the_commits_of_any_repository() {
    // Thirty more hashes of every body: far more than the threshold, on any machine.
    let slower = SERVICE.replace(
        "    return hashlib.md5(body).hexdigest()",
        "    for _ in range(30):\n        hashlib.sha256(body)\n    return hashlib.md5(body).hexdigest()",
    );
    assert_ne!(slower, SERVICE);
    let own = repository(&format!("{SERVE}{MULTIPART}{CHECKED}{CASE}"), &slower);
    let args = ["gate", "--budget", "4s", "--pairs", "10", "--max-pairs", "10"];
    let run = own.run(&args).exited(1);
    assert!(run.stdout.contains("FAILED, slower: upload/100KB"), "{}", run.stdout);
    assert!(!run.stdout.contains("jwt/validate"), "{}", run.stdout);
    // Both are built, and are not built again; a service is not left anywhere.
    assert_eq!(own.services(), 0);
    let record = read_json(&own.path().join("target/gate/report/slices.json"));
    assert_eq!(record["environment"]["ingester"], "the configured service");
    let arms = own.path().join("target/gate/report/arms");
    assert!(!arms.exists(), "copies are left");

    // One commit on both sides: there is nothing to measure.
    let same = own.run(&["gate", "--base", "change", "--head", "change"]).exited(0);
    assert!(same.stdout.contains("are identical builds"), "{}", same.stdout);
}

#[test]
fn the_gate_says_which_commit_does_not_start() {
    let own = repository(&format!("{SERVE}{MULTIPART}{CASE}"), "import nothing\n");
    // From a folder below that of the file.
    let below = own.path().join("below");
    std::fs::create_dir(&below).expect("makes it");
    let command = &mut own.command(&["gate", "--budget", "4s", "--pairs", "10"]);
    let run: Run = command.current_dir(below).output().expect("starts").into();
    let run = run.exited(2);
    assert!(run.stderr.contains("head (this tree ("), "{}", run.stderr);
    assert!(run.stderr.contains("\n  ModuleNotFoundError: No module named 'nothing'"), "{}", run.stderr);
    assert!(run.stderr.contains("the service ended with code 1 before it was ready"), "{}", run.stderr);
}

/// The command that starts the service in this file.
fn serve(file: &str) -> String {
    format!("exec python3 {file} {{port}} {{dir}}")
}

#[test]
fn the_gate_compares_two_commands_and_services_started_once() {
    let own = Own::alone(&format!("{SERVE}restart = \"session\"\n{MULTIPART}{CHECKED}{CASE}"));
    own.write(
        "slower.py",
        &SERVICE.replace("    return hashlib", "    hashlib.sha256(body * 30)\n    return hashlib"),
    );
    let base = serve("service.py");
    let head = serve("slower.py");
    let args = [
        "gate",
        "--budget",
        "3s",
        "--pairs",
        "10",
        "--max-pairs",
        "10",
        "--base-serve",
        &base,
        "--head-serve",
        &head,
    ];
    let run = own.run(&args).exited(1);
    assert!(run.stdout.contains("each service was started once"), "{}", run.stdout);
    assert!(run.stdout.contains("FAILED, slower: upload/100KB"), "{}", run.stdout);
}

#[test]
fn a_killed_gate_leaves_no_service_behind() {
    // Another commit with the same behaviour. Identical ones would not be measured.
    let own = repository(&format!("{SERVE}{MULTIPART}{CASE}"), &SERVICE.replace("usage:", "Usage:"));
    let args = ["gate", "--budget", "60s"];
    let mut running = own.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
    // Base, its control, and head.
    until("three services run", || own.services() >= 3);
    running.kill().expect("is there");
    running.wait().expect("ends");
    let killed = Instant::now();
    while own.services() > 0 {
        assert!(killed.elapsed() < Duration::from_secs(10), "a service outlived a killed gate");
        std::thread::sleep(Duration::from_millis(20));
    }
}
