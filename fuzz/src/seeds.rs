//! Inputs to begin with: what the program itself writes, or people do. From nothing, a fuzzer would not find the first
//! record within a week.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ingester_perf::config::TEMPLATE;
use ingester_perf::load::{run, Function, LoadRecord, Model, Plan as LoadPlan, Profile, RecordedRun};
use ingester_perf::lockstep::{
    Block, Build, CasePair, CaseRecord, CountRecord, Counters, Measure, Measured, Plan, Record, Role,
    SCHEMA_VERSION,
};
use ingester_perf::machine::{Conditions, Environment, Placement};
use ingester_perf::report::PerformanceCollector;
use serde_json::json;

/// Pairs of the session: the fewest that are allowed.
const PAIRS: usize = 10;

/// An input.
pub struct Seed {
    /// The target that it is for.
    pub target: &'static str,
    /// Tells it from the others of this target.
    pub name: &'static str,
    /// What it is.
    pub bytes: Vec<u8>,
}

fn seed(target: &'static str, name: &'static str, bytes: impl Into<Vec<u8>>) -> Seed {
    Seed { target, name, bytes: bytes.into() }
}

/// All of them. Each is taken by its target, but for the token: nobody has signed that.
pub fn seeds() -> Vec<Seed> {
    let field = "--b\r\nContent-Disposition: form-data; name=\"description\"\r\n\r\ntext\r\n";
    let file = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a;\\\"b\\\".txt\"\r\n\
                Content-Type: text/plain\r\n\r\n\r\n--a\r\n-b--\r\n--\r\n";
    vec![
        seed("token", "of-rs256", "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJzIn0.c2lnbmF0dXJl"),
        seed("signed_token", "good", good_token()),
        seed("form", "field-and-file", format!("\x07{field}{file}--b--\r\n")),
        seed("form", "preamble-and-epilogue", format!("\x03preamble\r\n{field}--b-- \t\r\nepilogue")),
        seed(
            "form",
            "boundary-after-headers",
            "\x02--b\r\nContent-Disposition: form-data; name=a\r\n\r\n--b--",
        ),
        seed("config", "template", TEMPLATE),
        seed("config", "own-router", include_str!("../../examples/own_router/ingester-perf.toml")),
        seed("config", "cases", CASES),
        seed("targets", "of-the-project", include_str!("../../baseline/targets.toml")),
        seed("baseline", "of-one-case", bundle()),
        seed("report", "of-the-token-check", report()),
        seed("session_record", "of-ten-pairs", session()),
        seed("load_record", "of-three-requests", load()),
    ]
}

/// A service, cases and limits in one file.
const CASES: &str =
    "[service]\nurl = \"http://127.0.0.1:8080\"\n\n[api]\npath = \"/upload\"\nsuccess = [200, 201]\n\n\
                     [[case]]\ngroup = \"upload\"\nname = \"100KB\"\nfile_size = \"100KB\"\n\n\
                     [targets.upload_100KB]\np95_ms = 50\ngate_threshold_pct = 5\n";

/// A header and claims that the verifier accepts, for the next minutes.
fn good_token() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("is after 1970").as_secs();
    let claims = json!({
        "sub": "s", "type": "service_account", "role": "admin", "name": "n", "jti": "j",
        "iat": now, "nbf": now, "exp": now + 1800,
    });
    format!("{}\n{claims}", json!({"alg": "RS256", "typ": "JWT"}))
}

/// A report of the token check: 200 of them, 20 µs each.
fn report() -> String {
    let mut collector = PerformanceCollector::default();
    for _ in 0..200 {
        collector.record("jwt_validation", Duration::from_micros(20), Ok(()));
    }
    let report = collector.finish().pop().expect("one operation was recorded");
    let environment = Environment::read(&Placement::none(), "stub");
    serde_json::to_string(&report.at(environment)).expect("serialises")
}

