//! Tokens that are signed with the right key and yet wrong, each with the reason for which it is refused; and those beside
//! them that are right.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::keys::tests::PAIR;
use super::policy::Policy;
use super::rejection::Rejection::{self, Algorithm, Claims, Expired, Lifetime, Malformed, NotYetValid};
use super::token;
use super::verifier::Verifier;

/// Longest lifetime of these tests, in seconds.
const LONGEST: u64 = 3600;

fn policy() -> Policy {
    Policy { longest_lifetime: std::time::Duration::from_secs(LONGEST), ..Policy::default() }
}

/// Claims that are right from a minute ago on, for ten.
fn claims(now: u64) -> Value {
    json!({"sub": "s", "type": "service_account", "role": "admin", "name": "n", "jti": "j",
           "iat": now - 60, "exp": now + 540, "nbf": now - 60})
}

/// Signs these texts, whatever they are.
fn signed(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature =
        jsonwebtoken::crypto::sign(message.as_bytes(), PAIR.signing(), jsonwebtoken::Algorithm::RS256);
    format!("{message}.{}", signature.expect("signs"))
}

/// The verdict on a token of these texts by this policy.
fn verdict(policy: Policy, header: &str, claims: &str, now: u64) -> Result<(), Rejection> {
    Verifier::new(PAIR.public(), policy).verify_at(&signed(header, claims), now).map(|_| ())
}

/// The verdict on right claims under this header.
fn under(header: &Value) -> Result<(), Rejection> {
    let now = token::now();
    verdict(policy(), &header.to_string(), &claims(now).to_string(), now)
}

