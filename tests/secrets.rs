//! Promise: no key, token or password in any output or report, however much is logged.

mod common;

use std::fs;
use std::path::Path;

use common::bench::{Bench, Run};
use common::server::{Manner, Server};
use rsa::pkcs8::{EncodePrivateKey, LineEnding};

/// Everything a run left behind: what it printed and every file it wrote.
fn traces(run: &Run, dir: &Path) -> String {
    let mut text = run.output();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("can be listed").map(|entry| entry.expect("can be read")) {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                text.push_str(&String::from_utf8_lossy(&fs::read(entry.path()).expect("can be read")));
            }
        }
    }
    text
}

/// Length from which a part of a secret gives something away: that from which the program redacts (`auth/redact.rs`).
const TELLING: usize = 12;

/// The telling parts of the token that the server was sent.
fn shown(server: &Server) -> Vec<String> {
    let authorization = server.authorization();
    let token =
        authorization.strip_prefix("Bearer ").unwrap_or_else(|| panic!("is not a token: {authorization}"));
    token.split('.').filter(|part| part.len() > TELLING).map(str::to_owned).collect()
}

/// The lines of a PEM text that hold the key.
fn key_lines(pem: &str) -> Vec<String> {
    pem.lines().filter(|line| line.len() > TELLING && !line.contains("-----")).map(str::to_owned).collect()
}

/// Asserts that nothing the run left behind holds one of the secrets.
#[track_caller]
fn keeps(run: &Run, bench: &Bench, secrets: &[String], when: &str) {
    assert!(!run.stderr.contains("panicked"), "{when}: {}", run.stderr);
    let traces = traces(run, bench.dir.path());
    for secret in secrets {
        assert!(!traces.contains(secret.as_str()), "{when}: {secret} stands in: {traces}");
    }
}

/// A fresh private key.
fn pem() -> String {
    let key = rsa::PrivateKey::new(&mut rand::rng(), 2048).expect("makes a key");
    key.to_pkcs8_pem(LineEnding::LF).expect("encodes").to_string()
}

/// A bench against the server that logs all it can.
fn loud(name: &'static str, server: &Server) -> Bench {
    // Nothing of ours reads `RUST_LOG`; a library that did would print what it sends.
    Bench::new(name).env("INGESTER_URL", server.url()).env("RUST_LOG", "trace").env("CRITERION_DEBUG", "1")
}

#[test]
fn a_token_stays_secret_even_if_the_service_repeats_it() {
    // Repeated in a refusal, repeated where a number belongs, taken, and refused.
    for manner in [Manner::Echo, Manner::EchoCreated, Manner::Python, Manner::Status(401)] {
        let server = Server::start(manner);
        let bench = loud("upload", &server)
            .env("INGESTER_TOKEN", "s3cret-bearer-token.s3cret-second-part.s3cret-signature");
        let run = bench.short(&["--verbose", "10KB"]);
        let parts = ["s3cret-bearer-token", "s3cret-second-part", "s3cret-signature"];
        assert_eq!(shown(&server), parts, "{manner:?}");
        // All parts begin with it. It is shorter than what has to be redacted: not even the beginning of one may be left.
        keeps(&run, &bench, &["s3cret".to_owned()], &format!("{manner:?}"));
    }
}

#[test]
fn a_private_key_and_the_tokens_minted_with_it_stay_secret() {
    let pem = pem();
    for manner in [Manner::Echo, Manner::EchoCreated, Manner::Python] {
        let server = Server::start(manner);
        let bench = loud("upload", &server).env("INGESTER_PRIVATE_KEY", pem.as_str());
        let run = bench.short(&["--verbose", "10KB"]);
        // The tokens are made by the program: only the server can say what they were.
        let token = shown(&server);
        assert_eq!(token.len(), 3, "{manner:?}: a token has a header, claims and a signature");
        keeps(&run, &bench, &[token, key_lines(&pem)].concat(), &format!("{manner:?}"));
    }
}

#[test]
fn a_token_where_a_file_name_belongs_stays_secret() {
    // A common slip: the token itself in the variable that names its file, and errors about a file quote its name. The
    // last is longer than a path may be (PATH_MAX, 4096), which is another error of the system's.
    let token = "header-of-a-t0ken.payload-of-a-t0ken.signature-of-a-t0ken";
    for given in [token.to_owned(), format!("Bearer {token}"), format!("{token}{}", "x".repeat(5000))] {
        let server = Server::start(Manner::Python);
        let bench = loud("upload", &server).env("INGESTER_TOKEN_FILE", given.as_str());
        let run = bench.short(&["--verbose", "10KB"]);
        assert!(run.exits(2).contains("INGESTER_TOKEN_FILE"), "{}", run.stderr);
        assert_eq!(server.uploads(), 0);
        keeps(&run, &bench, &["t0ken".to_owned()], "INGESTER_TOKEN_FILE");
    }
}

#[test]
fn a_private_key_in_a_wrong_form_stays_secret() {
    let pem = pem();
    // What a slip of copying leaves of a key: parts of it are as secret as all of it.
    let half = &pem[..pem.len() / 2];
    // Whether a blank before it is taken as part of a key is not promised here.
    for (given, codes) in [
        (format!("\n{pem}"), [0, 2].as_slice()),
        (format!(" {pem}"), &[0, 2]),
        (half.to_owned(), &[2]),
        (format!("\n{half}"), &[2]),
        (key_lines(&pem).join("\n"), &[2]),
    ] {
        let server = Server::start(Manner::Python);
        let bench = loud("upload", &server).env("INGESTER_PRIVATE_KEY", given.as_str());
        let run = bench.short(&["--verbose", "10KB"]);
        let when = format!("{given:.30?}");
        assert!(run.code.is_some_and(|code| codes.contains(&code)), "{when}: {:?}", run.code);
        keeps(&run, &bench, &key_lines(&given), &when);
    }
}

#[test]
fn a_password_in_the_url_is_refused_unseen() {
    // Nobody listens at port 1: it is refused before anything is connected.
    let bench = Bench::new("upload")
        .env("INGESTER_URL", "http://user:pa55word@127.0.0.1:1")
        .env("INGESTER_TOKEN", "a.b.c");
    let run = bench.short(&[]);
    assert!(run.exits(2).contains("must not hold a user or password"), "{}", run.stderr);
    assert!(!run.output().contains("pa55word"));
}
