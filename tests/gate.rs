//! Promise: the gate tells a slower build from a build that is none, and says plainly where it cannot tell.

#![cfg(unix)]

mod common;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::bench::{Run, read_json};
use common::gate::{ACCEPTED, Bench, FAKE_CARGO, GATE, Repository, SLOWER, STEADY, Worker};
use common::serve::{Serve, key_file};

#[test]
fn a_slower_head_fails_a_faster_one_passes_and_the_slices_replay_to_the_same_verdict() {
    let bench = Bench::new();
    let steady = bench.worker("steady", STEADY);
    let slower = bench.worker("slower", SLOWER);
    let run = bench.compare(&steady, &slower, &[]);
    run.exits(1);
    assert!(run.stdout.contains("FAILED, slower: jwt/validate"), "{}", run.stdout);
    assert!(run.stdout.contains("+5.0 % [+5.0 %, +5.0 %]"), "{}", run.stdout);
    let out = bench.path("out");
    assert_eq!(read_json(&out.join("verdict.json"))["conclusion"], "regression");
    let summary = std::fs::read_to_string(out.join("summary.md")).expect("is there");
    assert!(summary.starts_with("### Gate: FAILED") && summary.contains("| `jwt/validate` |"), "{summary}");

    let replay = Command::new(GATE).arg("gate").arg("--replay").arg(&out).output().expect("starts");
    assert_eq!((replay.status.code(), String::from_utf8_lossy(&replay.stdout)), (Some(1), run.stdout.into()));

    let faster = bench.compare(&slower, &steady, &[]);
    faster.exits(0);
    assert_eq!(read_json(&out.join("verdict.json"))["conclusion"], "pass", "in place of the last");
    assert!(faster.stdout.contains("faster") && faster.stdout.contains("passed"), "{}", faster.stdout);
}

#[test]
fn a_case_may_have_a_threshold_of_its_own_and_threads_without_cores_are_said() {
    let bench = Bench::new();
    // 5 % slower, where the case fails from 10 % on.
    let steady = bench.worker("steady", STEADY);
    let slower = bench.worker("slower", SLOWER);
    let targets = bench.path("targets.toml");
    std::fs::write(&targets, "[jwt_validation]\ngate_threshold_pct = 10\n").expect("writes");
    let mut gate = bench.gate(&Bench::arms(&steady, &slower));
    let run: Run = gate
        .env("INGESTER_TARGETS", &targets)
        .env("INGESTER_PLACEMENT", "none")
        .output()
        .expect("starts")
        .into();
    assert_eq!(run.code, Some(0), "{}", run.output());
    assert!(run.stdout.contains("jwt/validate fails from 10 % on."), "{}", run.stdout);
    assert!(run.stdout.contains("Note: client and stub could not be given a core"), "{}", run.stdout);
}

#[test]
fn identical_builds_pass_without_being_measured() {
    let bench = Bench::new();
    let run = bench.compare(Path::new(GATE), Path::new(GATE), &[]);
    run.exits(0);
    assert!(run.stdout.contains("identical builds: there is nothing to measure"), "{}", run.stdout);
    assert!(bench.path("out/summary.md").exists() && !bench.path("out/slices.json").exists());
    let verdict = read_json(&bench.path("out/verdict.json"));
    assert_eq!(verdict["conclusion"], "pass", "{verdict}");
    assert_eq!(verdict["identical"], true, "{verdict}");
}

#[test]
fn only_what_cannot_differ_passes_without_being_measured() {
    let bench = Bench::new();
    // The scripts are the same, and what lies beside them is not.
    let script = bench.worker("worker", STEADY);
    let run = bench.compare(&script, &script, &[]);
    run.exits(0);
    assert!(run.stdout.contains("passed, no case got slower"), "{}", run.stdout);
    // The same service on both sides, written in two ways.
    let urls = ["--base-url", "http://127.0.0.1:9", "--head-url", "http://127.0.0.1:9/"];
    let mut gate = bench.gate(&urls);
    let run: Run = gate.env("INGESTER_TOKEN", "a.b.c").output().expect("starts").into();
    assert!(run.exits(2).contains("--head-url: is the same as --base-url"), "{}", run.output());
    let run = bench.compare(Path::new(GATE), Path::new(GATE), &["--case", "upload/1TB"]);
    assert!(run.exits(2).contains("--case: there is no upload/1TB"), "{}", run.output());
}

#[test]
fn a_control_that_is_not_slowed_makes_the_run_inconclusive() {
    let bench = Bench::new();
    // Head is 5 % slower, and the run does not fail for it: a gate that misses the slowdown which it has ordered itself is
    // not to be believed about any other.
    let lazy = bench.worker("lazy", "slice(2_000_000, spins=False)");
    let run = bench.compare(&lazy, &bench.worker("slower", SLOWER), &[]);
    run.exits(3);
    assert!(run.stdout.contains("did not come out slower"), "{}", run.stdout);
}

