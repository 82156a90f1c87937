//! The stub's routes.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State as Shared};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::answer::Refusal;
use super::metrics;
use super::state::State;
use super::{auth, download, finalize, health, upload};

/// Where files are uploaded.
pub(super) const UPLOAD_ROUTE: &str = "/api/v1/files/upload";

/// The service, apart from serving it.
pub(super) fn app(state: Arc<State>) -> Router {
    // The token is checked in front of the handler: no body is parsed for somebody who may not send one.
    let writer = axum::middleware::from_fn_with_state(Arc::clone(&state), auth::require_writer);
    let reader = axum::middleware::from_fn_with_state(Arc::clone(&state), auth::require_token);
    Router::new()
        .route(UPLOAD_ROUTE, post(upload::upload).layer(writer.clone()))
        .route("/api/v1/finalize/{id}", post(finalize::begin).layer(writer))
        .route("/api/v1/finalize/{id}/status", get(finalize::status).layer(reader.clone()))
        .route("/api/v1/files/{id}/download", get(download::download).layer(reader))
        // axum would stop at 2 MiB; `upload` counts for itself.
        .layer(DefaultBodyLimit::disable())
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(metrics_text))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(state)
}

async fn metrics_text(Shared(state): Shared<Arc<State>>) -> Response {
    let text = state.metrics.text(state.verifier.signatures());
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}

async fn not_found(Shared(state): Shared<Arc<State>>) -> Response {
    Refusal::NotFound.answer(state.dialect)
}

async fn method_not_allowed(Shared(state): Shared<Arc<State>>) -> Response {
    Refusal::MethodNotAllowed.answer(state.dialect)
}
