//! What is measured: the stub in this process, or a running ingester by URL with its source of tokens.

mod client_credentials;
mod renewal;
mod settings;
mod tokens;

use std::time::Duration;

use tokio::net::TcpStream;
use url::Url;

pub use client_credentials::ClientCredentials;
pub use renewal::Renewal;
pub(crate) use settings::OF_A_REAL_INGESTER;
pub use settings::{Credentials, Flag, Settings, base_url};

use crate::auth::{KeyPair, Minter, Token};
use crate::error::Error;
use crate::stub::{Stub, StubOptions};
use tokens::Tokens;

/// Connect timeout of the look whether the service is there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// An ingester that uploads can be sent to. Dropping it stops the stub, if there is one.
#[derive(Debug)]
pub struct Ingester {
    base: Url,
    tokens: Tokens,
    stub: Option<Stub>,
}

impl Ingester {
    /// The ingester that the settings name, or the stub on the placement's core.
    pub fn start(settings: &Settings) -> Result<Self, Error> {
        match &settings.remote {
            Some((url, credentials)) => {
                let tokens = Tokens::new(credentials.clone());
                Ok(Self { base: url.clone(), tokens, stub: None })
            }
            None => Self::stub(settings.key()?, settings.placement.stub),
        }
    }

    fn stub(key: KeyPair, core: Option<usize>) -> Result<Self, Error> {
        let stub = Stub::start(StubOptions { core, ..StubOptions::new(key.public().clone()) })?;
        let base = Url::parse(&format!("http://{}", stub.address())).expect("an address makes a URL");
        let tokens = Tokens::new(Credentials::PrivateKey(Minter::new(key)));
        Ok(Self { base, tokens, stub: Some(stub) })
    }

    /// What reports call it: `stub`, or the URL, which holds no credentials.
    pub fn name(&self) -> String {
        if self.stub.is_some() {
            "stub".to_owned()
        } else {
            self.base.as_str().trim_end_matches('/').to_owned()
        }
    }

    /// Whether it shares this machine with whoever loads it.
    pub fn is_here(&self) -> bool {
        let loopback = match self.base.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        self.stub.is_some() || loopback
    }

    /// Where files are uploaded.
    pub fn upload_url(&self) -> Url {
        self.route(settings::UPLOAD_ROUTE)
    }

    /// Where it says whether it is ready.
    pub fn ready_url(&self) -> Url {
        self.route("health/ready")
    }

    /// A token that is valid now and for a while. May have to ask for one: not for measured intervals.
    pub fn token(&self) -> Result<Token, Error> {
        self.tokens.current()
    }

    /// Whether something listens where the service should be. No more than a connection: an upload tells the rest, and
    /// it needs no certificates to find out that nobody is there.
    pub async fn reach(&self) -> Result<(), Error> {
        let unreachable = |reason: String| Error::Unreachable { url: self.name(), reason };
        let addresses = self.base.socket_addrs(|| None).map_err(|e| unreachable(e.to_string()))?;
        let connecting = TcpStream::connect(addresses.as_slice());
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(e)) => Err(unreachable(e.to_string())),
            Err(_) => Err(unreachable(format!("no connection within {CONNECT_TIMEOUT:?}"))),
        }
    }

    fn route(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{path}", self.base.path().trim_end_matches('/')));
        url
    }
}

/// The innermost reason; the outer ones repeat the URL.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_may_have_a_path() {
        let at = |url: &str| Ingester {
            base: url.parse().expect("is a URL"),
            tokens: Tokens::new(Credentials::Token(Token::new("t"))),
            stub: None,
        };
        assert_eq!(at("http://h:8020").upload_url().as_str(), "http://h:8020/api/v1/files/upload");
        assert_eq!(at("http://h/in/").upload_url().as_str(), "http://h/in/api/v1/files/upload");
        assert_eq!(at("http://h/").name(), "http://h");
    }
}