#[test]
fn a_head_whose_processes_differ_is_never_a_pass() {
    let bench = Bench::new();
    // Every other process is 35 % slower.
    let moody = "slice(2_000_000 if start % 2 else 2_700_000)";
    let run = bench.compare(&bench.worker("base", STEADY), &bench.worker("moody", moody), &[]);
    run.exits(3);
    assert!(run.stdout.contains("inconclusive: jwt/validate undecided"), "{}", run.stdout);
}

#[test]
fn a_session_with_an_undecided_case_goes_on_to_the_most_pairs_and_says_so() {
    let bench = Bench::new();
    // Every other process is 35 % slower, so that no number of pairs decides it.
    let moody = bench.worker("moody", "slice(2_000_000 if start % 2 else 2_700_000)");
    let run = bench.compare(&bench.worker("base", STEADY), &moody, &["--max-pairs", "14"]);
    run.exits(3);
    let says = "14 pairs of processes (10 planned, the others because a case was undecided)";
    assert!(run.stdout.contains(says), "{}", run.stdout);
    assert!(run.stderr.contains("pair 11 of at most 14, as a case is undecided"), "{}", run.stderr);
    let record = read_json(&bench.path("out/slices.json"));
    assert_eq!(record["numbers"].as_array().map(Vec::len), Some(14), "{record}");
}

#[test]
fn drift_and_two_speeds_within_a_process_are_no_difference() {
    let bench = Bench::new();
    // A worker that becomes 0.1 % slower with every slice, and one that changes by 35 % every five slices; head does the
    // same as base.
    for (name, slice) in
        [("drifts", "slice(2_000_000 + 2_000 * n)"), ("changes", "slice(2_000_000 + n // 5 % 2 * 700_000)")]
    {
        let one = bench.worker(name, slice);
        let other = bench.worker("other", &format!("{slice}; pass"));
        bench.compare(&one, &other, &[]).exits(0);
    }
}

#[test]
fn clocks_that_do_not_agree_with_the_gates_are_named_with_their_arm() {
    let bench = Bench::new();
    let base = bench.worker("base", STEADY);
    let frozen = distrusted(
        &bench,
        &base,
        "frozen",
        r#"time.sleep(0.0021); say({"slice": {"value": 2_000_000, "spun": 0}})"#,
    );
    assert!(
        frozen.contains("every slice of head took exactly 2000000 ns: its clock stands still"),
        "{frozen}"
    );
    // It takes three times as long and does not notice: what stands out beside the other tests. Unit tests have 3 %.
    let slow = distrusted(&bench, &base, "slow", "slice(6_000_000, clock=1 / 3)");
    assert!(slow.contains("by the gate's clock, head took"), "{slow}");
    // The time that it tells is right, and it works for twice as long outside of it.
    let hides = distrusted(&bench, &base, "hides", "slice(2_000_000, hidden_ns=4_000_000)");
    assert!(hides.contains("or it works outside the timed part"), "{hides}");
}

/// Compares with a head whose clock is wrong. Returns what is said of it.
fn distrusted(bench: &Bench, base: &Path, name: &str, slice: &str) -> String {
    let run = bench.compare(base, &bench.worker(name, slice), &[]);
    run.exits(3);
    assert!(run.stdout.contains("inconclusive: jwt/validate not to be trusted"), "{}", run.stdout);
    run.stdout
}

#[test]
fn operations_that_stall_are_found_in_the_tail() {
    // A thousand operations a pair, 3 % of them at 200 µs; in head 20 of those take 5 ms. The slices stay the same.
    let bench = Bench::new();
    let latencies = "slice(2_000_000); latencies = [[100_000, 970], [200_000, 30]]";
    let base = bench.worker("base", latencies);
    let stalls =
        bench.worker("stalls", &latencies.replace("[200_000, 30]", "[200_000, 10], [5_000_000, 20]"));
    let run = bench.compare(&base, &stalls, &[]);
    run.exits(1);
    assert!(run.stdout.contains("SLOWER in the tail"), "{}", run.stdout);
    let sentence = "jwt/validate: p99 was 200 µs, is 5 ms; 2 % of the operations take longer";
    assert!(run.stdout.contains(sentence), "{}", run.stdout);
    assert!(run.stdout.contains("FAILED, slower: jwt/validate"), "{}", run.stdout);
    let tail = &read_json(&bench.path("out/verdict.json"))["cases"][0]["tail"];
    assert_eq!(tail["regressed"], true, "{tail}");
    let late = tail["head_late"].as_f64().expect("is a number");
    assert!((late - 0.02).abs() < 1e-9, "{tail}");
    assert_eq!(tail["control_late"], 0.0, "{tail}");
}

