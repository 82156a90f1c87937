//! Promise: the phases of uploads add up to their time, and what takes time takes it in its own phase; where nobody asks for
//! them there are none.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use common::bench::{Run, read_json};
use common::load::{Load, alone};
use common::serve::Serve;
use ingester_perf::auth::{KeyPair, Minter};
use ingester_perf::phases::{ServicePhases, SizePhases};
use ingester_perf::stub::{FaultOptions, Stub, StubOptions};
use serde_json::Value;
use tempfile::TempDir;

/// One key for all stubs of this file: it takes longest to make.
static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate().expect("makes a key"));

/// What an upload goes through.
const PHASES: [&str; 7] = ["entry", "token", "receive", "multipart", "hash", "storage", "answer"];
/// A pause that is longer than anything else that happens to an upload here.
const PAUSE: Duration = Duration::from_millis(800);
/// The least of it that its phase has to have: a busy machine may begin to wait late.
const LEAST_NS: u64 = 500_000_000;

/// A stub, and a token that it takes.
struct Service {
    stub: Stub,
    token: String,
}

impl Service {
    fn start(options: StubOptions) -> Self {
        let stub = Stub::start(options).expect("starts");
        let token = Minter::new(KEY.clone()).mint(Duration::from_secs(600)).expect("mints");
        Self { stub, token: token.as_str().to_owned() }
    }

    /// One that times phases.
    fn timing() -> Self {
        Self::start(StubOptions { phases: true, ..StubOptions::new(KEY.public()) })
    }

    /// An upload of so many bytes, as bytes.
    fn request(&self, size: u64) -> Vec<u8> {
        let head = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
        let content = vec![b'x'; usize::try_from(size).expect("fits into memory")];
        let body = [head.as_bytes(), &content, b"\r\n--b--\r\n"].concat();
        let head = format!(
            "POST /api/v1/files/upload HTTP/1.1\r\nHost: stub\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
             Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n",
            self.token,
            body.len()
        );
        [head.as_bytes(), &body].concat()
    }

    /// Uploads so many bytes.
    fn upload(&self, size: u64) {
        let request = self.request(size);
        assert_eq!(self.send(&request, &[]), "201");
    }

    /// Sends a request in two parts with a pause between them, where there is a second one. Returns the status.
    fn send(&self, first: &[u8], second: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.stub.address()).expect("connects");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("can be set");
        // A refusal may come while this is still sending, and end that.
        let _ = stream.write_all(first);
        if !second.is_empty() {
            std::thread::sleep(PAUSE);
            let _ = stream.write_all(second);
        }
        status_of(&read(stream))
    }

    /// What the uploads until now cost, of whatever size.
    fn taken(&self) -> SizePhases {
        self.stub.take_phases().expect("are timed").total().expect("something was stored")
    }
}

fn read(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    // To the end of the connection, which every request asks to be closed.
    stream.read_to_string(&mut answer).expect("answers");
    answer
}

fn status_of(answer: &str) -> String {
    answer.split(' ').nth(1).expect("has a status").to_owned()
}

/// Asserts that the pause was in this phase and in no other.
#[track_caller]
fn paused_in(phase: &str, taken: &SizePhases) {
    for name in PHASES {
        let ns = taken.ns_in(name);
        assert_eq!(ns >= LEAST_NS, name == phase, "{name} has {ns} ns: {taken:?}");
    }
}

