//! `POST /api/v1/finalize/{file_id}`: moves a temporary file to an element for permanent ones, in the background; and
//! `GET /api/v1/finalize/{transaction_id}/status`, which tells how far that is.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::answer::Refusal;
use super::state::State;

/// Begins to move a file.
pub(super) async fn begin(Shared(state): Shared<Arc<State>>, Path(file): Path<String>) -> Response {
    // A name that is not a UUID is the name of no file.
    let found = match file.parse::<Uuid>() {
        Ok(id) => state.storage.find(id).await.map(|found| found.map(|_| id)),
        Err(_) => Ok(None),
    };
    let id = match found {
        Ok(Some(id)) => id,
        Ok(None) => return Refusal::NotFound.answer(state.dialect),
        Err(error) => return Refusal::Storage(error).answer(state.dialect),
    };
    let transaction = state.transactions.begin(id);
    let transaction_id = transaction.transaction_id;
    let shared = Arc::clone(&state);
    tokio::spawn(async move {
        let outcome = match shared.storage.finalize(id).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(Refusal::NotFound),
            Err(error) => Err(Refusal::Storage(error)),
        };
        if let Err(refusal) = &outcome {
            shared.tell("moving a file", refusal);
        }
        shared.transactions.end(transaction_id, outcome.as_ref().copied().map_err(Refusal::cause));
    });
    (StatusCode::ACCEPTED, Json(transaction)).into_response()
}

/// How far a file is on its way.
pub(super) async fn status(Shared(state): Shared<Arc<State>>, Path(id): Path<String>) -> Response {
    let known = id.parse().ok().and_then(|id| state.transactions.find(id));
    match known {
        Some(transaction) => Json(transaction).into_response(),
        None => Refusal::NotFound.answer(state.dialect),
    }
}
