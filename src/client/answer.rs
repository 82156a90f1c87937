//! Judges an answer: whether it is a success, and whether what it says of the file is true.

use hyper::StatusCode;
use hyper::header::{CONTENT_ENCODING, HeaderMap, HeaderName, LOCATION};
use serde::Deserialize;
use serde_json::Value;

use crate::api::{Api, Json, Pointer, Says, Where};
use crate::auth::Redactor;
use crate::recording::{Class, Failure, Outcome};
use crate::units::printable;

/// Longest text of the service's own that a message quotes, in characters.
const MAX_QUOTE: usize = 200;
/// Bytes of an answer that are looked at for a quote.
const MAX_LOOKED_AT: usize = 4 << 10;

/// Size and digest that a correct answer carries.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub size: u64,
    /// In lower-case hex, of the algorithm that the service uses.
    pub digest: String,
}

/// An answer as it came.
#[derive(Debug)]
pub(super) struct Received<'a> {
    pub status: StatusCode,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
    /// Whether all of the body came.
    pub whole: bool,
}

impl Received<'_> {
    /// A header's text, if the answer has it.
    fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
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

/// Judges an answer that was read to its end. A message quotes the service, but not what it repeats of a secret.
pub(super) fn judge(received: &Received<'_>, expected: &Expected, api: &Api, secrets: &Redactor) -> Outcome {
    // The status comes first: whatever else another answer says, it is not about a stored file.
    let status = received.status;
    if !api.success.contains(&status) {
        return Err(Failure::status(status.as_u16(), unwanted_status(received, &api.wanted(), secrets)));
    }
    let stored = match stored(received, &api.says) {
        Ok(stored) => stored,
        Err(lacking) => {
            let message = format!(
                "wanted {}; got {} {lacking}: {}",
                api.wanted(),
                status.as_u16(),
                quote(received, secrets)
            );
            return Err(Failure::new(Class::Protocol, message));
        }
    };
    // Whole numbers of bytes are exact in floating point up to 2^53.
    for size in stored.sizes {
        if size != expected.size as f64 {
            let message = format!("sent {} bytes, the service says that it stored {size}", expected.size);
            return Err(Failure::new(Class::Corrupt, message));
        }
    }
    // After the size: a file that was cut off has a wrong checksum as well, which says less about why.
    if let Some(checksum) = &api.says.checksum {
        for said in stored.checksums {
            if !checksum.is(&said, &expected.digest) {
                let message = format!("the service's checksum is not the file's {}", checksum.algorithm);
                return Err(Failure::new(Class::Corrupt, message));
            }
        }
    }
    Ok(())
}

/// Judges an answer that is not about a stored file: by its status, which has to be one of these.
pub(super) fn judge_status(received: &Received<'_>, success: &[StatusCode], secrets: &Redactor) -> Outcome {
    let status = received.status;
    if success.contains(&status) {
        return Ok(());
    }
    let wanted: Vec<&str> = success.iter().map(StatusCode::as_str).collect();
    let message = unwanted_status(received, &wanted.join(" or "), secrets);
    Err(Failure::status(status.as_u16(), message))
}

/// What the service calls the file that it stored, if it says so.
pub(super) fn id(received: &Received<'_>, says: &Says) -> Option<String> {
    let pointer = says.id.as_ref()?;
    let body: Json = serde_json::from_slice(received.body).ok()?;
    name_at(&body, pointer)
}

/// What stands at this place, if it can be a name: a text or a number.
pub(super) fn name_at(body: &Json, pointer: &Pointer) -> Option<String> {
    match *body.at(pointer).first()? {
        // Dots have no escape: in a path, a server takes these for the folder itself and the one above (RFC 3986, 5.2.4).
        Json::Text(name) if matches!(name.as_str(), "" | "." | "..") => None,
        Json::Text(name) => Some(name.clone()),
        Json::Number(name) => Some(name.to_string()),
        _ => None,
    }
}

