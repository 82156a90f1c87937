//! Tokens from the admin module, for a client id and its secret.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use super::http::{client_for, root_cause};
use super::token_text::token;
use crate::auth::Token;
use crate::error::Error;

/// Longest wait for a token.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer that is read.
const MAX_ANSWER: u64 = 64 << 10;
/// Shortest life of a token in seconds: a shorter one would be renewed all the time.
const SHORTEST: u64 = 2;
/// Longest life of a token in seconds: a longer one is not believed.
const LONGEST: u64 = 24 * 3600;

/// Id and secret of a client, and where it asks for tokens.
#[derive(Clone)]
pub struct ClientCredentials {
    /// The admin module's route for tokens.
    pub url: Url,
    /// The client's id.
    pub id: String,
    /// Its secret, which never shows in output.
    pub secret: String,
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientCredentials({}, [redacted])", self.url)
    }
}

/// A token, and for how long it is good.
pub(super) struct Granted {
    pub token: Token,
    pub lifetime: Duration,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: u64,
}

impl ClientCredentials {
    /// Asks for a token; blocks until it is there.
    pub(super) fn grant(&self) -> Result<Granted, Error> {
        // A thread of its own: this may be called where an event loop is running already.
        let asked = std::thread::scope(|scope| scope.spawn(|| self.ask()).join());
        let answer = asked.unwrap_or_else(|_| Err("the thread that asked ended unexpectedly".to_owned()));
        let Answer { access_token, expires_in } = answer.map_err(|reason| self.no_token(reason))?;
        if expires_in < SHORTEST {
            return Err(self.no_token(format!("it is good for {expires_in} s only")));
        }
        // Any token on one line is taken: a service may give others than JWTs.
        let token = token("INGESTER_TOKEN_URL", &access_token)?;
        Ok(Granted { token, lifetime: Duration::from_secs(expires_in.min(LONGEST)) })
    }

    fn no_token(&self, reason: String) -> Error {
        Error::NoToken { url: self.url.to_string(), reason }
    }

    fn ask(&self) -> Result<Answer, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|e| e.to_string())?.block_on(async {
            let client = client_for(&self.url, TIMEOUT)?;
            let body = serde_json::json!({ "client_id": self.id, "client_secret": self.secret }).to_string();
            let request = client.post(self.url.clone()).header("content-type", "application/json").body(body);
            let mut response = request.send().await.map_err(|e| root_cause(&e))?;
            if !response.status().is_success() {
                return Err(format!("it answered {}", response.status()));
            }
            // Piece by piece, so that an answer without end is given up.
            let mut answer = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|e| root_cause(&e))? {
                answer.extend_from_slice(&chunk);
                if answer.len() as u64 > MAX_ANSWER {
                    return Err("its answer is too long".to_owned());
                }
            }
            // What serde would say quotes the answer, which may hold the token.
            serde_json::from_slice(&answer)
                .map_err(|_| "its answer is not {\"access_token\": ..., \"expires_in\": ...}".to_owned())
        })
    }
}
