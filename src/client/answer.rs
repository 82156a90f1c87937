//! What the service said: is it a success, and is it true? Both generations' answers are understood.

use std::fmt;

use hyper::StatusCode;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::auth::Redactor;
use crate::recording::{Class, Failure, Outcome};
use crate::units::printable;

/// Longest text of the service's own that a message quotes, in characters.
const MAX_QUOTE: usize = 200;
/// Bytes of an answer that are looked at for a quote.
const MAX_LOOKED_AT: usize = 4 << 10;
/// What a success looks like, for messages.
const WANTED: &str = "wanted 201 with file_size (or size) and checksum";

/// Size and checksum that a correct answer carries.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub size: u64,
    pub sha256: String,
}

/// An answer as it came.
#[derive(Debug)]
pub(super) struct Received<'a> {
    pub status: StatusCode,
    /// Where the service would rather have the request (`Location`).
    pub location: Option<&'a str>,
    /// How the body is encoded (`Content-Encoding`).
    pub encoding: Option<&'a str>,
    pub body: &'a [u8],
    /// Whether all of the body came.
    pub whole: bool,
}

/// A refusal in either dialect.
#[derive(Deserialize)]
#[serde(untagged)]
enum Refusal {
    Python { detail: Value },
    Go { error: GoError },
}

#[derive(Deserialize)]
struct GoError {
    code: String,
    message: String,
}

/// Judges an answer that was read to its end. A message quotes the service, but not what it repeats of the token.
pub(super) fn judge(received: &Received<'_>, expected: &Expected, token: &Redactor) -> Outcome {
    let status = received.status;
    if status != StatusCode::CREATED {
        return Err(Failure::status(status.as_u16(), unwanted_status(received, token)));
    }
    let stored = match stored(received.body) {
        Ok(stored) => stored,
        Err(lacking) => {
            let got = quote(received, token);
            return Err(Failure::new(Class::Protocol, format!("{WANTED}; got 201 {lacking}: {got}")));
        }
    };
    for size in stored.sizes {
        if size != expected.size as f64 {
            let message = format!("sent {} bytes, the service says that it stored {size}", expected.size);
            return Err(Failure::new(Class::Corrupt, message));
        }
    }
    for checksum in stored.checksums {
        if !checksum.eq_ignore_ascii_case(&expected.sha256) {
            return Err(Failure::new(Class::Corrupt, "the service's checksum is not the file's SHA-256"));
        }
    }
    Ok(())
}

/// What is wrong with another status than 201.
fn unwanted_status(received: &Received<'_>, token: &Redactor) -> String {
    let status = received.status;
    if status.is_client_error() || status.is_server_error() {
        return format!("{status}: {}", quote(received, token));
    }
    if let Some(location) = received.location {
        let location = shortened(&token.clean(location));
        return format!("{WANTED}; got {status}, a redirect to {location} (not followed)");
    }
    format!("{WANTED}; got {status} with {}", quote(received, token))
}

/// Every size and every checksum in a stored file of either dialect: doubled ones have to agree.
struct Stored {
    sizes: Vec<f64>,
    checksums: Vec<String>,
}

/// What a body says of the stored file, or what it lacks.
fn stored(body: &[u8]) -> Result<Stored, &'static str> {
    let Ok(Entries(entries)) = serde_json::from_slice(body) else { return Err("that is not a JSON object") };
    let mut stored = Stored { sizes: Vec::new(), checksums: Vec::new() };
    for (name, value) in entries {
        match name.as_str() {
            // `file_size` in Python, `size` in Go. Some write 10240.0.
            "file_size" | "size" => stored.sizes.push(value.as_f64().ok_or("whose size is not a number")?),
            "checksum" => match value {
                Value::String(checksum) => stored.checksums.push(checksum),
                _ => return Err("whose checksum is not a text"),
            },
            _ => {}
        }
    }
    if stored.sizes.is_empty() {
        return Err("without file_size or size");
    }
    if stored.checksums.is_empty() {
        return Err("without checksum");
    }
    Ok(stored)
}

