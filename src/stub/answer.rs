//! Answers of the stub: the twelve fields of a stored file, or `{"detail": ...}`.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use super::storage::StorageError;

/// Seconds until another try, where no storage element takes a file; what the Python service says.
const RETRY_SECONDS: &str = "30";

/// The answer to a stored upload, as the Python service gives it.
#[derive(Debug, Serialize)]
pub(super) struct StoredFile {
    pub file_id: String,
    pub original_filename: String,
    pub storage_filename: String,
    pub file_size: u64,
    pub compressed: bool,
    pub compression_ratio: Option<f64>,
    pub checksum: String,
    pub uploaded_at: String,
    pub storage_element_url: String,
    pub retention_policy: &'static str,
    pub ttl_expires_at: Option<String>,
    pub storage_element_id: String,
}

impl IntoResponse for StoredFile {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, Json(self)).into_response()
    }
}

/// Reasons for which an upload is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    NoToken,
    BadToken,
    MayNotWrite,
    /// The body is not valid multipart/form-data, or it was cut off.
    Broken,
    /// A field is missing or wrong; the text names it.
    Invalid(String),
    TooLarge,
    /// No storage element takes files of this policy.
    NoStorage,
    /// All storage elements that were tried are full.
    StorageFull,
    /// A storage element failed; the text says which one and why.
    StorageFailed(String),
}

impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::NoElement => Self::NoStorage,
            StorageError::Full => Self::StorageFull,
            StorageError::Failed(problem) => Self::StorageFailed(problem),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, detail) = match self {
            Self::NoToken => (StatusCode::UNAUTHORIZED, "Not authenticated".to_owned()),
            Self::BadToken => (StatusCode::UNAUTHORIZED, "Could not validate credentials".to_owned()),
            Self::MayNotWrite => (StatusCode::FORBIDDEN, "Not enough permissions".to_owned()),
            Self::Broken => (StatusCode::BAD_REQUEST, "There was an error parsing the body".to_owned()),
            Self::Invalid(detail) => (StatusCode::UNPROCESSABLE_ENTITY, detail),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "File too large".to_owned()),
            Self::NoStorage => {
                (StatusCode::SERVICE_UNAVAILABLE, "No storage element takes this file".to_owned())
            }
            Self::StorageFull => (StatusCode::INSUFFICIENT_STORAGE, "Storage is full".to_owned()),
            Self::StorageFailed(problem) => {
                (StatusCode::BAD_GATEWAY, format!("Storage element failed: {problem}"))
            }
        };
        let mut response = detail_of(status, &detail);
        // RFC 9110, section 15.5.2: an answer of 401 has to name a scheme that would be accepted.
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, "Bearer".parse().expect("is a header value"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = RETRY_SECONDS.parse().expect("is a header value");
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        response
    }
}

/// `GET /health/live` and `/health/ready`.
pub(super) async fn healthy() -> Json<serde_json::Value> {
    Json(json!({"status": "ok", "version": env!("CARGO_PKG_VERSION"), "service": "ingester-perf stub"}))
}

pub(super) async fn not_found() -> Response {
    detail_of(StatusCode::NOT_FOUND, "Not Found")
}

pub(super) async fn method_not_allowed() -> Response {
    detail_of(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
}

fn detail_of(status: StatusCode, detail: &str) -> Response {
    (status, Json(json!({"detail": detail}))).into_response()
}