#[test]
fn phases_add_up_to_the_time_of_the_uploads() {
    let service = Service::timing();
    let sizes = [(10 << 10, 20), (1 << 20, 5), (10 << 20, 3)];
    for (size, uploads) in sizes {
        for _ in 0..uploads {
            service.upload(size);
        }
    }
    let phases = service.stub.take_phases().expect("are timed");
    assert_eq!(phases.sizes.len(), 3, "{phases:?}");
    for (of_size, (size, uploads)) in phases.sizes.iter().zip(sizes) {
        assert_eq!((of_size.smallest_bytes, of_size.largest_bytes), (size, size));
        assert_eq!((of_size.operations, of_size.bytes), (uploads, uploads * size));
        let names: Vec<&str> = of_size.phases.iter().map(|time| time.phase.as_str()).collect();
        assert_eq!(names, PHASES);
        for name in PHASES {
            assert!(of_size.ns_in(name) > 0, "nothing in {name}: {of_size:?}");
        }
        let sum: u64 = of_size.phases.iter().map(|time| time.ns).sum();
        // The whole is measured around the phases, by readings of its own.
        assert!(sum <= of_size.whole_ns, "more than all of it: {of_size:?}");
        assert!(sum as f64 >= 0.95 * of_size.whole_ns as f64, "some of it is lost: {of_size:?}");
    }
    assert_eq!(service.stub.take_phases(), Some(ServicePhases::default()), "taken twice");
}

#[test]
fn a_slow_sender_is_waited_for_in_receive() {
    let service = Service::timing();
    let request = service.request(100_000);
    let (first, second) = request.split_at(50_000);
    assert_eq!(service.send(first, second), "201");
    paused_in("receive", &service.taken());
}

#[test]
fn a_delay_on_purpose_comes_before_the_token_check() {
    let specs = vec!["delay=800ms".parse().expect("is a fault")];
    let faults = FaultOptions { specs, ..FaultOptions::default() };
    let service = Service::start(StubOptions { phases: true, faults, ..StubOptions::new(KEY.public()) });
    service.upload(10_000);
    paused_in("entry", &service.taken());
}

#[test]
fn a_slow_storage_element_is_waited_for_in_storage() {
    let specs = vec!["delay=800ms".parse().expect("is a fault")];
    let faults = FaultOptions { specs, ..FaultOptions::default() };
    let element = Service::start(StubOptions { faults, ..StubOptions::new(KEY.public()) });
    let dir = TempDir::new().expect("makes a folder");
    let token = dir.path().join("token");
    std::fs::write(&token, &element.token).expect("writes");
    let spec = format!("element:http://{}", element.stub.address());
    let service = Service::start(StubOptions {
        phases: true,
        storage: vec![spec.parse().expect("is a storage")],
        element_token: Some(token),
        ..StubOptions::new(KEY.public())
    });
    service.upload(10_000);
    paused_in("storage", &service.taken());
}

#[test]
fn what_was_refused_has_no_phases() {
    let service = Service::timing();
    let request = String::from_utf8(service.request(1000)).expect("is text");
    assert_eq!(service.send(request.replace("Bearer ", "Bearer x").as_bytes(), &[]), "401");
    // A name of the same length: the form is whole, and has no file.
    assert_eq!(service.send(request.replace("name=\"file\"", "name=\"elif\"").as_bytes(), &[]), "422");
    assert_eq!(service.stub.take_phases(), Some(ServicePhases::default()));
}

#[test]
fn where_nobody_asks_there_are_none() {
    let service = Service::start(StubOptions::new(KEY.public()));
    service.upload(1000);
    assert_eq!(service.stub.take_phases(), None);
    assert!(!metrics(&service.stub.address().to_string()).contains("phase"));
}

/// What the stub at this address tells Prometheus.
fn metrics(address: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("connects");
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: stub\r\nConnection: close\r\n\r\n").expect("sends");
    read(stream)
}