/// An object's entries in their order. Unlike a map's, doubled names stay.
struct Entries(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfObject;
        impl<'de> Visitor<'de> for OfObject {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(OfObject)
    }
}

/// The service's own words, shortened, on one line.
fn quote(received: &Received<'_>, token: &Redactor) -> String {
    let body = received.body;
    if !received.whole {
        return "its text was cut off".to_owned();
    }
    if let Some(encoding) = received.encoding.filter(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        let encoding = shortened(&token.clean(encoding));
        return format!("{} bytes with Content-Encoding: {encoding}, which was not asked for", body.len());
    }
    if body.is_empty() {
        return "no body".to_owned();
    }
    let looked_at = &body[..body.len().min(MAX_LOOKED_AT)];
    let text = match serde_json::from_slice(body) {
        Ok(Refusal::Python { detail: Value::String(text) }) => text,
        Ok(Refusal::Python { detail }) => detail.to_string(),
        Ok(Refusal::Go { error }) => format!("{}: {}", error.code, error.message),
        Err(_) => match std::str::from_utf8(looked_at) {
            Ok(text) => text.to_owned(),
            // Cut in the middle of a character.
            Err(e) if e.error_len().is_none() => {
                String::from_utf8_lossy(&looked_at[..e.valid_up_to()]).into_owned()
            }
            Err(_) => return format!("{} bytes that are not text", body.len()),
        },
    };
    let looked_at: String = text.chars().take(MAX_LOOKED_AT).collect();
    shortened(&token.clean(&looked_at))
}

