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
        self.current_at(Instant::now())
    }

    fn current_at(&self, now: Instant) -> Result<Token, KeyError> {
        let minter = match &self.credentials {
            Credentials::Token(token) => return Ok(token.clone()),
            Credentials::PrivateKey(minter) => minter,
        };
        let mut minted = self.minted.lock().unwrap_or_else(PoisonError::into_inner);
        match &*minted {
            Some((token, since)) if now.duration_since(*since) < LIFETIME / 2 => Ok(token.clone()),
            _ => {
                let token = minter.mint(LIFETIME)?;
                *minted = Some((token.clone(), now));
                Ok(token)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{KeyPair, Minter};

    #[test]
    fn a_minted_token_is_kept_for_half_of_its_life() {
        let key = KeyPair::generate().expect("makes a key");
        let tokens = Tokens::new(Credentials::PrivateKey(Minter::new(key)));
        let start = Instant::now();
        let at = |minutes: u64| tokens.current_at(start + Duration::from_secs(60 * minutes)).expect("mints");
        let first = at(0);
        assert_eq!(at(14), first);
        assert_ne!(at(15), first);
    }

    #[test]
    fn a_given_token_stays() {
        let tokens = Tokens::new(Credentials::Token(Token::new("a.b.c")));
        assert_eq!(tokens.current().expect("is there").as_str(), "a.b.c");
    }
}
