//! The headers of one part of a form: its name, and the name of its file.

/// Most headers of a part.
const MAX_HEADERS: usize = 16;

/// The names in a part's `Content-Disposition`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub name: String,
    pub file_name: Option<String>,
}

impl Part {
    /// Reads the rest of the boundary's line and the headers.
    pub fn parse(head: &[u8]) -> Option<Self> {
        // Spaces and tabs between a boundary and its line break are padding (RFC 2046, section 5.1.1).
        let padding = head.iter().take_while(|byte| b" \t".contains(byte)).count();
        let lines = head[padding..].strip_prefix(b"\r\n")?;
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let httparse::Status::Complete((_, headers)) = httparse::parse_headers(lines, &mut headers).ok()?
        else {
            return None;
        };
        let disposition =
            headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-disposition"))?;
        parse_disposition(std::str::from_utf8(disposition.value).ok()?)
    }
}

/// `form-data; name="..."; filename="..."`, quoted or not.
fn parse_disposition(value: &str) -> Option<Part> {
    let (kind, mut rest) = value.split_once(';')?;
    let mut name = None;
    let mut file_name = None;
    while !rest.trim().is_empty() {
        let (key, after) = rest.split_once('=')?;
        let (value, after) = parse_value(after.trim_start())?;
        let twice = match key.trim().to_ascii_lowercase().as_str() {
            "name" => name.replace(value).is_some(),
            "filename" => file_name.replace(value).is_some(),
            _ => false,
        };
        let after = after.trim_start();
        rest = if after.is_empty() { after } else { after.strip_prefix(';')? };
        // Of two names, another parser might take the other one.
        if twice {
            return None;
        }
    }
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return None;
    }
    Some(Part { name: name?, file_name })
}

/// A parameter's value and what follows it. A backslash stands for itself unless a quote or another one follows.
fn parse_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return Some((text[..end].trim().to_owned(), &text[end..]));
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
    use super::*;

    fn parse(head: &str) -> Option<(String, Option<String>)> {
        Part::parse(format!("{head}\r\n").as_bytes()).map(|part| (part.name, part.file_name))
    }

    /// What `parse` returns for a part with these names.
    fn named(name: &str, file: Option<&str>) -> Option<(String, Option<String>)> {
        Some((name.to_owned(), file.map(str::to_owned)))
    }

    #[test]
    fn names_may_be_quoted_escaped_or_bare() {
        assert_eq!(parse("\r\nContent-Disposition: form-data; name=\"a b\"\r\n"), named("a b", None));
        assert_eq!(
            parse(" \t\r\nX: y\r\ncontent-disposition:form-data;filename=\"a;\\\"b\\c\" ; name=file\r\n"),
            named("file", Some("a;\"b\\c"))
        );
    }

    #[test]
    fn what_has_no_clear_name_is_refused() {
        for head in [
            "",
            "X: y\r\n",
            "Content-Disposition: form-data\r\n",
            "Content-Disposition: inline; name=a\r\n",
            "Content-Disposition: form-data; name=\"a\r\n",
            "Content-Disposition: form-data; name=\"a\"x; filename=b\r\n",
            "Content-Disposition: form-data; name=a; name=b\r\n",
            "no header\r\n",
        ] {
            assert_eq!(parse(&format!("\r\n{head}")), None, "{head}");
        }
    }
}
