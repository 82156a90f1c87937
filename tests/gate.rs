//! Promise: the gate tells a slower build from a build that is none, and says plainly where it cannot tell.

#![cfg(unix)]

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::bench::{Run, read_json};
use common::gate::{Bench, GATE, SLOWER, STEADY};
use common::serve::{Serve, key_file};

#[test]
fn a_slower_head_fails_a_faster_one_passes_and_the_slices_replay_to_the_same_verdict() {
    let bench = Bench::new();
    let (steady, slower) = (bench.worker("steady", STEADY), bench.worker("slower", SLOWER));
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
    let (steady, slower) = (bench.worker("steady", STEADY), bench.worker("slower", SLOWER));
    let targets = bench.path("targets.toml");
    std::fs::write(&targets, "[jwt_validation]\ngate_fail_over_pct = 10\n").expect("writes");
    let text = |path: &Path| path.to_str().expect("is UTF-8").to_owned();
    let mut gate = bench.gate(&["--base-exe", &text(&steady), "--head-exe", &text(&slower)]);
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
}

#[test]
fn a_control_that_is_not_slowed_makes_the_run_inconclusive() {
    let bench = Bench::new();
    let lazy = bench.worker("lazy", "echo '{\"slice\":{\"ns\":2000000,\"spun_ns\":0}}'");
    let run = bench.compare(&lazy, &bench.worker("slower", SLOWER), &[]);
    run.exits(3);
    assert!(run.stdout.contains("was not called slower"), "{}", run.stdout);
}

#[test]
fn a_head_whose_processes_differ_is_never_a_pass() {
    let bench = Bench::new();
    // Every other process is 35 % slower.
    let moody = r#"[ $n = 1 ] && { m=$(cat "$0.n" 2>&-); echo $((m + 1)) >"$0.n"; }
      [ $((m % 2)) = 0 ] && slice 2000000 || slice 2700000"#;
    let run = bench.compare(&bench.worker("base", STEADY), &bench.worker("moody", moody), &[]);
    run.exits(3);
    assert!(run.stdout.contains("underpowered"), "{}", run.stdout);
}

#[test]
fn drift_and_two_speeds_within_a_process_are_no_difference() {
    let bench = Bench::new();
    for (name, slice) in
        [("drifts", "slice $((2000000 + 2000 * n))"), ("changes", "slice $((2000000 + n / 5 % 2 * 700000))")]
    {
        let (one, other) = (bench.worker(name, slice), bench.worker("other", &format!("{slice}; :")));
        bench.compare(&one, &other, &[]).exits(0);
    }
}

#[test]
fn a_worker_that_cannot_be_measured_is_named_with_what_it_did() {
    let bench = Bench::new();
    let dies = bench.fails("dies", "[ $n -lt 10 ] && slice 2000000 || exit 1");
    assert!(dies.contains("head (") && dies.contains("dies): its worker ended unexpectedly"), "{dies}");
    let garbage = bench.fails("garbage", "echo lorem ipsum");
    assert!(garbage.contains("cannot be understood: \"lorem ipsum\""), "{garbage}");
    let endless = bench.fails("endless", "head -c 1000000 /dev/zero");
    assert!(endless.contains("a line is too long"), "{endless}");
    let binary = bench.fails("binary", r"printf '\377\376\n'");
    assert!(binary.contains("cannot be read"), "{binary}");
    let chatty = bench.fails("chatty", "slice 2000000; slice 2000000");
    assert!(
        chatty.contains("answered more than it was asked") || chatty.contains("something else"),
        "{chatty}"
    );
    let eternal = bench.fails("eternal", "slice 18446744073709551615");
    assert!(eternal.contains("something else than was asked"), "{eternal}");
    let timeless = bench.fails("timeless", "slice 0");
    assert!(timeless.contains("something else than was asked"), "{timeless}");
    let failing = bench.fails("failing", "echo '{\"failed\":{\"problem\":\"3 of 10 operations failed\"}}'");
    assert!(failing.contains("3 of 10 operations failed"), "{failing}");
}

