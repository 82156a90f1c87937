//! Paths with places for what differs from upload to upload.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but what RFC 3986, 2.3 calls unreserved: what fills a place must not become a part of the path's form.
pub(super) const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What can stand in a place of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The file's name.
    Name,
    /// A new UUID for each upload.
    Uuid,
    /// What the service called the file in its answer.
    Id,
}

impl Place {
    const ALL: [Self; 3] = [Self::Name, Self::Uuid, Self::Id];

    fn text(self) -> &'static str {
        match self {
            Self::Name => "{name}",
            Self::Uuid => "{uuid}",
            Self::Id => "{id}",
        }
    }
}

/// A path below the base URL, without the slash before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate {
    text: String,
}

/// Error for a text that is not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" {problem}")]
pub struct NotAPath {
    text: String,
    problem: String,
}

/// What fills the places of a path.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filled<'a> {
    /// The file's name.
    pub name: &'a str,
    /// This upload's UUID.
    pub uuid: &'a str,
    /// The service's name of the file.
    pub id: &'a str,
}

impl PathTemplate {
    /// A path without places.
    pub fn fixed(text: &str) -> Self {
        Self { text: text.to_owned() }
    }

    /// Reads a path that begins with a slash and has no other places than these.
    pub fn parse(text: &str, allowed: &[Place]) -> Result<Self, NotAPath> {
        let Some(below) = text.strip_prefix('/') else {
            return Err(not_a_path(text, "must begin with a slash, like /files"));
        };
        // Braces that are left once the known places are taken out belong to a place that is not known.
        let mut rest = below.to_owned();
        for place in allowed {
            rest = rest.replace(place.text(), "");
        }
        if rest.contains(['{', '}']) {
            let places: Vec<&str> = allowed.iter().map(|place| place.text()).collect();
            let places = places.join(", ");
            return Err(not_a_path(text, format!("has a place that is not known here; there are {places}")));
        }
        if let Some(problem) = forbidden(&rest) {
            return Err(not_a_path(text, problem));
        }
        Ok(Self { text: below.to_owned() })
    }

    /// Whether the path has this place.
    pub fn has(&self, place: Place) -> bool {
        self.text.contains(place.text())
    }

    /// Whether it is the same for every upload.
    pub fn is_fixed(&self) -> bool {
        !Place::ALL.iter().any(|place| self.has(*place))
    }

    /// The path of one upload, percent-encoded.
    pub fn fill(&self, filled: Filled<'_>) -> String {
        // Values are encoded, braces included: a file named `{id}` is not taken for a place.
        let mut path = self.text.clone();
        for (place, value) in [(Place::Name, filled.name), (Place::Uuid, filled.uuid), (Place::Id, filled.id)]
        {
            path = path.replace(place.text(), &utf8_percent_encode(value, &RESERVED).to_string());
        }
        path
    }
}

/// The problem with a text that cannot be a part of a path.
pub(super) fn forbidden(text: &str) -> Option<String> {
    // What follows a # would never be sent to the service.
    let character = text.chars().find(|c| !c.is_ascii_graphic() || *c == '#')?;
    Some(format!("holds {character:?}, which no path may; write it percent-encoded"))
}

fn not_a_path(text: &str, problem: impl Into<String>) -> NotAPath {
    NotAPath { text: text.to_owned(), problem: problem.into() }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_and_what_fills_them_stays_in_its_segment() {
        let path =
            PathTemplate::parse("/files/{uuid}/{name}?v=1", &[Place::Uuid, Place::Name]).expect("is one");
        assert!(path.has(Place::Uuid) && !path.has(Place::Id) && !path.is_fixed());
        let filled = Filled { name: "a b/../c.txt", uuid: "1-2", id: "" };
        assert_eq!(path.fill(filled), "files/1-2/a%20b%2F..%2Fc.txt?v=1");
        assert!(PathTemplate::parse("/upload", &[]).expect("is one").is_fixed());
    }

    #[test]
    fn what_is_not_a_path_is_refused() {
        for (text, problem) in [
            ("files", "must begin with a slash"),
            ("/{size}", "has a place that is not known here; there are {name}"),
            ("/{id}", "has a place that is not known here"),
            ("/a b", "holds ' '"),
            ("/a#b", "holds '#'"),
        ] {
            let error = PathTemplate::parse(text, &[Place::Name]).expect_err(text).to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
