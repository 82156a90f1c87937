//! RS256 tokens: the key pair, the claims the service expects, minting, and the check that is measured.

mod claims;
mod keys;
mod pem;
mod redact;
mod token;
mod verifier;

pub use claims::Claims;
pub use keys::{KeyError, KeyPair, PublicKey};
pub use redact::Redactor;
pub use token::{Minter, Token};
pub use verifier::{Rejection, Verifier};
