//! Promise: https works, with the certificates that the system trusts and with no others.

mod common;

use std::fs;
use std::time::Duration;

use common::bench::Bench;
use common::server::{Manner, Server};
use common::tls::tls_before;

#[test]
fn a_trusted_certificate_is_taken_and_a_stranger_is_not() {
    let server = Server::start(Manner::Python);
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("makes a certificate");
    let port = tls_before(server.address, &key, Duration::ZERO);
    let bench = Bench::new("upload")
        .env("INGESTER_URL", format!("https://localhost:{port}"))
        .env("INGESTER_TOKEN", "a.bearer.token");

    // The certificate is self-signed: no authority that the system trusts stands behind it.
    let run = bench.short(&["10KB"]);
    assert!(run.exits(2).contains("cannot reach the ingester at https://localhost"), "{}", run.stderr);
    assert_eq!(server.uploads(), 0);

    let trusted = bench.dir.path().join("ca.pem");
    fs::write(&trusted, key.cert.pem()).expect("can be written");
    let bench = bench.env("SSL_CERT_FILE", trusted.to_str().expect("is UTF-8"));
    bench.short(&["10KB"]).exits(0);
    assert_eq!(bench.report("upload_small_file")["success_rate_pct"], 100.0);
}