#[test]
fn serve_tells_them_in_its_metrics_and_at_its_end() {
    let serve = Serve::with(&["--phases"]);
    for _ in 0..2 {
        assert_eq!(serve.upload(1000), "201");
    }
    let text = metrics(&serve.address);
    assert!(text.contains("# TYPE ingester_upload_phase_seconds histogram\n"), "{text}");
    for phase in PHASES {
        for line in [
            format!("ingester_upload_phase_seconds_count{{phase=\"{phase}\"}} 2\n"),
            format!("ingester_upload_phase_seconds_bucket{{le=\"+Inf\",phase=\"{phase}\"}} 2\n"),
            format!("ingester_upload_phase_seconds_sum{{phase=\"{phase}\"}} "),
        ] {
            assert!(text.contains(&line), "{line} is not in:\n{text}");
        }
    }
    let (code, last) = serve.interrupt();
    assert_eq!(code, Some(0), "{last}");
    assert!(last.contains("Took in 2 files"), "{last}");
    let heading = last.lines().find(|line| line.starts_with(" file size")).unwrap_or_default();
    let columns: Vec<&str> = heading.split_whitespace().skip(4).collect();
    assert_eq!(columns, [&PHASES[..], &["sum"]].concat(), "{last}");
    assert!(last.lines().any(|line| line.starts_with(" 1000 B")), "{last}");
}

/// `ingester-perf profile`, in a folder without a configuration.
fn profile(args: &[&str], env: &[(&str, &str)]) -> Run {
    let dir = TempDir::new().expect("makes a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingester-perf"));
    command.arg("profile").args(args).current_dir(dir.path());
    // What a developer has set for a service of their own must not decide a test.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("INGESTER_")) {
        command.env_remove(name);
    }
    command.envs(env.iter().copied()).output().expect("starts").into()
}

/// The number in a cell like `20.8 %`.
fn percent(cell: &Value) -> f64 {
    let text = cell.as_str().expect("is a text");
    let number = text.strip_suffix(" %").and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("{text:?} is not a share"))
}

#[test]
fn a_profile_says_what_the_token_check_is_of_an_upload() {
    let _alone = alone();
    let dir = TempDir::new().expect("makes a folder");
    let path = dir.path().join("profile.json");
    let export = format!("json={}", path.display());
    let short = ["--duration", "300ms", "--warm-up", "10ms", "--export", &export];
    let run = profile(&[&["upload/10KB", "jwt/validate"][..], &short].concat(), &[]);
    run.exits(0);
    assert!(
        run.stderr.contains("Profiling 2 cases, each for 300ms against stub (phases timed)"),
        "{}",
        run.stderr
    );
    assert!(run.stdout.contains("\nThe token check is "), "{}", run.stdout);
    assert!(run.stdout.contains(" % of upload/10KB ("), "{}", run.stdout);
    assert!(run.stdout.contains("\nBy itself, again and again, a token check takes "), "{}", run.stdout);

    let document = read_json(&path);
    let table = &document["parts"][0]["table"];
    let columns = [&["case", "n", "avg"][..], &PHASES, &["network, client", "sum"]].concat();
    assert_eq!(table["header"], Value::from(columns));
    let rows = table["rows"].as_array().expect("has rows");
    let names: Vec<&str> = rows.iter().filter_map(|row| row[0].as_str()).collect();
    assert_eq!(names, ["upload/10KB", "  share", "jwt/validate", "  share"]);
    let shares = rows[1].as_array().expect("is a row");
    // All but the name, the count, the mean and the sum. Each of the eight is rounded by 0.05 at most.
    let sum: f64 = shares[3..11].iter().map(percent).sum();
    assert!((sum - 100.0).abs() <= 0.45, "{sum}: {shares:?}");
    for name in ["token", "hash", "network, client"] {
        let column = column_of(table, name);
        assert!(percent(&shares[column]) > 0.0, "{name}: {shares:?}");
    }
    let by_itself = rows[3].as_array().expect("is a row");
    assert_eq!(
        (&by_itself[column_of(table, "token")], &by_itself[column_of(table, "hash")]),
        (&"100.0 %".into(), &"-".into())
    );
}

/// The column of this name.
fn column_of(table: &Value, name: &str) -> usize {
    let header = table["header"].as_array().expect("is a list");
    header.iter().position(|column| column == name).expect(name)
}

