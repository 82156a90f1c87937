//! Promise: the scripts that a CI calls turn the gate's exit codes into the right check, and an inconclusive run is never
//! a green one.

#![cfg(unix)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// Makes a gate that notes its arguments and ends with these codes, one a call.
fn gate(folder: &Path, codes: &[i32]) -> std::path::PathBuf {
    let path = folder.join("gate");
    let cases: Vec<String> =
        codes.iter().enumerate().map(|(call, code)| format!("{}) exit {code};;", call + 1)).collect();
    // Its calls are counted by the lines that it has noted; 99 is for one that the test did not foresee.
    let text = format!(
        "#!/bin/sh\necho \"$*\" >>\"$0.calls\"\necho a table\ncase $(wc -l <\"$0.calls\") in\n{}\nesac\nexit 99\n",
        cases.join("\n")
    );
    std::fs::write(&path, text).expect("writes");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("may");
    path
}

/// Runs the script with this setting, such a gate, and these arguments for it. Returns how it ended, and the arguments of the
/// gate's calls.
fn check(setting: &[&str], codes: &[i32], args: &[&str]) -> (Output, String) {
    let folder = TempDir::new().expect("makes one");
    let output = Command::new("ci/gate-check.sh")
        .args(setting)
        .arg(gate(folder.path(), codes))
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("bash exists");
    // There is no such file where the gate was not called.
    let calls = std::fs::read_to_string(folder.path().join("gate.calls")).unwrap_or_default();
    (output, calls)
}

#[test]
fn a_gate_that_decides_is_asked_once() {
    // The gate never ends with 4 (docs/gate.md): a code that is not known is a failure too.
    for (code, verdict) in
        [(0, "success\n"), (1, "failure\n"), (2, "failure\n"), (4, "failure\n"), (130, "failure\n")]
    {
        let (output, calls) = check(&["neutral"], &[code], &[]);
        assert_eq!(String::from_utf8_lossy(&output.stdout), verdict, "{code}");
        assert_eq!(calls, "\n", "{code}: no arguments, one call");
        assert!(String::from_utf8_lossy(&output.stderr).contains("a table"), "people see what was measured");
    }
}

#[test]
fn an_inconclusive_gate_is_asked_once_more_with_more_pairs() {
    // How the second run ends, and the check where an inconclusive one counts as neutral or as a failure: that matters
    // only if the second is inconclusive again.
    for (second, neutral, failure) in
        [(0, "success\n", "success\n"), (1, "failure\n", "failure\n"), (3, "neutral\n", "failure\n")]
    {
        for (setting, verdict) in [("neutral", neutral), ("failure", failure)] {
            let (output, calls) = check(&[setting], &[3, second], &[]);
            assert_eq!(String::from_utf8_lossy(&output.stdout), verdict, "{setting} {second}");
            assert_eq!(calls, "\n--pairs 40 --max-pairs 80 --budget 120s\n");
        }
    }
}

#[test]
fn the_second_run_has_twice_of_what_the_first_was_given() {
    let args = ["--case", "upload/1MB", "--pairs", "10", "--budget=2m", "--max-pairs", "15"];
    let (output, calls) = check(&["neutral"], &[3, 0], &args);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "success\n");
    let first = "--case upload/1MB --pairs 10 --budget=2m --max-pairs 15\n";
    let second = "--case upload/1MB --pairs 20 --max-pairs 30 --budget 4m\n";
    assert_eq!(calls, [first, second].concat());
}

#[test]
fn the_second_run_has_no_more_pairs_than_the_gate_takes() {
    let (output, calls) = check(&["neutral"], &[3, 3], &["--pairs", "60"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "neutral\n");
    // Twice 60, and 200 in place of four times as many.
    assert_eq!(calls, "--pairs 60\n--pairs 120 --max-pairs 200 --budget 120s\n");
}

#[test]
fn what_cannot_be_doubled_is_told_before_measuring() {
    // A gate with these arguments might be fine; the second run would not be, minutes later.
    for args in [["--pairs", "many"], ["--max-pairs", "08"], ["--budget", "1m 30s"], ["--budget", "60"]] {
        let (output, calls) = check(&["neutral"], &[3, 0], &args);
        assert_eq!((output.status.code(), calls.as_str()), (Some(2), ""), "{args:?}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains(&args.join(" ")) && told.contains("so that they can be doubled"), "{told}");
    }
}

#[test]
fn no_other_setting_is_taken() {
    // Above all not one that would make an inconclusive run green.
    for setting in [&["success"][..], &[], &["green"]] {
        let (output, calls) = check(setting, &[0], &[]);
        assert_eq!((output.status.code(), calls.as_str()), (Some(2), ""), "{setting:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn the_arguments_of_the_second_run_are_the_gates_own() {
    // Arguments that are not the gate's would be refused before it looks for the executables.
    let output = Command::new(env!("CARGO_BIN_EXE_ingester-perf"))
        .args(["gate", "--pairs", "40", "--max-pairs", "80", "--budget", "120s"])
        .args(["--base-exe", "/no/such/file", "--head-exe", "/no/such/file", "--out"])
        .arg(TempDir::new().expect("makes one").path())
        .output()
        .expect("starts");
    assert!(String::from_utf8_lossy(&output.stderr).contains("/no/such/file: cannot run"));
}
