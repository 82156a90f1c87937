//! TLS in front of a server that speaks plain HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::CertifiedKey;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;

/// Returns a port that speaks TLS with this certificate and passes everything on to `plain`. Each handshake waits for
/// `delay`.
pub fn tls_before(plain: SocketAddr, key: &CertifiedKey<rcgen::KeyPair>, delay: Duration) -> u16 {
    let private = key.signing_key.serialize_der().try_into().expect("is a key");
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder.with_no_client_auth().with_single_cert(vec![key.cert.der().clone()], private)
        })
        .expect("key and certificate fit");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    // Bound here and not in the thread: from now on the system accepts connections for it.
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
                    // Stops the whole thread: everybody waits, as for a busy server. The runtime's own timer would add up
                    // to a millisecond.
                    std::thread::sleep(delay);
                    // Otherwise a body waits 40 ms for the acknowledgement of its head, and nothing is ever busy.
                    stream.set_nodelay(true)?;
                    // A client that does not trust the certificate leaves here.
                    let mut outer = acceptor.accept(stream).await?;
                    let mut inner = TcpStream::connect(plain).await?;
                    inner.set_nodelay(true)?;
                    copy_bidirectional(&mut outer, &mut inner).await
                });
            }
        });
    });
    port
}
