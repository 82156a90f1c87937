//! The stub's routes.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use super::storage::Discard;
use super::{answer, auth, upload};
use crate::auth::Verifier;

/// What the handlers share.
#[derive(Debug)]
pub(super) struct State {
    pub verifier: Verifier,
    pub storage: Arc<Discard>,
    #[cfg(feature = "handicap")]
    pub handicap: super::handicap::Handicap,
}

/// The service, apart from serving it.
pub(super) fn app(state: State) -> Router {
    let state = Arc::new(state);
    let authorised = axum::middleware::from_fn_with_state(Arc::clone(&state), auth::require_writer);
    Router::new()
        .route("/api/v1/files/upload", post(upload::upload).layer(authorised))
        // axum would stop at 2 MiB; `upload` counts for itself.
        .layer(DefaultBodyLimit::disable())
        .route("/health/live", get(answer::healthy))
        .route("/health/ready", get(answer::healthy))
        .fallback(answer::not_found)
        .method_not_allowed_fallback(answer::method_not_allowed)
        .with_state(state)
}
