//! Answers of the stub, in the form of one generation of the service or the other.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use time::OffsetDateTime;

use super::fields::{Fields, WrongField};
use super::storage::{Kept, StorageError};
use crate::units::rfc3339;

/// Which generation of the service the answers are those of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Twelve fields of a stored file, and errors as `{"detail": ...}`.
    #[default]
    Python,
    /// Thirteen fields, and errors as `{"error": {"code": ..., "message": ...}}`.
    Go,
}

/// Seconds after which a client may try again where there was no storage element for it.
const RETRY_AFTER_S: u32 = 30;

/// A file that was stored.
#[derive(Debug)]
pub(super) struct StoredFile {
    pub id: String,
    pub name: String,
    pub content_type: String,
    pub size: u64,
    pub checksum: String,
    pub uploaded: OffsetDateTime,
    /// Who sent it, as the token says.
    pub by: String,
    pub fields: Fields,
    pub element_id: String,
    pub element_url: String,
}

impl From<Kept> for StoredFile {
    /// What is known of the file itself.
    fn from(Kept { record, url }: Kept) -> Self {
        Self {
            id: record.id.to_string(),
            name: record.original_filename,
            content_type: record.content_type.into_owned(),
            size: record.size,
            checksum: record.sha256,
            uploaded: record.uploaded_at,
            by: String::new(),
            fields: Fields::default(),
            element_id: record.storage_element_id,
            element_url: url,
        }
    }
}

/// The answer of the Python service.
#[derive(Serialize)]
struct PythonFile<'a> {
    file_id: &'a str,
    original_filename: &'a str,
    storage_filename: String,
    file_size: u64,
    compressed: bool,
    compression_ratio: Option<f64>,
    checksum: &'a str,
    uploaded_at: String,
    storage_element_url: &'a str,
    retention_policy: &'static str,
    ttl_expires_at: Option<String>,
    storage_element_id: &'a str,
}

/// The answer of the Go service.
#[derive(Serialize)]
struct GoFile<'a> {
    file_id: &'a str,
    original_filename: &'a str,
    content_type: &'a str,
    size: u64,
    checksum: &'a str,
    uploaded_by: &'a str,
    uploaded_at: String,
    description: &'a str,
    tags: &'a [String],
    status: &'static str,
    retention_policy: &'static str,
    ttl_days: Option<u16>,
    expires_at: Option<String>,
}

impl StoredFile {
    /// The answer to its upload.
    pub fn answer(&self, dialect: Dialect) -> Response {
        match dialect {
            Dialect::Python => (StatusCode::CREATED, Json(self.python())).into_response(),
            Dialect::Go => (StatusCode::CREATED, Json(self.go())).into_response(),
        }
    }

    fn python(&self) -> PythonFile<'_> {
        PythonFile {
            file_id: &self.id,
            original_filename: &self.name,
            storage_filename: format!("{}_{}", self.id, self.name),
            file_size: self.size,
            compressed: false,
            compression_ratio: None,
            checksum: &self.checksum,
            uploaded_at: rfc3339(self.uploaded),
            storage_element_url: &self.element_url,
            retention_policy: self.fields.retention_policy(),
            ttl_expires_at: self.fields.expires(self.uploaded).map(rfc3339),
            storage_element_id: &self.element_id,
        }
    }

    fn go(&self) -> GoFile<'_> {
        GoFile {
            file_id: &self.id,
            original_filename: &self.name,
            content_type: &self.content_type,
            size: self.size,
            checksum: &self.checksum,
            uploaded_by: &self.by,
            uploaded_at: zulu(self.uploaded),
            description: self.fields.description(),
            tags: self.fields.tags(),
            status: "active",
            retention_policy: self.fields.retention_policy(),
            ttl_days: self.fields.ttl_days(),
            expires_at: self.fields.expires(self.uploaded).map(zulu),
        }
    }
}

/// RFC 3339 with a `Z`, as Go writes it.
fn zulu(instant: OffsetDateTime) -> String {
    rfc3339(instant).replace("+00:00", "Z")
}

/// Reasons for which a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    NoToken,
    BadToken,
    MayNotWrite,
    /// The body is not valid multipart/form-data, was cut off, or exceeds a limit; the text says what is wrong.
    Broken(String),
    /// A field is missing or wrong; the text names it.
    Invalid(String),
    TooLarge,
    NotFound,
    MethodNotAllowed,
    Storage(StorageError),
}

impl From<WrongField> for Refusal {
    fn from(WrongField(detail): WrongField) -> Self {
        Self::Invalid(detail)
    }
}

impl Refusal {
    /// A word for it, for the metrics and as the code of Go's errors.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::BadToken => "bad_token",
            Self::MayNotWrite => "forbidden",
            Self::Broken(_) => "broken_body",
            Self::Invalid(_) => "invalid_field",
            Self::TooLarge => "too_large",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Storage(StorageError::Full) => "storage_full",
            Self::Storage(StorageError::Failed(_)) => "storage_failed",
            Self::Storage(StorageError::NoElement) => "no_storage_element",
        }
    }

    /// The status, and what is said to the client.
    fn told(&self) -> (StatusCode, &str) {
        match self {
            Self::NoToken => (StatusCode::UNAUTHORIZED, "Not authenticated"),
            // The same for every cause: what is wrong with a token is no business of who does not have a right one.
            Self::BadToken => (StatusCode::UNAUTHORIZED, "Could not validate credentials"),
            Self::MayNotWrite => (StatusCode::FORBIDDEN, "Not enough permissions"),
            Self::Broken(detail) => (StatusCode::BAD_REQUEST, detail),
            Self::Invalid(detail) => (StatusCode::UNPROCESSABLE_ENTITY, detail),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "File too large"),
            Self::NotFound => (StatusCode::NOT_FOUND, "Not Found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"),
            Self::Storage(StorageError::Full) => {
                (StatusCode::INSUFFICIENT_STORAGE, "Storage element is full")
            }
            // What failed behind it may name paths and hosts; the operator reads that on the stub's own output.
            Self::Storage(StorageError::Failed(_)) => (StatusCode::BAD_GATEWAY, "Storage element failed"),
            Self::Storage(StorageError::NoElement) => {
                (StatusCode::SERVICE_UNAVAILABLE, "No storage element available")
            }
        }
    }

    /// The answer in this dialect.
    pub fn answer(&self, dialect: Dialect) -> Response {
        let (status, message) = self.told();
        let body = match dialect {
            Dialect::Python => json!({"detail": message}),
            Dialect::Go => json!({"error": {"code": self.cause(), "message": message}}),
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        // RFC 9110, section 15.5.2: an answer of 401 has to name a scheme that would be accepted.
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, "Bearer".parse().expect("is a header value"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, RETRY_AFTER_S.into());
        }
        response
    }
}

/// An answer that no refusal stands behind, as that of a fault.
pub(super) fn detail_of(status: StatusCode, detail: &str) -> Response {
    (status, Json(json!({"detail": detail}))).into_response()
}
