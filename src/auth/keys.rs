//! RSA key pairs: made at start and kept in memory, or read from a PEM file. Nothing here prints a key.

use std::fmt;

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use rsa::PrivateKey;
use rsa::pkcs1::{DecodeRsaPublicKey, EncodeRsaPrivateKey, EncodeRsaPublicKey, LineEnding};
use rsa::pkcs8::{DecodePublicKey, EncodePublicKey};

use super::pem;
use crate::error::Error;

/// Bits of a generated key: the size the service uses.
const KEY_BITS: usize = 2048;
/// Bits of the longest key that is taken.
const MAX_KEY_BITS: usize = 8192;

/// Error for a key that cannot be used. Never carries key material.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text does not hold an RSA private key.
    #[error("no RSA private key in PEM form (PKCS#1 or PKCS#8, not encrypted): {found}")]
    NotAKey {
        /// What it holds instead.
        found: String,
    },
    /// RS256 in this service wants at least 2048 bits.
    #[error("an RSA key of {0} bits is too short for RS256; use 2048 or more")]
    TooShort(usize),
    /// Checking a signature takes time that grows with the square of the key's length.
    #[error("an RSA key of {0} bits is too long; use 8192 or less")]
    TooLong(usize),
    /// The text is no set of keys that can be used.
    #[error("the JSON Web Key Set {0}")]
    NotAKeySet(String),
    /// A library refused; the text is its own.
    #[error("the RSA key cannot be used: {0}")]
    Unusable(String),
}

impl From<KeyError> for Error {
    fn from(error: KeyError) -> Self {
        Self::Unusable(error.into())
    }
}

/// A private key with its public half.
#[derive(Clone)]
pub struct KeyPair {
    signing: EncodingKey,
    public: PublicKey,
}

impl KeyPair {
    /// A fresh 2048-bit pair. Takes a tenth of a second or two in a release build.
    pub fn generate() -> Result<Self, KeyError> {
        let key = PrivateKey::new(&mut rand::rng(), KEY_BITS).map_err(unusable)?;
        Self::from_private(&key)
    }

    /// A fresh pair's private key in PEM form (PKCS#1), to be handed to another process.
    pub fn generate_pem() -> Result<String, KeyError> {
        let key = PrivateKey::new(&mut rand::rng(), KEY_BITS).map_err(unusable)?;
        key.to_pkcs1_pem(LineEnding::LF).map(|pem| pem.to_string()).map_err(unusable)
    }

    /// Reads an unencrypted PKCS#8 or PKCS#1 private key, as leniently as OpenSSL does. Of several blocks, the first that
    /// holds one.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        // What the other blocks hold is told if none of them is a key: mostly the wrong file was given.
        let mut found = Vec::new();
        for block in pem::blocks(text) {
            match block.private_key() {
                Ok(key) => return Self::from_private(&key),
                Err(what) => found.push(what),
            }
        }
        let found = if found.is_empty() {
            "it has no block from -----BEGIN ...----- to -----END ...-----".to_owned()
        } else {
            format!("it holds {}", found.join(" and "))
        };
        Err(KeyError::NotAKey { found })
    }

    fn from_private(key: &PrivateKey) -> Result<Self, KeyError> {
        let public = PublicKey::from_rsa(&key.to_public_key())?;
        let der = key.to_pkcs1_der().map_err(unusable)?;
        Ok(Self { signing: EncodingKey::from_rsa_der(der.as_bytes()), public })
    }

    /// The half that checks signatures.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(super) fn signing(&self) -> &EncodingKey {
        &self.signing
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPair([redacted])")
    }
}

/// The public half of a pair, parsed once: parsing costs a third of a check.
#[derive(Clone)]
pub struct PublicKey {
    parsed: ParsedPublicKey,
}

