//! How to speak to a service that takes files, as data: what a request looks like, and what its answer says.
//!
//! The default is the ingester's own API, in both of its dialects. Another service is described by the tables `[api]` and
//! `[cleanup]` of `ingester-perf.toml`. What may follow an upload is a flow: `[flow]` there.

mod checksum;
mod flow;
mod path;
mod pointer;
mod template;

pub use checksum::{Algorithm, Checksum, Encoding, Where};
pub use flow::{
    ASK_EVERY, ASK_FOR, Flow, FlowStep, Goal, STEP_SUCCESS, Scalar, StepEnd, Take, UPLOAD_STEP, Until,
};
pub use path::{Filled, NotAPath, PathTemplate, Place};
pub use pointer::{Json, NotAPointer, Pointer};
pub use template::{NotATemplate, PlaceValues, Template, is_place_name};

use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};

use crate::auth::Token;
use crate::payload::{BodyFormat, Form};

/// The ingester's route of uploads, below the base URL.
pub const INGESTER_ROUTE: &str = "api/v1/files/upload";
/// Where the ingester says whether it is ready.
const INGESTER_READY: &str = "health/ready";

/// How files are uploaded to a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Api {
    /// The method of uploads.
    pub method: Method,
    /// Their path below the base URL.
    pub path: PathTemplate,
    /// How a file is put into the body.
    pub body: BodyFormat,
    /// Headers of every request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What must not show in output: the values of headers that came from the environment.
    pub secrets: Vec<Secret>,
    /// The header that carries the token; `None` where the service wants none.
    pub token: Option<HeaderName>,
    /// Statuses of successes.
    pub success: Vec<StatusCode>,
    /// What a success says of the stored file.
    pub says: Says,
    /// Where the service says whether it is ready, below the base URL.
    pub ready: Option<String>,
    /// How to remove what was uploaded.
    pub cleanup: Option<Cleanup>,
}

/// Where an answer says what was stored.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Says {
    /// Where the file's size may stand. Where there are several, at least one has to be there, and all that are have to be
    /// right.
    pub size: Vec<Pointer>,
    /// Where the checksum stands, and how it is written.
    pub checksum: Option<Checksum>,
    /// Where the service's name of the file stands.
    pub id: Option<Pointer>,
}

/// The request that removes an upload.
#[derive(Debug, Clone, PartialEq)]
pub struct Cleanup {
    /// Its method.
    pub method: Method,
    /// Its path below the base URL.
    pub path: PathTemplate,
}

/// A text that never shows in output.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

impl Default for Api {
    /// The ingester's: `file_size` and `checksum` in the Python service's answers, `size` in the Go service's.
    fn default() -> Self {
        Self {
            method: Method::POST,
            path: PathTemplate::fixed(INGESTER_ROUTE),
            body: BodyFormat::Multipart(Form::temporary()),
            headers: Vec::new(),
            secrets: Vec::new(),
            token: Some(AUTHORIZATION),
            success: vec![StatusCode::CREATED],
            says: Says {
                size: vec![Pointer::of_member("file_size"), Pointer::of_member("size")],
                checksum: Some(Checksum::sha256_at(Pointer::of_member("checksum"))),
                id: Some(Pointer::of_member("file_id")),
            },
            ready: Some(INGESTER_READY.to_owned()),
            cleanup: None,
        }
    }
}

impl Api {
    /// The header that carries this token: `Authorization: Bearer ...`, or any other header with the token alone. `None`
    /// where the token has characters that no header may hold.
    pub fn token_header(&self, token: &Token) -> Option<(HeaderName, HeaderValue)> {
        let name = self.token.clone()?;
        let text = match name {
            AUTHORIZATION => format!("Bearer {}", token.as_str()),
            _ => token.as_str().to_owned(),
        };
        let mut value = HeaderValue::from_str(&text).ok()?;
        // Keeps it out of debug output, and out of the tables that compress the headers of HTTP/2.
        value.set_sensitive(true);
        Some((name, value))
    }

    /// What a success looks like, for messages: `201 with file_size (or size) and checksum`.
    pub fn wanted(&self) -> String {
        let statuses: Vec<&str> = self.success.iter().map(StatusCode::as_str).collect();
        let mut wanted = statuses.join(" or ");
        let mut fields = Vec::new();
        if let Some(size) = self.says.size_for_people() {
            fields.push(size);
        }
        if let Some(checksum) = &self.says.checksum {
            fields.push(checksum.at.to_string());
        }
        if !fields.is_empty() {
            wanted += &format!(" with {}", fields.join(" and "));
        }
        wanted
    }

    /// What nobody verified of the stored files, because answers do not tell it; `None` where they carry a checksum.
    pub fn unverified(&self) -> Option<&'static str> {
        if self.says.checksum.is_some() {
            None
        } else if self.says.size.is_empty() {
            Some("Content not verified: answers carry neither size nor checksum (api.size, api.checksum)")
        } else {
            Some("Content not verified beyond its size: answers carry no checksum (api.checksum)")
        }
    }
}

impl Says {
    /// The names of the size: `file_size (or size)`.
    pub fn size_for_people(&self) -> Option<String> {
        let (first, others) = self.size.split_first()?;
        let mut names = first.to_string();
        for other in others {
            names += &format!(" (or {other})");
        }
        Some(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_follows_from_the_api() {
        assert_eq!(Api::default().wanted(), "201 with file_size (or size) and checksum");
        let plain = Api {
            success: vec![StatusCode::OK, StatusCode::CREATED],
            says: Says::default(),
            ..Api::default()
        };
        assert_eq!(plain.wanted(), "200 or 201");
        assert!(plain.unverified().is_some() && Api::default().unverified().is_none());
    }

    #[test]
    fn a_token_stands_alone_in_a_header_of_choice() {
        let token = Token::new("a.b.c");
        let (_, usual) = Api::default().token_header(&token).expect("has one");
        assert_eq!(usual, "Bearer a.b.c");
        assert!(usual.is_sensitive());
        let api = Api { token: Some(HeaderName::from_static("x-token")), ..Api::default() };
        let (name, own) = api.token_header(&token).expect("has one");
        assert_eq!((name.as_str(), own.to_str().expect("is text")), ("x-token", "a.b.c"));
        assert!(Api { token: None, ..Api::default() }.token_header(&token).is_none());
    }

    #[test]
    fn a_secret_does_not_show() {
        assert_eq!(format!("{:?}", Secret::new("hush")), "Secret([redacted])");
    }
}
