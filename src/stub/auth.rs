//! The token check in front of routes. A body whose token is refused is dropped unread, on which its connection ends as
//! `door::closing` says.

use std::sync::Arc;

use axum::extract::{Request, State as Shared};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;

use super::answer::Refusal;
use super::phase::{Stopwatch, UploadPhase};
use super::state::State;
use crate::auth::{Claims, Rejection};

/// Lets a request through if its bearer token is valid and its holder may write.
pub(super) async fn require_writer(shared: Shared<Arc<State>>, mut request: Request, next: Next) -> Response {
    let Shared(state) = &shared;
    if state.phases.is_some() {
        Stopwatch::enter_with(&mut request, UploadPhase::Token);
    }
    let claims = check(state, request.headers()).await;
    match claims {
        Ok(claims) if state.verifier.policy().may_write(&claims) => admit(claims, request, next).await,
        Ok(_) => refuse(state, &Refusal::MayNotWrite),
        Err(refusal) => refuse(state, &refusal),
    }
}

/// Lets a request through if its bearer token is valid and for access.
pub(super) async fn require_token(shared: Shared<Arc<State>>, request: Request, next: Next) -> Response {
    let Shared(state) = &shared;
    match check(state, request.headers()).await {
        Ok(claims) if state.verifier.policy().is_for_access(&claims) => admit(claims, request, next).await,
        Ok(_) => refuse(state, &Refusal::MayNotWrite),
        Err(refusal) => refuse(state, &refusal),
    }
}

/// Hands a request on, with what its token says of its holder.
async fn admit(claims: Claims, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(Arc::new(claims));
    next.run(request).await
}

fn refuse(state: &State, refusal: &Refusal) -> Response {
    state.metrics.failed(refusal.cause());
    refusal.answer(state.dialect)
}

async fn check(state: &State, headers: &HeaderMap) -> Result<Claims, Refusal> {
    let token = bearer(headers)?;
    if state.remote_keys.as_ref().is_some_and(|keys| keys.are_old()) {
        // Not waited for: this request is checked with the keys that there are.
        drop(state.read_keys_again());
    }
    let verified = match state.verifier.verify(token) {
        // The issuer may have begun to sign with a new key.
        Err(Rejection::UnknownKey) => {
            if let Some(reading) = state.read_keys_again() {
                // A reading that panicked has brought no keys.
                let _ = reading.await;
            }
            state.verifier.verify(token)
        }
        verified => verified,
    };
    verified.map_err(|_| Refusal::BadToken)
}

/// The token of the one `Authorization` header, whose scheme is `Bearer`; its case does not matter (RFC 9110, section
/// 11.1).
fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Refusal::NoToken)?;
    // Of two, somebody in front of this service may have checked the other one.
    if values.next().is_some() {
        return Err(Refusal::BadToken);
    }
    // Whatever is wrong with it, the answer is that to a wrong token.
    let value = value.to_str().map_err(|_| Refusal::BadToken)?;
    let (scheme, token) = value.split_once(' ').ok_or(Refusal::BadToken)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(Refusal::BadToken) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().expect("is a header value"));
        }
        headers
    }

    #[test]
    fn there_is_one_header_with_one_token() {
        assert_eq!(bearer(&headers(&["Bearer a.b.c"])), Ok("a.b.c"));
        assert_eq!(bearer(&headers(&["bEARER  a.b.c "])), Ok("a.b.c"));
        assert_eq!(bearer(&headers(&[])), Err(Refusal::NoToken));
        for wrong in ["a.b.c", "Basic a.b.c", "Bearer"] {
            assert_eq!(bearer(&headers(&[wrong])), Err(Refusal::BadToken), "{wrong}");
        }
        assert_eq!(bearer(&headers(&["Bearer a.b.c", "Bearer a.b.c"])), Err(Refusal::BadToken));
    }
}
