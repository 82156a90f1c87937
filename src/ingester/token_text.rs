//! Tokens as people hand them over: copied from where they stood, with what stood around them.

use crate::auth::Token;
use crate::error::Error;

/// What people put around a token.
const QUOTES: [char; 2] = ['"', '\''];

/// A token on one line. What stands there is never quoted.
pub(super) fn token(name: &'static str, text: &str) -> Result<Token, Error> {
    // What people copy along with a token: a byte order mark, the header it stands in, quotes.
    let mut text = text.trim_start_matches('\u{feff}').trim().trim_matches(QUOTES).trim();
    for copied_along in ["Authorization:", "Bearer "] {
        let start = text.get(..copied_along.len()).unwrap_or_default();
        if start.eq_ignore_ascii_case(copied_along) {
            text = text[start.len()..].trim();
        }
    }
    let text = text.trim_matches(QUOTES);
    if text.lines().count() > 1 {
        return Err(setting(name, "holds several lines; it must be one token"));
    }
    if text.is_empty() || text.contains(|c: char| !c.is_ascii_graphic()) {
        return Err(setting(name, "does not hold one token (printable characters, no spaces)"));
    }
    Ok(Token::new(text))
}

/// A token that somebody copied to where it stands: much else can be copied.
pub(super) fn jwt(name: &'static str, text: &str) -> Result<Token, Error> {
    let token = token(name, text)?;
    // Told now, without quoting it: the service would say no more than that the token is wrong.
    let parts: Vec<&str> = token.as_str().split('.').collect();
    if parts.len() != 3 || !parts.into_iter().all(is_base64url) {
        let problem = "does not hold a JWT (three parts of letters, digits, - and _, with dots between)";
        return Err(setting(name, problem));
    }
    Ok(token)
}

fn is_base64url(part: &str) -> bool {
    let unpadded = part.trim_end_matches('=');
    !unpadded.is_empty() && unpadded.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

/// Error for the value of a flag or variable.
pub(super) fn setting(name: &'static str, problem: impl ToString) -> Error {
    Error::Setting { name, problem: problem.to_string() }
}
