//! The token check: what the stub does for every upload and what `jwt/validate` measures.
//!
//! `jsonwebtoken::decode` would parse the key, the header and the claims anew at each call and accepts more than a
//! careful service should (an unknown `crit`, tokens of any length, `exp` equal to now), so the check is made here of
//! its three parts. Whatever it accepts, `jsonwebtoken` accepts too: the tests see to that.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};

use super::claims::Claims;
use super::keys::PublicKey;
use super::token;

/// Longest token looked at. The service's own have about 700 bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Error for a token that is not accepted. The stub answers all of them alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Not three base64url parts of JSON, too long, or it asks for an extension (`crit`) that is unknown here.
    #[error("malformed token")]
    Malformed,
    /// Signed by another method than RS256.
    #[error("algorithm is not RS256")]
    Algorithm,
    /// The signature is not this key's.
    #[error("wrong signature")]
    Signature,
    /// A required claim is missing or of the wrong type.
    #[error("missing or malformed claim")]
    Claims,
    /// `exp` is now or earlier (RFC 7519, section 4.1.4).
    #[error("expired")]
    Expired,
    /// `nbf` is later than now.
    #[error("not valid yet")]
    NotYetValid,
}

/// Checks tokens against one public key: signature, algorithm, required claims, times. No leeway.
#[derive(Debug, Clone)]
pub struct Verifier {
    key: PublicKey,
}

#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    alg: std::borrow::Cow<'a, str>,
    /// Whatever it holds, `null` included: it asks for something.
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

impl Verifier {
    /// A verifier for tokens signed with the private half of `key`.
    pub fn new(key: PublicKey) -> Self {
        Self { key }
    }

    /// The token's claims, if all of it holds now.
    pub fn verify(&self, token: &str) -> Result<Claims, Rejection> {
        self.verify_at(token, token::now())
    }

    /// As `verify`, at `now` seconds since 1970.
    fn verify_at(&self, token: &str, now: u64) -> Result<Claims, Rejection> {
        // Before anything is decoded: all that follows takes longer the longer the token is.
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Rejection::Malformed);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Rejection::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(Rejection::Malformed)?;
        // The header says how the token is signed, and so is checked before the signature.
        check_header(header)?;
        if !self.key.signed(message.as_bytes(), &decode(signature)?) {
            return Err(Rejection::Signature);
        }
        // Only now can the claims be believed.
        let claims: Claims = parse(&decode(payload)?).ok_or(Rejection::Claims)?;
        check_times(&claims, now)?;
        Ok(claims)
    }
}

fn check_header(part: &str) -> Result<(), Rejection> {
    let json = decode(part)?;
    let header: Header<'_> = serde_json::from_slice(&json).map_err(|_| Rejection::Malformed)?;
    // `crit` names extensions that have to be understood (RFC 7515, section 4.1.11); none is known here.
    match (header.alg.as_ref(), header.crit) {
        ("RS256", false) => Ok(()),
        ("RS256", true) => Err(Rejection::Malformed),
        _ => Err(Rejection::Algorithm),
    }
}

fn present<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}

fn check_times(claims: &Claims, now: u64) -> Result<(), Rejection> {
    if claims.exp <= now {
        Err(Rejection::Expired)
    } else if claims.nbf > now {
        Err(Rejection::NotYetValid)
    } else {
        Ok(())
    }
}

