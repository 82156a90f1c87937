//! What is fuzzed: one function for each thing that is read from somebody else. None may panic, whatever it is given; and
//! where it takes something, that has to be what it says. Each returns whether the bytes were taken.

mod seeds;

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use ingester_perf::auth::{KeyPair, Policy, Verifier};
use ingester_perf::baseline::{Bundle, Report};
use ingester_perf::case::Suite;
use ingester_perf::config::Config;
use ingester_perf::load::LoadRecord;
use ingester_perf::lockstep::{judge, load_record as load_session, verdict_document, Record, Why};
use ingester_perf::report::{outcome_document, LoadOutcome};
use ingester_perf::stub::fuzzing::read_form;
use ingester_perf::targets::Targets;
use ingester_perf::units::hex;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub use seeds::{seeds, Seed};

/// A function that is fuzzed.
pub struct Target {
    /// Its name, and that of its binary.
    pub name: &'static str,
    /// Whether these bytes were taken.
    pub takes: fn(&[u8]) -> bool,
}

/// All of them.
pub const TARGETS: [Target; 9] = [
    Target { name: "token", takes: token },
    Target { name: "signed_token", takes: signed_token },
    Target { name: "form", takes: form },
    Target { name: "config", takes: config },
    Target { name: "targets", takes: targets },
    Target { name: "baseline", takes: baseline },
    Target { name: "report", takes: report },
    Target { name: "session_record", takes: session_record },
    Target { name: "load_record", takes: load_record },
];

/// A verifier, and what signs the tokens that it believes.
struct Keys {
    verifier: Verifier,
    signing: EncodingKey,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let pem = KeyPair::generate_pem().expect("makes a key");
    let pair = KeyPair::from_pem(&pem).expect("is a key");
    Keys {
        verifier: Verifier::new(pair.public(), Policy::default()),
        signing: EncodingKey::from_rsa_pem(pem.as_bytes()).expect("is a key"),
    }
});

/// Where files are written that a target reads.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("ingester-perf-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("can be made");
    folder
});

/// A token as it comes in a header.
pub fn token(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let accepted = KEYS.verifier.verify(text).is_ok();
    // The key was made a moment ago, and has signed nothing that could be in these bytes.
    assert!(!accepted, "accepted a token that nobody signed");
    accepted
}

/// A header and, behind the first line feed, claims: as they are, but with a signature that is right.
pub fn signed_token(bytes: &[u8]) -> bool {
    let Some(at) = bytes.iter().position(|byte| *byte == b'\n') else { return false };
    let header = &bytes[..at];
    let claims = &bytes[at + 1..];
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature =
        jsonwebtoken::crypto::sign(message.as_bytes(), &KEYS.signing, Algorithm::RS256).expect("signs");
    if KEYS.verifier.verify(&format!("{message}.{signature}")).is_err() {
        return false;
    }
    // What no verifier may accept, whatever its policy.
    let header = object(header);
    assert_eq!(header["alg"], "RS256", "accepted another algorithm");
    assert!(!header.contains_key("crit"), "accepted an extension that is not known");
    let expires = object(claims)["exp"].as_f64().expect("exp is a number");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("is after 1970").as_secs_f64();
    assert!(expires > now - 1.0, "accepted an expired token");
    true
}

fn object(json: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(json).expect("what was accepted is a JSON object")
}

/// An upload's body, behind a byte that says in which pieces it arrives.
pub fn form(bytes: &[u8]) -> bool {
    let Some((size, body)) = bytes.split_first() else { return false };
    let whole = read_form("b", body, body.len().max(1));
    // Neither the parts nor the reason for a refusal may depend on how the body was cut.
    for size in [1, usize::from(*size).max(1)] {
        assert_eq!(read_form("b", body, size), whole, "in pieces of {size}");
    }
    let Ok(parts) = whole else { return false };
    let mut length = 0;
    for part in &parts {
        let file_name = part.file_name.as_deref().unwrap_or_default();
        assert!(!part.name.chars().chain(file_name.chars()).any(char::is_control), "{part:?}");
        length += part.content.len() + part.name.len() + file_name.len();
    }
    assert!(length <= body.len(), "more came out than went in");
    !parts.is_empty()
}

