//! The public keys that tokens are checked with, each by its name (`kid`) if it has one.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, KeyAlgorithm, KeyOperations, PublicKeyUse};

use super::keys::{KeyError, PublicKey, check_bits};

/// Public keys. Never empty.
#[derive(Debug, Clone)]
pub struct KeySet {
    keys: Vec<NamedKey>,
}

#[derive(Debug, Clone)]
struct NamedKey {
    kid: Option<String>,
    key: DecodingKey,
}

impl From<&PublicKey> for KeySet {
    /// One key without a name.
    fn from(key: &PublicKey) -> Self {
        Self { keys: vec![NamedKey { kid: None, key: DecodingKey::from_rsa_der(key.der()) }] }
    }
}

impl KeySet {
    /// The RSA public key in this PEM text.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        Ok(Self::from(&PublicKey::from_pem(text)?))
    }

    /// The keys for RS256 signatures in this JSON Web Key Set (RFC 7517). Others are passed over, as a set may have keys
    /// for other uses; an error where none is left.
    pub fn from_jwks(text: &str) -> Result<Self, KeyError> {
        let set: JwkSet =
            serde_json::from_str(text).map_err(|e| KeyError::NotAKeySet(format!("is not a key set: {e}")))?;
        let mut keys = Vec::new();
        for jwk in &set.keys {
            let Some(key) = rs256_key(jwk)? else { continue };
            let kid = jwk.common.key_id.clone();
            // Which of the two was meant?
            if kid.is_some() && keys.iter().any(|named: &NamedKey| named.kid == kid) {
                return Err(KeyError::NotAKeySet("has two keys of one name (kid)".to_owned()));
            }
            keys.push(NamedKey { kid, key });
        }
        if keys.is_empty() {
            return Err(KeyError::NotAKeySet("has no RSA key for RS256 signatures".to_owned()));
        }
        Ok(Self { keys })
    }

    /// The key that a token of this `kid` is checked with. Where keys have names, so must the token, unless there is
    /// one key only.
    pub(super) fn find(&self, kid: Option<&str>) -> Option<&DecodingKey> {
        if let [only] = self.keys.as_slice() {
            // A single key without a name is meant for every token.
            let fits = only.kid.is_none() || kid.is_none() || only.kid.as_deref() == kid;
            return if fits { Some(&only.key) } else { None };
        }
        let kid = kid?;
        let named = self.keys.iter().find(|named| named.kid.as_deref() == Some(kid))?;
        Some(&named.key)
    }
}

/// The key, if it is one for RS256 signatures; an error where it says so and cannot be used.
fn rs256_key(jwk: &Jwk) -> Result<Option<DecodingKey>, KeyError> {
    let AlgorithmParameters::RSA(rsa) = &jwk.algorithm else { return Ok(None) };
    let signs = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let is_rs256 = matches!(jwk.common.key_algorithm, None | Some(KeyAlgorithm::RS256));
    let may_verify = match &jwk.common.key_operations {
        Some(operations) => operations.contains(&KeyOperations::Verify),
        None => true,
    };
    if !signs || !is_rs256 || !may_verify {
        return Ok(None);
    }
    let modulus = URL_SAFE_NO_PAD.decode(&rsa.n).map_err(|_| unreadable("n"))?;
    let exponent = URL_SAFE_NO_PAD.decode(&rsa.e).map_err(|_| unreadable("e"))?;
    let modulus = without_zeros(&modulus);
    let exponent = without_zeros(&exponent);
    check_bits(bits(modulus))?;
    // With an exponent of 1 anybody can sign, and an even one is none (RFC 8017, 3.1); the library lets both through.
    if bits(exponent) < 2 || exponent.last().is_some_and(|byte| byte % 2 == 0) {
        return Err(unreadable("e"));
    }
    // Looked at by what checks signatures with it: a key that can never fit is better refused now.
    let key = RsaPublicKeyComponents { n: modulus, e: exponent };
    key.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).map_err(|_| unreadable("n or e"))?;
    Ok(Some(DecodingKey::from_rsa_raw_components(modulus, exponent)))
}

/// A number in big-endian bytes without the zeros before it.
fn without_zeros(bytes: &[u8]) -> &[u8] {
    let leading = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[leading..]
}

/// Bits of such a number.
fn bits(bytes: &[u8]) -> usize {
    let Some(first) = bytes.first() else { return 0 };
    8 * bytes.len() - first.leading_zeros() as usize
}

fn unreadable(member: &str) -> KeyError {
    KeyError::NotAKeySet(format!("has an RSA key whose {member} cannot be used"))
}

#[cfg(test)]
mod tests {
    use super::super::keys::tests::PAIR;
    use super::*;
    use serde_json::{Value, json};

    fn jwk(changes: &Value) -> Value {
        let mut jwk = PAIR.public().to_jwk("a").expect("is a key");
        for (name, value) in changes.as_object().expect("is an object") {
            jwk[name] = value.clone();
        }
        jwk
    }

    fn set(keys: &[Value]) -> Result<KeySet, KeyError> {
        KeySet::from_jwks(&json!({ "keys": keys }).to_string())
    }

    #[test]
    fn a_token_is_checked_with_the_key_that_it_names() {
        let one = set(&[jwk(&json!({}))]).expect("is a set");
        assert!(one.find(Some("a")).is_some() && one.find(None).is_some() && one.find(Some("b")).is_none());
        let two = set(&[jwk(&json!({})), jwk(&json!({"kid": "b"}))]).expect("is a set");
        assert!(two.find(Some("a")).is_some() && two.find(Some("b")).is_some());
        assert!(two.find(None).is_none() && two.find(Some("c")).is_none());
        let unnamed = KeySet::from(PAIR.public());
        assert!(unnamed.find(None).is_some() && unnamed.find(Some("whatever")).is_some());
    }

    #[test]
    fn keys_for_other_uses_are_passed_over() {
        let signing = jwk(&json!({"kid": "b"}));
        for other in [
            jwk(&json!({"use": "enc"})),
            jwk(&json!({"alg": "RS512"})),
            jwk(&json!({"alg": "RSA-OAEP"})),
            json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "a"}),
        ] {
            let keys = set(&[other.clone(), signing.clone()]).expect("has one left");
            assert!(keys.find(Some("b")).is_some() && keys.find(Some("a")).is_none(), "{other}");
            assert!(matches!(set(&[other]), Err(KeyError::NotAKeySet(_))));
        }
    }

    #[test]
    fn keys_that_are_too_short_or_broken_are_refused() {
        // 128 bytes are 1024 bits.
        let short = URL_SAFE_NO_PAD.encode([0xFF; 128]);
        assert!(matches!(set(&[jwk(&json!({"n": short}))]), Err(KeyError::TooShort(1024))));
        let long = URL_SAFE_NO_PAD.encode([0xFF; 1025]);
        assert!(matches!(set(&[jwk(&json!({"n": long}))]), Err(KeyError::TooLong(8200))));
        for e in ["AQ", "Ag", "", "!"] {
            assert!(matches!(set(&[jwk(&json!({"e": e}))]), Err(KeyError::NotAKeySet(_))), "{e}");
        }
        assert!(KeySet::from_jwks("{}").is_err() && KeySet::from_jwks("[]").is_err() && set(&[]).is_err());
    }

    #[test]
    fn bits_are_counted_from_the_first_that_is_set() {
        let of = [&[][..], &[0], &[0, 1], &[0x80, 0]];
        assert_eq!(of.map(|bytes| bits(without_zeros(bytes))), [0, 0, 1, 16]);
    }
}
