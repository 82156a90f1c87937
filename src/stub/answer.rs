//! Answers of the stub: the twelve fields of a stored file, or `{"detail": ...}`.

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::WWW_AUTHENTICATE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

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
    pub storage_element_id: &'static str,
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
    /// The body is not valid multipart/form-data, was cut off, or exceeds a limit; the text says what is wrong.
    Broken(String),
    /// A field is missing or wrong; the text names it.
    Invalid(String),
    TooLarge,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, detail) = match self {
            Self::NoToken => (StatusCode::UNAUTHORIZED, "Not authenticated".to_owned()),
            Self::BadToken => (StatusCode::UNAUTHORIZED, "Could not validate credentials".to_owned()),
            Self::MayNotWrite => (StatusCode::FORBIDDEN, "Not enough permissions".to_owned()),
            Self::Broken(detail) => (StatusCode::BAD_REQUEST, detail),
            Self::Invalid(detail) => (StatusCode::UNPROCESSABLE_ENTITY, detail),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "File too large".to_owned()),
        };
        let mut response = detail_of(status, &detail);
        // RFC 9110, section 15.5.2: an answer of 401 has to name a scheme that would be accepted.
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, "Bearer".parse().expect("is a header value"));
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
