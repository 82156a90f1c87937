//! Texts with places that answers fill: paths and bodies of the steps of a flow.

use std::collections::BTreeMap;

use percent_encoding::utf8_percent_encode;
use serde::de::IgnoredAny;

use super::path::{RESERVED, forbidden};

/// A text with places, like `/files/{id}/finalize`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<TemplatePart>,
    encoding: ValueEncoding,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum TemplatePart {
    Text(String),
    /// The name of a place.
    Place(String),
}

/// How a value is written, so that it cannot become a part of the text's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValueEncoding {
    /// Percent-encoded.
    Path,
    /// With the escapes of a JSON text.
    Json,
}

/// Error for a text that is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" {problem}")]
pub struct NotATemplate {
    text: String,
    problem: String,
}

/// What fills the places, by their names.
#[derive(Debug, Clone, Default)]
pub struct PlaceValues(BTreeMap<String, String>);

impl PlaceValues {
    /// Fills a place from now on.
    pub fn set(&mut self, place: &str, value: impl Into<String>) {
        self.0.insert(place.to_owned(), value.into());
    }

    /// The value of a place; an empty text where it has none.
    fn of(&self, place: &str) -> &str {
        self.0.get(place).map(String::as_str).unwrap_or_default()
    }
}

impl Template {
    /// A path that begins with a slash. It is kept without that, as one below the base URL.
    pub fn path(text: &str, known: &[String]) -> Result<Self, NotATemplate> {
        let Some(below) = text.strip_prefix('/') else {
            return Err(not_a_template(text, "must begin with a slash, like /files/{id}"));
        };
        let parts = split(below);
        check_places(&parts, known).map_err(|problem| not_a_template(text, problem))?;
        for part in &parts {
            let TemplatePart::Text(literal) = part else { continue };
            if literal.contains(['{', '}']) {
                return Err(not_a_template(
                    text,
                    "has a brace that is not one of a place; write it as %7B or %7D",
                ));
            }
            if let Some(problem) = forbidden(literal) {
                return Err(not_a_template(text, problem));
            }
        }
        Ok(Self { parts, encoding: ValueEncoding::Path })
    }

    /// A JSON document.
    pub fn json(text: &str, known: &[String]) -> Result<Self, NotATemplate> {
        let parts = split(text);
        check_places(&parts, known).map_err(|problem| not_a_template(text, problem))?;
        let template = Self { parts, encoding: ValueEncoding::Json };
        // A place may stand for a text, in quotes, or for a number: 0 can be both.
        let mut example = PlaceValues::default();
        for place in known {
            example.set(place, "0");
        }
        let parsed: Result<IgnoredAny, _> = serde_json::from_str(&template.fill(&example));
        match parsed {
            Ok(_) => Ok(template),
            Err(error) => Err(not_a_template(text, format!("is not JSON: {error}"))),
        }
    }

    /// Whether it has a place of this name.
    pub fn has(&self, place: &str) -> bool {
        self.parts.iter().any(|part| matches!(part, TemplatePart::Place(name) if name == place))
    }

    /// The text with its places filled.
    pub fn fill(&self, values: &PlaceValues) -> String {
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                TemplatePart::Text(literal) => filled += literal,
                TemplatePart::Place(name) => filled += &self.encoding.encoded(values.of(name)),
            }
        }
        filled
    }
}

impl ValueEncoding {
    fn encoded(self, value: &str) -> String {
        match self {
            Self::Path => utf8_percent_encode(value, &RESERVED).to_string(),
            Self::Json => {
                let quoted = serde_json::Value::from(value).to_string();
                // Quotes, where there are any, stand in the template.
                quoted[1..quoted.len() - 1].to_owned()
            }
        }
    }
}

/// The text and the places in it. A name of lower-case letters, digits and underscores in braces is a place; no object of JSON
/// looks like that.
fn split(text: &str) -> Vec<TemplatePart> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        let named = &rest[start + 1..];
        let end = named.find(|c: char| !is_of_a_name(c)).unwrap_or(named.len());
        if end == 0 || !named[end..].starts_with('}') {
            literal += &rest[..=start];
            rest = named;
            continue;
        }
        literal += &rest[..start];
        if !literal.is_empty() {
            parts.push(TemplatePart::Text(std::mem::take(&mut literal)));
        }
        parts.push(TemplatePart::Place(named[..end].to_owned()));
        rest = &named[end + 1..];
    }
    literal += rest;
    if !literal.is_empty() {
        parts.push(TemplatePart::Text(literal));
    }
    parts
}

/// Whether a character may stand in the name of a place.
fn is_of_a_name(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'
}

/// Whether this can be the name of a place.
pub fn is_place_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_of_a_name)
}

/// An error for a place that nothing fills.
fn check_places(parts: &[TemplatePart], known: &[String]) -> Result<(), String> {
    for part in parts {
        let TemplatePart::Place(name) = part else { continue };
        if !known.contains(name) {
            let there_are: Vec<String> = known.iter().map(|place| format!("{{{place}}}")).collect();
            let there_are = there_are.join(", ");
            return Err(format!(
                "has {{{name}}}, which nothing before this step fills; there are {there_are}"
            ));
        }
    }
    Ok(())
}

fn not_a_template(text: &str, problem: impl Into<String>) -> NotATemplate {
    NotATemplate { text: text.to_owned(), problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<String> {
        ["id", "name"].map(str::to_owned).to_vec()
    }

    fn values() -> PlaceValues {
        let mut values = PlaceValues::default();
        values.set("id", "a/b \"c\"");
        values.set("name", "7");
        values
    }

    #[test]
    fn a_value_stays_in_its_segment_of_a_path() {
        let path = Template::path("/files/{id}/v{name}?x={name}", &known()).expect("is one");
        assert_eq!(path.fill(&values()), "files/a%2Fb%20%22c%22/v7?x=7");
        assert!(path.has("id") && !path.has("files"));
    }

    #[test]
    fn a_value_stays_in_its_text_of_a_document() {
        let body = Template::json(r#"{"file": {"id": "{id}", "n": {name}}, "x": {}}"#, &known());
        let filled = body.expect("is one").fill(&values());
        assert_eq!(filled, r#"{"file": {"id": "a/b \"c\"", "n": 7}, "x": {}}"#);
    }

    #[test]
    fn what_cannot_be_filled_or_sent_is_refused() {
        for (text, problem) in [
            ("files", "must begin with a slash"),
            ("/{job}", "has {job}, which nothing before this step fills; there are {id}, {name}"),
            ("/{Id}", "has a brace that is not one of a place"),
            ("/a b", "holds ' '"),
            ("/a#b", "holds '#'"),
        ] {
            let error = Template::path(text, &known()).expect_err(text).to_string();
            assert!(error.starts_with(&format!("\"{text}\" {problem}")), "{error}");
        }
        for (text, problem) in [("{id}}", "is not JSON"), ("file=1", "is not JSON"), ("[{job}]", "has {job}")]
        {
            let error = Template::json(text, &known()).expect_err(text).to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn a_name_of_a_place_is_plain() {
        assert!(
            is_place_name("job_2") && !is_place_name("") && !is_place_name("Job") && !is_place_name("a-b")
        );
    }
}
