//! The stub's routes.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use super::state::State;
use super::{answer, auth, upload};

/// The service, apart from serving it.
pub(super) fn app(state: State) -> Router {
    let state = Arc::new(state);
    let authorised = axum::middleware::from_fn_with_state(Arc::clone(&state), auth::require_writer);
    Router::new()
        // The token is checked in front of the handler: no body is parsed for somebody who may not send one.
        .route("/api/v1/files/upload", post(upload::upload).layer(authorised))
        // axum would stop at 2 MiB; `upload` counts for itself.
        .layer(DefaultBodyLimit::disable())
        .route("/health/live", get(answer::healthy))
        .route("/health/ready", get(answer::healthy))
        .fallback(answer::not_found)
        .method_not_allowed_fallback(answer::method_not_allowed)
        .with_state(state)
}