#[test]
fn a_worker_that_hangs_is_given_up_and_ended() {
    let bench = Bench::new();
    let started = Instant::now();
    let hangs = bench.fails("hangs", "exec sleep 1000");
    assert!(hangs.contains("did not answer within 5s 500ms"), "{hangs}");
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn what_is_no_worker_of_this_protocol_is_refused_before_anything_is_measured() {
    let bench = Bench::new();
    let base = bench.worker("base", STEADY);
    let refused = |head: &Path| bench.compare(&base, head, &[]).exits(2).to_owned();
    let other = bench.worker_with("other", 99, "\"jwt/validate\"", STEADY);
    assert!(refused(&other).contains("speaks version 99 of the protocol"), "{}", refused(&other));
    assert!(refused(Path::new("/bin/true")).contains("is it a build of ingester-perf that has the gate?"));
    assert!(refused(&bench.path("missing")).contains("cannot run"), "{}", refused(&bench.path("missing")));
    std::fs::write(bench.path("text"), "no program").expect("writes");
    assert!(refused(&bench.path("text")).contains("cannot start"));

    // It says that it is another build than the file that was started.
    let liar = bench.worker("liar", STEADY);
    let text = std::fs::read_to_string(&liar).expect("is there").replace("sum=${sum%% *}", "sum=00");
    std::fs::write(&liar, text).expect("writes");
    assert!(refused(&liar).contains("another executable answers"));
}

#[test]
fn cases_of_one_arm_only_are_listed_and_without_a_common_one_there_is_nothing_to_compare() {
    let bench = Bench::new();
    let base = bench.worker_with("base", 1, "\"old/case\",\"jwt/validate\"", STEADY);
    let head = bench.worker_with("head", 1, "\"jwt/validate\",\"new/case\"", STEADY);
    let run = bench.compare(&base, &head, &[]);
    run.exits(0);
    assert!(run.stdout.contains("Only base has old/case") && run.stdout.contains("Only head has new/case"));
    let stranger = bench.worker_with("stranger", 1, "\"new/case\"", STEADY);
    assert!(bench.compare(&base, &stranger, &[]).exits(2).contains("no case in common"));
    let run = bench.compare(&base, &head, &["--case", "new/case"]);
    assert!(run.exits(2).contains("there is no new/case in both; there are jwt/validate"));
}

#[test]
fn a_case_that_is_too_slow_for_the_budget_is_not_passed() {
    let bench = Bench::new();
    let base = bench.worker("base", "slice 200000000");
    let run = bench.compare(&base, &bench.worker("head", "slice 200000000; :"), &[]);
    run.exits(3);
    assert!(run.stdout.contains("too slow to judge"), "{}", run.stdout);
}

#[test]
fn wrong_arguments_are_one_line_and_nothing_starts() {
    let bench = Bench::new();
    let base = bench.worker("base", STEADY);
    let head = bench.worker("head", SLOWER);
    for (args, says) in [
        (["--pairs", "5"].as_slice(), "from 10 to 20"),
        (&["--pairs", "10", "--rate", "0.01%"], "cannot reach a false-alarm rate"),
        (&["--margin", "5%"], "above --fail-over"),
        (&["--fail-over", "2"], "write a number from 0 to 100 with %"),
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
fn broken_slices_are_named_and_have_no_verdict() {
    let bench = Bench::new();
    bench.compare(&bench.worker("base", STEADY), &bench.worker("head", SLOWER), &[]).exits(1);
    let path = bench.path("out").join("slices.json");
    let whole = std::fs::read_to_string(&path).expect("is there");
    for (from, to) in [
        ("\"schema_version\":1", "\"schema_version\":7"),
        ("\"partial\":false", "\"partial\":true"),
        ("\"pairs\":10", "\"pairs\":11"),
        ("\"pairs\":10", "\"pairs\":3"),
        ("2000000", "0"),
        ("2000000", "-1"),
        ("2000000", "NaN"),
        ("2000000", "9000000000000000000"),
        ("\"B\"", "\"X\""),
        ("\"B\"", "\"H\""),
        ("\"fail_over\":0.02", "\"fail_over\":null"),
        ("}", ""),
    ] {
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
    let bench = Bench::new();
    let (base, head) = (bench.worker("base", STEADY), bench.worker("head", SLOWER));
    let args = [
        "--base-exe",
        base.to_str().expect("is"),
        "--head-exe",
        head.to_str().expect("is"),
        "--budget",
        "1h",
    ];
    let child = bench.gate(&args).stderr(Stdio::piped()).stdout(Stdio::null()).spawn();
    let mut child = child.expect("starts");
    let mut progress = BufReader::new(child.stderr.take().expect("is piped")).lines();
    assert!(progress.any(|line| line.expect("is text").starts_with("pair 1 of")), "it never began");
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.expect("kill exists").success());
    assert_eq!(child.wait().expect("ends").code(), Some(130));
    let record = read_json(&bench.path("out").join("slices.json"));
    assert_eq!(record["partial"], true);
    assert!(!bench.path("out").join("verdict.json").exists());
    #[cfg(target_os = "linux")]
    assert_eq!(running(bench.0.path()), Vec::<String>::new(), "workers are left");
}

/// Command lines that name this folder.
#[cfg(target_os = "linux")]
fn running(folder: &Path) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").expect("Linux has it").flatten();
    let lines = processes.filter_map(|process| std::fs::read_to_string(process.path().join("cmdline")).ok());
    lines.filter(|line| line.contains(folder.to_str().expect("is UTF-8"))).collect()
}

#[test]
fn a_real_build_slowed_by_half_does_not_pass() {
    let bench = Bench::new();
    let args = ["--even-if-identical", "--case", "jwt/validate", "--inject", "jwt/validate=50%"];
    let run = bench.compare(Path::new(GATE), Path::new(GATE), &args);
    assert!(matches!(run.code, Some(1 | 3)), "{:?} {}", run.code, run.output());
    assert!(run.stdout.contains("was slowed by 50 % on purpose"), "{}", run.stdout);
    let verdict = read_json(&bench.path("out/verdict.json"));
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
    let compare = |case: &str| {
        let args = ["--base-url", &urls[0], "--head-url", &urls[1], "--case", case];
        let mut gate = bench.gate(&args);
        gate.env("INGESTER_TOKEN_FILE", bench.path("token")).env("INGESTER_TIMEOUT", "30s");
        gate
    };
    let run: Run = compare("upload/10KB").output().expect("starts").into();
    // Two instances differ by a factor of two where the scheduler gives a core of its own to one of them.
    assert!(matches!(run.code, Some(0 | 1 | 3)), "{:?} {}", run.code, run.output());
    assert!(run.stdout.contains("Note: each side is one running instance"), "{}", run.stdout);
    let text = std::fs::read_to_string(bench.path("out").join("slices.json")).expect("is there");
    assert!(text.contains(&urls[0]) && text.contains(&urls[1]) && !text.contains(&base.token), "{text}");

    let run: Run = compare("upload/10MB").env("INGESTER_MAX_BYTES", "1GB").output().expect("starts").into();
    assert!(run.exits(2).contains("more than INGESTER_MAX_BYTES (1 GB)"));
    let run: Run = compare("upload/10KB").env_remove("INGESTER_TOKEN_FILE").output().expect("starts").into();
    assert!(run.exits(2).contains("without a token"));

    let took_in = |serve: Serve| serve.interrupt().1;
    for said in [took_in(base), took_in(head)] {
        assert!(said.contains("Took in") && !said.contains(" 0 files"), "{said}");
    }
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
