//! Where bearer tokens come from, and their renewal before they expire.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::settings::Credentials;
use crate::auth::{KeyError, Token};

/// Lifetime of a minted token: that of the service's own.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// The token to use now. Asked for between measured intervals, never within one.
#[derive(Debug)]
pub(super) struct Tokens {
    credentials: Credentials,
    minted: Mutex<Option<(Token, Instant)>>,
}

impl Tokens {
    pub fn new(credentials: Credentials) -> Self {
        Self { credentials, minted: Mutex::new(None) }
    }

    /// A token with at least half of its lifetime left, where we mint it ourselves.
    pub fn current(&self) -> Result<Token, KeyError> {
        let minter = match &self.credentials {
            Credentials::Token(token) => return Ok(token.clone()),
            Credentials::PrivateKey(minter) => minter,
        };
        let mut minted = self.minted.lock().unwrap_or_else(PoisonError::into_inner);
        match &*minted {
            Some((token, since)) if since.elapsed() < LIFETIME / 2 => Ok(token.clone()),
            _ => {
                let token = minter.mint(LIFETIME)?;
                *minted = Some((token.clone(), Instant::now()));
                Ok(token)
            }
        }
    }
}
