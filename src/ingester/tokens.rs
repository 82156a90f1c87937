//! Where bearer tokens come from, and their renewal before they expire.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::client_credentials::Granted;
use super::credentials::Credentials;
use crate::auth::Token;
use crate::error::Error;

/// Lifetime of a minted token: that of the service's own.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// The token to use now. Asked for between measured intervals or beside them, never within one.
#[derive(Debug)]
pub(super) struct Tokens {
    credentials: Credentials,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    token: Token,
    renew_at: Instant,
}

impl Tokens {
    pub fn new(credentials: Credentials) -> Self {
        Self { credentials, kept: Mutex::new(None) }
    }

    /// A token with at least half of its lifetime left, unless it was given and no other can be had; `None` where the
    /// service wants none. May ask for one, and take as long.
    pub fn current(&self) -> Result<Option<Token>, Error> {
        self.current_at(Instant::now())
    }

    fn current_at(&self, now: Instant) -> Result<Option<Token>, Error> {
        // Locked for as long as a token is asked for: whoever else needs one waits for the same.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Kept { token, .. }) = kept.as_ref().filter(|kept| now < kept.renew_at) {
            return Ok(Some(token.clone()));
        }
        let Granted { token, lifetime } = match &self.credentials {
            Credentials::None => return Ok(None),
            Credentials::Token(token) => return Ok(Some(token.clone())),
            Credentials::PrivateKey(minter) => Granted { token: minter.mint(LIFETIME)?, lifetime: LIFETIME },
            Credentials::Client(client) => client.grant()?,
        };
        *kept = Some(Kept { token: token.clone(), renew_at: now + lifetime / 2 });
        Ok(Some(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{KeyPair, Minter};

    /// The token that is used so many minutes after `start`.
    fn after(tokens: &Tokens, start: Instant, minutes: u64) -> Option<Token> {
        tokens.current_at(start + Duration::from_secs(60 * minutes)).expect("mints")
    }

    #[test]
    fn a_minted_token_is_kept_for_half_of_its_life() {
        let key = KeyPair::generate().expect("makes a key");
        let tokens = Tokens::new(Credentials::PrivateKey(Minter::new(key)));
        let start = Instant::now();
        let first = after(&tokens, start, 0);
        // Half of 30 minutes.
        assert_eq!(after(&tokens, start, 14), first);
        assert_ne!(after(&tokens, start, 15), first);
    }

    #[test]
    fn a_given_token_stays() {
        let tokens = Tokens::new(Credentials::Token(Token::new("a.b.c")));
        assert_eq!(tokens.current().expect("is there"), Some(Token::new("a.b.c")));
        assert_eq!(Tokens::new(Credentials::None).current().expect("needs none"), None);
    }
}
