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

fn loud(name: &'static str, server: &Server) -> Bench {
    Bench::new(name).env("INGESTER_URL", server.url()).env("RUST_LOG", "trace").env("CRITERION_DEBUG", "1")
}

#[test]
fn a_token_stays_secret_even_if_the_service_repeats_it() {
    for manner in [Manner::Echo, Manner::Python, Manner::Status(401)] {
        let server = Server::start(manner);
        let bench = loud("upload", &server).env("INGESTER_TOKEN", "s3cret-bearer-token");
        let run = bench.short(&["--verbose", "10KB"]);
        assert!(server.uploads() > 0);
        let traces = traces(&run, bench.dir.path());
        assert!(!traces.contains("s3cret"), "{manner:?}: {traces}");
    }
}

#[test]
fn a_private_key_and_the_tokens_minted_with_it_stay_secret() {
    let key = rsa::PrivateKey::new(&mut rand::rng(), 2048).expect("makes a key");
    let pem = key.to_pkcs8_pem(LineEnding::LF).expect("encodes").to_string();
    for manner in [Manner::Echo, Manner::Python] {
        let server = Server::start(manner);
        let bench = loud("upload", &server).env("INGESTER_PRIVATE_KEY", pem.as_str());
        let run = bench.short(&["--verbose", "10KB"]);
        assert!(server.uploads() > 0);
        let traces = traces(&run, bench.dir.path());
        let line = pem.lines().nth(1).expect("has lines");
        // Every token of RS256 begins with these letters: {"typ":"JWT","alg":"RS256"}
        assert!(!traces.contains(line) && !traces.contains("eyJ0eXAiOiJKV1Qi"), "{manner:?}: {traces}");
    }
}

#[test]
fn a_password_in_the_url_is_refused_unseen() {
    let bench = Bench::new("upload")
        .env("INGESTER_URL", "http://user:pa55word@127.0.0.1:1")
        .env("INGESTER_TOKEN", "t");
    let run = bench.short(&[]);
    assert!(run.exits(2).contains("must not hold a user or password"), "{}", run.stderr);
    assert!(!run.output().contains("pa55word"));
}
