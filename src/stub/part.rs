//! The headers of one part of a form: its name, and the name of its file.

use super::broken::Broken;
use super::limits::MAX_HEADERS;

/// The names in a part's `Content-Disposition`, as they were sent. They may be echoed, and are never a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub name: String,
    pub file_name: Option<String>,
    /// As the part's header says; nothing where it says nothing that is text.
    pub content_type: Option<String>,
}

impl Part {
    /// Reads the rest of the boundary's line and the headers.
    pub fn parse(head: &[u8]) -> Result<Self, Broken> {
        let lines = without_padding(head).strip_prefix(b"\r\n").ok_or(Broken::Boundary)?;
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let headers = match httparse::parse_headers(lines, &mut headers) {
            Ok(httparse::Status::Complete((_, headers))) => headers,
            Err(httparse::Error::TooManyHeaders) => return Err(Broken::Headers),
            Ok(httparse::Status::Partial) | Err(_) => return Err(Broken::Header),
        };
        // Of two, another reader might take the other one.
        let mut found = 0;
        let mut value: &[u8] = &[];
        let mut content_type = None;
        for header in headers {
            if header.name.eq_ignore_ascii_case("content-type") {
                content_type = std::str::from_utf8(header.value).ok().map(str::to_owned);
            }
            if header.name.eq_ignore_ascii_case("content-disposition") {
                found += 1;
                value = header.value;
            }
        }
        if found != 1 {
            return Err(Broken::Dispositions(found));
        }
        let value = std::str::from_utf8(value).map_err(|_| Broken::NotUtf8)?;
        let named = parse_disposition(value).ok_or(Broken::Disposition)?;
        let part = Self { content_type, ..named };
        part.check()?;
        Ok(part)
    }

    /// Refuses names that would not be shown as what they are, wherever they are echoed, listed or logged.
    fn check(&self) -> Result<(), Broken> {
        for (what, name) in
            [("body: the name of a part", Some(&self.name)), ("file: its name", self.file_name.as_ref())]
        {
            let name = name.map(String::as_str).unwrap_or_default();
            if let Some(character) = name.chars().find(|character| is_misleading(*character)) {
                return Err(Broken::Name { what, character: character.into() });
            }
        }
        Ok(())
    }
}

/// What follows the spaces and tabs that may stand between a boundary and its line break (RFC 2046, section 5.1.1).
pub(super) fn without_padding(line: &[u8]) -> &[u8] {
    let padding = line.iter().take_while(|byte| b" \t".contains(byte)).count();
    &line[padding..]
}

/// Whether a character controls how the text around it is shown: control characters, line and paragraph separators, and
/// those that turn the direction of writing ("photo_gpj.exe" with U+202E before "gpj" is shown as "photo_exe.jpg").
/// Joiners and marks of direction are none of them: the names of many languages, and emoji, need those.
// NUL, CR and LF do not come so far: no header may contain them.
fn is_misleading(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// `form-data; name="..."; filename="..."`, quoted or not.
fn parse_disposition(value: &str) -> Option<Part> {
    // Its end is trimmed once: many short parameters before many spaces would else have all of those looked at again for
    // each of them.
    let (kind, rest) = value.trim_ascii_end().split_once(';')?;
    let mut rest = rest.trim_ascii_start();
    let mut name = None;
    let mut file_name = None;
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let key = key.trim_ascii();
        // In `x; name=a` another reader might see a name.
        if !is_token(key) {
            return None;
        }
        let (value, after) = parse_value(after.trim_ascii_start())?;
        let twice = match key.to_ascii_lowercase().as_str() {
            "name" => name.replace(value).is_some(),
            "filename" => file_name.replace(value).is_some(),
            // `filename*` too (RFC 5987): a form must not have it (RFC 7578, section 4.2), and of two names for one file
            // each reader could take another one.
            _ => false,
        };
        let after = after.trim_ascii_start();
        rest = if after.is_empty() { after } else { after.strip_prefix(';')?.trim_ascii_start() };
        // Of two names, another parser might take the other one.
        if twice {
            return None;
        }
    }
    if !kind.trim_ascii().eq_ignore_ascii_case("form-data") {
        return None;
    }
    Some(Part { name: name?, file_name, content_type: None })
}

/// Whether a text can be the name of a parameter (RFC 9110, section 5.6.2).
fn is_token(text: &str) -> bool {
    let is_allowed =
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    is_allowed && !text.is_empty()
}

/// A parameter's value and what follows it. A backslash stands for itself unless a quote or another one follows.
fn parse_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return Some((text[..end].trim_ascii().to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => match chars.next_if(|(_, next)| "\"\\".contains(*next)) {
                Some((_, escaped)) => value.push(escaped),
                None => value.push(c),
            },
            _ => value.push(c),
        }
    }
    // The closing quote is missing.
    None
}