fn decode(part: &str) -> Result<Vec<u8>, Rejection> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Rejection::Malformed)
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    serde_json::from_slice(json).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::super::keys::tests::PAIR;
    use super::super::{KeyPair, Minter};
    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn verifier() -> Verifier {
        Verifier::new(PAIR.public().clone())
    }

    fn claims() -> Value {
        json!({"sub": "s", "type": "service_account", "role": "admin", "name": "n", "jti": "j",
               "iat": NOW, "exp": NOW + 60, "nbf": NOW})
    }

    fn encoded(part: &Value) -> String {
        URL_SAFE_NO_PAD.encode(part.to_string())
    }

    fn signed(header: Value, claims: &Value) -> String {
        let message = format!("{}.{}", encoded(&header), encoded(claims));
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), PAIR.signing(), jsonwebtoken::Algorithm::RS256)
                .expect("signs");
        format!("{message}.{signature}")
    }

    fn rs256(claims: &Value) -> String {
        signed(json!({"alg": "RS256", "typ": "JWT"}), claims)
    }

    /// The subject of a token that is valid at `now`.
    fn subject_at(token: &str, now: u64) -> Result<String, Rejection> {
        verifier().verify_at(token, now).map(|claims| claims.sub)
    }

    /// The verdict on a token with this header and valid claims.
    fn with(header: Value) -> Result<(), Rejection> {
        verifier().verify_at(&signed(header, &claims()), NOW).map(|_| ())
    }

    /// `jsonwebtoken`'s verdict, as strict as it can be set.
    fn theirs(token: &str) -> jsonwebtoken::errors::Result<Claims> {
        use jsonwebtoken::{Algorithm, DecodingKey, Validation};
        let mut strict = Validation::new(Algorithm::RS256);
        strict.leeway = 0;
        strict.validate_nbf = true;
        let key = DecodingKey::from_rsa_der(PAIR.public().der());
        jsonwebtoken::decode(token, &key, &strict).map(|data| data.claims)
    }

    #[test]
    fn a_minted_token_passes_here_and_in_jsonwebtoken() {
        let token = Minter::new(PAIR.clone()).mint(Duration::from_secs(60)).expect("mints");
        let ours = verifier().verify(token.as_str()).expect("is valid");
        assert_eq!(ours, theirs(token.as_str()).expect("is valid there too"));
        assert!(ours.may_write());
    }

    #[test]
    fn times_are_checked_to_the_second() {
        let token = rs256(&claims());
        assert_eq!(subject_at(&token, NOW - 1), Err(Rejection::NotYetValid));
        // `nbf` itself is valid, `exp` itself is not.
        assert_eq!(subject_at(&token, NOW), Ok("s".to_owned()));
        assert_eq!(subject_at(&token, NOW + 59), Ok("s".to_owned()));
        assert_eq!(subject_at(&token, NOW + 60), Err(Rejection::Expired));
    }

    #[test]
    fn every_required_claim_is_required() {
        for name in ["sub", "type", "role", "name", "jti", "iat", "exp", "nbf"] {
            let mut lacking = claims();
            lacking.as_object_mut().expect("is an object").remove(name);
            assert_eq!(verifier().verify_at(&rs256(&lacking), NOW), Err(Rejection::Claims), "{name}");
        }
    }

    #[test]
    fn only_rs256_without_extensions_is_taken() {
        assert_eq!(with(json!({"alg": "RS256"})), Ok(()));
        assert_eq!(with(json!({"alg": "none"})), Err(Rejection::Algorithm));
        assert_eq!(with(json!({"alg": "HS256"})), Err(Rejection::Algorithm));
        assert_eq!(with(json!({"alg": "RS256", "crit": ["x"]})), Err(Rejection::Malformed));
        assert_eq!(with(json!({"alg": "RS256", "crit": null})), Err(Rejection::Malformed));
    }

    #[test]
    fn another_keys_signature_and_a_changed_payload_are_refused() {
        let other = Minter::new(KeyPair::generate().expect("generates"));
        let foreign = other.mint(Duration::from_secs(60)).expect("mints");
        assert_eq!(verifier().verify(foreign.as_str()), Err(Rejection::Signature));
        assert!(theirs(foreign.as_str()).is_err(), "the comparison could not fail");

        let token = rs256(&claims());
        let parts: Vec<&str> = token.split('.').collect();
        let forged = URL_SAFE_NO_PAD.encode(claims().to_string().replace("admin", "owner"));
        // The payload is another one, under the signature of the first.
        let swapped = format!("{}.{forged}.{}", parts[0], parts[2]);
        assert_eq!(verifier().verify_at(&swapped, NOW), Err(Rejection::Signature));
    }

    #[test]
    fn garbage_is_malformed_and_never_panics() {
        let long = "a".repeat(MAX_TOKEN_BYTES + 1);
        for text in ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", "é.é.é", long.as_str()] {
            assert_eq!(verifier().verify_at(text, NOW), Err(Rejection::Malformed), "{text}");
        }
    }
}
