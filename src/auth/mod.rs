//! RS256 tokens: the key pair, the claims the service expects, minting, and the check that is measured.

mod claims;
mod key_set;
mod keys;
mod object;
mod pem;
mod policy;
mod redact;
mod rejection;
mod token;
mod verifier;
#[cfg(test)]
mod wrong_tokens;

pub use claims::Claims;
pub use key_set::KeySet;
pub use keys::{KeyError, KeyPair, PublicKey};
pub use policy::{MAX_LEEWAY, Policy};
pub use redact::Redactor;
pub use rejection::Rejection;
pub use token::{Minter, Token};
pub use verifier::Verifier;
