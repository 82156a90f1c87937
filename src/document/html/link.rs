//! Where links lead: to files beside the page, and nowhere else.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All that has a meaning in a URL, and all that is not ASCII. What is left are the characters that RFC 3986 (section 2.3)
/// calls unreserved, and the separator of folders.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The path as the address of a link. None for what is not a path relative to the page: a page must not lead to another
/// host, or to code, because of the name of a file.
pub(super) fn address(path: &str) -> Option<String> {
    let first = path.split('/').next().unwrap_or_default();
    // A scheme ends with a colon, and stands before the first slash.
    let leads_elsewhere = path.starts_with(['/', '\\']) || first.contains(':');
    if path.is_empty() || leads_elsewhere {
        return None;
    }
    Some(utf8_percent_encode(path, ENCODED).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_is_encoded() {
        for (path, expected) in [
            ("flame-graphs/jwt.svg", "flame-graphs/jwt.svg"),
            ("../gate/summary.md", "../gate/summary.md"),
            ("a b/c#d?e.json", "a%20b/c%23d%3Fe.json"),
            ("µ\u{202e}\"<>'&", "%C2%B5%E2%80%AE%22%3C%3E%27%26"),
            ("a/b:c", "a/b%3Ac"),
        ] {
            assert_eq!(address(path).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn what_leads_elsewhere_is_refused() {
        for path in [
            "",
            "/etc/passwd",
            "//host/a",
            "\\\\host\\a",
            "javascript:alert(1)",
            " java\tscript:alert(1)",
            "https://host/",
            "data:text/html,a",
            "C:\\a",
        ] {
            assert_eq!(address(path), None, "{path}");
        }
    }
}