#[cfg(test)]
mod tests {
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt, SeedableRng};

    use super::*;

    /// Reads these headers, the line break of the boundary's line before them.
    fn parse(headers: &str) -> Result<Part, Broken> {
        Part::parse(format!("{headers}\r\n").as_bytes())
    }

    /// What `parse` returns for a part with these names.
    fn named(name: &str, file: Option<&str>) -> Result<Part, Broken> {
        Ok(Part { name: name.to_owned(), file_name: file.map(str::to_owned), content_type: None })
    }

    /// The part of a file with this name, quoted as a client quotes it.
    fn file(name: &str) -> Result<Part, Broken> {
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        parse(&format!("\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{quoted}\"\r\n"))
    }

    #[test]
    fn names_may_be_quoted_escaped_or_bare() {
        assert_eq!(parse("\r\nContent-Disposition: form-data; name=\"a b\"\r\n"), named("a b", None));
        assert_eq!(
            parse(" \t\r\nX: y\r\ncontent-disposition:form-data;filename=\"a;\\\"b\\c\" ; name=file; \r\n"),
            named("file", Some("a;\"b\\c"))
        );
    }

    #[test]
    fn what_has_no_clear_name_is_refused() {
        for head in [
            "Content-Disposition: form-data\r\n",
            "Content-Disposition: inline; name=a\r\n",
            "Content-Disposition: form-data; name=\"a\r\n",
            "Content-Disposition: form-data; name=\"a\"x; filename=b\r\n",
            "Content-Disposition: form-data; name=a; name=b\r\n",
            "Content-Disposition: form-data; x; name=a; name=b\r\n",
            "Content-Disposition: form-data; =x; name=a\r\n",
        ] {
            assert_eq!(parse(&format!("\r\n{head}")), Err(Broken::Disposition), "{head}");
        }
    }

    #[test]
    fn the_extended_file_name_counts_for_nothing() {
        let head = "\r\nContent-Disposition: form-data; name=a; filename*=UTF-8''b.txt";
        assert_eq!(parse(&format!("{head}\r\n")), named("a", None));
        assert_eq!(parse(&format!("{head}; filename=c\r\n")), named("a", Some("c")));
    }

    #[test]
    fn heads_that_are_none_say_why() {
        let disposition = "Content-Disposition: form-data; name=a\r\n";
        assert_eq!(parse("x\r\n"), Err(Broken::Boundary));
        assert_eq!(parse("\r\nno header\r\n"), Err(Broken::Header));
        assert_eq!(parse("\r\n"), Err(Broken::Dispositions(0)));
        assert_eq!(parse(&format!("\r\n{disposition}{disposition}")), Err(Broken::Dispositions(2)));
        assert_eq!(parse(&format!("\r\n{disposition}{}", "X: y\r\n".repeat(15))), named("a", None));
        assert_eq!(parse(&format!("\r\n{disposition}{}", "X: y\r\n".repeat(16))), Err(Broken::Headers));
        // "é" in Latin-1.
        let latin1 = b"\r\nContent-Disposition: form-data; name=\"\xe9\"\r\n\r\n";
        assert_eq!(Part::parse(latin1), Err(Broken::NotUtf8));
    }

    /// The refusal of a file's name with this character.
    fn misleading(character: u32) -> Result<Part, Broken> {
        Err(Broken::Name { what: "file: its name", character })
    }

    #[test]
    fn names_that_are_shown_as_others_are_refused() {
        assert_eq!(file("photo_\u{202E}gpj.exe"), misleading(0x202E));
        assert_eq!(file("a\tb"), misleading(9));
        assert_eq!(file("a\u{85}b"), misleading(0x85));
        // A header cannot hold them at all.
        for character in ['\0', '\r', '\n', '\u{7f}', '\u{1b}'] {
            assert_eq!(file(&format!("a{character}b")), Err(Broken::Header), "{character:?}");
        }
        assert_eq!(
            parse("\r\nContent-Disposition: form-data; name=\"\u{2066}\"\r\n"),
            Err(Broken::Name { what: "body: the name of a part", character: 0x2066 })
        );
        // Joiners and marks of direction belong to names: a family in emoji, and Persian.
        assert_eq!(file("👨\u{200D}👩\u{200D}👧.png"), named("file", Some("👨\u{200D}👩\u{200D}👧.png")));
        assert_eq!(
            file("\u{645}\u{6CC}\u{200C}\u{62E}.txt"),
            named("file", Some("\u{645}\u{6CC}\u{200C}\u{62E}.txt"))
        );
    }

    #[test]
    fn a_thousand_names_come_out_as_sent_or_are_refused() {
        // What paths, shells, pages and headers give a meaning to; then what is refused.
        const HARMLESS: [&str; 18] = [
            "a",
            "Z9",
            ".",
            "..",
            "/",
            "\\",
            "\"",
            ";",
            "=",
            " b",
            "%00",
            "%2e%2e%2f",
            "é",
            "漢",
            "😀",
            "<script>",
            "C:\\",
            "$(x)",
        ];
        const MISLEADING: [&str; 5] = ["\u{202E}", "\u{2066}", "\u{2028}", "\u{85}", "\t"];
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(14);
        let mut refused = 0;
        for _ in 0..1000 {
            let mut name = "n".to_owned();
            for _ in 0..rng.random_range(1..=12) {
                name.push_str(HARMLESS[rng.random_range(0..HARMLESS.len())]);
            }
            // One in four has one of those.
            if rng.random_range(0..4) == 0 {
                name.push_str(MISLEADING[rng.random_range(0..MISLEADING.len())]);
                name.push_str(".txt");
                assert!(matches!(file(&name), Err(Broken::Name { .. })), "{name:?}");
                refused += 1;
                continue;
            }
            assert_eq!(file(&name), named("file", Some(&name)), "{name:?}");
            // As answers echo it: the same name again, and nothing in it that could end a line or a string.
            let echoed = serde_json::to_string(&name).expect("serialises");
            assert!(!echoed.chars().any(is_misleading), "{echoed}");
            assert_eq!(serde_json::from_str::<String>(&echoed).expect("is JSON"), name);
        }
        // 250 are expected, with a standard deviation of 14.
        assert!((180..=320).contains(&refused), "{refused} of 1000 had a misleading character");
    }
}