#[test]
fn a_profile_of_what_is_not_there_is_refused() {
    refused(&["upload/1TB"], "profile: there is no case upload/1TB; there are upload/10KB, upload/1MB");
    refused(&["--duration", "soon"], "invalid value 'soon'");
}

/// Asserts that nothing is measured, and what is said instead.
#[track_caller]
fn refused(args: &[&str], says: &str) {
    let run = profile(args, &[]);
    assert_eq!(run.code, Some(2), "{}", run.output());
    assert!(run.stderr.contains(says) && !run.stderr.contains("panicked"), "{}", run.stderr);
    assert!(run.stdout.is_empty(), "{}", run.stdout);
}

#[test]
fn a_profile_sends_no_more_than_a_disk_may_be_filled_with() {
    let dir = TempDir::new().expect("makes a folder");
    let storage = format!("dir:{}", dir.path().display());
    let env = [("INGESTER_STORAGE", storage.as_str()), ("INGESTER_MAX_BYTES", "30MB")];
    let run = profile(&["upload/10MB", "--warm-up", "10s"], &env);
    assert!(run.exits(2).contains("would exceed INGESTER_MAX_BYTES (30 MB)"), "{}", run.stderr);
    let left = std::fs::read_dir(dir.path()).expect("can be listed").count();
    assert_eq!(left, 0, "files stayed behind");
}

#[test]
fn a_load_reports_them_by_size_and_a_replay_again() {
    let _alone = alone();
    let args = ["--users", "2", "--requests", "60", "--mix", "10KB=1,1MB=1"];
    let load = Load::new(&[&args[..], &["--phases"]].concat());
    let first = load.run();
    // 3 where the generator was late, beside other tests.
    assert!(matches!(first.code, Some(0 | 3)), "{}", first.output());
    assert!(first.stdout.contains("In the service, by size"), "{}", first.stdout);
    let report = load.report();
    assert_eq!(report["environment"]["ingester"], "stub (phases timed)");
    let sizes = report["load"]["service_phases"].as_array().expect("is a list");
    let names: Vec<&str> = sizes.iter().filter_map(|size| size["of"].as_str()).collect();
    assert_eq!(names, ["10 KB", "1 MB"]);
    // The two uploads of the look before are not among them.
    let operations: u64 = sizes.iter().filter_map(|size| size["operations"].as_u64()).sum();
    assert_eq!(operations, 60, "{sizes:?}");
    for size in sizes {
        let shares = size["phases"].as_array().expect("is a list");
        let sum: f64 = shares.iter().filter_map(|share| share["share_pct"].as_f64()).sum();
        assert_eq!(shares.len(), PHASES.len(), "{size}");
        assert!((95.0..=100.001).contains(&sum), "{size}");
    }
    // Behind all keys that were there before.
    let text = std::fs::read_to_string(load.file("load.json")).expect("is there");
    assert!(text.find("\"seconds\"") < text.find("\"service_phases\""), "{text}");

    let record = load.file("load.run.json");
    let again = Load::new(&["--replay", record.to_str().expect("is UTF-8")]).run();
    assert_eq!((again.code, &again.stdout), (first.code, &first.stdout), "{}", again.stderr);

    let silent = Load::new(&args);
    silent.run();
    for file in ["load.json", "load.run.json"] {
        let text = std::fs::read_to_string(silent.file(file)).expect("is there");
        assert!(!text.contains("\"service_phases\"") && !text.contains("\"entry\""), "{file}");
    }
}

#[test]
fn only_the_stub_can_be_asked_for_phases() {
    let load = Load::against("http://127.0.0.1:9", &["--users", "1", "--requests", "1", "--phases"]);
    let run = load.run();
    assert!(run.exits(2).starts_with("error: --phases: is for the stub in this process"), "{}", run.stderr);
    assert!(!load.file("load.json").exists(), "measured all the same");
}