/// What is wrong with a status that is not a success.
fn unwanted_status(received: &Received<'_>, wanted: &str, secrets: &Redactor) -> String {
    let status = received.status;
    // The service says itself that it refuses: what was wanted is clear.
    if status.is_client_error() || status.is_server_error() {
        return format!("{status}: {}", quote(received, secrets));
    }
    if let Some(location) = received.header(&LOCATION) {
        let location = shortened(&secrets.clean(location));
        return format!("wanted {wanted}; got {status}, a redirect to {location} (not followed)");
    }
    format!("wanted {wanted}; got {status} with {}", quote(received, secrets))
}

/// Every size and every checksum in an answer: where there are several, all have to be right.
#[derive(Default)]
struct Stored {
    sizes: Vec<f64>,
    checksums: Vec<String>,
}

/// What an answer says of the stored file, or what it lacks.
fn stored(received: &Received<'_>, says: &Says) -> Result<Stored, String> {
    let mut stored = Stored::default();
    // Where nothing is looked for in the body, it may be anything, or empty.
    let checksum_in_body = matches!(&says.checksum, Some(checksum) if matches!(checksum.at, Where::Body(_)));
    let body = if says.size.is_empty() && !checksum_in_body {
        Json::Other
    } else {
        match serde_json::from_slice(received.body) {
            Ok(body @ (Json::Object(_) | Json::Array(_))) => body,
            _ => return Err("that is not a JSON object".to_owned()),
        }
    };
    for pointer in &says.size {
        for value in body.at(pointer) {
            // Some write 10240.0.
            let size = match value {
                Json::Number(size) => size.as_f64(),
                _ => None,
            };
            stored.sizes.push(size.ok_or("whose size is not a number")?);
        }
    }
    // One of the places is enough: the dialects name it differently.
    if stored.sizes.is_empty()
        && let Some(names) = says.size_for_people()
    {
        let names = names.replace(['(', ')'], "");
        return Err(format!("without {names}"));
    }
    let Some(checksum) = &says.checksum else { return Ok(stored) };
    match &checksum.at {
        Where::Header(name) => stored.checksums.extend(received.header(name).map(str::to_owned)),
        Where::Body(pointer) => {
            for value in body.at(pointer) {
                let Json::Text(said) = value else { return Err("whose checksum is not a text".to_owned()) };
                stored.checksums.push(said.clone());
            }
        }
    }
    if stored.checksums.is_empty() {
        return Err(format!("without {}", checksum.at));
    }
    Ok(stored)
}