#[test]
fn what_is_counted_need_not_be_time() {
    let bench = Bench::new();
    let counts = Worker { measure: "allocations", cases: &["parse"], ..Worker::default() };
    let base = bench.worker_with("base", &counts, &allocates(100));
    let run = bench.compare(&base, &bench.worker_with("head", &counts, &allocates(103)), &[]);
    run.exits(1);
    assert!(
        run.stdout.contains("100 allocations") && run.stdout.contains("103 allocations"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("+3.0 % [+3.0 %, +3.0 %]"), "{}", run.stdout);
    let times = bench.worker_with("times", &Worker { cases: &["parse"], ..Worker::default() }, STEADY);
    let run = bench.compare(&base, &times, &[]);
    assert!(
        run.exits(2)
            .contains("of base measures allocations, that of head wall time: they cannot be compared")
    );
}

/// A slice that counts so many allocations an iteration. It takes the same time whatever it counts.
fn allocates(allocations: u32) -> String {
    format!(
        "asked = request['slice']; value = {allocations} * asked['iters']; time.sleep(0.002); \
         say({{'slice': {{'value': value, 'spun': int(value * asked['spin'])}}}})"
    )
}

#[test]
fn the_example_in_python_is_a_worker() {
    let bench = Bench::new();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/worker.py");
    let example = std::fs::read_to_string(path).expect("is there");
    // Twice the work, as in docs/worker.md. The example measures real time: it may need a second try.
    let slower = example.replace("hashlib.sha256(data)", "hashlib.sha256(data + data)");
    assert_ne!(example, slower);
    let base = bench.script("worker.py", &example);
    let head = bench.script("slower.py", &slower);
    let run = tried(|| bench.compare(&base, &head, &["--budget", "2s"]), 1);
    assert!(run.stdout.contains("FAILED, slower: hash/1MB"), "{}", run.stdout);
}

#[test]
fn a_worker_that_cannot_be_measured_is_named_with_what_it_did_and_where() {
    let bench = Bench::new();
    // A worker that ends, that answers with something else than an answer, or with more than one.
    let dies = bench.fails("dies", "slice(2_000_000) if n < 4 else sys.exit(1)");
    assert!(dies.starts_with("error: jwt/validate, pair 1: head ("), "{dies}");
    assert!(dies.contains("dies): its worker ended unexpectedly"), "{dies}");
    let garbage = bench.fails("garbage", r"print('lorem \033[31mipsum', flush=True)");
    assert!(garbage.contains(r#"is not one of the protocol's: "lorem \u{1b}[31mipsum""#), "{garbage}");
    assert!(garbage.contains("print everything else to standard error"), "{garbage}");
    let endless = bench.fails("endless", "sys.stdout.write('0' * 1_000_000); sys.stdout.flush()");
    assert!(endless.contains("a line is too long"), "{endless}");
    let binary = bench.fails("binary", r"sys.stdout.buffer.write(b'\377\376\n'); sys.stdout.buffer.flush()");
    assert!(binary.contains("cannot be read"), "{binary}");
    let chatty = bench.fails("chatty", "slice(2_000_000); slice(2_000_000)");
    assert!(chatty.contains("answered more than it was asked"), "{chatty}");
    // Answers in the right form with values that cannot be: no slice lasts 584 years or no time at all.
    let eternal = bench.fails("eternal", r#"say({"slice": {"value": 2**64 - 1, "spun": 0}})"#);
    assert!(eternal.contains("something else than was asked"), "{eternal}");
    let timeless = bench.fails("timeless", r#"say({"slice": {"value": 0, "spun": 0}})"#);
    assert!(timeless.contains("something else than was asked"), "{timeless}");
    // Its own reason is quoted, without what would rule a terminal.
    let failing =
        bench.fails("failing", r#"say({"failed": {"problem": "3 of 10 operations failed\033[2J"}})"#);
    assert!(failing.contains(r"3 of 10 operations failed\u{1b}[2J"), "{failing}");
    // Latencies have to be ascending.
    let disorderly = bench.fails("disorderly", "slice(2_000_000); latencies = [[2, 1], [1, 1]]");
    assert!(disorderly.contains("something else than was asked"), "{disorderly}");
}

#[test]
fn a_worker_that_hangs_is_given_up_and_ended() {
    let bench = Bench::new();
    let started = Instant::now();
    // The time limit of an upload, 500 ms here, and five seconds.
    let hangs = bench.fails("hangs", "time.sleep(1000)");
    assert!(hangs.contains("did not answer within 5s 500ms"), "{hangs}");
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn what_is_no_worker_of_this_protocol_is_refused_before_anything_is_measured() {
    let bench = Bench::new();
    let base = bench.worker("base", STEADY);
    let other = bench.worker_with("other", &Worker { protocol: 99, ..Worker::default() }, STEADY);
    let why = refused(&bench, &base, &other);
    assert!(why.contains("speaks version 99 of the protocol"), "{why}");
    let why = refused(&bench, &base, Path::new("/bin/true"));
    assert!(why.contains("is it a build of ingester-perf that has the gate?"));
    let why = refused(&bench, &base, &bench.path("missing"));
    assert!(why.contains("cannot run"), "{why}");
    std::fs::write(bench.path("text"), "no program").expect("writes");
    assert!(refused(&bench, &base, &bench.path("text")).contains("cannot start"));
    // Reading a pipe would wait for ever for somebody who writes.
    let made = Command::new("mkfifo").arg(bench.path("pipe")).status().expect("mkfifo exists");
    let why = refused(&bench, &base, &bench.path("pipe"));
    assert!(made.success() && why.contains("is a pipe; a plain file is needed"));

    // A worker that says it is another build than the file that was started: a script that calls an old build would.
    let liar = bench.worker("liar", STEADY);
    let text = std::fs::read_to_string(&liar).expect("is there").replace("hexdigest()", "hexdigest()[::-1]");
    std::fs::write(&liar, text).expect("writes");
    assert!(refused(&bench, &base, &liar).contains("another executable answers"));
}

/// The line that says why this head is not measured.
fn refused(bench: &Bench, base: &Path, head: &Path) -> String {
    bench.compare(base, head, &[]).exits(2).to_owned()
}

#[test]
fn a_case_that_head_lacks_is_no_pass_unless_that_is_allowed() {
    let bench = Bench::new();
    let base = worker_of(&bench, "base", &["old/case", "jwt/validate"]);
    let head = worker_of(&bench, "head", &["jwt/validate", "new/case"]);
    let run = bench.compare(&base, &head, &[]);
    run.exits(3);
    let says = "inconclusive: old/case missing in head: allow that with --allow-missing";
    assert!(run.stdout.contains(says), "{}", run.stdout);
    assert!(run.stdout.contains("Only head has, so not compared: new/case."), "{}", run.stdout);
    let run = bench.compare(&base, &head, &["--allow-missing", "old/case"]);
    run.exits(0);
    assert!(run.stdout.contains("Head lacks, as is allowed: old/case."), "{}", run.stdout);
    // What was not asked for is not missed; what was is.
    bench.compare(&base, &head, &["--case", "jwt/validate"]).exits(0);
    bench.compare(&base, &head, &["--case", "jwt/validate", "--case", "old/case"]).exits(3);

    let stranger = worker_of(&bench, "stranger", &["new/case"]);
    assert!(bench.compare(&base, &stranger, &[]).exits(2).contains("no case in common"));
    let run = bench.compare(&base, &head, &["--case", "new/case"]);
    assert!(run.exits(2).contains("new/case cannot be compared; there are jwt/validate"));
}

/// A worker that has these cases.
fn worker_of(bench: &Bench, name: &str, cases: &[&str]) -> PathBuf {
    bench.worker_with(name, &Worker { cases, ..Worker::default() }, STEADY)
}

#[test]
fn a_proven_slowdown_fails_whatever_another_cases_control_says() {
    let bench = Bench::new();
    let worker = Worker { cases: &["jwt/validate", "odd/case"], ..Worker::default() };
    // The control of the odd case does not spin.
    let base = bench.worker_with("base", &worker, "slice(2_000_000, spins=case != 'odd/case')");
    let head = bench.worker_with("head", &worker, "slice(2_100_000 if case != 'odd/case' else 2_000_000)");
    let run = bench.compare(&base, &head, &[]);
    run.exits(1);
    assert!(run.stdout.contains("FAILED, slower: jwt/validate\n"), "{}", run.stdout);
    assert!(run.stdout.contains("Not to be trusted: odd/case: base slowed by 5 %"), "{}", run.stdout);
}

#[test]
fn a_case_that_is_too_slow_for_the_budget_is_not_passed() {
    // A block has six slices of 0.2 s, and the whole session has half a second.
    let bench = Bench::new();
    let base = bench.worker("base", "slice(200_000_000)");
    let run = bench.compare(&base, &bench.worker("head", "slice(200_000_000); pass"), &[]);
    run.exits(3);
    assert!(run.stdout.contains("too slow to judge"), "{}", run.stdout);
}

#[test]
fn wrong_arguments_are_one_line_and_nothing_starts() {
    let bench = Bench::new();
    let base = bench.worker("base", STEADY);
    let head = bench.worker("head", SLOWER);
    for (args, says) in [
        (["--pairs", "5"].as_slice(), "from 10 to 200"),
        (&["--pairs", "10", "--alpha", "0.01%"], "cannot reach a false-alarm rate"),
        (&["--max-pairs", "9"], "is not from 10 (--pairs) to 200"),
        (&["--margin", "5%"], "above --threshold"),
        (&["--counters-show", "6%"], "--counters-show: 6 % is above --counters-fail 5 %"),
        (&["--threshold", "2"], "write a number from 0 to 100 with %"),
        (&["--budget", "0s"], "no time to measure in"),
        (&["--budget", "soon"], "--budget"),
    ] {
        let run = bench.compare(&base, &head, args);
        assert_eq!(run.code, Some(2), "{args:?}: {}", run.output());
        assert!(run.stderr.contains(says) && run.stdout.is_empty(), "{args:?}: {}", run.output());
    }
    let missing = Command::new(GATE).args(["gate", "--replay", "no/such/folder"]).output().expect("starts");
    let missing: Run = missing.into();
    assert!(missing.exits(2).contains("no/such/folder/slices.json: cannot read"));
}

#[test]
fn sides_of_two_kinds_cannot_be_mixed() {
    let sides = [
        ["--base", "main"],
        ["--head", "main"],
        ["--base-exe", "no/such/file"],
        ["--head-exe", "no/such/file"],
        ["--base-url", "http://127.0.0.1:9"],
        ["--head-url", "http://127.0.0.1:9"],
    ];
    // What follows --base or --head is the kind.
    for (i, one) in sides.iter().enumerate() {
        for other in sides[i + 1..].iter().filter(|other| other[0][6..] != one[0][6..]) {
            refuses(&[*one, *other].concat(), "cannot be used with");
        }
    }
    refuses(&["--base-release", "--base", "main"], "cannot be used with");
    refuses(&["--base-release", "--base-exe", "a", "--head-exe", "b"], "cannot be used with");
    // A commit alone is compared with this tree, or with where the branch left main; an executable or a URL is not.
    for alone in &sides[2..] {
        refuses(alone, "required arguments were not provided");
    }
}

/// Asserts that the gate does nothing with these arguments, and says this.
fn refuses(args: &[&str], says: &str) {
    let run: Run = Command::new(GATE).arg("gate").args(args).output().expect("starts").into();
    assert_eq!(run.code, Some(2), "{args:?}: {}", run.output());
    assert!(run.stderr.contains(says) && run.stdout.is_empty(), "{args:?}: {}", run.output());
}

#[test]
fn broken_slices_are_named_and_have_no_verdict() {
    let bench = Bench::new();
    bench.compare(&bench.worker("base", STEADY), &bench.worker("head", SLOWER), &[]).exits(1);
    let path = bench.path("out").join("slices.json");
    let whole = std::fs::read_to_string(&path).expect("is there");
    // One place is changed at a time. 2000001 is the time of the first slice: 2 ms and one nanosecond, as it is number 1.
    for (from, to) in [
        ("\"schema_version\":3", "\"schema_version\":7"),
        ("\"partial\":false", "\"partial\":true"),
        ("\"pairs\":10", "\"pairs\":11"),
        ("2000001", "0"),
        ("2000001", "-1"),
        ("2000001", "NaN"),
        ("2000001", "9000000000000000000"),
        ("\"B\"", "\"X\""),
        ("\"B\"", "\"H\""),
        ("\"threshold\":0.02", "\"threshold\":null"),
        ("\"checksum\":\"", "\"checksum\":\"0"),
        ("}", ""),
    ] {
        assert!(whole.contains(from), "{from}");
        std::fs::write(&path, whole.replacen(from, to, 1)).expect("writes");
        let replay: Run = Command::new(GATE)
            .arg("gate")
            .arg("--replay")
            .arg(bench.path("out"))
            .output()
            .expect("starts")
            .into();
        let why = replay.exits(2);
        assert!(why.contains("slices.json") && replay.stdout.is_empty(), "{from} -> {to}: {why}");
    }
}

#[test]
fn an_interrupted_session_keeps_its_slices_and_ends_its_workers() {
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let bench = Bench::new();
        // Each worker starts a process of its own.
        let slice = "n > 1 or os.system('sleep 1000 </dev/null >/dev/null 2>&1 &'); slice(2_000_000)";
        let base = bench.worker("base", slice);
        let head = bench.worker("head", &slice.replace("2_0", "2_1"));
        let mut child = begun(bench.gate(&[&Bench::arms(&base, &head)[..], &["--budget", "1h"]].concat()));
        assert_eq!(interrupted(&mut child, signal), Some(code));
        let record = read_json(&bench.path("out").join("slices.json"));
        assert_eq!(record["partial"], true);
        assert!(!bench.path("out").join("verdict.json").exists());
        assert!(!bench.path("out").join("arms").exists(), "copies of executables are left");
        #[cfg(target_os = "linux")]
        assert_eq!(
            running_in(bench.0.path()),
            Vec::<String>::new(),
            "workers, or what they started, are left"
        );
    }
}

#[test]
fn an_arm_that_hangs_does_not_keep_an_interrupt_waiting() {
    let bench = Bench::new();
    let base = bench.worker("base", STEADY);
    let hangs = bench.worker("hangs", "slice(2_000_000) if n < 9 else time.sleep(1000)");
    let mut gate = bench.gate(&Bench::arms(&base, &hangs));
    gate.env("INGESTER_TIMEOUT", "1h");
    let mut child = begun(gate);
    // Until the ninth slice, which the worker never answers. The gate would give it up after an hour.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(interrupted(&mut child, "TERM"), Some(143));
    let record = read_json(&bench.path("out").join("slices.json"));
    assert_eq!(record["partial"], true);
    // The pair that hung counts, unless the machine was so busy that it would have been repeated.
    let pairs = record["cases"][0]["pairs"].as_array().map_or(0, Vec::len);
    let repeated = record["storms"].as_array().map_or(0, Vec::len);
    assert_eq!(pairs + repeated, 1, "{record}");
}

#[test]
fn a_build_does_not_keep_an_interrupt_waiting() {
    let bench = Bench::new();
    let repository = Repository::new(&bench);
    repository.commit(&[("worker", STEADY)]);
    repository.commit(&[("worker", SLOWER)]);
    // A cargo that says that it has begun, and never ends.
    let cargo = bench.script("cargo", "#!/bin/sh\ntouch \"$0.began\"\nsleep 1000\n");
    let mut gate = repository.gate(&cargo, &[]);
    let mut child = gate.stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("starts");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !bench.path("cargo.began").exists() {
        assert!(Instant::now() < deadline, "it never built");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(interrupted(&mut child, "INT"), Some(130));
    #[cfg(target_os = "linux")]
    assert_eq!(running_in(bench.0.path()), Vec::<String>::new(), "cargo is left");
}

#[test]
fn a_change_is_held_against_the_thresholds_that_were_there_before_it() {
    let bench = Bench::new();
    let repository = Repository::new(&bench);
    repository.commit(&[("worker", STEADY), ("baseline/targets.toml", &limit("3"))]);
    repository.commit(&[("worker", SLOWER), ("baseline/targets.toml", &limit("50"))]);
    // It "builds" what lies in the commit.
    let cargo = bench.script("cargo", FAKE_CARGO);
    let run: Run = repository.gate(&cargo, &[]).output().expect("starts").into();
    run.exits(1);
    assert!(run.stdout.contains("FAILED, slower: jwt/validate"), "{}", run.stdout);
    let says = "head's own baseline/targets.toml fails jwt/validate from 50 % on only; base's 3 % was used";
    assert!(run.stdout.contains(says), "{}", run.stdout);
    // These commits have no program that counts, which is said and no failure.
    let says = "Note: base has no exact counters, so nothing was counted.";
    assert!(run.stdout.contains(says), "{}", run.stdout);

    // What has landed is the base of the next change.
    repository.commit(&[("worker", "slice(2_200_000)")]);
    let run: Run = repository.gate(&cargo, &[]).output().expect("starts").into();
    run.exits(0);
    assert!(run.stdout.contains("jwt/validate fails from 50 % on."), "{}", run.stdout);
}

#[test]
fn what_base_accepts_covers_no_further_slowdown() {
    let bench = Bench::new();
    let repository = Repository::new(&bench);
    let cargo = bench.script("cargo", FAKE_CARGO);
    repository.commit(&[("worker", STEADY)]);
    let run: Run = repository.gate(&cargo, &["--base-release"]).output().expect("starts").into();
    assert!(run.exits(2).contains("has no release before it"), "{}", run.stderr);
    repository.git(&["tag", "v1.0.0"]);

    // 5 % slower, as the change itself says.
    repository.commit(&[("worker", SLOWER), ("baseline/accepted.toml", ACCEPTED)]);
    let run: Run = repository.gate(&cargo, &[]).output().expect("starts").into();
    run.exits(0);
    assert!(run.stdout.contains("passed, slower only as was accepted: jwt/validate"), "{}", run.stdout);

    // 5 % slower again, which nobody has accepted.
    repository.commit(&[("worker", "slice(2_205_000)")]);
    let run: Run = repository.gate(&cargo, &[]).output().expect("starts").into();
    run.exits(1);
    let says = "because a check. Base accepts it already, so that it covers no further slowdown.";
    assert!(run.stdout.contains(says), "{}", run.stdout);

    // Since the release, it is 10.25 %.
    let run: Run = repository.gate(&cargo, &["--base-release"]).output().expect("starts").into();
    run.exits(1);
    assert!(run.stdout.contains("That is not enough: the case may be +10."), "{}", run.stdout);
    let record = read_json(&bench.path("out/slices.json"));
    assert!(record["base"]["name"].as_str().is_some_and(|name| name.starts_with("v1.0.0 (")), "{record}");

    // The session knows its commits, so that a history takes it as it is.
    for (args, code) in [(&["add"][..], 0), (&["check"], 1)] {
        let mut history = Command::new(GATE);
        history.arg("history").args(args).current_dir(&repository.path);
        if args == ["add"] {
            history.arg(bench.path("out"));
        }
        let run: Run = history.output().expect("starts").into();
        run.exits(code);
        assert!(code == 0 || run.stdout.contains("jwt/validate +10."), "{}", run.output());
    }
}

/// A file of targets with a threshold of its own for the case, in percent.
fn limit(percent: &str) -> String {
    format!("[jwt_validation]\ngate_threshold_pct = {percent}\n")
}

/// A program that counts this many allocations an iteration.
const COUNTS: &str = r#"#!/usr/bin/env python3
import json, sys
if "--list" in sys.argv:
    print("jwt/validate")
else:
    n = int(sys.argv[sys.argv.index("--iterations") + 1])
    counted = {"case": "jwt/validate", "iterations": n, "allocations": ALLOCATIONS * n, "bytes": 5000 * n, "held": 700}
    print(json.dumps(counted))
"#;

/// A program in Valgrind's place: it counts 1000 instructions an iteration, and 6 % more in a program that is heavier.
const FAKE_VALGRIND: &str = r#"#!/usr/bin/env python3
import sys
if "--version" not in sys.argv:
    out = next(arg for arg in sys.argv if arg.startswith("--callgrind-out-file=")).split("=", 1)[1]
    program = next(arg for arg in sys.argv[1:] if not arg.startswith("--"))
    n = int(sys.argv[sys.argv.index("--iterations") + 1])
    each = 1060 if "heavier" in open(program).read() else 1000
    open(out, "w").write(f"events: Ir\n\ntotals: {each * n}\n")
"#;

#[test]
fn exact_counters_show_what_time_does_not() {
    let bench = Bench::new();
    let repository = Repository::new(&bench);
    let counting = "src/bin/ingester-perf-counting.rs";
    repository.commit(&[("worker", STEADY), (counting, &COUNTS.replace("ALLOCATIONS", "40"))]);
    let heavier = format!("{STEADY}  # heavier");
    repository.commit(&[("worker", &heavier), (counting, &COUNTS.replace("ALLOCATIONS", "41"))]);
    let cargo = bench.script("cargo", FAKE_CARGO);
    let valgrind = bench.script("valgrind", FAKE_VALGRIND);
    let mut gate = repository.gate(&cargo, &[]);
    let run: Run = gate.env("VALGRIND", valgrind).output().expect("starts").into();
    run.exits(1);
    // One allocation more in 40 is shown, and 6 % more instructions fail the run. All cases are as fast as before.
    assert!(run.stdout.ends_with("FAILED, more: jwt/validate instructions\n"), "{}", run.stdout);
    for row in [
        "jwt/validate allocations 40 41 +1 +2.5 % more",
        "jwt/validate allocated bytes 5,000 5,000 0 +0.0 % equal",
        "jwt/validate held bytes 700 700 0 +0.0 % equal",
        "jwt/validate instructions 1,000 1,060 +60 +6.0 % MORE",
    ] {
        let mut rows = run.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        assert!(rows.any(|found| found == row), "{row}: {}", run.stdout);
    }
    // Allocations are counted twice, and instructions again because they changed.
    let counts = &read_json(&bench.path("out/slices.json"))["counters"]["counts"];
    assert_eq!(counts[0]["head"], serde_json::json!([820, 820]), "{counts}");
    assert_eq!(counts[3]["head"], serde_json::json!([53_000, 53_000]), "{counts}");
    let verdict = read_json(&bench.path("out/verdict.json"));
    assert_eq!(verdict["counters"][3]["finding"], "risen", "{verdict}");

    let replay = Command::new(GATE).arg("gate").arg("--replay").arg(bench.path("out")).output();
    let replay: Run = replay.expect("starts").into();
    assert_eq!((replay.code, replay.stdout), (Some(1), run.stdout));
}

/// A run that measures real time ends with this code; where the machine was too busy it is tried twice more.
#[track_caller]
fn tried(once: impl Fn() -> Run, code: i32) -> Run {
    for _ in 0..2 {
        let run = once();
        if run.code == Some(code) {
            return run;
        }
    }
    let run = once();
    run.exits(code);
    run
}

/// Starts a gate and waits until it measures.
fn begun(mut gate: Command) -> Child {
    let mut child = gate.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("starts");
    let mut progress = BufReader::new(child.stderr.take().expect("is piped")).lines();
    assert!(progress.any(|line| line.expect("is text").starts_with("pair 1 of")), "it never began");
    // Nobody reads on, and it must not stop for that.
    std::thread::spawn(move || progress.for_each(drop));
    child
}

/// Sends a signal and waits for the end, which has to come within two seconds; twice as long on a busy machine.
fn interrupted(child: &mut Child, signal: &str) -> Option<i32> {
    let sent = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status();
    assert!(sent.expect("kill exists").success());
    let asked = Instant::now();
    let status = child.wait().expect("ends");
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    status.code()
}

#[test]
fn two_gates_do_not_write_to_one_folder() {
    let bench = Bench::new();
    let base = bench.worker("base", STEADY);
    let head = bench.worker("head", SLOWER);
    let mut first = begun(bench.gate(&[&Bench::arms(&base, &head)[..], &["--budget", "1h"]].concat()));
    let second = bench.compare(&base, &head, &[]);
    let why = second.exits(2);
    assert!(why.contains("another gate") && why.contains(&format!("process {}", first.id())), "{why}");
    interrupted(&mut first, "TERM");
}

#[test]
fn copies_that_a_killed_gate_left_behind_are_removed_by_the_next() {
    let bench = Bench::new();
    let left = bench.path("out/arms/00000001");
    std::fs::create_dir_all(left.parent().expect("has one")).expect("makes it");
    std::fs::write(&left, "left").expect("writes");
    bench.compare(&bench.worker("base", STEADY), &bench.worker("head", SLOWER), &[]).exits(1);
    assert!(!left.exists());
}

/// Command lines of the processes that belong to this folder. Waits a while for those that are about to end.
#[cfg(target_os = "linux")]
fn running_in(folder: &Path) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline && !processes_of(folder).is_empty() {
        std::thread::sleep(Duration::from_millis(20));
    }
    processes_of(folder)
}

#[cfg(target_os = "linux")]
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().expect("is UTF-8");
    let mut found = Vec::new();
    for process in std::fs::read_dir("/proc").expect("Linux has it").flatten() {
        let path = process.path();
        // What a worker starts has the worker's environment. A zombie has none, and that of another user cannot be read.
        if std::fs::read_to_string(path.join("environ")).unwrap_or_default().contains(folder) {
            let line = std::fs::read_to_string(path.join("cmdline")).unwrap_or_default();
            found.push(line.replace('\0', " "));
        }
    }
    found
}

#[test]
fn a_real_build_slowed_by_half_does_not_pass() {
    let bench = Bench::new();
    let args = ["--even-if-identical", "--case", "jwt/validate", "--inject", "jwt/validate=50%"];
    let run = tried(|| bench.compare(Path::new(GATE), Path::new(GATE), &args), 1);
    assert!(run.stdout.contains("was slowed by 50 % on purpose"), "{}", run.stdout);
    let verdict = read_json(&bench.path("out/verdict.json"));
    // Half of the slowdown at least: it is measured in real time, beside other tests.
    let effect = verdict["cases"][0]["effect"]["share"].as_f64();
    assert!(effect > Some(0.25), "{verdict}");
    let unknown = bench.compare(Path::new(GATE), Path::new(GATE), &["--inject", "jwt/valid=50%"]);
    assert!(unknown.exits(2).contains("jwt/valid is not among the cases"));
}

#[test]
fn two_running_ingesters_are_compared_within_the_bytes_allowed() {
    let bench = Bench::new();
    let key = key_file(&bench.0, "key.pem");
    let [base, head] = [Serve::with(&["--private-key", &key]), Serve::with(&["--private-key", &key])];
    std::fs::write(bench.path("token"), &base.token).expect("writes");
    let urls = [&base, &head].map(|serve| format!("http://{}", serve.address));
    let run: Run = gate_of(&bench, &urls, "upload/10KB").output().expect("starts").into();
    // Two instances differ by a factor of two where the scheduler gives a core of its own to one of them.
    assert!(matches!(run.code, Some(0 | 1 | 3)), "{:?} {}", run.code, run.output());
    assert!(run.stdout.contains("Note: each side is one running instance"), "{}", run.stdout);
    assert!(run.stdout.contains("sent to the two ingesters in all, warming up included: "), "{}", run.stdout);
    let text = std::fs::read_to_string(bench.path("out").join("slices.json")).expect("is there");
    assert!(text.contains(&urls[0]) && text.contains(&urls[1]) && !text.contains(&base.token), "{text}");

    // What ten pairs of large files need is known before any is sent.
    let mut large = gate_of(&bench, &urls, "upload/10MB");
    let run: Run = large.env("INGESTER_MAX_BYTES", "1GB").output().expect("starts").into();
    assert!(run.exits(2).contains("more than INGESTER_MAX_BYTES (1 GB)"));
    let mut without_token = gate_of(&bench, &urls, "upload/10KB");
    let run: Run = without_token.env_remove("INGESTER_TOKEN_FILE").output().expect("starts").into();
    assert!(run.exits(2).contains("without a token"));

    // Each of the two has to have been measured, and not one of them twice.
    for serve in [base, head] {
        let (_, said) = serve.interrupt();
        assert!(said.contains("Took in") && !said.contains(" 0 files"), "{said}");
    }
}

/// A gate that compares the services at these two URLs in one case.
fn gate_of(bench: &Bench, urls: &[String; 2], case: &str) -> Command {
    let mut gate = bench.gate(&["--base-url", &urls[0], "--head-url", &urls[1], "--case", case]);
    gate.env("INGESTER_TOKEN_FILE", bench.path("token")).env("INGESTER_TIMEOUT", "30s");
    gate
}

#[test]
fn a_url_that_nobody_serves_is_named() {
    let bench = Bench::new();
    let urls = ["--base-url", "http://127.0.0.1:9", "--head-url", "http://127.0.0.1:10"];
    let mut gate = bench.gate(&[&urls[..], &["--case", "upload/10KB"]].concat());
    let run: Run = gate.env("INGESTER_TOKEN", "a.b.c").output().expect("starts").into();
    let why = run.exits(2);
    assert!(why.contains("base (") && why.contains("http://127.0.0.1:9"), "{why}");
}