impl PublicKey {
    fn from_rsa(key: &rsa::PublicKey) -> Result<Self, KeyError> {
        use rsa::traits::PublicKeyParts;
        check_bits(key.n().bit_width() as usize)?;
        let der = key.to_pkcs1_der().map_err(unusable)?;
        ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der.as_bytes())
            .map(|parsed| Self { parsed })
            .map_err(unusable)
    }

    /// The key in this PEM text: a SubjectPublicKeyInfo, or PKCS#1.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let key = rsa::PublicKey::from_public_key_pem(text).ok();
        let key = key.or_else(|| rsa::PublicKey::from_pkcs1_pem(text).ok());
        let key = key.ok_or_else(|| unusable("it is no RSA public key in PEM form"))?;
        Self::from_rsa(&key)
    }

    /// The key as a member of a JSON Web Key Set.
    pub fn to_jwk(&self, kid: &str) -> Result<serde_json::Value, KeyError> {
        use rsa::traits::PublicKeyParts;
        let key = rsa::PublicKey::from_pkcs1_der(self.der()).map_err(unusable)?;
        let n = URL_SAFE_NO_PAD.encode(key.n_bytes());
        let e = URL_SAFE_NO_PAD.encode(key.e_bytes());
        Ok(serde_json::json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": e}))
    }

    /// The key in PKCS#1 DER.
    pub(super) fn der(&self) -> &[u8] {
        self.parsed.as_ref()
    }

    /// The key in PEM form (SubjectPublicKeyInfo), as services read it.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        let key = rsa::PublicKey::from_pkcs1_der(self.parsed.as_ref()).map_err(unusable)?;
        key.to_public_key_pem(LineEnding::LF).map_err(unusable)
    }

    /// Whether `signature` is this key's RS256 signature of `message`. Nothing but the signature is checked.
    pub fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(RSA)")
    }
}

/// An error for a key of a length that RS256 is not used with here.
pub(super) fn check_bits(bits: usize) -> Result<(), KeyError> {
    // RFC 7518, section 3.3: a key for RS256 has 2048 bits or more.
    if bits < KEY_BITS {
        return Err(KeyError::TooShort(bits));
    }
    if bits > MAX_KEY_BITS {
        return Err(KeyError::TooLong(bits));
    }
    Ok(())
}

fn unusable(why: impl fmt::Display) -> KeyError {
    KeyError::Unusable(why.to_string())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::LazyLock;

    use rsa::pkcs8::EncodePrivateKey;

    use super::*;

    /// One pair for the whole test process: making one takes longer than any test.
    pub(crate) static PAIR: LazyLock<KeyPair> =
        LazyLock::new(|| KeyPair::generate().expect("the system has randomness"));

    fn private(bits: usize) -> PrivateKey {
        PrivateKey::new(&mut rand::rng(), bits).expect("the system has randomness")
    }

    #[test]
    fn both_pem_forms_are_read() {
        let key = private(2048);
        let pkcs8 = key.to_pkcs8_pem(LineEnding::LF).expect("encodes");
        let pkcs1 = key.to_pkcs1_pem(LineEnding::LF).expect("encodes");
        assert!(KeyPair::from_pem(&pkcs8).is_ok());
        assert!(KeyPair::from_pem(&pkcs1).is_ok());
    }

    #[test]
    fn short_keys_and_other_texts_are_refused() {
        assert!(KeyPair::from_pem(&KeyPair::generate_pem().expect("makes one")).is_ok());
        // A key that can be read, and is refused for its length alone.
        let short = private(1024).to_pkcs8_pem(LineEnding::LF).expect("encodes");
        assert!(matches!(KeyPair::from_pem(&short), Err(KeyError::TooShort(1024))));
        assert!(matches!(KeyPair::from_pem("no key"), Err(KeyError::NotAKey { .. })));
    }

    #[test]
    fn debug_output_holds_no_key() {
        assert_eq!(format!("{:?}", *PAIR), "KeyPair([redacted])");
    }
}
