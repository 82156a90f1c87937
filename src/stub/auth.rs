//! The token check in front of uploads. A body whose token is refused is dropped unread, on which its connection ends as
//! `door::closing` says.

use std::sync::Arc;

use axum::extract::{Request, State as Shared};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::answer::Refusal;
use super::state::State;

/// Lets a request through if its bearer token is valid and its holder may write.
pub(super) async fn require_writer(
    Shared(state): Shared<Arc<State>>,
    request: Request,
    next: Next,
) -> Response {
    match check(&state, &request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn check(state: &State, request: &Request) -> Result<(), Refusal> {
    // A header that is not text, or of another scheme, counts as no token.
    let token = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(bearer)
        .ok_or(Refusal::NoToken)?;
    let claims = state.verifier.verify(token).map_err(|_| Refusal::BadToken)?;
    if claims.may_write() { Ok(()) } else { Err(Refusal::MayNotWrite) }
}

/// The token of a `Bearer` header; the scheme's case does not matter (RFC 9110, section 11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") { Some(token.trim()) } else { None }
}
