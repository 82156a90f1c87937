//! Promise: what the stub says it has stored is stored, with its record and its checksum; what it refused or never
//! answered has left nothing; and no disk, name or element makes it otherwise.

#![cfg(target_os = "linux")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::bench::{Bench, Run};
use common::form::{Upload, names, sha256, stored, within_five_seconds};
use common::load::choose;
use common::serve::Serve;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

/// The stub, storing in this folder.
fn serve_in(dir: &Path) -> Serve {
    Serve::with(&["--storage", &spec(dir)])
}

fn spec(dir: &Path) -> String {
    format!("dir:{}", dir.display())
}

/// A folder for a test, and one in it that files are stored in.
fn place() -> (TempDir, PathBuf) {
    let place = TempDir::new().expect("makes one");
    let files = place.path().join("files");
    (place, files)
}

/// Asserts that nothing is in this folder, or soon will be.
#[track_caller]
fn becomes_empty(dir: &Path) {
    within_five_seconds("something is left behind", || names(dir) == (Vec::new(), Vec::new()));
}

/// The name of the only file in this folder.
#[track_caller]
fn only_file(dir: &Path) -> String {
    within_five_seconds("something hidden is left behind", || names(dir).1.is_empty());
    let (mut visible, _) = names(dir);
    assert_eq!(visible.len(), 1, "{visible:?}");
    visible.remove(0)
}

#[test]
fn a_stored_file_is_there_with_its_record() {
    let (_place, files) = place();
    let serve = serve_in(&files);
    // More than is written at once (`PIECE` in `stub/storage/dir.rs`), and less.
    for content in [vec![b'x'; 1_000_000], b"abc".to_vec()] {
        let fields = [("retention_policy", "temporary"), ("ttl_days", "7")];
        let answer = Upload { name: "é.txt", fields: &fields, content: &content }.send(&serve);
        assert_eq!(answer.status, 201);
        assert_eq!(answer.json["checksum"], sha256(&content).as_str());
        assert_eq!(answer.json["storage_element_id"], "dir-1");
        let record = stored(&files, answer.json["file_id"].as_str().expect("has an id"));
        assert_eq!(record["original_filename"], "é.txt");
        assert_eq!(record["retention_policy"], "temporary");
        assert_eq!(record["storage_element_id"], "dir-1");
        assert_eq!(record["size"], content.len());
    }
    let (visible, hidden) = names(&files);
    assert_eq!((visible.len(), hidden.len()), (2, 0));
    assert!(serve.interrupt().1.contains("Took in 2 files"));
}

#[test]
fn a_form_that_is_refused_at_its_end_stores_nothing() {
    let (_place, files) = place();
    let serve = serve_in(&files);
    for upload in [Upload::of(b""), Upload { name: "", ..Upload::of(b"abc") }] {
        assert_eq!(upload.send(&serve).status, 422);
    }
    becomes_empty(&files);
}

#[test]
fn names_are_told_as_sent_and_are_never_a_path() {
    let (place, files) = place();
    let serve = serve_in(&files);
    let absolute = place.path().join("absolute").display().to_string();
    let mut sent: Vec<String> = [
        "../outside",
        "../../../../etc/passwd",
        "..\\outside",
        "/",
        ".",
        "..",
        "content",
        "record.json",
        ".tmp-x",
        "a/b/c",
        "日本 \u{feff}",
        "%2e%2e%2foutside",
        "\"quoted\"",
        "con:*?<>|",
    ]
    .map(str::to_owned)
    .to_vec();
    sent.push(absolute);
    // Longer than most file systems allow for a name.
    sent.push("x".repeat(1024));
    let parts =
        ["..", "/", "\\", ".", "a", " ", "é", "日", "\u{200d}", "~", "$(x)", "%2f", ":", "\"", "'", "files"];
    let mut random = Xoshiro256PlusPlus::seed_from_u64(14);
    for _ in 0..choose(1000, 200) {
        let length = random.random_range(1..12);
        sent.push((0..length).map(|_| parts[random.random_range(0..parts.len())]).collect());
    }
    for name in &sent {
        let answer = Upload { name, ..Upload::of(b"abc") }.send(&serve);
        assert_eq!(
            (answer.status, &answer.json["original_filename"]),
            (201, &name.as_str().into()),
            "{name:?}"
        );
        let record = stored(&files, answer.json["file_id"].as_str().expect("has an id"));
        assert_eq!(record["original_filename"], name.as_str());
    }
    // Longer than the service keeps, and shown as something else than it is.
    for name in [&*"x".repeat(1025), "\u{202e}txt.exe"] {
        assert_eq!(Upload { name, ..Upload::of(b"abc") }.send(&serve).status, 422, "{name:?}");
    }
    // A header cannot hold these (RFC 9110, 5.5).
    for name in ["a\0b", "a\nb", "a\u{1b}[31m", "\u{7f}"] {
        assert_eq!(Upload { name, ..Upload::of(b"abc") }.send(&serve).status, 400, "{name:?}");
    }
    let (visible, hidden) = names(&files);
    assert_eq!((visible.len(), hidden.len()), (sent.len(), 0));
    for id in visible {
        assert!(uuid::Uuid::parse_str(&id).is_ok(), "{id}");
        assert_eq!(names(&files.join(id)).0, ["content", "record.json"]);
    }
    // Nothing beside the folder of files.
    assert_eq!(names(place.path()), (vec!["files".to_owned()], Vec::new()));
}

