//! Promise: saved baselines can be compared, kept in one file and put back; a broken one is named, and never passes.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::bench::{Bench, Run, read_json};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Criterion's samples: three, with their iterations and total times in ns.
const SAMPLE: &str = r#"{"sampling_mode":"Flat","iters":[1.0,1.0,2.0],"times":[5000.0,6000.0,9000.0]}"#;

/// Two cases, by id and operation.
const CASES: [(&str, &str); 2] = [("upload/10KB", "upload_small_file"), ("jwt/validate", "jwt_validation")];

/// Folders as a bench leaves them, in the layout of Criterion 0.8.
struct Kept(TempDir);

impl Kept {
    /// With a baseline main, and a last run that took 10 % longer.
    fn new() -> Self {
        let kept = Self(TempDir::new().expect("makes a folder"));
        kept.save("main", 1.0);
        kept.save("new", 1.1);
        kept
    }

    fn save(&self, baseline: &str, slower: f64) {
        for (id, operation) in CASES {
            let dir = self.criterion().join(id).join(baseline);
            fs::create_dir_all(&dir).expect("makes it");
            fs::write(dir.join("sample.json"), SAMPLE).expect("writes");
            fs::write(dir.join("estimates.json"), estimates(5000.0 * slower)).expect("writes");
            fs::write(dir.join("benchmark.json"), r#"{"group_id":"g"}"#).expect("writes");
            fs::write(dir.join("tukey.json"), "[1.0,2.0,3.0,4.0]").expect("writes");
            // Criterion calls the last run "new", and its reports lie beside the folders of saved ones.
            let reports = if baseline == "new" { self.reports() } else { self.reports().join(baseline) };
            fs::create_dir_all(&reports).expect("makes it");
            fs::write(reports.join(format!("{operation}.json")), report(operation, slower).to_string())
                .expect("writes");
        }
    }

    fn criterion(&self) -> PathBuf {
        self.0.path().join("criterion")
    }

    fn reports(&self) -> PathBuf {
        self.0.path().join("reports")
    }

    fn bundle(&self) -> PathBuf {
        self.0.path().join("main.json")
    }

    fn run(&self, args: &[&str]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_ingester-perf"))
            .args(args)
            .env("CRITERION_HOME", self.criterion())
            .env("INGESTER_REPORT_DIR", self.reports())
            .env_remove("INGESTER_URL")
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output();
        output.expect("starts").into()
    }

    /// Exports the baseline. Returns the text of its file.
    fn export(&self) -> String {
        self.run(&["baseline", "export", "main", "--out", "main.json"]).exits(0);
        fs::read_to_string(self.bundle()).expect("is there")
    }
}

/// Criterion's file of this name.
fn estimates(mean: f64) -> String {
    let location = estimate(mean);
    let spread = estimate(1.0);
    // Criterion has a slope with linear sampling only, and benches here sample flat.
    json!({"mean": location, "median": location, "std_dev": spread, "median_abs_dev": spread, "slope": null})
        .to_string()
}

fn estimate(value: f64) -> Value {
    json!({"confidence_interval": {"confidence_level": 0.95, "lower_bound": value, "upper_bound": value},
           "point_estimate": value, "standard_error": 0.1})
}

/// A report as this build writes it on this machine, so that it is comparable with what is measured here.
fn report(operation: &str, slower: f64) -> Value {
    use ingester_perf::machine::{Environment, Placement};
    use ingester_perf::recording::{Finished, Recorder};
    use ingester_perf::report::{PerformanceReport, Plan};

    let mut recorder = Recorder::default();
    let latency = std::time::Duration::from_micros(5).mul_f64(slower);
    for _ in 0..100 {
        recorder.record(Finished { latency, outcome: Ok(()) });
    }
    let plan = Plan {
        case: "a".to_owned(),
        schedule: "closed",
        users: 1,
        passes: 1,
        requests_per_pass: None,
        file_size_bytes: None,
        seed: 1,
    };
    let environment = Environment::read(&Placement::none(), "stub");
    let report = PerformanceReport::new(operation, &recorder.finish()).describe(plan).at(environment);
    serde_json::to_value(report).expect("serialises")
}

#[test]
fn two_baselines_stand_side_by_side() {
    let run = Kept::new().run(&["compare", "main", "new"]);
    run.exits(0);
    let row = run.stdout.lines().find(|line| line.contains("upload/10KB")).expect("has a row");
    let words: Vec<_> = row.split_whitespace().collect();
    // Criterion's mean went from 5.0 to 5.5 µs, its samples are the same, and operations took 10 % longer.
    assert_eq!(words[1..5], ["5", "µs", "5.50", "µs"], "{row}");
    assert_eq!((words[5], words[7]), ("+10.0", "+0.0"), "{row}");
    // Operations are recorded to three digits, and so 10 % may be 9.9.
    assert!(
        words[9..].iter().all(|word| *word == "%" || word.starts_with("+10.") || word.starts_with("+9.9")),
        "{row}"
    );
    assert!(run.stdout.contains("ingester-perf gate"), "{}", run.stdout);
}

#[test]
fn files_folders_and_bundles_can_be_compared() {
    let kept = Kept::new();
    kept.export();
    for (one, other) in [
        ("reports/main", "reports"),
        ("reports/main/jwt_validation.json", "reports/jwt_validation.json"),
        ("main.json", "new"),
        ("main.json", "./reports"),
    ] {
        let run = kept.run(&["compare", one, other]);
        run.exits(0);
        assert!(run.stdout.contains("jwt/validate") && run.stdout.contains("+10."), "{one}: {}", run.stdout);
    }
}

#[test]
fn a_baseline_that_was_exported_and_imported_is_the_same_byte_for_byte() {
    let kept = Kept::new();
    kept.export();
    kept.run(&["baseline", "import", "main.json", "--name", "again"]).exits(0);
    for (id, operation) in CASES {
        let files = ["benchmark.json", "estimates.json", "sample.json", "tukey.json"];
        let paths = files.map(|file| (kept.criterion().join(id), file.to_owned()));
        for (dir, file) in paths.into_iter().chain([(kept.reports(), format!("{operation}.json"))]) {
            let main = fs::read(dir.join("main").join(&file)).expect("is there");
            let again = fs::read(dir.join("again").join(&file)).expect("is there");
            assert!(main == again, "{file}");
        }
    }
    assert!(kept.run(&["compare", "main", "again"]).stdout.contains("+0.0 %"));

    let taken = kept.run(&["baseline", "import", "main.json"]);
    assert!(taken.exits(2).contains("there is one of that name; add --replace"));
    // A case that only the old baseline has must not stay: it would be compared with beside those of the new one.
    let stray = kept.criterion().join("load/10_users/main");
    fs::create_dir_all(&stray).expect("makes it");
    kept.run(&["baseline", "import", "main.json", "--replace"]).exits(0);
    assert!(!stray.exists());
    assert!(
        kept.run(&["baseline", "import", "main.json", "--name", "../out"]).exits(2).contains("is no name")
    );
}

#[test]
fn what_a_bench_saved_can_be_exported_imported_and_compared_with() {
    let bench = Bench::new("jwt");
    bench.short(&["--save-baseline", "main"]).exits(0);
    tool(&bench, &["baseline", "export", "main"]).exits(0);
    tool(&bench, &["baseline", "import", "baseline/main.json", "--name", "kept"]).exits(0);
    // Criterion itself has to be content with what was imported.
    let run = bench.short(&["--baseline", "kept"]);
    run.exits(0);
    assert!(run.stdout.contains("change:"), "{}", run.stdout);
    tool(&bench, &["compare", "main", "kept"]).exits(0);
}

/// Runs `ingester-perf` on what this bench has saved.
fn tool(bench: &Bench, args: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ingester-perf"));
    command.env("CRITERION_HOME", bench.criterion()).env("INGESTER_REPORT_DIR", bench.reports());
    command.current_dir(bench.dir.path()).args(args).output().expect("starts").into()
}

#[test]
fn what_was_measured_elsewhere_is_not_comparable_unless_told_and_then_stamped() {
    for (key, value) in
        [("cpu", json!("Z80")), ("cores", json!(64)), ("profile", json!("odd")), ("source", json!("0123"))]
    {
        let kept = Kept::new();
        // Only the saved baseline was measured elsewhere; the last run was measured here.
        for (_, operation) in CASES {
            let path = kept.reports().join("main").join(format!("{operation}.json"));
            let mut report = read_json(&path);
            report["environment"][key] = value.clone();
            fs::write(&path, report.to_string()).expect("writes");
        }
        kept.export();
        for args in
            [["compare", "main", "new"].as_slice(), &["baseline", "import", "main.json", "--name", "x"]]
        {
            let run = kept.run(args);
            assert!(run.exits(4).contains("not comparable"), "{key}: {}", run.stderr);
            assert_eq!(run.stdout, "");
            assert!(!kept.criterion().join("jwt/validate/x").exists(), "nothing is imported");
            let even_so = kept.run(&[args, &["--even-so"]].concat());
            even_so.exits(0);
            assert!(even_so.stdout.contains("NOT COMPARABLE"), "{key}: {}", even_so.stdout);
        }
    }
}

fn text(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// A report of the baseline's first case, changed in one place.
fn changed_report(change: fn(&mut Value)) -> Vec<u8> {
    let mut value = report("upload_small_file", 1.0);
    change(&mut value);
    value.to_string().into_bytes()
}

/// How a file of a saved baseline can be broken: the file, and what it holds instead.
fn broken_files() -> Vec<(&'static str, Vec<u8>)> {
    let sample = "upload/10KB/main/sample.json";
    let estimates = "upload/10KB/main/estimates.json";
    let report = "main/upload_small_file.json";
    let good = self::estimates(5000.0);
    vec![
        // Cut off, or another kind of file.
        (sample, text("")),
        (sample, text("{")),
        (sample, text(&SAMPLE[..40])),
        (sample, text("not JSON")),
        (sample, text("[]")),
        (sample, text("null")),
        (sample, text("{}")),
        // Valid JSON with numbers that no measurement has: too few, unequally many, not above 0, not finite.
        (sample, text(r#"{"iters":[],"times":[]}"#)),
        (sample, text(r#"{"iters":[1.0],"times":[5.0]}"#)),
        (sample, text(r#"{"iters":[1.0,1.0],"times":[5.0]}"#)),
        (sample, text(r#"{"iters":[1.0,1.0],"times":[5.0,0.0]}"#)),
        (sample, text(r#"{"iters":[1.0,1.0],"times":[5.0,-6.0]}"#)),
        (sample, text(r#"{"iters":[1.0,0.0],"times":[5.0,6.0]}"#)),
        (sample, text(r#"{"iters":[1.0,1.0],"times":[5.0,NaN]}"#)),
        (sample, text(r#"{"iters":[1.0,1.0],"times":[5.0,Infinity]}"#)),
        (sample, text(r#"{"iters":[1.0,1.0],"times":[5.0,1e999]}"#)),
        (sample, text(r#"{"iters":[1.0,1.0],"times":[5.0,null]}"#)),
        (sample, text(r#"{"iters":[1.0,1.0],"times":["5","6"]}"#)),
        // Not UTF-8, and nested so deeply that a parser without a limit would run out of stack.
        (sample, b"\xff\xfe{}".to_vec()),
        (sample, "[".repeat(100_000).into_bytes()),
        (estimates, text("")),
        (estimates, text(&good[..100])),
        (estimates, text("{}")),
        (estimates, text(&good.replacen("5000.0", "null", 3))),
        (estimates, text(&good.replacen("\"point_estimate\":5000.0", "\"point_estimate\":0.0", 1))),
        (estimates, text(&good.replacen("\"point_estimate\":5000.0", "\"point_estimate\":-1.0", 1))),
        (estimates, text(&good.replacen("\"point_estimate\":5000.0", "\"point_estimate\":1e999", 1))),
        // Criterion reads these two as well, and goes on without a word where they are broken.
        ("upload/10KB/main/benchmark.json", text("{\"group_id\":")),
        ("upload/10KB/main/tukey.json", text("")),
        (report, text("")),
        (report, text("{}")),
        (report, changed_report(|r| r["schema_version"] = json!(9))),
        (report, changed_report(|r| r["partial"] = json!(true))),
        (report, changed_report(|r| r["avg_latency_ms"] = Value::Null)),
        (report, changed_report(|r| r["p95_latency_ms"] = json!(-3.0))),
        (report, changed_report(|r| r["median_latency_ms"] = json!(0.0))),
        (report, changed_report(|r| r["histogram"] = json!("not base64!"))),
        (report, changed_report(|r| r["histogram"] = json!("HISTFAAAAA=="))),
        (report, changed_report(|r| r["environment"] = Value::Null)),
    ]
}

#[test]
fn every_kind_of_broken_file_is_named_with_its_case_and_is_no_success() {
    let kinds = broken_files();
    assert!(kinds.len() >= 30);
    for (file, bytes) in kinds {
        // Reports begin with the baseline's name, Criterion's files with a case.
        let kept = Kept::new();
        let root = if file.starts_with("main/") { kept.reports() } else { kept.criterion() };
        fs::write(root.join(file), &bytes).expect("writes");
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        for args in [
            ["compare", "main", "new"].as_slice(),
            &["compare", "new", "main"],
            &["baseline", "export", "main"],
        ] {
            let run = kept.run(args);
            let why = run.exits(2);
            assert!(why.contains(file), "{args:?}, {file} with {shown}: {why}");
            assert_eq!(run.stdout, "", "{file} with {shown}");
            assert!(!kept.0.path().join("baseline").exists(), "nothing is half-written");
        }
    }
}

#[test]
fn what_is_missing_is_named() {
    for file in ["sample.json", "estimates.json", "benchmark.json", "tukey.json"] {
        let kept = Kept::new();
        fs::remove_file(kept.criterion().join("upload/10KB/main").join(file)).expect("was there");
        let why = kept.run(&["compare", "main", "new"]).exits(2).to_owned();
        assert!(why.contains(&format!("upload/10KB/main/{file}")), "{why}");
    }
    let kept = Kept::new();
    fs::remove_file(kept.reports().join("main/jwt_validation.json")).expect("was there");
    assert!(kept.run(&["compare", "main", "new"]).exits(2).contains("main/jwt_validation.json"));

    // A whole case that one side lacks, and not a file of it.
    let kept = Kept::new();
    fs::remove_dir_all(kept.criterion().join("jwt/validate/new")).expect("was there");
    let run = kept.run(&["compare", "main", "new"]);
    assert!(run.exits(2).contains("jwt/validate is missing from the second"), "{}", run.stderr);
    assert!(run.exits(2).contains("main and new"), "{}", run.stderr);
    assert!(kept.run(&["compare", "main", "nope"]).exits(2).contains("baseline \"nope\" has no case"));
    assert!(kept.run(&["compare", "main", "no/such.json"]).exits(2).contains("no/such.json: cannot read"));
    assert!(kept.run(&["compare", "main", "../new"]).exits(2).contains("../new"));
    assert!(kept.run(&["baseline", "export", "new"]).exits(2).contains("a folder of Criterion's own"));
}

#[test]
#[cfg(unix)]
fn what_is_not_a_plain_file_is_refused_without_waiting_for_it() {
    // Reading a pipe waits for ever for somebody who writes; reading a device never ends.
    let kept = Kept::new();
    let pipe = kept.0.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo exists").success());
    for side in ["pipe", "./pipe"] {
        let said = kept.run(&["compare", side, side]).exits(2).to_owned();
        assert!(said.contains("pipe: is a pipe; a plain file is needed"), "{said}");
    }
    let said = kept.run(&["compare", "/dev/zero", "main"]).exits(2).to_owned();
    assert!(said.contains("/dev/zero: is a device; a plain file is needed"), "{said}");
    let said = kept.run(&["baseline", "import", "./pipe"]).exits(2).to_owned();
    assert!(said.contains("pipe: is a pipe"), "{said}");

    // A pipe that was put where Criterion keeps its samples.
    let sample = kept.criterion().join("jwt/validate/main/sample.json");
    fs::remove_file(&sample).expect("is there");
    fs::rename(&pipe, &sample).expect("moves");
    let said = kept.run(&["compare", "main", "new"]).exits(2).to_owned();
    assert!(said.contains("sample.json: is a pipe"), "{said}");
}

#[test]
fn a_folder_where_a_file_belongs_and_links_in_a_circle_are_no_panic() {
    let kept = Kept::new();
    let path = kept.criterion().join("upload/10KB/main/sample.json");
    fs::remove_file(&path).expect("was there");
    fs::create_dir(&path).expect("makes it");
    assert!(kept.run(&["compare", "main", "new"]).exits(2).contains("upload/10KB/main/sample.json"));
    #[cfg(unix)]
    {
        fs::remove_dir(&path).expect("was there");
        std::os::unix::fs::symlink(&path, &path).expect("links");
        assert!(kept.run(&["compare", "main", "new"]).exits(2).contains("upload/10KB/main/sample.json"));
    }
    // A terabyte that takes no space on the disk: a sparse file.
    fs::remove_file(&path).expect("was there");
    fs::File::create(&path).and_then(|file| file.set_len(1 << 40)).expect("makes it");
    assert!(kept.run(&["compare", "main", "new"]).exits(2).contains("sample.json: is larger than"));
}

/// Imports a bundle with this text.
fn import(kept: &Kept, text: &str) -> Run {
    fs::write(kept.bundle(), text).expect("writes");
    kept.run(&["baseline", "import", "main.json", "--name", "imported"])
}

#[test]
fn a_broken_bundle_is_named_and_nothing_of_it_is_imported() {
    let kept = Kept::new();
    let text = kept.export();
    let value: Value = serde_json::from_str(&text).expect("is JSON");
    let doubled = changed(&value, |v| {
        let first = v["cases"][0].clone();
        v["cases"].as_array_mut().expect("is a list").push(first);
    });
    for (broken, says) in [
        (String::new(), "is no baseline"),
        (text[..text.len() / 2].to_owned(), "is no baseline"),
        (text[..text.len() - 3].to_owned(), "is no baseline"),
        ("[]".to_owned(), "is no baseline"),
        ("[".repeat(100_000), "is no baseline"),
        // Another version may have its checksum made in another way: the version is looked at first.
        (changed(&value, |v| v["schema_version"] = json!(2)), "has version 2"),
        (changed(&value, |v| v["checksum"] = json!("00")), "does not match its checksum"),
        (changed(&value, |v| v["baseline"] = json!("other")), "does not match its checksum"),
        // Names become folders: one that leads elsewhere must not get as far as that.
        (changed(&value, |v| v["baseline"] = json!("../main")), "is no name for a baseline"),
        (changed(&value, |v| v["cases"] = json!([])), "does not match its checksum"),
        (
            changed(&value, |v| v["cases"][0]["files"]["sample.json"] = json!("{}")),
            "does not match its checksum",
        ),
        (changed(&value, |v| v["cases"][0]["case"] = json!("../../etc")), "does not match its checksum"),
        (changed(&value, |v| v["more"] = json!(1)), "unknown field"),
        (doubled, "does not match its checksum"),
        (text.replacen("5000.0", "5001.0", 1), "does not match its checksum"),
    ] {
        let run = import(&kept, &broken);
        let why = run.exits(2);
        assert!(why.contains("main.json") && why.contains(says), "{says}: {why}");
        assert_eq!(run.stdout, "");
        assert!(!kept.criterion().join("upload/10KB/imported").exists(), "nothing is imported");
    }
    // The text as it was exported is taken, so that it is the changes that were refused.
    import(&kept, &text).exits(0);
}

/// The text of a bundle that was changed in one place; its checksum is still the old one.
fn changed(bundle: &Value, change: fn(&mut Value)) -> String {
    let mut value = bundle.clone();
    change(&mut value);
    value.to_string()
}

#[test]
fn a_failed_import_leaves_what_was_there() {
    let kept = Kept::new();
    let text = kept.export();
    fs::write(kept.bundle(), &text[..100]).expect("writes");
    // With `--replace` the old baseline is to go, but not before the new one has been read.
    let before = fs::read(kept.criterion().join("upload/10KB/main/sample.json")).expect("is there");
    kept.run(&["baseline", "import", "main.json", "--replace"]).exits(2);
    assert_eq!(fs::read(kept.criterion().join("upload/10KB/main/sample.json")).expect("is there"), before);
    assert!(
        kept.run(&["baseline", "export", "main", "--out", "/dev/null/x.json"])
            .exits(2)
            .contains("/dev/null/x.json")
    );
    assert!(Path::new(&kept.bundle()).exists());
}