/// On one line, without what rules a terminal, and not too long.
pub(super) fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut start: String = line.chars().take(MAX_QUOTE).collect();
    if start.len() < line.len() {
        start.push('…');
    }
    printable(&start)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "header-of-a-token.payload-of-a-token.signature-of-it";

    fn received<'a>(status: u16, body: &'a [u8]) -> Received<'a> {
        let status = StatusCode::from_u16(status).expect("is a status");
        Received { status, location: None, encoding: None, body, whole: true }
    }

    fn judged(received: &Received<'_>) -> Result<(), (Class, String)> {
        let expected = Expected { size: 5, sha256: "ab".repeat(32) };
        judge(received, &expected, &Redactor::of(TOKEN)).map_err(|f| (f.class, f.message))
    }

    /// The class and the message of an answer that fails.
    fn failed(status: u16, body: &str) -> (Class, String) {
        judged(&received(status, body.as_bytes())).expect_err("is no success")
    }

    fn with_sum(text: &str) -> String {
        text.replace("SUM", &"ab".repeat(32))
    }

    #[test]
    fn both_dialects_succeed_and_both_at_once() {
        for body in [
            r#"{"file_size": 5, "checksum": "SUM", "x": null}"#,
            r#"{"size": 5, "checksum": "SUM"}"#,
            r#"{"size": 5, "file_size": 5, "checksum": "SUM"}"#,
            r#"{"size": 5.0, "checksum": "SUM", "size": 5}"#,
        ] {
            assert_eq!(judged(&received(201, with_sum(body).as_bytes())), Ok(()), "{body}");
        }
        let upper = format!(r#"{{"size": 5, "checksum": "{}"}}"#, "AB".repeat(32));
        assert_eq!(judged(&received(201, upper.as_bytes())), Ok(()));
    }

    #[test]
    fn a_wrong_size_or_checksum_is_corrupt_also_one_of_two() {
        for body in [
            r#"{"size": 4, "checksum": "SUM"}"#,
            r#"{"size": 5, "file_size": 6, "checksum": "SUM"}"#,
            r#"{"size": 5, "size": 4, "checksum": "SUM"}"#,
            r#"{"size": 5, "checksum": "SUM", "checksum": "00"}"#,
            r#"{"size": 5, "checksum": "00"}"#,
        ] {
            assert_eq!(failed(201, &with_sum(body)).0, Class::Corrupt, "{body}");
        }
    }

    #[test]
    fn what_was_wanted_and_what_came_are_said() {
        let says = |status, body: &str| {
            let (class, said) = failed(status, body);
            assert_eq!(class, Class::Protocol, "{said}");
            said.strip_prefix("wanted 201 with file_size (or size) and checksum; got ")
                .expect(&said)
                .to_owned()
        };
        assert_eq!(says(201, ""), "201 that is not a JSON object: no body");
        assert_eq!(says(201, "ok"), "201 that is not a JSON object: ok");
        assert_eq!(says(201, "[1]"), "201 that is not a JSON object: [1]");
        assert_eq!(says(201, "{}"), "201 without file_size or size: {}");
        assert_eq!(says(201, r#"{"size": 5}"#), r#"201 without checksum: {"size": 5}"#);
        assert_eq!(
            says(201, r#"{"size": "5", "checksum": ""}"#),
            r#"201 whose size is not a number: {"size": "5", "checksum": ""}"#
        );
        assert_eq!(says(200, "{}"), "200 OK with {}");
        assert_eq!(says(204, ""), "204 No Content with no body");
        let body = with_sum(r#"{"size": 5, "checksum": "SUM"}"#);
        assert!(says(200, &body).starts_with(r#"200 OK with {"size": 5, "checksum": "abab"#));
    }

    #[test]
    fn redirects_encodings_and_bytes_are_named() {
        let redirect = Received { location: Some("/elsewhere"), ..received(307, b"") };
        let (_, said) = judged(&redirect).expect_err("is no success");
        assert!(
            said.ends_with("got 307 Temporary Redirect, a redirect to /elsewhere (not followed)"),
            "{said}"
        );
        let to_token = format!("/login?token={TOKEN}");
        let redirect = Received { location: Some(&to_token), ..received(302, b"") };
        let (_, said) = judged(&redirect).expect_err("is no success");
        assert!(!said.contains("payload") && said.contains("[redacted"), "{said}");
        let packed = Received { encoding: Some("gzip"), ..received(201, b"\x1f\x8b\x08") };
        let (_, said) = judged(&packed).expect_err("is no success");
        assert!(said.ends_with("3 bytes with Content-Encoding: gzip, which was not asked for"), "{said}");
        let plain = Received { encoding: Some("identity"), ..received(201, b"{}") };
        let (_, said) = judged(&plain).expect_err("is no success");
        assert!(said.ends_with("201 without file_size or size: {}"), "{said}");
        let (_, said) = judged(&received(201, b"\xff\xfe\x00")).expect_err("is no success");
        assert!(said.ends_with("201 that is not a JSON object: 3 bytes that are not text"), "{said}");
    }

    #[test]
    fn refusals_are_quoted_in_either_dialect() {
        let said = |body: &str| failed(503, body).1;
        assert_eq!(said("{\"detail\": \"no element\"}"), "503 Service Unavailable: no element");
        assert_eq!(
            said("{\"error\": {\"code\": \"E1\", \"message\": \"full\"}}"),
            "503 Service Unavailable: E1: full"
        );
        assert_eq!(said("line\r\n\u{1b}[31mred"), r"503 Service Unavailable: line \u{1b}[31mred");
        assert_eq!(said("a\u{202e}b\u{feff}"), r"503 Service Unavailable: a\u{202e}b\u{feff}");
        let long = said(&"x".repeat(999));
        assert_eq!(long.chars().count(), "503 Service Unavailable: ".len() + MAX_QUOTE + 1);
    }

    #[test]
    fn what_a_service_repeats_of_the_token_is_not_quoted() {
        for body in [
            format!("bad token {TOKEN}!"),
            "claims payload-of-a-token".to_owned(),
            format!("{}{TOKEN}", "x".repeat(MAX_QUOTE - 20)),
            format!("{{\"detail\": \"{TOKEN}\"}}"),
        ] {
            let (_, said) = failed(401, &body);
            assert!(said.contains("[redacted") && !said.contains("of-a-token"), "{said}");
        }
        let (_, odd) = failed(201, &format!("{{\"file_size\": \"{TOKEN}\"}}"));
        assert!(odd.contains("[redacted") && !odd.contains("payload"), "{odd}");
    }
}