/// Open descriptors of a process.
fn descriptors(serve: &Serve) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", serve.child.id())).expect("it runs").count()
}

#[test]
fn uploads_that_break_off_leave_nothing() {
    let (_place, files) = place();
    let serve = serve_in(&files);
    let content = vec![b'x'; 600_000];
    let upload = Upload::of(&content);
    let whole = upload.body().len();
    // One that is complete first: what a process opens once is no trace of the others.
    let first = upload.send(&serve);
    assert_eq!(first.status, 201);
    std::thread::sleep(Duration::from_millis(200));
    let before = descriptors(&serve);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1000);
    for number in 0..1000 {
        // The last four bytes are the end of the last boundary and a line break, of which the latter may be missing.
        let bytes = random.random_range(0..whole - 4);
        if let Some(answer) = upload.send_cut(&serve, bytes, number % 2 == 0) {
            assert_eq!(answer.status, 400, "cut at {bytes} of {whole}");
        }
    }
    within_five_seconds("a temporary file is left", || names(&files).1.is_empty());
    within_five_seconds("descriptors are left open", || descriptors(&serve) <= before);
    assert_eq!(names(&files).0, [first.json["file_id"].as_str().expect("has an id")]);
    assert!(serve.interrupt().1.contains("Took in 1 files"));
}

/// Id and checksum of every upload that was answered with 201.
type Promised = Mutex<Vec<(String, String)>>;

/// Uploads files of random sizes, one after the other, until it is told to end.
fn upload_until(ended: &AtomicBool, serve: &Serve, seed: u64, promised: &Promised) {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    while !ended.load(Ordering::SeqCst) {
        let content = vec![b'x'; random.random_range(1..800_000)];
        // Without an answer, nothing was promised.
        let answer = Upload::of(&content).try_send(&serve.address, &serve.token);
        if let Some(answer) = answer.filter(|answer| answer.status == 201) {
            let id = answer.json["file_id"].as_str().expect("has an id").to_owned();
            promised.lock().expect("is whole").push((id, sha256(&content)));
        }
    }
}

#[test]
fn what_was_answered_survives_a_killed_process_and_nothing_half_written_is_seen() {
    let (_place, files) = place();
    let serve = serve_in(&files);
    let promised = Promised::default();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for seed in 0..8 {
            scope.spawn({
                let ended = &ended;
                let serve = &serve;
                let promised = &promised;
                move || upload_until(ended, serve, seed, promised)
            });
        }
        let started = Instant::now();
        while promised.lock().expect("is whole").len() < 200 && started.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let killed = Command::new("kill").args(["-KILL", &serve.child.id().to_string()]).status();
        // First of all, so that no thread goes on for ever where something is wrong.
        ended.store(true, Ordering::SeqCst);
        assert!(killed.expect("kill exists").success());
    });
    let promised = promised.into_inner().expect("is whole");
    assert!(promised.len() >= 200, "only {} uploads in a minute", promised.len());
    drop(serve);
    let (visible, _) = names(&files);
    for id in &visible {
        stored(&files, id);
    }
    for (id, checksum) in promised {
        assert_eq!(stored(&files, &id)["sha256"], checksum.as_str());
    }
    // The next process removes what this one had begun, and nothing else.
    let next = serve_in(&files);
    assert_eq!(names(&files), (visible, Vec::new()));
    next.interrupt();
}

/// A file system in memory. It is unmounted when this is dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn of(kb: u32) -> Self {
        let dir = TempDir::new().expect("makes one");
        let path = dir.path().to_str().expect("is UTF-8").to_owned();
        let mounted =
            as_root(&["mount", "-t", "tmpfs", "-o", &format!("size={kb}k"), "ingester-perf", &path]);
        assert!(
            mounted,
            "this test mounts a small file system: run it as root, or where sudo asks for no password"
        );
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Also while something in it is still open: it goes away with that.
        as_root(&["umount", "-l", self.0.path().to_str().expect("is UTF-8")]);
    }
}

