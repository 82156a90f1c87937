//! Where uploads go: the address, resolved once, and how to speak to it.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::Uri;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use url::Url;

use crate::error::Error;
use crate::network::Network;

/// The protocol that is spoken. There is no falling back from one to the other: both would be measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Http {
    /// HTTP/1.1.
    #[default]
    One,
    /// HTTP/2, without TLS by prior knowledge. Each user has a connection of its own.
    Two,
}

/// The addresses behind a URL, its authority and path, the protocol, and TLS for `https`. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub(super) addresses: Arc<[SocketAddr]>,
    pub(super) authority: String,
    pub(super) path: String,
    pub(super) tls: Option<Tls>,
    pub(super) http: Http,
    pub(super) simulated: Option<Simulated>,
}

/// The simulated network before an endpoint. Clones count their connections together.
#[derive(Debug, Clone)]
pub(super) struct Simulated {
    pub network: Network,
    connections: Arc<AtomicU64>,
}

impl Simulated {
    /// The number of the next connection, from 0. It decides what is lost and delayed there, so that runs repeat.
    pub fn next_connection(&self) -> u64 {
        // Relaxed, as the counter publishes no other memory.
        self.connections.fetch_add(1, Ordering::Relaxed)
    }
}

/// Error for a URL to which nothing can be sent.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The URL has no host.
    #[error("the URL names no host")]
    NoHost,
    /// The host's name cannot be resolved.
    #[error("cannot resolve {host}: {reason}")]
    Unresolved {
        /// The name asked for.
        host: String,
        /// What the resolver said.
        reason: String,
    },
    /// The system's certificates or the host's name do not serve for TLS.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

impl From<EndpointError> for Error {
    fn from(error: EndpointError) -> Self {
        Self::Unusable(error.into())
    }
}

#[derive(Clone)]
pub(super) struct Tls {
    pub connector: TlsConnector,
    pub name: ServerName<'static>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tls({:?})", self.name)
    }
}

impl Endpoint {
    /// Resolves the host of an `http` or `https` URL; blocks while it does.
    pub fn resolve(url: &Url, http: Http) -> Result<Self, EndpointError> {
        let host = url.host_str().ok_or(EndpointError::NoHost)?;
        let port = url.port_or_known_default().unwrap_or(80);
        // A URL has an IPv6 address in brackets, which neither the resolver nor TLS knows.
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let addresses: Arc<[SocketAddr]> =
            (bare, port).to_socket_addrs().map_err(|e| unresolved(bare, e))?.collect();
        if addresses.is_empty() {
            return Err(unresolved(bare, "it has no address"));
        }
        // `port` is `None` for the scheme's own, which `Host` leaves out as well.
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let tls = if url.scheme() == "https" { Some(tls(bare, http)?) } else { None };
        Ok(Self { addresses, authority, path: url.path().to_owned(), tls, http, simulated: None })
    }

    /// The same behind a simulated network, if there is one.
    pub fn over(self, network: Option<Network>) -> Self {
        let simulated = network.map(|network| Simulated { network, connections: Arc::default() });
        Self { simulated, ..self }
    }

    /// What a request for a path below the URL's is addressed to: the whole path, and for HTTP/2 all of the URL. `None`
    /// where the path cannot stand in a request.
    pub(super) fn uri(&self, below: &str) -> Option<Uri> {
        let path = format!("{}/{below}", self.path.trim_end_matches('/'));
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        match self.http {
            Http::One => path.parse().ok(),
            Http::Two => format!("{scheme}://{}{path}", self.authority).parse().ok(),
        }
    }
}

fn unresolved(host: &str, reason: impl std::fmt::Display) -> EndpointError {
    EndpointError::Unresolved { host: host.to_owned(), reason: reason.to_string() }
}

/// TLS that trusts what the system trusts.
fn tls(host: &str, http: Http) -> Result<Tls, EndpointError> {
    use rustls_platform_verifier::BuilderVerifierExt;
    if let Some(file) = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from).filter(|file| !file.is_file()) {
        return Err(no_tls(format!("SSL_CERT_FILE names {}, which is no file", file.display())));
    }
    // Named here, as the default of the process may be set by a bench that this is linked into, or be missing.
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier)
        .map_err(no_tls)?
        .with_no_client_auth();
    // Only one protocol is offered, so that the service cannot choose the other one.
    config.alpn_protocols = vec![match http {
        Http::One => b"http/1.1".to_vec(),
        Http::Two => b"h2".to_vec(),
    }];
    let name = ServerName::try_from(host.to_owned()).map_err(no_tls)?;
    Ok(Tls { connector: Arc::new(config).into(), name })
}

fn no_tls(reason: impl std::fmt::Display) -> EndpointError {
    EndpointError::Tls(reason.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(url: &str) -> Result<Endpoint, EndpointError> {
        Endpoint::resolve(&url.parse().expect("is a URL"), Http::One)
    }

    #[test]
    fn a_url_becomes_an_address_an_authority_and_a_path() {
        let plain = resolve("http://127.0.0.1:8020/api/upload").expect("resolves");
        assert_eq!(*plain.addresses, ["127.0.0.1:8020".parse().expect("is an address")]);
        assert_eq!((plain.authority.as_str(), plain.path.as_str()), ("127.0.0.1:8020", "/api/upload"));
        assert!(plain.tls.is_none());
    }

    #[test]
    fn ipv6_default_ports_and_tls_work() {
        let secure = resolve("https://[::1]/").expect("resolves");
        assert_eq!(*secure.addresses, ["[::1]:443".parse().expect("is an address")]);
        assert_eq!(secure.authority, "[::1]");
        assert!(secure.tls.is_some());
    }

    #[test]
    fn a_name_that_leads_nowhere_is_named() {
        let error = resolve("http://no-such-host.invalid/").expect_err("does not resolve");
        assert!(error.to_string().contains("no-such-host.invalid"), "{error}");
    }
}
