//! What the service said: is it a success, and is it true? Both generations' answers are understood.

use hyper::StatusCode;
use serde::Deserialize;

use crate::auth::Token;
use crate::recording::{Class, Failure, Outcome};

/// Longest text of the service's own that a message quotes, in characters.
const MAX_QUOTE: usize = 200;

/// From this length on, a token or a part of one says something.
const SECRET: usize = 12;

/// Size and checksum that a correct answer carries.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub size: u64,
    pub sha256: String,
}

/// A stored file in either dialect; what else stands in it does not matter here.
#[derive(Deserialize)]
struct StoredFile {
    /// `file_size` in Python, `size` in Go.
    #[serde(alias = "size")]
    file_size: u64,
    checksum: String,
}

/// A refusal in either dialect.
#[derive(Deserialize)]
#[serde(untagged)]
enum Refusal {
    Python { detail: serde_json::Value },
    Go { error: GoError },
}

#[derive(Deserialize)]
struct GoError {
    code: String,
    message: String,
}

/// Judges an answer that was read to its end. A message quotes the service, but not what it repeats of the token.
pub(super) fn judge(status: StatusCode, body: &[u8], expected: &Expected, token: &Token) -> Outcome {
    if status != StatusCode::CREATED {
        return Err(Failure::status(status.as_u16(), format!("{status}: {}", reason(body, token))));
    }
    let stored: StoredFile = serde_json::from_slice(body).map_err(|_| {
        // What serde would say quotes the body too, as it is.
        let message = format!("the answer is not that of an upload: {}", reason(body, token));
        Failure::new(Class::Protocol, message)
    })?;
    if stored.file_size != expected.size {
        let message = format!("sent {} bytes, the service stored {}", expected.size, stored.file_size);
        return Err(Failure::new(Class::Corrupt, message));
    }
    if !stored.checksum.eq_ignore_ascii_case(&expected.sha256) {
        return Err(Failure::new(Class::Corrupt, "the service's checksum is not the file's SHA-256"));
    }
    Ok(())
}

/// The service's own words, shortened, on one line.
fn reason(body: &[u8], token: &Token) -> String {
    let text = match serde_json::from_slice(body) {
        Ok(Refusal::Python { detail: serde_json::Value::String(text) }) => text,
        Ok(Refusal::Python { detail }) => detail.to_string(),
        Ok(Refusal::Go { error }) => format!("{}: {}", error.code, error.message),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let text = without(&text, token);
    let shown = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    shown.take(MAX_QUOTE).collect::<String>().trim().to_owned()
}

/// The text with the token and its parts blacked out, where they are long enough to say something.
fn without(text: &str, token: &Token) -> String {
    let secrets = [token.as_str()].into_iter().chain(token.as_str().split('.'));
    secrets
        .filter(|secret| secret.len() >= SECRET)
        .fold(text.to_owned(), |text, secret| text.replace(secret, "[redacted]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "header-of-a-token.payload-of-a-token.signature-of-it";

    fn judged(status: u16, body: &str) -> Result<(), (Class, String)> {
        let expected = Expected { size: 5, sha256: "ab".repeat(32) };
        let status = StatusCode::from_u16(status).expect("is a status");
        judge(status, body.as_bytes(), &expected, &Token::new(TOKEN)).map_err(|f| (f.class, f.message))
    }

    fn class(status: u16, body: &str) -> Option<Class> {
        judged(status, body).err().map(|(class, _)| class)
    }

    #[test]
    fn both_dialects_succeed() {
        let sum = "AB".repeat(32);
        assert_eq!(
            judged(201, &format!("{{\"file_size\": 5, \"checksum\": \"{sum}\", \"x\": null}}")),
            Ok(())
        );
        assert_eq!(judged(201, &format!("{{\"size\": 5, \"checksum\": \"{sum}\"}}")), Ok(()));
    }

    #[test]
    fn a_wrong_size_or_checksum_is_corrupt() {
        let sum = "ab".repeat(32);
        assert_eq!(class(201, &format!("{{\"size\": 4, \"checksum\": \"{sum}\"}}")), Some(Class::Corrupt));
        assert_eq!(class(201, "{\"size\": 5, \"checksum\": \"00\"}"), Some(Class::Corrupt));
    }

    #[test]
    fn a_success_that_says_nothing_is_no_success() {
        for body in ["", "ok", "{}", "{\"size\": -5, \"checksum\": \"\"}", "[1]"] {
            assert_eq!(class(201, body), Some(Class::Protocol), "{body}");
        }
        assert_eq!(class(200, "{}"), Some(Class::Protocol));
        assert_eq!(class(302, ""), Some(Class::Protocol));
    }

    #[test]
    fn refusals_are_quoted_in_either_dialect() {
        let said = |body: &str| judged(503, body).expect_err("is a refusal").1;
        assert_eq!(said("{\"detail\": \"no element\"}"), "503 Service Unavailable: no element");
        assert_eq!(
            said("{\"error\": {\"code\": \"E1\", \"message\": \"full\"}}"),
            "503 Service Unavailable: E1: full"
        );
        assert_eq!(said("line\r\n\u{1b}[31mred"), "503 Service Unavailable: line   [31mred");
        assert_eq!(said(&format!("bad token {TOKEN}!")), "503 Service Unavailable: bad token [redacted]!");
        assert_eq!(said("claims payload-of-a-token"), "503 Service Unavailable: claims [redacted]");
        let cut = format!("{}{TOKEN}", "x".repeat(MAX_QUOTE - 20));
        assert!(!said(&cut).contains("header"), "{}", said(&cut));
        let (_, odd) = judged(201, &format!("{{\"file_size\": \"{TOKEN}\"}}")).expect_err("is no answer");
        assert!(odd.contains("[redacted]") && !odd.contains("payload"), "{odd}");
        assert_eq!(said(&"x".repeat(999)).len(), "503 Service Unavailable: ".len() + MAX_QUOTE);
    }
}