/// `ingester-perf.toml`. It is parsed only: nothing that it describes is started.
pub fn config(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    // The folder of the file has to be there.
    let path = FOLDER.join("ingester-perf.toml");
    let suite = Suite::default();
    let _ = Config::targets_in(&path, text, &suite);
    match Config::parse(&path, text) {
        Ok(config) => {
            let _ = config.describe(&config.suite(&suite));
            true
        }
        Err(error) => {
            let _ = error.to_string();
            false
        }
    }
}

/// `targets.toml`.
pub fn targets(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    match Suite::default().parse_targets(text) {
        Ok(_) => true,
        Err(error) => {
            let lines = text.split('\n').count();
            assert!((1..=lines).contains(&error.line), "{error}, of {lines} lines");
            false
        }
    }
}

/// A file of `baseline export`, sealed with the checksum of what it holds: everybody can compute that.
pub fn baseline(bytes: &[u8]) -> bool {
    let Some(text) = sealed(bytes) else { return false };
    let path = FOLDER.join("baseline.json");
    let suite = Suite::default();
    let Ok(bundle) = Bundle::parse(&path, &text, &suite) else { return false };
    let again = Bundle::parse(&path, &bundle.to_text(), &suite).expect("what was written can be read");
    assert_eq!(again, bundle);
    true
}

/// A bundle with its checksum: SHA-256 over the length and the bytes of each of its texts.
fn sealed(bytes: &[u8]) -> Option<String> {
    let mut bundle: Map<String, Value> = serde_json::from_slice(bytes).ok()?;
    let mut hash = Sha256::new();
    add(&mut hash, bundle.get("baseline")?.as_str()?);
    for case in bundle.get("cases")?.as_array()? {
        add(&mut hash, case.get("case")?.as_str()?);
        for (name, text) in case.get("files")?.as_object()? {
            add(&mut hash, name);
            add(&mut hash, text.as_str()?);
        }
    }
    bundle.insert("checksum".to_owned(), hex(&hash.finalize()).into());
    Some(Value::Object(bundle).to_string())
}

fn add(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text);
}

/// The report of a bench or of a run, as `compare` reads it.
pub fn report(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    Report::parse(&FOLDER.join("report.json"), text).is_ok()
}

/// The record of a gate's session, sealed like a baseline, and the verdict on it.
pub fn session_record(bytes: &[u8]) -> bool {
    let Ok(mut record) = serde_json::from_slice::<Record>(bytes) else { return false };
    record.checksum = String::new();
    let unsealed = serde_json::to_string(&record).expect("a record has only texts and finite numbers");
    record.checksum = hex(&Sha256::digest(unsealed.as_bytes()));
    let text = serde_json::to_string(&record).expect("a record has only texts and finite numbers");
    std::fs::write(FOLDER.join("slices.json"), text).expect("writes");
    let Ok(record) = load_session(&FOLDER) else { return false };
    // With more pairs or cases, the test of one record takes seconds.
    if record.numbers.len() <= 12 && record.cases.len() <= 3 {
        let verdict = judge(&record);
        let _ = verdict_document(&record, &verdict, &Why::default()).to_string();
    }
    true
}

/// The record of a load run, and its report.
pub fn load_record(bytes: &[u8]) -> bool {
    // Most bytes are no record, and need no file.
    if serde_json::from_slice::<LoadRecord>(bytes).is_err() {
        return false;
    }
    let path = FOLDER.join("record.json");
    std::fs::write(&path, bytes).expect("writes");
    let Ok(record) = LoadRecord::load(&path) else { return false };
    let _ = outcome_document(&LoadOutcome::of(&record, &Targets::default())).to_string();
    true
}
