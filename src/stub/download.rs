//! `GET /api/v1/files/{file_id}/download`: a stored file's bytes.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State as Shared};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::answer::Refusal;
use super::state::State;
use super::storage::StorageError;

/// The type of a file whose own could not stand in a header.
const ANY_TYPE: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Answers with the file.
pub(super) async fn download(Shared(state): Shared<Arc<State>>, Path(file): Path<String>) -> Response {
    // A name that is not a UUID is the name of no file: it never reaches a storage element.
    let Ok(id) = file.parse() else { return Refusal::NotFound.answer(state.dialect) };
    let found = match state.storage.find(id).await {
        Ok(Some(found)) => found,
        Ok(None) => return Refusal::NotFound.answer(state.dialect),
        Err(error) => return failed(&state, error),
    };
    let record = found.record.clone();
    let content = match found.stream().await {
        Ok(content) => content,
        Err(error) => return failed(&state, error),
    };
    let content_type = HeaderValue::from_str(&record.content_type).unwrap_or(ANY_TYPE);
    // The name as it was sent, in a form in which it is only a name (RFC 6266, section 4.3).
    let name = utf8_percent_encode(&record.original_filename, NON_ALPHANUMERIC);
    let disposition = HeaderValue::from_str(&format!("attachment; filename*=UTF-8''{name}"))
        .expect("percent-encoding leaves letters, digits and %");
    let headers = [
        (CONTENT_TYPE, content_type),
        (CONTENT_LENGTH, HeaderValue::from(record.size)),
        (CONTENT_DISPOSITION, disposition),
        // A browser must not take an uploaded file for a page.
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (StatusCode::OK, headers, Body::from_stream(content)).into_response()
}

fn failed(state: &State, error: StorageError) -> Response {
    let refusal = Refusal::Storage(error);
    state.tell("a download", &refusal);
    refusal.answer(state.dialect)
}