/// Runs a command, with sudo if it does not succeed without.
fn as_root(command: &[&str]) -> bool {
    succeeds(Command::new(command[0]).args(&command[1..]))
        || succeeds(Command::new("sudo").arg("-n").args(command))
}

fn succeeds(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}

#[test]
fn a_full_disk_is_507_and_nothing_is_left_behind() {
    let disk = SmallDisk::of(1024);
    let serve = serve_in(disk.path());
    let large = vec![b'x'; 4 << 20];
    // Known before it arrives, and found out while it does.
    assert_eq!(Upload::of(&large).send(&serve).status, 507);
    assert_eq!(Upload::of(&large).send_in_chunks(&serve).status, 507);
    becomes_empty(disk.path());
    // What fits is stored all the same.
    let answer = Upload::of(&large[..100_000]).send_in_chunks(&serve);
    assert_eq!(answer.status, 201);
    assert_eq!(answer.json["file_id"], only_file(disk.path()).as_str());
    assert!(serve.interrupt().1.contains("Took in 1 files"));
}

#[test]
fn where_one_disk_is_full_the_next_one_takes_the_file() {
    let (_place, files) = place();
    let disk = SmallDisk::of(512);
    let serve = Serve::with(&["--storage", &spec(disk.path()), "--storage", &spec(&files)]);
    // Passed over at once, and found to be full when 512 KB of 900 KB had arrived, all of which was still held.
    for (content, announced) in [(vec![b'x'; 4 << 20], true), (vec![b'y'; 900_000], false)] {
        let upload = Upload::of(&content);
        let answer = if announced { upload.send(&serve) } else { upload.send_in_chunks(&serve) };
        assert_eq!(answer.status, 201);
        assert_eq!(answer.json["storage_element_id"], "dir-2");
        assert_eq!(answer.json["checksum"], sha256(&content).as_str());
        let record = stored(&files, answer.json["file_id"].as_str().expect("has an id"));
        assert_eq!(record["storage_element_id"], "dir-2");
    }
    becomes_empty(disk.path());
    serve.interrupt();
}

#[test]
fn more_than_is_held_cannot_move_to_the_next_disk() {
    let (_place, files) = place();
    // Full after 2 MB; of a file, 1 MB is held (`MAX_HELD` in `stub/storage/writing.rs`).
    let disk = SmallDisk::of(2048);
    let serve = Serve::with(&["--storage", &spec(disk.path()), "--storage", &spec(&files)]);
    let content = vec![b'x'; 6 << 20];
    assert_eq!(Upload::of(&content).send_in_chunks(&serve).status, 507);
    becomes_empty(disk.path());
    becomes_empty(&files);
    serve.interrupt();
}

#[test]
fn a_policy_that_no_element_takes_is_503_with_when_to_try_again() {
    let (_place, files) = place();
    let serve = Serve::with(&["--storage", &format!("{},mode=edit", spec(&files))]);
    let permanent = [("retention_policy", "permanent")];
    let answer = Upload { fields: &permanent, ..Upload::of(b"abc") }.send(&serve);
    assert_eq!(answer.status, 503);
    assert!(answer.head.contains("retry-after: 30"), "{}", answer.head);
    becomes_empty(&files);
    assert_eq!(Upload::of(b"abc").send(&serve).status, 201);
    serve.interrupt();
}

/// A stub that stores on another stub, whose token is in `token` in this folder.
fn serve_on(element: &Serve, dir: &TempDir, more: &[&str]) -> Serve {
    let token = dir.path().join("token");
    let spec = format!("element:http://{}", element.address);
    let args = [&["--storage", spec.as_str()], more].concat();
    Serve::with_env(&args, &[("INGESTER_ELEMENT_TOKEN_FILE", token.to_str().expect("is UTF-8"))])
}

