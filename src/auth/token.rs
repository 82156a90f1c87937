//! Minting tokens, and the bearer token itself, which never shows in output.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header};

use super::claims::Claims;
use super::keys::{KeyError, KeyPair};

/// A bearer token. Prints as `[redacted]`; `as_str` is the one way to its text.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Takes a token as it came from outside.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The token's text, for an `Authorization` header.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What was signed, and the signature's bytes; `None` where the text is not a token.
    pub(crate) fn parts(&self) -> Option<(&str, Vec<u8>)> {
        let (message, signature) = self.0.rsplit_once('.')?;
        Some((message, URL_SAFE_NO_PAD.decode(signature).ok()?))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([redacted])")
    }
}

/// Signs tokens with one private key.
#[derive(Debug, Clone)]
pub struct Minter {
    key: KeyPair,
    kid: Option<String>,
}

impl Minter {
    /// A minter that signs with `key`, whose tokens do not name it.
    pub fn new(key: KeyPair) -> Self {
        Self { key, kid: None }
    }

    /// Writes this name of the key into each token's header (`kid`, RFC 7515, 4.1.4).
    #[must_use]
    pub fn named(self, kid: &str) -> Self {
        Self { kid: Some(kid.to_owned()), ..self }
    }

    /// A token for uploads that is valid from now on for `lifetime`.
    pub fn mint(&self, lifetime: Duration) -> Result<Token, KeyError> {
        self.sign(&uploader(now(), lifetime))
    }

    /// A token with exactly these claims.
    pub fn sign(&self, claims: &Claims) -> Result<Token, KeyError> {
        let header = Header { kid: self.kid.clone(), ..Header::new(Algorithm::RS256) };
        jsonwebtoken::encode(&header, claims, self.key.signing())
            .map(Token)
            .map_err(|why| KeyError::Unusable(why.to_string()))
    }
}

/// Seconds that two machines' clocks may differ.
const CLOCK_SKEW: u64 = 60;

/// Claims that both generations of the service let upload.
fn uploader(now: u64, lifetime: Duration) -> Claims {
    // The service's clock may be a little behind this one.
    let issued = now.saturating_sub(CLOCK_SKEW);
    Claims {
        sub: "ingester-perf".to_owned(),
        kind: "service_account".to_owned(),
        role: "admin".to_owned(),
        name: "ingester-perf".to_owned(),
        jti: uuid::Uuid::new_v4().to_string(),
        iat: issued,
        exp: now.saturating_add(lifetime.as_secs()),
        nbf: issued,
        // The Go service wants this, or the role above; the Python service asks for the role.
        scope: Some("files:write".to_owned()),
        client_id: Some("ingester-perf".to_owned()),
        rate_limit: None,
    }
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