/// The service's own words, shortened, on one line.
pub(super) fn quote(received: &Received<'_>, secrets: &Redactor) -> String {
    let body = received.body;
    if !received.whole {
        return "its text was cut off".to_owned();
    }
    // Compressed text would be quoted as noise; no encoding was asked for.
    let encoding = received.header(&CONTENT_ENCODING);
    if let Some(encoding) = encoding.filter(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        let encoding = shortened(&secrets.clean(encoding));
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
    // Cleaned before it is shortened: the cut could leave a part of a token that is not recognised.
    let looked_at: String = text.chars().take(MAX_LOOKED_AT).collect();
    shortened(&secrets.clean(&looked_at))
}

/// The text on one line, without what rules a terminal, cut after [`MAX_QUOTE`] characters.
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
    use std::sync::LazyLock;

    use hyper::header::{ETAG, HeaderValue};

    use super::*;
    use crate::api::{Checksum, Encoding};

    const TOKEN: &str = "header-of-a-token.payload-of-a-token.signature-of-it";

    static NO_HEADERS: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);

    fn received(status: u16, body: &[u8]) -> Received<'_> {
        let status = StatusCode::from_u16(status).expect("is a status");
        Received { status, headers: &NO_HEADERS, body, whole: true }
    }

    fn header(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).expect("is one"))])
    }

    fn judged(received: &Received<'_>) -> Result<(), (Class, String)> {
        judged_by(&Api::default(), received)
    }

    fn judged_by(api: &Api, received: &Received<'_>) -> Result<(), (Class, String)> {
        let expected = Expected { size: 5, digest: "ab".repeat(32) };
        judge(received, &expected, api, &Redactor::of(TOKEN)).map_err(|f| (f.class, f.message))
    }

    /// The class and the message of an answer that fails.
    fn failed(status: u16, body: &str) -> (Class, String) {
        judged(&received(status, body.as_bytes())).expect_err("is not a success")
    }

    /// What came, from the message about an answer that breaks the API.
    fn got(status: u16, body: &str) -> String {
        let (class, said) = failed(status, body);
        assert_eq!(class, Class::Protocol, "{said}");
        let got = said.strip_prefix("wanted 201 with file_size (or size) and checksum; got ");
        got.expect(&said).to_owned()
    }

    /// The message about a refusal with this body.
    fn refusal(body: &str) -> String {
        failed(503, body).1
    }

    /// What a service that tells an id calls the file of this answer.
    fn id_in(body: &str) -> Option<String> {
        let says = Says { id: Some(Pointer::of_member("id")), ..Says::default() };
        id(&received(201, body.as_bytes()), &says)
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
        assert_eq!(got(201, ""), "201 that is not a JSON object: no body");
        assert_eq!(got(201, "ok"), "201 that is not a JSON object: ok");
        assert_eq!(got(201, "[1]"), "201 without file_size or size: [1]");
        assert_eq!(got(201, "{}"), "201 without file_size or size: {}");
        assert_eq!(got(201, r#"{"size": 5}"#), r#"201 without checksum: {"size": 5}"#);
        assert_eq!(
            got(201, r#"{"size": "5", "checksum": ""}"#),
            r#"201 whose size is not a number: {"size": "5", "checksum": ""}"#
        );
        assert_eq!(got(200, "{}"), "200 OK with {}");
        assert_eq!(got(204, ""), "204 No Content with no body");
        let body = with_sum(r#"{"size": 5, "checksum": "SUM"}"#);
        assert!(got(200, &body).starts_with(r#"200 OK with {"size": 5, "checksum": "abab"#));
    }

    #[test]
    fn redirects_encodings_and_bytes_are_named() {
        let elsewhere = header(LOCATION, "/elsewhere");
        let redirect = Received { headers: &elsewhere, ..received(307, b"") };
        let (_, said) = judged(&redirect).expect_err("is not a success");
        assert!(
            said.ends_with("got 307 Temporary Redirect, a redirect to /elsewhere (not followed)"),
            "{said}"
        );
        let to_token = header(LOCATION, &format!("/login?token={TOKEN}"));
        let redirect = Received { headers: &to_token, ..received(302, b"") };
        let (_, said) = judged(&redirect).expect_err("is not a success");
        assert!(!said.contains("payload") && said.contains("[redacted"), "{said}");
        let gzip = header(CONTENT_ENCODING, "gzip");
        let packed = Received { headers: &gzip, ..received(201, b"\x1f\x8b\x08") };
        let (_, said) = judged(&packed).expect_err("is not a success");
        assert!(said.ends_with("3 bytes with Content-Encoding: gzip, which was not asked for"), "{said}");
        let identity = header(CONTENT_ENCODING, "identity");
        let plain = Received { headers: &identity, ..received(201, b"{}") };
        let (_, said) = judged(&plain).expect_err("is not a success");
        assert!(said.ends_with("201 without file_size or size: {}"), "{said}");
        let (_, said) = judged(&received(201, b"\xff\xfe\x00")).expect_err("is not a success");
        assert!(said.ends_with("201 that is not a JSON object: 3 bytes that are not text"), "{said}");
    }

    #[test]
    fn refusals_are_quoted_in_either_dialect() {
        assert_eq!(refusal("{\"detail\": \"no element\"}"), "503 Service Unavailable: no element");
        assert_eq!(
            refusal("{\"error\": {\"code\": \"E1\", \"message\": \"full\"}}"),
            "503 Service Unavailable: E1: full"
        );
        assert_eq!(refusal("line\r\n\u{1b}[31mred"), r"503 Service Unavailable: line \u{1b}[31mred");
        assert_eq!(refusal("a\u{202e}b\u{feff}"), r"503 Service Unavailable: a\u{202e}b\u{feff}");
        // The ellipsis is one more character.
        let long = refusal(&"x".repeat(999));
        assert_eq!(long.chars().count(), "503 Service Unavailable: ".len() + MAX_QUOTE + 1);
    }

    #[test]
    fn what_a_service_repeats_of_the_token_is_not_quoted() {
        for body in [
            format!("bad token {TOKEN}!"),
            "claims payload-of-a-token".to_owned(),
            // Only the first 20 characters of the token would be quoted.
            format!("{}{TOKEN}", "x".repeat(MAX_QUOTE - 20)),
            format!("{{\"detail\": \"{TOKEN}\"}}"),
        ] {
            let (_, said) = failed(401, &body);
            assert!(said.contains("[redacted") && !said.contains("of-a-token"), "{said}");
        }
        let (_, odd) = failed(201, &format!("{{\"file_size\": \"{TOKEN}\"}}"));
        assert!(odd.contains("[redacted") && !odd.contains("payload"), "{odd}");
    }

    #[test]
    fn a_service_that_says_nothing_of_the_file_is_believed_by_its_status() {
        let api = Api { success: vec![StatusCode::OK], says: Says::default(), ..Api::default() };
        assert_eq!(judged_by(&api, &received(200, b"thanks")), Ok(()));
        let (_, said) = judged_by(&api, &received(204, b"")).expect_err("is not a success");
        assert_eq!(said, "wanted 200; got 204 No Content with no body");
    }

    #[test]
    fn an_answer_that_is_not_about_a_file_is_judged_by_its_status() {
        let success = [StatusCode::OK, StatusCode::ACCEPTED];
        let secrets = Redactor::of(TOKEN);
        assert_eq!(judge_status(&received(202, b""), &success, &secrets), Ok(()));
        let other = judge_status(&received(201, b"{}"), &success, &secrets).expect_err("is another status");
        assert_eq!(other.message, "wanted 200 or 202; got 201 Created with {}");
        let refused = judge_status(&received(404, b"no"), &success, &secrets).expect_err("is a refusal");
        assert_eq!((refused.class, refused.message.as_str()), (Class::Http4xx, "404 Not Found: no"));
    }

    #[test]
    fn a_checksum_in_a_header_is_looked_at() {
        let checksum = Checksum { at: Where::Header(ETAG), ..Checksum::sha256_at(Pointer::of_member("x")) };
        let says = Says { checksum: Some(checksum), ..Says::default() };
        let api = Api { says, ..Api::default() };
        let right = header(ETAG, &format!("\"{}\"", "ab".repeat(32)));
        assert_eq!(judged_by(&api, &Received { headers: &right, ..received(201, b"") }), Ok(()));
        let wrong = header(ETAG, "\"00\"");
        let (class, said) =
            judged_by(&api, &Received { headers: &wrong, ..received(201, b"") }).expect_err("is wrong");
        assert_eq!(
            (class, said.as_str()),
            (Class::Corrupt, "the service's checksum is not the file's SHA-256")
        );
        let (class, said) = judged_by(&api, &received(201, b"")).expect_err("lacks it");
        assert_eq!(class, Class::Protocol);
        assert!(said.ends_with("got 201 without the header etag: no body"), "{said}");
    }

    #[test]
    fn a_checksum_may_be_written_in_another_way() {
        let checksum = Checksum {
            encoding: Encoding::Base64,
            prefix: "sha256:".to_owned(),
            ..Checksum::sha256_at("/meta/digest".parse().expect("is one"))
        };
        let api = Api { says: Says { checksum: Some(checksum), ..Says::default() }, ..Api::default() };
        // 32 bytes of 0xab.
        let body = r#"{"meta": {"digest": "sha256:q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s="}}"#;
        assert_eq!(judged_by(&api, &received(201, body.as_bytes())), Ok(()));
    }

    #[test]
    fn the_services_name_of_a_file_is_a_text_or_a_number() {
        assert_eq!(id_in(r#"{"id": "a-1"}"#).as_deref(), Some("a-1"));
        assert_eq!(id_in(r#"{"id": 17}"#).as_deref(), Some("17"));
        assert_eq!((id_in(r#"{"id": ""}"#), id_in("{}"), id_in("")), (None, None, None));
        // The request to remove `files/..` would be one to remove all of them.
        assert_eq!((id_in(r#"{"id": "."}"#), id_in(r#"{"id": ".."}"#)), (None, None));
        assert_eq!(id_in(r#"{"id": "..."}"#).as_deref(), Some("..."));
    }
}
