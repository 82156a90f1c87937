//! Promise: https works, with the certificates that the system trusts and with no others.

mod common;

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use common::bench::Bench;
use common::server::{Manner, Server};
use rcgen::CertifiedKey;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;

/// A port that speaks TLS with this certificate and passes what it hears on to `plain`.
fn tls_before(plain: SocketAddr, key: &CertifiedKey<rcgen::KeyPair>) -> u16 {
    let private = key.signing_key.serialize_der().try_into().expect("is a key");
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder.with_no_client_auth().with_single_cert(vec![key.cert.der().clone()], private)
        })
        .expect("key and certificate fit");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.set_nonblocking(true).expect("can be set");
    let port = listener.local_addr().expect("is bound").port();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).expect("is a socket");
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut outer = acceptor.accept(stream).await?;
                    let mut inner = TcpStream::connect(plain).await?;
                    copy_bidirectional(&mut outer, &mut inner).await
                });
            }
        });
    });
    port
}

#[test]
fn a_trusted_certificate_is_taken_and_a_stranger_is_not() {
    let server = Server::start(Manner::Python);
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("makes a certificate");
    let port = tls_before(server.address, &key);
    let bench = Bench::new("upload")
        .env("INGESTER_URL", format!("https://localhost:{port}"))
        .env("INGESTER_TOKEN", "a.bearer.token");

    let run = bench.short(&["10KB"]);
    assert!(run.exits(2).contains("cannot reach the ingester at https://localhost"), "{}", run.stderr);
    assert_eq!(server.uploads(), 0);

    let trusted = bench.dir.path().join("ca.pem");
    fs::write(&trusted, key.cert.pem()).expect("can be written");
    let bench = bench.env("SSL_CERT_FILE", trusted.to_str().expect("is UTF-8"));
    bench.short(&["10KB"]).exits(0);
    assert_eq!(bench.report("upload_small_file")["success_rate_pct"], 100.0);
}