#[test]
fn a_storage_element_elsewhere_has_what_was_uploaded_here() {
    let (place, files) = place();
    let element = serve_in(&files);
    std::fs::write(place.path().join("token"), &element.token).expect("writes");
    let serve = serve_on(&element, &place, &[]);
    // The second is more than fits into the buffers between the two.
    for content in [b"abc".to_vec(), vec![b'x'; 5_000_000]] {
        let permanent = [("retention_policy", "permanent")];
        let answer = Upload { fields: &permanent, ..Upload::of(&content) }.send(&serve);
        assert_eq!(answer.status, 201);
        assert_eq!(answer.json["storage_element_id"], "element-1");
        assert_eq!(answer.json["storage_element_url"], format!("http://{}", element.address).as_str());
        assert_eq!(answer.json["checksum"], sha256(&content).as_str());
        // The element's own id is another one.
        let id = only_file(&files);
        let record = stored(&files, &id);
        assert_eq!(record["sha256"], sha256(&content).as_str());
        assert_eq!(
            (&record["original_filename"], &record["retention_policy"]),
            (&"a.txt".into(), &"permanent".into())
        );
        std::fs::remove_dir_all(files.join(id)).expect("removes");
    }
    // What breaks off here breaks off there.
    let content = vec![b'x'; 3_000_000];
    let cut = Upload::of(&content).send_cut(&serve, 2_000_000, true).expect("answers");
    assert_eq!(cut.status, 400);
    becomes_empty(&files);
    serve.interrupt();
    assert!(element.interrupt().1.contains("Took in 2 files"));
}

#[test]
fn a_storage_element_that_is_gone_is_502() {
    let (place, files) = place();
    let element = serve_in(&files);
    std::fs::write(place.path().join("token"), &element.token).expect("writes");
    let serve = serve_on(&element, &place, &[]);
    element.interrupt();
    let answer = Upload::of(b"abc").send(&serve);
    assert_eq!(answer.status, 502);
    // What failed is the operator's to know.
    assert_eq!(answer.json["detail"], "Storage element failed");
    let (_, said) = serve.interrupt();
    assert!(said.contains("element-1: Connection refused"), "{said}");
}

#[test]
fn a_storage_element_that_is_full_is_507_or_the_next_one() {
    let (place, files) = place();
    let disk = SmallDisk::of(512);
    let element = serve_in(disk.path());
    std::fs::write(place.path().join("token"), &element.token).expect("writes");
    let content = vec![b'x'; 900_000];
    let alone = serve_on(&element, &place, &[]);
    assert_eq!(Upload::of(&content).send(&alone).status, 507);
    let two = serve_on(&element, &place, &["--storage", &spec(&files)]);
    let answer = Upload::of(&content).send(&two);
    assert_eq!((answer.status, &answer.json["storage_element_id"]), (201, &"dir-2".into()));
    assert_eq!(stored(&files, &only_file(&files))["sha256"], sha256(&content).as_str());
    becomes_empty(disk.path());
}

#[test]
fn a_renewed_token_is_found_once_the_old_one_is_refused() {
    let (place, files) = place();
    let element = serve_in(&files);
    let token = place.path().join("token");
    std::fs::write(&token, "an.old.token").expect("writes");
    let serve = serve_on(&element, &place, &[]);
    let refused = Upload::of(b"abc").send(&serve);
    assert_eq!(refused.status, 502);
    std::fs::write(&token, &element.token).expect("writes");
    assert_eq!(Upload::of(b"abc").send(&serve).status, 201);
    only_file(&files);
    let (_, said) = serve.interrupt();
    assert!(said.contains("401"), "{said}");
}

#[test]
fn a_storage_that_cannot_be_used_exits_2_and_says_why() {
    for (storage, says) in [
        ("tape:x", "--storage: is not a storage element; write discard, dir:PATH"),
        ("dir:/dev/null/x", "the folder cannot be used"),
        ("element:http://127.0.0.1:9", "set INGESTER_ELEMENT_TOKEN_FILE"),
        ("element:http://u:hush@host", "must not hold a password"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ingester-perf"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--storage", storage]);
        let run: Run = command.env_remove("INGESTER_ELEMENT_TOKEN_FILE").output().expect("starts").into();
        assert!(run.exits(2).contains(says), "{}", run.stderr);
        assert!(!run.output().contains("hush"), "{}", run.output());
    }
}

#[test]
fn a_bench_measures_with_the_disk_in_the_path_and_leaves_nothing_there() {
    let (_place, files) = place();
    let bench = Bench::new("upload").env("INGESTER_STORAGE", spec(&files));
    // A disk may be slower than what the project's own targets ask for.
    let targets = bench.dir.path().join("targets.toml");
    std::fs::write(&targets, "[upload_small_file]\nsuccess_rate_pct = 99\n").expect("writes");
    let bench = bench.env("INGESTER_TARGETS", targets.to_str().expect("is UTF-8"));
    let run = bench.short(&["10KB"]).exited(0);
    assert!(run.stderr.contains(&format!("Measuring stub with {}", spec(&files))), "{}", run.stderr);
    let report = bench.report("upload_small_file");
    assert_eq!(report["success_rate_pct"], 100.0);
    becomes_empty(&files);
}