/// The verdict on these claims, with one of them replaced, or removed where the value is `null`.
fn with(policy: Policy, name: &str, value: Value) -> Result<(), Rejection> {
    let now = token::now();
    let mut claims = claims(now);
    let members = claims.as_object_mut().expect("is an object");
    if value.is_null() {
        members.remove(name);
    } else {
        members.insert(name.to_owned(), value);
    }
    verdict(policy, r#"{"alg":"RS256","typ":"JWT"}"#, &claims.to_string(), now)
}

#[test]
fn headers_that_ask_for_something_else_are_refused() {
    assert_eq!(under(&json!({"alg": "RS256"})), Ok(()));
    assert_eq!(under(&json!({"alg": "RS256", "typ": "jwt", "kid": "any"})), Ok(()));
    for alg in ["none", "None", "HS256", "RS384", "RS512", "PS256", "ES256", "EdDSA", "rs256", "RS256 ", ""] {
        assert_eq!(under(&json!({"alg": alg, "typ": "JWT"})), Err(Algorithm), "{alg}");
    }
    for alg in [json!(null), json!(256), json!(["RS256"]), json!({"RS256": 1})] {
        assert_eq!(under(&json!({"alg": alg})), Err(Algorithm), "{alg}");
    }
    assert_eq!(under(&json!({"typ": "JWT"})), Err(Algorithm));
    for member in ["crit", "enc", "zip", "jwk", "jku", "x5u", "x5c", "b64", "epk"] {
        for value in [json!(null), json!(["exp"]), json!("https://127.0.0.1/keys")] {
            assert_eq!(under(&json!({"alg": "RS256", member: value})), Err(Malformed), "{member} {value}");
        }
    }
    for typ in [json!("JWS"), json!("at+jwt"), json!("secevent+jwt"), json!(""), json!(null), json!(["JWT"])]
    {
        assert_eq!(under(&json!({"alg": "RS256", "typ": typ})), Err(Malformed), "{typ}");
    }
    for kid in [json!(null), json!(1), json!(["a"])] {
        assert_eq!(under(&json!({"alg": "RS256", "kid": kid})), Err(Malformed), "{kid}");
    }
}

#[test]
fn header_and_claims_are_objects_with_each_name_once() {
    let now = token::now();
    let right = claims(now).to_string();
    for header in [
        r#"["RS256"]"#,
        r#"{"alg":"RS256","alg":"RS256"}"#,
        r#"{"alg":"none","alg":"RS256"}"#,
        "null",
        "{",
        "",
    ] {
        let found = verdict(policy(), header, &right, now);
        assert_eq!(found, Err(Malformed), "{header}");
    }
    let array = json!(["s", "service_account", "admin", "n", "j", now - 60, now + 540, now - 60]);
    let doubled = right.replacen("{", "{\"role\":\"readonly\",", 1);
    let twice_exp = right.replacen("{", &format!("{{\"exp\":{},", now + 100), 1);
    for claims in
        [array.to_string(), doubled, twice_exp, "null".to_owned(), "{}".to_owned(), format!("{right}x")]
    {
        let found = verdict(policy(), r#"{"alg":"RS256"}"#, &claims, now);
        assert_eq!(found, Err(Claims), "{claims}");
    }
}

#[test]
fn every_claim_is_required_and_has_its_type() {
    for name in ["sub", "type", "role", "name", "jti", "iat", "exp", "nbf"] {
        assert_eq!(with(policy(), name, Value::Null), Err(Claims), "without {name}");
    }
    for name in ["sub", "type", "role", "name", "jti"] {
        for value in [json!(1), json!(["admin"]), json!({"a": 1}), json!(true)] {
            assert_eq!(with(policy(), name, value.clone()), Err(Claims), "{name} {value}");
        }
    }
    for name in ["iat", "exp", "nbf"] {
        for value in [json!("1"), json!([1]), json!(-1), json!(true)] {
            assert_eq!(with(policy(), name, value.clone()), Err(Claims), "{name} {value}");
        }
    }
}

#[test]
fn times_count_to_the_second() {
    let now = token::now();
    let right = claims(now);
    // Valid from a minute ago until in nine, by the verifier's own clock.
    for (at, expected) in [
        (now - 61, Err(NotYetValid)),
        (now - 60, Ok(())),
        (now - 59, Ok(())),
        (now + 539, Ok(())),
        (now + 540, Err(Expired)),
        (now + 541, Err(Expired)),
    ] {
        let found = verdict(policy(), r#"{"alg":"RS256"}"#, &right.to_string(), at);
        assert_eq!(found, expected, "{at} at {now}");
    }
    // A leeway of 30 s moves both ends by as much.
    let lenient = Policy { leeway: std::time::Duration::from_secs(30), ..policy() };
    for (at, expected) in
        [(now - 91, Err(NotYetValid)), (now - 90, Ok(())), (now + 569, Ok(())), (now + 570, Err(Expired))]
    {
        let found = verdict(lenient.clone(), r#"{"alg":"RS256"}"#, &right.to_string(), at);
        assert_eq!(found, expected, "{at} at {now}");
    }
}

#[test]
fn a_lifetime_begins_when_it_was_issued_and_is_bounded() {
    let now = token::now();
    // Issued a minute ago.
    let end = now - 60 + LONGEST;
    for (exp, expected) in
        [(end - 1, Ok(())), (end, Ok(())), (end + 2, Err(Lifetime)), (u64::MAX, Err(Lifetime))]
    {
        assert_eq!(with(policy(), "exp", json!(exp)), expected, "{exp}");
    }
    // In the future, and after its own end. Ten seconds, as the second may change between two looks at the clock.
    assert_eq!(with(policy(), "iat", json!(now + 10)), Err(NotYetValid));
    assert_eq!(with(policy(), "nbf", json!(now + 10)), Err(NotYetValid));
    assert_eq!(with(policy(), "iat", json!(now + 1000)), Err(NotYetValid));
    let lenient = Policy { leeway: std::time::Duration::from_secs(300), ..policy() };
    let mut short = claims(now);
    short["exp"] = json!(now + 5);
    short["iat"] = json!(now + 10);
    let found = verdict(lenient, r#"{"alg":"RS256"}"#, &short.to_string(), now);
    assert_eq!(found, Err(Lifetime));
}

#[test]
fn a_leeway_has_a_bound() {
    let endless = Policy { leeway: std::time::Duration::MAX, ..policy() };
    let now = token::now();
    let mut late = claims(now);
    late["nbf"] = json!(now + 310);
    let found = verdict(endless, r#"{"alg":"RS256"}"#, &late.to_string(), now);
    assert_eq!(found, Err(NotYetValid));
}

#[test]
fn issuer_and_audience_are_checked_where_they_are_configured() {
    let strict = Policy { issuer: Some("us".to_owned()), audience: Some("ingester".to_owned()), ..policy() };
    let now = token::now();
    for (iss, aud, expected) in [
        (json!("us"), json!("ingester"), Ok(())),
        (json!("us"), json!(["other", "ingester"]), Ok(())),
        (json!("them"), json!("ingester"), Err(Claims)),
        (json!(["us"]), json!("ingester"), Err(Claims)),
        (json!("us"), json!("other"), Err(Claims)),
        (json!("us"), json!(["other"]), Err(Claims)),
        (json!("us"), json!([]), Err(Claims)),
        (json!("us"), json!(["ingester", 1]), Err(Claims)),
        (json!("us"), json!({"ingester": 1}), Err(Claims)),
        (json!(null), json!("ingester"), Err(Claims)),
        (json!("us"), json!(null), Err(Claims)),
    ] {
        let mut claims = claims(now);
        claims["iss"] = iss.clone();
        claims["aud"] = aud.clone();
        let found = verdict(strict.clone(), r#"{"alg":"RS256"}"#, &claims.to_string(), now);
        assert_eq!(found, expected, "{iss} {aud}");
    }
    for name in ["iss", "aud"] {
        // Not there at all.
        assert_eq!(with(strict.clone(), name, Value::Null), Err(Claims), "{name}");
        // Whatever it is, where nobody asks.
        assert_eq!(with(policy(), name, json!("whoever")), Ok(()), "{name}");
    }
}

#[test]
fn only_listed_types_and_roles_may_write() {
    let now = token::now();
    let verifier = Verifier::new(PAIR.public(), policy());
    for (kind, role, expected) in [
        ("service_account", "admin", true),
        ("admin_user", "operator", true),
        ("access", "user", true),
        ("refresh", "admin", false),
        ("", "admin", false),
        ("Access", "admin", false),
        ("access", "readonly", false),
        ("access", "Admin", false),
        ("access", "guest", false),
        ("access", "", false),
    ] {
        let mut claims = claims(now);
        claims["type"] = json!(kind);
        claims["role"] = json!(role);
        let token = signed(r#"{"alg":"RS256"}"#, &claims.to_string());
        let claims = verifier.verify_at(&token, now).expect("is valid");
        assert_eq!(verifier.policy().may_write(&claims), expected, "{kind} {role}");
    }
}