/// A bundle of one case. The target computes its checksum.
fn bundle() -> String {
    let estimate = json!({
        "confidence_interval": {"confidence_level": 0.95, "lower_bound": 1.0, "upper_bound": 2.0},
        "point_estimate": 1.5, "standard_error": 0.1,
    });
    let estimates = json!({
        "mean": estimate, "median": estimate, "std_dev": estimate, "median_abs_dev": estimate, "slope": null,
    });
    let files = json!({
        "benchmark.json": "{}",
        "estimates.json": estimates.to_string(),
        "sample.json": json!({"iters": [1.0, 1.0], "times": [5.0, 6.0]}).to_string(),
        "tukey.json": "[]",
        "report.json": report(),
    });
    let cases = json!([{"case": "jwt/validate", "files": files}]);
    json!({"schema_version": 1, "baseline": "main", "cases": cases, "checksum": ""}).to_string()
}

/// A side of the session.
fn measured(name: &str) -> Measured {
    let build = Build {
        version: "0.1.0".to_owned(),
        compiler: "rustc 1.95.0".to_owned(),
        profile: "release".to_owned(),
        sha256: "0".repeat(64),
    };
    Measured { name: name.to_owned(), build, url: None, commit: None }
}

/// A session of two cases, whose head takes 10 % longer in one of them. The target computes its checksum.
fn session() -> String {
    let record = Record {
        schema_version: SCHEMA_VERSION,
        checksum: String::new(),
        partial: false,
        made_at: "2026-11-26T14:00:00+00:00".to_owned(),
        plan: Plan {
            pairs: PAIRS,
            max_pairs: PAIRS,
            budget_ms: 1000,
            margin: 0.01,
            threshold: 0.02,
            alpha: 0.005,
            tail_alpha: 0.001,
            seed: 1,
            injected: None,
        },
        base: measured("base"),
        head: measured("head"),
        measure: Measure::WallTime,
        environment: json!({}),
        notices: Vec::new(),
        missing: Vec::new(),
        allowed_missing: Vec::new(),
        only_in_head: Vec::new(),
        numbers: (0..PAIRS).collect(),
        storms: Vec::new(),
        cases: vec![case("jwt/validate", 1_000_000), case("upload/10KB", 1_100_000)],
        counters: Some(counters()),
        accepted: None,
    };
    serde_json::to_string(&record).expect("serialises")
}

/// One more allocation in the head, and instructions of which two counts differ.
fn counters() -> Counters {
    let mut counts = Vec::new();
    for (measure, base, head) in
        [("allocations", [1160, 1160], [1180, 1180]), ("instructions", [10, 11], [10, 10])]
    {
        counts.push(CountRecord {
            case: "upload/10KB".to_owned(),
            measure: Measure::Count(measure.to_owned()),
            iterations: 20,
            tolerance: 0.001,
            base: base.to_vec(),
            head: head.to_vec(),
        });
    }
    Counters { show: 0.01, fail: 0.05, notes: vec!["a note".to_owned()], counts }
}

/// A case of which a slice of the base takes 1 ms, and one of the head so many ns.
fn case(id: &str, head_ns: u64) -> CaseRecord {
    let base_ns = 1_000_000;
    let mut pairs = Vec::new();
    for pair in 0..PAIRS as u64 {
        // A little of each pair's own, as no two of them are alike.
        let own = 100 * pair;
        let values = [base_ns + own, head_ns, base_ns, base_ns + own, head_ns + own, base_ns];
        let block = Block {
            order: Role::ALL,
            values,
            spun: 100_000,
            waited_ns: values.map(|value| value + 10_000),
            conditions: Conditions::default(),
        };
        let latencies = [vec![(20_000, 100)], vec![(21_000, 100)], vec![(20_000, 90), (30_000, 10)]];
        pairs.push(CasePair { blocks: vec![block; 2], latencies });
    }
    CaseRecord {
        id: id.to_owned(),
        threshold: 0.02,
        iters: 50,
        slot_ns: 1,
        block_ns: 1,
        too_slow: false,
        pairs,
    }
}

/// A load run of three requests that do nothing.
fn load() -> String {
    let users = Profile::constant(1.0, Duration::from_secs(1));
    let plan = LoadPlan::new(Model::Closed { users, requests: Some(3), think: Duration::ZERO });
    let nothing = Function(async |_: u64| Ok::<(), &str>(()));
    let run = run(&plan, vec![(nothing, None)], |_| true).expect("runs");
    let environment = Environment::read(&Placement::none(), "stub");
    let mut record = LoadRecord::new("load_small_files", "nothing".to_owned(), environment);
    record.runs.push(RecordedRun { step: None, plan, run, phases: None });
    serde_json::to_string(&record).expect("serialises")
}
